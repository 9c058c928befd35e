"""The heartbeat URL: somebody else notices when this machine goes silent.

Nothing on a dead machine can tell that it is dead. A service that expects a GET every few minutes
(healthchecks.io, Uptime Kuma, Better Stack …) can.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys

from overnight.ledger.paths import config_dir
from overnight.outbox.folder import agent_paths
from overnight.outbox.keep import HEARTBEAT

_EVERY_S = 300.0
#: One that hangs is ended before the next is due.
_GIVE_UP_S = 60.0
_TIMEOUT_S = 10.0


def heartbeat_file() -> str:
    """Where the address is kept, mode 0600: whoever knows it can call the alarm off."""
    return os.path.join(config_dir(), "heartbeat")


def heartbeat_url() -> str:
    """The address: from the environment, a run's, or the person's own file; empty if none."""
    found = os.environ.get(HEARTBEAT, "").strip()
    for path in (agent_paths().heartbeat, heartbeat_file()):
        with contextlib.suppress(OSError, UnicodeDecodeError), open(path, encoding="utf-8") as file:
            found = found or file.read().strip()
    return found


class Ping:
    """Asks for the address every five minutes, in a child: the agent waits for no network."""

    def __init__(self) -> None:
        self._next_at = 0.0
        self._child: subprocess.Popen[bytes] | None = None
        self._begun_at = 0.0

    def look(self, now_s: float, *, wanted: bool) -> None:
        """Begins the next one if it is due; ``wanted``: a run is under way."""
        if self._child is not None:
            late = now_s - self._begun_at > _GIVE_UP_S
            if late:
                self._child.kill()
            if self._child.poll() is not None or late:
                self._child.wait()
                self._child = None
        if self._child is None and wanted and now_s >= self._next_at:
            self._next_at = now_s + _EVERY_S
            if heartbeat_url():
                self._begun_at = now_s
                agent = os.path.dirname(os.path.abspath(__file__))
                with contextlib.suppress(OSError):  # no process left to be had: at the next turn
                    self._child = subprocess.Popen(
                        [sys.executable, "-I", agent, "ping"], stdin=subprocess.DEVNULL
                    )

    def stop(self) -> None:
        """Ends what is under way."""
        if self._child is not None:
            self._child.send_signal(signal.SIGKILL)
            self._child.wait()
            self._child = None


def ping() -> int:
    """The child: one GET. What becomes of it does not matter, and it stands in no log."""
    from http.client import HTTPException
    from urllib.request import Request, build_opener

    url = heartbeat_url()
    if not url.startswith(("http://", "https://")):
        return 2
    try:
        # Not `urlopen`: it keeps the proxy of its first use in this process.
        request = Request(url, headers={"User-Agent": "overnight"})
        with build_opener().open(request, timeout=_TIMEOUT_S) as got:
            got.read(1024)
    except (OSError, HTTPException, ValueError):  # URLError is an OSError
        return 1
    return 0
