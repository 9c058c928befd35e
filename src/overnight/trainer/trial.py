"""One trial of a search: a training of some folds in its own folder, that may be cut short."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from overnight import spec as specs
from overnight.errors import OvernightError
from overnight.ledger import files
from overnight.ledger.format import EPOCH
from overnight.ledger.reader import current, rows
from overnight.spec import Spec
from overnight.tasks.base import FitContext, Scope, Task
from overnight.trainer import checkpoints, search
from overnight.trainer.console import Console
from overnight.trainer.kept import Plan
from overnight.trainer.ledger import RunLedger
from overnight.trainer.stop import SignalStop, Stopped
from overnight.tuning.study import Study, Trial

#: How old the time of the search's end may be that a trial goes by.
_LOOK_S = 1.0


class Cut(Exception):  # noqa: N818  (nothing went wrong)
    """A trial is not worth going on, or there is no time for it."""

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why


@dataclass(slots=True)
class TrialStop:
    """Whether a trial has to end: by a signal, or because the search's time is over.

    Args:
        stop: The process's.
        search: Which knows when it has to be over.
    """

    stop: SignalStop
    search: Study
    _looked_at: float = -math.inf
    _ends_us: int | None = None

    def asked(self) -> Any:
        """See tasks.base.Stop."""
        if (asked := self.stop.asked()) is not None:
            return asked
        now = time.monotonic()
        if now - self._looked_at >= _LOOK_S:
            self._looked_at, self._ends_us = now, self.search.ends_us
        is_late = self._ends_us is not None and time.time_ns() // 1000 >= self._ends_us
        return "deadline" if is_late else None


class TrialLedger(RunLedger):
    """A trial's own ledger: that of a training, whose epochs' rows it remembers.

    Args:
        **asked: As of RunLedger.
    """

    def __init__(self, **asked: Any) -> None:
        super().__init__(**asked)
        self.row: Mapping[str, float] = {}

    def metrics(
        self,
        values: Mapping[str, float],
        *,
        step: int | None = None,
        epoch: int | None = None,
        scope: Scope = Scope(),  # noqa: B008  (frozen)
        summary: bool = False,
    ) -> None:
        """One row, of the fold alone: the ledger is the trial's already."""
        if epoch is not None:
            self.row = dict(values)
        fold = Scope(scope.fold)
        super().metrics(values, step=step, epoch=epoch, scope=fold, summary=summary)


class TrialFits:
    """Trains what a trial asks for.

    Args:
        spec: Of the search.
        plan: The data and its folds.
        stop: Whether this process has to end.
        console: Where its lines go.
        asks: Who is told how good it is so far.
    """

    def __init__(
        self, spec: Spec, plan: Plan, stop: SignalStop, console: Console, asks: Study
    ) -> None:
        self.spec, self.plan, self.console = spec, plan, console
        self._search, self._stop = asks, stop
        self._scopes = search.scopes(spec, plan.scopes)
        self._metric, self._goal = search.metric(spec), search.goal(spec)

    def value(self, trial: Trial) -> float:
        """Trains its folds; the mean of their best epochs.

        Raises:
            Cut: It was cut short.
            Stopped: The process was asked to end.
            Exception: Whatever it dies of.
        """
        spec = search.trial_spec(self.spec, trial.values)
        specs.write(spec, trial.run.config_yaml)
        best: list[float] = []
        for at, scope in enumerate(self._scopes):
            self._stop.leave_if_asked()
            best.append(self._fold(trial, spec, scope, best, at))
        return sum(best) / len(best)

    def _fold(self, trial: Trial, spec: Spec, scope: Scope, before: list[float], at: int) -> float:
        folder = Path(trial.run.ckpt) / scope.name
        over = folder / "over.json"
        if (kept := files.read_json(str(over))) is not None:
            return float(kept["value"])
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        train: Any = spec.train
        numbers = self._earlier(trial, scope)
        ledger = TrialLedger(total_scopes=len(self._scopes), scopes_done=at, epochs=train.epochs)

        def report(epoch: int, _main: float) -> bool:
            numbers[epoch] = self._number(ledger.row)
            # An attempt before this one may have come further than its checkpoint.
            so_far = {each: number for each, number in numbers.items() if each <= epoch}
            value = sum([*before, self._best(so_far)]) / (at + 1)
            step = at * train.epochs + epoch
            return self._search.report(trial, step, value, time_s=ledger.row.get("time_s"))

        examples = list(zip(self.plan.index.examples, self.plan.fold_of, strict=True))
        task, engine = self._engine()
        result = engine.fit(
            task,
            FitContext(
                folder=folder,
                spec=spec,
                scope=Scope(scope.fold, trial.number, "tune"),
                train=[example for example, fold in examples if fold != scope.fold],
                valid=[example for example, fold in examples if fold == scope.fold],
                labels=self.plan.index.labels,
                checkpoint=checkpoints.newest(folder),
                ledger=ledger,
                stop=TrialStop(self._stop, self._search),
                report=report,
                total_scopes=len(self._scopes),
                scopes_done=at,
            ),
        )
        if result.ended == "signal":
            raise Stopped
        if result.ended in ("pruned", "deadline"):
            raise Cut(
                search.tuning_of(self.spec).pruner if result.ended == "pruned" else "deadline"
            )
        value = self._best(numbers)
        if len(self._scopes) > 1:
            files.replace(str(over), files.to_json({"value": value}))
        return value

    def _engine(self) -> tuple[Task, Any]:
        from overnight.trainer.engine import HfEngine

        module, _, name = self.spec.info.task.partition(":")
        task: Task = getattr(import_module(module), name)()
        return task, HfEngine(self.console, keeps_best=False)

    def _earlier(self, trial: Trial, scope: Scope) -> dict[int, float]:
        """Epoch → the number that counts, of earlier attempts at the fold."""
        if not trial.attempt:
            return {}
        return {
            row.epoch: self._number(row.values)
            for row in current(rows(trial.run.dir))
            if row.kind == EPOCH and row.epoch is not None and row.scope.fold == scope.fold
        }

    def _number(self, row: Mapping[str, Any]) -> float:
        if self._metric not in row:
            known = ", ".join(sorted(row))
            raise OvernightError("tune.no_metric", where="tuning.metric", name=self._metric,
                                 known=known)  # fmt: skip
        return float(row[self._metric])

    def _best(self, numbers: Mapping[int, float]) -> float:
        finite = [number for number in numbers.values() if math.isfinite(number)]
        if not finite:
            return math.nan
        return max(finite) if self._goal == "maximize" else min(finite)
