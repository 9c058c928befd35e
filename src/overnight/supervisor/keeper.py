"""The keeper: the job's only parent. It waits, writes ``exit.json``, and leaves nothing behind.

A fork of the supervisor in a session of its own. Because it does nothing else, it outlives every
fault of the supervisor, and the job's exit code with it. It is a child subreaper: whatever the job
starts and forgets becomes the keeper's child, never nobody's.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import signal
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

from overnight.ledger import files
from overnight.ledger.identity import Identity
from overnight.ledger.paths import RunPaths
from overnight.supervisor import process

assert sys.platform != "win32"

#: Room set aside on the disk for exit.json when the job starts.
_EXIT_BYTES = 512
#: What the job left behind gets SIGTERM, and SIGKILL after this long.
_LEFTOVERS_GRACE_S = 3.0
_LOOK_AGAIN_S = 0.02
#: A disk that cannot take exit.json is asked again this often.
_WRITE_AGAIN_S = 1.0


@dataclass(frozen=True, slots=True)
class Start:
    """How to start one attempt of the job."""

    argv: Sequence[str]
    cwd: str
    env: Mapping[str, str]
    log: str
    attempt: int
    #: The file mode mask of whoever asked; ours lets nobody else read the run.
    umask: int


@dataclass(frozen=True, slots=True)
class Kept:
    """A job that really runs, and its keeper."""

    keeper: Identity
    job: Identity


def keep(run: RunPaths, start: Start) -> Kept:
    """Forks the keeper, which starts the job; returns once the job's program really runs.

    Raises:
        OSError: The program, its folder or its log cannot be used; nothing is left running.
    """
    read_end, write_end = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(read_end)
        _keeper(run, start, write_end)
    os.close(write_end)
    with os.fdopen(read_end, "rb") as pipe:
        said = pipe.read()
    report: dict[str, Any] = (
        json.loads(said) if said else {"errno": errno.EIO, "file": "the keeper died"}
    )
    if "errno" in report:
        os.waitpid(pid, 0)
        raise OSError(report["errno"], os.strerror(report["errno"]), report["file"])
    keeper, job = Identity.from_json(report["keeper"]), Identity.from_json(report["job"])
    assert keeper is not None
    assert job is not None
    return Kept(keeper, job)


def _keeper(run: RunPaths, start: Start, report_fd: int) -> NoReturn:
    """The keeper's whole life. Never returns into the supervisor's code."""
    code = 1
    try:
        os.setsid()
        process.set_name("ov-keeper")
        process.become_subreaper()
        signal.set_wakeup_fd(-1)
        for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM, signal.SIGUSR1):
            signal.signal(number, signal.SIG_IGN)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        process.close_all_but(report_fd)
        try:
            job_pid = _start_job(run, start, report_fd)
        except OSError as error:
            _report(report_fd, {"errno": error.errno or errno.EIO, "file": str(error.filename)})
        else:
            _wait(run, start.attempt, job_pid, time.monotonic())
            _end_leftovers()
            code = 0
    finally:
        os._exit(code)


def _start_job(run: RunPaths, start: Start, report_fd: int) -> int:
    _reserve(run)
    log_fd = os.open(start.log, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
    gate_read, gate_write = os.pipe()
    error_read, error_write = os.pipe()
    job_pid = os.fork()
    if job_pid == 0:
        _job(start, log_fd, gate_read, gate_write, error_write)
    for fd in (log_fd, gate_read, error_write):
        os.close(fd)
    keeper, job = Identity.of(), Identity.of(job_pid)
    assert keeper is not None
    assert job is not None
    said = {"attempt": start.attempt, "keeper": keeper.to_json(), "job": job.to_json()}
    try:
        # Known on disk before the job does anything: whoever comes later can find and stop it.
        files.replace(run.keeper_json, files.to_json(said))
    except OSError:
        os.close(gate_write)  # the job sees its gate end without a word, and goes
        os.waitpid(job_pid, 0)
        raise
    os.write(gate_write, b"!")
    os.close(gate_write)
    with os.fdopen(error_read, "rb") as pipe:
        failed = pipe.read()
    if failed:
        os.waitpid(job_pid, 0)
        number, _, name = failed.partition(b" ")
        raise OSError(int(number), os.strerror(int(number)), name.decode("utf-8", "replace"))
    _report(report_fd, said)
    return job_pid


def _job(start: Start, log_fd: int, gate_fd: int, gate_write: int, error_fd: int) -> NoReturn:
    """Between fork and exec: a clean process with the log as its output."""
    subject = start.argv[0]
    try:
        os.close(gate_write)
        if not os.read(gate_fd, 1):
            os._exit(127)
        os.setpgid(0, 0)
        # SIGHUP stays ignored: closing a terminal is no reason to die. The rest is as in a shell;
        # Python itself ignores SIGPIPE and SIGXFSZ, which its children must not inherit.
        for name in ("SIGINT", "SIGQUIT", "SIGTERM", "SIGPIPE", "SIGXFSZ", "SIGUSR1", "SIGCHLD"):
            signal.signal(getattr(signal, name), signal.SIG_DFL)
        os.umask(start.umask)
        subject = start.cwd
        os.chdir(start.cwd)
        subject = start.argv[0]
        null_fd = os.open(os.devnull, os.O_RDONLY)
        os.dup2(null_fd, 0)
        os.dup2(log_fd, 1)
        os.dup2(log_fd, 2)
        os.execvpe(start.argv[0], list(start.argv), dict(start.env))
    except OSError as error:
        os.write(error_fd, b"%d %s" % (error.errno or 0, os.fsencode(subject)))
    finally:
        os._exit(127)


def _report(fd: int, said: Mapping[str, object]) -> None:
    # A supervisor that was killed meanwhile reads nothing; the job runs on all the same.
    with contextlib.suppress(OSError):
        os.write(fd, json.dumps(said).encode())
    os.close(fd)


def _reserve(run: RunPaths) -> None:
    """Sets room aside for exit.json, so that a disk full at the end can still take it."""
    fd = os.open(run.exit_json + ".reserve", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        files.write_all(fd, b" " * _EXIT_BYTES)
        os.fsync(fd)
    finally:
        os.close(fd)


def _wait(run: RunPaths, attempt: int, job_pid: int, begun: float) -> None:
    while True:
        pid, status, usage = os.wait4(-1, 0)
        if pid == job_pid:
            break
    write_exit(run, attempt, status, ran_s=time.monotonic() - begun, max_rss_kib=usage.ru_maxrss)


def write_exit(
    run: RunPaths, attempt: int, status: int, *, ran_s: float, max_rss_kib: int | None
) -> None:
    """Writes exit.json from a wait status. Tries until the disk takes it or the run is removed."""
    signaled = os.WIFSIGNALED(status)
    said = {
        "attempt": attempt,
        "code": None if signaled else os.WEXITSTATUS(status),
        "signal": os.WTERMSIG(status) if signaled else None,
        "ran_s": round(ran_s, 3),
        "ended_us": time.time_ns() // 1000,
        "max_rss_kib": max_rss_kib,
    }
    data = json.dumps(said).encode().ljust(_EXIT_BYTES - 1) + b"\n"
    reserve = run.exit_json + ".reserve"
    while os.path.isdir(run.dir):
        try:
            # Written over the room set aside: not truncated, so no new block is needed.
            fd = os.open(reserve, os.O_WRONLY | os.O_CREAT, 0o600)
            try:
                files.write_all(fd, data)
                os.fsync(fd)
            finally:
                os.close(fd)
            os.replace(reserve, run.exit_json)
        except OSError:
            time.sleep(_WRITE_AGAIN_S)
        else:
            return


def _end_leftovers() -> None:
    """Ends what the job started and did not wait for; leaves once none of it is there."""

    def left() -> set[int]:
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        return process.below(os.getpid())

    process.end_all(left, _LEFTOVERS_GRACE_S, lambda: time.sleep(_LOOK_AGAIN_S))
