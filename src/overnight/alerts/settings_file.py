"""The two files that say what a person wants to be told: ``notify.yaml`` and ``overnight.yaml``.

Read as YAML's own tree, never constructed into values: every mistake is told at once, each with
its line; references are refused before anything is followed, so no file is larger than it looks.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from difflib import get_close_matches
from typing import Any

from overnight import yaml_tree
from overnight.alerts.settings import Given, Reader, shown
from overnight.errors import Place, UserError
from overnight.ledger.paths import config_dir
from overnight.yaml_tree import FALSE, TRUE, Node

#: A person's file has a few kilobytes.
_MAX_KIB = 64
_KEYS = (
    "channels", "alerts", "events", "heartbeat", "milestones", "eta_moved", "format", "template",
    "language",
)  # fmt: skip
#: What people write for them.
_OTHER_KEYS = {
    "channel": "channels", "rule": "alerts", "rules": "alerts", "alert": "alerts",
    "event": "events",
}  # fmt: skip


def user_file(problems: list[UserError]) -> Given:
    """What the user asks for in all runs; nothing where there is no such file.

    Args:
        problems: What is wrong with the file is added here.
    """
    file = _File(os.path.join(config_dir(), "notify.yaml"), problems)
    return file.given(file.tree())


def project_file(root: str, problems: list[UserError]) -> Given:
    """What ``overnight.yaml`` of a root asks for under ``notify``.

    Args:
        root: The root folder.
        problems: What is wrong with that part of the file is added here.
    """
    file = _File(os.path.join(root, "overnight.yaml"), problems, within="notify")
    return file.given(file.tree())


def part_of(node: Node | None, path: str, problems: list[UserError]) -> Given:
    """What ``notify`` of another file asks for, which its owner has read.

    Args:
        node: The value of that key; None where there is none.
        path: The file, for the errors.
        problems: What is wrong with that part is added here.
    """
    return _File(path, problems, within="notify").given(node)


class _File:
    """One file being read."""

    def __init__(self, path: str, problems: list[UserError], within: str = "") -> None:
        self.path = path
        self.problems = problems
        self.within = within
        self.reader = Reader(problems)

    def tree(self) -> Node | None:
        """What stands in the file; of ``within``, if that is its part that counts."""
        node = yaml_tree.read(self.path, self.problems, max_kib=_MAX_KIB)
        return self.part(node, self.within) if node is not None and self.within else node

    def given(self, node: Node | None) -> Given:
        given = Given()
        if node is None or node.kind == "null":
            return given
        if node.kind != "map":
            self.wrong("rule.file_shape", node)
            return given
        for key, value in self.items(node):
            self.take(key, value, given)
        return given

    # ── the tree ─────────────────────────────────────────────────────────────────────────

    def part(self, node: Node, key: str) -> Node | None:
        """The value of one key; the rest of the file is somebody else's."""
        if node.kind != "map":
            return None  # an empty or foreign file marks a root all the same
        names = [name.text for name, _ in node.pairs if name.is_scalar]
        if key not in names:
            for name, _ in node.pairs:
                if name.is_scalar and get_close_matches(name.text, [key], 1, 0.8):
                    self.note("rule.key_near", Place(self.path, name.line, name.text), near=key)
            return None
        if names.count(key) > 1:
            again = [name for name, _ in node.pairs if name.text == key and name.is_scalar][1]
            self.note("yaml.key_twice", Place(self.path, again.line, key))
        return next(value for name, value in node.pairs if name.text == key and name.is_scalar)

    def items(self, node: Node) -> Iterator[tuple[str, Node]]:
        """The keys that are known, each once."""
        seen = set()
        for name, value in node.pairs:
            key = name.text if name.is_scalar else ""
            if key in seen:
                self.wrong("yaml.key_twice", name, shown(key))
            elif key in _KEYS:
                yield key, value
            else:
                near = _OTHER_KEYS.get(key.lower()) or next(
                    iter(get_close_matches(key.lower(), _KEYS, 1)), ""
                )
                if near:
                    self.wrong("rule.key_near", name, shown(key), near=near)
                else:
                    self.wrong("rule.key_unknown", name, shown(key), known=", ".join(_KEYS))
            seen.add(key)

    # ── the keys ─────────────────────────────────────────────────────────────────────────

    def take(self, key: str, node: Node, given: Given) -> None:
        if node.kind == "null":
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
            if text is None or node.kind != "str":
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
        for each in node.items if node.kind == "list" else (node,):
            named: tuple[tuple[Node, Node | None], ...]
            named = each.pairs if each.kind == "map" else ((each, None),)
            for name, form in named:
                text = self.text(name)
                if text is None:
                    self.wrong("rule.channels_shape", name, "channels")
                    continue
                channel = self.reader.channel(text, self.at(name, "channels"))
                if channel is None:
                    continue
                channels.append(channel)
                if form is not None and form.kind != "null":
                    where = self.at(form, f"channels.{channel}")
                    found = self.reader.format(self.text(form) or _kind(form), where)
                    if found is not None:
                        given.formats[channel] = found
                        given.custom_at = where if found == "custom" else given.custom_at
        given.channels = list(dict.fromkeys(channels))

    def events(self, node: Node, given: Given) -> None:
        """A list: those and no others. A table: each on or off."""
        if node.kind != "map":
            texts = self.texts(node, "rule.events_shape", "events")
            self.reader.only([text for _, text in texts], self.at(node, "events"), given)
            return
        for name, value in node.pairs:
            text = self.text(name)
            if text is None:
                self.wrong("rule.events_shape", name, "events")
                continue
            event = self.reader.event(text, self.at(name, "events"))
            switch = self.switch(value, f"events.{shown(text)}")
            if event is None or switch is None:
                continue
            if event in given.events:
                self.wrong("yaml.key_twice", name, f"events.{event}")
            given.events[event] = switch

    # ── values ───────────────────────────────────────────────────────────────────────────

    def text(self, node: Node) -> str | None:
        """What stands there, if it is one value and not on or off."""
        return node.text if node.kind in ("str", "int", "float") else None

    def texts(self, node: Node, key: str, path: str) -> Iterator[tuple[Node, str]]:
        """A list of values; one value is a list of one. ``key`` says what it should be."""
        for each in node.items if node.kind == "list" else (node,):
            text = self.text(each)
            if text is None:
                self.wrong(key, each, path)
            else:
                yield each, text

    def is_off(self, node: Node) -> bool:
        return node.kind == "bool" and node.text.lower() in FALSE

    def switch(self, node: Node, path: str) -> bool | None:
        word = node.text.lower()
        if word in (*TRUE, *FALSE):
            return word in TRUE
        self.wrong("rule.switch", node, path, value=shown(word or _kind(node)))
        return None

    # ── mistakes ─────────────────────────────────────────────────────────────────────────

    def at(self, node: Node, key: str) -> Place:
        name = f"{self.within}.{key}" if self.within and key else key or self.within
        return yaml_tree.place(self.path, node, name)

    def wrong(self, key: str, node: Node, path: str = "", **fields: Any) -> None:
        """Notes what is wrong at a place of the tree."""
        self.note(key, self.at(node, path), **fields)

    def note(self, key: str, where: Place, **fields: Any) -> None:
        self.problems.append(UserError(key, where=where, **fields))


def _kind(node: Node) -> str:
    """What stands there, for an error: the value, or a sign for a list or a table."""
    if node.is_scalar:
        return node.text
    return "{…}" if node.kind == "map" else "[…]"
