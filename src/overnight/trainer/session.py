"""One training from its spec to its model folder: what stands in the log stands here, in order.

What is over is never done again: a fold that an earlier attempt finished is taken as it is, one
that it has begun goes on from its newest whole checkpoint.
"""

from __future__ import annotations

import logging
import os
import platform
import shutil
import sys
import time
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from overnight.errors import UserError, UserErrors
from overnight.ledger import job, media
from overnight.ledger.paths import RunPaths
from overnight.ledger.reader import Tail
from overnight.messages import say
from overnight.tasks import folds
from overnight.tasks.base import DataIndex, Problem, Scope, TaskInfo
from overnight.trainer import kept, results, told_plan
from overnight.trainer.console import Console, counted, number
from overnight.trainer.fits import Folds
from overnight.trainer.kept import Plan
from overnight.trainer.ledger import RunLedger
from overnight.trainer.spec_of_run import paths, read_spec
from overnight.trainer.stop import SignalStop
from overnight.trainer.tune import tune
from overnight.trainer.until import Planner
from overnight.trainer.work import Work
from overnight.tuning import lines

if TYPE_CHECKING:
    from overnight.spec import Spec

#: A line of a long look through the data, at most so often.
_TELL_EVERY_S = 10.0


class Session:
    """One attempt of a training run.

    Args:
        run: Its folder, with config.yaml.
        console: Where its lines go.
        stop: Whether it was asked to end.
    """

    def __init__(self, run: RunPaths, console: Console, stop: SignalStop) -> None:
        self.run, self.console, self.stop = run, console, stop
        self.begun_s = time.monotonic()

    def train(self) -> None:
        """Does what is left to do, and leaves what a run leaves.

        Raises:
            UserError, UserErrors: What keeps it from training, told before the first step.
            Stopped: It was asked to end; another attempt goes on from here.
        """
        self._boot()
        spec = self._configured()
        plan = self._look_at(spec, spec.info)
        planner = told_plan.planner(self.run, self.console, spec, plan)
        self.stop.leave_if_asked()
        searched = 0.0
        if "tune" in spec.stages:
            spec, searched = self._tune(spec, plan, planner)
        if "train" not in spec.stages:
            self._done("searched")
            return
        self.stop.leave_if_asked()
        fits = Folds(self.run, self.console, self.stop, spec, plan, planner, before=searched)
        done = fits.fit_all()
        self.stop.leave_if_asked()
        metrics = results.leave(self.run, self.console, spec, plan, done)
        if "predict" in spec.stages:
            self._predict(spec, plan, before=searched, num_members=len(done))
        said = "  ".join(f"{name} {number(name, value)}" for name, value in metrics.items())
        few = f"{len(done)} of " if len(done) < len(plan.scopes) else ""
        self._done(few + counted(len(plan.scopes), "fold"), said)

    # ── before the first step ────────────────────────────────────────────────────────────────

    def _boot(self) -> None:
        from overnight import __version__

        host = f"Python {platform.python_version()}, {os.cpu_count()} cores, pid {os.getpid()}"
        attempt = int(os.environ.get("OVERNIGHT_ATTEMPT", "0") or 0)
        again = f", attempt {attempt + 1}" if attempt else ""
        self.console.line("BOOT", f"overnight {__version__}, {host}{again}")

    def _configured(self) -> Spec:
        spec = read_spec(self.run)
        logging.basicConfig(
            level=spec.output.log_level.upper(),
            format="[%(levelname)s] %(name)s: %(message)s",
            stream=sys.stdout,
        )
        logging.getLogger("huggingface_hub").propagate = False  # it prints its lines itself
        train: Any = spec.train
        data: Any = spec.data
        model: Any = spec.model
        batch = f"{train.batch_size}"
        batch += f" x {train.accumulate} accumulated" if train.accumulate > 1 else ""
        batch += f" x {train.devices} devices" if train.devices != 1 else ""
        num_fits = 1 if data.valid_fold != "all" else data.folds
        self.console.line(
            "CFG",
            f"{spec.project.name}: task {spec.task}, model {model.name}, {train.epochs} epochs,"
            f" batch {batch}, lr {train.lr:g}, {num_fits} of {data.folds} folds,"
            f" seed {spec.project.seed}",
        )
        job.event(
            "Configured",
            task=spec.task,
            model=model.name,
            epochs=train.epochs,
            folds=num_fits,
            seed=spec.project.seed,
            early_stopping=train.early_stopping is not None or None,
        )
        return spec

    def _look_at(self, spec: Spec, info: TaskInfo) -> Plan:
        data: Any = spec.data
        for key, path in paths(spec):
            if not path.exists():  # moved away since the run was started
                raise UserError("train.no_such_path", where=key, path=path)
            self.console.path(key, path)
        reader = _named(info.reader)()
        index: DataIndex = reader.scan(data, progress=self._progress_of_look())
        self._tell(index.problems)
        self.console.line(
            "DATA",
            f"{len(index.examples):,} examples, {len(index.labels):,} classes,"
            f" {len(index.unlabelled):,} without a label, fingerprint {index.fingerprint[:12]}",
        )
        seed = spec.project.seed
        fold_of = folds.split(index.examples, folds=data.folds, seed=seed, stratify=data.stratify)
        to_train = folds.to_train(fold_of, data.valid_fold)
        self._tell(folds.gaps(index.examples, fold_of, to_train, index.labels))
        scopes = [Scope(fold) for fold in to_train]
        kept.check_plan(self.run, index.fingerprint, fold_of)
        self._show_data(spec, info, index)
        return Plan(index, fold_of, scopes)

    def _tell(self, problems: Sequence[Problem]) -> None:
        """Says what the data has; raises UserErrors where no training can begin with it."""
        for problem in problems:
            self.console.problem(problem)
        self.stop.leave_if_asked()
        stops = [problem for problem in problems if problem.stops]
        if stops:
            raise UserErrors([problem.error for problem in stops])

    def _progress_of_look(self) -> Any:
        told = time.monotonic()

        def tell(done: int, total: int) -> None:
            nonlocal told
            self.stop.leave_if_asked()
            if time.monotonic() - told > _TELL_EVERY_S:
                told = time.monotonic()
                self.console.line("DATA", f"looked at {done:,} of {total:,}")

        return tell

    def _show_data(self, spec: Spec, info: TaskInfo, index: DataIndex) -> None:
        """The dataset card, once: a resumed attempt has found the same data."""
        folder = Path(self.run.media) / "dataset"
        name = f"{spec.project.name}-data"
        if not (folder / "card.json").exists():
            self._card(info, index, folder)
            for picture in sorted(folder.glob("*.png")):
                media.figure(picture, f"dataset/{picture.stem}")
        sha256 = media.artifact(
            folder,
            name,
            "dataset",
            ("latest",),
            metadata={"fingerprint": index.fingerprint, "num_examples": len(index.examples)},
        )
        path = folder.relative_to(self.run.dir).as_posix()
        job.event(
            "DatasetUsed",
            name=name,
            fingerprint=index.fingerprint,
            num_examples=len(index.examples),
            num_classes=len(index.labels),
            path=path,
            sha256=sha256,
        )
        self.console.artifact(path, "dataset card")

    def _card(self, info: TaskInfo, index: DataIndex, folder: Path) -> None:
        card = import_module(info.reader.partition(":")[0].rpartition(".")[0] + ".card")
        aside = folder.with_name(f"dataset.{os.getpid()}.tmp")
        try:
            card.write(index, aside)
            shutil.rmtree(folder, ignore_errors=True)
            aside.rename(folder)
        finally:
            shutil.rmtree(aside, ignore_errors=True)

    # ── the other stages ─────────────────────────────────────────────────────────────────────

    def _tune(self, spec: Spec, plan: Plan, planner: Planner) -> tuple[Spec, float]:
        """Searches; the spec the folds train with, and epochs that the search counts for.

        Raises:
            UserError: Every trial has failed.
            Stopped: It was asked to end.
        """
        tuned = tune(self.run, self.console, spec, plan, self.stop, limits=planner.limits)
        planner.searched(Work.of(tuned.spec, plan), tuned.epoch_s, tuned.num_trials)
        if "train" in spec.stages:
            what = f"with {lines.values(tuned.values)}" if tuned.values else "as the config says"
            self.console.line("CFG", f"the folds train {what}")
        if not any(each.get("_event") == "Tuned" for each in Tail(self.run.dir, "job").read()):
            job.event("Tuned", values=tuned.values, value=tuned.value, trial=tuned.trial)
        return tuned.spec, tuned.epochs

    def _predict(self, spec: Spec, plan: Plan, *, before: float, num_members: int) -> None:
        """Predicts the test images with the model that was made.

        Raises:
            Stopped: It was asked to end.
        """
        if not plan.index.unlabelled:
            self.console.line("PREDICT", f"! {say('train.no_test')}")
            return
        self.stop.leave_if_asked()
        from overnight.trainer import infer

        work = Work.of(spec, plan)
        trained, whole = before + work.folds(num_members), work.predict(num_members)
        job.event("PhaseStarted", phase="predict")

        def progress(done: int, total: int) -> None:
            part = whole * done / max(1, total)
            job.progress(trained + part, trained + whole, unit="epoch")

        infer.after_training(self.run, self.console, spec, self.stop, progress=progress)

    def _done(self, what: str, said: str = "") -> None:
        """The last line, and how long all of it took."""
        total_s = results.earlier_s(self.run) + time.monotonic() - self.begun_s
        RunLedger().metrics({"total_time_s": round(total_s, 1)}, summary=True)
        self.console.line("DONE", f"{what} in {total_s:.1f} s" + (f": {said}" if said else ""))


def _named(place: str) -> Any:
    module, _, name = place.partition(":")
    return getattr(import_module(module), name)
