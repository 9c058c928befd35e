"""How many ranges of the time left hold the true end, on machines that wander. Counts, not times.

Trainings of a minute and a half are played on a clock of their own: nothing is run, nothing waits.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from math import exp, sqrt

import pytest

from overnight.supervisor.progress import Progress

_SEEDS = range(12)
_SHARES = (0.1, 0.25, 0.5)
_LOOK_S = 1.0


class _Machine:
    """A clock on which work takes as long as the machine's mood of that second makes it.

    Args:
        wander: Spread of its speed, as a share.
        lasting_s: For how long it stays as slow or fast as it is.
    """

    def __init__(self, seed: int, wander: float, lasting_s: float) -> None:
        self._random = random.Random(seed)
        self._wander = wander
        self._keeps = exp(-1 / lasting_s)
        self._moods: list[float] = []
        self._mood = self._random.gauss(0, wander)
        self.now_s = 0.0

    def work(self, seconds: float) -> None:
        while seconds > 1e-9:
            slow = self._slowness(int(self.now_s))
            step = min(seconds * slow, int(self.now_s) + 1 - self.now_s)
            self.now_s += step
            seconds -= step / slow

    def _slowness(self, second: int) -> float:
        while len(self._moods) <= second:
            new = sqrt(1 - self._keeps**2) * self._random.gauss(0, self._wander)
            self._mood = self._keeps * self._mood + new
            self._moods.append(exp(self._mood))
        return self._moods[second]


def _long_epochs(machine: _Machine) -> Iterator[str]:
    machine.work(4)
    for n in range(1, 37):
        machine.work(2.6)
        yield f"Epoch {n}/36 train_loss 0.5 accuracy 0.5\n"
    machine.work(0.5)


def _short_epochs(machine: _Machine) -> Iterator[str]:
    machine.work(2)
    for n in range(1, 251):
        machine.work(0.34)
        yield f"[{n:3d}/250] acc=0.310 f1=0.300 (0.3s)\n"
    machine.work(0.5)


def _epochs_with_a_bar(machine: _Machine) -> Iterator[str]:
    machine.work(9)
    for n in range(1, 13):
        yield f"Epoch {n}/12\n"
        for step in range(2, 51, 2):
            machine.work(0.22)
            yield f"\r{step}/50 ━━━━━━ 1s 20ms/step - accuracy: 0.3 - loss: 1.9"
        machine.work(0.6)
        yield "\r50/50 ━━━━━━ 3s 20ms/step - accuracy: 0.3 - val_loss: 1.8\n"
    machine.work(1)


def _steps_with_evaluations(machine: _Machine) -> Iterator[str]:
    machine.work(7)
    drawn_s = 0.0
    for step in range(1, 1501):
        machine.work(0.045)
        if machine.now_s - drawn_s >= 5:
            drawn_s = machine.now_s
            yield f"\r{step // 15:3d}%|### | {step}/1500 [00:20<01:00, 20.1it/s]"
        if step % 125 == 0:
            machine.work(0.5)
            yield f"\n{{'eval_loss': '2.1', 'epoch': '{step // 125}'}}\n"
    machine.work(1.5)


_TRAININGS = (_long_epochs, _short_epochs, _epochs_with_a_bar, _steps_with_evaluations)


def _ranges(wander: float, lasting_s: float) -> Iterator[tuple[float, tuple[float, float], float]]:
    """Share of the run, the range that was told there, and the true time left."""
    for training in _TRAININGS:
        for seed in _SEEDS:
            machine = _Machine(seed, wander, lasting_s)
            printed = [(machine.now_s, text) for text in training(machine)]
            end_s = machine.now_s
            progress, now_s = Progress(), 0.0
            for share in _SHARES:
                while now_s + _LOOK_S <= share * end_s:
                    now_s += _LOOK_S
                    for _, text in (e for e in printed if now_s - _LOOK_S < e[0] <= now_s):
                        progress.feed_log(text.encode(), now_s)
                estimate = progress.estimate(now_s)
                if estimate is not None and estimate.remaining_s is not None:
                    yield share, estimate.remaining_s, end_s - now_s


@pytest.mark.parametrize(
    ("wander", "lasting_s", "least_held"), [(0.0, 20.0, 1.0), (0.2, 20.0, 0.85), (0.3, 40.0, 0.7)]
)
def test_most_ranges_hold_the_true_end(wander: float, lasting_s: float, least_held: float) -> None:
    told = list(_ranges(wander, lasting_s))
    held = sum(low - _LOOK_S <= left_s <= high + _LOOK_S for _, (low, high), left_s in told)
    print(f"wander {wander}: {held} of {len(told)} held")
    assert held >= least_held * len(told)


def test_a_short_training_is_told_its_time_left_by_a_quarter_of_it() -> None:
    told = list(_ranges(0.0, 20.0))
    for share in (0.25, 0.5):
        assert sum(each[0] == share for each in told) == len(_TRAININGS) * len(_SEEDS)
    halves = sorted((high - low) / (high + low) for _, (low, high), _ in told)
    assert halves[len(halves) // 2] <= 0.4, "a range that holds everything says nothing"
