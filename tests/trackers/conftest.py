"""Runs made by hand, and a mirror of this process's own."""

from __future__ import annotations

import os
import shutil
import signal
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from overnight.agent.mirror import Mirror, main
from overnight.ledger import files
from overnight.ledger.paths import RunPaths, create_run
from overnight.ledger.writer import Pen
from overnight.outbox import track
from overnight.outbox.folder import AgentPaths, agent_paths
from overnight.testing.foreign_wandb import KEY, ForeignWandb
from overnight.testing.read_back import history_numbers

_PATIENCE_S = 60.0


class Bench:
    """A root with runs, and the mirror that a lane needs."""

    def __init__(self, root: Path, paths: AgentPaths) -> None:
        self.root = root
        self.paths = paths

    def run(self, *trackers: dict[str, Any], name: str = "job", kind: str = "run") -> RunPaths:
        """A run with a ``track.json``."""
        run = create_run(str(self.root), kind, name)
        info = {
            "run_id": run.run_id,
            "name": name,
            "kind": kind,
            "created_us": time.time_ns() // 1000,
            "labels": ["baseline", "size=small"],
            "target": "job.py",
        }
        files.replace(run.run_json, files.to_json(info))
        Path(run.config_yaml).write_text("train: {lr: 0.1, epochs: 3}\nnothing: null\n")
        track.write(run, list(trackers) or [{"name": "mlflow", "address": ""}])
        return run

    def write(self, run: RunPaths, *rows: dict[str, Any], attempt: int = 0) -> None:
        """Appends rows of metrics."""
        pen = Pen(run.dir, "metrics", attempt=attempt)
        for row in rows:
            pen.append({"_kind": "epoch" if "epoch" in row else "step", **row})
        pen.close()

    def end(self, run: RunPaths, code: int = 0) -> None:
        """The run is over."""
        files.replace(run.exit_json, files.to_json({"attempt": 0, "code": code}))

    def mirror(self, run: RunPaths, *, again: bool = False) -> dict[str, Any]:
        """Takes everything there that can be; the cursor as it is then."""
        for asked in track.ask(run, again=again):
            Mirror(self.paths, asked.lane, lingers_s=0.0).work()
        return files.read_json(run.cursor(track.wanted(run)[0].name)) or {}

    def mirror_while(self, run: RunPaths, holds: Callable[[], bool]) -> None:
        """The same for a run that goes on: leaves once ``holds``."""
        [asked] = track.ask(run)
        mirror = Mirror(self.paths, asked.lane, lingers_s=0.0)
        mirror._sleep = lambda _: setattr(mirror, "told_to_go", holds())  # type: ignore[method-assign]
        mirror.work()


@pytest.fixture(scope="session")
def database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An ``mlflow.db`` with its tables, which take two seconds to make."""
    from overnight.trackers.mlflow import Mlflow

    root = tmp_path_factory.mktemp("database")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        Mlflow("", root, {}).client()
    return root / "mlflow.db"


@pytest.fixture
def ready(bench: Bench, database: Path) -> Bench:
    """The same, its database made."""
    shutil.copy(database, bench.root / "mlflow.db")
    return bench


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("MLFLOW_TRACKING_URI", "WANDB_API_KEY", "WANDB_MODE"):
        monkeypatch.delenv(name, raising=False)
    root = tmp_path / 'a root\'s "folder"'
    root.mkdir()
    return Bench(root, agent_paths().make())


class Playground:
    """Mirrors as processes of their own: W&B's library goes on in one after its run is over."""

    def __init__(self, bench: Any, server: ForeignWandb) -> None:
        self.bench, self.server = bench, server
        self.pids: list[int] = []

    def run(self, **options: Any) -> RunPaths:
        tracker = {"name": "wandb", "address": self.server.address, "mode": "online"}
        run: RunPaths = self.bench.run({**tracker, "project": "digits", **options})
        return run

    def write(self, run: RunPaths, first: int, last: int, *, attempt: int = 0) -> None:
        rows = ({"epoch": n, "fold": 0, "loss": n / 7 - attempt} for n in range(first, last))
        self.bench.write(run, *rows, attempt=attempt)

    def start(self, run: RunPaths, *, again: bool = False) -> int:
        [asked] = track.ask(run, again=again)
        pid = os.fork()
        if pid:
            self.pids.append(pid)
            return pid
        self.server.socket.close()  # else the port stays taken while the server is away
        code = 1
        try:
            code = main(asked.lane)
        finally:
            os._exit(code)

    def wait(self, pid: int) -> None:
        """Until it has gone by itself."""
        self.until(lambda: os.waitpid(pid, os.WNOHANG)[0] == pid)
        self.pids.remove(pid)

    def end(self, pid: int, number: int) -> None:
        os.kill(pid, number)
        os.waitpid(pid, 0)
        self.pids.remove(pid)

    def until(self, holds: Callable[[], bool]) -> None:
        until = time.monotonic() + _PATIENCE_S
        while not holds():
            assert time.monotonic() < until, self.server.operations[-20:]
            time.sleep(0.02)

    def rows(self, run: RunPaths, suffix: str = "") -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.server.runs.get(run.run_id + suffix, {}).get(
            "history", []
        )
        return found

    def numbers(self, run: RunPaths, suffix: str = "") -> Counter[tuple[str, int, str]]:
        return Counter(each for row in self.rows(run, suffix) for each in history_numbers(row))


@pytest.fixture
def play(bench: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Playground]:
    for name in ("WANDB_DATA_DIR", "WANDB_CACHE_DIR", "WANDB_CONFIG_DIR"):
        monkeypatch.setenv(name, str(tmp_path / name.lower()))
    monkeypatch.setenv("WANDB_API_KEY", KEY)
    import wandb as library

    from overnight.trackers import base, reach, wandb

    # What takes half a minute on a bad line takes a moment here.
    monkeypatch.setattr(reach, "_WITHIN_S", 1.0)
    monkeypatch.setattr(base, "_ANSWERS_WITHIN_S", 3.0)
    monkeypatch.setattr(wandb, "_TRANSMIT_EVERY_S", 1.0)
    monkeypatch.setattr(wandb, "_INIT_WITHIN_S", 3.0)
    monkeypatch.setattr(wandb, "_FINISH_WITHIN_S", 3.0)
    monkeypatch.setattr(wandb, "_ARRIVES_WITHIN_S", 1.0)
    library.teardown()  # what this process has of it is no mirror's
    made = Playground(bench, ForeignWandb())
    yield made
    for pid in made.pids:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    made.server.close()
