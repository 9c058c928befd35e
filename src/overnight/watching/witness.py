"""Starts the process that watches this one. Nobody waits for it, and it is nobody's child."""

from __future__ import annotations

import os
import signal
import sys

from overnight.ledger import claims, files
from overnight.ledger.identity import ALIVE, Identity
from overnight.ledger.paths import RunPaths
from overnight.outbox import follow, summon
from overnight.outbox.keep import PREFIX
from overnight.redact import is_secret_name

_SUPERVISOR = os.path.join(
    os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "supervisor"
)

#: The number of that descriptor in the witness.
_PIDFD = 3


def start(run: RunPaths) -> None:
    """Starts a witness of this process for a run, unless one is there.

    Raises:
        OSError: It cannot be started.
    """
    identity = Identity.of()
    if identity is None:
        return
    # Names the process before anybody looks for it; who comes later finds the same.
    me = {"attempt": 0, "keeper": identity.to_json(), "job": identity.to_json()}
    files.create_once(run.keeper_json, files.to_json(me))
    if sys.platform != "win32" and not is_there(run):
        _spawn(run)


def is_there(run: RunPaths) -> bool:
    """Whether a witness of this run lives."""
    identity = claims.holder(run.claims, "supervisor")[1]
    return identity is not None and identity.look() == ALIVE


def wake(run: RunPaths) -> None:
    """Lets whoever tells of this run know that its block is over.

    Raises:
        OSError: There is no witness any more, and no agent can be started either.
    """
    if sys.platform != "win32":
        _wake(run)


if sys.platform != "win32":

    def _spawn(run: RunPaths) -> None:
        # A shell in between leaves it to itself in 2 ms, so that the job has no child that it has
        # not started: its own wait() would find one. A group of its own, out of Ctrl-C's reach.
        argv = ["/bin/sh", "-c", '"$@" &', "sh"]
        argv += [sys.executable, "-I", "-S", _SUPERVISOR, "witness"]
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT
        actions = [
            (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
            (os.POSIX_SPAWN_OPEN, 1, run.supervisor_log, flags, 0o600),
            (os.POSIX_SPAWN_DUP2, 1, 2),
        ]
        # It holds on to this process from the beginning: one that is gone a moment later has told.
        pidfd = _pidfd()
        if pidfd is not None:
            actions.append((os.POSIX_SPAWN_DUP2, pidfd, _PIDFD))
        argv += [str(-1 if pidfd is None else _PIDFD), run.dir]
        env = {
            name: value
            for name, value in os.environ.items()
            if not is_secret_name(name) and not name.upper().startswith(PREFIX)
        }
        try:
            pid = os.posix_spawn(
                argv[0], argv, env, file_actions=actions, setpgroup=0, setsigmask=(),
                setsigdef=(signal.SIGCHLD, signal.SIGTERM, signal.SIGHUP, signal.SIGPIPE),
            )  # fmt: skip
            os.waitpid(pid, 0)
        except ChildProcessError:
            return  # the job has its children waited for by the kernel
        finally:
            if pidfd is not None:
                os.close(pidfd)

    def _pidfd() -> int | None:
        """A descriptor of this process, where the kernel has those."""
        pidfd_open = getattr(os, "pidfd_open", None)
        try:
            return None if pidfd_open is None else int(pidfd_open(os.getpid()))
        except OSError:
            return None

    def _wake(run: RunPaths) -> None:
        identity = claims.holder(run.claims, "supervisor")[1]
        if identity is not None and identity.look() == ALIVE:
            try:
                os.kill(identity.pid, signal.SIGUSR1)
            except ProcessLookupError:
                return  # it has just seen the end
        elif follow.is_asked(run):
            # It was killed, or could not start: the agent looks for itself.
            summon.summon()
