"""The answer: how far, and how long still."""

from __future__ import annotations

from dataclasses import dataclass
from math import floor
from typing import Literal

from overnight.supervisor.progress.bars import Bar
from overnight.supervisor.progress.epochs import EpochCount
from overnight.supervisor.progress.framework import FrameworkEta
from overnight.supervisor.progress.pace import Pace

# Below this share of the run, and before two units, a time left would be a guess.
_LEAST_SHARE = 0.03
_LEAST_UNITS = 2
# Until an epoch was timed from end to end its validation and saving are unknown; between a tenth
# and a third of an epoch is common.
_UNSEEN_VALIDATION = 1.3
# The first epoch may fill caches and compile: those after it took half as long, and less.
_SLOW_FIRST = 0.5

EarlyStopping = Literal["off", "on", "fired"]


Source = Literal["job", "framework", "epochs", "bar"]


@dataclass(frozen=True, slots=True)
class Estimate:
    """How far the run is.

    Attributes:
        done: Units that are over.
        total: Units of the whole run; None where the log does not tell.
        unit: ``epoch``, ``step``, or the job's own word.
        fraction: Share of the whole run, 0..1.
        remaining_s: Seconds left, lowest and highest; None until it can be known, and again when
            all that was counted is over (what may follow was not counted).
        at_most: Early stopping is on or was seen, so the highest is an upper bound.
        source: Where it is from, the most trusted first.
    """

    done: float | None
    total: float | None
    unit: str
    fraction: float | None
    remaining_s: tuple[float, float] | None
    at_most: bool
    source: Source


@dataclass(frozen=True, slots=True)
class Passes:
    """Passes over all the epochs: one, or as many as there are folds."""

    num: int
    over: int
    pace: Pace


def of_bar(bar: Bar, unit: str, source: Source, *, at_most: bool, now_s: float) -> Estimate:
    """From one count that spans the run."""
    left = bar.total - bar.done
    share = bar.done / bar.total
    # A long bar of few units (epochs, say) has its third percent within the first, slow one.
    enough = share >= _LEAST_SHARE and bar.done >= min(_LEAST_UNITS, bar.total / 2)
    remaining = bar.pace.remaining((left, left), now_s) if left > 0 and enough else None
    return Estimate(bar.done, bar.total, unit, share, remaining, at_most, source)


def of_framework(eta: FrameworkEta, *, at_most: bool, now_s: float) -> Estimate:
    """From what the framework prints."""
    remaining = eta.remaining(now_s)
    share = eta.share
    if share is None and remaining is not None:
        left_s = sum(remaining) / 2
        share = now_s / (now_s + left_s) if now_s + left_s > 0 else None
    if share is not None and share < _LEAST_SHARE:
        remaining = None
    return Estimate(None, None, "", share, remaining, at_most, "framework")


def of_epochs(
    count: EpochCount,
    total: tuple[int, int],
    passes: Passes,
    *,
    early: EarlyStopping,
    now_s: float,
) -> Estimate:
    """From the epochs that are over, and the folds.

    Args:
        count: The epochs of the present pass.
        total: Fewest and most epochs of a pass.
        passes: The folds, or a single pass.
        early: Whether early stopping may end the pass, or just did.
        now_s: Seconds since the attempt's start.
    """
    whole_run = float(total[0] * passes.num)
    before = passes.over * total[0]
    done = float(before + min(count.completed, total[0]))
    position = before + min(count.position, float(total[0]))
    pass_s = _left_of_pass(count, total, position / whole_run, early, now_s)
    remaining = None
    if pass_s is not None and done < whole_run:
        remaining = _with_other_passes(count, total, passes, pass_s)
        last, cost = count.whole.last, count.whole.cost()
        if last is not None and cost is not None and cost.mid > 0:
            # By time, where an epoch's is known: steps leave out its validation.
            timed = total[0] - sum(pass_s) / 2 / cost.mid
            position = before + min(count.completed + 0.99, max(float(count.completed), timed))
    share = min(1.0, max(done, position) / whole_run)
    return Estimate(done, whole_run, "epoch", share, remaining, early != "off", "epochs")


def _left_of_pass(
    count: EpochCount, total: tuple[int, int], share: float, early: EarlyStopping, now_s: float
) -> tuple[float, float] | None:
    whole_epochs = count.completed >= _LEAST_UNITS or count.passes > 0
    if whole_epochs and count.whole.last is not None and count.whole.units > 0:
        found = count.whole.remaining(_left(total, count.whole.last[1]), now_s)
    elif share >= _LEAST_SHARE and count.fine.last is not None:
        found = count.fine.remaining(_left(total, count.fine.last[1]), now_s)
        if found is not None:
            more = total[0] - count.fine.last[1] > 1
            found = found[0] * (_SLOW_FIRST if more else 1.0), found[1] * _UNSEEN_VALIDATION
    else:
        return None
    if found is not None and early != "off":
        return 0.0, found[1]  # it may stop any time
    return found


def _left(total: tuple[int, int], done: float) -> tuple[float, float]:
    """Fewest and most epochs left, where ``done`` of them were when they were last counted.

    A bar that is full leaves the validation, which may be most of an epoch: at the most, the epoch
    it belongs to has just begun.
    """
    return max(0.0, total[0] - done), max(0.0, total[1] - floor(done + 1e-9))


def _with_other_passes(
    count: EpochCount, total: tuple[int, int], passes: Passes, pass_s: tuple[float, float]
) -> tuple[float, float]:
    left = passes.num - passes.over - 1
    if left <= 0:
        return pass_s
    fold = passes.pace.cost()
    if fold is not None:
        return pass_s[0] + left * fold.low, pass_s[1] + left * fold.high
    epoch = count.whole.cost() or count.fine.cost()
    if epoch is None:
        return pass_s
    low, high = total[0] * epoch.low, total[1] * epoch.high
    return pass_s[0] + left * low, pass_s[1] + left * high
