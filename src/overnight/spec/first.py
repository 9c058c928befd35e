"""First configs: one with every key of a task and its reason, and short ones that say one thing."""

from __future__ import annotations

import textwrap
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from overnight.messages import say
from overnight.spec.schema import Output, Predict, Project, inner_schema
from overnight.spec.write import as_yaml
from overnight.tasks.base import TaskInfo
from overnight.tuning.config import Tuning

#: Hangul takes two columns a letter.
_WIDTH, _WIDTH_HANGUL = 96, 60
_SPACE = "search_space"
_FOLDS = ("folds", "valid_fold")


def text(info: TaskInfo, values: Mapping[str, Any], shown: Collection[str]) -> str:
    """The config with every key.

    Args:
        info: The task.
        values: By their full keys, ``data.train_csv``; paths relative to the config.
        shown: Keys that stand in it with their defaults; what is neither here nor in ``values``
            is switched off by a ``#`` and shows its default.
    """
    lines = [f"# {say('new.head')}", ""]
    lines += [*_remark("config.task"), f"task: {info.name}"]
    lines += ["", *_remark("config.mode"), "#mode: basic"]
    parts: dict[str, type[BaseModel]] = {
        "project": Project, "data": info.data, "model": info.model, "train": info.train,
    }  # fmt: skip
    basic = info.modes.get("basic", {})
    for part, schema in parts.items():
        lines += _part(part, schema, values, shown, basic)
    default = Tuning()
    lines += ["", *_remark("config.tuning"), f"#tuning: {{n_trials: {default.n_trials}}}"]
    lines += ["", *_remark("config.auto_continue"), "#auto_continue: false"]
    lines += ["", *_remark("config.calibration"), "#calibration: false"]
    lines += ["", *_remark("config.predict"), f"#predict: {as_yaml(Predict().model_dump())}"]
    lines += ["", *_remark("config.until"), "#until: 07:00"]
    lines += ["", *_remark("config.track"), "#track: [mlflow]"]
    lines += ["", *_remark("config.notify"), "#notify:", "#  channels: [phone]"]
    lines += ["#  alerts: [loss is nan, no new best for 5 epochs]"]
    lines += _part("output", Output, values, shown, basic)
    return "\n".join(lines) + "\n"


def short(file: str, document: Mapping[str, Any], part: str = "") -> str:
    """A config, or a search's file, that holds some values and the reason of each.

    Args:
        file: What the catalogue calls it: ``new.highperf.head`` is what it is for, and
            ``new.highperf.train.lr`` why it differs there; a key's general reason is taken for
            what it has none of.
        document: What stands in it: values, and tables of values.
        part: The table of a config that it is by itself.
    """
    lines = _wrapped(say(f"new.{file}.head"), "")
    for name, value in document.items():
        lines += [""]
        if not isinstance(value, Mapping):
            lines += [*_reason(file, part, name), f"{name}: {as_yaml(value)}"]
        elif name == _SPACE:
            lines += [*_reason(file, part, name), f"{name}:", *_space(value, "  ")]
        else:
            lines += [*_remark(f"config.{name}"), f"{name}:"]
            for key, inner in value.items():
                is_known = name == "data" and key not in _FOLDS  # of the first config
                lines += [] if is_known else _reason(file, name, key, "  ")
                is_space = key == _SPACE
                lines += [f"  {key}:" if is_space else f"  {key}: {as_yaml(inner)}"]
                lines += _space(inner, "    ") if is_space else []
    return "\n".join(lines) + "\n"


def nested(values: Mapping[str, Any]) -> dict[str, Any]:
    """Full keys as tables: ``train.lr`` becomes ``lr`` in ``train``."""
    found: dict[str, Any] = {}
    for key, value in values.items():
        part, dot, name = key.partition(".")
        if dot:
            found.setdefault(part, {})[name] = value
        else:
            found[key] = value
    return found


def _space(space: Mapping[str, Any], indent: str) -> Iterator[str]:
    """What a search varies, a line each below its reason."""
    for key, each in space.items():
        yield from _remark(f"new.space.{key}", indent)
        yield f"{indent}{key}: {as_yaml(each)}"


def _reason(file: str, part: str, name: str, indent: str = "") -> list[str]:
    if not part:
        return _remark(f"new.{file}.{name}", indent) or _remark(f"config.{name}", indent)
    own = _remark(f"new.{file}.{part}.{name}", indent)
    return own or _remark(f"config.{part}.{name}", indent)


def _part(
    part: str,
    schema: type[BaseModel],
    values: Mapping[str, Any],
    shown: Collection[str],
    filled: Mapping[str, Any],
) -> Iterator[str]:
    yield ""
    yield f"{part}:"
    for name, field in schema.model_fields.items():
        key = f"{part}.{name}"
        yield from _remark(f"config.{part}.{name}", "  ")
        value = values.get(key, filled.get(key, field.default))
        inner = inner_schema(field)
        if inner is not None and not values.get(key):  # what it would be with its own defaults
            for each in inner.model_fields:
                yield from _remark(f"config.{name}.{each}", "  ", f"{each}: ")
            value = inner().model_dump()
        has_value = value is not None and value is not PydanticUndefined
        line = f"{name}: {as_yaml(value)}" if has_value else f"{name}:"
        yield f"  {line}" if key in values or key in shown else f"  #{line}"


def _remark(key: str, indent: str = "", begin: str = "") -> list[str]:
    """The reason of a key; none for a plug-in's own keys, which no catalogue of ours knows."""
    try:
        return _wrapped(begin + say(key), indent)
    except KeyError:
        return []


def _wrapped(remark: str, indent: str) -> list[str]:
    lead = f"{indent}# "
    return textwrap.wrap(
        remark,
        _WIDTH_HANGUL if any("가" <= char <= "힣" for char in remark) else _WIDTH,
        initial_indent=lead,
        subsequent_indent=lead,
        break_long_words=False,
        break_on_hyphens=False,
    )
