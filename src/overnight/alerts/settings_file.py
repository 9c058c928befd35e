"""The two files that say what a person wants to be told: ``notify.yaml`` and ``overnight.yaml``.

Read as YAML's own tree, never constructed into values: every mistake is told at once, each with
its line; references are refused before anything is followed, so no file is larger than it looks.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from difflib import get_close_matches
from typing import Any

from overnight.alerts.settings import Given, Reader, shown
from overnight.errors import UserError
from overnight.ledger.paths import config_dir
from overnight.messages import say

#: A ``yaml.Node``, which is imported where a file is there to be read.
Node = Any
#: A person's file has a few kilobytes.
_MAX_BYTES = 64 * 1024
#: Keys, a list, a table in it: three levels are used.
_MAX_DEPTH = 30
_KEYS = (
    "channels", "alerts", "events", "heartbeat", "milestones", "eta_moved", "format", "template",
    "language",
)  # fmt: skip
#: What people write for them.
_OTHER_KEYS = {
    "channel": "channels", "rule": "alerts", "rules": "alerts", "alert": "alerts",
    "event": "events",
}  # fmt: skip
_STR, _INT, _FLOAT = (f"tag:yaml.org,2002:{kind}" for kind in ("str", "int", "float"))
_BOOL, _NULL = "tag:yaml.org,2002:bool", "tag:yaml.org,2002:null"
#: YAML 1.1 reads 10:30 as a number by sixties.
_TEXTS = (_STR, _INT, _FLOAT)
_TRUE, _FALSE = ("on", "yes", "true"), ("off", "no", "false")


def user_file(problems: list[UserError]) -> Given:
    """What the user asks for in all runs; nothing where there is no such file.

    Args:
        problems: What is wrong with the file is added here.
    """
    return _File(os.path.join(config_dir(), "notify.yaml"), problems).given(within="")


def project_file(root: str, problems: list[UserError]) -> Given:
    """What ``overnight.yaml`` of a root asks for under ``notify``.

    Args:
        root: The root folder.
        problems: What is wrong with that part of the file is added here.
    """
    return _File(os.path.join(root, "overnight.yaml"), problems).given(within="notify")


class _File:
    """One file being read."""

    def __init__(self, path: str, problems: list[UserError]) -> None:
        self.path = path
        self.problems = problems
        self.reader = Reader(problems)

    def given(self, within: str) -> Given:
        given = Given()
        node = self.tree()
        if node is not None and within:
            node = self.part(node, within)
        if node is None or node.tag == _NULL:
            return given
        if not _is_map(node):
            self.wrong("rule.file_shape", node)
            return given
        for key, value in self.items(node, within):
            self.take(key, value, given)
        return given

    # ── the tree ─────────────────────────────────────────────────────────────────────────

    def tree(self) -> Node | None:
        try:
            with open(self.path, "rb") as file:
                data = file.read(_MAX_BYTES + 1)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            self.refuse("rule.file_unreadable", reason=os.strerror(error.errno or 0))
            return None
        if len(data) > _MAX_BYTES:
            self.refuse("rule.file_large", limit=_MAX_BYTES // 1024)
            return None
        try:
            text = data.decode("utf-8-sig")
        except UnicodeDecodeError:
            self.refuse("rule.file_not_text")
            return None
        import yaml

        try:
            return self.composed(text)
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            problem = " ".join(str(error.problem or error.context or "").split())
            key = "rule.file_tab" if "'\\t'" in problem else "rule.file_not_yaml"
            self.refuse(key, line=mark.line + 1 if mark is not None else 1, problem=problem)
        except yaml.reader.ReaderError as error:
            line = text.count("\n", 0, error.position) + 1
            self.refuse("rule.file_not_yaml", line=line, problem=error.reason)
        except (yaml.YAMLError, ValueError) as error:  # a number in a tag or an escape
            self.refuse("rule.file_not_yaml", problem=" ".join(str(error).split())[:80])
        return None

    def composed(self, text: str) -> Node | None:
        """The tree of a text; None if it is refused. Read twice: once without building anything."""
        import yaml

        depth = 0
        for event in yaml.parse(text, Loader=yaml.SafeLoader):
            if isinstance(event, yaml.CollectionStartEvent):
                depth += 1
            elif isinstance(event, yaml.CollectionEndEvent):
                depth -= 1
            if depth > _MAX_DEPTH:
                self.refuse("rule.file_deep", line=_line(event))
                return None
            if getattr(event, "anchor", None):
                self.refuse("rule.file_anchor", line=_line(event))
                return None
        return yaml.compose(text, Loader=yaml.SafeLoader)

    def part(self, node: Node, key: str) -> Node | None:
        """The value of one key; the rest of the file is somebody else's."""
        if not _is_map(node):
            return None  # an empty or foreign file marks a root all the same
        names = [name.value for name, _ in node.value if isinstance(name.value, str)]
        if key not in names:
            for name, _ in node.value:
                if isinstance(name.value, str) and get_close_matches(name.value, [key], 1, 0.8):
                    self.wrong("rule.key_near", name, name.value, near=key)
            return None
        found = [value for name, value in node.value if name.value == key]
        if len(found) > 1:
            self.wrong("rule.key_twice", found[1], key)
        return found[0]

    def items(self, node: Node, within: str) -> Iterator[tuple[str, Node]]:
        """The keys that are known, each once."""
        seen = set()
        for name, value in node.value:
            key = name.value if isinstance(name.value, str) else ""
            path = f"{within}.{shown(key)}" if within else shown(key)
            if key in seen:
                self.wrong("rule.key_twice", name, path)
            elif key in _KEYS:
                yield key, value
            else:
                near = _OTHER_KEYS.get(key.lower()) or next(
                    iter(get_close_matches(key.lower(), _KEYS, 1)), ""
                )
                if near:
                    self.wrong("rule.key_near", name, path, near=near)
                else:
                    self.wrong("rule.key_unknown", name, path, known=", ".join(_KEYS))
            seen.add(key)

    # ── the keys ─────────────────────────────────────────────────────────────────────────

    def take(self, key: str, node: Node, given: Given) -> None:
        if node.tag == _NULL:
            return
        if key == "channels":
            self.channels(node, given)
        elif key == "alerts":
            for each, text in self.texts(node, "rule.alerts_shape", key):
                self.reader.rule(text, self.at(each, key), given)
        elif key == "events":
            self.events(node, given)
        elif key == "milestones":
            if self.is_off(node):
                given.milestones = []
                return
            texts = self.texts(node, "rule.milestones_shape", key)
            marks = [self.reader.milestone(text, self.at(each, key)) for each, text in texts]
            given.milestones = sorted({mark for mark in marks if mark is not None})
        else:
            self.plain(key, node, given)

    def plain(self, key: str, node: Node, given: Given) -> None:
        """A key with one value."""
        where = self.at(node, key)
        text = "off" if self.is_off(node) else self.text(node)
        if key == "template":
            if text is None or node.tag != _STR:
                self.wrong("rule.template_shape", node, key)
            else:
                given.template = self.reader.template(text, where)
            return
        text = shown(_kind(node)) if text is None else text
        if key == "heartbeat":
            given.heartbeat_s = self.reader.heartbeat(text, where)
        elif key == "eta_moved":
            given.eta_moved = self.reader.eta_moved(text, where)
        elif key == "format":
            given.format = self.reader.format(text, where)
            given.custom_at = where if given.format == "custom" else ""
        else:
            given.language = self.reader.language(text, where)

    def channels(self, node: Node, given: Given) -> None:
        """``phone``, ``[phone, mail]``, ``{phone: short}`` or ``[phone: short]``."""
        if self.is_off(node):
            given.channels = []
            return
        channels: list[str] = []
        for each in node.value if _is_list(node) else [node]:
            named = [(each, None)] if not _is_map(each) else each.value
            for name, form in named:
                text = self.text(name)
                if text is None:
                    self.wrong("rule.channels_shape", name, "channels")
                    continue
                channel = self.reader.channel(text, self.at(name, "channels"))
                if channel is None:
                    continue
                channels.append(channel)
                if form is not None and form.tag != _NULL:
                    where = self.at(form, f"channels.{channel}")
                    found = self.reader.format(self.text(form) or _kind(form), where)
                    if found is not None:
                        given.formats[channel] = found
                        given.custom_at = where if found == "custom" else given.custom_at
        given.channels = list(dict.fromkeys(channels))

    def events(self, node: Node, given: Given) -> None:
        """A list: those and no others. A table: each on or off."""
        if not _is_map(node):
            texts = self.texts(node, "rule.events_shape", "events")
            self.reader.only([text for _, text in texts], self.at(node, "events"), given)
            return
        for name, value in node.value:
            text = self.text(name)
            if text is None:
                self.wrong("rule.events_shape", name, "events")
                continue
            event = self.reader.event(text, self.at(name, "events"))
            switch = self.switch(value, f"events.{shown(text)}")
            if event is None or switch is None:
                continue
            if event in given.events:
                self.wrong("rule.key_twice", name, f"events.{event}")
            given.events[event] = switch

    # ── values ───────────────────────────────────────────────────────────────────────────

    def text(self, node: Node) -> str | None:
        """What stands there, if it is one value and not on or off."""
        is_text = node.tag in _TEXTS and isinstance(node.value, str)
        return str(node.value) if is_text else None

    def texts(self, node: Node, key: str, path: str) -> Iterator[tuple[Node, str]]:
        """A list of values; one value is a list of one. ``key`` says what it should be."""
        for each in node.value if _is_list(node) else [node]:
            text = self.text(each)
            if text is None:
                self.wrong(key, each, path)
            else:
                yield each, text

    def is_off(self, node: Node) -> bool:
        return node.tag == _BOOL and str(node.value).lower() in _FALSE

    def switch(self, node: Node, path: str) -> bool | None:
        word = str(node.value).lower() if isinstance(node.value, str) else ""
        if word in _TRUE or word in _FALSE:
            return word in _TRUE
        self.wrong("rule.switch", node, path, value=shown(word or _kind(node)))
        return None

    # ── mistakes ─────────────────────────────────────────────────────────────────────────

    def at(self, node: Node, key: str) -> str:
        line = node.start_mark.line + 1
        if not key:
            return say("rule.at_file", file=self.path, line=line)
        return say("rule.at_line", file=self.path, line=line, key=key)

    def wrong(self, key: str, node: Node, path: str = "", **fields: Any) -> None:
        """Notes what is wrong at a place of the tree."""
        self.reader.wrong(key, self.at(node, path), **fields)

    def refuse(self, key: str, *, line: int = 0, **fields: Any) -> None:
        """Notes why the whole file is not read."""
        where = say("rule.at_file", file=self.path, line=line) if line else self.path
        self.problems.append(UserError(key, where=where, **fields))


def _line(event: Any) -> int:
    return int(event.start_mark.line) + 1


def _is_map(node: Node) -> bool:
    return bool(node.id == "mapping")


def _is_list(node: Node) -> bool:
    return bool(node.id == "sequence")


def _kind(node: Node) -> str:
    """What stands there, for an error: the value, or a sign for a list or a table."""
    if isinstance(node.value, str):
        return node.value
    return "{…}" if _is_map(node) else "[…]"
