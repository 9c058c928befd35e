"""Numbered claims: who may act for something, taken by atomic create.

The holder of the largest number is the one. Two that want the same cannot both have it, and no
lock on a network disk is needed. A claim that was given back ends in ``.left``.
"""

from __future__ import annotations

import os
import time

from overnight.ledger import files
from overnight.ledger.identity import ALIVE, CANNOT_TELL, Identity

_LEFT = ".left"


def holder(folder: str, what: str) -> tuple[int, Identity | None]:
    """The newest number of a claim, and who has (or had) it; None if it was given back."""
    newest, name_of_newest = 0, ""
    try:
        names = os.listdir(folder)
    except OSError:
        names = []
    for name in names:
        stem = name[: -len(_LEFT)] if name.endswith(_LEFT) else name
        kind, _, number = stem.partition(".")
        if kind == what and number.isdigit() and int(number) > newest:
            newest, name_of_newest = int(number), name
    if not newest or name_of_newest.endswith(_LEFT):
        return newest, None
    return newest, Identity.from_json(files.read_json(os.path.join(folder, name_of_newest)))


def take(
    folder: str, what: str, *, force: bool = False, stale_s: float | None = None
) -> int | None:
    """Takes a claim for this process; None if a living one has it.

    Args:
        folder: Where the claims lie.
        what: What is claimed.
        force: Also where the holder cannot be seen from here (another machine, or container).
        stale_s: Also where it cannot be seen, and has not touched its claim for so long.
    """
    while True:
        newest, identity = holder(folder, what)
        look = None if identity is None else identity.look()
        if look == CANNOT_TELL and stale_s is not None:
            force = force or age_s(folder, what, newest) > stale_s
        if look == ALIVE or (look == CANNOT_TELL and not force):
            return None
        mine = Identity.of()
        assert mine is not None
        claim = os.path.join(folder, f"{what}.{newest + 1}")
        if files.create_once(claim, files.to_json(mine.to_json())):
            # One that tidied up behind itself in this moment may have freed a number below its own.
            if holder(folder, what)[0] == newest + 1:
                return newest + 1
            files.discard(claim)


def touch(folder: str, what: str, number: int) -> None:
    """Gives a sign of life, for those that cannot see this process."""
    os.utime(os.path.join(folder, f"{what}.{number}"))


def age_s(folder: str, what: str, number: int) -> float:
    """How long ago a claim was taken, or touched; 0 if it is gone in this moment."""
    try:
        return time.time() - os.stat(os.path.join(folder, f"{what}.{number}")).st_mtime
    except OSError:
        return 0.0


def leave(folder: str, what: str, number: int) -> None:
    """Gives a claim back: whoever looks from now on finds nobody."""
    claim = os.path.join(folder, f"{what}.{number}")
    files.rename(claim, claim + _LEFT)


def forget_older(folder: str, what: str, number: int) -> None:
    """Removes claims older than ``number``, for something that is claimed time and again."""
    for older in range(number - 1, 0, -1):
        claim = os.path.join(folder, f"{what}.{older}")
        if not os.path.lexists(claim) and not os.path.lexists(claim + _LEFT):
            return
        files.discard(claim)
        files.discard(claim + _LEFT)
