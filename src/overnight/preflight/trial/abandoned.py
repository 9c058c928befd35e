"""Trials that were killed before they could put everything back, and undoing them later."""

from __future__ import annotations

import contextlib
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path

from overnight.ledger import files
from overnight.ledger.identity import GONE, Identity
from overnight.ledger.paths import state_dir
from overnight.preflight.trial.aside import put_back

assert sys.platform != "win32"

_OWNER = "owner.json"


def trials() -> Path:
    """Where the user's trials have their folders."""
    return Path(state_dir()) / "trials"


def own(folder: Path) -> None:
    """Writes down whose the folder is: this process's, while it lives."""
    mine = Identity.of()
    assert mine is not None
    files.replace(str(folder / _OWNER), files.to_json(mine.to_json()))


def put_back_abandoned(*, told: bool = False) -> Mapping[str, list[str]]:
    """Undoes the trials that were killed before they could do it themselves.

    Args:
        told: The caller tells of what is left, so that nobody else need.

    Returns:
        Folder of a trial → what could not be put back, mostly since it was written again
        meanwhile. As it was before the trial it is still in that folder.
    """
    left: dict[str, list[str]] = {}
    # No trial was ever made, or the home cannot be used at all: that is not a start's business.
    with contextlib.suppress(FileNotFoundError, NotADirectoryError, PermissionError):
        for folder in filter(Path.is_dir, sorted(trials().iterdir())):
            owner = Identity.from_json(files.read_json(str(folder / _OWNER)))
            if owner is None or owner.look() != GONE:
                continue
            failed = put_back(str(folder), abandoned=True)
            if not failed:
                shutil.rmtree(folder, ignore_errors=True)
                continue
            left[str(folder)] = failed
            if told:
                files.discard(str(folder / _OWNER))
    return left
