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
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from overnight.errors import UserError, UserErrors
from overnight.ledger import job, media
from overnight.ledger.paths import RunPaths
from overnight.messages import say
from overnight.tasks import folds
from overnight.tasks.base import (
    DataIndex,
    Engine,
    FitContext,
    FitResult,
    Scope,
    Task,
    TaskInfo,
)
from overnight.trainer import kept, model_folder, results
from overnight.trainer.console import Console
from overnight.trainer.kept import Fold, Plan
from overnight.trainer.ledger import RunLedger
from overnight.trainer.spec_of_run import paths, read_spec
from overnight.trainer.stop import SignalStop, Stopped

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
        """Trains what is left to train, and leaves what a run leaves.

        Raises:
            UserError, UserErrors: What keeps it from training, told before the first step.
            Stopped: It was asked to end; another attempt goes on from here.
        """
        self._boot()
        spec = self._configured()
        info = spec.info
        plan = self._look_at(spec, info)
        self.stop.leave_if_asked()
        done = self._fit_all(spec, info, plan)
        self.stop.leave_if_asked()
        results.leave(self.run, self.console, spec, plan, done, begun_s=self.begun_s)

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
        for problem in index.problems:
            self.console.problem(problem)
        self.stop.leave_if_asked()
        stops = [problem for problem in index.problems if problem.stops]
        if stops:
            raise UserErrors([problem.error for problem in stops])
        self.console.line(
            "DATA",
            f"{len(index.examples):,} examples, {len(index.labels):,} classes,"
            f" {len(index.unlabelled):,} without a label, fingerprint {index.fingerprint[:12]}",
        )
        seed = spec.project.seed
        fold_of = folds.split(index.examples, folds=data.folds, seed=seed, stratify=data.stratify)
        scopes = [Scope(fold) for fold in folds.to_train(fold_of, data.valid_fold)]
        kept.check_plan(self.run, index.fingerprint, fold_of)
        self._show_data(spec, info, index)
        return Plan(index, fold_of, scopes)

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

    # ── the fits ─────────────────────────────────────────────────────────────────────────────

    def _fit_all(self, spec: Spec, info: TaskInfo, plan: Plan) -> list[Fold]:
        done = [fold for scope in plan.scopes if (fold := kept.kept(self.run, scope)) is not None]
        over = {fold.scope for fold in done}
        for fold in done:
            self.console.line("FOLD", f"{fold.scope.name} is over since an earlier attempt")
        total = len(plan.scopes)
        if len(done) == total:
            # Else nothing would ever be seen of an attempt that has only the end left to do.
            RunLedger(total_scopes=total, scopes_done=total - 1).progress(1, 1, unit="epoch")
            return done
        task, engine = self._engine(info)
        for scope in plan.scopes:
            if scope in over:
                continue
            self.stop.leave_if_asked()
            ctx = self._context(spec, plan, scope, scopes_done=len(done))
            self.console.line(
                "FOLD",
                f"{scope.name}, {len(done) + 1} of {total}: {len(ctx.train):,} to train on,"
                f" {len(ctx.valid):,} to validate on",
            )
            self._describe(task, ctx)
            job.event("PhaseStarted", phase="fit", fold=scope.fold)
            result = engine.fit(task, ctx)
            if result.ended not in ("finished", "early_stopped"):
                raise Stopped
            done.append(self._over(ctx, result))
        return sorted(done, key=lambda fold: plan.scopes.index(fold.scope))

    def _engine(self, info: TaskInfo) -> tuple[Task, Engine]:
        """The parts that import torch, at the last moment: the data is known to be fit by now."""
        task: Task = _named(info.task)()
        self.stop.leave_if_asked()
        from overnight.trainer.engine import HfEngine

        assert info.engine == "hf", info.engine
        self.stop.leave_if_asked()
        return task, HfEngine(self.console)

    def _context(self, spec: Spec, plan: Plan, scope: Scope, *, scopes_done: int) -> FitContext:
        from overnight.trainer import checkpoints

        train: Any = spec.train
        examples = plan.index.examples
        folder = kept.folder(self.run, scope)
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        sorted_by = list(zip(examples, plan.fold_of, strict=True))
        return FitContext(
            folder=folder,
            spec=spec,
            scope=scope,
            train=[example for example, fold in sorted_by if fold != scope.fold],
            valid=[example for example, fold in sorted_by if fold == scope.fold],
            labels=plan.index.labels,
            checkpoint=checkpoints.newest(folder),
            ledger=RunLedger(
                total_scopes=len(plan.scopes), scopes_done=scopes_done, epochs=train.epochs
            ),
            stop=self.stop,
            report=lambda _epoch, _metric: True,
            total_scopes=len(plan.scopes),
            scopes_done=scopes_done,
        )

    def _describe(self, task: Task, ctx: FitContext) -> None:
        """The model in numbers, once a run."""
        path = Path(self.run.at("architecture.txt"))
        if path.exists():
            return
        from overnight.trainer import summary

        found = summary.of(task, ctx)
        self.console.line("MODEL", f"{ctx.spec.model.name}, a {found.line}")
        if found.why:
            self.console.line("MODEL", f"operations cannot be counted: {found.why}")
        counts = {
            "num_parameters": found.num_parameters,
            "num_trainable_parameters": found.num_trainable,
        }
        if found.flops is not None:
            counts["flops"] = found.flops
        ctx.ledger.metrics(counts, summary=True)
        aside = path.with_suffix(f".{os.getpid()}.tmp")
        aside.write_text(found.text, encoding="utf-8")
        aside.replace(path)
        self.console.artifact(path.name, "layers, shapes, parameters")
        job.event("ArtifactSaved", path=path.name, name="architecture", kind="summary")

    def _over(self, ctx: FitContext, result: FitResult) -> Fold:
        """A fold is over: its numbers in the ledger, its best where people look for it.

        That it is over is written last: whoever dies before does all of this again.
        """
        values = {name: value for name, value in result.metrics.items() if name != "epoch"}
        scope = ctx.scope
        ctx.ledger.metrics(values, scope=scope, summary=True)
        if num := self.console.num_unsaved[scope.name]:
            fields = {"scope": scope.name, "num": num, "epoch": int(result.metrics.get("epoch", 0))}
            self.console.line("CKPT", f"! {say('train.best_unsaved', **fields)}")
        link = Path(self.run.ckpt) / f"best_{scope.name}"
        model_folder.point(link, result.member)
        source = result.member.relative_to(self.run.dir).as_posix()
        self.console.copy(source, link.relative_to(self.run.dir).as_posix())
        return kept.keep(self.run, scope, result)


def _named(place: str) -> Any:
    module, _, name = place.partition(":")
    return getattr(import_module(module), name)
