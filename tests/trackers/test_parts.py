"""Trials of a search in the trackers: runs of their own, found below the one they are parts of."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from overnight.agent.mirror import _MOST_PARTS, Mirror
from overnight.ledger import files, own_run
from overnight.ledger.paths import RunPaths
from overnight.outbox import standing, track
from overnight.testing.read_back import numbers, offline_records
from overnight.trackers import copy
from overnight.trackers import mlflow as mlflow_tracker
from overnight.trackers.about import with_values

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")
MLFLOW = {"name": "mlflow", "address": ""}
OFFLINE = {"name": "wandb", "address": "https://api.wandb.ai", "mode": "offline", "project": "p"}
STATES = {"complete": "finished", "pruned": "stopped", "failed": "failed"}


def trial(bench: Any, search: RunPaths, number: int, state: str = "", rows: int = 3) -> RunPaths:
    """A trial as the tuner leaves it; without a state it goes on."""
    part = own_run.make_child(search, number, {"train.lr": 0.1 * (number + 1)})
    track.take_along(part)
    bench.write(part, *({"epoch": n, "loss": n + number / 8} for n in range(rows)))
    if state:
        end(part, state)
    return part


def end(part: RunPaths, state: str) -> None:
    ended = {"attempt": 0, "code": 0, "ended_us": 1_767_225_600_000_000, "why": "the median"}
    own_run.write_end(part, {**ended, "outcome": STATES[state], "state": state})


def in_mlflow(root: Path) -> dict[str, dict[str, str]]:
    """Run id → its status, its parameters and its tags, of those that are not deleted."""
    found = {}
    with closing(sqlite3.connect(root / "mlflow.db")) as database:
        asks = "select run_uuid, name, status from runs where lifecycle_stage = 'active'"
        for number, name, status in database.execute(asks).fetchall():
            assert name not in found, "it is there twice"
            asks = "select key, value from {} where run_uuid = ?"
            found[name] = {"uuid": number, "status": status}
            for table in ("params", "tags"):
                found[name] |= dict(database.execute(asks.format(table), [number]).fetchall())
    return found


def test_trials_are_found_below_their_search(ready: Any) -> None:
    search = ready.run(kind="optimization")
    ready.write(search, {"epoch": 0, "loss": 1.0})
    for number, state in enumerate(["complete", "pruned", "failed"]):
        trial(ready, search, number, state)
    ready.end(search)
    cursor = ready.mirror(search)
    there = in_mlflow(ready.root)
    whole = there.pop(search.run_id)
    assert [each["status"] for each in there.values()] == ["FINISHED", "KILLED", "FAILED"]
    assert [each["train.lr"] for each in there.values()] == ["0.1", "0.2", "0.30000000000000004"]
    assert {each["mlflow.parentRunId"] for each in there.values()} == {whole["uuid"]}
    assert [each.get("overnight.cause") for each in there.values()] == [None, "pruned", "unknown"]
    assert there[f"{search.run_id}-trial0001"]["overnight.evidence"] == "the median"
    for number in range(3):
        part = search.child(f"trial{number:04d}")
        got = sorted(numbers("mlflow", ready.root, part))
        assert got == [("loss", n, repr(n + number / 8)) for n in range(3)]
    assert cursor["parts"] == cursor["closed"]
    assert not track.asked(), "the request is taken away"
    [found] = standing.standing(search)
    assert (found.sent, found.left, found.closed) == (10, 0, True)


def test_a_search_that_goes_on_takes_its_trials_along(
    ready: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """More of them than are carried at a time; none has a request of its own."""
    monkeypatch.setattr(copy, "_LOOK_AT_STATE_S", 0.0)
    search = ready.run(kind="optimization")
    first = trial(ready, search, 0)
    others = [trial(ready, search, n, "complete", rows=1) for n in range(1, _MOST_PARTS + 3)]
    ready.mirror_while(search, lambda: all(track.is_done(each, "mlflow") for each in others))
    assert [each.run.dir for each in track.asked()] == [search.dir]
    there = in_mlflow(ready.root)
    assert there[first.run_id]["status"] == there[search.run_id]["status"] == "RUNNING"
    assert not track.is_done(first, "mlflow")
    [found] = standing.standing(search)
    assert (found.sent, found.left) == (3 + len(others), 0)
    assert not found.closed
    # Cut off together with the search, and gone on with it.
    ready.end(search)
    ready.mirror(search)
    assert in_mlflow(ready.root)[first.run_id]["status"] == "FAILED"
    assert track.is_done(search, "mlflow")
    Path(search.exit_json).unlink()
    (Path(search.dir) / "events.jsonl").write_text('{"_seq": 0, "_event": "Resumed"}\n')
    assert not track.is_done(search, "mlflow")
    ready.write(first, {"epoch": 3, "loss": 9.0})
    end(first, "complete")
    last = trial(ready, search, 99, "complete")
    done = {"_seq": 1, "_event": "Exited", "code": 0}
    with (Path(search.dir) / "events.jsonl").open("ab") as file:
        file.write(files.to_json(done) + b"\n")
    ready.mirror(search)
    assert in_mlflow(ready.root)[first.run_id]["status"] == "FINISHED"
    assert ("loss", 3, "9.0") in set(numbers("mlflow", ready.root, first))
    assert track.is_done(last, "mlflow")
    assert not track.asked()


def test_what_is_begun_anew_keeps_its_trials(ready: Any) -> None:
    search = ready.run(kind="optimization")
    ready.write(search, *({"epoch": n, "loss": 1.0} for n in range(5)))
    part = trial(ready, search, 0, "complete")
    ready.mirror_while(search, lambda: track.is_done(part, "mlflow"))
    before = in_mlflow(ready.root)
    ready.write(search, {"epoch": 2, "loss": 2.0}, attempt=1)
    ready.end(search)
    ready.mirror(search)
    there = in_mlflow(ready.root)
    assert there[search.run_id]["uuid"] != before[search.run_id]["uuid"]
    assert there[part.run_id]["mlflow.parentRunId"] == there[search.run_id]["uuid"]
    assert there[part.run_id]["uuid"] == before[part.run_id]["uuid"]


def test_one_that_fails_holds_up_no_other(ready: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is asked for by itself from then on, and arrives once it can."""
    search = ready.run(kind="optimization")
    parts = [trial(ready, search, number, "complete") for number in range(4)]
    ready.end(search)
    real = mlflow_tracker.MlflowRun.send
    ill = [True]

    def send(self: Any, batch: Any) -> Any:
        if ill and self._about.run_id == parts[1].run_id:
            raise mlflow_tracker.Retry("not this one")
        return real(self, batch)

    monkeypatch.setattr(mlflow_tracker.MlflowRun, "send", send)
    ready.mirror(search)
    assert track.is_done(search, "mlflow")
    [request] = track.asked()
    assert request.run.dir == parts[1].dir
    assert request.failures == 1
    [(run, found)] = standing.waiting()
    assert (run.run_id, found.left) == (parts[1].run_id, 3)
    assert "not this one" in found.trouble
    [found] = standing.standing(search)
    assert (found.left, "not this one" in found.trouble, found.closed) == (3, True, False)
    ill.clear()
    for asked in track.ask(parts[1], again=True):
        Mirror(ready.paths, asked.lane, lingers_s=0.0).work()
    assert not track.asked()
    assert in_mlflow(ready.root)[parts[1].run_id]["mlflow.parentRunId"]
    [found] = standing.standing(search)
    assert (found.left, found.trouble, found.closed) == (0, "", True)


@pytest.mark.slow
def test_wandb_has_them_as_a_group(
    bench: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("WANDB_DATA_DIR", "WANDB_CACHE_DIR", "WANDB_CONFIG_DIR"):
        monkeypatch.setenv(name, str(tmp_path / name.lower()))
    for name in ("WANDB_ERROR_REPORTING", "WANDB_SILENT"):
        monkeypatch.setenv(name, "")
    search = bench.run(OFFLINE, kind="optimization")
    bench.write(search, {"epoch": 0, "loss": 1.0})
    parts = [trial(bench, search, n, s) for n, s in enumerate(["complete", "pruned"])]
    bench.mirror_while(search, lambda: all(track.is_done(part, "wandb") for part in parts))
    bench.end(search)
    bench.mirror(search)  # its file is written anew; those of its trials stay
    assert len(list((bench.root / "wandb").glob("offline-run-*"))) == 3
    for part, tags in zip(parts, ([], ["pruned"]), strict=True):
        records = list(offline_records(bench.root, part))
        told = [each["run"] for each in records if "run" in each]
        assert (told[0]["run_group"], told[0]["job_type"]) == (search.run_id, "trial")
        values = told[0]["config"]["update"]
        assert values["train.lr"] == pytest.approx(0.1 * (parts.index(part) + 1))
        assert {"baseline", *tags} >= set(tags)
        assert set(tags) <= set(told[-1].get("tags", ()))
        assert len([each for each in records if "history" in each]) == 3


def test_values_stand_in_a_config_once_or_as_a_sweep_has_them() -> None:
    config = {"train": {"lr": 0.1, "epochs": 3}}
    values = {"train.lr": 0.1, "size": 32}
    assert with_values(config, values) == {**config, "size": 32}
    assert with_values(config, values, always=True) == {**config, **values}
    assert with_values(config, None) == config


def test_a_trial_keeps_what_a_sweep_said_of_it(bench: Any) -> None:
    search = bench.run(OFFLINE, MLFLOW, kind="optimization")
    part = own_run.make_child(search, 0, {})
    track.take_along(part, id="abc", sweep="xyz")
    track.take_along(part)
    mlflow, wandb = sorted(track.wanted(part), key=lambda each: each.name)
    assert (wandb.options["id"], wandb.options["sweep"]) == ("abc", "xyz")
    assert "id" not in mlflow.options
