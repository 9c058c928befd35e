"""The agent itself, in this process and under a clock that is told the time."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from overnight.agent.loop import Agent
from overnight.ledger import claims, files
from overnight.ledger.paths import RunPaths, create_run
from overnight.outbox import follow, keep, summon
from overnight.outbox.folder import AgentPaths, agent_paths
from overnight.outbox.message import Message, put
from overnight.testing.faults import FakeClock

HANDLED = (signal.SIGHUP, signal.SIGINT, signal.SIGUSR1, signal.SIGCHLD, signal.SIGTERM)


@pytest.fixture
def paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AgentPaths:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.delenv("OVERNIGHT_HEARTBEAT_URL", raising=False)
    return agent_paths().make()


@pytest.fixture
def clock() -> Iterator[FakeClock]:
    with FakeClock().installed() as clock:
        clock.advance(1_000)
        yield clock


@pytest.fixture
def agent(paths: AgentPaths, clock: FakeClock) -> Iterator[Agent]:
    before = {number: signal.getsignal(number) for number in HANDLED}
    number = claims.take(paths.claims, "agent")
    assert number is not None
    made = Agent(paths, number, stays=False)
    yield made
    made.wake.close()
    for number, handler in before.items():
        signal.signal(number, handler)


def idle(agent: Agent, clock: FakeClock) -> None:
    """Nothing is to be done, for more than a minute."""
    assert not agent.is_free()
    clock.advance(61)
    assert agent.is_free()


def a_run(tmp_path: Path) -> RunPaths:
    run = create_run(str(tmp_path), "run", "job", now_s=1_767_225_600)
    files.replace(run.notify_json, files.to_json({"channels": ["phone"]}))
    return run


def test_it_leaves_after_a_minute_with_nothing_to_do(
    agent: Agent, paths: AgentPaths, clock: FakeClock
) -> None:
    me = summon.alive()
    assert me is not None
    assert me.pid == os.getpid()
    idle(agent, clock)
    assert agent.leave()
    assert summon.alive() is None


def test_work_in_between_makes_the_minute_begin_anew(
    agent: Agent, paths: AgentPaths, clock: FakeClock
) -> None:
    assert not agent.is_free()
    clock.advance(59)
    put(paths, Message("k", "phone", "text", 1))
    assert not agent.is_free()
    Path(paths.waiting(Message("k", "phone", "text", 1).id)).unlink()
    clock.advance(2)
    idle(agent, clock)


def test_one_that_stays_never_leaves_by_itself(agent: Agent, clock: FakeClock) -> None:
    agent.stays = True
    for _ in range(3):
        assert not agent.is_free()
        clock.advance(100)


@pytest.mark.parametrize("work", ["a run", "a message", "a channel that was just kept"])
def test_work_that_comes_in_the_moment_it_leaves_is_not_lost(
    agent: Agent,
    paths: AgentPaths,
    clock: FakeClock,
    work: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    idle(agent, clock)
    give_back = agent.give_back

    def busy_moment() -> None:
        # After its last look: whoever has work sees an agent, and starts none.
        assert summon.alive() is not None
        if work == "a run":
            assert follow.ask(a_run(tmp_path))
        elif work == "a message":
            put(paths, Message("k", "phone", "text", 1))
        else:
            keep.keep_channels(["phone"], {"OVERNIGHT_CHANNEL_PHONE": "json://h/"})
            os.utime(paths.kept_channel("phone"), (clock.time(),) * 2)
        give_back()

    monkeypatch.setattr(agent, "give_back", busy_moment)
    assert not agent.leave()
    found = summon.alive()
    assert found is not None
    assert found.pid == os.getpid()
    assert claims.holder(paths.claims, "agent")[0] == agent.number


def test_where_another_one_has_begun_meanwhile_it_leaves_the_work_to_it(
    agent: Agent, paths: AgentPaths, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    give_back = agent.give_back

    def another_begins() -> None:
        give_back()
        put(paths, Message("k", "phone", "text", 1))
        assert claims.take(paths.claims, "agent") is not None

    monkeypatch.setattr(agent, "give_back", another_begins)
    assert agent.leave()


def test_kept_channels_go_with_it_and_those_of_runs_stay(
    agent: Agent, paths: AgentPaths, clock: FakeClock, tmp_path: Path
) -> None:
    env = {"OVERNIGHT_CHANNEL_PHONE": "json://h/", "OVERNIGHT_CHANNEL_OTHER": "json://h/"}
    keep.keep_channels(["phone", "other"], env)
    for name in ("phone", "other"):
        os.utime(paths.kept_channel(name), (clock.time(),) * 2)
    follow.ask(a_run(tmp_path))
    agent.look_at_runs()
    agent.forget_channels()
    assert keep.kept_lately(60) == {"phone", "other"}, "too young to go"
    clock.advance(100)
    agent.forget_channels()
    assert Path(paths.kept_channel("phone")).exists()
    assert not Path(paths.kept_channel("other")).exists()


def test_a_run_whose_disk_is_away_is_waited_for_and_a_removed_one_is_not(
    agent: Agent, paths: AgentPaths, clock: FakeClock, tmp_path: Path
) -> None:
    disk = tmp_path / "disk"
    removed, away = a_run(tmp_path / "root"), a_run(disk)
    for run in (removed, away):
        assert follow.ask(run)
    agent.look_at_runs()
    assert set(agent.runs) == {removed.dir, away.dir}
    Path(removed.dir).rename(tmp_path / "elsewhere")
    disk.rename(tmp_path / "unmounted")
    agent.look_at_runs()
    assert set(agent.runs) == {away.dir}
    clock.advance(3_600)
    agent.look_at_runs()
    assert follow.is_asked(away)
    clock.advance(86_400)
    agent.look_at_runs()
    assert agent.runs == {}
    assert follow.all_asked() == []


def test_a_disk_that_is_not_mounted_yet_costs_no_run_and_no_channel(
    agent: Agent, paths: AgentPaths, clock: FakeClock, tmp_path: Path
) -> None:
    disk = tmp_path / "data"
    run = a_run(disk)
    keep.keep_channels(["phone"], {"OVERNIGHT_CHANNEL_PHONE": "json://h/"})
    keep.keep_heartbeat({keep.HEARTBEAT: "https://hc.example/secret"})
    assert follow.ask(run)
    disk.rename(tmp_path / "unmounted")
    disk.mkdir()  # the empty folder that it will be mounted on
    for kept in (paths.kept_channel("phone"), paths.heartbeat):
        os.utime(kept, (clock.time() - 3_600,) * 2)
    agent.look_at_runs()
    agent.forget_channels()
    assert follow.is_asked(run)
    assert Path(paths.kept_channel("phone")).exists()
    assert Path(paths.heartbeat).exists()
    disk.rmdir()
    (tmp_path / "unmounted").rename(disk)
    clock.advance(100)
    agent.look_at_runs()
    assert agent.runs[run.dir].channels == ("phone",)
    # Away for a moment twice, with a day between: neither is a day.
    for _ in range(2):
        disk.rename(tmp_path / "unmounted")
        agent.look_at_runs()
        (tmp_path / "unmounted").rename(disk)
        agent.look_at_runs()
        clock.advance(90_000)
    assert follow.is_asked(run)
    follow.done(run)
    agent.runs.clear()
    agent.forget_channels()
    assert not Path(paths.heartbeat).exists()


def test_a_bug_in_one_run_leaves_the_others_alone(
    agent: Agent,
    paths: AgentPaths,
    clock: FakeClock,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    first, second = a_run(tmp_path / "one"), a_run(tmp_path / "two")
    for run in (first, second):
        follow.ask(run)
    agent.look_at_runs()

    def broken() -> None:
        raise RuntimeError("a bug of ours")

    monkeypatch.setattr(agent.runs[first.dir], "look", broken)
    agent.look_at_runs()
    agent.look_at_runs()
    assert set(agent.runs) == {second.dir}
    assert capsys.readouterr().err.count("a bug of ours\n") == 1
    assert follow.is_asked(first), "the next version of Overnight may tell it"


def test_one_that_stays_and_finds_no_place_is_started_again(paths: AgentPaths) -> None:
    number = claims.take(paths.claims, "agent")
    claim = Path(paths.claims, f"agent.{number}")
    said: dict[str, Any] = files.read_json(str(claim)) or {}
    files.replace(str(claim), files.to_json({**said, "pidns": "pid:[1]"}))
    source = str(Path(follow.__file__).parents[2])
    begin = (
        f"import sys; sys.path.insert(0, {source!r}); from overnight.agent import loop\n"
        "loop._TAKES_OVER_WITHIN_S = 0.1; sys.exit(loop.main(sys.argv[1:]))"
    )
    for words, code in (["--stay"], 75), ([], 0):
        done = subprocess.run([sys.executable, "-I", "-c", begin, *words], check=False, timeout=60)
        assert done.returncode == code


def test_an_agent_of_another_container_is_never_sent_a_signal(
    paths: AgentPaths, monkeypatch: pytest.MonkeyPatch
) -> None:
    number = claims.take(paths.claims, "agent")
    claim = Path(paths.claims, f"agent.{number}")
    said: dict[str, Any] = files.read_json(str(claim)) or {}
    files.replace(str(claim), files.to_json({**said, "pidns": "pid:[1]"}))

    def forbidden(*_: object) -> None:
        raise AssertionError("it is another process that has this number here")

    monkeypatch.setattr(os, "kill", forbidden)
    monkeypatch.setattr(summon, "start", forbidden)
    assert summon.alive() is not None
    summon.summon()
    old = time.time() - 100
    os.utime(claim, (old, old))
    assert summon.alive() is None, "it has given no sign of life"
    assert claims.take(paths.claims, "agent", stale_s=200) is None
    assert claims.take(paths.claims, "agent", stale_s=60) is not None
