"""Becomes the trial's job: ``python -I -S confined.py SOCKET ARGV…``, the filter already on it."""

from __future__ import annotations

import ctypes
import os
import signal
import socket
import sys

assert sys.platform != "win32"

_PR_SET_PDEATHSIG = 1


def main() -> None:
    """Sends the listener through the socket, and execs."""
    sys.path.insert(0, _package_root())
    from overnight.preflight.trial.seccomp import install

    libc = ctypes.CDLL(None)
    libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    with socket.socket(fileno=int(sys.argv[1])) as channel:
        try:
            fd = install()
        except OSError:
            channel.sendall(b"-")
        else:
            socket.send_fds(channel, [b"+"], [fd])
            os.close(fd)
            os.environ.pop("OVERNIGHT_TRIAL_ASIDE", None)
        channel.recv(1)  # the listener is listening
    os.execvp(sys.argv[2], sys.argv[2:])


def _package_root() -> str:
    path = os.path.abspath(__file__)
    for _ in range(4):
        path = os.path.dirname(path)
    return path


if __name__ == "__main__":
    main()
