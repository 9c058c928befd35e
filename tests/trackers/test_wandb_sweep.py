"""A real sweep against a server that is played: it says what to run, stops a run, and is away."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from typing import Any

import pytest

from overnight.errors import UserError
from overnight.ledger import job
from overnight.testing.foreign_wandb import KEY, ForeignWandb
from overnight.tuning import wandb_server, wandb_sweep
from overnight.tuning.ask import Settings
from overnight.tuning.space import Choice, Range
from overnight.tuning.study import Trial
from overnight.tuning.wandb_sweep import WandbSweep, as_sweep, create, keep, kept, open_search

SPACE = {
    "lr": Range(0.001, 0.1, log=True),
    "size": Choice((16, 32)),
    "레이어": Range(1, 3, is_int=True),
}
SETTINGS = Settings(SPACE, 4, method="random", pruner="none", goal="minimize")


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wandb_server, "BEAT_S", 0.05)
    monkeypatch.setattr(wandb_sweep, "BEAT_S", 0.05)
    monkeypatch.setattr(wandb_sweep, "_AGAIN_S", 0.05)
    monkeypatch.setattr(wandb_sweep, "_AGAIN_AT_MOST_S", 0.2)
    monkeypatch.setattr(wandb_sweep, "_LOOK_S", 0.05)


@pytest.mark.slow
@pytest.mark.usefixtures("quick")
def test_a_sweep_from_its_first_trial_to_its_last(
    play: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    server, run = play.server, play.run()
    entry = {"name": "wandb", "address": server.address, "mode": "online", "project": "digits"}
    sweep = create(entry, SETTINGS, metric="loss", name="digits", root=run.root, env=os.environ)
    assert sweep.url == f"{server.address}/somebody/digits/sweeps/sweep0"
    keep(run, sweep)
    mirror = play.start(run)
    search = open_search(run, SETTINGS, metric="loss")
    assert isinstance(search, WandbSweep)

    first = asked(search)
    assert go(search, first, 3) == 3
    search.tell(first, "complete", 0.3, time_s=1.0)

    second = asked(search)
    server.stop("sweep0r1")
    play.until(lambda: search.is_stopped(second))  # heard while it runs
    assert go(search, second, 3) == 1
    search.tell(second, "pruned", time_s=1.0)

    third = asked(search)
    server.fail("refused")
    assert go(search, third, 2) == 2  # a server that is away harms no trial
    search.tell(third, "complete", 0.2, time_s=1.0)
    threading.Timer(0.5, lambda: server.fail("")).start()
    fourth = asked(search)  # once it is back
    assert "does not answer" in capsys.readouterr().err
    assert go(search, fourth, 1) == 1
    search.give_back(fourth)

    search = open_search(run, SETTINGS, metric="loss")  # as another process
    again = asked(search)
    assert (again.number, again.values) == (fourth.number, fourth.values)
    assert go(search, again, 2) == 2
    search.tell(again, "complete", 0.1, time_s=1.0)
    assert search.ask() is None
    assert search.is_over()

    play.bench.end(run)
    play.wait(mirror)
    told = server.sweeps["sweep0"]["runs"]
    assert set(server.runs) == {run.run_id, *told}
    assert len(told) == 4
    trials = search.trials()
    assert [each.why for each in trials] == [None, "stopped in W&B", None, None]
    for (name, values), trial in zip(told.items(), trials, strict=True):
        there = server.runs[name]
        assert (there["sweep"], there["group"]) == ("sweep0", run.run_id)
        assert there["job_type"] == "trial"
        for key, value in values.items():
            assert there["config"][key]["value"] == pytest.approx(value, rel=1e-4)
            assert trial.values[key] == pytest.approx(value, rel=1e-4)
        assert there["exit"] == (255 if trial.state == "pruned" else 0)
        losses = [row["loss"] for row in there["history"] if "loss" in row]
        assert losses == [1.0, 0.5, 1 / 3][: len(losses)]
        assert len(losses) == trial.epochs
    assert server.runs["sweep0r1"]["tags"] == ["baseline", "pruned"][1:]


def asked(search: WandbSweep) -> Trial:
    trial = search.ask()
    assert trial is not None
    return trial


def go(search: WandbSweep, trial: Trial, epochs: int) -> int:
    """Runs a trial as the trainer does; after how many epochs it is to end."""
    own = job.Job(trial.run, trial.attempt)
    job.switch_to(own)
    try:
        for epoch in range(1, epochs + 1):
            if not search.report(trial, epoch, 1 / epoch):
                return epoch
        return epochs
    finally:
        job.switch_to(None)
        own.close()


@pytest.mark.usefixtures("quick")
def test_what_the_server_has_told_is_never_lost(bench: Any) -> None:
    """Killed between its answer and the trial's beginning: the next process begins that one."""
    with_server(bench, _killed)


def _killed(run: Any, server: ForeignWandb, settings: Settings) -> None:
    dying = open_search(run, settings)
    assert isinstance(dying, WandbSweep)
    assert dying._hear(0.0) == 0.0
    search = open_search(run, settings)
    trial = search.ask()
    assert trial is not None
    [told] = server.sweeps["sweep0"]["runs"].values()
    assert trial.values["size"] == told["size"]
    assert dying._oldest_told() is None


@pytest.mark.usefixtures("quick")
def test_a_process_that_is_asked_to_stop_waits_for_no_server(bench: Any) -> None:
    def stops(run: Any, server: ForeignWandb, settings: Settings) -> None:
        server.fail("refused")
        asked_to: list[str] = []
        threading.Timer(0.3, lambda: asked_to.append("signal")).start()
        assert open_search(run, settings, stop=lambda: asked_to).ask() is None
        server.fail("")

    with_server(bench, stops)


@pytest.mark.usefixtures("quick")
def test_a_sweep_that_is_deleted_there_is_said(bench: Any) -> None:
    def deleted(run: Any, server: ForeignWandb, settings: Settings) -> None:
        server.sweeps.clear()
        with pytest.raises(UserError, match="nothing of this sweep"):
            open_search(run, settings).ask()

    with_server(bench, deleted)


def with_server(bench: Any, does: Callable[[Any, ForeignWandb, Settings], None]) -> None:
    server = ForeignWandb()
    os.environ["WANDB_API_KEY"] = KEY
    try:
        entry = {"name": "wandb", "address": server.address, "mode": "online", "project": "p"}
        run = bench.run(entry)
        keep(run, create(entry, SETTINGS, metric="a", name="a", root=run.root, env=os.environ))
        does(run, server, SETTINGS)
    finally:
        del os.environ["WANDB_API_KEY"]
        server.close()


def test_without_a_server_there_is_no_sweep(bench: Any) -> None:
    def error(entry: Any, **env: str) -> str:
        with pytest.raises(UserError) as raised:
            create(entry, SETTINGS, metric="a", name="a", root="/r", env=env)
        return raised.value.key

    server = ForeignWandb()
    entry = {"name": "wandb", "address": server.address, "project": "p"}
    assert error(None) == "track.sweep_offline"
    assert error({**entry, "mode": "offline"}) == "track.sweep_offline"
    assert error(entry) == "track.sweep_no_key"
    assert error(entry, WANDB_API_KEY="wrong" * 8) == "track.wandb_key"
    assert error({**entry, "project": "a/b"}, WANDB_API_KEY=KEY) == "track.sweep_refused"
    server.fail("500")
    assert error(entry, WANDB_API_KEY=KEY) == "track.sweep_away"
    server.close()
    assert error(entry, WANDB_API_KEY=KEY) == "track.sweep_away"
    assert kept(bench.run()) is None


def test_the_search_in_the_words_of_wandb() -> None:
    space = {
        "a": Range(0.0, 1.0), "b": Range(1e-4, 1.0, log=True), "c": Range(1, 8, is_int=True),
        "d": Range(8, 64, step=8, is_int=True), "e": Range(0.5, 2.0, step=0.5),
        "f": Range(1, 9, step=2, is_int=True), "g": Range(1, 64, log=True, is_int=True),
        "h": Choice(("sgd", None, True, 3)),
    }  # fmt: skip
    found = as_sweep(Settings(space, 7, pruner="hyperband"), "macro_f1")
    assert found["metric"] == {"name": "macro_f1", "goal": "maximize"}
    assert (found["method"], found["run_cap"]) == ("bayes", 7)
    assert found["early_terminate"] == {"type": "hyperband", "min_iter": 1, "eta": 3}
    assert found["parameters"] == {
        "a": {"min": 0.0, "max": 1.0, "distribution": "uniform"},
        "b": {"min": 1e-4, "max": 1.0, "distribution": "log_uniform_values"},
        "c": {"min": 1, "max": 8, "distribution": "int_uniform"},
        "d": {"min": 8, "max": 64, "q": 8, "distribution": "q_uniform"},
        "e": {"min": 0.5, "max": 2.0, "q": 0.5, "distribution": "q_uniform"},
        "f": {"values": [1, 3, 5, 7, 9]},
        "g": {"min": 1, "max": 64, "q": 1, "distribution": "q_log_uniform_values"},
        "h": {"values": ["sgd", None, True, 3]},
    }
    grid = as_sweep(Settings({"c": space["c"]}, 20, method="grid", pruner="none"), "x")
    assert grid["parameters"] == {"c": {"values": [1, 2, 3, 4, 5, 6, 7, 8]}}
    assert grid["run_cap"] == 8
    assert "early_terminate" not in grid
