"""One fit as it goes: what happens at each step, each epoch, each checkpoint.

transformers.Trainer turns the wheel (hooks.py); all that is ours to decide is decided here. Where
several processes train, each of them has a Fit, and all of them come here together: rank 0 says
when to stop and when to save, and it alone writes.

One subject in one file: steps, evaluations and checkpoints change the same state, and a resume
has to find it as one of them left it.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import closing, nullcontext
from functools import partial
from pathlib import Path
from typing import Any, Literal

import safetensors.torch
import torch
from transformers import TrainerControl, TrainerState

from overnight.errors import OvernightError
from overnight.tasks.base import Ended, FitContext, Metric, Task
from overnight.tasks.seeded import derive
from overnight.trainer import checkpoints, evaluate, fit_state, gradients
from overnight.trainer.best import WEIGHTS, Best, NoBest
from overnight.trainer.ema import Ema
from overnight.trainer.fit_state import NAME, FitState
from overnight.trainer.loader import size_of
from overnight.trainer.losses import Losses
from overnight.trainer.narrator import Narrator
from overnight.trainer.precision import Precision, memory_mib
from overnight.trainer.team import Team

_AVERAGE = "ema.safetensors"
#: What a Stop may answer, numbered.
_ASKED: tuple[Literal["signal", "deadline", "pruned"] | None, ...] = (
    None, "signal", "deadline", "pruned",
)  # fmt: skip
#: How many steps a card may run ahead before its losses are looked at.
_LOOK_EVERY = 16


class Over(Exception):  # noqa: N818  (nothing went wrong)
    """Nothing is left to train."""


class Fit:
    """The state of a fit, and its duties.

    Args:
        task: What is trained.
        ctx: On what, for whom.
        narrator: Who tells of it.
        best: Where its best weights go.
        model: The bare model, on its device.
        valid: The evaluation's batches.
        team: Who trains.
        precision: Of the arithmetic.
        channels_last: Whether the model is laid out so.
        checkpoint_every_s: The longest a training goes without a checkpoint.
        checkpoint_every_steps: The same in steps; None: by time and epoch alone.
    """

    def __init__(
        self,
        task: Task,
        ctx: FitContext,
        narrator: Narrator,
        *,
        best: Best | NoBest,
        model: torch.nn.Module,
        valid: Any,
        team: Team,
        precision: Precision,
        channels_last: bool,
        checkpoint_every_s: float,
        checkpoint_every_steps: int | None,
    ) -> None:
        self.task, self.ctx, self.narrator, self.model = task, ctx, narrator, model
        self.channels_last, self._team = channels_last, team
        self._valid, self._precision = valid, precision
        self._every_s, self._every_steps = checkpoint_every_s, checkpoint_every_steps
        self._train = ctx.spec.train
        self._device = next(model.parameters()).device
        self._look_every = 1 if self._device.type == "cpu" else _LOOK_EVERY
        self._losses = Losses(ctx.scope.name, team)
        self._metric = self._fresh_metric()
        self._best = best
        self._ema = Ema(model, self._train.ema) if self._train.ema else None
        self._since = self._saved_at = time.monotonic()
        self._lr = 0.0
        self.state = FitState(world=team.world)
        self.steps_per_epoch = 1
        #: Set by the trainer that turns the wheel.
        self.trainer: Any = None
        self.stopped_by: Ended | None = None

    # ── begin ────────────────────────────────────────────────────────────────────────────────

    def load(self, checkpoint: Path) -> None:
        """Takes weights, average and everything of ours from a whole checkpoint."""
        safetensors.torch.load_model(self.model, str(checkpoint / WEIGHTS))
        if self._ema is not None:
            self._ema.load(checkpoint / _AVERAGE)
        self.state = state = FitState.read(checkpoint / NAME)
        self._losses.begin_epoch(state.loss_sum, state.loss_num)
        if self._metric is not None and self._team.leads:  # it is what all had seen
            self._metric.load(state.train_metric)
        if state.best_folder and not self._best.is_there(state.best_folder):
            # Somebody removed the best weights: the best from here on is what there is.
            state.best_folder, state.best = "", {}

    def begins(self, state: TrainerState, control: TrainerControl) -> None:
        """The wheel begins to turn."""
        if not self._team.leads:
            # Rank 0 goes on where it is. The others' draws must not be the same; a checkpoint's
            # are put in their place later.
            torch.manual_seed(derive(self.ctx.spec.project.seed, self._team.rank))
        self.steps_per_epoch = max(1, state.max_steps // self._train.epochs)
        self._since = self._saved_at = time.monotonic()
        self.ctx.ledger.progress(state.global_step, state.max_steps)
        if self.state.unevaluated:
            self.evaluates(state, control)
            if control.should_training_stop:
                raise Over  # Trainer would train a step before it looked

    def epoch_begins(self, state: TrainerState, dataset: Any) -> None:
        """Before the loader's workers are forked."""
        dataset.set_epoch(state.global_step // self.steps_per_epoch)
        if state.global_step % self.steps_per_epoch == 0:
            self._losses.begin_epoch()
            self._metric = self._fresh_metric()
            self.state.epoch_s = 0.0
            self._since = time.monotonic()

    # ── steps ────────────────────────────────────────────────────────────────────────────────

    def sees(self, outputs: Any, batch: Any, state: TrainerState) -> None:
        """A batch went forward."""
        # The rate this step is going to use.
        self._lr = self.trainer.optimizer.param_groups[0]["lr"]
        size, step = size_of(batch), state.global_step + 1
        self._losses.add(outputs["loss"], size, step=step, lr=self._lr)
        if self._metric is not None:
            self._metric.update(outputs, batch)

    def gradients_are_there(self, state: TrainerState) -> None:
        """Before an optimizer step."""
        if not self._train.log_gradients:
            return
        step = state.global_step + 1
        if step % self._train.log_interval == 0:
            self.ctx.ledger.metrics(gradients.spread(self.model), step=step, scope=self.ctx.scope)
        if step % self.steps_per_epoch == 0 and self._team.leads:
            gradients.keep_histograms(self.model, step=step, fold=self.ctx.scope.fold)

    def step_ends(self, state: TrainerState, control: TrainerControl) -> None:
        """An optimizer step is done."""
        step = state.global_step
        if self._ema is not None:
            self._ema.update(step)
        logs = step % self._train.log_interval == 0
        if logs or step % self._look_every == 0:
            self._losses.settle()
        if logs:
            row = {"batch_loss": self._losses.newest(), "lr": self._lr}
            self.ctx.ledger.metrics(row, step=step, scope=self.ctx.scope)
        self.ctx.ledger.progress(step, state.max_steps)
        ends_epoch = step % self.steps_per_epoch == 0
        due = time.monotonic() - self._saved_at >= self._every_s
        due = due or (self._every_steps is not None and step % self._every_steps == 0)
        # One number, so that all of them hear of both at once.
        said = self._team.first(2 * _ASKED.index(self.ctx.stop.asked()) + due)
        asked, due = _ASKED[said // 2], bool(said % 2)
        if asked is not None:
            self._stop(asked, control)
            # Whoever stops by a signal has seconds: the evaluation is the next attempt's.
            self.state.unevaluated = ends_epoch and asked == "signal"
            control.should_save = asked == "signal" or (asked == "deadline" and not ends_epoch)
        elif not ends_epoch:  # at an epoch's end a checkpoint follows the evaluation
            control.should_save = due

    def epoch_ends(self, state: TrainerState, control: TrainerControl) -> None:
        """All of an epoch, or as much of it as was trained before a stop."""
        if self.stopped_by != "signal" and state.global_step % self.steps_per_epoch == 0:
            control.should_evaluate = control.should_save = True

    def _stop(self, why: Ended, control: TrainerControl) -> None:
        self.stopped_by = why
        control.should_training_stop = True

    # ── evaluation ───────────────────────────────────────────────────────────────────────────

    def evaluates(self, state: TrainerState, control: TrainerControl) -> None:
        """Evaluates the epoch that is over; decides whether to go on."""
        self._losses.settle()
        epoch = state.global_step // self.steps_per_epoch
        main, greater = self.task.info.main_metric, self.task.info.greater_is_better
        try:
            found = self._measure(state.global_step)
        except evaluate.Interrupted:
            self.state.unevaluated = True
            self._stop("signal", control)
            return
        self.state.unevaluated = False
        value = found.number(main)
        row = self._row(found)
        if self.state.best.get("epoch") == epoch:
            self.ctx.ledger.event(
                "NewBest", metric=main, value=value, epoch=epoch, fold=self.ctx.scope.fold
            )
        row[f"best_{main}"] = self.state.best.get("value", value)
        row.update(lr=self._lr, time_s=self._time_s(), mem_MiB=memory_mib(self._device))
        self.ctx.ledger.metrics(row, epoch=epoch, scope=self.ctx.scope)
        self.narrator.epoch(self.ctx.scope, epoch, self._train.epochs, row)
        if self.state.best.get("epoch") == epoch:
            self.narrator.new_best(self.ctx.scope, main, value, epoch)
        self._decide(epoch, value, greater, control)

    def _measure(self, step: int) -> evaluate.Evaluated:
        """Evaluates with the weights that are kept if they are the best.

        Raises:
            evaluate.Interrupted: It was asked to end; in all processes at once.
        """
        logits = self._best.logits()
        with (
            closing(logits) if logits is not None else nullcontext(),
            self._ema.applied() if self._ema is not None else nullcontext(),
        ):
            part = self._own_part(logits)
            if logits is not None and not self._team.leads:
                logits.close()  # rank 0 reads it next
            trouble = logits.error if logits is not None else None
            heard = self._team.gather((part, trouble and str(trouble)))
            parts = [each for each, _ in heard if each is not None]
            if len(parts) < len(heard):
                raise evaluate.Interrupted
            found = evaluate.Part.whole(parts, lambda: self.task.metric(self.ctx))
            if logits is not None and logits.error is None:
                logits.error = next((OSError(why) for _, why in heard if why), None)
            value = found.number(self.task.info.main_metric)
            if self.state.is_better(value, self.task.info.greater_is_better):
                self._keep(found, value, step, logits)
        return found

    def _own_part(self, logits: evaluate.LogitsFile | None) -> evaluate.Part | None:
        """What this process sees of an evaluation; None where it was asked to end."""
        was_training = self.model.training
        # Several processes have the same weights, and evaluate a part each without waiting for
        # one another, as torch's wrapper around the model would.
        model = self.trainer.model_wrapped if self._team.world == 1 else self.model
        # What a batch norm has counted differs between them; rank 0's is what is kept.
        self._team.spread(self.model.buffers())
        model.eval()
        try:
            return evaluate.run(
                model,
                self._valid,
                self.task.metric(self.ctx),
                device=self._device,
                precision=self._precision,
                channels_last=self.channels_last,
                logits=logits,
                go_on=lambda: self.ctx.stop.asked() != "signal",
            )
        except evaluate.Interrupted:
            return None
        finally:
            model.train(was_training)

    def _keep(
        self,
        found: evaluate.Evaluated,
        value: float,
        step: int,
        logits: evaluate.LogitsFile | None,
    ) -> None:
        name = ""
        if self._team.leads:
            try:
                name = self._best.keep(step, logits)
            except Exception as error:
                if not checkpoints.is_disk_trouble(error):
                    raise
                self.narrator.checkpoint_failed(self.ctx.scope, error)
        (name, *_) = self._team.gather(name)
        if not name:
            return
        epoch = step / self.steps_per_epoch
        whole = int(epoch) if epoch == int(epoch) else epoch
        self.state.best_folder = name
        self.state.best = {"value": value, "epoch": whole, **self._row(found)}

    def _row(self, found: evaluate.Evaluated) -> dict[str, float]:
        row = {"train_loss": self._losses.mean(), "valid_loss": found.loss}
        if (trained := self._trained()) is not None:
            row |= {f"train_{name}": number for name, number in trained.compute().items()}
        return {**row, **found.metrics}

    def _fresh_metric(self) -> Metric | None:
        """Of what is trained on, where the task counts that at all."""
        return self.task.metric(self.ctx) if "train_metrics" in self.task.info.can else None

    def _trained(self) -> Metric | None:
        """The metric of all that the epoch has trained on, in all processes."""
        if self._metric is None or self._team.world == 1:
            return self._metric
        metrics = []
        for state in self._team.gather(self._metric.state()):
            metrics.append(self.task.metric(self.ctx))
            metrics[-1].load(state)
        metrics[0].merge(metrics[1:])
        return metrics[0]

    def _decide(self, epoch: int, value: float, greater: bool, control: TrainerControl) -> None:
        early = self._train.early_stopping
        is_last = epoch >= self._train.epochs
        goes_on = early is None or self.state.is_worth_going_on(
            value, greater, early.min_delta, early.patience
        )
        if not self._team.first(self.ctx.report(epoch, value)) and not is_last:
            self.state.ended = "pruned"
        elif not goes_on and not is_last:
            self.state.ended = "early_stopped"
            self.ctx.ledger.event(
                "EarlyStopped",
                epoch=epoch,
                total=self._train.epochs,
                why=f"{self.task.info.main_metric} {value:.4f}",
                fold=self.ctx.scope.fold,
            )
        if self.state.ended is not None:
            self._stop(self.state.ended, control)
        if (self.state.ended is not None or is_last) and not self._best.is_kept:
            control.should_save = False  # its numbers are out; nobody goes on from here

    def _time_s(self) -> float:
        """Of the epoch so far, over all attempts."""
        now = time.monotonic()
        self.state.epoch_s += now - self._since
        self._since = now
        return self.state.epoch_s

    # ── checkpoints ──────────────────────────────────────────────────────────────────────────

    def saves(self, state: TrainerState) -> None:
        """Writes a checkpoint; where the disk does not take it, the one before stays."""
        self._losses.settle()  # weights that NaN has spoilt are not worth keeping
        self._saved_at = time.monotonic()
        path = checkpoints.path_of(self.ctx.folder, state.global_step)
        if self._team.first(checkpoints.is_whole(path)):
            return
        self._time_s()
        self.state.loss_sum, self.state.loss_num = self._losses.total, self._losses.num
        trained = self._trained()
        self.state.train_metric = None if trained is None else trained.state()
        draws = self._team.gather(self.trainer.draws())
        if not self._team.leads:
            return
        try:
            checkpoints.commit(path, self._files(state, dict(draws)))
        except Exception as error:
            if not checkpoints.is_disk_trouble(error):
                raise
            self.narrator.checkpoint_failed(self.ctx.scope, error)
            return
        fit_state.tidy(
            self.ctx.folder,
            keep=self.ctx.spec.output.keep_checkpoints,
            best=self.state.best_folder,
        )
        self.ctx.ledger.event(
            "CheckpointSaved",
            path="/".join(path.parts[-3:]),
            step=state.global_step,
            fold=self.ctx.scope.fold,
        )
        self.narrator.checkpoint(self.ctx.scope, path, state.global_step)

    def _files(self, state: TrainerState, draws: Mapping[str, bytes]) -> dict[str, Any]:
        trainer = self.trainer
        files: dict[str, Any] = {
            WEIGHTS: lambda path: safetensors.torch.save_model(self.model, str(path)),
            "optimizer.pt": lambda path: torch.save(trainer.optimizer.state_dict(), path),
            "scheduler.pt": lambda path: torch.save(trainer.lr_scheduler.state_dict(), path),
            **{name: partial(_write, content) for name, content in draws.items()},
            "trainer_state.json": lambda path: state.save_to_json(str(path)),
            NAME: self.state.write,
        }
        if self._ema is not None:
            files[_AVERAGE] = self._ema.save
        scaler = getattr(trainer.accelerator, "scaler", None)
        if scaler is not None:
            files["scaler.pt"] = lambda path: torch.save(scaler.state_dict(), path)
        return files

    # ── end ──────────────────────────────────────────────────────────────────────────────────

    def ends(self, state: TrainerState) -> Ended:
        """The wheel stands; says why."""
        why: Ended = self.stopped_by or self.state.ended or "finished"
        if why != "signal" and self._best.is_kept and not self.state.best_folder:
            # A deadline before the first epoch's end: what was learnt so far is the best there is.
            try:
                self._measure(state.global_step)
            except evaluate.Interrupted:
                why = "signal"
            else:
                if not self.state.best_folder:
                    raise OvernightError("engine.no_best", where=self.ctx.folder)
        if why != "finished":
            epoch = state.global_step // self.steps_per_epoch
            self.narrator.stopped(self.ctx.scope, why, epoch, state.global_step)
        if why == "signal":
            newest = checkpoints.newest(self.ctx.folder)
            self.ctx.ledger.event(
                "StopHonoured",
                step=state.global_step,
                checkpoint="/".join(newest.parts[-3:]) if newest else None,
                fold=self.ctx.scope.fold,
            )
        return why

    def member(self) -> tuple[Path, Path | None]:
        """The best weights as a model folder, and their logits on the evaluation set."""
        return self._best.member(self.state.best_folder)


def _write(content: bytes, path: Path) -> None:
    path.write_bytes(content)
