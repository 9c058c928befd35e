"""What the words and options of a command make of a config, before it is read.

``--set`` stands for what the config says; an option wins over both; a mode fills what is left open.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from overnight import yaml_tree
from overnight.errors import Place, UserError
from overnight.spec import override
from overnight.spec.schema import Mode
from overnight.tasks.base import TaskInfo
from overnight.yaml_tree import Node

#: Key → the option it was given with, and its value as YAML. An empty table asks for a part to be
#: there, whatever it says.
Flags = Mapping[str, tuple[str, str]]
BASIC: Mode = "basic"
FULL: Mode = "full-pipeline"
_SEARCH = "tuning"


def with_flags(
    tree: Node, flags: Flags, file: str, problems: list[UserError], *, has_search: bool = False
) -> Node:
    """The tree as the options want it.

    Args:
        tree: A config.
        flags: The options.
        file: The config, for the errors.
        problems: What is wrong with the options is added here.
        has_search: Whether there is something to search in another file.
    """
    for key, (option, text) in flags.items():
        there = tree.get(key)
        if text == "{}" and there is not None and there.kind != "null":
            continue
        part = key.partition(".")[0]
        if part == _SEARCH and text != "{}" and not has_search and not _says(tree, [_SEARCH]):
            problems.append(UserError("spec.no_search", where=Place(file, 0, key, option)))
            continue
        tree = override.apply(tree, {key: text}, file, problems, option)
    return tree


def recipe(said: Node, asked: Node) -> str:
    """The mode whose values fill what is left open.

    ``full-pipeline`` is a way, not a recipe: where an option asks for it and the config names
    another mode, that one's values stay.

    Args:
        said: The config.
        asked: The same with the options.
    """
    own, mode = (_word(tree.get("mode")) for tree in (said, asked))
    return own if mode == FULL and own != BASIC else mode


def _word(node: Node | None) -> str:
    return BASIC if node is None or node.kind == "null" else node.text


def fill(tree: Node, info: TaskInfo, mode: str) -> Node:
    """The tree with what a mode makes of all that it leaves open."""
    said = tree
    for key, value in info.modes.get(mode, {}).items():
        rivals = (key, *info.unless.get(key, ()))
        if not any(_says(said, each.split(".")) for each in rivals):
            tree = override.put(tree, key.split("."), _marked(yaml_tree.of(value), mode))
    return tree


def _says(tree: Node, keys: list[str]) -> bool:
    """Whether something stands at a key, be it nothing (``ema:``), or in its way (``train: 5``)."""
    node = tree
    for at, key in enumerate(keys):
        inner = node.get(key) if node.kind == "map" else None
        if inner is None:
            return node.kind not in ("map", "null") and at > 0
        node = inner
    return True


def _marked(node: Node, mode: str) -> Node:
    """So that what is wrong with it names who wrote it."""
    return replace(
        node,
        option=f"mode: {mode}",
        items=tuple(_marked(item, mode) for item in node.items),
        pairs=tuple((name, _marked(value, mode)) for name, value in node.pairs),
    )
