"""What the parts of a page are made of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup


@dataclass(frozen=True, slots=True)
class Figure:
    """A picture and its title."""

    title: str
    drawn: Markup
    wide: bool = False


@dataclass(frozen=True, slots=True)
class Table:
    """A table's head and cells; ``marked``: rows that stand out."""

    head: Sequence[str]
    rows: Sequence[Sequence[object]]
    title: str = ""
    marked: Sequence[int] = ()
    remark: str = ""


@dataclass(frozen=True, slots=True)
class Case:
    """One example that was predicted: its picture, and what was made of it."""

    picture: str
    words: str
    sure: str
    id: str
    is_wrong: bool
