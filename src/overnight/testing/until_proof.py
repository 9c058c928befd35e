"""The proof that a run with ``--until`` ends in time: five nights, with the real planner.

``python -m overnight.testing.until_proof --seed 7``. The clock is a number that the simulated
trainer moves on: it draws how long each epoch takes, how early a trial is pruned or a fold stops,
and how long it takes to put the model together and to predict. The planner decides all the rest as
in a real run. Counted: nights that end late, and nights that end more than ten minutes early though
there was something left to do.
"""

from __future__ import annotations

import argparse
import random
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from overnight.trainer.pace import Seen
from overnight.trainer.until import Planned, Planner
from overnight.trainer.work import Work

_HOUR_S = 3600.0
#: The search asks for its limits as often, and a fold looks at the clock.
_POLL_S, _STEP_S = 10.0, 1.0
#: What the proof holds a night to: not late, and no more idle than this.
IDLE_S = 600.0


@dataclass(frozen=True, slots=True)
class Night:
    """What a night is like.

    Attributes:
        name: In the table.
        work: What is asked for.
        hours: From its beginning until it has to be over.
        epoch_s: An epoch, when nobody disturbs.
        noise: Standard deviation of an epoch's time, as a share.
        slow_h: From when to when a neighbour takes half of the machine; (0, 0): nobody does.
        stops_at: Shares of its epochs after which a fold stops early; (1, 1): none does.
        first_factor: How much longer the first epoch of each fit takes.
    """

    name: str
    work: Work
    hours: float
    epoch_s: float
    noise: float = 0.02
    slow_h: tuple[float, float] = (0.0, 0.0)
    stops_at: tuple[float, float] = (1.0, 1.0)
    first_factor: float = 1.0


@dataclass(slots=True)
class Outcome:
    """How a night went.

    Attributes:
        trials: That have ended.
        whole: Folds with all of their epochs.
        cut: Folds that were ended by the time.
        plans: As they were told.
        late_s: Its end behind the time it was given; negative: before.
        all_done: Whether nothing was left to do: behind the search, that is every fold.
    """

    trials: int = 0
    whole: int = 0
    cut: int = 0
    plans: list[Planned] = field(default_factory=list)
    late_s: float = 0.0
    all_done: bool = False

    @property
    def holds(self) -> bool:
        """Whether it is in time, and idle only where nothing was left to do."""
        return self.late_s <= 0 and (self.late_s >= -IDLE_S or self.all_done)


def nights() -> list[Night]:
    """The five."""
    usual = Work(
        num_folds=5,
        epochs=30,
        num_trials=20,
        trial_epochs=30,
        num_train=40_000,
        num_valid=10_000,
        num_views=20_000,
    )
    early = replace(usual, epochs=60, trial_epochs=60, stops_early=True)
    two = replace(usual, num_trials=40, trial_epochs=10, trial_folds=2, workers=2)
    return [
        Night("steady", usual, hours=9.0, epoch_s=150.0),
        Night("noisy", two, hours=9.0, epoch_s=160.0, noise=0.25),
        Night("a neighbour from 3 am", usual, hours=8.5, epoch_s=130.0, slow_h=(4.5, 24.0)),
        Night("early stopping", early, hours=9.0, epoch_s=90.0, noise=0.05, stops_at=(0.45, 0.6)),
        Night("wrong first estimate", usual, hours=8.0, epoch_s=90.0, noise=0.05,
              slow_h=(0.0, 0.75), first_factor=4.0),
    ]  # fmt: skip


class Simulated:
    """One night: a clock, a trainer that draws, and the planner.

    Args:
        night: What it is like.
        seed: Of all that is drawn.
    """

    def __init__(self, night: Night, seed: int) -> None:
        self._night, self._work, self._rng = night, night.work, random.Random(seed)
        self._now_s = 0.0
        self._until_s = night.hours * _HOUR_S
        self.outcome = Outcome()
        self._planner = Planner(
            night.work, self._until_s, clock=lambda: self._now_s, tell=self.outcome.plans.append
        )

    def run(self) -> Outcome:
        """From evening to morning."""
        self._spend(self._rng.uniform(5, 40))  # the data are looked at
        self._search()
        self._folds()
        self._leave()
        found, work = self.outcome, self._work
        found.late_s = self._now_s - self._until_s
        found.all_done = found.whole >= work.num_folds
        return found

    def epoch_s(self, nth: int) -> float:
        """The work in the nth epoch of a fit: seconds, if nobody disturbs."""
        night = self._night
        span_s = night.epoch_s * max(0.3, self._rng.gauss(1, night.noise))
        return span_s * (night.first_factor if nth == 1 else 1.0)

    def _spend(self, work_s: float, *, cut: bool = False) -> bool:
        """Lets work take its time; False where a fold is cut in the middle of it."""
        while work_s > 0:
            from_h, to_h = self._night.slow_h
            is_slow = from_h <= self._now_s / _HOUR_S < to_h
            done_s = min(work_s, _STEP_S / 2 if is_slow else _STEP_S)
            self._now_s += done_s * (2 if is_slow else 1)
            work_s -= done_s
            if cut and self._planner.is_time_up():
                return False
        return True

    # ── the search ───────────────────────────────────────────────────────────────────────────

    def _search(self) -> None:
        work, polled_s = self._work, -_POLL_S
        running = [_Trial(number, self) for number in range(work.workers)]
        ended: list[Seen] = []
        next_number = work.workers
        while running:
            if self._now_s - polled_s >= _POLL_S:
                polled_s = self._now_s
                seen = [*ended, *(trial.seen("running") for trial in running)]
                ends_us = self._planner.limits(seen).ends_us
                if ends_us is not None and self._now_s * 1e6 >= ends_us:
                    ended += [trial.seen("pruned") for trial in running]
                    break
            begun_s = self._now_s
            self._spend(_STEP_S)
            for trial in list(running):
                if trial.goes_on(self._now_s - begun_s, _STEP_S):
                    continue
                running.remove(trial)
                ended.append(trial.seen(trial.state))
                self.outcome.trials += 1
                if next_number < work.num_trials:
                    running.append(_Trial(next_number, self))
                    next_number += 1
        self._spend(self._rng.uniform(1, 10))  # the workers leave
        whole = [each for each in ended if each.state == "complete"]
        self._planner.limits(ended)
        winner_s = self._rng.choice(whole).epoch_s if whole else None
        self._planner.searched(self._work, winner_s, len(ended))

    # ── the folds and what follows ───────────────────────────────────────────────────────────

    def _folds(self) -> None:
        for _ in range(self._work.num_folds):
            if not self._planner.begins():
                return
            whole = self._fold()
            self.outcome.whole += whole
            self.outcome.cut += not whole
            self._planner.ends(whole=whole, member=whole or self._rng.random() < 0.5)

    def _fold(self) -> bool:
        if not self._spend(self._rng.uniform(5, 25), cut=True):
            return False
        share = self._night.work.num_valid / (3 * self._work.num_train + self._work.num_valid)
        for nth in range(1, self.length(self._work.epochs) + 1):
            span_s, begun_s = self.epoch_s(nth), self._now_s
            if not self._spend(span_s * (1 - share), cut=True):
                return False
            eval_s = self._now_s
            self._spend(span_s * share)  # an evaluation is not cut
            self._planner.epoch(self._now_s - begun_s, self._now_s - eval_s)
        return True

    def length(self, most: int) -> int:
        """Epochs after which a fit stops."""
        return max(1, round(most * self._rng.uniform(*self._night.stops_at)))

    def _leave(self) -> None:
        work, members = self._work, self.outcome.whole + self.outcome.cut
        self._spend(self._rng.uniform(6, 12) + members)
        look_s = self._night.epoch_s / (3 * work.num_train + work.num_valid)
        self._spend(members * work.num_views * look_s * self._rng.uniform(0.9, 1.2))
        self._spend(self._rng.uniform(2, 5))


class _Trial:
    """A trial that is running: moved on second by second.

    Args:
        number: Its.
        night: Whose.
    """

    def __init__(self, number: int, night: Simulated) -> None:
        self.number, self._night = number, night
        work, rng = night._work, night._rng
        most = work.trial_folds * night.length(work.trial_epochs)
        is_pruned = number > 4 and rng.random() < 0.5
        self.state: str = "pruned" if is_pruned else "complete"
        self._length = max(1, round(most * rng.uniform(0.1, 0.5))) if is_pruned else most
        self._took_s: list[float] = []
        self._left_s, self._spent_s = night.epoch_s(1), 0.0

    def goes_on(self, clock_s: float, work_s: float) -> bool:
        """Moves on; False when it is over."""
        self._spent_s += clock_s
        self._left_s -= work_s
        if self._left_s <= 0:
            self._took_s.append(self._spent_s)
            self._spent_s = 0.0
            self._left_s += self._night.epoch_s(len(self._took_s) + 1)
        return len(self._took_s) < self._length

    def seen(self, state: str) -> Seen:
        """What is measured of it."""
        took = self._took_s
        epoch_s = sum(took) / len(took) if took else None
        return Seen(self.number, state, len(took), epoch_s)  # type: ignore[arg-type]


def main(arguments: Sequence[str] | None = None) -> int:
    """Prints a table of the nights; 1 where one does not hold."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--plans", action="store_true", help="print each plan as it is told")
    options = parser.parse_args(arguments)
    _say("night                  asked            trials  folds  cut  plans  ends at   late by")
    holds = True
    for number, night in enumerate(nights()):
        found = Simulated(night, options.seed + number).run()
        holds &= found.holds
        asked = f"{night.work.num_trials} trials, {night.work.num_folds} folds"
        ends_s = night.hours * _HOUR_S + found.late_s
        remark = "" if found.holds else "  DOES NOT HOLD"
        remark = remark or ("  all done" if found.all_done else "")
        _say(
            f"{night.name:<22} {asked:<19} {found.trials:3}   {found.whole:4} {found.cut:4}"
            f"  {len(found.plans):5}   {_clock(ends_s)}  {found.late_s / 60:+7.1f} min{remark}"
        )
        for planned in found.plans if options.plans else ():
            _say(f"    {planned}")
    _say("holds" if holds else "DOES NOT HOLD")
    return 0 if holds else 1


def _clock(seconds: float) -> str:
    minutes = int(seconds // 60)
    return f"{minutes // 60} h {minutes % 60:02} m"


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")


if __name__ == "__main__":
    sys.exit(main())
