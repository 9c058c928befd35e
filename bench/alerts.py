"""What being told costs, and how soon one is: on loopback, with the real agent and couriers.

Three tables. From the death of a job (``kill -9``) to its message at the server, with the agent
awake and with the agent just killed. What 1,000 alerts cost the job that causes them, beside the
same job of which nobody is told. How much memory everything of Overnight takes at 20 runs. Run it
as ``python bench/alerts.py``; it takes ten minutes.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import _measure as measure

_NUM_DEATHS = 10
_NUM_ALERTS = 1000
_NUM_PAIRS = 4
_NUM_RUNS = 20
_REACH_S, _REACH_MB = 5.0, 600.0
_PATIENCE_S = 120.0
#: The names ps shows.
_OURS = ("ov-supervisor", "ov-keeper", "ov-agent", "ov-courier")

_SLEEPS = "import time\ntime.sleep(3600)\n"
#: Every second row comes with an alert of the job's own, where somebody is told.
_LOGS = f"""
import sys, time, overnight
overnight.init()
took_ns = {{"log": [], "notify": []}}
def take(what, do, *args, **kwargs):
    begun = time.perf_counter_ns()
    do(*args, **kwargs)
    took_ns[what].append(time.perf_counter_ns() - begun)
for step in range({2 * _NUM_ALERTS}):
    take("log", overnight.log, {{"loss": 1 / (step + 1)}}, step=step)
    if step % 2 and sys.argv[1:] == ["tell"]:
        take("notify", overnight.notify, f"alert {{step}}")
    time.sleep(0.002)
with open("took.json", "w") as file:
    file.write(str([[sum(each) / len(each) / 1e3, sorted(each)[-1 - len(each) // 100] / 1e3]
                    for each in took_ns.values() if each]))
"""


class Server(ThreadingHTTPServer):
    """Takes messages and notes when; while ``frozen``, it answers none."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.taken: list[tuple[float, str]] = []
        self.frozen = threading.Event()

    def time_of(self, text: str) -> float | None:
        """When the first message that holds ``text`` arrived."""
        return next((at for at, body in self.taken if text in body), None)

    def handle_error(self, *_: object) -> None:
        """A client that was killed breaks its connection."""


class _Handler(BaseHTTPRequestHandler):
    server: Server

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.taken.append((time.monotonic(), json.loads(body)["message"]))
        while self.server.frozen.is_set():
            time.sleep(0.1)
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Says nothing."""


class Place:
    """A user of their own: folders, channel, runs.

    Args:
        folder: Where all of it lies.
        overnight: The command.
        server: Where messages go.
    """

    def __init__(self, folder: Path, overnight: Path, server: Server) -> None:
        self.folder, self.overnight, self.server = folder, overnight, server
        folder.mkdir()
        self.env = {
            **os.environ,
            "XDG_STATE_HOME": str(folder / "state"),
            "XDG_CONFIG_HOME": str(folder / "config"),
            "OVERNIGHT_CHANNEL_PHONE": f"json://127.0.0.1:{server.server_port}/",
            "OVERNIGHT_LANG": "en",
        }

    def run(self, script: str, *options: str, args: Sequence[str] = ()) -> tuple[str, int]:
        """Starts a job; its run's id and its pid."""
        job = self.folder / "job.py"
        job.write_text(script)
        argv = [str(self.overnight), "run", "--json", *options, str(job), *args]
        done = subprocess.run(argv, env=self.env, cwd=self.folder, check=True, capture_output=True)
        said = json.loads(done.stdout)
        return said["run_id"], said["job_pid"]

    def wait(self, run_id: str) -> None:
        """Waits for the end of a run."""
        argv = [str(self.overnight), "wait", run_id]
        subprocess.run(argv, env=self.env, cwd=self.folder, check=False, capture_output=True)

    def processes(self) -> dict[str, list[int]]:
        """Every process of Overnight's that belongs to this place, by name."""
        found: dict[str, list[int]] = {name: [] for name in _OURS}
        for pid in self._all():
            with contextlib.suppress(OSError):
                name = (Path("/proc") / str(pid) / "comm").read_text().strip()
                if name in found:
                    found[name].append(pid)
        return found

    def _all(self) -> list[int]:
        """Every process that was started here: the folder in its environment is its mark."""
        mark = f"XDG_STATE_HOME={self.env['XDG_STATE_HOME']}".encode()
        found = []
        for entry in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                if mark in (entry / "environ").read_bytes().split(b"\0"):
                    found.append(int(entry.name))
        return found

    def clear(self) -> None:
        """Ends everything that is left."""
        while left := self._all():
            for pid in left:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            time.sleep(0.1)


def _until(done: Callable[[], bool]) -> None:
    end = time.monotonic() + _PATIENCE_S
    while not done():
        if time.monotonic() > end:
            raise SystemExit("what is measured did not happen")
        time.sleep(0.01)


def _death(place: Place, *, agent_too: bool) -> float:
    """Seconds from ``kill -9`` of a job to its message at the server."""
    run_id, pid = place.run(_SLEEPS, "--notify", "phone")
    _until(lambda: bool(place.processes()["ov-agent"]))
    time.sleep(2)  # a job that has run for a moment
    if agent_too:
        for agent in place.processes()["ov-agent"]:
            os.kill(agent, signal.SIGKILL)
    begun = time.monotonic()
    os.kill(pid, signal.SIGKILL)
    _until(lambda: place.server.time_of(run_id) is not None)
    at = place.server.time_of(run_id)
    assert at is not None
    return at - begun


def _cost(place: Place, *options: str, args: Sequence[str] = ()) -> list[list[float]]:
    """Of each kind of call in the job: its mean and its 99th percentile, in microseconds."""
    run_id, _ = place.run(_LOGS, *options, args=args)
    place.wait(run_id)
    took: list[list[float]] = json.loads((place.folder / "took.json").read_text())
    return took


def _pss_mb(pids: Sequence[int]) -> float:
    total = 0
    for pid in pids:
        with contextlib.suppress(OSError):  # it has just ended
            for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
                if line.startswith("Pss:"):
                    total += int(line.split()[1]) * 1024
    return total / 1e6


@contextlib.contextmanager
def _place(overnight: Path) -> Iterator[Place]:
    server = Server()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    with tempfile.TemporaryDirectory(prefix="overnight-bench-") as folder:
        place = Place(Path(folder) / "user", overnight, server)
        try:
            yield place
        finally:
            server.frozen.clear()
            place.clear()
            server.shutdown()
            server.server_close()


def _deaths(overnight: Path, machine: str) -> dict[str, object]:
    found: dict[str, list[float]] = {"awake": [], "killed": []}
    with _place(overnight) as place:
        _death(place, agent_too=False)  # bytecode is written, files are read
        for _ in range(_NUM_DEATHS):
            found["awake"].append(_death(place, agent_too=False))
            found["killed"].append(_death(place, agent_too=True))
    measure.table(
        f"From a job's death to its message at the server, {_NUM_DEATHS} times each",
        machine,
        ["the agent", "median, s", "longest, s", "reach"],
        [
            [name, f"{measure.Interval.of(times):.2f}", f"{max(times):.2f}", f"≤ {_REACH_S:g} s"]
            for name, times in (
                ("is awake", found["awake"]),
                ("was killed just before", found["killed"]),
            )
        ],
    )
    return dict(found)


def _costs(overnight: Path, machine: str) -> dict[str, object]:
    took: dict[str, list[list[float]]] = {"log, told": [], "notify": [], "log, alone": []}
    with _place(overnight) as place:
        place.server.frozen.set()  # the worst server there is
        for pair in range(_NUM_PAIRS):
            for is_told in (True, False) if pair % 2 == 0 else (False, True):
                if is_told:
                    log, notify = _cost(place, "--notify", "phone", args=["tell"])
                    took["log, told"].append(log)
                    took["notify"].append(notify)
                else:
                    took["log, alone"].append(_cost(place, "--notify", "none")[0])
        state = Path(place.env["XDG_STATE_HOME"])
        outbox = "overnight/agent/*/outbox/*.json"
        wanted = _NUM_PAIRS * _NUM_ALERTS
        _until(lambda: len(list(state.glob(outbox))) >= wanted)
        num_put = len(list(state.glob(outbox)))
    names = {
        "log, told": f"overnight.log, {_NUM_ALERTS} alerts among {2 * _NUM_ALERTS} rows",
        "notify": "overnight.notify itself",
        "log, alone": "overnight.log, nobody is told",
    }
    measure.table(
        "A call in the job, its messages' server frozen",
        machine,
        ["what", "mean, µs", "99 of 100 are below, µs"],
        [
            [names[what], f"{measure.Interval.of([mean for mean, _ in each]):.1f}",
             f"{measure.Interval.of([late for _, late in each]):.1f}"]
            for what, each in took.items()
        ],
    )  # fmt: skip
    print(f"\nNo call waits for the server. Messages in the outbox: {num_put}.")
    return {"took_us": took, "num_put": num_put}


def _memory(overnight: Path, machine: str) -> dict[str, object]:
    with _place(overnight) as place:
        place.server.frozen.set()
        for _ in range(_NUM_RUNS):
            place.run(_SLEEPS, "--notify", "phone")
        second = f"json://127.0.0.1:{place.server.server_port}/second"
        place.env["OVERNIGHT_CHANNEL_MAIL"] = second
        _, pid = place.run(_SLEEPS, "--notify", "phone", "--notify", "mail")
        os.kill(pid, signal.SIGKILL)
        _until(lambda: len(place.processes()["ov-courier"]) == 2)
        _until(lambda: len(place.server.taken) >= 2)
        ours = place.processes()
        used = {name: _pss_mb(pids) for name, pids in ours.items()}
    total = sum(used.values())
    measure.table(
        f"Memory (PSS) of everything of Overnight's at {_NUM_RUNS} runs, two couriers at work",
        machine,
        ["process", "number", "MB", "reach"],
        [
            *([name, str(len(ours[name])), f"{mb:.0f}", ""] for name, mb in used.items()),
            ["together", str(sum(map(len, ours.values()))), f"{total:.0f}", f"≤ {_REACH_MB:g}"],
        ],
    )
    return {"pss_mb": used}


def main() -> None:
    """Prints the tables."""
    overnight = measure.own_environment().with_name("overnight")
    machine = measure.calm()
    numbers: dict[str, object] = {}
    for part in (_deaths, _costs, _memory):
        numbers |= part(overnight, machine)
    measure.keep("alerts", machine, numbers)


if __name__ == "__main__":
    sys.exit(main())
