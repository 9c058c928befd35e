"""A sleep that ends with a signal: for a process that waits for processes, files and people."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import sys
from collections.abc import Callable

assert sys.platform != "win32"


class Wake:
    """Takes over this process's signals; no more than one of it is made in a process.

    SIGHUP and SIGINT are ignored, since nobody sits at a terminal of it. SIGUSR1 (a nudge) and
    SIGCHLD only end a sleep.

    Args:
        on_sigterm: Called when somebody asks for an end.
    """

    def __init__(self, on_sigterm: Callable[[], None]) -> None:
        self._read, self._write = os.pipe()
        for fd in (self._read, self._write):
            os.set_blocking(fd, False)
        for number in (signal.SIGHUP, signal.SIGINT):
            signal.signal(number, signal.SIG_IGN)
        for number in (signal.SIGUSR1, signal.SIGCHLD):
            signal.signal(number, lambda *_: None)
        signal.signal(signal.SIGTERM, lambda *_: on_sigterm())
        signal.set_wakeup_fd(self._write, warn_on_full_buffer=False)

    def sleep(self, seconds: float, *fds: int) -> None:
        """Sleeps until a signal comes, one of ``fds`` can be read, or the time is over."""
        with contextlib.suppress(InterruptedError):
            select.select([self._read, *fds], [], [], seconds)
        with contextlib.suppress(BlockingIOError):
            os.read(self._read, 4096)

    def close(self) -> None:
        """Gives the descriptors back; signals are left as they are."""
        signal.set_wakeup_fd(-1)
        os.close(self._read)
        os.close(self._write)
