"""The engine ``hf``: a fit on transformers.Trainer, resumable to the last bit.

::

    result = HfEngine(narrator).fit(task, ctx)
"""

from __future__ import annotations

import logging
import warnings
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch
import transformers
from transformers import PrinterCallback, TrainingArguments, set_seed

from overnight.errors import UserError
from overnight.tasks.base import FitContext, FitResult, Task
from overnight.trainer import (
    checkpoints,
    evaluate,
    fit_state,
    loader,
    precision,
    ranks,
    schedule,
)
from overnight.trainer.best import Best, NoBest
from overnight.trainer.fit import Fit, Over
from overnight.trainer.fit_state import NAME, FitState
from overnight.trainer.hooks import FitTrainer
from overnight.trainer.narrator import Narrator, Silent
from overnight.trainer.stop import Stopped
from overnight.trainer.team import Team

#: NumPy's generator takes no more.
_MAX_SEED = 2**32


class HfEngine:
    """Trains by transformers.Trainer.

    Args:
        narrator: Who tells a person how it goes; by default nobody.
        checkpoint_every_steps: Optimizer steps after which there is a checkpoint, beside those of
            ``output.checkpoint_minutes`` and of each epoch's end; None: none.
        keeps_best: Whether there is to be a member. Without, the result's is the fit's folder, and
            what the last epoch has learnt goes with the model.
    """

    name = "hf"

    def __init__(
        self,
        narrator: Narrator | None = None,
        *,
        checkpoint_every_steps: int | None = None,
        keeps_best: bool = True,
    ) -> None:
        self._narrator: Narrator = narrator or Silent()
        self._every_steps, self._keeps_best = checkpoint_every_steps, keeps_best

    def fit(self, task: Task, ctx: FitContext) -> FitResult:
        """Trains, or goes on training, to the end or until it is asked to stop.

        After a stop by a signal there need be no member: the checkpoint is what was saved.

        Raises:
            UserError: Something of the spec cannot be had on this machine.
            OvernightError: The loss became NaN or infinite.
            OSError: The disk took not even the best weights.
        """
        on = precision.device()
        num = ranks.world(ctx.spec.train.devices, on)
        ctx.folder.mkdir(parents=True, exist_ok=True)
        if ctx.checkpoint is not None:
            was = FitState.read(ctx.checkpoint / NAME).world
            if was != num:
                raise UserError("engine.other_world", where=ctx.checkpoint, was=was, now=num)
        fit_state.tidy(ctx.folder, keep=ctx.spec.output.keep_checkpoints)
        items = task.dataset(ctx.train, ctx, augment=True)
        if num == 1:
            return self.work(task, ctx, Team(), items)
        # Given to all of them: pictures that are kept in memory are kept once.
        given = {"items": items, "every_steps": self._every_steps, "keeps_best": self._keeps_best}
        try:
            with ranks.together(num, task, ctx, on, **given) as (mine, team):
                return self.work(task, mine, team, items)
        except Stopped:
            return FitResult(ctx.folder / "best", {}, "signal", None)

    def work(self, task: Task, ctx: FitContext, team: Team, items: Any) -> FitResult:
        """One process's part of a fit.

        Args:
            task: What is trained.
            ctx: Of the whole fit.
            team: Who trains.
            items: The task's data set of ``ctx.train``.

        Raises:
            Exception: As :meth:`fit` does.
        """
        resumed = None if ctx.checkpoint is None else FitState.read(ctx.checkpoint / NAME)
        with precision.deterministic(ctx.spec.train.deterministic):
            fit, trainer = self._prepare(task, ctx, team, items)
            if resumed is not None and resumed.ended is not None:
                # It had decided to end, and died before it said so.
                assert ctx.checkpoint is not None
                fit.load(ctx.checkpoint)
            else:
                with suppress(Over):
                    trainer.train(resume_from_checkpoint=_text(ctx.checkpoint))
            ended = fit.ends(trainer.state)
            if ended == "signal" or not team.leads:
                return FitResult(ctx.folder / "best", fit.state.best_numbers(), ended, None)
            member, logits = fit.member()
        return FitResult(member, fit.state.best_numbers(), ended, logits)

    def evaluate(self, task: Task, member: Path, ctx: FitContext) -> dict[str, float]:
        """The numbers of a member on ``ctx.valid``: ``valid_loss`` and the task's metrics."""
        train = ctx.spec.train
        device = precision.device()
        model = task.load(member).to(device).eval()
        batches = loader.evaluation(
            task.dataset(ctx.valid, ctx, augment=False),
            task,
            seed=ctx.spec.project.seed,
            batch_size=train.batch_size,
            num_workers=precision.num_workers(train.num_workers),
            pin=device.type == "cuda",
        )
        part = evaluate.run(
            model,
            batches,
            task.metric(ctx),
            device=device,
            precision=precision.precision(train.amp, device),
            channels_last=precision.channels_last(model, device),
        )
        found = evaluate.Part.whole([part], lambda: task.metric(ctx))
        return {"valid_loss": found.loss, **found.metrics}

    def _prepare(
        self, task: Task, ctx: FitContext, team: Team, items: Any
    ) -> tuple[Fit, FitTrainer]:
        _quieten()
        train, seed = ctx.spec.train, ctx.spec.project.seed
        device = precision.device(team.rank)
        arithmetic = precision.precision(train.amp, device)
        num_workers = precision.num_workers(train.num_workers, team.world)
        set_seed(seed % _MAX_SEED)
        model = task.model(ctx).to(device)
        is_channels_last = precision.channels_last(model, device)
        valid = loader.evaluation(
            task.dataset(team.share(ctx.valid), ctx, augment=False),
            task,
            seed=seed,
            batch_size=train.batch_size,
            num_workers=num_workers,
            pin=device.type == "cuda",
        )
        fit = Fit(
            task,
            ctx,
            self._narrator,
            best=Best(task, ctx, model, team) if self._keeps_best else NoBest(ctx.folder),
            model=model,
            valid=valid,
            team=team,
            precision=arithmetic,
            channels_last=is_channels_last,
            checkpoint_every_s=60 * ctx.spec.output.checkpoint_minutes,
            checkpoint_every_steps=self._every_steps,
        )
        arguments = TrainingArguments(
            output_dir=str(ctx.folder),
            seed=seed % _MAX_SEED,
            data_seed=seed % _MAX_SEED,
            num_train_epochs=train.epochs,
            per_device_train_batch_size=train.batch_size,
            gradient_accumulation_steps=train.accumulate,
            learning_rate=train.lr,
            weight_decay=train.weight_decay,
            max_grad_norm=train.grad_clip_norm,
            bf16=arithmetic == "bf16",
            fp16=arithmetic == "fp16",
            use_cpu=device.type == "cpu",
            torch_compile=train.compile,
            dataloader_num_workers=num_workers,
            dataloader_pin_memory=device.type == "cuda",
            dataloader_persistent_workers=False,
            # A batch norm cannot learn from one example that has one value a channel. Several
            # processes fill an epoch's last batches up from its first.
            dataloader_drop_last=team.world == 1 and _leaves_one(len(ctx.train), train.batch_size),
            ddp_find_unused_parameters=False,
            remove_unused_columns=False,
            # All of these are the fit's own work (fit.py).
            eval_strategy="no",
            save_strategy="no",
            logging_strategy="no",
            logging_nan_inf_filter=False,
            report_to="none",
            disable_tqdm=True,
            enable_jit_checkpoint=False,
        )
        # Several visible cards would otherwise become a DataParallel nobody asked for.
        arguments._n_gpu = min(arguments.n_gpu, 1)
        trainer = FitTrainer(
            fit,
            train,
            model=model,
            args=arguments,
            train_dataset=loader.Numbered(items),
            data_collator=loader.Collate(task, seed, train=True),
            optimizer_cls_and_kwargs=schedule.optimizer(train),
        )
        trainer.remove_callback(PrinterCallback)
        num_batches = len(trainer.get_train_dataloader())
        steps = -(-num_batches // train.accumulate)
        self._narrator.begin(
            ctx.scope,
            {
                "device": _name_of(device, team.world),
                "precision": arithmetic,
                "num_workers": num_workers,
                "steps": steps * train.epochs,
                "epochs": train.epochs,
                "parameters": sum(p.numel() for p in model.parameters()),
                "trainable": sum(p.numel() for p in model.parameters() if p.requires_grad),
                "resumed_step": checkpoints.step_of(ctx.checkpoint) if ctx.checkpoint else 0,
            },
        )
        return fit, trainer


def _leaves_one(num_examples: int, batch_size: int) -> bool:
    """Whether the last batch of an epoch would be a single example."""
    return num_examples > batch_size > 1 and num_examples % batch_size == 1


def _name_of(device: torch.device, num: int) -> str:
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
    return f"{num} x {name}" if num > 1 else str(name)


def _text(path: Path | None) -> str | None:
    return None if path is None else str(path)


def _quieten() -> None:
    """What transformers says of its own doings is no news of a run's."""
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    logging.getLogger("accelerate").setLevel(logging.ERROR)
    # Trainer steps the scheduler in the right order; torch cannot see that through accelerate.
    warnings.filterwarnings("ignore", "Detected call of `lr_scheduler.step", UserWarning)
