"""The runner of small jobs that really die, and the table of what was expected and what came.

``die`` starts a job the way Overnight does (its own session, output straight to a file), waits for
its end, and asks ``diagnose``. Nothing about the end is made up: code, signal, log, counters and
peak memory are those of the process.
"""

from __future__ import annotations

import contextlib
import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from overnight.supervisor.cause import Cause
from overnight.supervisor.diagnose import Ending, diagnose
from overnight.supervisor.oom import OomCounters

_LONGEST_S = 120
_TAIL_BYTES = 64 * 1024


class Death:
    """One job's end: the cause found, and everything it was found from."""

    def __init__(self, cause: Cause, ending: Ending) -> None:
        self.cause = cause
        self.ending = ending

    def __repr__(self) -> str:
        end = self.ending
        return (
            f"code={end.code} signal={end.signal} oom={end.oom_kills}\n{self.cause.to_json()}\n"
            f"--- end of the log\n{end.log_tail[-3000:]}"
        )


class Runner:
    """Starts jobs and looks into their ends."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __call__(
        self,
        job: str,
        *args: str,
        shell: str = "",
        before: str = "",
        env: Mapping[str, str] | None = None,
        then: Callable[[subprocess.Popen[bytes]], None] | None = None,
        when: str = "",
        log: Path | None = None,
        **known: Any,
    ) -> Death:
        """Runs ``job`` to its end.

        Args:
            job: Source of a Python script, or of a shell script where ``shell`` names a shell.
            *args: Arguments of the job.
            shell: ``bash`` or ``sh``: the shell that runs it.
            before: Shell commands that set limits before the job takes the process over.
            env: Further variables.
            then: Called with the process once ``when`` stands in the log.
            when: What to wait for.
            log: Where the output goes.
            **known: What else the supervisor knows of the end (``stop_asked`` …); a function is
                called once the job is dead.
        """
        script = self.folder / ("job.sh" if shell else "job.py")
        script.write_text(job, encoding="utf-8")
        log = log or self.folder / "job.log"
        command = [shell or sys.executable, str(script), *args]
        if before:
            command = ["sh", "-c", before + "\nexec " + shlex.join(command)]
        child_env = {**os.environ, "PYTHONUNBUFFERED": "1", **(env or {})}
        began = time.monotonic()
        with log.open("ab") as output:
            process = subprocess.Popen(
                command,
                cwd=self.folder,
                env=child_env,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        job_end = _End(process.pid)
        if before:
            _wait_for(lambda: b"job." in _script(process.pid) or job_end.seen(), process)
        counted = OomCounters.read(process.pid)
        if then is not None:
            _wait_for(lambda: when.encode() in log.read_bytes(), process)
            then(process)
        _wait_for(job_end.seen, process)
        process.returncode = code = os.waitstatus_to_exitcode(job_end.status)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        ending = Ending(
            code=code if code >= 0 else None,
            signal=-code if code < 0 else None,
            log_tail=log.read_bytes()[-_TAIL_BYTES:].decode("utf-8", "replace"),
            oom_kills=counted.again().since(counted),
            max_rss_kib=job_end.max_rss_kib,
            ran_s=time.monotonic() - began,
            **{name: value() if callable(value) else value for name, value in known.items()},
        )
        return Death(diagnose(ending, child_env), ending)


class _End:
    """A process's end, once it is there."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.status = 0
        self.max_rss_kib = 0
        self._over = False

    def seen(self) -> bool:
        if not self._over:
            pid, self.status, usage = os.wait4(self.pid, os.WNOHANG)
            self._over = pid != 0
            # macOS counts bytes.
            self.max_rss_kib = usage.ru_maxrss // (1024 if sys.platform == "darwin" else 1)
        return self._over


def _script(pid: int) -> bytes:
    """What the process runs, once it is no longer the shell that set the limits."""
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except OSError:
        return b""
    return words[1] if len(words) > 1 and words[1] != b"-c" else b""


def _wait_for(done: Callable[[], bool], process: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + _LONGEST_S
    while not done():
        if time.monotonic() > end:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            pytest.fail("the job neither ended nor wrote what was waited for")
        time.sleep(0.01)


@pytest.fixture
def die(tmp_path: Path) -> Runner:
    return Runner(tmp_path)


@pytest.fixture
def expect(request: pytest.FixtureRequest) -> Callable[..., Cause]:
    """Compares a death with what was expected, and keeps both for the table."""

    def check(death: Death, sentence: str, evidence: str = "", **fields: str) -> Cause:
        cause = death.cause
        request.node.user_properties.append(
            ("death", (request.node.name, sentence, cause.sentence, cause.evidence))
        )
        assert cause.sentence == sentence, death
        assert sentence == cause.kind or sentence.startswith(cause.kind + "_"), death
        assert evidence in cause.evidence, death
        for name, value in fields.items():
            assert cause.fields.get(name) == value, death
        assert cause.text, death
        assert Cause.from_json(cause.to_json()) == cause
        return cause

    return check


@pytest.fixture
def memory_cgroup() -> Iterator[Callable[[int], str]]:
    """Makes memory cgroups: limit in bytes → the folder whose ``cgroup.procs`` takes a pid."""
    made: list[Path] = []

    def make(limit_bytes: int) -> str:
        found = _new_cgroup(limit_bytes, len(made))
        if found is None:
            pytest.skip("needs root and a memory cgroup in which to put a child under a limit")
        made.append(found)
        return str(found)

    yield make
    for folder in made:
        with contextlib.suppress(OSError):
            folder.rmdir()


def _new_cgroup(limit_bytes: int, number: int) -> Path | None:
    name = f"overnight-test-{os.getpid()}-{number}"
    for parent, limit, swap in (
        ("/sys/fs/cgroup/memory", "memory.limit_in_bytes", "memory.memsw.limit_in_bytes"),
        ("/sys/fs/cgroup", "memory.max", "memory.swap.max"),
    ):
        folder = Path(parent, name)
        try:
            folder.mkdir()
            (folder / limit).write_text(str(limit_bytes), encoding="ascii")
        except OSError:
            with contextlib.suppress(OSError):
                folder.rmdir()
            continue
        with contextlib.suppress(OSError):
            # v1 counts memory and swap together, v2 swap alone.
            value = limit_bytes if swap.startswith("memory.memsw") else 0
            (folder / swap).write_text(str(value), encoding="ascii")
        return folder
    return None


@pytest.fixture
def tiny_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of one megabyte."""
    folder = tmp_path / "tiny"
    folder.mkdir()
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)],
        capture_output=True,
        check=False,
    )
    if done.returncode != 0:
        pytest.skip("needs root to mount a tmpfs of one megabyte")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def pytest_terminal_summary(terminalreporter: Any) -> None:
    rows = [
        row
        for reports in terminalreporter.stats.values()
        for report in reports
        if getattr(report, "when", "") == "call"
        for name, row in report.user_properties
        if name == "death"
    ]
    if not rows:
        return
    terminalreporter.section(f"{len(rows)} real deaths: expected, found, concluded from")
    for name, expected, found, evidence in rows:
        mark = " " if expected == found else "!"
        terminalreporter.line(f"{mark} {name[5:48]:<44}{expected:<24}{found:<24}{evidence[:70]}")
