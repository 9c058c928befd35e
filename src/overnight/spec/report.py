"""What is wrong with a config, each at its key and line."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from overnight import yaml_tree
from overnight.alerts.settings import shown
from overnight.errors import UserError
from overnight.spec.mistakes import Mistake
from overnight.spec.schema import Keys
from overnight.yaml_tree import Node

#: Where nothing was written.
EMPTY = Node("map")


@dataclass(slots=True)
class Report:
    """All that was found so far.

    Attributes:
        file: The config, as the person knows it.
        tree: What stands in it.
        hidden: Keys that lead to all of it and do not stand in the file.
    """

    file: str
    tree: Node = EMPTY
    problems: list[UserError] = field(default_factory=list)
    hidden: Keys = ()

    def wrong(self, keys: Keys, sentence: str, **fields: object) -> None:
        """Notes a mistake at a key; what stands there is ``{got}``."""
        self.wrong_at(self._node(keys), keys, sentence, **fields)

    def wrong_at(self, node: Node, keys: Keys, sentence: str, **fields: object) -> None:
        """Notes a mistake at a value or a key of the tree."""
        where = yaml_tree.place(self.file, node, self.name(keys))
        self.problems.append(UserError(sentence, where=where, **{"got": _got(node), **fields}))

    def add(self, above: Keys, mistake: Mistake) -> None:
        """Notes what is wrong with a part of the spec."""
        self.wrong((*above, *mistake.keys), mistake.sentence, **mistake.fields)

    def moved(self, error: UserError, keys: Keys) -> None:
        """Notes what somebody else found wrong with the value at a key."""
        error.place = yaml_tree.place(self.file, self._node(keys), self.name(keys))
        error.where = str(error.place)
        self.problems.append(error)

    def name(self, keys: Keys) -> str:
        """A key as the person knows it."""
        num = len(self.hidden)
        return _dotted(keys[num:] if keys[:num] == self.hidden else keys)

    def in_order(self) -> list[UserError]:
        """By line; what the command line asked for comes last."""
        return sorted(self.problems, key=_order)

    def _node(self, keys: Keys) -> Node:
        """The value at a key, on its key's line; what it would be in where it is not there."""
        node = self.tree
        for key in keys:
            if node.is_scalar and key == 0:
                continue  # one value is a list of one
            inner: Node | None = None
            if isinstance(key, int):
                inner = node.items[key] if key < len(node.items) else None
            else:
                inner = node.get(key)
                lines = [name.line for name, _ in node.pairs if name.text == key]
                if inner is not None and not inner.option:
                    inner = replace(inner, line=lines[-1])
            if inner is None:
                return Node("null", 0 if node is self.tree else node.line)
            node = inner
        return node


def _order(error: UserError) -> tuple[bool, int]:
    place = error.place
    return (False, 0) if place is None else (bool(place.option), place.line)


def _dotted(keys: Keys) -> str:
    """``data.class_names[2]``."""
    words = [f"[{key}]" if isinstance(key, int) else f".{shown(key)}" for key in keys]
    return "".join(words).lstrip(".")


def _got(node: Node) -> str:
    """What stands there as it was written: never a variable's value, which may be a secret."""
    if node.is_scalar:
        text = shown(node.text)
        return f"'{text}'" if node.kind == "str" else text or "null"
    return "{…}" if node.kind == "map" else "[…]"
