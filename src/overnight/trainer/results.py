"""What a training leaves once its folds are over: out-of-fold predictions, temperature, model.

Doing it twice leaves the same, so an attempt that died in the middle is followed by one that begins
here again.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from overnight.errors import LedgerError
from overnight.ledger import job, media
from overnight.ledger.paths import RunPaths
from overnight.ledger.reader import read
from overnight.trainer import calibrate, mean, members, oof, pictures
from overnight.trainer.console import Console, counted
from overnight.trainer.kept import Fold, Plan
from overnight.trainer.ledger import RunLedger

if TYPE_CHECKING:
    from overnight.spec import Spec

#: Rows of the table of predictions that come with their picture, and rows at all.
_PICTURES, _ROWS = 60, 2_000


def leave(
    run: RunPaths,
    console: Console,
    spec: Spec,
    plan: Plan,
    done: Sequence[Fold],
) -> dict[str, float]:
    """Leaves all of it, says so, and gives the numbers of the model as a whole.

    Args:
        run: The run.
        console: Where its lines go.
        spec: What was asked for.
        plan: The data and its folds.
        done: The folds that become members.

    Raises:
        OSError: The disk is full; another attempt does it again.
    """
    found = _out_of_fold(run, console, spec, plan, done)
    metrics = _mean(done) if found is None else found.metrics()
    calibration = None
    if "calibrate" in spec.stages and found is not None:
        calibration = calibrate.of(found, console)
    folder = members.build(
        run,
        spec.info,
        done,
        labels=plan.index.labels,
        metrics=metrics,
        data_fingerprint=plan.index.fingerprint,
        codes=plan.index.codes,
        calibration=calibration,
    )
    for fold in done:
        source = fold.member.relative_to(run.dir).as_posix()
        console.copy(source, f"model/{fold.scope.name}")
    if calibration is not None:
        mean.fit(run, console, spec, plan, folder, calibration)
        calibrate.show(calibration)
        console.artifact("media/", "reliability before and after calibration")
    name, aliases = f"{spec.project.name}-model", ["best", "latest"]
    sha256 = media.artifact(folder, name, "model", aliases, metadata=metrics)
    job.event(
        "ModelSaved", path="model", name=name, sha256=sha256, members=len(done), aliases=aliases
    )
    console.artifact("model/overnight.json", f"{counted(len(done), 'member')}, sha256 {sha256}")
    if found is not None:
        _show(plan, found, 1.0 if calibration is None else calibration.temperature)
        console.artifact("media/", "confusion matrix, per class, predictions (worst first)")
    RunLedger().metrics(metrics, summary=True)
    return metrics


def _out_of_fold(
    run: RunPaths, console: Console, spec: Spec, plan: Plan, done: Sequence[Fold]
) -> oof.OutOfFold | None:
    """Keeps the out-of-fold predictions of a classifier; another task has none."""
    logits = {
        fold.scope.fold: fold.logits
        for fold in done
        if fold.scope.fold is not None and fold.logits is not None
    }
    if spec.info.output != "classes" or len(logits) < len(done):
        return None
    examples = plan.index.examples
    found = oof.gather(logits, plan.fold_of, [each.target for each in examples])
    found.save(Path(run.at("oof")), [each.id for each in examples])
    num, num_classes = found.logits.shape
    console.artifact("oof/oof_logits.npy", f"{num:,} x {num_classes:,}, out of fold")
    return found


def _show(plan: Plan, found: oof.OutOfFold, temperature: float) -> None:
    examples, labels = plan.index.examples, plan.index.labels
    confusion_KK = found.confusion()
    save = partial(media.table, caption="out of fold")
    media.figure(pictures.confusion_picture(confusion_KK, labels), "confusion_matrix")
    columns = ["truth", "prediction", "count"]
    cells = pictures.confusion_rows(confusion_KK, labels)
    save(columns, cells, "confusion_matrix", plot="confusion_matrix")
    columns = ["class", "precision", "recall", "f1", "num"]
    save(columns, pictures.class_rows(confusion_KK, labels), "per_class")
    order = pictures.worst_first(found, temperature)[:_ROWS]
    rows = pictures.prediction_rows(found, order, examples, labels, temperature)
    with_picture = (
        [pictures.preview(examples[int(found.rows[at])]) if rank < _PICTURES else None, *row]
        for rank, (at, row) in enumerate(zip(order, rows, strict=True))
    )
    columns = ["image", "id", "truth", "prediction", "confidence", "fold"]
    save(columns, with_picture, "predictions")


def _mean(done: Sequence[Fold]) -> dict[str, float]:
    """Of a task without out-of-fold predictions: the folds' best epochs, averaged."""
    names = [name for name in done[0].metrics if name != "epoch"] if done else []
    return {
        name: sum(float(fold.metrics[name]) for fold in done) / len(done)
        for name in names
        if all(name in fold.metrics for fold in done)
    }


def earlier_s(run: RunPaths) -> float:
    """Seconds that earlier attempts ran; the waits between them are left out."""
    try:
        events = read(run.dir, "events").records
    except LedgerError:
        return 0.0
    ended = (event for event in events if event.get("_event") == "Exited")
    return sum(float(event.get("ran_s") or 0.0) for event in ended)
