"""A config with other values that still reads as its writer wrote it, remarks and all.

Lines are replaced, taken out and put in; what comes of it is read again, and only where it asks
for exactly what it should does it stay. Else the spec is written whole, as a run keeps it.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from overnight import yaml_tree
from overnight.errors import UserErrors
from overnight.messages import say
from overnight.spec.override import with_values
from overnight.spec.read import read
from overnight.spec.schema import Spec
from overnight.spec.write import as_yaml, to_json, write
from overnight.yaml_tree import Node

#: A value on its key's line, and the remark behind it.
_ENTRY = re.compile(r"(?P<lead>\s*[^\s#:][^:]*:[ \t]+)(?P<value>.*?)(?P<remark>[ \t]+#.*)?")
#: What a training after a search no longer asks for.
_OF_THE_SEARCH: Mapping[str, Any] = {"tuning": None, "auto_continue": False, "until": None}


def optimized(spec: Spec, values: Mapping[str, Any]) -> Spec:
    """The training with what a search has found, and no search before it.

    Raises:
        UserErrors: See :func:`overnight.spec.override.with_values`.
    """
    made: Spec = with_values(spec, values).model_copy(update=dict(_OF_THE_SEARCH))
    return made


def write_like(original: str | Path, wanted: Spec, path: str | Path) -> None:
    """Writes a spec in the shape of the config that it came from.

    Args:
        original: That config; where it is gone or says something else by now, every key is
            written.
        wanted: What has to be asked for.
        path: The file; beside ``original``, so that relative paths mean the same.

    Raises:
        OSError: It cannot be written.
    """
    path = Path(path)
    try:
        text = Path(original).read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError):
        text = ""
    aside = path.with_name(f".{path.name}.{os.getpid()}.yaml")
    try:
        if text and Path(original).absolute().parent == path.absolute().parent:
            text = _with_all(text, wanted, aside)
        if text and _told(aside, text) == to_json(wanted):
            aside.replace(path)
            return
    finally:
        aside.unlink(missing_ok=True)
    write(wanted, path)


def _with_all(text: str, wanted: Spec, aside: Path) -> str:
    """The text, changed wherever it says something else; empty where it cannot be read."""
    for key, nothing in _OF_THE_SEARCH.items():
        if getattr(wanted, key) == nothing:
            text = _without(text, key)
    there, asked = _told(aside, text), to_json(wanted)
    if there is None:
        return ""
    for keys, value in _differences(there, asked):
        text = _with(text, keys, value)
    return text


def _told(aside: Path, text: str) -> dict[str, Any] | None:
    """What a text asks for; None where it is no config."""
    aside.write_text(text, encoding="utf-8", newline="\n")
    try:
        return to_json(read(aside))
    except UserErrors:
        return None


def _differences(there: Any, asked: Any, above: tuple[str, ...] = ()) -> list[tuple[Any, Any]]:
    """Keys from the top, and what has to stand there: at most three deep, as a config is."""
    found: list[tuple[Any, Any]] = []
    for key, value in asked.items():
        was = there.get(key)
        if isinstance(value, dict) and isinstance(was, dict) and not above:
            found += _differences(was, value, (*above, key))
        elif value != was:
            found.append(((*above, key), value))
    return found


def _tree(text: str) -> Node:
    return yaml_tree.parse(text, []) or Node("map")


def _find(node: Node, key: str) -> tuple[Node, Node] | None:
    found = [pair for pair in node.pairs if pair[0].text == key] if node.kind == "map" else []
    return found[-1] if found else None


def _without(text: str, key: str) -> str:
    """The text without a key of the top, what stands below it, and the remark above it."""
    tree = _tree(text)
    found = _find(tree, key)
    if found is None:
        return text
    lines = text.splitlines(keepends=True)
    begin = found[0].line - 1
    later = [name.line - 1 for name, _ in tree.pairs if name.line - 1 > begin]
    end = min(later, default=len(lines))
    while end > begin + 1 and _is_remark(lines[end - 1]):  # of what comes next
        end -= 1
    while begin > 0 and lines[begin - 1].startswith("#"):
        begin -= 1
    return "".join(lines[:begin] + lines[end:])


def _is_remark(line: str) -> bool:
    return not line.strip() or line.startswith("#")


def _with(text: str, keys: tuple[str, ...], value: Any) -> str:
    """The text with a value at a key."""
    tree = _tree(text)
    lines = text.splitlines()
    *above, name = keys
    part = _find(tree, above[0]) if above else None
    if above and part is None:
        return text.rstrip("\n") + f"\n\n{above[0]}:\n  {name}: {as_yaml(value)}\n"
    found = _find(part[1] if part else tree, name)
    if found is not None:
        at = found[0].line - 1
        match = _ENTRY.fullmatch(lines[at])
        if match is not None and _is_alone(found[1], at):
            # The remark may be about the value that stood there.
            was = f"  # {say('spec.was', value=match['value'])}" if match["value"] else ""
            lines[at] = f"{match['lead']}{as_yaml(value)}{was}{match['remark'] or ''}"
        return "\n".join(lines) + "\n"
    entry = f"{name}: {as_yaml(value)}"
    if part is None:
        switched_off = _first(lines, f"#{name}:", range(len(lines)))
        if switched_off is None:
            return text.rstrip("\n") + f"\n\n{entry}\n"
        lines[switched_off] = entry
        return "\n".join(lines) + "\n"
    first = next(iter(part[1].pairs), None)
    if first is None or first[0].line == part[0].line:
        return text  # `train: {}` or `train: {lr: 1}`
    indent = re.match(r"\s*", lines[first[0].line - 1])
    assert indent is not None
    later = [each.line for each, _ in tree.pairs if each.line > part[0].line]
    whole = range(part[0].line, min(later, default=len(lines)))
    switched_off = _first(lines, f"{indent[0]}#{name}:", whole)
    if switched_off is None:
        lines.insert(_end(part[1]), indent[0] + entry)
    else:
        lines[switched_off] = indent[0] + entry
    return "\n".join(lines) + "\n"


def _first(lines: list[str], begin: str, among: range) -> int | None:
    return next((at for at in among if lines[at].startswith(begin)), None)


def _is_alone(value: Node, line: int) -> bool:
    """Whether a value stands on its key's line and nowhere else."""
    return value.line - 1 == line and _end(value) - 1 == line


def _end(node: Node) -> int:
    """The last line that something of a value begins on, from 1."""
    inner = [*node.items, *(each for pair in node.pairs for each in pair)]
    return max([node.line, *(_end(each) for each in inner)])
