"""transformers.Trainer as we use it. Every private name of it that is touched is touched here.

Tried with each minor version before pyproject.toml lets it in: ``_save_checkpoint``,
``_load_from_checkpoint``, ``_load_rng_state`` (whose file ``draws`` writes), ``_clip_grad_norm``,
``_get_grad_norm``.

What is ours and why:

- The loop stops for nothing of its own: evaluation, checkpoints, logs and their order are ours.
- A checkpoint is whole or does not count; Trainer writes into the folder it will read from.
- An evaluation streams; Trainer's holds all logits.
- Nothing is done at each step that nobody needs: FLOPs over all parameters, a gradient norm, and
  accelerate's search of the disk for an optimizer that is not installed (0.2 ms).
"""

from __future__ import annotations

import io
import random
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import Trainer, TrainerCallback, TrainerControl, TrainerState

from overnight.tasks.config import Train
from overnight.trainer.fit import Fit
from overnight.trainer.loader import Numbered, to_device
from overnight.trainer.schedule import schedule


class FitTrainer(Trainer):  # type: ignore[misc]
    """Turns the wheel of one fit.

    Args:
        fit: Whose.
        train: Its part of the spec.
        **parts: Trainer's own.
    """

    def __init__(self, fit: Fit, train: Train, **parts: Any) -> None:
        super().__init__(callbacks=[Events(fit, parts["train_dataset"])], **parts)
        self.fit, self._train_spec = fit, train
        fit.trainer = self
        # Each batch's loss is a mean. A model whose forward takes any keyword would else be thought
        # to divide by the number of items, and accumulated losses would be added, not averaged.
        self.model_accepts_loss_kwargs = False
        self._learning = [p for p in fit.model.parameters() if p.requires_grad]

    def compute_loss(
        self,
        model: torch.nn.Module,
        inputs: dict[str, Any],
        return_outputs: bool = False,
        num_items_in_batch: Any = None,
    ) -> Any:
        """The model's own loss; the fit sees what came out."""
        if self.fit.channels_last:
            inputs = to_device(inputs, self.args.device, channels_last=True)
        outputs = model(**inputs)
        self.fit.sees(outputs, inputs, self.state)
        return (outputs["loss"], outputs) if return_outputs else outputs["loss"]

    def create_scheduler(
        self, num_training_steps: int, optimizer: torch.optim.Optimizer | None = None
    ) -> Any:
        """As the spec words it."""
        # Called when the optimizer is as it will be. Without a scaler accelerate's wrapper has
        # nothing to do in a process of its own.
        if getattr(self.accelerator, "scaler", None) is None:
            self.optimizer: Any = getattr(self.optimizer, "optimizer", self.optimizer)
        if self.lr_scheduler is None:
            self.lr_scheduler: Any = schedule(
                optimizer or self.optimizer,
                self._train_spec,
                num_training_steps,
                max(1, num_training_steps // self._train_spec.epochs),
            )
            self._created_lr_scheduler = True
        return self.lr_scheduler

    def evaluate(self, *_: Any, **__: Any) -> dict[str, float]:
        """The fit's."""
        self.fit.evaluates(self.state, self.control)
        self.control.should_evaluate = False
        return {}

    def log(self, *_: Any, **__: Any) -> None:
        """The ledger has it."""

    def floating_point_ops(self, inputs: Any) -> int:
        """Not counted at each step: the model's card has it."""
        return 0

    def draws(self) -> tuple[str, bytes]:
        """Where torch, NumPy, Python and the cards are in their draws: a file's name and content.

        As Trainer writes and reads it; but a process does not write into a checkpoint by itself.
        """
        alone = self.args.world_size == 1
        states: dict[str, Any] = {
            "python": random.getstate(),
            "numpy": np.random.get_state(),
            "cpu": torch.get_rng_state(),
        }
        if torch.cuda.is_available():
            states["cuda"] = torch.cuda.get_rng_state() if alone else torch.cuda.get_rng_state_all()
        content = io.BytesIO()
        torch.save(states, content)
        name = "rng_state.pth" if alone else f"rng_state_{self.args.process_index}.pth"
        return name, content.getvalue()

    def _save_checkpoint(self, model: Any, trial: Any) -> None:
        self.fit.saves(self.state)

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: Any = None) -> None:
        self.fit.load(Path(resume_from_checkpoint))

    def _clip_grad_norm(self, model: Any) -> Any:
        self.accelerator.unscale_gradients()
        return torch.nn.utils.clip_grad_norm_(self._learning, self.args.max_grad_norm)

    def _get_grad_norm(self, model: Any, grad_norm: Any = None) -> Any:
        return grad_norm


class Events(TrainerCallback):  # type: ignore[misc]
    """Trainer's events, told to the fit.

    Args:
        fit: Who is told.
        dataset: The training's, which has to know its epoch.
    """

    def __init__(self, fit: Fit, dataset: Numbered) -> None:
        self._fit, self._dataset = fit, dataset

    def on_train_begin(
        self, args: Any, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        """The wheel begins to turn."""
        self._fit.begins(state, control)

    def on_epoch_begin(
        self, args: Any, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        """An epoch begins, or goes on."""
        self._fit.epoch_begins(state, self._dataset)

    def on_pre_optimizer_step(
        self, args: Any, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        """Gradients are there, and clipped."""
        self._fit.gradients_are_there(state)

    def on_step_end(
        self, args: Any, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        """An optimizer step is done."""
        self._fit.step_ends(state, control)

    def on_epoch_end(
        self, args: Any, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        """All of an epoch, or what was trained of it."""
        self._fit.epoch_ends(state, control)
