"""The folds of a run: which are trained, for how long, and which of them become members."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from overnight.ledger import job
from overnight.ledger.format import EPOCH
from overnight.ledger.paths import RunPaths
from overnight.ledger.reader import current, rows
from overnight.messages import say
from overnight.tasks.base import Engine, FitContext, FitResult, Scope, Task
from overnight.trainer import checkpoints, kept, members
from overnight.trainer.console import Console
from overnight.trainer.kept import Fold, Plan
from overnight.trainer.ledger import RunLedger
from overnight.trainer.stop import SignalStop, Stopped, TimedStop
from overnight.trainer.until import Planner
from overnight.trainer.work import Work

if TYPE_CHECKING:
    from overnight.spec import Spec


class FoldLedger(RunLedger):
    """A fold's pen, which lets the planner know how long its epochs take.

    Args:
        planner: Who is told, and says how many folds there are going to be.
        work: What was asked for.
        scopes_done: Fits that are over.
        before: Epochs that the search counts for.
    """

    def __init__(self, planner: Planner, work: Work, *, scopes_done: int, before: float) -> None:
        super().__init__(scopes_done=scopes_done, epochs=work.epochs, before=before)
        self._planner, self._work = planner, work
        self._trained_at = time.monotonic()

    def metrics(
        self,
        values: Mapping[str, float],
        *,
        step: int | None = None,
        epoch: int | None = None,
        scope: Scope = Scope(),  # noqa: B008  (frozen)
        summary: bool = False,
    ) -> None:
        """One row."""
        super().metrics(values, step=step, epoch=epoch, scope=scope, summary=summary)
        if epoch is not None and step is None and "time_s" in values:
            self._planner.epoch(values["time_s"], time.monotonic() - self._trained_at)

    def progress(self, done: float, total: float, *, unit: str = "step") -> None:
        """How far the fit is: told after each step, so the last of an epoch ends its training."""
        self._trained_at = time.monotonic()
        self.total_scopes = max(self.scopes_done + 1, self._planner.num_folds)
        self.after = self._work.predict(self.total_scopes)
        super().progress(done, total, unit=unit)


class Folds:
    """Trains what is left of a run's folds.

    Args:
        run: The run.
        console: Where its lines go.
        stop: Whether it was asked to end.
        spec: What they train with.
        plan: The data and its folds.
        planner: Says whether another is begun, and when one is cut.
        before: Epochs that the search counts for in the run's progress.
    """

    def __init__(
        self,
        run: RunPaths,
        console: Console,
        stop: SignalStop,
        spec: Spec,
        plan: Plan,
        planner: Planner,
        *,
        before: float = 0.0,
    ) -> None:
        self.run, self.console, self.stop, self.spec, self.plan = run, console, stop, spec, plan
        self._planner, self._work, self._before = planner, Work.of(spec, plan), before
        self._engines: tuple[Task, Engine] | None = None

    def fit_all(self) -> list[Fold]:
        """The members, in the folds' order; at least one.

        Raises:
            Stopped: It was asked to end.
        """
        plan, scopes = self.plan, self.plan.scopes
        done = [fold for scope in scopes if (fold := kept.kept(self.run, scope)) is not None]
        over = {fold.scope for fold in done}
        for fold in done:
            self.console.line("FOLD", f"{fold.scope.name} is over since an earlier attempt")
            whole = fold.ended != "deadline"
            member = fold in self._members(done)
            self._planner.known(self._epochs_s(fold.scope), whole=whole, member=member)
        total = len(scopes)
        if len(done) == total:
            # Else nothing would ever be seen of an attempt that has only the end left to do.
            trained, predict = self._before + self._work.folds(total), self._work.predict(total)
            RunLedger(before=trained, after=predict).progress(0, 0, unit="epoch")
        left = [scope for scope in scopes if scope not in over]
        # What an earlier attempt has begun is nearest to its end.
        left.sort(key=lambda scope: checkpoints.newest(kept.folder(self.run, scope)) is None)
        for scope in left:
            self.stop.leave_if_asked()
            if not self._planner.begins(epochs_done=len(self._epochs_s(scope))):
                self.console.line("FOLD", f"{scope.name} is left out: no time")
                break
            done.append(self._fit(scope, done))
        found = self._members(done)
        return sorted(found, key=lambda fold: plan.scopes.index(fold.scope))

    def _fit(self, scope: Scope, done: Sequence[Fold]) -> Fold:
        task, engine = self._engine()
        ctx = self._context(scope, scopes_done=len(done))
        self.console.line(
            "FOLD",
            f"{scope.name}, {len(done) + 1} of {len(self.plan.scopes)}:"
            f" {len(ctx.train):,} to train on, {len(ctx.valid):,} to validate on",
        )
        self._describe(task, ctx)
        job.event("PhaseStarted", phase="fit", fold=scope.fold)
        result = engine.fit(task, ctx)
        if result.ended not in ("finished", "early_stopped", "deadline"):
            raise Stopped
        fold = self._over(ctx, result)
        is_member = fold in self._members([*done, fold])
        if not is_member:
            self.console.line("FOLD", f"{scope.name} is no member: below every whole fold")
        self._planner.ends(whole=result.ended != "deadline", member=is_member)
        return fold

    def _members(self, done: Sequence[Fold]) -> list[Fold]:
        """Whole folds, and of those that were cut by the time any that is no worse than they are.

        Where none is whole, what was cut is all there is.
        """
        info = self.spec.info
        sign = 1.0 if info.greater_is_better else -1.0
        whole = [fold for fold in done if fold.ended != "deadline"]
        if not whole:
            return list(done)
        least = min(sign * fold.metrics[info.main_metric] for fold in whole)
        return [
            fold for fold in done if fold in whole or sign * fold.metrics[info.main_metric] >= least
        ]

    def _epochs_s(self, scope: Scope) -> list[float]:
        """Seconds of the epochs that the ledger has of a fold."""
        return [
            float(row.values.get("time_s", 0.0))
            for row in current(rows(self.run.dir))
            if row.kind == EPOCH and row.scope.fold == scope.fold and row.scope.trial is None
        ]  # fmt: skip

    def _engine(self) -> tuple[Task, Engine]:
        """The parts that import torch, at the last moment: the data is known to be fit by now."""
        if self._engines is None:
            module, _, name = self.spec.info.task.partition(":")
            task: Task = getattr(import_module(module), name)()
            self.stop.leave_if_asked()
            from overnight.trainer.engine import HfEngine

            assert self.spec.info.engine == "hf", self.spec.info.engine
            self.stop.leave_if_asked()
            self._engines = task, HfEngine(self.console)
        return self._engines

    def _context(self, scope: Scope, *, scopes_done: int) -> FitContext:
        plan, examples = self.plan, self.plan.index.examples
        folder = kept.folder(self.run, scope)
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        sorted_by = list(zip(examples, plan.fold_of, strict=True))
        return FitContext(
            folder=folder,
            spec=self.spec,
            scope=scope,
            train=[example for example, fold in sorted_by if fold != scope.fold],
            valid=[example for example, fold in sorted_by if fold == scope.fold],
            labels=plan.index.labels,
            checkpoint=checkpoints.newest(folder),
            ledger=FoldLedger(
                self._planner, self._work, scopes_done=scopes_done, before=self._before
            ),
            stop=TimedStop(self.stop, self._planner.is_time_up),
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
        members.point(link, result.member)
        source = result.member.relative_to(self.run.dir).as_posix()
        self.console.copy(source, link.relative_to(self.run.dir).as_posix())
        return kept.keep(self.run, scope, result)
