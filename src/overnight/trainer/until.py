"""The plan of a run that has to be over at a certain time: pure, with the clock handed in.

What was asked for is trimmed where it does not fit, and in this order of worth: first one whole
fold of the winner, then a quarter of the time for the search, then as many folds as were asked for,
then trials. The search goes on until the training has to begin, and the last fold until the model
has to be put together: none of the time is left over while there is something to do in it.

::

    planner = Planner(work, until_s, tell=say)
    planner.limits(seen)            # again and again while trials run
    planner.searched(work, epoch_s, num_trials)
    while planner.begins():         # a fold
        planner.epoch(took_s, eval_s), …, planner.is_time_up()
        planner.ends(whole=True)

Times are seconds of the wall clock: that is the one that shows 07:00.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from overnight.trainer.pace import Pace, Seen
from overnight.trainer.work import Work

#: Of the time, where folds would take all of it: what a search of a quarter finds is worth more
#: than the last of five folds.
_SEARCH_SHARE = 0.25
#: Before anything was measured.
_SEARCH_AT_MOST = 0.5
#: Kept free: a hundredth of the time, these seconds at least and at most.
_MARGIN_SHARE, _MARGIN_S = 0.01, (5.0, 120.0)
#: A fold that loses no more than a fifth of its epochs counts as one that fits: by then the
#: learning rate is low.
_ENOUGH = 0.8
#: A fold that does not fit is begun all the same where more than this would else be idle: ten
#: minutes, of a short run a twentieth of its time.
_IDLE_S, _IDLE_SHARE = 600.0, 0.05

Why = Literal[
    "start", "measured", "slower", "faster", "search_over", "fold_left_out", "fold_cut", "too_late"
]


@dataclass(frozen=True, slots=True)
class Limits:
    """What a search has to keep to.

    Attributes:
        n_trials: That end, at most.
        ends_us: When a running trial is cut, microseconds of the epoch; None: never.
    """

    n_trials: int
    ends_us: int | None


@dataclass(frozen=True, slots=True)
class Planned:
    """What fits.

    Attributes:
        num_trials: Of those asked for; 0 without a search.
        num_folds: Whole ones, or nearly so.
        search_ends_s: When the search is cut at the latest; None without one or when it is over.
        ends_s: When the run is going to be over.
        why: What made it so.
    """

    num_trials: int
    num_folds: int
    search_ends_s: float | None
    ends_s: float
    why: Why


@dataclass(slots=True)
class _Current:
    """The fold in progress: when it was begun, epochs before that and since, and their seconds."""

    begun_s: float
    known: int
    num: int = 0
    took_s: float = 0.0

    @property
    def epochs(self) -> int:
        return self.known + self.num


class Planner:
    """Decides what is begun and what is cut.

    Args:
        work: What was asked for.
        until_s: When the run has to be over; infinite: it ends when it is done.
        clock: The present.
        tell: Called with the plan whenever it changes.
    """

    def __init__(
        self,
        work: Work,
        until_s: float = math.inf,
        *,
        clock: Callable[[], float] = time.time,
        tell: Callable[[Planned], None] = lambda planned: None,
    ) -> None:
        self._work, self._clock, self._tell = work, clock, tell
        self._until_s, self._begun_s = until_s, clock()
        least_s, most_s = _MARGIN_S
        margin_s = min(most_s, max(least_s, _MARGIN_SHARE * (until_s - self._begun_s)))
        #: All but the margin is planned for.
        self._ends_s = until_s - margin_s
        self._pace = Pace(work)
        #: That have ended, once the search is over; None while it goes on.
        self._num_trials: int | None = None if work.num_trials else 0
        #: Folds that are begun, over or left out, and those of them that are members.
        self._num_begun = self._num_members = 0
        self._current: _Current | None = None
        self._said: Planned | None = None

    @property
    def is_bound(self) -> bool:
        """Whether there is a time at which it has to be over."""
        return math.isfinite(self._until_s)

    @property
    def num_folds(self) -> int:
        """Folds that are going to be there, as it was told last."""
        return self._work.num_folds if self._said is None else self._said.num_folds

    # ── the search ───────────────────────────────────────────────────────────────────────────

    def limits(self, seen: Sequence[Seen]) -> Limits:
        """How long the search may go on, from what was measured of its trials."""
        self._pace.see(seen)
        if not self.is_bound:
            return Limits(self._work.num_trials, None)
        self._replan()
        return Limits(self._work.num_trials, int(self._search_ends_s() * 1e6))

    def searched(self, work: Work, epoch_s: float | None, num_trials: int) -> None:
        """The search is over, in this attempt or in an earlier one.

        Args:
            work: What is left to do with the winner's values: its folds may have other epochs.
            epoch_s: An epoch of the winner, if there is one.
            num_trials: That have ended.
        """
        self._work = self._pace.work = work
        self._num_trials, self._pace.winner_s = num_trials, epoch_s
        self._replan("search_over")

    def _search_ends_s(self) -> float:
        span_s = self._ends_s - self._begun_s
        if self._pace.epoch_s is None:
            return self._begun_s + _SEARCH_AT_MOST * span_s
        for num in range(self._work.num_folds, 1, -1):
            ends_s = self._training_begins_s(num)
            if ends_s >= self._begun_s + _SEARCH_SHARE * span_s:
                return ends_s
        return self._training_begins_s(min(1, self._work.num_folds))

    def _training_begins_s(self, num_folds: int) -> float:
        return self._ends_s - self._pace.tail_s(num_folds) - num_folds * self._pace.fold_s()

    # ── the folds ────────────────────────────────────────────────────────────────────────────

    def known(self, epochs_s: Sequence[float], *, whole: bool = True, member: bool = True) -> None:
        """A fold that an earlier attempt has ended.

        Args:
            epochs_s: Seconds of its epochs.
            whole: Not cut by the time.
            member: Whether it is one.
        """
        self._num_begun += 1
        self._num_members += member
        for at, took_s in enumerate(epochs_s):
            self._pace.epoch(took_s, None, first=at == 0)
        if whole and epochs_s:
            self._pace.fold(len(epochs_s), None)

    def begins(self, *, epochs_done: int = 0) -> bool:
        """Whether another fold is begun; its time runs from here.

        Args:
            epochs_done: Of an earlier attempt.
        """
        left_s = self._cut_s() - self._clock()
        fits = left_s >= _ENOUGH * self._pace.fold_s(epochs_done)
        one_s = self._pace.start_s + (self._pace.epoch_s or 0.0)
        idle_s = min(_IDLE_S, _IDLE_SHARE * (self._until_s - self._begun_s))
        if not fits and self._num_members and left_s <= max(idle_s, one_s):
            self._num_begun = self._work.num_folds
            self._replan("fold_left_out")
            return False
        self._current = _Current(self._clock(), epochs_done)
        self._num_begun += 1
        self._replan(None if fits or self._num_members else "too_late")
        return True

    def epoch(self, took_s: float, eval_s: float | None = None) -> None:
        """An epoch of the fold in progress is over.

        Args:
            took_s: Seconds of all of it.
            eval_s: Of its evaluation.
        """
        assert self._current is not None
        self._current.num += 1
        self._current.took_s += took_s
        self._pace.epoch(took_s, eval_s, first=self._current.epochs == 1)
        self._replan()

    def is_time_up(self) -> bool:
        """Whether the fold in progress has to end now."""
        return self.is_bound and self._clock() >= self._cut_s()

    def ends(self, *, whole: bool, member: bool = True) -> None:
        """The fold in progress is over.

        Args:
            whole: Not cut by the time.
            member: Whether it becomes one; one that was cut may not.
        """
        current = self._current
        assert current is not None
        if whole:
            self._pace.fold(current.epochs, self._clock() - current.begun_s - current.took_s)
        self._num_members += member
        self._current = None
        self._replan(None if whole else "fold_cut")

    def _cut_s(self) -> float:
        """When the fold in progress ends at the latest; an evaluation is not interrupted."""
        return self._ends_s - self._pace.tail_s(self._num_members + 1) - self._pace.eval_s

    # ── the plan ─────────────────────────────────────────────────────────────────────────────

    def _replan(self, why: Why | None = None) -> None:
        """Works the plan out, and tells it where it is another."""
        if not self.is_bound:
            return
        said, is_measured = self._said, self._pace.epoch_s is not None
        planned = self._planned(why or ("measured" if is_measured else "start"))
        if why is None and said is not None and (said.why != "start" or not is_measured):
            if not _differs(planned, said):
                return
            grows = (planned.num_folds, planned.num_trials) > (said.num_folds, said.num_trials)
            planned = self._planned("faster" if grows else "slower")
        self._said = planned
        self._tell(planned)

    def _planned(self, why: Why) -> Planned:
        now_s = self._clock()
        if self._num_trials is not None:
            num_folds, over_s = self._folds_from(now_s)
            return Planned(self._num_trials, num_folds, None, over_s, why)
        ends_s = max(now_s, self._search_ends_s())
        num_trials, searched_s = self._trials_until(ends_s)
        num_folds, over_s = self._folds_from(searched_s)
        return Planned(num_trials, num_folds, ends_s, over_s, why)

    def _trials_until(self, ends_s: float) -> tuple[int, float]:
        """Trials that are going to have ended by then, and when the last of them has."""
        work, trial_s, now_s = self._work, self._pace.trial_s, self._clock()
        if not trial_s:
            return work.num_trials, ends_s
        trials = self._pace.trials
        ended = sum(each.state != "running" for each in trials)
        begun_s = sum(each.span_s for each in trials if each.state == "running")
        left = work.num_trials - ended
        fit = int(((ends_s - now_s) * work.workers + begun_s) / trial_s)
        if fit < left:
            return ended + fit, ends_s
        return work.num_trials, now_s + max(0.0, left * trial_s - begun_s) / work.workers

    def _folds_from(self, at_s: float) -> tuple[int, float]:
        """Folds, with those that are there, if the next begins then; and the run's end."""
        work, pace, num = self._work, self._pace, self._num_members
        left = work.num_folds - self._num_begun
        if pace.epoch_s is None:
            return num + (self._current is not None) + left, self._ends_s
        whole_s = pace.fold_s()
        ahead_s = [whole_s] * left
        if self._current is not None:
            ahead_s.insert(0, max(0.0, pace.fold_epochs - self._current.epochs) * pace.epoch_s)
        for takes_s in ahead_s:
            lost_s = at_s + takes_s - (self._ends_s - pace.tail_s(num + 1))
            # What was promised is not taken back for a little, nor promised anew for one.
            is_promised = self._said is None or num < self._said.num_folds
            if num and lost_s > ((1 - _ENOUGH) * whole_s if is_promised else 0.0):
                break
            at_s, num = at_s + takes_s, num + 1
        return num, min(self._ends_s, at_s + pace.tail_s(num))


def _differs(one: Planned, other: Planned) -> bool:
    """Whether a person would want to hear of it: a trial more or less of many is none."""
    changed = abs(one.num_trials - other.num_trials)
    return one.num_folds != other.num_folds or changed >= max(2, 0.2 * other.num_trials)
