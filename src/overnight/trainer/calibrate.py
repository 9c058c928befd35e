"""The temperature of a run: what its model keeps of it, and what its ledger shows.

Torch-free: ``overnight calibrate`` does it for a run that is over, as the trainer does at its end.
"""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from overnight.calibration import Calibration, Scores, judge
from overnight.errors import UserError
from overnight.ledger import job, media
from overnight.ledger.paths import RunPaths
from overnight.messages import say
from overnight.model_folder import CARD, Card
from overnight.tasks.base import Scope
from overnight.trainer.console import Console, number
from overnight.trainer.ledger import RunLedger
from overnight.trainer.oof import OutOfFold

#: What the log line and the picture name, in this order.
_NAMES = ("nll", "ece", "mce", "brier")


def of(found: OutOfFold, console: Console) -> Calibration | None:
    """What out-of-fold predictions ask for, said in the log.

    None where nothing can be fitted to them: a night of training does not end with that.
    """
    try:
        calibration = judge(found.logits, found.targets, found.folds)
    except UserError as error:
        console.line("CALIB", f"! {error.what}; temperature 1.0000 is kept")
        return None
    tell(console, calibration)
    return calibration


def of_run(run: RunPaths, card: Card) -> Calibration:
    """What a run's out-of-fold predictions ask for.

    Raises:
        UserError, UserErrors: It has none, or they are damaged.
    """
    if not Path(run.at("oof", "oof_logits.npy")).is_file():
        raise UserError("calibrate.no_oof", where=run.dir, run=run.run_id)
    logits_NK, targets_N, folds_N = (
        load(Path(run.at("oof", f"oof_{name}.npy"))) for name in ("logits", "targets", "folds")
    )
    try:
        found = judge(logits_NK, targets_N, folds_N)
    except UserError as error:
        damaged = UserError("calibrate.oof_damaged", where=run.at("oof"), why=error.what)
        raise damaged from error
    if logits_NK.shape[1] != len(card.labels):
        why = say("calibrate.other_labels", path="oof_logits.npy", there=logits_NK.shape[1],
                  labels=len(card.labels))  # fmt: skip
        raise UserError("calibrate.oof_damaged", where=run.at("oof"), why=why)
    return found


def load(path: Path) -> NDArray[Any]:
    """An array of numbers, as ``numpy.save`` wrote it; a large one stays on the disk.

    Raises:
        UserError: It is not there, or nothing that can be read without unpickling.
    """
    if not path.is_file():
        raise UserError("calibrate.no_file", where=path)
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
        if isinstance(array, np.ndarray):
            return array
        array.close()
        why = ".npz"
    except (ValueError, EOFError, OSError, SyntaxError) as error:
        why = " ".join(str(error).split())[:200]
    raise UserError("calibrate.no_array", where=path, why=why)


def put(said: dict[str, Any], found: Calibration) -> None:
    """Puts a temperature into a model's card, and how it was judged (docs/model-folder.md)."""
    said["postprocessing"] = {
        **said.get("postprocessing", {}), "temperature": found.temperature
    }  # fmt: skip
    said["calibration"] = {
        "fitted": found.fitted,
        "why": found.why,
        "num": found.num,
        "num_parts": found.num_parts,
        "before": _plain(found.before),
        "after": _plain(found.after),
    }


def _plain(scores: Scores) -> dict[str, float]:
    return {name: value for name, value in asdict(scores).items() if name != "bins"}


def tell(console: Console, found: Calibration) -> None:
    """Says it in the log (docs/log-lines.md)."""
    head = f"temperature {number('temperature', found.temperature)}"
    if found.why != "fitted":
        head += f" is kept ({found.why}, {number('temperature', found.fitted)} was fitted)"
    numbers = found.numbers()
    said = "  ".join(
        f"{name} {number(name, numbers[f'{name}_before'])}"
        + (f" -> {number(name, numbers[f'{name}_after'])}" if found.why == "fitted" else "")
        for name in _NAMES
    )
    console.line("CALIB", f"{head}, {found.num:,} rows in {found.num_parts} parts: {said}")


def show(found: Calibration) -> bool:
    """Rows, table, picture and event of it into the ledger of this process's run.

    Returns:
        Whether there is a picture of it: without Matplotlib there is none.
    """
    scope = Scope(stage="calibrate")
    RunLedger().metrics(found.numbers(), scope=scope, summary=True)
    columns = ["when", "bin_low", "bin_high", "confidence", "accuracy", "num"]
    rows = [
        [when, each.low, each.high, each.confidence, each.accuracy, each.num]
        for when, scores in (("before", found.before), ("after", found.after))
        for each in scores.bins
    ]
    media.table(columns, rows, "reliability", caption="out of fold")
    try:
        from overnight.trainer.pictures import reliability_picture

        figure = reliability_picture(found)
    except ImportError:
        figure = None
    if figure is not None:
        media.figure(figure, "reliability")
    job.event("Calibrated", temperature=found.temperature, why=found.why, path=f"model/{CARD}")
    return figure is not None
