"""The agent's side of trackers: one mirror for an address, started when it is due, and no other."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from overnight.agent.mirrors import Mirrors
from overnight.ledger import files
from overnight.ledger.paths import RunPaths, create_run
from overnight.outbox import track
from overnight.outbox.folder import AgentPaths, agent_paths


@pytest.fixture
def paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AgentPaths:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return agent_paths().make()


def asked(tmp_path: Path, name: str, address: str = "", key: str = "") -> RunPaths:
    run = create_run(str(tmp_path / "root"), "run", name)
    track.write(run, [{"name": "mlflow", "address": address}])
    track.ask(run, {"MLFLOW_TRACKING_TOKEN": key, "OTHER_TOKEN": "x"} if key else {})
    return run


def started(mirrors: Mirrors, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    found: list[str] = []
    monkeypatch.setattr(mirrors.children, "start", lambda lane, _: found.append(lane))
    return found


def test_one_for_each_address_and_key(
    tmp_path: Path, paths: AgentPaths, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("a", "b"):
        asked(tmp_path, name)
        asked(tmp_path, name, "http://somewhere", "one")
    asked(tmp_path, "c", "http://somewhere", "two")
    mirrors = Mirrors(paths)
    found = started(mirrors, monkeypatch)
    mirrors.look(time.monotonic())
    assert len(found) == 3
    kept = [files.read_json(paths.tracker(lane)) or {} for lane in found]
    assert {each["env"].get("MLFLOW_TRACKING_TOKEN") for each in kept} == {None, "one", "two"}
    assert all("OTHER_TOKEN" not in each["env"] for each in kept)
    assert all(Path(paths.tracker(lane)).stat().st_mode & 0o777 == 0o600 for lane in found)


def test_one_that_does_not_answer_is_left_alone_until_somebody_asks(
    tmp_path: Path, paths: AgentPaths, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = asked(tmp_path, "a")
    [lane] = [each.lane for each in track.asked()]
    now_us = time.time_ns() // 1000
    state = {"failures": 3, "decided_us": now_us + 1, "next_us": now_us + 60_000_000}
    files.replace(paths.tracker_state(lane), files.to_json(state))
    time.sleep(0.01)
    mirrors = Mirrors(paths)
    found = started(mirrors, monkeypatch)
    assert 50 < mirrors.look(time.monotonic()) < 61
    assert not found
    track.ask(run, {}, again=True)
    mirrors.look(time.monotonic())
    assert found == [lane]


def test_one_run_that_has_to_wait_is_waited_for_alone(
    tmp_path: Path, paths: AgentPaths, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits = asked(tmp_path, "a")
    [request] = track.asked()
    track.defer(request, 600.0, "not now")
    mirrors = Mirrors(paths)
    found = started(mirrors, monkeypatch)
    assert 500 < mirrors.look(time.monotonic()) <= 600
    assert not found
    [request] = track.asked()
    assert request.failures == 1
    asked(tmp_path, "b")  # another one of the same tracker does not wait for it
    mirrors.look(time.monotonic())
    assert found == [request.lane]
    track.ask(waits, {}, again=True)
    assert not any(each.wait_s() for each in track.asked())


def test_keys_that_nobody_needs_any_more_go(tmp_path: Path, paths: AgentPaths) -> None:
    import os

    asked(tmp_path, "a", "http://somewhere", "one")
    [request] = track.asked()
    os.utime(paths.tracker(request.lane), (0, 0))
    mirrors = Mirrors(paths)
    mirrors.forget()
    assert Path(paths.tracker(request.lane)).exists()
    track.done(request)
    mirrors.forget()
    assert not Path(paths.tracker(request.lane)).exists()
    assert not mirrors.has_waiting()
