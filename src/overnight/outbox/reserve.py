"""Room kept on the disk of the outbox: a run that dies of a full disk is told of nevertheless."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Callable
from typing import TypeVar

from overnight.ledger import files
from overnight.outbox.folder import AgentPaths

#: A few messages, what their channel notes, and whose turn it is: a block each.
_BYTES = 64 * 1024
FULL = (errno.ENOSPC, errno.EDQUOT)
_T = TypeVar("_T")


def set_aside(paths: AgentPaths) -> None:
    """Sees to it that the room is there, if the disk has it."""
    if not os.path.exists(paths.reserve):
        with contextlib.suppress(OSError):
            files.replace(paths.reserve, b" " * _BYTES)


def give_back(paths: AgentPaths) -> bool:
    """Gives the room to whoever writes next; False if there was none."""
    try:
        os.unlink(paths.reserve)
    except OSError:
        return False
    return True


def give_back_if_full(paths: AgentPaths) -> None:
    """The same, where what others have to write before us does not fit."""
    with contextlib.suppress(OSError):
        disk = os.statvfs(paths.dir)
        if disk.f_bavail * disk.f_frsize < _BYTES:
            give_back(paths)


def with_room(paths: AgentPaths, write: Callable[[], _T]) -> _T:
    """What ``write`` answers; on a full disk with the room that was set aside.

    Raises:
        OSError: There was none, or it was not enough.
    """
    try:
        return write()
    except OSError as error:
        if error.errno not in FULL or not give_back(paths):
            raise
    return write()
