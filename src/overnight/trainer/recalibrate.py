"""A run that is over gets its temperature: model and ledger as if its training had fitted it."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from overnight.calibration import Calibration
from overnight.errors import LedgerError, UserError
from overnight.ledger import files, job, media
from overnight.ledger.paths import RunPaths
from overnight.ledger.reader import merged
from overnight.model_folder import CARD, Card, verify
from overnight.trainer import calibrate, mean


@dataclass(frozen=True, slots=True)
class Again:
    """What became of it.

    Attributes:
        card: The model's, as it is now.
        changed: Whether it was another before.
        pictured: Whether the ledger has a picture of it.
    """

    calibration: Calibration
    card: Card
    changed: bool
    pictured: bool = True


def again(run: RunPaths, attempt: int) -> Again:
    """Calibrates a run that is over, once more or for the first time.

    The card is replaced in one step. That the ledger knows the model's new version is written last:
    killed anywhere, all of it is done again the next time.

    Args:
        run: The run.
        attempt: Its newest one.

    Raises:
        UserError, UserErrors: It has no model or no out-of-fold predictions, or they are damaged.
        OSError: The card cannot be written; it is as it was.
        LedgerError: The ledger cannot take it.
    """
    place = Path(run.at("model"))
    if not place.exists():
        raise UserError("calibrate.no_model", where=run.dir, run=run.run_id)
    card = verify(place)
    found = calibrate.of_run(run, card)
    said: dict[str, Any] = copy.deepcopy(dict(card.said))
    calibrate.put(said, found)
    mean.put(said, run, found)
    saved = _saved(run)
    if said == card.said and saved.get("sha256") == card.sha256:
        return Again(found, card, changed=False)
    files.replace(str(card.folder / CARD), files.to_json(said))
    card = verify(place)
    mine = job.Job(run, attempt)
    job.switch_to(mine)
    try:
        pictured = calibrate.show(found)
        _note(card, saved, f"{run.run_id}-model")
    finally:
        job.switch_to(None)
        mine.close()
    if _saved(run).get("sha256") != card.sha256:  # why was said on stderr, as to any job
        raise LedgerError("calibrate.unnoted", where=run.dir, run=run.run_id)
    return Again(found, card, changed=True, pictured=pictured)


def _note(card: Card, saved: dict[str, Any], otherwise: str) -> None:
    """A version of the model, and that it is the newest."""
    name = str(saved.get("name") or otherwise)
    aliases = saved.get("aliases") or ["best", "latest"]
    sha256 = media.artifact(card.folder, name, "model", aliases, metadata=dict(card.metrics))
    num = len(card.members)
    job.event("ModelSaved", path="model", name=name, sha256=sha256, members=num, aliases=aliases)


def _saved(run: RunPaths) -> dict[str, Any]:
    """What the newest ``ModelSaved`` says."""
    newest: dict[str, Any] = {}
    for _, _, record in merged(run.dir, "job"):
        if record.get("_event") == "ModelSaved":
            newest = record
    return newest
