"""The plan of a run that has to be over in time, with a clock that the test moves."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import pytest

from overnight.testing import until_proof
from overnight.testing.until_proof import Simulated, nights
from overnight.trainer.pace import Pace, Seen
from overnight.trainer.until import Planned, Planner
from overnight.trainer.work import Work, after_search

HOUR_S = 3600.0


@dataclass
class Bench:
    """A planner, its clock, and what it has told."""

    work: Work
    until_s: float
    now_s: float = 0.0
    told: list[Planned] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.planner = Planner(
            self.work, self.until_s, clock=lambda: self.now_s, tell=self.told.append
        )

    def fold(self, num_epochs: int, epoch_s: float) -> bool:
        """Trains a fold as far as there is time; whether it became whole."""
        for _ in range(num_epochs):
            for _ in range(10):
                self.now_s += epoch_s / 10
                if self.planner.is_time_up():
                    self.planner.ends(whole=False)
                    return False
            self.planner.epoch(epoch_s, epoch_s / 20)
        self.planner.ends(whole=True)
        return True


FOLDS = Work(num_folds=5, epochs=10, num_train=3200, num_valid=800, num_views=1000)
SEARCH = Work(
    num_folds=5, epochs=10, num_trials=20, trial_epochs=10, num_train=3200, num_valid=800,
    num_views=1000,
)  # fmt: skip


def test_without_a_time_nothing_is_trimmed_and_nothing_is_told() -> None:
    bench = Bench(SEARCH, float("inf"))
    assert bench.planner.limits([]).ends_us is None
    bench.planner.searched(SEARCH, 60.0, 20)
    for _ in range(5):
        assert bench.planner.begins()
        assert bench.fold(10, 3600.0)
    assert bench.told == []


def test_the_search_ends_when_the_folds_have_to_begin() -> None:
    bench = Bench(SEARCH, 3 * HOUR_S)
    assert bench.planner.limits([]).ends_us == pytest.approx(1.5 * HOUR_S * 1e6, rel=0.02)
    assert bench.told[-1].why == "start"
    bench.now_s = 600.0
    ends_us = bench.planner.limits([Seen(0, "complete", 10, 60.0)]).ends_us
    # Five folds of ten minutes each, and what follows them.
    assert ends_us is not None
    assert 1.9 * HOUR_S < ends_us / 1e6 < 2.2 * HOUR_S
    assert (bench.told[-1].num_folds, bench.told[-1].why) == (5, "measured")
    assert 10 <= bench.told[-1].num_trials < 20


def test_a_quarter_of_the_time_is_the_searchs_and_one_fold_comes_before_it() -> None:
    bench = Bench(SEARCH, 3 * HOUR_S)
    bench.planner.limits([Seen(0, "complete", 10, 200.0)])  # five folds would take all of it
    ends_us = bench.planner.limits([Seen(0, "complete", 10, 200.0)]).ends_us
    assert ends_us is not None
    assert ends_us / 1e6 >= 0.25 * 2.9 * HOUR_S
    assert bench.told[-1].num_folds == 3
    bench = Bench(SEARCH, 3 * HOUR_S)
    ends_us = bench.planner.limits([Seen(0, "running", 2, 1100.0)]).ends_us
    assert ends_us is not None
    assert ends_us <= 0, "one fold is all that fits"
    assert bench.told[-1].num_folds == 1


def test_a_fold_that_does_not_fit_is_left_out_and_the_rest_of_the_time_is_used() -> None:
    bench = Bench(FOLDS, 3200.0)
    for _ in range(2):
        assert bench.planner.begins()
        assert bench.fold(10, 150.0)
    assert not bench.planner.begins(), "less than a twentieth of the time is left"
    assert bench.told[-1].why == "fold_left_out"
    assert bench.told[-1].num_folds == 2

    bench = Bench(FOLDS, 1.15 * HOUR_S)
    for _ in range(2):
        assert bench.planner.begins()
        assert bench.fold(10, 150.0)
    assert bench.planner.begins(), "half of a fold fits: it may be good enough"
    assert not bench.fold(10, 150.0)
    assert bench.told[-1].why == "fold_cut"
    assert 1.15 * HOUR_S - 180 < bench.now_s < 1.15 * HOUR_S


def test_a_neighbour_who_comes_costs_folds_and_that_is_told_once() -> None:
    bench = Bench(FOLDS, 3 * HOUR_S)
    assert bench.planner.begins()
    assert bench.fold(10, 150.0)
    assert bench.told[-1].num_folds == 5
    before = len(bench.told)
    assert bench.planner.begins()
    assert bench.fold(10, 400.0)
    assert bench.told[-1].num_folds < 5
    assert bench.told[-1].why == "slower"
    assert len(bench.told) - before <= 3


def test_too_little_time_still_begins_one_fold_and_says_so() -> None:
    bench = Bench(FOLDS, 30.0)
    assert bench.planner.begins()
    assert bench.told[-1].why == "too_late"
    bench.now_s = 20.0
    assert bench.planner.is_time_up()
    bench.planner.ends(whole=False)
    assert not bench.planner.begins()


def test_what_an_earlier_attempt_has_measured_is_known() -> None:
    bench = Bench(FOLDS, 2 * HOUR_S)
    bench.planner.known([400.0, *[100.0] * 9])
    assert bench.planner.begins(epochs_done=5)
    assert bench.told[-1].num_folds == 5
    assert bench.told[-1].ends_s == pytest.approx(5 * 100 + 3 * (20 + 1000) + 50, rel=0.05)


def test_the_time_is_over_after_a_resume_and_the_best_so_far_is_all_there_is() -> None:
    bench = Bench(FOLDS, HOUR_S, now_s=2 * HOUR_S)
    bench.planner.known([100.0] * 10)
    assert not bench.planner.begins()


def test_folds_that_stop_early_are_expected_to_do_so_again() -> None:
    work = Work(num_folds=5, epochs=100, num_trials=4, trial_epochs=100, stops_early=True)
    pace = Pace(work)
    assert pace.fold_epochs == 100
    pace.see([Seen(0, "complete", 40, 10.0), Seen(1, "pruned", 3, 10.0)])
    assert pace.fold_epochs == 40
    pace.fold(60, 5.0)
    assert pace.fold_epochs == 60
    assert pace.fold_s() == 5.0 + 600.0


def test_a_first_epoch_is_not_taken_for_the_pace() -> None:
    pace = Pace(FOLDS)
    assert pace.epoch_s is None
    pace.epoch(500.0, None, first=True)
    assert pace.epoch_s == 250.0, "those after it are quicker"
    pace.epoch(100.0, 10.0, first=False)
    assert pace.epoch_s == 100.0
    assert pace.eval_s == 10.0
    for _ in range(10):
        pace.epoch(100.0, 10.0, first=False)
    for took_s in (200.0, 200.0, 200.0):
        pace.epoch(took_s, 20.0, first=False)
    assert pace.epoch_s == 200.0, "a neighbour has come"


@pytest.mark.parametrize("seed", range(3))
def test_simulated_nights_end_in_time(seed: int) -> None:
    for number, night in enumerate(nights()):
        found = Simulated(night, seed * 100 + number).run()
        assert found.holds, (night.name, found.late_s)
        assert found.whole >= 1


def test_the_proof_holds_strictly_on_its_own_nights(capsys: pytest.CaptureFixture[str]) -> None:
    assert until_proof.main(["--seed", "7"]) == 0
    out = capsys.readouterr().out
    assert out.endswith("holds\n")
    late = [float(line.split(" min")[0].rpartition(" ")[2]) for line in out.splitlines()[1:6]]
    assert all(-10 <= minutes <= 0 for minutes in late)


def test_what_a_spec_asks_for_is_counted_in_epochs(tmp_path: Path) -> None:
    from overnight import spec as specs
    from overnight.tasks.base import DataIndex, Example, Scope
    from overnight.testing.sessions import small_config
    from overnight.trainer.kept import Plan

    search = "tuning: {n_trials: 3, epochs: 1, folds: 2, workers: 2}\nauto_continue: true\n"
    config = small_config(tmp_path, more=search, num_test=6)
    spec = specs.read(config, {"mode": "full-pipeline", "predict.tta": "flip"})
    examples = [Example(str(number), {}, 0) for number in range(24)]
    index = DataIndex(examples, examples[:6], ["a"], "", [], {})
    plan = Plan(index, [number % 2 for number in range(24)], [Scope(0), Scope(1)])
    work = Work.of(spec, plan)
    assert (work.num_trials, work.trial_folds, work.trial_epochs, work.workers) == (3, 2, 1, 2)
    assert (work.num_folds, work.epochs, work.num_train, work.num_valid) == (2, 2, 12, 12)
    assert work.num_views == 6 * 2
    assert work.folds() == 4
    # Two members look at twelve views: half of what an epoch looks at, three times as cheap.
    assert work.predict() == pytest.approx(2 * 12 / (3 * 12 + 12))
    assert after_search(spec, plan) == work.folds() + work.predict()
