"""A person's YAML as a tree: what values are, where they stand, what is refused."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from overnight import yaml_tree
from overnight.errors import UserError

KINDS = {
    "": "null", "~": "null", "null": "null", "nil": "str",
    "yes": "bool", "Off": "bool", "TRUE": "bool", "tRue": "str", "y": "str",
    "7": "int", "-7": "int", "007": "int", "0x1F": "int", "0o17": "int", "1_000": "str",
    "1e-3": "float", "1.": "float", ".5": "float", "-.inf": "float", ".nan": "float", "inf": "str",
    "10:30": "str", "2026-01-01": "str", "1.2.3": "str", "٣": "str", "9" * 500: "float",
}  # fmt: skip


@pytest.mark.parametrize(("text", "kind"), KINDS.items())
def test_plain_values_are_what_people_mean(text: str, kind: str) -> None:
    assert yaml_tree.scalar(text).kind == kind
    quoted = yaml_tree.scalar(text, plain=False)
    assert (quoted.kind, quoted.data()) == ("str", text)


def test_numbers() -> None:
    texts = ["007", "0x1F", "0o17", "1e-3", "-.inf"]
    assert [yaml_tree.scalar(text).data() for text in texts] == [7, 31, 15, 0.001, -math.inf]
    assert math.isnan(yaml_tree.scalar(".nan").data())


def test_every_value_knows_its_line(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text("# first\na: 1\nb:\n  - x\n  - {c: 'no', c: 2}\n", encoding="utf-8")
    problems: list[UserError] = []
    tree = yaml_tree.read(str(path), problems, max_kib=1)
    assert tree is not None
    listed = tree.get("b")
    assert listed is not None
    assert [item.line for item in listed.items] == [4, 5]
    assert [value.data() for _, value in listed.items[1].pairs] == ["no", 2]
    twice = listed.items[1].get("c")
    assert twice is not None
    assert twice.data() == 2
    where = yaml_tree.place("a.yaml", twice, "b.c")
    assert (where.file, where.line, where.name) == ("a.yaml", 5, "b.c")
    assert problems == []
    assert yaml_tree.read(str(tmp_path / "none"), problems, max_kib=1) is None
    assert problems == []


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(values)
def test_pythons_values_come_back(value: Any) -> None:
    assert yaml_tree.of(value).data() == value
