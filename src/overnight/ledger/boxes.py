"""Boxes as detectors and data sets give them, as the ledger has them: two corners each."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Union

from overnight.errors import UserError
from overnight.ledger.complaint import complain
from overnight.ledger.format import number

Boxes = Union[Iterable[Any], Mapping[str, Any]]
Labels = Union[Mapping[int, str], Sequence[str]]
_UNITS = ("pixel", "share")
#: By torchvision's names: two corners (Pascal VOC), a corner and a size (COCO), the middle and a
#: size (YOLO).
_FORMS: Mapping[str, Callable[[float, float, float, float], list[float]]] = {
    "xyxy": lambda x0, y0, x1, y1: [x0, y0, x1, y1],
    "xywh": lambda x0, y0, w, h: [x0, y0, x0 + w, y0 + h],
    "cxcywh": lambda x, y, w, h: [x - w / 2, y - h / 2, x + w / 2, y + h / 2],
}
#: Torchvision's detectors give one of these each, with a number for every box.
_COLUMNS = {"boxes": "box", "labels": "label", "scores": "score"}


def kept(given: Any, unit: str, form: str) -> dict[str, list[dict[str, Any]]]:
    """Name → boxes, as in a record.

    Args:
        given: Boxes, or name → boxes. Boxes are a list of ``{"box": …, "label": …, "score": …}``,
            rows of four numbers, or torchvision's ``{"boxes": …, "labels": …, "scores": …}``.
        unit: ``pixel`` or ``share``.
        form: ``xyxy``, ``xywh`` or ``cxcywh``.

    Raises:
        UserError: There is no such unit or form, or something is no box.
        Exception: Whatever the objects' own methods raise.
    """
    if unit not in _UNITS:
        raise UserError("job.box_unit", unit=repr(unit))
    if form not in _FORMS:
        raise UserError("job.box_form", form=repr(form))
    # A group called "boxes" is a list; of a detector's answer the labels or scores tell.
    is_grouped = isinstance(given, Mapping) and not {"labels", "scores"} & set(given)
    groups = given if is_grouped else {"boxes": given}
    found = {
        str(name): [_box(box, _FORMS[form]) for box in _rows(group)]
        for name, group in groups.items()
    }
    _look_at([box["box"] for group in found.values() for box in group], unit)
    return found


def _rows(group: Any) -> Iterable[Any]:
    if not isinstance(group, Mapping):
        return group  # type: ignore[no-any-return]
    given = {name: group[name] for name in _COLUMNS if name in group}
    if "boxes" not in given or len({len(values) for values in given.values()}) != 1:
        raise UserError("job.box", box=_shown(group))
    names = [_COLUMNS[name] for name in given]
    return [dict(zip(names, values)) for values in zip(*given.values())]


def _box(given: Any, corners_of: Callable[..., list[float]]) -> dict[str, Any]:
    said: Mapping[str, Any] = given if isinstance(given, Mapping) else {"box": given}
    listed: Any = said.get("box")
    listed = listed.tolist() if hasattr(listed, "tolist") else listed
    if not isinstance(listed, (list, tuple)) or len(listed) != 4:
        raise UserError("job.box", box=_shown(given))
    box: dict[str, Any] = {"box": corners_of(*(number(each) for each in listed))}
    label, score = said.get("label"), said.get("score")
    if label is not None:
        box["label"] = label if isinstance(label, str) else int(number(label))
    if score is not None:
        box["score"] = number(score)
    return box


def _look_at(boxes: Iterable[Sequence[float]], unit: str) -> None:
    """Says once what can hardly be meant; a model that has learnt nothing draws such boxes too."""
    for x0, y0, x1, y1 in boxes:
        if x1 < x0 or y1 < y0:
            complain("job.box_reversed")
        if unit == "share" and max(x0, y0, x1, y1) > 2:
            complain("job.box_not_share")


def _shown(box: Any) -> str:
    return " ".join(repr(box).split())[:200]


def names(labels: Labels | None) -> dict[int, str]:
    """A class's number → its name.

    Raises:
        UserError: They are something else, such as name → number.
    """
    if labels is None:
        return {}
    if isinstance(labels, str) or not isinstance(labels, Iterable):
        raise UserError("job.labels", labels=_shown(labels))
    pairs: Any = labels.items() if isinstance(labels, Mapping) else enumerate(labels)
    try:
        return {int(key if isinstance(key, str) else number(key)): str(v) for key, v in pairs}
    except (TypeError, ValueError):
        raise UserError("job.labels", labels=_shown(labels)) from None
