"""Loops inside training libraries: transformers' Trainer, Keras' fit, Lightning's Trainer."""

from __future__ import annotations

import functools
import inspect
import math
import os
import time
from collections.abc import Callable
from concurrent.futures import Future
from importlib import import_module
from typing import Any

from overnight.preflight.trial.inside.clock import CLOCK
from overnight.preflight.trial.inside.passes import Pass

#: Two epochs at least: the first one fills caches.
_LEAST_EPOCHS = 2


class Fit:
    """The epochs of one fit and the steps in them, as a library's callbacks tell them."""

    def __init__(self, library: str, num_epochs: int, steps: int | None) -> None:
        self._library = library
        self.steps_per_epoch = steps
        self.epochs = Pass(library + " epochs", "epoch", num_epochs)
        self.steps: Pass | None = None
        self.cut = False
        """Whether the epoch under way was ended early."""

    def begin_epoch(self) -> None:
        """An epoch begins."""
        self.end_epoch()
        self.epochs.begin_turn()
        self.cut = False
        if self.steps_per_epoch:
            self.steps = Pass(self._library + " steps", "train", self.steps_per_epoch)
            self.steps.begin_turn()

    def end_step(self) -> bool:
        """A step is over; whether the epoch's other steps can be left out."""
        steps = self.steps
        if steps is None or self.cut:
            return False
        # What lies between two steps (waiting for data, logging) is part of the next one.
        steps.end_turn()
        if steps.is_enough():
            steps.leave_out(steps.num_left)
            self.cut = True
        else:
            steps.begin_turn()
        return self.cut

    def end_steps(self) -> None:
        """The steps of an epoch are over; an evaluation may follow."""
        if self.steps is not None:
            self.steps.leave()
            self.steps = None

    def end_epoch(self) -> None:
        """An epoch is over, its evaluation and saving too."""
        self.end_steps()
        self.epochs.end_turn()

    def has_enough_epochs(self, *, with_this: bool = False) -> bool:
        """Whether the epochs so far (``with_this`` one, which is about to end) tell the others."""
        num = len(self.epochs.turns) + with_this
        return num >= _LEAST_EPOCHS and self.epochs.is_enough()

    def end(self) -> None:
        """The fit is over."""
        self.end_epoch()
        self.epochs.leave_out(self.epochs.num_left)
        self.epochs.leave()


# ── transformers ─────────────────────────────────────────────────────────────────────────────


def hook_transformers(module: Any) -> None:
    """Hooks ``transformers.trainer``."""
    trainer = module.Trainer
    callback = _transformers_callback(module.TrainerCallback)
    original = trainer.train

    @functools.wraps(original)
    def train(self: Any, *args: Any, **kwargs: Any) -> Any:
        ours = callback(self)
        self.add_callback(ours)
        self.args.push_to_hub = False
        try:
            return original(self, *args, **kwargs)
        finally:
            self.remove_callback(ours)

    trainer.train = train
    for name in ("evaluate", "_save_checkpoint"):
        if hasattr(trainer, name):
            setattr(trainer, name, _timed(getattr(trainer, name), name))


#: What a fit under way took apart from its steps: name → seconds of each call.
_APART: dict[str, list[float]] = {}


def _timed(original: Any, name: str) -> Any:
    @functools.wraps(original)
    def timed(*args: Any, **kwargs: Any) -> Any:
        begun_s = time.monotonic()
        result = original(*args, **kwargs)
        _APART.setdefault(name, []).append(time.monotonic() - begun_s)
        return result

    return timed


def _transformers_callback(base: Any) -> Any:
    class TrialCallback(base):  # type: ignore[misc]
        """Ends epochs and the training early, and asks for what comes every so many steps."""

        def __init__(self, trainer: Any) -> None:
            self._trainer = trainer
            self._fit: Fit | None = None
            self._asked = False

        def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            epochs = int(state.num_train_epochs)
            if epochs > state.max_steps:  # a stream: only the number of steps is known
                epochs = 1
            self._fit = Fit("Trainer", epochs, math.ceil(state.max_steps / max(1, epochs)))
            _APART.clear()
            for each in self._trainer.callback_handler.callbacks:
                if "EarlyStopping" in type(each).__name__:
                    CLOCK.notes["early_stopping"] = True

        def on_epoch_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            if self._fit is not None:
                self._fit.begin_epoch()

        def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            if self._fit is None:
                return
            if self._fit.end_step():
                control.should_epoch_stop = True
                if not self._asked:
                    # Once each, so that it is seen to work and timed.
                    self._asked = True
                    control.should_evaluate |= _strategy(args.eval_strategy) == "steps"
                    control.should_save |= _strategy(args.save_strategy) == "steps"

        def on_epoch_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            if self._fit is not None:
                self._fit.end_steps()
                if self._fit.has_enough_epochs(with_this=True):
                    control.should_training_stop = True

        def on_train_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            if self._fit is not None:
                self._fit.end()
                for name, strategy, every in (
                    ("evaluate", args.eval_strategy, args.eval_steps),
                    ("_save_checkpoint", args.save_strategy, args.save_steps),
                ):
                    took = _APART.get(name)
                    if took and _strategy(strategy) == "steps" and every:
                        every = every if every >= 1 else every * state.max_steps
                        self._leave_out(int(state.max_steps / every) - len(took), took)
                self._fit = None

        def _leave_out(self, num: int, took: list[float]) -> None:
            if num > 0:
                CLOCK.save(num, (min(took), sum(took) / len(took), max(took)))

    return TrialCallback


def _strategy(value: Any) -> str:
    return str(getattr(value, "value", value))


# ── Keras ────────────────────────────────────────────────────────────────────────────────────


def hook_keras(module: Any) -> None:
    """Hooks ``keras.src.models.model``."""
    model = module.Model
    original = model.fit
    signature = inspect.signature(original)

    @functools.wraps(original)
    def fit(self: Any, *args: Any, **kwargs: Any) -> Any:
        keras: Any = import_module("keras")
        asked = signature.bind(self, *args, **kwargs)
        asked.apply_defaults()
        num = int(asked.arguments["epochs"]) - int(asked.arguments.get("initial_epoch") or 0)
        given = asked.arguments.get("callbacks")
        listed = list(given) if isinstance(given, (list, tuple)) else [given] if given else []
        if isinstance(given, keras.callbacks.CallbackList):
            return original(self, *args, **kwargs)
        for each in listed:
            if "EarlyStopping" in type(each).__name__:
                CLOCK.notes["early_stopping"] = True
        # The first of them: what another decides at an epoch's end comes after us, and stands.
        asked.arguments["callbacks"] = [_keras_callback(keras.callbacks.Callback, num), *listed]
        return original(*asked.args, **asked.kwargs)

    model.fit = fit


def _keras_callback(base: Any, num_epochs: int) -> Any:
    class TrialCallback(base):  # type: ignore[misc]
        """Ends epochs and the training early."""

        _fit: Fit | None = None

        def on_train_begin(self, logs: Any = None) -> None:
            self._fit = Fit("fit", num_epochs, self.params.get("steps"))

        def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
            if self._fit is not None:
                self._fit.begin_epoch()

        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            if self._fit is not None and self._fit.end_step():
                self.model.stop_training = True

        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            if self._fit is not None:
                if self._fit.cut:
                    self.model.stop_training = False
                self._fit.end_epoch()
                if self._fit.has_enough_epochs():
                    self.model.stop_training = True

        def on_train_end(self, logs: Any = None) -> None:
            if self._fit is not None:
                self._fit.end()

    return TrialCallback()


# ── Lightning ────────────────────────────────────────────────────────────────────────────────


def hook_lightning(module: Any) -> None:
    """Hooks ``lightning.pytorch.trainer.trainer`` (``pytorch_lightning``'s is the same)."""
    trainer = module.Trainer
    original = trainer.fit
    base = module.Callback

    @functools.wraps(original)
    def fit(self: Any, *args: Any, **kwargs: Any) -> Any:
        for each in self.callbacks:
            if "EarlyStopping" in type(each).__name__:
                CLOCK.notes["early_stopping"] = True
        self.callbacks.insert(0, _lightning_callback(base))
        return original(self, *args, **kwargs)

    trainer.fit = fit


def _lightning_callback(base: Any) -> Any:
    class TrialCallback(base):  # type: ignore[misc]
        """Ends epochs and the training early."""

        _fit: Fit | None = None

        def on_train_start(self, trainer: Any, pl_module: Any) -> None:
            batches, epochs = trainer.num_training_batches, trainer.max_epochs
            if isinstance(batches, int) and isinstance(epochs, int) and epochs > 0:
                self._fit = Fit("Trainer", epochs, batches)

        def on_train_epoch_start(self, trainer: Any, pl_module: Any) -> None:
            if self._fit is not None:
                self._fit.begin_epoch()
                # The number of batches was lowered to end the last epoch early.
                trainer.fit_loop._max_batches = trainer.fit_loop.max_batches

        def on_train_batch_end(
            self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int
        ) -> None:
            if self._fit is not None and self._fit.end_step():
                trainer.fit_loop.max_batches = batch_idx + 1

        def on_train_epoch_end(self, trainer: Any, pl_module: Any) -> None:
            if self._fit is not None and self._fit.has_enough_epochs(with_this=True):
                trainer.should_stop = True

        def on_train_end(self, trainer: Any, pl_module: Any) -> None:
            if self._fit is not None:
                self._fit.end()

    return TrialCallback()


# ── the Hub ──────────────────────────────────────────────────────────────────────────────────


def hook_hub(module: Any) -> None:
    """Hooks ``huggingface_hub.hf_api``: a trial uploads nothing."""

    def commit(self: Any, given: Any) -> Any:
        url = f"{address(self, given)}/commit/{'0' * 40}"
        return module.CommitInfo(url, str(given.get("commit_message") or ""), "", "0" * 40)

    def address(self: Any, given: Any) -> str:
        kind = given.get("repo_type") or "model"
        folder = "" if kind == "model" else kind + "s/"
        return f"{self.endpoint}/{folder}{given.get('repo_id') or 'nobody/nothing'}"

    answers: dict[str, Callable[[Any, Any], Any]] = {
        **dict.fromkeys(_COMMITS, commit),
        **dict.fromkeys(_CHANGES, lambda self, given: None),
        "create_repo": lambda self, given: module.RepoUrl(address(self, given)),
    }
    for name, answer in answers.items():
        original = getattr(module.HfApi, name, None)
        if original is not None:
            setattr(module.HfApi, name, _unsent(original, answer))
            if hasattr(module, name):  # a function of the module is a method bound long before
                setattr(module, name, getattr(module.api, name))


_COMMITS = ("create_commit", "upload_file", "upload_folder",
            "delete_file", "delete_files", "delete_folder")  # fmt: skip
_CHANGES = ("upload_large_folder", "preupload_lfs_files", "delete_repo", "move_repo",
            "create_branch", "delete_branch", "create_tag", "delete_tag", "super_squash_history",
            "update_repo_settings")  # fmt: skip


def _unsent(original: Any, answer: Callable[[Any, Any], Any]) -> Any:
    signature = inspect.signature(original)

    @functools.wraps(original)
    def unsent(self: Any, *args: Any, **kwargs: Any) -> Any:
        CLOCK.notes["not_pushed"] = True
        if "OVERNIGHT_TRIAL_DIR" in os.environ:
            CLOCK.report_to(os.environ["OVERNIGHT_TRIAL_DIR"])
        given = signature.bind(self, *args, **kwargs).arguments
        said = answer(self, {**given, **given.get("kwargs", {})})
        if not given.get("run_as_future"):
            return said
        future: Any = Future()
        future.set_result(said)
        return future

    return unsent


# ── torch ────────────────────────────────────────────────────────────────────────────────────


def hook_autograd(module: Any) -> None:
    """Hooks ``torch.autograd``: a loop that asks for gradients trains."""
    original = module.backward

    @functools.wraps(original)
    def backward(*args: Any, **kwargs: Any) -> Any:
        CLOCK.backwards += 1
        return original(*args, **kwargs)

    module.backward = backward
