"""A person's own wording of a message: ``{name}: {metric} = {value:.3f}``.

The syntax is that of Python's ``format``, and of it only names and format specifications: nothing
is looked up inside a value, called or converted. What a message does not know prints as a dash.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from overnight.alerts.spoken import NOTHING, number
from overnight.alerts.trim import cut, line
from overnight.errors import UserError

Kind = Literal["text", "number", "count"]
#: The fields of a template: docs/notifications.md explains each. A count is a number that is
#: whole as a rule, so that ``{epoch:03d}`` is allowed.
FIELDS: Mapping[str, Kind] = {
    "title": "text", "short": "text", "event": "text", "name": "text", "run": "text",
    "host": "text", "kind": "text", "target": "text", "attempt": "count", "fold": "count",
    "epoch": "count", "epochs": "count", "unit": "text", "done": "count", "total": "count",
    "percent": "number",
    "metric": "text", "value": "number", "best": "number", "best_epoch": "count",
    "metrics": "text",
    "duration": "text", "duration_s": "number", "remaining": "text", "remaining_s": "number",
    "old_remaining": "text", "done_at": "text", "at": "text", "now_us": "count",
    "cause": "text", "evidence": "text", "fix": "text", "log": "text", "resume": "text",
    "rule": "text", "text": "text", "silent": "text", "silent_s": "number", "gpu": "text",
}  # fmt: skip
#: The longest message anyone takes is longer; a template beyond this is a file given by mistake.
MAX_CHARS = 4000
_PIECE = re.compile(r"\{\{|\}\}|\{(?P<inside>[^{}]*)\}|[{}]|[^{}]+")
_INSIDE = re.compile(r"\s*(?P<name>[^!:]*?)\s*(?P<conversion>![^:]*)?(?::(?P<spec>.*))?", re.DOTALL)
_SPEC = re.compile(
    r"(?:(?P<fill>.)?(?P<align>[<>^]))?(?P<sign>[-+ ])?(?P<zero>0)?(?P<width>[0-9]{0,3})"
    r"(?P<group>[,_])?(?:\.(?P<precision>[0-9]{1,2}))?(?P<type>[a-zA-Z%])?",
    re.DOTALL,
)
#: Beyond it an integer is no float.
_MAX_NUMBER = 1e300
_TYPES: Mapping[str, str] = {"text": "s", "number": "eEfFgG%", "count": "deEfFgG%"}


@dataclass(frozen=True)
class _Field:
    """A name between braces; ``at``: its place in the template, from 1."""

    name: str
    spec: str
    at: int


def check(text: str, *, where: str = "") -> None:
    """Says at once what would go wrong when the message is to be written.

    Args:
        text: The template.
        where: The file or option it stands in, for the error.

    Raises:
        UserError: It is empty or too long, its braces do not match, it names a field that is not
            one, asks for a part of a field, or formats it as it cannot be.
    """
    if not text.strip():
        raise UserError(
            "alert.template_empty", where=where, example="{name}: {metric} = {value:.3f}"
        )
    if len(text) > MAX_CHARS:
        raise UserError("alert.template_long", where=where, count=len(text), most=MAX_CHARS)
    for _ in _pieces(text, where):
        pass


def fill(text: str, values: Mapping[str, Any]) -> str:
    """The template with its fields filled in.

    Args:
        text: A template that ``check`` accepts.
        values: Field → text or number, as ``FIELDS`` has them; one that is missing is a dash.

    Raises:
        UserError: ``check`` would have raised it.
    """
    return "".join(
        piece if isinstance(piece, str) else _formatted(values.get(piece.name), piece)
        for piece in _pieces(text, "")
    )


def _pieces(text: str, where: str) -> Iterator[str | _Field]:
    for match in _PIECE.finditer(text):
        found, at = match[0], match.start() + 1
        if found in ("{{", "}}"):
            yield found[0]
        elif found in ("{", "}"):
            raise UserError("alert.template_braces", where=where, brace=found, column=at)
        elif match["inside"] is None:
            yield found
        else:
            yield _field(match["inside"], at, where)


def _field(inside: str, at: int, where: str) -> _Field:
    parts = _INSIDE.fullmatch(inside)
    assert parts is not None, inside  # every part of the pattern may be empty
    name, spec = parts["name"], parts["spec"] or ""
    shown = "{" + line(inside, 40) + "}"
    if parts["conversion"] is not None or re.search(r"[.\[\]()]", name):
        raise UserError("alert.template_parts", where=where, shown=shown, column=at)
    if name not in FIELDS:
        near = _nearest(name)
        key = "alert.template_unknown_near" if near else "alert.template_unknown"
        raise UserError(
            key, where=where, name=line(name, 40), column=at, near=near, known=", ".join(FIELDS)
        )
    if not _fits(spec, FIELDS[name]):
        raise UserError(
            f"alert.template_spec_{FIELDS[name]}", where=where, shown=shown, column=at, name=name
        )
    return _Field(name, spec, at)


def _nearest(name: str) -> str:
    from difflib import get_close_matches  # needed for mistakes only

    return next(iter(get_close_matches(name.lower()[:40], FIELDS, n=1)), "")


def _fits(spec: str, kind: Kind) -> bool:
    parts = _SPEC.fullmatch(spec)
    if parts is None:
        return False
    type_ = parts["type"] or ""
    if type_ and type_ not in _TYPES[kind]:
        return False
    if kind == "text":
        return not (parts["sign"] or parts["zero"] or parts["group"])
    # Python refuses a precision for whole numbers.
    return not (type_ == "d" and parts["precision"] is not None)


def _formatted(value: Any, field: _Field) -> str:
    kind = FIELDS[field.name]
    if kind == "text":
        text = value if isinstance(value, str) and value else NOTHING
        parts = _SPEC.fullmatch(field.spec)
        if parts is not None and parts["precision"] is not None:
            text = cut(text, int(parts["precision"]))
        width = int((parts and parts["width"]) or 0)
        fill_char, align = (parts and parts["fill"]) or " ", (parts and parts["align"]) or "<"
        return format(text, f"{fill_char}{align}{width}")
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return NOTHING
    try:
        whole = round(value) if float(value).is_integer() or field.spec.endswith("d") else None
        if not field.spec:
            return str(whole) if whole is not None and kind == "count" else number(value)
        return format(value if whole is None else whole, field.spec)
    except (ValueError, OverflowError):  # NaN or infinite, where digits were asked for
        return number(value) if abs(value) < _MAX_NUMBER else NOTHING
