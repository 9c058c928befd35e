"""What a search varies: a range or a list of values for each parameter.

Free of torch, Optuna and of any task. Two vocabularies are read, and may be mixed: ours
(``{low, high, log, step}``, ``{choices: [...]}``) and that of W&B's sweeps (``{min, max,
distribution}``, ``{values: [...]}``, ``{value}``).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from overnight.tasks.base import Json


@dataclass(frozen=True, slots=True)
class Range:
    """Numbers from ``low`` to ``high``, both included.

    Attributes:
        log: Drawn evenly over the exponent.
        step: Between two of them; None: any.
        is_int: Whole numbers.
    """

    low: float
    high: float
    log: bool = False
    step: float | None = None
    is_int: bool = False


@dataclass(frozen=True, slots=True)
class Choice:
    """One of some values."""

    values: tuple[Json, ...]


Distribution: TypeAlias = Range | Choice
