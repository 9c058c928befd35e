"""A first config: every key of a task with its reason, the usual ones with their values."""

from __future__ import annotations

import textwrap
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from overnight.messages import say
from overnight.spec.schema import Output, Project, inner_schema
from overnight.spec.write import as_yaml
from overnight.tasks.base import TaskInfo

#: Hangul takes two columns a letter.
_WIDTH, _WIDTH_HANGUL = 96, 60


def text(info: TaskInfo, values: Mapping[str, Any], shown: Collection[str]) -> str:
    """The config.

    Args:
        info: The task.
        values: By their full keys, ``data.train_csv``; paths relative to the config.
        shown: Keys that stand in it with their defaults; what is neither here nor in ``values``
            is switched off by a ``#`` and shows its default.
    """
    lines = [f"# {say('new.head')}", ""]
    lines += [*_remark("config.task", ""), f"task: {info.name}"]
    parts: dict[str, type[BaseModel]] = {
        "project": Project, "data": info.data, "model": info.model, "train": info.train,
    }  # fmt: skip
    for part, schema in parts.items():
        lines += _part(part, schema, values, shown)
    lines += ["", *_remark("config.track", ""), "#track: [mlflow]"]
    lines += ["", *_remark("config.notify", ""), "#notify:", "#  channels: [phone]"]
    lines += ["#  alerts: [loss is nan, no new best for 5 epochs]"]
    lines += _part("output", Output, values, shown)
    return "\n".join(lines) + "\n"


def _part(
    part: str, schema: type[BaseModel], values: Mapping[str, Any], shown: Collection[str]
) -> Iterator[str]:
    yield ""
    yield f"{part}:"
    for name, field in schema.model_fields.items():
        key = f"{part}.{name}"
        yield from _remark(f"config.{part}.{name}", "  ")
        value = values.get(key, field.default)
        inner = inner_schema(field)
        if inner is not None and not values.get(key):  # what it would be with its own defaults
            for each in inner.model_fields:
                yield from _remark(f"config.{name}.{each}", "  ", f"{each}: ")
            value = inner().model_dump()
        has_value = value is not None and value is not PydanticUndefined
        line = f"{name}: {as_yaml(value)}" if has_value else f"{name}:"
        yield f"  {line}" if key in values or key in shown else f"  #{line}"


def _remark(key: str, indent: str, begin: str = "") -> list[str]:
    """The reason of a key; none for a plug-in's own keys, which no catalogue of ours knows."""
    try:
        reason = begin + say(key)
    except KeyError:
        return []
    lead = f"{indent}# "
    return textwrap.wrap(
        reason,
        _WIDTH if reason.isascii() else _WIDTH_HANGUL,
        initial_indent=lead,
        subsequent_indent=lead,
        break_long_words=False,
        break_on_hyphens=False,
    )
