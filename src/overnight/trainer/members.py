"""``model/``: the trained members as one model, with ``overnight.json`` to say what it is.

The format is docs/model-folder.md's. The folder is put together beside its place and renamed, so
whoever finds ``model/`` finds it whole.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from overnight.calibration import Calibration
from overnight.ledger import files
from overnight.ledger.paths import RunPaths
from overnight.model_folder import CARD, FORMAT, listing
from overnight.tasks.base import TaskInfo
from overnight.trainer import calibrate, checkpoints
from overnight.trainer.kept import Fold

#: What the task says of a member (Task.save), beside its weights; the engine has written it.
_MEMBER_CARD = "member.json"


def build(
    run: RunPaths,
    info: TaskInfo,
    folds: Sequence[Fold],
    *,
    labels: Sequence[str],
    metrics: Mapping[str, float],
    data_fingerprint: str,
    codes: Sequence[str] | None = None,
    calibration: Calibration | None = None,
    combine: str = "mean_probabilities",
) -> Path:
    """Makes the run's model folder and gives its place.

    Args:
        run: The run.
        info: What was trained.
        folds: Those that are over; each becomes a member.
        labels: The classes' names, by index.
        metrics: Of the model as a whole.
        data_fingerprint: What it was trained on.
        codes: What stands for each class in the data's table, where that is not its name.
        calibration: The temperature of its members, and how it was judged; None: 1.0.
        combine: How the members' outputs become one.

    Raises:
        OSError: The disk is full; what was there before is as it was.
    """
    target = Path(run.at("model"))
    aside = target.with_name(f"model.{os.getpid()}.tmp")
    for left in target.parent.glob("model.*.tmp"):  # of an attempt that was killed meanwhile
        shutil.rmtree(left)
    try:
        aside.mkdir(mode=0o700)
        members, said = [], {}
        for fold in folds:
            name = fold.scope.name
            lay(fold.member, aside / name)
            said = _member_card(aside / name)
            members.append(
                {
                    "folder": name,
                    "fold": fold.scope.fold,
                    "metrics": dict(fold.metrics),
                    "ended": fold.ended,
                }
            )
        from overnight import __version__

        card: dict[str, Any] = {
            "format": FORMAT,
            "task": info.name,
            "output": info.output,
            "labels": list(labels),
            **({} if codes is None else {"codes": list(codes)}),
            # Of every member alike: they were trained by one config.
            **said,
            "members": members,
            "combine": combine,
            "postprocessing": {"temperature": 1.0},
            "metrics": dict(metrics),
            "main_metric": info.main_metric,
            "source": {
                "run_id": run.run_id,
                "data_fingerprint": data_fingerprint,
                "overnight": __version__,
                "created_us": time.time_ns() // 1000,
            },
            "files": listing(aside),
        }
        if calibration is not None:
            calibrate.put(card, calibration)
        files.replace(str(aside / CARD), files.to_json(card))
        _put(aside, target)
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    return target


def lay(source: Path, target: Path) -> None:
    """A folder's files a second time, without a second byte on the disk where that can be had."""
    for path in sorted(source.rglob("*")):
        if not path.is_file() or path.name == checkpoints.MARK:
            continue
        there = target / path.relative_to(source)
        there.parent.mkdir(parents=True, exist_ok=True)
        try:
            os.link(path, there)
        except OSError:  # another disk, or one without hard links
            shutil.copyfile(path, there)


def point(link: Path, target: Path) -> None:
    """Lets ``link`` lead to a folder beside or below it; a disk without links gets a copy."""
    if link.is_symlink() or link.exists():
        return
    with contextlib.suppress(OSError):
        link.symlink_to(os.path.relpath(target, link.parent), target_is_directory=True)
        return
    lay(target, link)


def _member_card(folder: Path) -> dict[str, Any]:
    return files.read_json(str(folder / _MEMBER_CARD)) or {}


def _put(made: Path, target: Path) -> None:
    """Renames a folder into its place. One that an earlier attempt has left there goes first."""
    for folder in (*made.rglob("*"), made):
        if folder.is_file():
            _sync(folder)
    if target.exists():
        old = made.with_name(f"model.{os.getpid()}.old.tmp")
        target.rename(old)
        made.rename(target)
        shutil.rmtree(old)
    else:
        made.rename(target)
    _sync(target.parent)


def _sync(path: Path) -> None:
    fd = os.open(path, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
