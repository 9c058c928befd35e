"""For transformers.Trainer and all that is built on it (TRL, sentence-transformers).

::

    Trainer(…, callbacks=[LedgerCallback()])

Logged values become step rows, an evaluation an epoch row; ``eval_`` is left off where the ledger
has a name for the number (``eval_loss`` is ``valid_loss``).
"""

from __future__ import annotations

from typing import Any

from transformers import TrainerCallback

import overnight
from overnight.integrations.record import Best, never_raises, plain, stopped_early
from overnight.ledger import job


class LedgerCallback(TrainerCallback):  # type: ignore[misc, unused-ignore]
    """Progress, numbers, the best, checkpoints and early stopping of a Trainer.

    Args:
        fold: Of a cross-validation, kept with each row.
    """

    def __init__(self, fold: int | None = None) -> None:
        self.fold = fold
        self.best = Best()

    @never_raises
    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """The training begins."""
        metric = getattr(args, "metric_for_best_model", None)
        if metric:
            name = metric if metric.startswith("eval_") else "eval_" + metric
            chosen = next(iter(plain({name: 0.0})))
            self.best = Best(chosen, getattr(args, "greater_is_better", None))
        overnight.progress(state.global_step, state.max_steps, unit="step")

    @never_raises
    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """One optimizer step."""
        overnight.progress(state.global_step, state.max_steps, unit="step")

    @never_raises
    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **_: Any) -> None:
        """Numbers of the training; those of an evaluation come with it."""
        logs = logs or {}
        if any(key.startswith("eval_") for key in logs):
            return
        summary = "train_runtime" in logs
        values = plain(logs, training=True)
        if values:
            overnight.log(
                values,
                step=None if summary else state.global_step,
                fold=self.fold,
                summary=summary,
            )

    @never_raises
    def on_evaluate(
        self, args: Any, state: Any, control: Any, metrics: Any = None, **_: Any
    ) -> None:
        """Numbers of an evaluation."""
        values = plain(metrics or {})
        epoch = None if state.epoch is None else max(1, round(state.epoch))
        if values:
            overnight.log(values, epoch=epoch, fold=self.fold)
            self.best.see(values, epoch)

    @never_raises
    def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """A checkpoint is on the disk."""
        job.event(
            "CheckpointSaved",
            path=f"{args.output_dir}/checkpoint-{state.global_step}",
            step=state.global_step,
        )

    @never_raises
    def on_train_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """The training ends: all its steps, or fewer."""
        overnight.progress(state.global_step, state.max_steps, unit="step")
        if 0 < state.global_step < state.max_steps:
            stopped_early(state.epoch, args.num_train_epochs)
