"""One record: any value to a line and back; any bytes to a record or to nothing."""

from __future__ import annotations

import datetime
import json
import math
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from overnight.ledger.format import MAX_LINE_BYTES, Scope, decode, encode, number, row, time_us

# Surrogates are what a file name in a foreign encoding becomes.
texts = st.text(st.characters(codec=None) | st.characters(categories=["Cs"]), max_size=20)
plain_texts = st.text(max_size=20)
scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | plain_texts
json_values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(plain_texts, inner, max_size=4),
    max_leaves=20,
)
#: What a job might hand over: everything above, and what JSON has no word for.
strange_values = st.recursive(
    scalars
    | texts
    | st.floats()
    | st.binary(max_size=10)
    | st.complex_numbers()
    | st.decimals()
    | st.fractions()
    | st.datetimes()
    | st.sets(st.integers(), max_size=3)
    | st.integers(5000, 6000).map(lambda digits: 10**digits)
    | st.builds(object),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.tuples(inner, inner)
        | st.dictionaries(texts | st.integers() | st.floats() | st.none(), inner, max_size=4)
    ),
    max_leaves=20,
)


def finite(value: Any) -> Any:
    """``value`` as the format spells it."""
    if isinstance(value, float) and not math.isfinite(value):
        return "Infinity" if value > 0 else "-Infinity"
    if isinstance(value, list):
        return [finite(item) for item in value]
    if isinstance(value, dict):
        return {key: finite(item) for key, item in value.items()}
    return value


@given(st.dictionaries(plain_texts, json_values, max_size=6), st.integers(0, 2**63 - 1))
def test_what_json_can_say_comes_back_as_it_was(fields: dict[str, Any], seq: int) -> None:
    record = {**fields, "_seq": seq}
    line = encode(record)
    assert line.endswith(b"\n")
    assert line.count(b"\n") == 1
    assert decode(line[:-1]) == finite(record)


@given(st.dictionaries(texts, strange_values, max_size=6))
def test_any_value_finds_a_spelling_on_one_line(fields: dict[str, Any]) -> None:
    line = encode({**fields, "_seq": 7})
    assert line.count(b"\n") == 1
    record = decode(line[:-1])
    assert record is not None
    assert record["_seq"] == 7
    json.loads(line, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))
    json.dumps(record, ensure_ascii=False).encode()  # nothing in it that cannot be shown


@pytest.mark.parametrize(
    ("value", "spelling"),
    [(math.nan, "NaN"), (math.inf, "Infinity"), (-math.inf, "-Infinity"), (10**6000, "Infinity")],
    ids=["nan", "inf", "-inf", "huge"],
)
def test_what_is_not_finite_has_a_name(value: float, spelling: str) -> None:
    record = decode(encode({"_seq": 0, "loss": value}))
    assert record is not None
    assert record["loss"] == spelling
    (read,) = row(record, file="metrics.jsonl", segment=0).values.values()
    assert math.isnan(read) if spelling == "NaN" else read == float(spelling)


class Rude:
    """A value whose every method raises."""

    def item(self) -> float:
        raise RuntimeError("no item")

    def __float__(self) -> float:
        raise ZeroDivisionError

    def __str__(self) -> str:
        raise KeyError("no text")

    __repr__ = __str__


def test_a_value_whose_methods_raise_is_written_by_its_type() -> None:
    record = decode(encode({"_seq": 0, "x": Rude()}))
    assert record is not None
    assert record["x"] == "<Rude>"


def test_a_value_that_holds_itself_comes_to_an_end() -> None:
    ring: list[Any] = [1]
    ring.append(ring)
    assert decode(encode({"_seq": 3, "ring": ring})) is not None


@given(st.binary(max_size=200))
@example(b'{"_seq":0,"a":"\\ud800"}')
@example(b'\xff\xfe{\x00"\x00_\x00s\x00e\x00q\x00"\x00:\x000\x00}\x00')
@example(b'{"_seq":true}')
@example(b'{"_seq":1.0}')
@example(b'{"_seq":-1}')
@example(b'{"_seq":9223372036854775808}')
@example(b'{"_seq":' + b"9" * 5000 + b"}")
@example(b'{"_seq":0,"a":' + b"[" * 100_000)
@example(b"[" * 100_000)
@example(b"\xef\xbb\xbf{}")
def test_any_bytes_are_a_record_or_nothing(line: bytes) -> None:
    record = decode(line)
    if record is not None:
        assert type(record["_seq"]) is int
        assert 0 <= record["_seq"] < 2**63
        row(record, file="f", segment=0)
        json.dumps(record, ensure_ascii=False).encode()


@given(st.dictionaries(plain_texts, json_values, max_size=4), st.data())
def test_no_part_of_a_record_is_a_record(fields: dict[str, Any], data: st.DataObject) -> None:
    line = encode({"_seq": 5, **fields})[:-1]
    assert decode(line[: data.draw(st.integers(0, len(line) - 1))]) is None


def test_a_line_longer_than_the_limit_is_broken() -> None:
    frame = len(b'{"_seq":0,"a":""}')
    longest = b'{"_seq":0,"a":"' + b"x" * (MAX_LINE_BYTES - frame) + b'"}'
    assert decode(longest) is not None
    assert decode(longest + b" ") is None


class Tensor:
    """A number as the frameworks wrap it."""

    def __init__(self, value: float) -> None:
        self.value = value

    def item(self) -> float:
        return self.value


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (3, 3),
        (True, True),
        (2.5, 2.5),
        (Tensor(0.25), 0.25),
        (Tensor(7), 7),
        (Decimal("0.5"), 0.5),
        (Fraction(1, 4), 0.25),
    ],
)
def test_a_number_is_taken_out_of_its_wrapping(value: Any, expected: float) -> None:
    taken = number(value)
    assert taken == expected
    assert type(taken) is type(expected)


@pytest.mark.parametrize("value", ["3", b"3", None, [1.0], {}, 1j, object()])
def test_what_is_no_number_is_refused(value: Any) -> None:
    with pytest.raises(TypeError):
        number(value)


@given(st.dictionaries(plain_texts, json_values, max_size=8))
def test_any_record_is_a_row_of_plain_numbers(fields: dict[str, Any]) -> None:
    read = row({**fields, "_seq": 0}, file="metrics.jsonl", segment=2)
    assert all(type(value) is float for value in read.values.values())
    for axis in (read.step, read.epoch, read.scope.fold, read.scope.trial):
        assert axis is None or type(axis) is int
    assert not set(read.values) & {"stage", "fold", "trial", "step", "epoch"}


def test_axes_of_a_wrong_type_are_none() -> None:
    read = row(
        {"_seq": 0, "step": 1.5, "epoch": True, "fold": "2", "stage": "lunch", "_kind": 3},
        file="metrics.jsonl",
        segment=0,
    )
    assert (read.step, read.epoch, read.scope, read.kind) == (None, None, Scope(), "step")


@given(json_values)
def test_a_time_can_always_be_shown(value: Any) -> None:
    us = time_us(value)
    if us is not None:
        datetime.datetime.fromtimestamp(us / 1e6, tz=datetime.UTC)
