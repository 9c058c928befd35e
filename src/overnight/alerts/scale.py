"""Numbers to places on a picture, and the round numbers beside its axes."""

from __future__ import annotations

import math
from dataclasses import dataclass

#: Beyond it nothing is a loss or a step, and sums overflow. NaN is not below it either.
MAX = 1e15
#: Where the highest is so many times the lowest, the lowest would be a flat line.
_LOG_FROM = 30.0


@dataclass(frozen=True)
class Scale:
    """Values to places on the paper; ``log``: by their logarithm."""

    low: float
    high: float
    begin: float
    end: float
    log: bool = False

    def __call__(self, value: float) -> float:
        """Where a value lies."""
        low, high, value = (
            (math.log(self.low), math.log(self.high), math.log(value))
            if self.log
            else (self.low, self.high, value)
        )
        share = (value - low) / (high - low) if high > low else 0.5
        return self.begin + share * (self.end - self.begin)


def upright(low: float, high: float, begin: float, end: float) -> tuple[Scale, list[float]]:
    """The scale of an upright axis from the lowest to the highest value, and its ticks.

    Where the values are spread over decades it is a logarithmic one.
    """
    if low > 1 / MAX and high / low >= _LOG_FROM:
        low, high = low / 1.15, high * 1.15
        decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
        steps = (1, 2, 5) if len(decades) <= 4 else (1,)
        every = max(1, len(decades) // 8)
        marks = [step * 10.0**exponent for exponent in decades[::every] for step in steps]
        return Scale(low, high, begin, end, log=True), [m for m in marks if low <= m <= high]
    margin = (high - low) * 0.06 or max(abs(high) * 0.1, 1e-12)
    low, high = low - margin, high + margin
    return Scale(low, high, begin, end), ticks(low, high, 6)


def ticks(low: float, high: float, at_most: int, *, whole: bool = False) -> list[float]:
    """Round numbers within a range."""
    rough = (high - low) / at_most
    if rough <= 0 or not math.isfinite(rough):
        return []
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * each for each in (1, 2, 5, 10) if power * each >= rough * (1 - 1e-9))
    step = max(1.0, step) if whole else step
    first = math.ceil(low / step - 1e-9)
    marks = [at * step for at in range(first, first + at_most + 2)]
    return [mark for mark in marks if low - step * 1e-6 <= mark <= high + step * 1e-6]


def tick(value: float, num_decimals: int = 0, largest: float = 0.0) -> str:
    """A tick's number: ``0.50`` beside ``0.25``, ``5k`` beside ``20k``, ``1e-05``."""
    if value != 0 and (abs(value) < 1e-3 or max(abs(value), largest) >= 1e4):
        for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
            if size <= abs(value) < size * 1e3:
                return f"{value / size:.4g}{letter}"
        return f"{value:.2g}"
    return f"{value:.{num_decimals}f}" if num_decimals else f"{value:.4g}"


def num_decimals_of(value: float) -> int:
    """Digits behind the point that a tick's number needs."""
    return len(f"{value:.4g}".partition(".")[2]) if 1e-3 <= abs(value) < 1e4 else 0
