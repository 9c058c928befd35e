"""``--set KEY=VALUE``: a value of the config, replaced before anything is read from it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from overnight import yaml_tree
from overnight.errors import Place, UserError
from overnight.yaml_tree import Node

OPTION = "--set"
#: A spec is three levels deep.
_MAX_KEYS = 10


def apply(tree: Node, overrides: Mapping[str, str], file: str, problems: list[UserError]) -> Node:
    """The tree with other values, read as YAML.

    Args:
        tree: A table.
        overrides: ``train.lr`` → ``3e-4``, ``data.class_names`` → ``[cat, dog]``.
        file: The config, for the errors.
        problems: What is wrong with the overrides themselves is added here.
    """
    for key, text in overrides.items():
        keys = key.split(".")
        if not all(keys) or len(keys) > _MAX_KEYS:
            problems.append(UserError("spec.override_key", where=Place(file, 0, key, OPTION)))
            continue
        value = yaml_tree.parse(text, problems, file=file, name=key, option=OPTION)
        if value is not None:
            tree = _put(tree, keys, value)
    return tree


def _put(node: Node, keys: list[str], value: Node) -> Node:
    """``node`` with another value at ``keys``; whatever is in the way becomes a table."""
    if node.kind != "map":
        node = Node("map", node.line, option=OPTION)
    key, *rest = keys
    inner = node.get(key)
    if rest:
        value = _put(Node("map", option=OPTION) if inner is None else inner, rest, value)
    pairs = list(node.pairs)
    at = [place for place, (name, _) in enumerate(pairs) if name.text == key and name.is_scalar]
    if not at:
        name = yaml_tree.scalar(key, plain=False, option=OPTION)
        return replace(node, pairs=(*pairs, (name, value)))
    pairs[at[-1]] = (pairs[at[-1]][0], value)
    return replace(node, pairs=tuple(pairs))
