"""For Lightning, as ``lightning`` or ``pytorch_lightning``.

::

    Trainer(…, callbacks=[LedgerCallback()])
"""

from __future__ import annotations

import importlib
import sys
from typing import Any

import overnight
from overnight.integrations.record import Best, never_raises, plain, stopped_early
from overnight.ledger import job


def _base() -> Any:
    """The Callback of whichever of the two packages the training uses."""
    for name in ("lightning.pytorch", "pytorch_lightning"):
        if name in sys.modules:
            return sys.modules[name].Callback
    try:
        return importlib.import_module("lightning.pytorch").Callback
    except ImportError:
        return importlib.import_module("pytorch_lightning").Callback


class LedgerCallback(_base()):  # type: ignore[misc]
    """Progress, numbers, the best, checkpoints and early stopping of a Lightning Trainer.

    Args:
        fold: Of a cross-validation, kept with each row.
    """

    def __init__(self, fold: int | None = None) -> None:
        super().__init__()
        self.fold = fold
        self.best = Best()

    @never_raises
    def on_train_batch_end(self, trainer: Any, *_: Any, **__: Any) -> None:
        """One batch."""
        total = trainer.estimated_stepping_batches
        if trainer.is_global_zero and total and total != float("inf"):
            overnight.progress(trainer.global_step, total, unit="step")

    @never_raises
    def on_train_epoch_end(self, trainer: Any, *_: Any, **__: Any) -> None:
        """One epoch, its validation included."""
        if not trainer.is_global_zero or trainer.sanity_checking:
            return
        epoch = trainer.current_epoch + 1
        values = plain(trainer.callback_metrics)
        if trainer.optimizers:
            values["lr"] = float(trainer.optimizers[0].param_groups[0]["lr"])
        overnight.log(values, epoch=epoch, fold=self.fold)
        self.best.see(values, epoch)

    @never_raises
    def on_save_checkpoint(self, trainer: Any, *_: Any, **__: Any) -> None:
        """A checkpoint is being saved."""
        if trainer.is_global_zero:
            job.event("CheckpointSaved", step=trainer.global_step)

    @never_raises
    def on_fit_end(self, trainer: Any, *_: Any, **__: Any) -> None:
        """The fit ends: all its epochs, or fewer."""
        if not trainer.is_global_zero:
            return
        stopper = next(
            (each for each in trainer.callbacks if getattr(each, "stopped_epoch", 0)), None
        )
        if stopper is not None:
            # What it found: no better, not finite, or good enough. It does not say which.
            why = str(getattr(stopper, "monitor", ""))
            stopped_early(stopper.stopped_epoch + 1, trainer.max_epochs, why)
