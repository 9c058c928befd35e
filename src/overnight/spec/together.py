"""What is wrong between the parts of a config that are right each by itself."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ValidationError

from overnight.messages import say
from overnight.spec.report import Report
from overnight.tasks.base import Capability, TaskInfo
from overnight.tuning.config import Tuning

_TUNING = "tuning"
#: The parts whose values a search may vary.
_SEARCHED = ("model", "train")


def look(
    report: Report,
    search: Report,
    info: TaskInfo,
    words: Any,
    parts: Mapping[str, Any],
    *,
    searches: bool,
) -> None:
    """Notes it.

    Args:
        report: The config's.
        search: Of what says what is searched: the config's, or another file's.
        info: The task.
        words: The words and switches at the top; None where they have mistakes.
        parts: The parts that have no mistakes.
        searches: Whether anything is searched, mistakes or not.
    """
    asked: dict[Capability, tuple[Report, tuple[str, ...], bool]] = {
        "tune": (search, (_TUNING,), searches),
        "calibrate": (report, ("calibration",), words is not None and words.calibration),
        "tta": (report, ("predict", "tta"), getattr(parts.get("predict"), "tta", "none") != "none"),
    }
    for capability, (where, keys, is_asked) in asked.items():
        if is_asked and capability not in info.can:
            where.wrong(keys, "spec.task_cannot", task=info.name)
    if words is not None and words.auto_continue and not searches:
        report.wrong(("auto_continue",), "spec.nothing_searched")
    tuning, data = parts.get("tuning"), parts.get("data")
    if tuning is not None and data is not None:
        num = _num_folds(data)
        if num is not None and tuning.folds > num:
            search.wrong((_TUNING, "folds"), "spec.search_folds", folds=num)
    if tuning is not None:
        for part in _SEARCHED:
            if parts.get(part) is not None:
                _look_at_trials(search, tuning, part, parts[part])


def _num_folds(data: Any) -> int | None:
    """How many folds are trained, as far as the config tells; None: the task has none."""
    if not hasattr(data, "folds"):
        return None
    num: int = data.folds if getattr(data, "valid_fold", "all") == "all" else 1
    return num


def _look_at_trials(search: Report, tuning: Tuning, part: str, made: BaseModel) -> None:
    """Notes what every trial, or each with a certain value, would fail of."""
    space = {
        key.partition(".")[2]: each
        for key, each in tuning.search_space.items()
        if key.startswith(part + ".")
    }
    # What else is searched may have the value that makes it right.
    fixed = {key: value for key, value in made.model_dump().items() if key not in space}
    if part == "train" and tuning.epochs is not None:
        fixed["epochs"] = tuning.epochs
        for key, said in _contradictions(type(made), fixed):
            fields = {"key": f"{part}.{key}", "said": said}
            search.wrong((_TUNING, "epochs"), "spec.search_contradicts", **fields)
            return
    for name, each in space.items():
        for value in _ends(each) if "." not in name and name not in fixed else ():
            for key, said in _contradictions(type(made), {**fixed, name: value}):
                fields = {"key": f"{part}.{key}", "said": said}
                keys = (_TUNING, "search_space", f"{part}.{name}")
                search.wrong(keys, "spec.search_contradicts", **fields, got=value)


def _contradictions(schema: type[BaseModel], data: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Key and sentence of whatever is wrong between values that are right each by itself."""
    try:
        schema.model_validate(data)
    except ValidationError as error:
        return [
            (str(each["loc"][0]), say(each["type"], got=each["input"], **each.get("ctx", {})))
            for each in error.errors()
            if "." in each["type"]
        ]
    return []


def _ends(each: Mapping[str, Any]) -> list[Any]:
    """The outermost values of a parameter."""
    if "choices" in each:
        return list(each["choices"])
    return [each[key] for key in ("low", "high", "min", "max") if key in each]
