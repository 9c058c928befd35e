"""Folders that are whole or do not count: a mark, written last, names every file and its size.

A checkpoint is ``<scope>/checkpoint-<step>/``. A process that dies while it writes one leaves a
folder without a mark, which nobody reads and the next fit removes.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Collection, Mapping
from pathlib import Path

from overnight import crashpoint

MARK = "whole.json"
_PREFIX = "checkpoint-"
#: Folders that hold the best weights so far, ``best-<step>``; the finished one is ``best``.
BEST_PREFIX = "best-"


def commit(folder: Path, files: Mapping[str, Callable[[Path], object]]) -> Path:
    """Writes a folder that counts once this returns, and not before.

    Args:
        folder: Its path. What lies there without a mark is removed first.
        files: Name → what writes the file of that name.

    Raises:
        OSError: The disk is full or gone; nothing of the folder is left.
        Exception: Whatever a writer raises; the same.
    """
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    try:
        for name, write in files.items():
            write(folder / name)
            crashpoint.reach("checkpoint.torn")
        sizes = {}
        for path in sorted(folder.rglob("*")):
            _sync(path)
            if path.is_file():
                sizes[path.relative_to(folder).as_posix()] = path.stat().st_size
        crashpoint.reach("checkpoint.unmarked")
        # Aside and renamed: half a mark must not be taken for a broken disk.
        aside = folder / (MARK + ".new")
        aside.write_text(json.dumps({"files": sizes}, indent=1) + "\n", encoding="utf-8")
        _sync(aside)
        aside.replace(folder / MARK)
        _sync(folder)
        _sync(folder.parent)
        crashpoint.reach("checkpoint.whole")
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    return folder


def is_whole(folder: Path) -> bool:
    """Whether the mark is there and every file it names has its size."""
    try:
        sizes = json.loads((folder / MARK).read_text(encoding="utf-8"))["files"]
        return all((folder / name).stat().st_size == size for name, size in sizes.items())
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return False


def path_of(folder: Path, step: int) -> Path:
    """Where the checkpoint of ``step`` lies."""
    return folder / f"{_PREFIX}{step}"


def step_of(checkpoint: Path) -> int:
    """The optimizer steps that were done when it was written; -1 if it is no checkpoint's name."""
    number = checkpoint.name.removeprefix(_PREFIX)
    return int(number) if checkpoint.name != number and number.isdecimal() else -1


def whole(folder: Path) -> list[Path]:
    """The whole checkpoints of a scope, the newest first."""
    try:
        found = [path for path in folder.iterdir() if step_of(path) >= 0 and is_whole(path)]
    except OSError:
        return []
    return sorted(found, key=step_of, reverse=True)


def newest(folder: Path) -> Path | None:
    """The newest whole checkpoint of a scope."""
    return next(iter(whole(folder)), None)


def tidy(folder: Path, *, keep: int, beside: Collection[str] = ()) -> None:
    """Removes all but the newest ``keep`` whole checkpoints, and all that is not whole.

    Args:
        folder: The scope's.
        keep: How many checkpoints stay; at least the newest.
        beside: Names of other marked folders (the best weights) that stay.
    """
    stays = {path.name for path in whole(folder)[: max(1, keep)]} | set(beside)
    for path in folder.iterdir():
        is_ours = step_of(path) >= 0 or path.name.startswith(BEST_PREFIX)
        if path.is_dir() and is_ours and path.name not in stays:
            # The mark first: what is half removed must not count.
            (path / MARK).unlink(missing_ok=True)
            shutil.rmtree(path, ignore_errors=True)


def is_disk_trouble(error: BaseException) -> bool:
    """Whether a write failed for want of room or of a working disk."""
    if isinstance(error, OSError):
        return True
    # torch and safetensors write by themselves and raise errors of their own for the same thing.
    text = f"{type(error).__name__}: {error}"
    return any(sign in text for sign in ("PytorchStreamWriter", "inline_container", "os error"))


def _sync(path: Path) -> None:
    if os.name == "nt" and path.is_dir():  # a folder cannot be opened there
        return
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
