"""One part of a config (``data:``, ``train:`` …) held against its schema."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from overnight import yaml_tree
from overnight.alerts.settings import shown
from overnight.spec.mistakes import Mistake, mistakes, real_keys
from overnight.spec.report import EMPTY, Report
from overnight.spec.schema import Keys
from overnight.spec.variables import VariableError, names, resolve
from overnight.yaml_tree import Node

#: Errors that a plain value has only because YAML took it for something else: ``amp: off``.
_AS_WRITTEN = ("string_type", "path_type", "literal_error")
_AS_LIST = ("tuple_type", "list_type")

_Model = TypeVar("_Model", bound=BaseModel)


class PartReader:
    """Reads the parts of one config.

    Args:
        report: Where mistakes go; it has the tree.
        env: Where variables are looked up.

    Attributes:
        unresolved: What stood at a key, where it held a variable.
    """

    def __init__(self, report: Report, env: Mapping[str, str]) -> None:
        self.unresolved: dict[Keys, str] = {}
        #: Keys that occur in one part only → their full names.
        self.elsewhere: Mapping[str, str] = {}
        self._report = report
        self._env = env
        #: What stands at a key, its variables resolved.
        self._texts: dict[Keys, str] = {}
        #: Keys whose variables could not be: whatever else is wrong there follows from it.
        self._without_value: set[Keys] = set()

    def part(
        self, schema: type[_Model], name: str, defaults: Mapping[str, Any] | None = None
    ) -> _Model | None:
        """The part; None where it has mistakes, which are in the report.

        Args:
            schema: What it has to be.
            name: Its key; empty: the keys stand at the top.
            defaults: Values that the schema cannot know.
        """
        above: Keys = (name,) if name else ()
        node = (self._report.tree.get(name) if name else self._top(schema)) or EMPTY
        if node.kind == "null":
            node = EMPTY
        if node.kind != "map":
            self._report.wrong(above, "spec.table")
            return None
        data = {**(defaults or {}), **self.value(node, above)}
        try:
            made = self._validated(schema, above, data)
        except ValidationError as error:
            found = list(mistakes(error.errors(), schema, data, self.elsewhere))
            found += self._together(schema, data, {each.keys[0] for each in found if each.keys})
            for each in found:
                if (*above, *each.keys) not in self._without_value:
                    self._report.add(above, each)
            return None
        self._look_at(made, above)
        return made

    def _top(self, schema: type[BaseModel]) -> Node:
        """The keys of a schema where they stand at the top; without a value they are not there."""
        pairs = self._report.tree.pairs
        known = schema.model_fields
        kept = ((name, value) for name, value in pairs if name.is_scalar and name.text in known)
        return Node("map", pairs=tuple(pair for pair in kept if pair[1].kind != "null"))

    def value(self, node: Node, keys: Keys) -> Any:
        """A value with its variables resolved, as YAML reads the result."""
        if node.kind == "map":
            inner = [(name.text, value) for name, value in node.pairs if name.is_scalar]
            return {name: self.value(value, (*keys, name)) for name, value in inner}
        if node.kind == "list":
            return [self.value(item, (*keys, at)) for at, item in enumerate(node.items)]
        if "${" in node.text:
            try:
                text = resolve(node.text, self._env)
            except VariableError as error:
                self._report.wrong_at(node, keys, error.key, name=shown(error.name))
                self._without_value.add(keys)
                return node.text
            if any(names(node.text)):
                self.unresolved[keys] = node.text
            node = yaml_tree.scalar(text, plain=node.plain)
        self._texts[keys] = node.text
        return node.data()

    def resolved(self, node: Node, keys: Keys) -> Node:
        """A value as a tree, its variables resolved; what holds one that cannot be is left out."""
        pairs = (
            (name, self.resolved(value, (*keys, name.text)))
            for name, value in node.pairs
            if not any(each[: len(keys) + 1] == (*keys, name.text) for each in self._without_value)
        )
        items = (self.resolved(item, (*keys, at)) for at, item in enumerate(node.items))
        node = replace(node, items=tuple(items), pairs=tuple(pairs))
        if "${" not in node.text:
            return node
        text = self._texts.get(keys, node.text)
        return yaml_tree.scalar(text, plain=node.plain, line=node.line, option=node.option)

    def _validated(self, schema: type[_Model], above: Keys, data: Any) -> _Model:
        """The part; a text that YAML took for something else is given back as it was written.

        Raises:
            ValidationError: It is not as the schema wants it.
        """
        for _ in range(2):  # a value becomes a list of one, and then its text
            try:
                return schema.model_validate(data)
            except ValidationError as error:
                changes = [
                    self._as_written(
                        each["type"], above, real_keys(each["loc"], schema, data), data
                    )
                    for each in error.errors()
                ]
                if not any(changes):
                    raise
        return schema.model_validate(data)

    def _together(
        self, schema: type[BaseModel], data: Any, wrong: set[str | int]
    ) -> Iterator[Mistake]:
        """What is wrong between the other keys, which pydantic looks at only when all are right."""
        try:
            schema.model_validate({key: data[key] for key in data if key not in wrong})
        except ValidationError as error:
            for found in mistakes(error.errors(), schema, data, self.elsewhere):
                if not {*found.keys, *found.fields} & wrong and found.sentence != "spec.missing":
                    yield found

    def _as_written(self, word: str, above: Keys, keys: Keys, data: Any) -> bool:
        """Puts the text back in its place, if that may be the answer to an error there."""
        text = self._texts.get((*above, *keys))
        if text is None or word not in (*_AS_LIST, *_AS_WRITTEN):
            return False
        for key in keys[:-1]:
            data = data[key]
        last: Any = keys[-1]
        value = data[last]
        if word in _AS_LIST and isinstance(value, (str, int, float)):
            data[last] = [value]
            self._texts[(*above, *keys, 0)] = text
            if (*above, *keys) in self.unresolved:
                self.unresolved[(*above, *keys, 0)] = self.unresolved.pop((*above, *keys))
            return True
        if word in _AS_WRITTEN and isinstance(value, (bool, int, float)):
            data[last] = text
            return True
        return False

    def _look_at(self, model: BaseModel, above: Keys) -> None:
        """Finds what pydantic lets through: an empty path, infinity, ``yes`` for 1."""
        for keys, value in values(model, above):
            text = self._texts.get(keys)
            if isinstance(value, float) and not math.isfinite(value):
                self._report.wrong(keys, "spec.finite")
            elif type(value) in (int, float) and text and yaml_tree.scalar(text).kind == "bool":
                is_whole = isinstance(value, int)
                self._report.wrong(keys, "spec.whole_number" if is_whole else "spec.number")
            elif text == "" and value is not None:
                self._report.wrong(keys, "spec.empty")


def values(model: BaseModel, above: Keys = ()) -> Iterator[tuple[Keys, Any]]:
    """Every value of a part that is no part or list itself, by its keys."""
    for key in type(model).model_fields:
        yield from _values_of(getattr(model, key), (*above, key))


def _values_of(value: Any, keys: Keys) -> Iterator[tuple[Keys, Any]]:
    if isinstance(value, BaseModel):
        yield from values(value, keys)
    elif isinstance(value, tuple):
        for at, each in enumerate(value):
            yield from _values_of(each, (*keys, at))
    else:
        yield keys, value
