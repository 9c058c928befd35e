"""The storm on messages: kills agent and couriers while a bad server takes alerts, then counts.

``python -m overnight.testing.storm_courier --alerts 1000 --seed 7``. A server on loopback answers
most requests, and at random says 500 or 429, cuts the connection before or after it has taken the
message, or freezes. What must be found: no alert lost, and none told again that was noted as told.
An alert may come twice only where the answer to the first was lost on its way.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import overnight.agent
from overnight import crashpoint
from overnight.agent.lane import claim_of
from overnight.ledger import claims, files
from overnight.ledger.identity import ALIVE
from overnight.outbox.folder import AgentPaths, agent_paths
from overnight.outbox.message import DELIVERED, Message, put, waiting

assert sys.platform != "win32"

#: So many channels: a pause that one's fault costs is used by the others.
_NUM_CHANNELS = 8
#: Of 1,000 requests, how many meet which fault; the rest is answered.
_FAULTS = {"drop": 20, "cut": 10, "500": 20, "429": 15, "freeze": 4}
#: How long the channels wait for an answer, in whole seconds; a frozen server waits longer.
_PATIENCE_S, _FREEZE_S = 2, 20.0
_BETWEEN_KILLS_S = (0.3, 4.0)
#: Where an agent or its courier may be made to die by itself.
_POINTS = (
    "message.counted",
    "message.sent",
    "message.noted",
    "replace.torn",
    "replace.written",
    "replace.renamed",
    "claim.written",
    "claim.taken",
)
_KEY = re.compile(rb"alert-(\d+)-on-(c\d+)")
_ENDS_WITHIN_S = 1200.0
#: How often one agent too many is started, and how long it may take to leave.
_SECOND_AGENT, _LEAVES_WITHIN_S = 0.1, 30.0


@dataclass(slots=True)
class Found:
    """What the storm found."""

    alerts: int = 0
    delivered: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)
    kills: Counter[str] = field(default_factory=Counter)
    agents: int = 0
    in_flight: int = 0
    waiting: int = 0
    wrong: list[str] = field(default_factory=list)

    @property
    def lost(self) -> int:
        """Alerts that never arrived."""
        return self.alerts - len(self.delivered)

    @property
    def duplicates(self) -> int:
        """Deliveries beyond each alert's first."""
        return self.delivered.total() - len(self.delivered)

    @property
    def is_clean(self) -> bool:
        """Nothing lost, and nothing twice without a reason."""
        return not (self.lost or self.waiting or self.wrong) and (self.duplicates <= self.in_flight)


class Server(ThreadingHTTPServer):
    """Takes messages and counts them; a bad server, at random.

    Args:
        paths: The agent's: a message that comes again must not be noted as told.
        found: Where it counts.
        seed: Decides who meets which fault.
    """

    daemon_threads = True

    def __init__(self, paths: AgentPaths, found: Found, seed: int) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.paths, self.found = paths, found
        self.closing = threading.Event()
        self._rng = random.Random(f"{seed}/server")
        self._lock = threading.Lock()
        #: Channel → the message it took last.
        self._last: dict[str, Message] = {}

    def take(self, body: bytes) -> str:
        """Counts what is delivered and says what becomes of the answer."""
        parts = _KEY.search(body)
        with self._lock:
            if parts is None:
                self.found.wrong.append(f"a message that is none: {body[:200]!r}")
                return "answer"
            key, channel = parts[0].decode(), parts[2].decode()
            message = alert(key, channel)
            last = self._last.pop(channel, None)
            if last is not None and not self._is_noted(last):
                self.found.in_flight += 1  # its courier died, or gave the answer up
            if self._is_noted(message):
                self.found.wrong.append(f"{key} came again though it was noted as told")
            fault = self._fault()
            self.found.faults[fault] += 1
            if fault in ("answer", "drop", "freeze"):
                self.found.delivered[key] += 1
                self._last[channel] = message
            return fault

    def _is_noted(self, message: Message) -> bool:
        return Path(self.paths.told(message.id)).exists()

    def _fault(self) -> str:
        at = self._rng.randrange(1000)
        for fault, share in _FAULTS.items():
            if at < share:
                return fault
            at -= share
        return "answer"

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that was killed breaks its connection: that is what is wanted here."""


class _Handler(BaseHTTPRequestHandler):
    server: Server
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        match self.server.take(body):
            case "drop" | "cut":
                self.close_connection = True
                return
            case "freeze":
                self.server.closing.wait(_FREEZE_S)
                self.close_connection = True
                return
            case "500":
                self.send_response(500)
            case "429":
                self.send_response(429)
                self.send_header("Retry-After", "1")
            case _:
                self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Says nothing."""


def alert(key: str, channel: str) -> Message:
    """An alert that can be told from all others by its text."""
    return Message(key, channel, "text", time.time_ns() // 1000, facts={"text": key})


class Storm:
    """One storm.

    Args:
        folder: Where everything happens; XDG_STATE_HOME and XDG_CONFIG_HOME point into it.
        alerts: How many are put.
        seed: Decides faults, victims and moments.
    """

    def __init__(self, folder: Path, *, alerts: int, seed: int) -> None:
        self._rng = random.Random(f"{seed}/kills")
        self._env = {
            **os.environ,
            "XDG_STATE_HOME": str(folder / "state"),
            "XDG_CONFIG_HOME": str(folder / "config"),
        }
        self._env.pop(crashpoint.VARIABLE, None)
        with _environment(self._env):
            self.paths = agent_paths().make()
        self.found = Found(alerts=alerts)
        self._channels = [f"c{number}" for number in range(min(_NUM_CHANNELS, alerts))]
        self._seed = seed
        self._agents: list[subprocess.Popen[bytes]] = []

    def run(self) -> Found:
        """Puts every alert, kills until all are delivered, and counts."""
        server = Server(self.paths, self.found, self._seed)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"json://127.0.0.1:{server.server_port}/"
        for channel in self._channels:
            kept = files.to_json({"name": channel, "url": f"{url}{channel}?rto={_PATIENCE_S}"})
            files.replace(self.paths.kept_channel(channel), kept)
        todo = [
            alert(f"alert-{number}-on-{self._channels[number % len(self._channels)]}",
                  self._channels[number % len(self._channels)])
            for number in range(self.found.alerts)
        ]  # fmt: skip
        until = time.monotonic() + _ENDS_WITHIN_S
        try:
            while (todo or waiting(self.paths)) and time.monotonic() < until:
                self._put(todo)
                self._keep_an_agent()
                time.sleep(self._rng.uniform(*_BETWEEN_KILLS_S))
                self._kill()
        finally:
            self._end()
            server.closing.set()
            server.shutdown()
            server.server_close()
        self.found.waiting = len(waiting(self.paths))
        for note in Path(self.paths.sent).glob("*.json"):
            told = files.read_json(str(note)) or {}
            if told.get("outcome") != DELIVERED:
                self.found.wrong.append(f"{told.get('key')} was {told.get('outcome')}")
        return self.found

    def _put(self, todo: list[Message]) -> None:
        """Puts a part of what is left; one of them twice, as an agent that begins anew does."""
        number = self._rng.randint(1, max(20, self.found.alerts // 10))
        part, todo[:] = todo[:number], todo[number:]
        for message in [*part, *part[:1]]:
            put(self.paths, message)

    def _keep_an_agent(self) -> None:
        """Starts one where none lives; and now and then one too many: either has to leave."""
        num_alive = len(self._alive())
        if num_alive > 1:
            self.found.wrong.append(f"{num_alive} agents stay")
        elif not num_alive:
            self._start_agent()
        elif self._rng.random() < _SECOND_AGENT:
            self._start_agent()
            until = time.monotonic() + _LEAVES_WITHIN_S
            while len(self._alive()) > 1 and time.monotonic() < until:
                time.sleep(0.02)

    def _alive(self) -> list[subprocess.Popen[bytes]]:
        return [agent for agent in self._agents if agent.poll() is None]

    def _start_agent(self) -> None:
        env = dict(self._env)
        if self._rng.random() < 0.5:
            point = self._rng.choice(_POINTS)
            env[crashpoint.VARIABLE] = f"{point}:{self._rng.randint(1, 20)}"
        log = os.open(self.paths.log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            self._agents.append(subprocess.Popen(self._argv(), env=env, stdout=log, stderr=log))
        finally:
            os.close(log)
        self.found.agents += 1

    def _argv(self) -> list[str]:
        agent = Path(overnight.agent.__file__).parent
        return [sys.executable, "-I", str(agent), "--stay"]

    def _kill(self) -> None:
        victim = self._rng.choice(["agent", "courier", "courier", "nobody"])
        if victim == "agent":
            for agent in self._alive():
                agent.kill()
                agent.wait()
                self.found.kills["agent"] += 1
        elif victim == "courier":
            couriers = self._couriers()
            if couriers:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(self._rng.choice(couriers), signal.SIGKILL)
                    self.found.kills["courier"] += 1

    def _couriers(self) -> list[int]:
        """The living couriers, whoever started them."""
        found = []
        for channel in self._channels:
            _, identity = claims.holder(self.paths.claims, claim_of(channel))
            if identity is not None and identity.look() == ALIVE:
                found.append(identity.pid)
        return found

    def _end(self) -> None:
        for agent in self._alive():
            agent.kill()
            agent.wait()
        for pid in self._couriers():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


@contextlib.contextmanager
def _environment(env: dict[str, str]) -> Iterator[None]:
    before = dict(os.environ)
    os.environ.update(env)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def main(argv: Sequence[str] | None = None) -> int:
    """The command; 0 if the storm found nothing wrong."""
    parser = argparse.ArgumentParser(prog="storm_courier", description=__doc__)
    parser.add_argument("--alerts", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args(argv)
    begun = time.monotonic()
    folder = Path(tempfile.mkdtemp(prefix="overnight-storm-"))
    try:
        storm = Storm(folder, alerts=asked.alerts, seed=asked.seed)
        found = storm.run()
        log = Path(storm.paths.log)
        tracebacks = log.read_text(errors="replace") if log.exists() else ""
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    _print(found, asked.seed, time.monotonic() - begun, tracebacks, as_json=asked.json)
    return 0 if found.is_clean else 1


def _print(found: Found, seed: int, took_s: float, log: str, *, as_json: bool) -> None:
    faults = dict(sorted(found.faults.items()))
    rows = {
        "seed": seed,
        "alerts": found.alerts,
        "lost": found.lost,
        "still waiting": found.waiting,
        "duplicates": found.duplicates,
        "answers lost in flight": found.in_flight,
        "told again though noted, or worse": len(found.wrong),
        "kills": f"{found.kills.total()} ({found.kills['agent']} agent, "
        f"{found.kills['courier']} courier)",
        "agents started": found.agents,
        "requests": ", ".join(f"{number} {fault}" for fault, number in faults.items()),
        "seconds": round(took_s),
    }
    if as_json:
        sys.stdout.write(json.dumps({**rows, "wrong": found.wrong}) + "\n")
        return
    width = max(len(name) for name in rows)
    for name, value in rows.items():
        sys.stdout.write(f"{name:<{width}}  {value}\n")
    for line in found.wrong:
        sys.stdout.write(f"WRONG {line}\n")
    if not found.is_clean or log:
        sys.stdout.write(log[-4000:])
    sys.stdout.write("the storm is clean\n" if found.is_clean else "the storm found something\n")


if __name__ == "__main__":
    sys.exit(main())
