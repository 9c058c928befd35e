"""Named places at which a test may have this process die, as a power cut or ``kill -9`` would.

Unarmed, :func:`reach` costs a function call and one test. It is armed by the environment,
``OVERNIGHT_CRASH_AT=record.torn:3`` (the third time; the first by default), or in this process by
``overnight.testing.faults.arm``. Standard library only, Python 3.9 syntax: the job imports it too.
"""

from __future__ import annotations

import os
import signal
import sys

VARIABLE = "OVERNIGHT_CRASH_AT"
#: Every place there is → what stands on the disk if the process dies there.
POINTS = {
    "record.before": "a ledger record is about to be written; none of it is in the file",
    "record.torn": "the first half of a ledger record is in the file",
    "record.after": "a ledger record is whole in the file; its writer does not know yet",
    "segment.opened": "the next segment of a ledger file exists and is empty",
    "replace.torn": "half of a small file's new text is beside it, under another name",
    "replace.written": "a small file's new text is beside it, whole; the old one still stands",
    "replace.renamed": "a small file has its new text",
    "claim.written": "a claim's text is on the disk, under another name; the claim is free",
    "claim.taken": "the claim is taken; its text still has its other name too",
    "message.before": "a message is about to be put into the outbox",
    "message.put": "a message is in the outbox",
    "message.counted": "a message is counted for its channel's quota, and not sent",
    "message.sent": "a message was sent and its answer read; nothing of that is on the disk",
    "message.noted": "a sent message is noted as told, and still lies in the outbox",
    "token.refreshed": "a service has given new tokens; the disk holds the old ones",
    "token.written": "new tokens are whole on the disk, under another name; the old ones stand",
    "token.saved": "new tokens are on the disk; nothing was sent with them yet",
    "message.merged": "a digest was sent and is noted; its members lie in the outbox",
    "index.torn": "the first half of a line is in the user's index",
    "checkpoint.torn": "one more of a checkpoint's files is written; there is no mark yet",
    "checkpoint.unmarked": "all of a checkpoint's files are on the disk; there is no mark yet",
    "checkpoint.whole": "a checkpoint has its mark; older ones are still there",
    "media.written": "a picture is whole in the run's folder, under another name",
    "media.kept": "a picture is whole in the run's folder; no record tells of it",
    "mirror.begun": "a batch for a tracker is noted as under way; nothing of it was sent",
    "mirror.sent": "a tracker has a batch; nobody noted that yet",
}
#: Name → how many more times it is reached before the process dies.
_armed: dict[str, int] = {}


def reach(name: str) -> None:
    """Dies here if this place is armed and its turn has come."""
    if _armed and _is_due(name):
        _die()


def tear(name: str, fd: int, data: bytes) -> None:
    """As :func:`reach`, but writes the first half of ``data`` before it dies."""
    if _armed and _is_due(name):
        os.write(fd, data[: len(data) // 2])
        _die()


def arm(name: str, nth: int = 1) -> None:
    """This process, and children forked from it, die the ``nth`` time they reach ``name``.

    Raises:
        ValueError: There is no such place, or ``nth`` is below 1.
    """
    if name not in POINTS:
        raise ValueError(f"no crash point is called {name!r}; there are {', '.join(POINTS)}")
    if nth < 1:
        raise ValueError(f"a crash point is reached for the first time at 1, not at {nth}")
    _armed[name] = nth


def disarm() -> None:
    """Nothing dies any more."""
    _armed.clear()


def _is_due(name: str) -> bool:
    assert name in POINTS, name
    if name not in _armed:
        return False
    _armed[name] -= 1
    return _armed[name] == 0


def _die() -> None:
    if sys.platform == "win32":
        os._exit(137)
    else:
        os.kill(os.getpid(), signal.SIGKILL)


def _arm_from_environment() -> None:
    value = os.environ.get(VARIABLE)
    if value:
        name, _, nth = value.partition(":")
        arm(name, int(nth or 1))


_arm_from_environment()
