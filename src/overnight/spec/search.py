"""``tuning:`` of a config, or a file of its own: what is searched, held against the task's keys."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from pydantic import BaseModel, ValidationError

from overnight import yaml_tree
from overnight.spec.mistakes import Mistake, mistakes
from overnight.spec.part import PartReader
from overnight.spec.report import Report
from overnight.tasks.base import Json, TaskInfo
from overnight.tuning import space
from overnight.tuning.config import Tuning
from overnight.yaml_tree import Node

PART = "tuning"
_SPACE = "search_space"
#: The data are read once, for all trials.
_PARTS = ("model", "train")


def of_file(report: Report, tree: Node) -> Node:
    """A file that says nothing but what is searched, as a config that says it.

    Args:
        report: The file's own.
        tree: What stands in it: the keys of ``tuning:``, or one of W&B's sweeps.
    """
    from overnight.tuning import sweep

    report.hidden = (PART,)
    if sweep.is_sweep(tree):
        tree = sweep.as_tuning(tree, report.file, report.problems)
    return Node("map", pairs=((yaml_tree.scalar(PART, plain=False), tree),))


def read(report: Report, parts: PartReader, info: TaskInfo | None) -> Tuning | None:
    """What is searched; None where it has mistakes, which are in the report.

    Args:
        report: Its tree has the part.
        parts: Of the same tree.
        info: The task; where nothing is said, its own space is searched.
    """
    made = parts.part(Tuning, PART)
    part = report.tree.get(PART)
    node = part.get(_SPACE) if part is not None else None
    if info is None:
        return made
    if node is None or (node.kind == "map" and not node.pairs):
        if not info.search_space:
            report.wrong((PART, _SPACE), "spec.no_space", task=info.name)
            return None
        if made is not None and made.method == "grid":
            report.wrong((PART, "method"), "spec.grid_space")
            return None
        return made and made.model_copy(update={_SPACE: dict(info.search_space)})
    if node.kind != "map":
        return made
    schemas = {name: getattr(info, name) for name in _PARTS}
    found = space.read(
        _as_written(schemas, parts.resolved(node, (PART, _SPACE))),
        report.file,
        report.problems,
        above=report.name((PART, _SPACE)),
        known=space.kinds(schemas),
        grid=made is not None and made.method == "grid",
        check=lambda key, value, at: _hold(report, schemas, key, value, at),
    )
    return made and made.model_copy(update={_SPACE: space.plain(found)})


def _as_written(schemas: Mapping[str, type[BaseModel]], node: Node) -> Node:
    """The same space; a word that YAML takes for a switch or a number is one again (``off``)."""

    def again(key: str, item: Node) -> Node:
        if item.kind not in ("bool", "int", "float") or not _wrong(schemas, key, item.data()):
            return item
        text = replace(item, kind="str", plain=False)
        return item if _wrong(schemas, key, text.data()) else text

    def parameter(key: str, each: Node) -> Node:
        pairs = tuple(
            (name, replace(again(key, value), items=tuple(again(key, i) for i in value.items)))
            for name, value in each.pairs
        )
        return replace(each, pairs=pairs)

    full = {name: f"{part}.{name}" for part in schemas for name in schemas[part].model_fields}
    return replace(
        node,
        pairs=tuple(
            (name, parameter(full.get(name.text, name.text), each)) for name, each in node.pairs
        ),
    )


def _wrong(schemas: Mapping[str, type[BaseModel]], key: str, value: Json) -> list[Mistake]:
    """What the spec itself would say of a value; of a key it has not, nothing."""
    part, *keys = key.split(".")
    if part not in schemas:
        return []
    data: Any = value
    for name in reversed(keys):
        data = {name: data}
    try:
        schemas[part].model_validate(data)
    except ValidationError as error:
        # What contradicts another key may go with what a trial has there; what is missing is the
        # config's.
        errors = [each for each in error.errors() if "." not in each["type"]]
        found = mistakes(errors, schemas[part], data, {})
        return [each for each in found if each.keys == tuple(keys)]
    return []


def _hold(
    report: Report, schemas: Mapping[str, type[BaseModel]], key: str, value: Json, node: Node
) -> None:
    """Notes what the spec itself would not take, by the sentence it would say it with."""
    for each in _wrong(schemas, key, value):
        report.wrong_at(node, (PART, _SPACE, key), each.sentence, **each.fields)
