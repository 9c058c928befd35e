"""Starts a supervisor that outlives the terminal, and hears from it that the job really runs."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from overnight.ledger import claims, files
from overnight.ledger.identity import ALIVE, Identity
from overnight.ledger.paths import RunPaths
from overnight.supervisor import process

assert sys.platform != "win32"

_SUPERVISOR = os.path.dirname(os.path.abspath(__file__))
_LOOK_AGAIN_S = 0.02
#: Room for a request: a few short fields and a user's name.
_REQUEST_BYTES = 512


@dataclass(frozen=True, slots=True)
class Answer:
    """What the supervisor said before it let go of the terminal."""

    started: bool
    job_pid: int | None = None
    errno: int | None = None
    file: str = ""
    #: ``taken``: another supervisor looks after the run already. ``crashed``: see supervisor.log.
    why: str = ""
    #: Why the user's index could not take the run; empty if it has.
    unlisted: str = ""


def detach(run: RunPaths, verb: str, env: Mapping[str, str]) -> Answer:
    """Starts the supervisor and waits until the job runs, or cannot.

    Args:
        run: A folder that holds launch.json.
        verb: ``start``, ``resume`` (another attempt) or ``adopt`` (the job lives already).
        env: The job's environment as ``Launch.environment`` made it.
    """
    read_end, write_end = os.pipe()
    os.set_inheritable(write_end, True)
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT
    actions: list[Any] = [
        (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
        (os.POSIX_SPAWN_OPEN, 1, run.supervisor_log, flags, 0o600),
        (os.POSIX_SPAWN_DUP2, 1, 2),
    ]
    # -I -S: no user folder, no site-packages; it starts in half the time and needs neither.
    argv = [sys.executable, "-I", "-S", _SUPERVISOR, verb, str(write_end), run.dir]
    with uninterrupted():
        pid = os.posix_spawn(
            sys.executable, argv, dict(env), file_actions=actions, setsid=True, setsigmask=()
        )
        os.close(write_end)
        with os.fdopen(read_end, "rb") as pipe:
            try:
                said = json.loads(pipe.readline() or b"null")
            except ValueError:
                said = None
        if said is None:
            os.waitpid(pid, 0)
            return Answer(False, why="crashed")
        return Answer(**said)


@contextlib.contextmanager
def uninterrupted() -> Iterator[None]:
    """A Ctrl-C waits until the end of the block: half a step is hard to clean up after."""
    masked = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, masked)


def kill(run: RunPaths) -> None:
    """Ends all of a run that must not be, at once: supervisor, keeper, and the job's processes."""
    while True:
        keeper = Identity.from_json((files.read_json(run.keeper_json) or {}).get("keeper"))
        owners = [each for each in (holder(run)[1], keeper) if each is not None]
        living = {each.pid for each in owners if each.look() == ALIVE} - {os.getpid()}
        left = process.of_run(run.dir, living) | living
        if not left:
            return
        process.kill_all(left)
        time.sleep(_LOOK_AGAIN_S)


def holder(run: RunPaths) -> tuple[int, Identity | None]:
    """The newest generation of supervisor of a run, and who it is (or was)."""
    return claims.holder(run.claims, "supervisor")


def take(run: RunPaths, *, force: bool = False) -> int | None:
    """Takes a run over for this process; None if a living supervisor has it.

    Args:
        run: The run.
        force: Also where the old supervisor cannot be seen from here (another machine).
    """
    return claims.take(run.claims, "supervisor", force=force)


def request(run: RunPaths, verb: str, **fields: Any) -> None:
    """Leaves a request for the supervisor and wakes it.

    Raises:
        OSError: The run's folder cannot be written.
    """
    os.makedirs(run.control, mode=0o700, exist_ok=True)
    path = os.path.join(run.control, f"{time.time_ns() // 1000:020d}-{verb}.json")
    said = files.to_json({"verb": verb, **fields})
    try:
        files.replace(path, said)
    except OSError:
        if not _write_into_reserve(run, path, said):
            raise
    nudge(run)


def reserve_requests(run: RunPaths) -> None:
    """Sets room aside for requests: on a full disk, too, a person must be able to stop a run.

    Raises:
        OSError: There is none.
    """
    os.makedirs(run.control, mode=0o700, exist_ok=True)
    for reserve in _reserves(run):
        if not os.path.exists(reserve):
            files.replace(reserve, b" " * _REQUEST_BYTES, sync=False)


def _reserves(run: RunPaths) -> list[str]:
    return [os.path.join(run.control, f"reserve.{number}") for number in (1, 2)]


def _write_into_reserve(run: RunPaths, path: str, said: bytes) -> bool:
    for reserve in _reserves(run):
        with contextlib.suppress(OSError):  # another request has just taken this one
            os.replace(reserve, path + ".part")
            fd = os.open(path + ".part", os.O_WRONLY)
            try:
                files.write_all(fd, said.ljust(_REQUEST_BYTES))
            finally:
                os.close(fd)
            os.replace(path + ".part", path)
            return True
    return False


def nudge(run: RunPaths) -> None:
    """Asks a supervisor on this machine to look into control/ now rather than at its next tick."""
    _, identity = holder(run)
    if identity is not None and identity.look() == ALIVE:
        # One that somebody has suspended would never read it.
        process.send(identity.pid, signal.SIGCONT)
        process.send(identity.pid, signal.SIGUSR1)
