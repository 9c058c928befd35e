"""A shell of one's own: real processes in a project of their own, and ledgers made by hand."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

import overnight
from overnight.ledger import files, index
from overnight.ledger.identity import ALIVE, Identity, here
from overnight.ledger.paths import RunPaths, create_run, runs_of
from overnight.ledger.state import ENDED, state_to_json, view
from overnight.ledger.writer import Pen
from overnight.outbox import summon

SOURCE = Path(overnight.__file__).parents[1]
PATIENCE_S = 60.0


@dataclass
class Shell:
    """Types commands in a project of its own."""

    root: Path
    env: dict[str, str]
    terminals: list[Terminal] = field(default_factory=list)

    def __call__(
        self, *words: str, code: int | None = 0, lang: str = "en", cwd: Path | None = None,
        env: Mapping[str, str] | None = None,
    ) -> subprocess.CompletedProcess[str]:  # fmt: skip
        """Runs ``overnight …``; fails the test if the exit code is not ``code`` (None: any)."""
        done = subprocess.run(
            [sys.executable, "-m", "overnight", *words],
            cwd=cwd or self.root,
            env={**self.env, "OVERNIGHT_LANG": lang, **(env or {})},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
        )
        assert code is None or done.returncode == code, done.stdout + done.stderr
        assert "Traceback" not in done.stderr
        return done

    def json(self, *words: str, code: int | None = 0) -> dict[str, Any]:
        """The object that ``overnight … --json`` answers with."""
        answer = json.loads(self(*words, "--json", code=code).stdout)
        assert isinstance(answer, dict)
        return answer

    def script(self, text: str, name: str = "job.py") -> Path:
        """A script in the project."""
        path = self.root / name
        path.write_text(text, encoding="utf-8")
        return path

    def start(self, text: str, *words: str, name: str = "job.py") -> RunPaths:
        """A script that really runs."""
        self.script(text, name)
        return RunPaths(self.json("run", *words, name)["dir"])

    def until(self, condition: Callable[[], bool]) -> None:
        """Waits until something is true."""
        give_up = time.monotonic() + PATIENCE_S
        while not condition():
            assert time.monotonic() < give_up, "it never became true"
            time.sleep(0.02)

    def until_ended(self, run: RunPaths) -> None:
        """Waits until the supervisor has written the end down."""
        self.until(lambda: isinstance(view(run).state, ENDED) and not view(run).unsettled)
        self.until(lambda: any(e.run.dir == run.dir and e.ended for e in index.entries()))

    def terminal(
        self, *words: str, rows: int = 24, columns: int = 100, lang: str = "en",
        term: str = "xterm-256color",
    ) -> Terminal:  # fmt: skip
        """``overnight …`` on a terminal."""
        opened = Terminal(self, words, rows, columns, lang, term)
        self.terminals.append(opened)
        return opened


class Terminal:
    """A command on a pseudo-terminal: what it shows, and a keyboard."""

    def __init__(
        self, shell: Shell, words: Sequence[str], rows: int, columns: int, lang: str, term: str
    ) -> None:
        import fcntl
        import pty
        import struct
        import termios

        self.shown = ""
        self._fd, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        env = {**shell.env, "OVERNIGHT_LANG": lang, "TERM": term}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "overnight", *words],
            cwd=shell.root, env=env, stdin=theirs, stdout=theirs, stderr=theirs,
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
        )  # fmt: skip
        os.close(theirs)

    def read_until(self, text: str) -> str:
        """Reads until ``text`` was shown; gives all that was."""
        import select

        give_up = time.monotonic() + PATIENCE_S
        while text not in self.shown:
            assert time.monotonic() < give_up, self.shown
            if select.select([self._fd], [], [], 0.1)[0] and not self._read():
                assert text in self.shown, self.shown
        return self.shown

    def _read(self) -> bool:
        try:
            data = os.read(self._fd, 65536)
        except OSError:  # its last process has closed it
            return False
        self.shown += data.decode("utf-8", "replace")
        return bool(data)

    def type(self, text: str) -> None:
        """Presses keys."""
        os.write(self._fd, text.encode())

    def close(self) -> None:
        """Ends the command, if it is still there."""
        if self.process.poll() is None:
            self.process.kill()
            self.end()

    def end(self) -> int:
        """Waits for the command's end; gives its exit code."""
        while self._read():
            pass
        code = self.process.wait(PATIENCE_S)
        os.close(self._fd)
        return code


@pytest.fixture
def shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shell]:
    """A project in a folder of its own, with an index of its own."""
    root = tmp_path / "my project"
    root.mkdir()
    (root / "overnight.yaml").touch()
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("OVERNIGHT_LANG", "en")
    monkeypatch.setenv("LC_ALL", "C.UTF-8")
    for name in ("OVERNIGHT_ROOT", "OVERNIGHT_RUN_DIR", "NO_COLOR", "COLUMNS", "VIRTUAL_ENV"):
        monkeypatch.delenv(name, raising=False)
    for name in [name for name in os.environ if name.startswith("OVERNIGHT_CHANNEL_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(root)
    env = {**os.environ, "PYTHONPATH": str(SOURCE)}
    shell = Shell(root, env)
    yield shell
    for terminal in shell.terminals:
        terminal.close()
    for run in runs_of(str(root)):
        end_at_once(run)
    agent = summon.alive()
    if agent is not None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(agent.pid, signal.SIGTERM)
        shell.until(lambda: agent.look() != ALIVE)


def end_at_once(run: RunPaths) -> None:
    """Leaves no process of a run behind."""
    from overnight.supervisor.detach import holder
    from overnight.supervisor.process import of_run

    _, supervisor = holder(run)
    keeper = Identity.from_json((files.read_json(run.keeper_json) or {}).get("keeper"))
    mine = os.getpid()
    pids = {each.pid for each in (supervisor, keeper) if each and each.look() == "alive"}
    for pid in (pids | of_run(run.dir, set())) - {mine}:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


Ledger = Callable[..., RunPaths]


@pytest.fixture
def ledger(shell: Shell) -> Ledger:
    """Makes a run's folder by hand, for states that are hard to come by."""

    def make(
        name: str = "made",
        *,
        events: Sequence[Mapping[str, Any]] = (),
        root: Path | None = None,
        age_s: float = 0.0,
        indexed: bool = True,
        log: str | None = None,
        info: Mapping[str, Any] | None = None,
        **small_files: Mapping[str, Any] | None,
    ) -> RunPaths:
        now_s = time.time() - age_s
        run = create_run(str(root or shell.root), "run", name, now_s=now_s)
        created_us = int(now_s * 1e6)
        whole = {
            "run_id": run.run_id, "name": name, "kind": "run", "created_us": created_us,
            "cwd": str(shell.root), "argv": ["python", "job.py"], "target": "job.py",
            "labels": [], "host": here()[3], "git_commit": None, "supervised": True,
            **(info or {}),
        }  # fmt: skip
        files.replace(run.run_json, files.to_json(whole))
        pen = Pen(run.dir, "events", attempt=0)
        for event in events:
            pen.append(dict(event))
        pen.close()
        for file_name, value in small_files.items():
            if value is not None:
                path = run.at("lease" if file_name == "lease" else file_name + ".json")
                files.replace(path, files.to_json(value))
        if log is not None:
            Path(run.log).write_text(log, encoding="utf-8")
        if indexed:
            index.add(run, name=name, created_us=created_us)
            now = view(run)
            if isinstance(now.state, ENDED) and not now.unsettled:
                index.end(run, state_to_json(now.state))
        return run

    return make


STARTED = {"_event": "Started", "job_pid": 1, "keeper_pid": 2, "resumed": False, "log_bytes": 0}


def exited(**fields: Any) -> dict[str, Any]:
    """A final ``Exited`` event."""
    cause = {"kind": "finished", "sentence": "finished", "evidence": "", "fields": {}}
    return {
        "_event": "Exited", "code": 0, "signal": None, "known": True, "ran_s": 12.5,
        "max_rss_mib": 20.0, "cause": cause, "outcome": "finished", "final": True, **fields,
    }  # fmt: skip


@pytest.fixture
def finished() -> list[dict[str, Any]]:
    """The events of a run that ended well."""
    return [STARTED, exited()]


@pytest.fixture
def failed() -> list[dict[str, Any]]:
    """The events of a run that ran out of GPU memory."""
    cause = {
        "kind": "cuda_oom", "sentence": "cuda_oom", "fields": {},
        "evidence": "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB",
    }  # fmt: skip
    return [STARTED, exited(code=1, cause=cause, outcome="failed")]


def stranger(**changes: Any) -> dict[str, Any]:
    """The identity of a process that is not there, of this machine unless told otherwise."""
    machine, boot, pidns, host = here()
    mine = {
        "machine": machine, "boot": boot, "pidns": pidns, "pid": 2**22 - 1, "start_ticks": 1,
        "host": host,
    }  # fmt: skip
    return {**mine, **changes}


@pytest.fixture
def states(ledger: Ledger, finished: Any, failed: Any) -> dict[str, RunPaths]:
    """One run in each state that can be made by hand, by the state's name."""
    me = Identity.of()
    assert me is not None
    mine = me.to_json()
    job = {"attempt": 0, "job": mine, "keeper": mine}
    gone = {"attempt": 0, "job": stranger(), "keeper": stranger()}
    lease = {"generation": 1, "supervisor": mine, "renewed_us": 0}
    left = {"generation": 1, "supervisor": stranger(), "renewed_us": 0}
    far = {"generation": 1, "supervisor": stranger(machine="f" * 32, host="gpu02"), "renewed_us": 0}
    status = {
        "attempt": 0,
        "estimate": {
            "done": 7.0, "total": 12.0, "unit": "epoch", "fraction": 0.58,
            "remaining_s": [180.0, 230.0], "at_most": False, "source": "epochs",
        },
        "metrics": {"loss": 0.4123, "accuracy": 0.931, "grad_norm": float("nan")},
        "sample": {
            "cpu_percent": 198.0, "ram_mib": 1234.0, "host_cpu_percent": 50.0,
            "host_ram_used_mib": 4096, "host_ram_total_mib": 65536, "disk_free_mib": 51200,
            "gpu0_util_percent": 87.0, "gpu0_memory_mib": 10240, "gpu0_memory_total_mib": 24576,
            "gpu0_temperature_c": 71,
        },
        "elapsed_s": 720.0, "updated_us": time.time_ns() // 1000,
    }  # fmt: skip
    old = time.time() - 1000
    made = {
        "queued": ledger("queued", events=[{"_event": "Queued", "host": "h"}], lease=lease),
        "running": ledger("running", events=[STARTED], lease=lease, keeper=job, status=status),
        "stalled": ledger(
            "stalled", events=[STARTED, {"_event": "Stalled", "silent_s": 723.0}], lease=lease,
            keeper=job, status=status,
        ),
        "restarting": ledger(
            "restarting", lease=lease, keeper=job,
            events=[STARTED, exited(code=1, final=False), {"_event": "Restarting", "in_s": 9}],
        ),
        "stopping": ledger(
            "stopping", lease=lease, keeper=job,
            events=[STARTED, {"_event": "Stopping", "by": "민수", "now": False}],
        ),
        "finished": ledger("finished", events=finished, log="done\n"),
        "failed": ledger("failed", events=failed, log="no memory\n"),
        "stopped": ledger(
            "stopped", events=[STARTED, exited(code=None, signal=2, outcome="stopped")]
        ),
        "unattended": ledger("unattended", events=[STARTED], lease=left, keeper=job, status=status),
        "lost": ledger(
            "lost", events=[STARTED], lease=left,
            keeper={"attempt": 0, "job": stranger(boot="b"), "keeper": stranger(boot="b")},
        ),
        "lost_unseen": ledger("unseen", events=[STARTED], lease=left, keeper=gone),
        "running_far": ledger("far", events=[STARTED], lease=far, status=status),
        "elsewhere": ledger("far_old", events=[STARTED], lease=far),
    }  # fmt: skip
    os.utime(made["elsewhere"].lease, (old, old))
    return made
