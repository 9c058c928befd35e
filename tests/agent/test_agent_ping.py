"""The heartbeat address is really asked for, by a process of its own."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from overnight.agent.ping import Ping
from overnight.ledger import files
from overnight.ledger.paths import create_run
from overnight.outbox import follow
from overnight.outbox.folder import agent_paths


class Watchman(ThreadingHTTPServer):
    """Somebody who expects a sign of life."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.asked: list[str] = []
        self.answers = threading.Event()
        self.answers.set()


class _Handler(BaseHTTPRequestHandler):
    server: Watchman

    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        self.server.answers.wait(60)
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Keeps the output clean."""


@pytest.fixture
def watchman(monkeypatch: pytest.MonkeyPatch) -> Iterator[Watchman]:
    with Watchman() as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        address = f"http://127.0.0.1:{server.server_port}/secret-id"
        monkeypatch.setenv("OVERNIGHT_HEARTBEAT_URL", address)
        yield server
        server.answers.set()
        server.shutdown()
        thread.join()


def until(condition: Callable[[], object]) -> None:
    give_up = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < give_up, "it never became true"
        time.sleep(0.02)


def test_it_is_asked_for_every_five_minutes_while_a_run_is_under_way(watchman: Watchman) -> None:
    ping = Ping()
    ping.look(0.0, wanted=False)
    ping.look(1.0, wanted=True)
    until(lambda: watchman.asked == ["/secret-id"])
    until(lambda: (ping.look(2.0, wanted=True), ping._child is None)[1])
    ping.look(300.0, wanted=True)
    assert ping._child is None
    ping.look(301.0, wanted=True)
    until(lambda: len(watchman.asked) == 2)
    ping.stop()


def test_no_network_is_no_bug_of_ours(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{closed.getsockname()[1]}/"
        monkeypatch.setenv("OVERNIGHT_HEARTBEAT_URL", url)
        ping = Ping()
        ping.look(0.0, wanted=True)
        child = ping._child
        assert child is not None
        assert child.wait(60) == 1
    assert capfd.readouterr().err == ""
    ping.stop()


def test_a_run_brings_its_address_to_an_agent_that_is_older(
    watchman: Watchman, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    run = create_run(str(tmp_path), "run", "job")
    files.replace(run.notify_json, files.to_json({"channels": ["phone"]}))
    follow.ask(run)
    monkeypatch.delenv("OVERNIGHT_HEARTBEAT_URL")
    assert Path(agent_paths().heartbeat).stat().st_mode & 0o777 == 0o600
    ping = Ping()
    ping.look(0.0, wanted=True)
    until(lambda: watchman.asked == ["/secret-id"])
    ping.stop()


def test_one_that_does_not_answer_is_ended(
    watchman: Watchman, capfd: pytest.CaptureFixture[str]
) -> None:
    watchman.answers.clear()
    ping = Ping()
    ping.look(0.0, wanted=True)
    until(lambda: watchman.asked)
    child = ping._child
    assert child is not None
    ping.look(61.0, wanted=True)
    assert child.returncode is not None
    assert ping._child is None
    assert "secret-id" not in capfd.readouterr().err
    ping.stop()
