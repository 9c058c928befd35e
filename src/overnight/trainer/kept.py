"""What a run keeps of its folds between attempts: their plan, and the result of each that is over.

A fold that is over is not trained again; a plan that no longer fits the data is refused, since
rows would be predicted by a member that has learnt from them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from overnight.errors import UserError
from overnight.ledger import files
from overnight.ledger.paths import RunPaths
from overnight.tasks.base import DataIndex, FitResult, Scope
from overnight.trainer import checkpoints

_SCHEMA = "overnight.fold/1"


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be trained.

    Attributes:
        index: The data.
        fold_of: The fold in which each example is validated.
        scopes: The fits, in their order.
    """

    index: DataIndex
    fold_of: Sequence[int]
    scopes: Sequence[Scope]


@dataclass(frozen=True, slots=True)
class Fold:
    """A fold that is over.

    Attributes:
        scope: Which.
        metrics: Of its best epoch.
        ended: How: ``finished``, ``early_stopped``.
        member: The best checkpoint's model folder.
        logits: Of its validation part, ``(N, K)``; None where the task has none.
    """

    scope: Scope
    metrics: Mapping[str, float]
    ended: str
    member: Path
    logits: Path | None


def folder(run: RunPaths, scope: Scope) -> Path:
    """Where a scope's checkpoints lie."""
    return Path(run.ckpt) / scope.name


def keep(run: RunPaths, scope: Scope, result: FitResult) -> Fold:
    """Writes down that a fold is over; its paths relatively, so that the root may be moved."""
    base = Path(run.dir)
    said: dict[str, Any] = {
        "schema": _SCHEMA,
        "ended": result.ended,
        "metrics": dict(result.metrics),
        "member": str(result.member.relative_to(base)),
        "logits": None if result.logits is None else str(result.logits.relative_to(base)),
    }
    files.replace(str(folder(run, scope) / "result.json"), files.to_json(said))
    return Fold(scope, result.metrics, result.ended, result.member, result.logits)


def kept(run: RunPaths, scope: Scope) -> Fold | None:
    """A fold that an earlier attempt has finished; None if none has, or its files are gone."""
    said = files.read_json(str(folder(run, scope) / "result.json"))
    if said is None or said.get("schema") != _SCHEMA:
        return None
    base = Path(run.dir)
    member = base / str(said["member"])
    logits = None if said["logits"] is None else base / str(said["logits"])
    if not checkpoints.is_whole(member) or (logits is not None and not logits.is_file()):
        return None
    return Fold(scope, said["metrics"], str(said["ended"]), member, logits)


def check_plan(run: RunPaths, fingerprint: str, fold_of: Sequence[int]) -> None:
    """Sees that data and folds are those the run began with; in its first attempt they are noted.

    Raises:
        UserError: They are others.
    """
    path = Path(run.at("plan.json"))
    digest = hashlib.sha256(" ".join(map(str, fold_of)).encode()).hexdigest()
    plan = {"fingerprint": fingerprint, "folds_sha256": digest, "num_examples": len(fold_of)}
    before = files.read_json(str(path))
    if before is None:
        files.replace(str(path), files.to_json(plan))
    elif before != plan:
        raise UserError("train.data_changed", where=run.run_id, num=before.get("num_examples"))
