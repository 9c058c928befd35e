"""A workplace for tests of real detached processes: its own root, home and state folder.

Whatever a test starts inherits this workplace's ``XDG_STATE_HOME``; by it everything is found
again, and a test that leaves a process behind fails. The agent alone is told to go.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from overnight.ledger.files import read_json
from overnight.ledger.identity import ALIVE, Identity
from overnight.ledger.paths import RunPaths
from overnight.ledger.reader import read
from overnight.ledger.state import ENDED, State, view
from overnight.supervisor.detach import holder
from overnight.supervisor.process import name_of, of_run, send
from overnight.supervisor.process_tree import processes_with_environment

if sys.platform != "linux":
    pytest.skip("looks into /proc", allow_module_level=True)

#: Two busy cores; a condition that holds is seen at once all the same.
PATIENCE_S = 60.0
#: What a test leaves running has this long to go by itself.
_TIDY_S = 20.0


class Workplace:
    """A root folder, a home, and what is needed to start runs there and look at them."""

    def __init__(self, folder: Path) -> None:
        self.root = folder / "work"
        self.home = folder / "home"
        self.state = folder / "state"
        for each in (self.root, self.home):
            each.mkdir()
        self.env = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.home),
            "LANG": "C.UTF-8",
            "XDG_STATE_HOME": str(self.state),
        }

    def script(self, source: str, name: str = "job.py") -> Path:
        """Writes a program into the root."""
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(source), encoding="utf-8")
        return path

    def command(self, *words: object) -> list[str]:
        return [sys.executable, "-m", "overnight", *map(str, words)]

    def overnight(
        self, *words: object, env: dict[str, str] | None = None, cwd: Path | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Runs the command line as a person would, and waits for it."""
        return subprocess.run(
            self.command(*words),
            env={**self.env, **(env or {})},
            cwd=cwd or self.root,
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            timeout=120,
            check=False,
        )

    def run(
        self, *words: object, env: dict[str, str] | None = None, cwd: Path | None = None
    ) -> RunPaths:
        """``overnight run`` of these words."""
        done = self.overnight("run", "--json", *words, env=env, cwd=cwd)
        assert done.returncode == 0, done.stderr
        return RunPaths(json.loads(done.stdout)["dir"])

    def run_at(self, folder: Path) -> RunPaths:
        return RunPaths(str(folder))

    def until(self, holds: Callable[[], Any], timeout_s: float = PATIENCE_S) -> Any:
        """Waits for a condition; its value."""
        until = time.monotonic() + timeout_s
        while not (value := holds()):
            assert time.monotonic() < until, "waited in vain"
            time.sleep(0.02)
        return value

    def file(self, path: Path | str) -> str:
        """Waits until a file has a whole line, and gives its text."""
        path = Path(path)
        self.until(lambda: path.exists() and path.read_text(errors="replace").endswith("\n"))
        return path.read_text(errors="replace")

    def ended(self, run: RunPaths, timeout_s: float = PATIENCE_S) -> State:
        """Waits until a run has ended and its keeper and supervisor have left; its state."""
        self.until(lambda: isinstance(view(run).state, ENDED), timeout_s)
        self.until(lambda: not (self.is_alive(holder(run)[1]) or self.keeper(run)), timeout_s)
        return view(run).state

    def is_alive(self, identity: Identity | None) -> bool:
        return identity is not None and identity.look() == ALIVE

    def _of_keeper_json(self, run: RunPaths, who: str) -> Identity | None:
        identity = Identity.from_json((read_json(run.keeper_json) or {}).get(who))
        return identity if self.is_alive(identity) else None

    def job(self, run: RunPaths) -> Identity | None:
        """The job, if it lives."""
        return self._of_keeper_json(run, "job")

    def keeper(self, run: RunPaths) -> Identity | None:
        """The keeper, if it lives."""
        return self._of_keeper_json(run, "keeper")

    def supervisor(self, run: RunPaths) -> Identity | None:
        """The newest supervisor, if it lives."""
        identity = holder(run)[1]
        return identity if self.is_alive(identity) else None

    def kill(self, identity: Identity | None, number: int = signal.SIGKILL) -> None:
        """Kills one of them; where that ends it, waits until it is gone."""
        assert identity is not None
        os.kill(identity.pid, number)
        if number == signal.SIGKILL:
            self.until(lambda: not self.is_alive(identity))

    def events(self, run: RunPaths) -> list[dict[str, Any]]:
        """The supervisor's events."""
        return read(run.dir, "events").records

    def event_names(self, run: RunPaths) -> list[str]:
        return [str(event["_event"]) for event in self.events(run)]

    def of_run(self, run: RunPaths) -> set[int]:
        """Every living process of the run's job."""
        return of_run(run.dir, set())

    def log(self, run: RunPaths) -> str:
        return Path(run.log).read_text(encoding="utf-8", errors="replace")

    def processes(self) -> set[int]:
        """Everything alive that was started here."""
        found = processes_with_environment("XDG_STATE_HOME", str(self.state))
        return {pid for pid in found if self.is_alive(Identity.of(pid))}

    def runs(self) -> list[Path]:
        """The folders of all runs of the root."""
        return [path.parent for path in self.root.glob("experiments/*/2*/*/claims")]


@pytest.fixture
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Workplace]:
    """A workplace of the test's own; fails if anything started there is left at the end."""
    place = Workplace(tmp_path)
    for name in list(os.environ):
        if name.startswith("OVERNIGHT_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_STATE_HOME", str(place.state))
    yield place
    until = time.monotonic() + _TIDY_S
    sent_away: set[int] = set()
    while (left := place.processes()) and time.monotonic() < until:
        # The agent stays a minute for what may come: here nothing will.
        for pid in {pid for pid in left - sent_away if name_of(pid) == "ov-agent"}:
            sent_away.add(pid)
            send(pid, signal.SIGTERM)
        time.sleep(0.02)
    for pid in left:
        os.kill(pid, signal.SIGKILL)
    assert not left, "processes were left"


@pytest.fixture
def waiting(workplace: Workplace) -> Path:
    """A job that says ``up`` and lives until the file ``go`` is beside it; then it ends with 5."""
    return workplace.script(
        """
        import os, time
        print("up", flush=True)
        while not os.path.exists("go"):
            time.sleep(0.02)
        raise SystemExit(5)
        """
    )
