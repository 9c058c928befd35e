"""The page about a run that has ended: made by a process of its own, as the last duty of all.

The end is on disk by then, so nothing of it can change any more: who waits for the run has his
answer, and a page that fails is a line in ``supervisor.log``.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import time

from overnight.ledger import files
from overnight.ledger.identity import ALIVE, Identity
from overnight.ledger.paths import RunPaths
from overnight.messages import say

assert sys.platform != "win32"

#: A page takes a second; whoever waits for it to be sent along is not kept longer.
WITHIN_S = 60.0
_REPORTING = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "reporting")


def begin(run: RunPaths) -> int:
    """Starts the process that makes the page; its pid.

    Raises:
        OSError: No process, or no memory, is left to be had; or this installation is gone.
    """
    os.stat(_REPORTING)
    argv = [sys.executable, "-I", _REPORTING, run.dir]
    return os.posix_spawn(sys.executable, argv, dict(os.environ), setsigmask=())


def give_up(pid: int) -> None:
    """Ends a process that takes too long, and says so."""
    with contextlib.suppress(OSError):
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    now = time.strftime("%Y-%m-%d %H:%M:%S")
    sys.stderr.write(say("report.failed", time=now, why=say("report.too_slow")) + "\n")


def is_due(run: RunPaths) -> bool:
    """Whether the page of an ended run is still being made."""
    lease = files.read_json(run.lease) or {}
    supervisor = Identity.from_json(lease.get("supervisor"))
    return supervisor is not None and supervisor.look() == ALIVE and not is_there(run)


def is_there(run: RunPaths) -> bool:
    """Whether there is a page, and nothing has happened to the run since."""
    with contextlib.suppress(OSError):
        ended_ns = os.stat(run.at("events.jsonl")).st_mtime_ns
        return os.stat(run.report).st_mtime_ns >= ended_ns
    return False
