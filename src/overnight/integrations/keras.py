"""For Keras 3, on any backend, and for tf.keras.

::

    model.fit(…, callbacks=[LedgerCallback()])
"""

from __future__ import annotations

from typing import Any

import keras

import overnight
from overnight.integrations.record import Best, never_raises, plain, stopped_early


class LedgerCallback(keras.callbacks.Callback):  # type: ignore[misc, unused-ignore]
    """Progress, numbers, the best and early stopping of ``fit``.

    Args:
        fold: Of a cross-validation, kept with each row.
    """

    def __init__(self, fold: int | None = None) -> None:
        super().__init__()
        self.fold = fold
        self.best = Best()
        self._epoch = 0

    @never_raises
    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """One batch."""
        steps, epochs = self.params.get("steps"), self.params.get("epochs")
        if steps and epochs:
            overnight.progress(self._epoch * steps + batch + 1, steps * epochs, unit="step")

    @never_raises
    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """An epoch begins; Keras counts from 0."""
        self._epoch = epoch

    @never_raises
    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """One epoch, its validation included."""
        own = {key: value for key, value in (logs or {}).items() if not key.startswith("val_")}
        found = {key: value for key, value in (logs or {}).items() if key.startswith("val_")}
        # Keras calls the training's own numbers loss and accuracy.
        values = {**plain({f"train_{key}": value for key, value in own.items()}), **plain(found)}
        lr = getattr(getattr(self.model, "optimizer", None), "learning_rate", None)
        if lr is not None:
            values.update(plain({"lr": lr}))
        overnight.log(values, epoch=epoch + 1, fold=self.fold)
        if not self.params.get("steps"):
            overnight.progress(epoch + 1, self.params.get("epochs"), unit="epoch")
        self.best.see(values, epoch + 1)

    @never_raises
    def on_train_end(self, logs: Any = None) -> None:
        """The fit ends: all its epochs, or fewer."""
        epochs = self.params.get("epochs") or 0
        if self.model.stop_training and self._epoch + 1 < epochs:
            stopped_early(self._epoch + 1, epochs)
