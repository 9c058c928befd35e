"""The search before a training: workers run trials, the session sees to them and counts.

What is known of a search lies in ``study.jsonl`` and in its trials' folders, so that this process
and each worker may be killed at any moment. Its result is ``tuned.json``: where that is, the search
is over. Free of torch.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from overnight.errors import UserError
from overnight.ledger import files, job
from overnight.ledger.paths import RunPaths
from overnight.ledger.reader import Tail
from overnight.messages import say
from overnight.spec.override import with_values
from overnight.tasks.base import Json, Scope
from overnight.trainer import search, work
from overnight.trainer.console import Console
from overnight.trainer.crew import Crew
from overnight.trainer.kept import Plan
from overnight.trainer.ledger import RunLedger
from overnight.trainer.optimized import write_optimized
from overnight.trainer.pace import Seen
from overnight.trainer.stop import SignalStop, Stopped
from overnight.trainer.until import Limits
from overnight.tuning import lines
from overnight.tuning.study import Study, Told
from overnight.tuning.told import Announcer, leave
from overnight.tuning.wandb_sweep import open_search

if TYPE_CHECKING:
    from overnight.spec import Spec

_SCHEMA = "overnight.tuned/1"
_LOOK_S = 0.1
#: How old what the planner knows may be, and how far the run is.
_PLAN_EVERY_S, _PROGRESS_EVERY_S = 5.0, 1.0


@dataclass(frozen=True, slots=True)
class Tuned:
    """What a search has found.

    Attributes:
        values: Of the best trial, by full key; empty where none is complete.
        value: Its own.
        trial: Its number.
        num_trials: That were begun.
        num_complete: Of them.
        num_failed: Of them.
        epoch_s: Mean seconds of an epoch of the best trial; None: none was timed.
        spec: The spec with the best values.
        epochs: That the search counts for in the run's progress.
    """

    values: dict[str, Json]
    value: float | None
    trial: int | None
    num_trials: int
    num_complete: int
    num_failed: int
    epoch_s: float | None
    spec: Spec
    epochs: float


def tune(
    run: RunPaths,
    console: Console,
    spec: Spec,
    plan: Plan,
    stop: SignalStop,
    *,
    limits: Callable[[Sequence[Seen]], Limits] | None = None,
) -> Tuned:
    """Searches, or goes on searching, until all trials are over.

    Args:
        run: The run.
        console: Where its lines go.
        spec: What was asked for, with ``tuning``.
        plan: The data and its folds.
        stop: Whether it was asked to end.
        limits: Asked again and again, with what was measured, how far the search may go.

    Raises:
        UserError: Every trial has failed.
        UserErrors: The space cannot be searched.
        Stopped: It was asked to end; another attempt goes on from here.
    """
    if (known := _kept(run, spec)) is not None:
        console.line("TUNE", f"the search is over since an earlier attempt: {_won(spec, known)}")
        return known
    settings, metric = search.settings(spec, len(plan.scopes)), search.metric(spec)
    study = open_search(run, settings, metric=metric)
    _Session(run, console, spec, plan, study, limits).run_all(stop)
    tuned = _found(spec, study, plan)
    if tuned.num_failed and tuned.num_failed == tuned.num_trials:
        first = next(each for each in study.trials() if each.state == "failed")
        console.line("TUNE", f"all {tuned.num_trials} trials have failed")
        raise UserError("tune.all_failed", where=f"children/trial{first.number:04d}",
                        num=tuned.num_trials, why=first.why or "?")  # fmt: skip
    leave(run, study, metric)
    if tuned.value is not None:
        counts = {"num_trials": tuned.num_trials, "num_complete": tuned.num_complete}
        RunLedger().metrics(
            {metric: tuned.value, **counts}, scope=Scope(stage="tune"), summary=True
        )
    console.line("TUNE", _won(spec, tuned))
    if "train" not in spec.stages and tuned.values:
        path = write_optimized(run, spec, tuned.values)
        console.artifact(str(path), "the config with the best values")
        job.event("ArtifactSaved", path=str(path), name="optimized", kind="config")
        console.line("TUNE", say("tune.next", path=path))
    _keep(run, tuned)  # last: whoever dies before does this end again
    return tuned


class _Session:
    """The search's end of a run: workers, events, progress, the time."""

    def __init__(
        self,
        run: RunPaths,
        console: Console,
        spec: Spec,
        plan: Plan,
        study: Study,
        limits: Callable[[Sequence[Seen]], Limits] | None,
    ) -> None:
        self.run, self.console, self.spec, self.plan, self.study = run, console, spec, plan, study
        self._limits = limits
        #: What the workers know; an attempt before this one may have told them something else.
        self._told_limits: Limits | None = None
        self._announcer = Announcer(run, study)
        self._each = float(search.epochs(spec) * len(search.scopes(spec, plan.scopes)))
        self._after = work.after_search(spec, plan)
        self._tails: dict[int, Tail] = {}
        self._within: dict[int, float] = {}

    def run_all(self, stop: SignalStop) -> None:
        """Until the search is over.

        Raises:
            Stopped: It was asked to end; all workers have left.
        """
        settings, asked = self.study.settings, search.tuning_of(self.spec)
        at_a_time = f", {asked.workers} at a time" if asked.workers > 1 else ""
        self.console.line(
            "TUNE",
            f"{settings.most} trials, {asked.method}, pruner {asked.pruner}, {settings.goal}"
            f" {search.metric(self.spec)}, {len(settings.space)} parameters,"
            f" {self._each:g} epochs each{at_a_time}",
        )
        job.event("PhaseStarted", phase="tune")
        if begun := len(self.study.trials()):
            self.console.line("TUNE", f"{begun} trials were begun in earlier attempts")
        self._plan()
        crew = Crew(self.run, self.console, self.spec, self.plan, self.study)
        planned_at = told_at = time.monotonic()
        num_measured = 0
        try:
            while True:
                if stop.asked() is not None:
                    crew.stop()
                    raise Stopped
                trials = self._announcer.announce()
                now = time.monotonic()
                measured = sum(each.epochs for each in trials)
                if now - planned_at > _PLAN_EVERY_S or measured > num_measured:
                    planned_at, num_measured = now, measured
                    self._plan()
                if now - told_at > _PROGRESS_EVERY_S:
                    told_at = now
                    self._progress(trials)
                why = self.study.hopeless()
                if why is not None:
                    self.console.line("TUNE", f"! {say('tune.hopeless', why=why)}")
                    crew.stop()
                    break
                self.study.end_late()
                crew.see_to(asked.workers)
                if not crew.num_alive and self.study.is_over():
                    break
                time.sleep(_LOOK_S)
        finally:
            crew.end()
            self._progress(self._announcer.announce())

    def _plan(self) -> None:
        """Asks how far the search may go, and tells the workers."""
        if self._limits is None:
            return
        seen = [
            Seen(each.number, each.state, each.epochs, each.epoch_s) for each in self.study.trials()
        ]
        found = self._limits(seen)
        if found != self._told_limits:
            self._told_limits = found
            said = {"n_trials": found.n_trials, "ends_us": found.ends_us}
            files.replace(self.run.at("tuning.json"), files.to_json(said), sync=False)

    def _progress(self, trials: Sequence[Told]) -> None:
        done = 0.0
        for each in trials:
            if each.state != "running":
                done += self._each
                self._within.pop(each.number, None)
            else:
                done += min(self._each, max(float(each.epochs), self._of_trial(each.number)))
        whole = max(self.study.num_trials, len(trials)) * self._each
        job.progress(done, whole + self._after, unit="epoch")

    def _of_trial(self, number: int) -> float:
        """How many epochs a trial says it has done, fractions and all."""
        folder = self.run.child(f"trial{number:04d}").dir
        tail = self._tails.setdefault(number, Tail(folder, "job"))
        for record in tail.read():
            if record.get("_event") == "Progress" and isinstance(record.get("done"), (int, float)):
                self._within[number] = float(record["done"])
        return self._within.get(number, 0.0)


def _found(spec: Spec, study: Study, plan: Plan) -> Tuned:
    trials, best = study.trials(), study.best()
    each = search.epochs(spec) * len(search.scopes(spec, plan.scopes))
    values = {} if best is None else dict(best.values)
    return Tuned(
        values=values,
        value=None if best is None else best.value,
        trial=None if best is None else best.number,
        num_trials=len(trials),
        num_complete=sum(trial.state == "complete" for trial in trials),
        num_failed=sum(trial.state == "failed" for trial in trials),
        epoch_s=None if best is None else best.epoch_s,
        spec=with_values(spec, values) if values else spec,
        epochs=float(len(trials) * each),
    )


def _won(spec: Spec, tuned: Tuned) -> str:
    num = f"{tuned.num_complete} of {tuned.num_trials} trials complete"
    if tuned.value is None:
        return f"{num}: {say('tune.none')}"
    return (
        f"{num}; best is trial {tuned.trial}, {search.metric(spec)} {tuned.value:.4f}:"
        f" {lines.values(tuned.values)}"
    )


def _keep(run: RunPaths, tuned: Tuned) -> None:
    names = ("values", "value", "trial", "num_trials", "num_complete", "num_failed", "epoch_s",
             "epochs")  # fmt: skip
    said: dict[str, Any] = {"schema": _SCHEMA, **{name: getattr(tuned, name) for name in names}}
    files.replace(run.at("tuned.json"), files.to_json(said))


def _kept(run: RunPaths, spec: Spec) -> Tuned | None:
    """What an earlier attempt has found; None: its search is not over."""
    said = files.read_json(run.at("tuned.json"))
    if said is None or said.pop("schema", None) != _SCHEMA:
        return None
    values = said["values"]
    return Tuned(**said, spec=with_values(spec, values) if values else spec)
