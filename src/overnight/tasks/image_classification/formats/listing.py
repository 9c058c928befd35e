"""What a format finds, before any image was opened."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from overnight.tasks.base import Json, Problem

#: So many ids or paths stand in a problem; its number counts all.
SHOWN = 20


@dataclass(frozen=True, slots=True)
class Entry:
    """One image.

    Attributes:
        label: As the data writes it; None where it writes none.
        line: Of the table, where there is one.
        looked_for: Where its file should be; empty where it was found.
    """

    id: str
    inputs: Mapping[str, str]
    label: str | None = None
    group: str | None = None
    fold: int | None = None
    line: int = 0
    looked_for: str = ""


@dataclass(frozen=True, slots=True)
class Listing:
    """All images of a data set.

    Attributes:
        names: The classes by index, where the format itself knows them.
        codes: What stands for each class in the data, by index; None: its name or its index.
        folds_named_by: The column or the folders that say which image is validated when.
    """

    entries: Sequence[Entry]
    unlabelled: Sequence[Entry] = ()
    problems: Sequence[Problem] = ()
    names: Sequence[str] | None = None
    codes: Sequence[str] | None = None
    folds_named_by: str = ""


def problem(key: str, found: Sequence[str] = (), *, stops: bool = False, **fields: Json) -> Problem:
    """A problem that is true of ``found``."""
    num = len(found)
    return Problem(key, {"num": num, **fields}, tuple(found[:SHOWN]), num, stops)
