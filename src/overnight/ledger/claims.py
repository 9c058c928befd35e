"""Numbered claims: who may act for something, taken by atomic create.

The holder of the largest number is the one. Two that want the same cannot both have it, and no
lock on a network disk is needed. A claim that was given back ends in ``.left``.
"""

from __future__ import annotations

import os

from overnight.ledger import files
from overnight.ledger.identity import ALIVE, GONE, Identity

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


def take(folder: str, what: str, *, force: bool = False) -> int | None:
    """Takes a claim for this process; None if a living one has it.

    Args:
        folder: Where the claims lie.
        what: What is claimed.
        force: Also where the holder cannot be seen from here (another machine).
    """
    while True:
        newest, identity = holder(folder, what)
        if identity is not None:
            look = identity.look()
            if look == ALIVE or (look != GONE and not force):
                return None
        mine = Identity.of()
        assert mine is not None
        claim = os.path.join(folder, f"{what}.{newest + 1}")
        if files.create_once(claim, files.to_json(mine.to_json())):
            return newest + 1


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
