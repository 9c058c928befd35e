"""For Ultralytics.

::

    model = attach(YOLO("yolo11n.pt"))
    model.train(data=…, epochs=100)
"""

from __future__ import annotations

from typing import Any

import overnight
from overnight.integrations.record import Best, never_raises, plain, stopped_early
from overnight.ledger import job


def attach(model: Any, fold: int | None = None) -> Any:
    """Adds the callbacks to a model, and gives the model.

    Args:
        model: ``YOLO``, ``RTDETR`` or any other with ``add_callback``.
        fold: Of a cross-validation, kept with each row.
    """
    recorder = _Recorder(fold)
    for name in (
        *("on_train_start", "on_train_batch_end", "on_fit_epoch_end"),
        *("on_model_save", "on_train_end"),
    ):
        model.add_callback(name, getattr(recorder, name))
    return model


class _Recorder:
    def __init__(self, fold: int | None) -> None:
        self.fold = fold
        self.best = Best("fitness", greater_is_better=True)
        self._batches = 0

    @never_raises
    def on_train_start(self, trainer: Any) -> None:
        self._batches = trainer.start_epoch * len(trainer.train_loader)
        overnight.progress(trainer.start_epoch, trainer.epochs, unit="epoch")

    @never_raises
    def on_train_batch_end(self, trainer: Any) -> None:
        self._batches += 1
        total = len(trainer.train_loader) * trainer.epochs
        overnight.progress(min(self._batches, total), total, unit="step")

    @never_raises
    def on_fit_epoch_end(self, trainer: Any) -> None:
        # After the last epoch the best weights are validated once more, under the same name.
        epoch = trainer.epoch + 1
        values = {
            **plain(trainer.label_loss_items(trainer.tloss, prefix="train")),
            **plain(trainer.metrics),
            **plain(trainer.lr),
        }
        if trainer.fitness is not None:
            values["fitness"] = float(trainer.fitness)
        overnight.log(values, epoch=epoch, fold=self.fold)
        self.best.see(values, epoch)

    @never_raises
    def on_model_save(self, trainer: Any) -> None:
        job.event("CheckpointSaved", path=str(trainer.last), epoch=trainer.epoch + 1)

    @never_raises
    def on_train_end(self, trainer: Any) -> None:
        if trainer.epoch + 1 < trainer.epochs:
            why = f"no better fitness for {trainer.args.patience} epochs"
            stopped_early(trainer.epoch + 1, trainer.epochs, why)
