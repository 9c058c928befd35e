"""The number of epochs and folds, as far as a command line names it."""

from __future__ import annotations

import re
from collections.abc import Sequence

_ARGUMENT = re.compile(
    r"-{0,2}(?:[\w.]{1,60}\.)?(?:(?:num|max|n|total|train|num[-_]train)[-_])?epochs?"
    r"(?:=(?P<value>\d{1,7}))?",
    re.IGNORECASE,
)
_FOLD_ARGUMENT = re.compile(
    r"-{0,2}(?:[\w.]{1,60}\.)?(?:(?:(?:num|n)[-_])?k?[-_]?folds?|n[-_]splits)(?:=(?P<value>\d{1,3}))?",
    re.IGNORECASE,
)


def hinted_totals(argv: Sequence[str]) -> tuple[int | None, int | None]:
    """Epochs and folds named on a command line: `--epochs 20`, `EPOCHS=20`, `train.epochs=20`."""
    return _hinted(argv, _ARGUMENT), _hinted(argv, _FOLD_ARGUMENT)


def _hinted(argv: Sequence[str], name: re.Pattern[str]) -> int | None:
    found: int | None = None
    for at, argument in enumerate(argv):
        match = name.fullmatch(argument)
        if not match:
            continue
        value = match["value"]
        if value is None and argument.startswith("-") and at + 1 < len(argv):
            value = argv[at + 1]
        if value and value.isascii() and value.isdigit() and len(value) <= 7:
            found = int(value) or found
    return found
