"""How a run ended that a program opened for itself: it has no log, and nobody waited for it.

Its block says itself why it is over (``exit.json`` then holds the traceback). Where the process was
ended in the middle, somebody else's child is gone, and of those the kernel tells little.
"""

from __future__ import annotations

import contextlib
import os
import re
import struct
import sys
import time
from collections.abc import Mapping
from dataclasses import replace

from overnight.ledger import files
from overnight.ledger.paths import RunPaths
from overnight.supervisor.cause import Cause

assert sys.platform != "win32"

#: A cell's lines stand under its prompt in the traceback, ``File "In[14]", line 3``.
_CELL = re.compile(r"In(\[\d{1,9}\])")
#: Where the usual sentence speaks of a stop or a resume: there is none.
_OWN_SENTENCES = {
    "stopped": "stopped_own",
    "unknown": "unknown_own",
    "signal_kill": "signal_kill_own",
    "signal_term": "signal_term_own",
}
#: include/uapi/linux/pidfd.h: _IOWR(0xFF, 11, 64 bytes); answered since Linux 6.13.
_PIDFD_GET_INFO = 3 << 30 | 64 << 16 | 0xFF << 8 | 11
#: Asks for ``exit_code``, known since 6.15 once the parent has waited for the process.
_PIDFD_INFO_EXIT = 1 << 3
_INFO = struct.Struct("=Q52xi")
#: A parent that has other things to do waits for its child a little later.
_PATIENCE_S = 2.0
_LOOK_AGAIN_S = 0.01


def is_own(run: RunPaths) -> bool:
    """Whether a program opened this run for itself."""
    with contextlib.suppress(OSError):
        return (files.read_json(run.run_json) or {}).get("supervised") is False
    return False


def retold(cause: Cause, *, left: bool) -> Cause:
    """A cause as it is true of such a run.

    Args:
        cause: What the end of the process, or the traceback, was taken for.
        left: The process ended with code 0 in the middle of the block.
    """
    if left:
        return Cause.of("unknown_left")
    if cause.sentence in _OWN_SENTENCES:
        return replace(cause, sentence=_OWN_SENTENCES[cause.sentence])
    cell = _CELL.fullmatch(cause.fields.get("file", ""))
    if cell is None:
        return cause
    fields = {key: value for key, value in cause.fields.items() if key not in ("file", "line")}
    return replace(cause, fields={**fields, "cell": cell[1], "cell_line": cause.fields["line"]})


def traceback_of(ended: Mapping[str, object]) -> str:
    """What a block wrote of the exception that ended it."""
    said = ended.get("traceback")
    return said if isinstance(said, str) else ""


def wait_status(pid: int, pidfd: int | None) -> int | None:
    """How a process ended that is no child of ours, as ``waitpid`` would give it; None: untold.

    The kernel tells its parent. Others can read it off the dead process until the parent has waited
    for it, and on Linux 6.15 and later from a descriptor that was opened before.
    """
    return _patiently(pid, pidfd) if sys.platform == "linux" else None


def _patiently(pid: int, pidfd: int | None) -> int | None:
    until = time.monotonic() + _PATIENCE_S
    while True:
        status = _of_zombie(pid)
        if status is None and pidfd is not None:
            status = _of_pidfd(pidfd)
        gone = not os.path.exists(f"/proc/{pid}/stat")
        if status is not None or (gone and pidfd is None) or time.monotonic() > until:
            return status
        time.sleep(_LOOK_AGAIN_S)


def _of_zombie(pid: int) -> int | None:
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            text = file.read()
    except OSError:
        return None
    fields = text[text.rindex(b")") + 2 :].split()
    # proc(5): field 52. Where it may not be read it is 0, so a 0 says nothing.
    return int(fields[49]) or None if fields[0] == b"Z" else None


def _of_pidfd(pidfd: int) -> int | None:
    import fcntl

    asked = bytearray(_INFO.pack(_PIDFD_INFO_EXIT, 0))
    try:
        fcntl.ioctl(pidfd, _PIDFD_GET_INFO, asked)
    except OSError:  # an older kernel
        return None
    mask, status = _INFO.unpack(asked)
    return int(status) if mask & _PIDFD_INFO_EXIT else None
