"""The number of epochs and folds, as far as a command line or a script names it."""

from __future__ import annotations

import re
from collections.abc import Sequence

_ARGUMENT = re.compile(
    r"-{0,2}(?:[\w.]{1,60}\.)?(?:(?:num|max|n|total|train|num[-_]train)[-_])?epochs?"
    r"(?:=(?P<value>.{1,12}))?",
    re.IGNORECASE,
)
_FOLD_ARGUMENT = re.compile(
    r"-{0,2}(?:[\w.]{1,60}\.)?(?:(?:(?:num|n)[-_])?k?[-_]?folds?|n[-_]splits)"
    r"(?:=(?P<value>.{1,12}))?",
    re.IGNORECASE,
)
_WHOLE = re.compile(r"(\d{1,7})(?:\.0{1,3})?", re.ASCII)  # a Trainer's epochs may be `3.0`
_SET_TO = r"[ \t]{0,8}=[ \t]{0,8}(\d{1,7})\b(?![.\w])"
_EPOCHS_IN_SOURCE = re.compile(
    r"(?<![\w.#])(?:(?:num|max|n|total|num_train)_)?epochs?" + _SET_TO, re.IGNORECASE | re.ASCII
)
_FOLDS_IN_SOURCE = re.compile(
    r"(?<![\w.#])(?:n_splits|(?:num_|n_)?k?_?folds)" + _SET_TO, re.IGNORECASE | re.ASCII
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
        if value and (number := _WHOLE.fullmatch(value)):
            found = int(number[1]) or found
    return found


def hints_in(source: str) -> list[str]:
    """Epochs and folds that a script sets to one number, as arguments: ``["epochs=20"]``.

    To be put before the real arguments, which win. A script that sets several different numbers
    tells nothing.

    Args:
        source: Python source; any text will do, as it is not parsed.
    """
    hints = []
    for name, pattern in (("epochs", _EPOCHS_IN_SOURCE), ("n_splits", _FOLDS_IN_SOURCE)):
        numbers = set(pattern.findall(source))
        if len(numbers) == 1:
            hints.append(f"{name}={numbers.pop()}")
    return hints
