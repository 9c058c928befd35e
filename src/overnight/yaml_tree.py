"""A person's YAML as a tree whose every value knows its line.

Nothing is ever constructed from a tag, and references are refused before anything is followed, so
no file is larger than it looks. Plain values are read as YAML 1.2 reads them: ``1e-3`` is a number,
``007`` is 7, ``10:30`` a text; ``yes``, ``no``, ``on`` and ``off`` stay what people mean by them.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from overnight.errors import Place, UserError

Kind = Literal["null", "bool", "int", "float", "str", "list", "map"]

#: Settings are a few levels deep; a thousand brackets are an attack on the stack.
_MAX_DEPTH = 30
_MAX_PROBLEM_CHARS = 80
_NULLS = ("", "~", "null", "Null", "NULL")
TRUE, FALSE = ("true", "yes", "on"), ("false", "no", "off")
#: Python converts no longer ones; a number of that length is a text.
_INT = re.compile(r"[-+]?[0-9]{1,400}|0x[0-9a-fA-F]{1,400}|0o[0-7]{1,400}")
_FLOAT = re.compile(
    r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?"
    r"|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)"
)


@dataclass(frozen=True)
class Node:
    """One value of a file.

    Attributes:
        line: Where it begins, from 1; 0 if it stands in no file.
        text: Of a plain or quoted value, as it was written.
        plain: Whether it stands there without quotes.
        items: Of a list.
        pairs: Keys and values of a table, in their order; a key may stand there twice.
        option: What gave it instead of the file: ``--set``.
    """

    kind: Kind
    line: int = 0
    text: str = ""
    plain: bool = True
    items: tuple[Node, ...] = ()
    pairs: tuple[tuple[Node, Node], ...] = ()
    option: str = ""

    def get(self, key: str) -> Node | None:
        """The value of a key; the last one where it stands there twice."""
        found = None
        for name, value in self.pairs:
            if name.text == key and name.is_scalar:
                found = value
        return found

    @property
    def is_scalar(self) -> bool:
        """Whether it is one value, neither list nor table."""
        return self.kind not in ("list", "map")

    def data(self) -> Any:
        """The same in Python's own values; keys are texts."""
        if self.kind == "map":
            return {name.text: value.data() for name, value in self.pairs}
        if self.kind == "list":
            return [item.data() for item in self.items]
        if self.kind == "null":
            return None
        if self.kind == "bool":
            return self.text.lower() in TRUE
        if self.kind == "int":
            base = {"0x": 16, "0o": 8}.get(self.text[:2], 10)
            return int(self.text, base)
        if self.kind == "float":
            return float(self.text.lower().replace(".inf", "inf").replace(".nan", "nan"))
        return self.text


def scalar(text: str, *, plain: bool = True, line: int = 0, option: str = "") -> Node:
    """A value from what stands there; quoted it is a text, whatever it holds."""
    return Node(_kind(text) if plain else "str", line, text, plain, option=option)


def _kind(text: str) -> Kind:
    if text in _NULLS:
        return "null"
    if text.lower() in (*TRUE, *FALSE) and text in (text.lower(), text.upper(), text.title()):
        return "bool"
    if _INT.fullmatch(text):
        return "int"
    return "float" if _FLOAT.fullmatch(text) else "str"


def of(data: Any) -> Node:
    """A tree of Python's own values, as if somebody had written them; on no line."""
    if isinstance(data, Mapping):
        pairs = tuple((scalar(str(key), plain=False), of(value)) for key, value in data.items())
        return Node("map", pairs=pairs)
    if isinstance(data, (list, tuple)):
        return Node("list", items=tuple(of(item) for item in data))
    if data is None:
        return scalar("null")
    if isinstance(data, bool):
        return scalar("true" if data else "false")
    if isinstance(data, float):
        text = repr(data)
        return scalar("." + text if text in ("inf", "nan") else text.replace("-inf", "-.inf"))
    return scalar(str(data), plain=isinstance(data, int))


def place(file: str, node: Node, name: str = "") -> Place:
    """Where a value stands, for an error about it."""
    return Place(file, node.line, name, node.option)


def read(path: str, problems: list[UserError], *, max_kib: int) -> Node | None:
    """The tree of a file.

    Args:
        path: The file.
        problems: Why it is not read is added here.
        max_kib: A larger one is refused.

    Returns:
        None where there is no such file, or it is refused.
    """
    try:
        with open(path, "rb") as file:
            data = file.read(max_kib * 1024 + 1)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        reason = os.strerror(error.errno or 0)
        problems.append(UserError("yaml.unreadable", where=Place(path), reason=reason))
        return None
    if len(data) > max_kib * 1024:
        problems.append(UserError("yaml.large", where=Place(path), limit=max_kib))
        return None
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        key = "yaml.cp949" if _is_cp949(data) else "yaml.not_text"
        problems.append(UserError(key, where=Place(path)))
        return None
    return parse(text, problems, file=path)


def _is_cp949(data: bytes) -> bool:
    try:
        text = data.decode("cp949")
    except UnicodeDecodeError:
        return False
    # Latin letters with accents decode as CP949, too: into rare Hanja, not into Hangul.
    return any("가" <= char <= "힣" for char in text)


def parse(
    text: str, problems: list[UserError], *, file: str = "", name: str = "", option: str = ""
) -> Node | None:
    """The tree of a text; an empty one is null.

    Args:
        text: YAML.
        problems: Why it is refused is added here.
        file: What errors name.
        name: The key that ``option`` sets to it.
        option: The option the text was given with, instead of in a file.

    Returns:
        None where it is refused.
    """
    import yaml

    def refuse(key: str, line: int, **fields: object) -> None:
        problems.append(UserError(key, where=Place(file, line, name, option), **fields))

    try:
        return _build(yaml, text, option)
    except _RefusedError as refused:
        refuse(refused.key, refused.line)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        problem = " ".join(str(error.problem or error.context or "").split())
        line = mark.line + 1 if mark is not None else 1
        if "'\\t'" in problem:
            refuse("yaml.tab", line)
        else:
            refuse("yaml.broken", line, problem=problem[:_MAX_PROBLEM_CHARS])
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        refuse("yaml.broken", line, problem=error.reason)
    except (yaml.YAMLError, ValueError, OverflowError) as error:  # a number in an escape
        problem = " ".join(str(error).split())
        refuse("yaml.broken", 0, problem=problem[:_MAX_PROBLEM_CHARS])
    return None


class _RefusedError(Exception):
    """What is YAML and not read here."""

    def __init__(self, key: str, line: int) -> None:
        self.key = key
        self.line = line


def _build(yaml: Any, text: str, option: str) -> Node:
    """The tree, from the parser's events: nothing is composed, resolved or constructed."""
    events = yaml.parse(text, Loader=yaml.SafeLoader)
    num_documents = 0
    root = Node("null", 0 if option else 1, option=option)
    for event in events:
        if isinstance(event, yaml.DocumentStartEvent):
            num_documents += 1
            if num_documents > 1:
                raise _RefusedError("yaml.documents", _line(event))
        elif isinstance(event, yaml.NodeEvent):
            root = _node(yaml, event, events, option, depth=1)
    return root


def _node(yaml: Any, event: Any, events: Iterator[Any], option: str, depth: int) -> Node:
    line = 0 if option else _line(event)
    if event.anchor:
        raise _RefusedError("yaml.anchor", line)
    if event.tag is not None:
        raise _RefusedError("yaml.tag", line)
    if isinstance(event, yaml.ScalarEvent):
        if not event.value.isascii() and not _is_unicode(event.value):
            raise _RefusedError("yaml.not_unicode", line)
        return scalar(event.value, plain=event.style is None, line=line, option=option)
    if depth > _MAX_DEPTH:
        raise _RefusedError("yaml.deep", line)
    children = []
    for inner in events:
        if isinstance(inner, yaml.CollectionEndEvent):
            break
        children.append(_node(yaml, inner, events, option, depth + 1))
    if isinstance(event, yaml.SequenceStartEvent):
        return Node("list", line, items=tuple(children), option=option)
    pairs = tuple(zip(children[::2], children[1::2]))
    return Node("map", line, pairs=pairs, option=option)


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _line(event: Any) -> int:
    return int(event.start_mark.line) + 1
