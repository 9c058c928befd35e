"""Other values for a config: before anything is read from it (``--set``), or in a whole spec."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from pydantic import BaseModel, ValidationError

from overnight import yaml_tree
from overnight.errors import Place, UserError, UserErrors
from overnight.spec.mistakes import mistakes, unknown
from overnight.spec.report import Report
from overnight.spec.schema import Spec
from overnight.yaml_tree import Node

OPTION = "--set"
#: A spec is three levels deep.
_MAX_KEYS = 10
#: What stands behind it is one key, dots and all: ``train.lr``.
_ONE_KEY = ["tuning", "search_space"]


def apply(
    tree: Node,
    overrides: Mapping[str, str],
    file: str,
    problems: list[UserError],
    option: str = OPTION,
) -> Node:
    """The tree with other values, read as YAML.

    Args:
        tree: A table.
        overrides: ``train.lr`` → ``3e-4``, ``data.class_names`` → ``[cat, dog]``.
        file: The config, for the errors.
        problems: What is wrong with the overrides themselves is added here.
        option: What they were given with.
    """
    for key, text in overrides.items():
        keys = _keys(key)
        if not all(keys) or len(keys) > _MAX_KEYS:
            problems.append(UserError("spec.override_key", where=Place(file, 0, key, option)))
            continue
        value = yaml_tree.parse(text, problems, file=file, name=key, option=option)
        if value is not None:
            tree = put(tree, keys, value)
    return tree


def _keys(key: str) -> list[str]:
    keys = key.split(".")
    if keys[:2] == _ONE_KEY and len(keys) > 2:
        return [*_ONE_KEY, ".".join(keys[2:])]
    return keys


def put(node: Node, keys: list[str], value: Node) -> Node:
    """``node`` with another value at ``keys``; whatever is in the way becomes a table."""
    if node.kind != "map":
        node = Node("map", node.line, option=value.option)
    key, *rest = keys
    inner = node.get(key)
    if rest:
        value = put(Node("map", option=value.option) if inner is None else inner, rest, value)
    pairs = list(node.pairs)
    at = [place for place, (name, _) in enumerate(pairs) if name.text == key and name.is_scalar]
    if not at:
        name = yaml_tree.scalar(key, plain=False, option=value.option)
        return replace(node, pairs=(*pairs, (name, value)))
    pairs[at[-1]] = (pairs[at[-1]][0], value)
    return replace(node, pairs=tuple(pairs))


def with_values(spec: Spec, values: Mapping[str, Any]) -> Spec:
    """A spec with other values, held against its schemas as a config is.

    Args:
        spec: What was asked for.
        values: By full keys: ``train.lr``, ``train.early_stopping.patience``. Paths are absolute.

    Raises:
        UserErrors: What is wrong with them, by themselves or with the other values.
    """
    parts = {name for name in type(spec).model_fields if isinstance(getattr(spec, name), BaseModel)}
    data: dict[str, Any] = {}
    report = Report(spec.project.name)
    for key, value in values.items():
        part, *keys = _keys(key)
        if part not in parts or not keys:
            report.add((), unknown((key,), sorted(parts), {}))
            continue
        inner = data.setdefault(part, getattr(spec, part).model_dump())
        for name in keys[:-1]:
            inner[name] = {} if inner.get(name) is None else inner[name]
            inner = inner[name]
        inner[keys[-1]] = value
    report.tree = yaml_tree.of(data)
    made = {}
    for part, values_of_it in data.items():
        schema = type(getattr(spec, part))
        try:
            made[part] = schema.model_validate(values_of_it)
        except ValidationError as error:
            for each in mistakes(error.errors(), schema, values_of_it, {}):
                report.add((part,), each)
    if report.problems:
        raise UserErrors(report.in_order())
    changed = spec.model_copy(update=made)
    given = [tuple(_keys(key)) for key in values]
    changed._unresolved = {
        keys: text
        for keys, text in spec._unresolved.items()
        if not any(keys[: len(each)] == each for each in given)
    }
    return changed
