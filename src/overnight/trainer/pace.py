"""How long a run's parts take, from what was measured of them; what was not yet is estimated.

All that is asked for is counted in epochs (work.py); here they become seconds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, median
from typing import Literal

from overnight.trainer.work import Work

#: Epochs that tell the pace, and those that tell whether it has changed: a neighbour has come, if
#: the newest differ by more than a quarter.
_LONG, _RECENT, _CHANGED = 20, 5, 0.25
#: What a first epoch tells of those after it: it fills caches and compiles, and may be twice as
#: long and more. Whoever believes it ends a search that has hardly begun.
_FIRST = 0.5
#: A process that imports torch and a model that is built, until a fold was timed.
_START_S = 20.0
#: The model folder, out-of-fold files and pictures, and as much again for each member; the
#: report behind the process.
_LEAVE_S, _MEMBER_S, _REPORT_S = 12.0, 2.0, 5.0
#: A prediction's own beginning, and what it may take beside the members' looks.
_PREDICT_S, _PREDICT_FACTOR = 5.0, 1.25


@dataclass(frozen=True, slots=True)
class Seen:
    """What was measured of a trial.

    Attributes:
        number: The trial's.
        epochs: That are over, of all its folds.
        epoch_s: Mean seconds of one; None before the first is over.
    """

    number: int
    state: Literal["running", "complete", "pruned", "failed"]
    epochs: int
    epoch_s: float | None

    @property
    def span_s(self) -> float:
        """What its epochs have taken."""
        return self.epochs * (self.epoch_s or 0.0)


class Pace:
    """What was measured, and what follows from it.

    Args:
        work: What was asked for.
    """

    def __init__(self, work: Work) -> None:
        self.work = work
        self._trials: dict[int, Seen] = {}
        #: Epochs as they came, but for the first of each fit: it fills caches.
        self._trial_epochs_s: list[float] = []
        self._epochs_s: list[float] = []
        self._first_s: float | None = None
        #: Of an evaluation, and of the search's winner, where they are known.
        self._eval_s: float | None = None
        self.winner_s: float | None = None
        self._lengths: list[int] = []
        self._starts_s: list[float] = []

    # ── measured ─────────────────────────────────────────────────────────────────────────────

    def see(self, trials: Sequence[Seen]) -> None:
        """All that is known of the search's trials."""
        for each in trials:
            before = self._trials.get(each.number)
            if before is not None and before.epochs:
                more, more_s = each.epochs - before.epochs, each.span_s - before.span_s
            else:  # the first of several cannot be told from the others
                more, more_s = each.epochs - 1, (each.epochs - 1) * (each.epoch_s or 0.0)
            if more > 0:
                self._trial_epochs_s += [more_s / more] * min(more, _RECENT)
            self._trials[each.number] = each

    def epoch(self, took_s: float, eval_s: float | None, *, first: bool) -> None:
        """An epoch of a fold is over."""
        if first:
            self._first_s = took_s
        else:
            self._epochs_s.append(took_s)
        self._eval_s = self._eval_s if eval_s is None else eval_s

    def fold(self, num_epochs: int, start_s: float | None) -> None:
        """A whole fold is over; ``start_s``: what it took beside its epochs."""
        self._lengths.append(num_epochs)
        if start_s is not None:
            self._starts_s.append(max(0.0, start_s))

    # ── what follows ─────────────────────────────────────────────────────────────────────────

    @property
    def trials(self) -> Sequence[Seen]:
        """By their numbers."""
        return [self._trials[number] for number in sorted(self._trials)]

    @property
    def epoch_s(self) -> float | None:
        """Seconds of an epoch; None before one was measured."""
        if self._epochs_s:
            return _newest(self._epochs_s)
        if self.winner_s is not None:
            return self.winner_s
        if self._trial_epochs_s:
            return _newest(self._trial_epochs_s)
        firsts_s = [each.epoch_s for each in self.trials if each.epoch_s is not None]
        firsts_s += [] if self._first_s is None else [self._first_s]
        return _FIRST * firsts_s[0] if firsts_s else None

    @property
    def trial_s(self) -> float:
        """Seconds of a trial, those that are cut short among them."""
        spans_s = [each.span_s for each in self.trials if each.state != "running" and each.epochs]
        if spans_s:
            return fmean(spans_s)
        return self.work.trial_folds * self.work.trial_epochs * (self.epoch_s or 0.0)

    @property
    def start_s(self) -> float:
        """What a fold takes beside its epochs."""
        return fmean(self._starts_s[-_RECENT:]) if self._starts_s else _START_S

    @property
    def fold_epochs(self) -> float:
        """How many a fold is going to have."""
        work = self.work
        if not work.stops_early:
            return work.epochs
        if self._lengths:
            return fmean(self._lengths)
        most = work.trial_folds * work.trial_epochs
        trials = [
            each.epochs / work.trial_folds if each.epochs < most else float(work.epochs)
            for each in self.trials
            if each.state == "complete"
        ]
        return min(float(work.epochs), fmean(trials)) if trials else work.epochs

    def fold_s(self, epochs_done: int = 0) -> float:
        """Seconds of a fold from its beginning, where so many epochs are over already."""
        left = max(1.0, self.fold_epochs - epochs_done)
        return self.start_s + left * (self.epoch_s or 0.0)

    @property
    def eval_s(self) -> float:
        """Seconds of a fold's evaluation."""
        if self._eval_s is not None:
            return self._eval_s
        return self.work.evaluation_s(self.epoch_s or 0.0)

    def tail_s(self, num_members: int) -> float:
        """What comes behind the last fold: out-of-fold, calibration, model, prediction, report."""
        work = self.work
        if not work.num_folds:
            return _REPORT_S
        leave_s = _LEAVE_S + num_members * _MEMBER_S + _REPORT_S
        if not work.num_views:
            return leave_s
        look_s = _PREDICT_FACTOR * self.eval_s / work.num_valid
        return leave_s + _PREDICT_S + num_members * work.num_views * look_s


def _newest(epochs_s: Sequence[float]) -> float:
    """Seconds of an epoch from now on."""
    recent_s, long_s = median(epochs_s[-_RECENT:]), fmean(epochs_s[-_LONG:])
    return recent_s if abs(recent_s - long_s) > _CHANGED * long_s else long_s
