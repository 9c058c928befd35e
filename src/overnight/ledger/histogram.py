"""How numbers are spread: how many lie in each of some bins of one width."""

from __future__ import annotations

import math
from itertools import chain
from typing import Any

from overnight.errors import UserError
from overnight.ledger.pixels import as_array

#: A record has one line of at most 4 KiB.
MOST_BINS = 256
#: Around numbers that are all the same.
_HALF = 0.5


def counted(values: Any, bins: int) -> dict[str, Any]:
    """A record's fields: ``low`` and ``high``, the outer bounds, and ``counts``, from low to high.

    What is NaN or infinite is in none of them; ``left_out`` says how many these are.

    Args:
        values: Numbers in any order and shape: a list, an array, a tensor.
        bins: 1 to 256.

    Raises:
        UserError: No number is left, or there are too many bins.
        TypeError, ValueError: Something among them is no number.
    """
    if not 1 <= bins <= MOST_BINS:
        raise UserError("job.bins", bins=bins, most=MOST_BINS)
    given = _flat(values)
    finite = [number for number in given if math.isfinite(number)]
    if not finite:
        raise UserError("job.no_numbers")
    low, high = min(finite), max(finite)
    if low == high:
        low, high = low - _HALF, high + _HALF
    counts = [0] * bins
    width = high / bins - low / bins  # the difference of two large numbers may be infinite
    for number in finite:
        counts[min(int(number / width - low / width), bins - 1)] += 1
    fields = {"low": low, "high": high, "counts": counts}
    return fields | {"left_out": len(given) - len(finite)} if len(finite) < len(given) else fields


def _flat(values: Any) -> list[float]:
    if hasattr(values, "detach") or hasattr(values, "__array__"):
        return [float(number) for number in as_array(values).reshape(-1).tolist()]
    given = list(values)
    while given and isinstance(given[0], (list, tuple)):
        given = list(chain.from_iterable(given))
    return [float(number) for number in given]
