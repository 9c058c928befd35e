"""The number a trial is judged by, read from what a script leaves while it runs.

From its ledger, where it calls ``overnight.log`` or one of the integrations does; else from the
lines it prints.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Literal

from overnight.alerts import names
from overnight.ledger.format import EPOCH, STEP, SUMMARY, Row, row
from overnight.ledger.paths import RunPaths
from overnight.ledger.reader import Tail, stems
from overnight.supervisor.progress.metrics import LastMetrics

Goal = Literal["minimize", "maximize"]
#: All of so many are reported to the search; later only some, at the same places in each trial.
_ALL_UNTIL = 200
_BLOCK_BYTES = 1024 * 1024
#: What a line of numbers is never longer than.
_LINE_BYTES = 4096
_MOST_KNOWN = 12


@dataclass(slots=True)
class _Axis:
    """The values of one kind of row, by their step or epoch, of one fold."""

    attempt: int = 0
    values: dict[int, float] = field(default_factory=dict)

    def add(self, each: Row, axis: int, value: float) -> None:
        if each.attempt > self.attempt:  # what a newer attempt goes over again is the newer one's
            self.attempt = each.attempt
            self.values = {at: old for at, old in self.values.items() if at < axis}
        self.values[axis] = value


class Numbers:
    """Reads one trial's number.

    Args:
        run: The trial's.
        metric: The number, by any of its names (docs/metrics.md).
        goal: Whether lower or higher is better.
        log_from: Where the output of this attempt begins.
    """

    def __init__(self, run: RunPaths, metric: str, goal: Goal, *, log_from: int = 0) -> None:
        self._run, self._metric = run, metric
        self._pick = min if goal == "minimize" else max
        self._tails: dict[str, Tail] = {}
        self._axes: dict[tuple[str, int | None], _Axis] = {}
        self._final: float | None = None
        self._printed = _Printed(run.log, metric, log_from)
        #: What the script logged, by the names it has there.
        self.known: dict[str, None] = {}

    @property
    def is_printed(self) -> bool:
        """Whether it is read from the script's output, since there is no ledger."""
        return not self._tails

    def look(self) -> list[tuple[int, float]]:
        """What is new since the last look: step (from 1) and value, as a search is told."""
        found: list[tuple[int, float]] = []
        for each in self._new_rows():
            self.known |= dict.fromkeys(each.values)
            name = names.resolve(self._metric, each.values)
            if name is None:
                continue
            value = each.values[name]
            axis = each.epoch if each.kind == EPOCH else each.step
            if each.kind == SUMMARY:
                self._final = value
            elif axis is not None:
                self._axes.setdefault((each.kind, each.scope.fold), _Axis()).add(each, axis, value)
                if each.kind == self._kind:
                    found.append((self._num(), value))
        printed = self._printed.look() if self.is_printed else []
        at = len(self._printed.values) - len(printed)
        found += [(at + place, value) for place, value in enumerate(printed, 1)]
        return [(step, value) for step, value in found if _is_told(step) and math.isfinite(value)]

    def value(self) -> float | None:
        """The trial's: what it logged as final, else its best, over folds the mean of theirs.

        None: the number was never seen. NaN: it was, and never as a number.
        """
        if self._final is not None:
            return self._final
        bests = [
            self._best(axis.values.values())
            for (kind, _), axis in self._axes.items()
            if kind == self._kind
        ]
        if bests:
            return sum(bests) / len(bests)
        if self.is_printed and self._printed.values:
            return self._best(self._printed.values)
        return None

    def names(self) -> str:
        """The numbers it did log, or print, for an error about the one it did not."""
        found = list(self.known) or list(self._printed.known)
        return ", ".join(found[:_MOST_KNOWN])

    @property
    def _kind(self) -> str:
        """Epochs are compared where there are any, else steps."""
        return EPOCH if any(kind == EPOCH for kind, _ in self._axes) else STEP

    def _num(self) -> int:
        return sum(len(axis.values) for (kind, _), axis in self._axes.items() if kind == self._kind)

    def _best(self, values: Iterable[float]) -> float:
        finite = [value for value in values if math.isfinite(value)]
        return self._pick(finite) if finite else math.nan

    def _new_rows(self) -> Iterator[Row]:
        for stem in stems(self._run.dir, "metrics"):
            tail = self._tails.setdefault(stem, Tail(self._run.dir, stem))
            for record in tail.read():
                yield row(record, file=stem, segment=tail.segment)


def _is_told(step: int) -> bool:
    """Whether a step is told: of thousands, some hundred, the same in each trial."""
    return step <= _ALL_UNTIL or step % 10 ** (len(str(step)) - 2) == 0


class _Printed:
    """The same number in the lines that a script prints: ``epoch 3: val_loss 0.12``."""

    def __init__(self, log: str, metric: str, log_from: int) -> None:
        self._log, self._metric, self._at = log, metric, log_from
        self._rest = b""
        number = r"[-+]?(?:\d+\.?\d*(?:e[-+]?\d+)?|nan|inf)"
        self._exact = re.compile(
            rf"(?<![\w./-]){re.escape(metric)}['\"]?(?:\s*[:=]\s*|\s+)['\"]?({number})(?![\w%/]|\.\d)",
            re.IGNORECASE,
        )
        self.values: list[float] = []
        self.known: dict[str, None] = {}

    def look(self) -> list[float]:
        """What whole lines have said since the last look."""
        try:
            with open(self._log, "rb") as file:  # noqa: PTH123  (several times a second)
                file.seek(self._at)
                block = file.read(_BLOCK_BYTES)
        except OSError:
            return []
        self._at += len(block)
        *lines, self._rest = (self._rest + block).split(b"\n")
        self._rest = self._rest[-_LINE_BYTES:]
        found = []
        for line in lines:
            # Of a bar that was drawn again and again its last state counts.
            value = self._of_line(line.rstrip(b"\r").rpartition(b"\r")[2][:_LINE_BYTES])
            if value is not None:
                found.append(value)
        self.values += found
        return found

    def _of_line(self, line: bytes) -> float | None:
        exact = self._exact.search(line.decode("utf-8", "replace"))
        if exact is not None:
            return float(exact[1])
        seen = LastMetrics()
        seen.see_line(line, is_frame=False)
        said = seen.values()
        self.known |= dict.fromkeys(said)
        name = names.resolve(self._metric, said)
        return None if name is None else said[name]
