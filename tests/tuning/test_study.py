"""A search without a training: which trials there are, whatever is killed, whoever runs them."""

from __future__ import annotations

import json
import math
import os
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from overnight.ledger import files, job
from overnight.ledger.paths import RunPaths, create_run
from overnight.ledger.reader import read
from overnight.ledger.state import Failed, Finished, Running, Stopped, view
from overnight.tuning.ask import Settings
from overnight.tuning.space import Choice, Range
from overnight.tuning.study import Study, Told, Trial
from overnight.tuning.told import Announcer, leave

pytest.importorskip("optuna")

SPACE = {
    "train.lr": Range(1e-5, 1e-1, log=True),
    "train.optimizer": Choice(("adamw", "sgd")),
    "train.epochs": Range(1, 9, is_int=True),
    "깊이 '수'": Choice((None, True, 1, [1, 2])),
}


def run_of(folder: Path, name: str = "a search") -> RunPaths:
    run = create_run(str(folder), "optimization", name)
    info = {"schema_version": 1, "run_id": run.run_id, "name": name}
    files.replace(run.run_json, files.to_json(info))
    return run


def settings(**changes: Any) -> Settings:
    return Settings(**{"space": SPACE, "n_trials": 12, "seed": 7, "max_step": 3, **changes})


def goodness(trial: Trial) -> float:
    lr = trial.values["train.lr"]
    assert isinstance(lr, float)
    return -abs(math.log10(lr) + 3)


def go(study: Study, trial: Trial, *, steps: int = 3) -> None:
    """A trial: three steps, and its end."""
    for step in range(1, steps + 1):
        if not study.report(trial, step, goodness(trial) - 1 / step, time_s=0.5):
            study.tell(trial, "pruned", time_s=0.1, why="median")
            return
    study.tell(trial, "complete", goodness(trial), time_s=0.1)


def all_of(study: Study) -> list[Told]:
    while (trial := study.ask()) is not None:
        go(study, trial)
    return study.trials()


def elsewhere(act: Callable[[], object]) -> int:
    """Something in a fork of this process; how that ended."""
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            act()
            code = 0
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


# ── what is tried ────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("method", ["bayes", "random"])
@pytest.mark.parametrize("pruner", ["median", "hyperband", "none"])
def test_the_same_seed_asks_the_same(tmp_path: Path, method: Any, pruner: Any) -> None:
    asked = settings(method=method, pruner=pruner)
    first, again = (all_of(Study(run_of(tmp_path), asked)) for _ in range(2))
    assert first == again
    assert len(first) == 12
    other = all_of(Study(run_of(tmp_path), settings(method=method, seed=8, n_trials=2)))
    assert other[0].values != first[0].values


def test_a_process_that_dies_after_each_trial_changes_nothing(tmp_path: Path) -> None:
    reference = all_of(Study(run_of(tmp_path), settings()))
    run = run_of(tmp_path)
    for _ in range(12):
        study = Study(run, settings())
        trial = study.ask()
        assert trial is not None
        go(study, trial)
    assert all_of(Study(run, settings())) == reference


def test_values_are_of_the_space_and_survive_the_journal(tmp_path: Path) -> None:
    space = {
        **SPACE,
        "stepped": Range(0.1, 0.7, step=0.2),
        "both": Range(1e-4, 1e-1, log=True, step=1e-4),
        "one": Choice(("always",)),
    }
    run = run_of(tmp_path)
    asked = settings(space=space, method="random", n_trials=30, pruner="none")
    told = all_of(Study(run, asked))
    for each in told:
        values: Any = each.values
        assert list(values) == list(space)
        assert 1e-5 <= values["train.lr"] <= 1e-1
        assert isinstance(values["train.epochs"], int)
        assert 1 <= values["train.epochs"] <= 9
        assert values["stepped"] in (0.1, 0.3, 0.5, 0.7)
        assert values["both"] == round(values["both"], 4)
        assert values["one"] == "always"
        child = files.read_json(run.child(f"trial{each.number:04d}").run_json)
        assert child is not None
        assert child["values"] == values
    # True is not 1, and a list is a value like another.
    seen = {json.dumps(each.values["깊이 '수'"]) for each in told}
    assert seen == {"null", "true", "1", "[1, 2]"}
    assert [each.values for each in Study(run, asked).trials()] == [each.values for each in told]


def test_no_trial_is_as_one_before_where_another_is_left(tmp_path: Path) -> None:
    few = {"a": Choice((1, 2, 3)), "b": Choice((1, 2))}
    study = Study(run_of(tmp_path), settings(space=few, n_trials=5))
    while (trial := study.ask()) is not None:
        study.tell(trial, "complete", 0.0, time_s=0.0)
    values = [json.dumps(each.values) for each in study.trials()]
    assert len(set(values)) >= 4  # drawn eight times each; a space this small may run out of luck


def test_a_space_of_one_point_is_searched_all_the_same(tmp_path: Path) -> None:
    study = Study(run_of(tmp_path), settings(space={"a": Choice((3,))}, n_trials=12))
    while (trial := study.ask()) is not None:
        study.tell(trial, "complete", 0.1 * trial.number, time_s=0.0)
    assert [dict(each.values) for each in study.trials()] == [{"a": 3}] * 12
    assert study.importance() == {}


def test_a_grid_is_gone_through_and_ends(tmp_path: Path) -> None:
    grid = {"a": Choice(("x", "y")), "n": Range(1, 3, is_int=True)}
    study = Study(run_of(tmp_path), settings(space=grid, method="grid", n_trials=100))
    assert study.num_trials == 6
    while (trial := study.ask()) is not None:
        study.tell(trial, "complete", 0.0, time_s=0.0)
    values = [tuple(each.values.values()) for each in study.trials()]
    assert values == [("x", 1), ("x", 2), ("x", 3), ("y", 1), ("y", 2), ("y", 3)]
    assert study.is_over()


def test_what_does_worse_is_pruned(tmp_path: Path) -> None:
    told = all_of(Study(run_of(tmp_path), settings(n_trials=20)))
    states = [each.state for each in told]
    assert states.count("pruned") > 2
    assert states.count("complete") > 2
    assert "pruned" not in [each.state for each in told[:5]]  # a median of few is none
    pruned = next(each for each in told if each.state == "pruned")
    assert pruned.epochs < 3
    assert pruned.value == pruned.steps[pruned.epochs]


# ── who has a trial ──────────────────────────────────────────────────────────────────────────


def test_a_trial_of_a_dead_process_is_taken_over_under_its_number(tmp_path: Path) -> None:
    run = run_of(tmp_path)

    def dies() -> None:
        study = Study(run, settings())
        trial = study.ask()
        assert trial is not None
        study.report(trial, 1, 0.5, time_s=1.0)
        os.kill(os.getpid(), signal.SIGKILL)

    assert elsewhere(dies) == -signal.SIGKILL
    study = Study(run, settings())
    (left,) = study.trials()
    assert left.state == "running"
    assert study.num_left() == 12
    trial = study.ask()
    assert trial is not None
    assert (trial.number, trial.attempt, trial.values) == (0, 1, left.values)
    assert study.trials()[0].steps == {1: 0.5}
    assert isinstance(view(trial.run).state, Running)  # of this process, from now on


def test_a_trial_of_a_living_process_is_not_taken(tmp_path: Path) -> None:
    run = run_of(tmp_path)
    mine, other = Study(run, settings(n_trials=2)), Study(run, settings(n_trials=2))
    first, second = mine.ask(), other.ask()
    assert first is not None
    assert second is not None
    assert (first.number, second.number) == (0, 1)
    assert mine.ask() is None
    assert other.ask() is None
    assert mine.num_left() == 0
    assert not mine.is_over()


def test_a_trial_that_was_given_back_goes_on(tmp_path: Path) -> None:
    study = Study(run_of(tmp_path), settings())
    trial = study.ask()
    assert trial is not None
    study.give_back(trial, time_s=4.0)
    again = study.ask()
    assert again is not None
    assert (again.number, again.attempt) == (0, 1)
    study.tell(again, "complete", 0.9, time_s=2.0)
    assert study.trials()[0].time_s == pytest.approx(6.0)


def test_a_trial_killed_between_its_folder_and_the_journal_has_ended(tmp_path: Path) -> None:
    run = run_of(tmp_path)
    study = Study(run, settings())
    trial = study.ask()
    assert trial is not None
    end = {"state": "complete", "value": 0.75, "ran_s": 9.0, "epochs": 3, "outcome": "finished"}
    files.replace(trial.run.exit_json, files.to_json(end))
    Path(trial.run.claims, "trial.1").unlink()  # as if its process were gone
    again = Study(run, settings()).ask()
    assert again is not None
    assert again.number == 1
    first = study.trials()[0]
    assert (first.state, first.value, first.time_s) == ("complete", 0.75, 9.0)


def test_several_processes_share_a_search(tmp_path: Path) -> None:
    run = run_of(tmp_path)
    pids = []
    for _ in range(3):
        pid = os.fork()
        if pid == 0:
            code = 1
            try:
                all_of(Study(run, settings(n_trials=20)))
                code = 0
            finally:
                os._exit(code)
        pids.append(pid)
    assert [os.waitpid(pid, 0)[1] for pid in pids] == [0, 0, 0]
    trials = Study(run, settings(n_trials=20)).trials()
    assert [each.number for each in trials] == list(range(20))
    assert all(each.state in ("complete", "pruned") for each in trials)
    for each in trials:
        child = run.child(f"trial{each.number:04d}")
        assert [path.name for path in Path(child.claims).iterdir()] == ["trial.1.left"]


def test_threads_share_a_search_without_waiting_for_each_other_for_ever(tmp_path: Path) -> None:
    study = Study(run_of(tmp_path), settings(n_trials=24, method="random"))
    threads = [threading.Thread(target=all_of, args=(study,), daemon=True) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert [each.number for each in study.trials()] == list(range(24))
    assert study.is_over()


def test_a_process_that_died_twice_with_a_trial_ends_it(tmp_path: Path) -> None:
    run = run_of(tmp_path)
    study = Study(run, settings())
    for death in (1, 2):
        pid = os.fork()
        if pid == 0:
            Study(run, settings()).ask()
            os.kill(os.getpid(), signal.SIGKILL)
        os.waitpid(pid, 0)
        assert study.died(pid, "killed") == 0
        assert study.trials()[0].deaths == death
    first = study.trials()[0]
    assert (first.state, first.why) == ("failed", "killed")
    assert study.died(999_999_999, "who?") is None
    following = study.ask()
    assert following is not None
    assert following.number == 1


# ── limits and ends ──────────────────────────────────────────────────────────────────────────


def test_a_planner_may_make_them_fewer(tmp_path: Path) -> None:
    study = Study(run_of(tmp_path), settings())
    limits = Path(study.run.at("tuning.json"))
    limits.write_text(json.dumps({"n_trials": 2, "ends_us": None}))
    assert study.num_trials == 2
    assert len(all_of(study)) == 2
    assert study.is_over()
    limits.write_text(json.dumps({"n_trials": 99, "ends_us": None}))
    assert study.num_trials == 12  # never more than were asked for


def test_no_trial_begins_behind_the_end(tmp_path: Path) -> None:
    study = Study(run_of(tmp_path), settings())
    trial = study.ask()
    assert trial is not None
    ends_us = time.time_ns() // 1000
    Path(study.run.at("tuning.json")).write_text(json.dumps({"n_trials": 12, "ends_us": ends_us}))
    assert study.ask() is None
    assert not study.is_over()
    assert study.num_left() == 0
    study.give_back(trial)
    study.end_late()
    assert study.ask() is None
    (told,) = study.trials()
    assert (told.state, told.why) == ("pruned", "deadline")
    assert study.is_over()


@pytest.mark.parametrize(
    ("state", "value", "expected"),
    [("complete", 0.5, Finished), ("pruned", None, Stopped), ("failed", None, Failed)],
)
def test_how_it_ended_stands_in_its_folder(
    tmp_path: Path, state: Any, value: float | None, expected: type
) -> None:
    study = Study(run_of(tmp_path), settings())
    trial = study.ask()
    assert trial is not None
    study.report(trial, 1, 0.25)
    why = None if state == "complete" else "for a reason"
    study.tell(trial, state, value, time_s=3.0, why=why, traceback="Traceback …")
    end = files.read_json(trial.run.exit_json)
    assert end is not None
    assert isinstance(view(trial.run).state, expected)
    told = {"complete": 0.5, "pruned": 0.25, "failed": None}[state]
    assert (end["state"], end["value"], end["why"]) == (state, told, why)
    assert end["ran_s"] == 3.0
    assert end["epochs"] == 1
    assert end["traceback"] == "Traceback …"


@pytest.mark.parametrize("value", [math.nan, math.inf, None])
def test_a_value_that_is_no_number_is_a_failure(tmp_path: Path, value: float | None) -> None:
    study = Study(run_of(tmp_path), settings())
    trial = study.ask()
    assert trial is not None
    study.tell(trial, "complete", value, time_s=0.0)
    assert study.trials()[0].state == "failed"
    assert study.best() is None


def test_the_best_is_the_best_of_those_that_are_complete(tmp_path: Path) -> None:
    for goal, best in (("maximize", 2), ("minimize", 1)):
        study = Study(run_of(tmp_path), settings(goal=goal, pruner="none"))
        for value in (0.5, 0.1, 0.9):
            trial = study.ask()
            assert trial is not None
            study.tell(trial, "complete", value, time_s=0.0)
        cut = study.ask()
        assert cut is not None
        study.report(cut, 1, 5.0 if goal == "maximize" else -5.0)
        study.tell(cut, "pruned", time_s=0.0)
        found = study.best()
        assert found is not None
        assert found.number == best


def test_three_alike_failures_at_the_beginning_are_enough(tmp_path: Path) -> None:
    study = Study(run_of(tmp_path), settings())
    for why in ("ValueError: no", "ValueError: no", "ValueError: no"):
        assert study.hopeless() is None
        trial = study.ask()
        assert trial is not None
        study.tell(trial, "failed", time_s=0.0, why=why)
    assert study.hopeless() == "ValueError: no"


# ── what is told ─────────────────────────────────────────────────────────────────────────────


def test_each_trial_is_told_of_once_and_shown_at_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = run_of(tmp_path)
    monkeypatch.setenv("OVERNIGHT_RUN_DIR", run.dir)
    job.switch_to(None)
    try:
        study = Study(run, settings())
        first = study.ask()
        assert first is not None
        Announcer(run, study).announce()
        go(study, first)
        broken = study.ask()
        assert broken is not None
        study.tell(broken, "failed", time_s=0.5, why="ValueError: 값")
        Announcer(run, study).announce()  # another process
        all_of(study)
        Announcer(run, study).announce()
        events = [record for record in read(run.dir, "job").records if "trial" in record]
        told = [(record["_event"], record["trial"]) for record in events]
        assert sorted(told) == sorted(
            (name, number) for name in ("TrialStarted", "TrialEnded") for number in range(12)
        )
        ended = next(r for r in events if r["_event"] == "TrialEnded" and r["trial"] == 1)
        assert (ended["state"], ended.get("why")) == ("failed", "ValueError: 값")
        assert ended["time_s"] == 0.5
        assert ended["values"] == broken.values
        leave(run, study, "macro_f1")
        media = {
            (record["_kind"], record["key"]): record for record in read(run.dir, "media").records
        }
        assert {key for kind, key in media if kind == "figure"} == {
            "tuning/history", "tuning/importance", "tuning/parallel",
        }  # fmt: skip
        assert media["table", "trials"]["num_rows"] == 12
        assert media["table", "importance"]["columns"] == ["parameter", "importance"]
        shares = [
            json.loads(line)["importance"]
            for line in Path(run.at(media["table", "importance"]["path"])).read_text().splitlines()
        ]
        assert sum(shares) == pytest.approx(1.0)
        assert shares == sorted(shares, reverse=True)
    finally:
        job.switch_to(None)


def test_a_search_of_nothing_but_failures_is_shown_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = run_of(tmp_path)
    monkeypatch.setenv("OVERNIGHT_RUN_DIR", run.dir)
    job.switch_to(None)
    try:
        study = Study(run, settings(n_trials=2))
        while (trial := study.ask()) is not None:
            study.tell(trial, "failed", time_s=0.0, why="no")
        leave(run, study, "macro_f1")
        assert [record["key"] for record in read(run.dir, "media").records] == ["trials"]
    finally:
        job.switch_to(None)
