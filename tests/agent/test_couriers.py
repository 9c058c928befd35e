"""The agent's side: who gets a courier and when, and what becomes of one that hangs."""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from overnight.agent import couriers as module
from overnight.agent.children import NO_PROGRESS_S
from overnight.agent.couriers import Couriers, forget_channels, tidy
from overnight.agent.lane import Lane, claim_of, read
from overnight.ledger import claims, files
from overnight.ledger.identity import ALIVE
from overnight.outbox.folder import AgentPaths, agent_paths
from overnight.outbox.message import DELIVERED, Message, put, settle, waiting

DAY_S = 86_400


@pytest.fixture
def paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AgentPaths:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    return agent_paths().make()


class Sink(ThreadingHTTPServer):
    """Takes messages; while ``gate`` is closed it lets them wait for their answer."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.texts: list[str] = []
        self.gate = threading.Event()
        self.gate.set()

    def handle_error(self, *_: object) -> None:
        """A client that was killed breaks its connection."""


class _Handler(BaseHTTPRequestHandler):
    server: Sink

    def do_POST(self) -> None:
        said = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.texts.append(said["message"])
        self.server.gate.wait(60)
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Says nothing."""


@pytest.fixture
def sink() -> Iterator[Sink]:
    server = Sink()
    thread = threading.Thread(target=lambda: server.serve_forever(poll_interval=0.01))
    thread.start()
    yield server
    server.gate.set()
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def couriers(paths: AgentPaths) -> Iterator[Couriers]:
    made = Couriers(paths)
    yield made
    made.stop()
    for pid in living(paths):
        os.kill(pid, signal.SIGKILL)


def define(paths: AgentPaths, sink: Sink, *channels: str, path: str = "") -> None:
    for channel in channels:
        url = f"json://127.0.0.1:{sink.server_port}/{path}"
        files.replace(paths.kept_channel(channel), files.to_json({"url": url}))


def say_on(paths: AgentPaths, channel: str, text: str, *, urgent: bool = False) -> Message:
    now_us = time.time_ns() // 1000
    message = Message(text, channel, "text", now_us, facts={"text": text}, urgent=urgent)
    assert put(paths, message)
    return message


def living(paths: AgentPaths, *channels: str) -> list[int]:
    """The living couriers of some channels, or of all that ever had one."""
    whats = {claim_of(channel) for channel in channels} or {
        path.name.partition(".")[0] for path in Path(paths.claims).glob("courier-*")
    }
    held = [claims.holder(paths.claims, what)[1] for what in whats]
    return [each.pid for each in held if each is not None and each.look() == ALIVE]


def until(couriers: Couriers, done: Callable[[], bool], *, ahead_s: float = 0.0) -> None:
    """Looks as the agent does until ``done``; ``ahead_s``: by a clock that is ahead."""
    end = time.monotonic() + 40
    while not done():
        assert time.monotonic() < end, "it did not happen"
        wait_s = couriers.look(time.monotonic() + ahead_s)
        assert wait_s > 0
        time.sleep(min(wait_s, 0.05))


def test_nothing_to_do_costs_no_process(couriers: Couriers, paths: AgentPaths) -> None:
    assert couriers.look(time.monotonic()) > 60
    assert not couriers.busy
    assert not couriers.has_waiting()
    assert living(paths) == []


def test_what_waits_is_delivered(couriers: Couriers, paths: AgentPaths, sink: Sink) -> None:
    define(paths, sink, "phone", "mail")
    for channel in ("phone", "mail"):
        for number in range(3):
            say_on(paths, channel, f"{channel} {number}")
    assert couriers.busy
    until(couriers, lambda: not waiting(paths))
    assert len(sink.texts) == 6
    until(couriers, lambda: not couriers.busy)
    assert living(paths) == []


def test_two_at_once_the_urgent_first(couriers: Couriers, paths: AgentPaths, sink: Sink) -> None:
    channels = ("a", "b", "c", "d")
    define(paths, sink, *channels)
    for channel in channels:
        say_on(paths, channel, channel, urgent=channel == "d")
    sink.gate.clear()
    until(couriers, lambda: len(sink.texts) == 2)
    assert len(living(paths)) == 2
    assert any(text.endswith("d") for text in sink.texts)
    sink.gate.set()
    until(couriers, lambda: not waiting(paths))
    assert len(sink.texts) == 4


def test_one_without_progress_is_ended_and_the_message_comes_again(
    couriers: Couriers, paths: AgentPaths, sink: Sink
) -> None:
    define(paths, sink, "phone")
    say_on(paths, "phone", "hello")
    sink.gate.clear()
    until(couriers, lambda: len(sink.texts) == 1)
    (frozen,) = living(paths)
    couriers.look(time.monotonic())  # sees that it has begun
    couriers.look(time.monotonic() + NO_PROGRESS_S + 5)
    until(couriers, lambda: living(paths, "phone") != [frozen])
    lane = read(paths, "phone")
    assert lane is not None
    assert lane.sending
    sink.gate.set()
    until(couriers, lambda: not waiting(paths), ahead_s=NO_PROGRESS_S + 30)
    assert len(sink.texts) == 2


def test_couriers_of_a_dead_agent_are_left_to_finish(
    couriers: Couriers, paths: AgentPaths, sink: Sink
) -> None:
    define(paths, sink, "phone")
    say_on(paths, "phone", "hello")
    sink.gate.clear()
    until(couriers, lambda: len(sink.texts) == 1)
    second = Couriers(paths)  # as an agent that has just begun
    for _ in range(10):
        assert second.look(time.monotonic()) <= 2
    assert len(living(paths)) == 1
    assert len(sink.texts) == 1
    # It hangs, and the new agent ends it too.
    second.look(time.monotonic() + NO_PROGRESS_S + 5)
    until(couriers, lambda: living(paths) == [])
    sink.gate.set()
    until(second, lambda: not waiting(paths), ahead_s=NO_PROGRESS_S + 10)
    second.stop()


def test_two_agents_deliver_once(paths: AgentPaths, sink: Sink, couriers: Couriers) -> None:
    define(paths, sink, "phone")
    for number in range(40):
        say_on(paths, "phone", f"m{number}")
    other = Couriers(paths)
    end = time.monotonic() + 40
    while waiting(paths) and time.monotonic() < end:
        couriers.look(time.monotonic())
        other.look(time.monotonic())
        time.sleep(0.02)
    other.stop()
    assert len(sink.texts) == 40
    assert len(set(sink.texts)) == 40


def test_killed_again_and_again_it_arrives(
    couriers: Couriers, paths: AgentPaths, sink: Sink
) -> None:
    define(paths, sink, "phone")
    say_on(paths, "phone", "hello")
    for _ in range(2):
        until(couriers, lambda: bool(living(paths)))
        for pid in living(paths):
            os.kill(pid, signal.SIGKILL)
        until(couriers, lambda: not living(paths))
    until(couriers, lambda: not waiting(paths))
    assert 1 <= len(sink.texts) <= 3


def test_what_has_to_wait_starts_nobody(couriers: Couriers, paths: AgentPaths, sink: Sink) -> None:
    define(paths, sink, "phone")
    os.utime(paths.kept_channel("phone"), (time.time() - 60, time.time() - 60))
    now_us = time.time_ns() // 1000
    lane = Lane("phone", failures=3)
    lane.wait("pace", now_us, normal_us=600_000_000)
    lane.save(paths, sync=False)
    say_on(paths, "phone", "hello")
    assert 590 < couriers.look(time.monotonic()) <= 600
    assert couriers.busy
    assert living(paths) == []
    say_on(paths, "phone", "it crashed", urgent=True)
    until(couriers, lambda: len(sink.texts) == 1)
    assert sink.texts[0].endswith("it crashed")


def test_a_channel_that_is_defined_at_last_gets_its_messages_at_once(
    couriers: Couriers, paths: AgentPaths, sink: Sink
) -> None:
    say_on(paths, "phone", "hello")
    until(couriers, lambda: (lane := read(paths, "phone")) is not None and lane.why != "")
    until(couriers, lambda: not living(paths))
    define(paths, sink, "phone")
    until(couriers, lambda: not waiting(paths), ahead_s=60)
    assert len(sink.texts) == 1


def test_asked_to_stop_a_courier_finishes_what_it_has_in_hand(
    couriers: Couriers, paths: AgentPaths, sink: Sink
) -> None:
    define(paths, sink, "phone")
    first = say_on(paths, "phone", "one")
    say_on(paths, "phone", "two")
    sink.gate.clear()
    until(couriers, lambda: len(sink.texts) == 1)
    threading.Timer(0.2, sink.gate.set).start()
    couriers.stop()
    assert Path(paths.told(first.id)).exists()
    assert len(waiting(paths)) == 1
    assert living(paths) == []


def test_a_broken_installation_is_not_tried_a_hundred_times(
    couriers: Couriers, paths: AgentPaths, monkeypatch: pytest.MonkeyPatch
) -> None:
    say_on(paths, "phone", "hello")
    monkeypatch.setattr(sys, "executable", "/bin/false")
    starts = 0
    for _ in range(60):
        before = bool(couriers.children.pids)
        couriers.look(time.monotonic())
        starts += not before and bool(couriers.children.pids)
        time.sleep(0.02)
    assert starts <= 2


#: A courier that dies when it opens its channel: out of memory, a library that does not fit.
_DIES_IN_OPEN = """
import os, sys
sys.path.insert(0, {source!r})
import overnight.channels
overnight.channels.open_channel = lambda *_: os.kill(os.getpid(), 9)
from overnight.agent.courier import main
sys.exit(main(sys.argv[-1]))
"""


def test_one_that_dies_each_time_is_started_less_and_less_often(
    couriers: Couriers, paths: AgentPaths, sink: Sink, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    define(paths, sink, "phone")
    say_on(paths, "phone", "hello")
    script = tmp_path / "courier.py"
    script.write_text(_DIES_IN_OPEN.format(source=str(Path(module.__file__).parents[2])))
    python = tmp_path / "python"
    python.write_text(f'#!/bin/sh\nexec {sys.executable} "{script}" "$@"\n')
    python.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(python))
    ahead_s = 0.0
    for times in range(1, 5):
        until(couriers, lambda: bool(couriers.children.pids), ahead_s=ahead_s)
        until(couriers, lambda: not couriers.children.pids, ahead_s=ahead_s)
        assert couriers.children.holds["phone"].times == times
        ahead_s += 2.0**times


def test_a_server_that_nobody_reaches(couriers: Couriers, paths: AgentPaths) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        url = f"json://127.0.0.1:{closed.getsockname()[1]}/"
        files.replace(paths.kept_channel("phone"), files.to_json({"url": url}))
        say_on(paths, "phone", "hello")
        until(couriers, lambda: (lane := read(paths, "phone")) is not None and lane.failures > 0)
    lane = read(paths, "phone")
    assert lane is not None
    assert lane.why == "retry"
    assert len(waiting(paths)) == 1


# -- tidying up -----------------------------------------------------------------------------------


def age(path: str | Path, seconds: float) -> None:
    at = time.time() - seconds
    os.utime(path, (at, at))


def test_old_notes_go_and_those_of_followed_runs_stay(paths: AgentPaths, tmp_path: Path) -> None:
    run = str(tmp_path / "a run that takes two months")
    files.replace(paths.followed(run), files.to_json({"dir": run}))
    now_us = time.time_ns() // 1000
    kept = Message("kept", "phone", "text", now_us, run_dir=run)
    old, new = Message("old", "phone", "text", now_us), Message("new", "phone", "text", now_us)
    for message in (kept, old, new):
        settle(paths, message, DELIVERED)
    for message in (kept, old):
        age(paths.told(message.id), 40 * DAY_S)
    tidy(paths)
    there = [Path(paths.told(each.id)).exists() for each in (kept, old, new)]
    assert there == [True, False, True]


def test_what_deaths_left_behind_goes(paths: AgentPaths) -> None:
    left = [
        Path(paths.sent, "a.json.1.2.3.tmp"),
        Path(paths.outbox, "b.json.1.2.3.tmp"),
        Path(paths.outbox, "damaged.json"),
        Path(paths.pictures("m1"), "loss.png"),
    ]
    fresh = Path(paths.outbox, "fresh.json.1.2.3.tmp")
    for path in [*left, fresh]:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("{")
    for path in left:
        age(path, 2 * DAY_S)
    age(left[-1].parent, 2 * DAY_S)
    message = say_on(paths, "phone", "waits")
    age(paths.waiting(message.id), 2 * DAY_S)
    tidy(paths)
    assert not any(path.exists() for path in left)
    assert fresh.exists()
    assert len(waiting(paths)) == 1


def test_kept_channels_go_when_nobody_needs_them(paths: AgentPaths) -> None:
    for channel in ("followed", "waiting", "done", "이름 with / odd"):
        files.replace(paths.kept_channel(channel), files.to_json({"url": "json://h"}))
    say_on(paths, "waiting", "hello")
    forget_channels(paths, {"followed", "이름 with / odd"})
    kept = [
        Path(paths.kept_channel(channel)).exists()
        for channel in ("followed", "waiting", "done", "이름 with / odd")
    ]
    assert kept == [True, True, False, True]
