"""Waking the agent, or starting it where there is none. Nobody waits for it."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from collections.abc import Mapping

from overnight.ledger import claims
from overnight.ledger.identity import ALIVE, CANNOT_TELL, Identity
from overnight.outbox.folder import VARIABLE, AgentPaths, agent_paths

#: The program: found by its place, since ``-m`` would look into folders of the person's first.
_AGENT = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "agent")
#: What the agent needs of an environment; no run's folder and no secret among it.
_KEPT = frozenset(
    ["PATH", "HOME", "USER", "LOGNAME", "LANG", "LANGUAGE", "TZ", "TMPDIR", "DISPLAY",
     "WAYLAND_DISPLAY", "DBUS_SESSION_BUS_ADDRESS", "http_proxy", "https_proxy", "no_proxy",
     "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "ALL_PROXY", "all_proxy", "SSL_CERT_FILE",
     "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SYSTEMROOT", "LD_LIBRARY_PATH",
     "OVERNIGHT_LANG"]
)  # fmt: skip
_KEPT_PREFIXES = ("LC_", "XDG_")
#: From another container on the same machine and home an agent shows only by its claim's age.
_FRESH_S = 60.0


def alive(paths: AgentPaths | None = None) -> Identity | None:
    """The living agent of this user and machine, or None.

    One in another container on the same machine cannot be seen: it counts while its sign of life
    is fresh, and ``look()`` of what is given tells that it may not be sent a signal from here.
    """
    paths = paths or agent_paths()
    number, identity = claims.holder(paths.claims, "agent")
    if identity is None:
        return None
    look = identity.look()
    if look == CANNOT_TELL and claims.age_s(paths.claims, "agent", number) < _FRESH_S:
        return identity
    return identity if look == ALIVE else None


def summon() -> None:
    """Wakes the agent, or starts one. On Windows there is none.

    Raises:
        OSError: The user's state folder cannot be written, or no process is left to be had.
    """
    paths = agent_paths()
    identity = alive(paths)
    if identity is None:
        paths.make()
        start(paths, os.environ)
    elif identity.look() == ALIVE and sys.platform != "win32":
        with contextlib.suppress(OSError):  # gone in this moment: the next call starts one
            os.kill(identity.pid, signal.SIGUSR1)


def start(paths: AgentPaths, env: Mapping[str, str]) -> None:
    """Starts an agent that belongs to nobody: neither a child of this process, nor of its session.

    Raises:
        OSError: It cannot be started.
    """
    if sys.platform != "win32":
        _start(paths, env)


if sys.platform != "win32":

    def _start(paths: AgentPaths, env: Mapping[str, str]) -> None:
        # A shell in between leaves it to itself in 2 ms. The process it is started for may be a
        # job's, and a job has no child that it has not started: its own wait() would find one.
        argv = ["/bin/sh", "-c", '"$@" &', "sh", sys.executable, "-I", _AGENT]
        clean = {k: v for k, v in env.items() if k in _KEPT or k.startswith(_KEPT_PREFIXES)}
        clean[VARIABLE] = paths.dir
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT
        actions = [
            (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
            (os.POSIX_SPAWN_OPEN, 1, paths.log, flags, 0o600),
            (os.POSIX_SPAWN_DUP2, 1, 2),
        ]
        pid = os.posix_spawn(
            argv[0], argv, clean, file_actions=actions, setsid=True, setsigmask=(),
            setsigdef=(signal.SIGCHLD, signal.SIGTERM, signal.SIGPIPE),
        )  # fmt: skip
        with contextlib.suppress(ChildProcessError):  # they are left to the kernel here
            os.waitpid(pid, 0)
