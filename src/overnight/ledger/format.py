"""One record of the ledger: Python values to a line and back (docs/ledger-format.md)."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

SCHEMA_VERSION = 1
#: Size at which a file is left alone and its next segment begun.
SEGMENT_BYTES = 64 * 1024 * 1024
#: A longer line cannot be one of ours: readers drop it instead of holding it, writers refuse it.
MAX_LINE_BYTES = 16 * 1024 * 1024

#: The year 9999, where Python's calendar ends.
_MAX_TIME_US = 253_402_300_799_000_000
#: Nobody writes so many records: a larger ``_seq`` is garbage.
_MAX_SEQ = 2**63 - 1
#: Python reads no integer of more than 4,300 digits (its guard against quadratic time).
_MAX_INT_BITS = 14_000

STEP, EPOCH, SUMMARY = "step", "epoch", "summary"
#: Keys of a metrics row that are no values.
AXES = ("stage", "fold", "trial", "step", "epoch")
STAGES = ("tune", "train", "calibrate", "predict")
#: Nothing of ours nests deeper; Python's own limit lies near a thousand.
_MAX_DEPTH = 100
_NON_FINITE = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}

_encode_strict = json.JSONEncoder(
    ensure_ascii=False, allow_nan=False, separators=(",", ":"), check_circular=False
).encode
#: ``NaN`` and its like are no JSON, but many write them: they are read as we spell them.
_parse = json.JSONDecoder(parse_constant=str).decode


@dataclass(frozen=True)
class Scope:
    """Which part of a run a row belongs to."""

    fold: int | None = None
    trial: int | None = None
    stage: str = "train"


@dataclass(frozen=True)
class Row:
    """One metrics record, read back."""

    file: str
    segment: int
    seq: int
    t_us: int
    attempt: int
    kind: str
    scope: Scope
    step: int | None
    epoch: int | None
    values: Mapping[str, float]


def number(value: Any) -> float:
    """``value`` as a plain number: Python, NumPy and one-element tensors. An integer stays one.

    Raises:
        TypeError: It is no number.
        Exception: Whatever the value's own methods raise (a tensor of two elements).
    """
    if not isinstance(value, (bool, int, float, str, bytes)):
        item = getattr(value, "item", None)
        if callable(item):
            value = item()
        if not isinstance(value, (bool, int, float, str)) and hasattr(value, "__float__"):
            value = float(value)
    if isinstance(value, (bool, int, float)):
        return value
    raise TypeError("not a number: " + type(value).__name__)


def spell(value: Any, depth: int = 0) -> Any:
    """JSON's nearest word for ``value``: NaN and infinities by name, strange things by text."""
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else ("Infinity" if value > 0 else "-Infinity")
    if isinstance(value, int) and value.bit_length() > _MAX_INT_BITS:
        return "Infinity" if value > 0 else "-Infinity"
    if value is None or isinstance(value, (bool, int, float)):
        return value
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode("utf-8")  # lone surrogates
    if depth > _MAX_DEPTH:  # or it holds itself
        return "..."
    if isinstance(value, Mapping):
        return {_text(key): spell(item, depth + 1) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [spell(item, depth + 1) for item in value]
    try:
        return spell(number(value))
    except Exception:  # its own methods may raise anything; its text is left
        return _text(value)


def _text(value: Any) -> str:
    try:
        return str(value).encode("utf-8", "replace").decode("utf-8")
    except Exception:  # see spell()
        return f"<{type(value).__name__}>"


def encode(record: Mapping[str, Any]) -> bytes:
    """The line of a record, its newline included. Any value finds a spelling; nothing raises."""
    try:
        return _encode_strict(record).encode() + b"\n"
    except (ValueError, TypeError, RecursionError):
        return _encode_strict(spell(record)).encode() + b"\n"


def decode(line: bytes) -> dict[str, Any] | None:
    """The record of a line, or None if the line is broken."""
    record = parse_object(line) if len(line) <= MAX_LINE_BYTES else None
    if record is None:
        return None
    seq = record.get("_seq")
    return record if type(seq) is int and 0 <= seq <= _MAX_SEQ else None


def parse_object(data: bytes) -> dict[str, Any] | None:
    """The JSON object in ``data``, or None. All its texts can be written and shown."""
    try:
        value = _parse(data.decode("utf-8"))
    except (ValueError, RecursionError):
        return None
    if not isinstance(value, dict):
        return None
    # Half of an escaped surrogate pair would break whoever prints it.
    return spell(value) if b"\\ud" in data or b"\\uD" in data else value


def time_us(value: Any) -> int | None:
    """``value`` if it is a time that a calendar can show (1970 to 9999), in microseconds."""
    return value if type(value) is int and 0 <= value <= _MAX_TIME_US else None


def _integer(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def row(record: Mapping[str, Any], *, file: str, segment: int) -> Row:
    """A metrics record as a row. What is no number is left out; axes of a wrong type are None."""
    values: dict[str, float] = {}
    for key, value in record.items():
        if key[:1] == "_" or key in AXES:
            continue
        if isinstance(value, str):
            value = _NON_FINITE.get(value)
        if isinstance(value, (bool, int, float)):
            try:
                values[key] = float(value)
            except OverflowError:  # an integer beyond any float
                values[key] = math.inf if value > 0 else -math.inf
    stage = record.get("stage", "train")
    kind = record.get("_kind", STEP)
    return Row(
        file=file,
        segment=segment,
        seq=record["_seq"],
        t_us=time_us(record.get("_t")) or 0,
        attempt=_integer(record.get("_attempt")) or 0,
        kind=kind if kind in (STEP, EPOCH, SUMMARY) else STEP,
        scope=Scope(
            fold=_integer(record.get("fold")),
            trial=_integer(record.get("trial")),
            stage=stage if stage in STAGES else "train",
        ),
        step=_integer(record.get("step")),
        epoch=_integer(record.get("epoch")),
        values=values,
    )
