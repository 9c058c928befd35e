"""A search: which trials there are, what each tries, how it ended. Optuna's journal keeps it.

Several processes may hold the same search at once, and each may be killed at any moment. A trial
belongs to whoever has the claim in its folder; one whose holder is gone is taken over under the
same number, with the same values. Free of torch.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import wraps
from typing import TYPE_CHECKING, Any, Concatenate, Literal, ParamSpec, TypeVar

from overnight.ledger import claims, files, own_run
from overnight.ledger.paths import RunPaths
from overnight.outbox import track
from overnight.redact import redact
from overnight.tasks.base import Json
from overnight.tuning import ask
from overnight.tuning.ask import Settings
from overnight.tuning.space import Choice

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial

P = ParamSpec("P")
Answer = TypeVar("Answer")
State = Literal["running", "complete", "pruned", "failed"]
Ended = Literal["complete", "pruned", "failed"]
_STATES: dict[str, State] = {
    "RUNNING": "running", "COMPLETE": "complete", "PRUNED": "pruned", "FAIL": "failed",
}  # fmt: skip
_OUTCOMES = {"complete": "finished", "pruned": "stopped", "failed": "failed"}
_CLAIM = "trial"
#: So many first trials that all fail for the same reason: the next ones would, too.
_HOPELESS = 3
#: A trial during which so many processes died is not tried again.
MOST_DEATHS = 2
_TRACEBACK_CHARS = 4_000


@dataclass(frozen=True, slots=True)
class Trial:
    """A trial that this process has to run.

    Attributes:
        number: From 0.
        values: What it tries, by name.
        run: Its folder, a run within the search's.
        attempt: How often it was taken up before.
        claim: The number of the claim on it.
    """

    number: int
    values: Mapping[str, Json]
    run: RunPaths
    attempt: int
    claim: int


@dataclass(frozen=True, slots=True)
class Told:
    """What is known of a trial.

    Attributes:
        steps: Step (epochs so far, mostly) → the value it reported.
        epochs: Steps that are over.
        time_s: How long it took, over all attempts; None while it runs.
        epoch_s: Mean of its steps; None: none was timed.
        why: What ended it, where it did not end well.
        deaths: Processes that died with it.
    """

    number: int
    state: State
    value: float | None
    values: Mapping[str, Json]
    steps: Mapping[int, float] = field(default_factory=dict)
    epochs: int = 0
    time_s: float | None = None
    epoch_s: float | None = None
    why: str | None = None
    deaths: int = 0


def _in_turn(
    method: Callable[Concatenate[Study, P], Answer],
) -> Callable[Concatenate[Study, P], Answer]:
    """One thread of this process after the other, through the journal's lock and then Optuna's."""

    @wraps(method)
    def wrapped(study: Study, /, *args: P.args, **more: P.kwargs) -> Answer:
        with study._journal.thread:
            return method(study, *args, **more)

    return wrapped


class Study:
    """A search in a run's folder; made where there is none yet. Threads may share it.

    Args:
        run: The search's.
        settings: What is asked of it. The space must be the one it began with.
    """

    def __init__(self, run: RunPaths, settings: Settings) -> None:
        import optuna

        from overnight.tuning.journal import Journal

        self.run, self.settings = run, settings
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self._journal = Journal(run.at("study.jsonl"))
        with self._journal.alone():
            self._study = optuna.create_study(
                storage=optuna.storages.JournalStorage(self._journal),
                study_name=ask.NAME,
                pruner=ask.pruner(settings),
                direction=settings.goal,
                load_if_exists=True,
            )
        self._study_id = self._study._study_id

    # ── a trial's life ───────────────────────────────────────────────────────────────────────

    @_in_turn
    def ask(self) -> Trial | None:
        """The next trial for this process; None: none is left to begin or to take over."""
        with self._journal.alone():
            trials = self._frozen()
            if (taken := self._left_by_others(trials)) is not None:
                return taken
            number = len(trials)
            if number >= self.num_trials or self._is_late():
                return None
            return self._begin(number, ask.draw(self.settings, trials, number))

    def _left_by_others(self, trials: Sequence[FrozenTrial]) -> Trial | None:
        for trial in trials:
            if trial.state.name == "RUNNING" and (taken := self._take(trial)) is not None:
                return taken
        return None

    @_in_turn
    def end_late(self) -> None:
        """Where the time is over: ends the trials of processes that are gone."""
        if self._is_late():
            with self._journal.alone():
                self._left_by_others(self._frozen())

    def _begin(self, number: int, values: Mapping[str, Json], **wandb: str) -> Trial:
        # The folder first: a trial without one could be taken by nobody.
        child = own_run.make_child(self.run, number, values)
        track.take_along(child, **wandb)
        claim = claims.take(child.claims, _CLAIM, force=True)
        assert claim is not None, "its number is ours alone"
        self._add(values)
        return Trial(number, values, child, claim - 1, claim)

    def _add(self, values: Mapping[str, Json]) -> None:
        import optuna

        self._study.add_trial(
            optuna.trial.create_trial(
                state=optuna.trial.TrialState.RUNNING,
                params=ask.to_params(self.settings, values),
                distributions=ask.distributions(self.settings),
            )
        )

    def _take(self, trial: FrozenTrial) -> Trial | None:
        """A trial under way, if nobody has it; what has ended since is noted as ended."""
        child = self._child(trial.number)
        # Processes of other machines were left behind when the run was taken over.
        claim = claims.take(child.claims, _CLAIM, force=True)
        if claim is None:
            return None
        values = ask.from_params(self.settings, trial.params)
        taken = Trial(trial.number, values, child, claim - 1, claim)
        end = files.read_json(child.exit_json)
        if end is not None and end.get("state") in _OUTCOMES:
            self._note(taken, end)  # killed between the two
            return None
        if self._is_late():
            self.tell(taken, "pruned", time_s=0.0, why="deadline")
            return None
        own_run.make_child(self.run, trial.number, values)
        track.take_along(child)
        return taken

    @_in_turn
    def report(self, trial: Trial, step: int, value: float, *, time_s: float | None = None) -> bool:
        """Notes how good a trial is so far; False: it is not worth going on.

        Args:
            trial: One of this process.
            step: From 1: its epochs so far, over all its folds.
            value: The search's.
            time_s: How long the step took.
        """
        storage, trial_id = self._study._storage, self._id(trial.number)
        if time_s is not None:
            storage.set_trial_user_attr(trial_id, f"time{step}", round(time_s, 3))
        storage.set_trial_intermediate_value(trial_id, step, value)
        return not self._study.pruner.prune(self._study, storage.get_trial(trial_id))

    @_in_turn
    def tell(
        self,
        trial: Trial,
        state: Ended,
        value: float | None = None,
        *,
        time_s: float,
        epochs: int | None = None,
        why: str | None = None,
        traceback: str | None = None,
        code: int | None = None,
        signal: int | None = None,
    ) -> None:
        """Ends a trial, for good.

        Args:
            trial: Of this process.
            state: How it ended.
            value: Of one that is complete, a number; of a pruned one the last report counts.
            time_s: How long this attempt took.
            epochs: Steps that are over; None: the last one reported.
            why: What ended it, in a line, where it is not complete.
            traceback: Of the exception that did.
            code: Of a process of its own.
            signal: Likewise.
        """
        if state == "complete" and (value is None or not math.isfinite(value)):
            state, value, why = "failed", None, why or f"its value is {value}"
        told = self._told(self._frozen()[trial.number])
        if state == "pruned":
            value = told.steps[max(told.steps)] if told.steps else None
        before_s = sum(self._attempts(trial.number))
        end: dict[str, Any] = {
            "attempt": trial.attempt,
            "code": code if code is not None or signal is not None else int(state == "failed"),
            "signal": signal,
            "ran_s": round(before_s + time_s, 3),
            "ended_us": time.time_ns() // 1000,
            "outcome": _OUTCOMES[state],
            "state": state,
            "value": value if state != "failed" else None,
            "epochs": told.epochs if epochs is None else epochs,
            "why": None if why is None else redact(why),
        }
        if traceback is not None:
            end["traceback"] = redact(traceback)[-_TRACEBACK_CHARS:]
        files.replace(trial.run.exit_json, files.to_json(end))
        self._note(trial, end)

    def _note(self, trial: Trial, end: Mapping[str, Any]) -> None:
        """Tells Optuna what a trial's own folder says already."""
        import optuna

        storage, trial_id = self._study._storage, self._id(trial.number)
        said = {"time_s": end.get("ran_s"), "epochs": end.get("epochs"), "why": end.get("why")}
        storage.set_trial_user_attr(trial_id, "end", said)
        states = optuna.trial.TrialState
        state = {"complete": states.COMPLETE, "pruned": states.PRUNED, "failed": states.FAIL}
        value = end["value"] if end["state"] == "complete" else None
        self._study.tell(trial.number, value, state=state[end["state"]])
        claims.leave(trial.run.claims, _CLAIM, trial.claim)

    @_in_turn
    def give_back(self, trial: Trial, *, time_s: float = 0.0) -> None:
        """Leaves a trial to whoever comes next: this process was asked to stop."""
        self._study._storage.set_trial_user_attr(
            self._id(trial.number), f"attempt{trial.attempt}", round(time_s, 3)
        )
        claims.leave(trial.run.claims, _CLAIM, trial.claim)

    @_in_turn
    def died(self, pid: int, why: str) -> int | None:
        """A process of this search died; gives the trial it had. The second time that one failed.

        Args:
            pid: Of the process, which is gone.
            why: What it died of, in a line.
        """
        with self._journal.alone():
            for each in self.trials():
                child = self._child(each.number)
                held = claims.holder(child.claims, _CLAIM)[1] if each.state == "running" else None
                if held is None or held.pid != pid:
                    continue
                deaths = each.deaths + 1
                self._study._storage.set_trial_user_attr(self._id(each.number), "deaths", deaths)
                if deaths >= MOST_DEATHS and (claim := claims.take(child.claims, _CLAIM)):
                    trial = Trial(each.number, each.values, child, claim - 1, claim)
                    self.tell(trial, "failed", time_s=0.0, why=why)
                return each.number
        return None

    # ── what is known ────────────────────────────────────────────────────────────────────────

    @property
    def num_trials(self) -> int:
        """How many trials are to begin, as of now: a planner may have made them fewer."""
        said = (files.read_json(self.run.at("tuning.json")) or {}).get("n_trials")
        return min(self.settings.most, said) if isinstance(said, int) else self.settings.most

    @property
    def ends_us(self) -> int | None:
        """When the search has to be over, by the wall clock; None: when it is done."""
        said = (files.read_json(self.run.at("tuning.json")) or {}).get("ends_us")
        return said if isinstance(said, int) else None

    def _is_late(self) -> bool:
        return (ends_us := self.ends_us) is not None and time.time_ns() // 1000 >= ends_us

    def is_over(self) -> bool:
        """Whether no trial is left to begin, and none is under way."""
        trials = self.trials()
        begun = len(trials) >= self.num_trials or self._is_late()
        return begun and all(each.state != "running" for each in trials)

    @_in_turn
    def num_left(self) -> int:
        """Trials that are to begin, or were left by a process that is gone."""
        trials = self._frozen()
        fresh = 0 if self._is_late() else max(0, self.num_trials - len(trials))
        left = 0
        for trial in trials:
            if trial.state.name == "RUNNING":
                holder = claims.holder(self._child(trial.number).claims, _CLAIM)[1]
                left += holder is None or holder.look() != "alive"
        return fresh + left

    @_in_turn
    def trials(self) -> list[Told]:
        """All of them, by number."""
        return [self._told(trial) for trial in self._frozen()]

    def best(self) -> Told | None:
        """The complete trial with the best value; the earlier of two."""
        done = [each for each in self.trials() if each.state == "complete"]
        sign = 1 if self.settings.goal == "minimize" else -1
        return min(done, key=lambda each: sign * (each.value or 0.0), default=None)

    def hopeless(self) -> str | None:
        """Why the search need not go on: its first trials all failed, for the same reason."""
        ended = [each for each in self.trials() if each.state != "running"][:_HOPELESS]
        reasons = {each.why for each in ended if each.state == "failed"}
        alike = len(ended) == _HOPELESS and len(reasons) == 1
        return reasons.pop() if alike and all(each.state == "failed" for each in ended) else None

    @_in_turn
    def importance(self) -> dict[str, float]:
        """How much of the value each parameter decides, the first one the most; empty: unknown."""
        import optuna

        done = [trial for trial in self._frozen() if trial.state.name == "COMPLETE"]
        if len({trial.value for trial in done}) < 2:
            return {}
        found = optuna.importance.get_param_importances(self._study)
        varied = {
            name
            for name, each in self.settings.space.items()
            if not isinstance(each, Choice) or len(each.values) > 1
        }
        return {name: float(share) for name, share in found.items() if name in varied}

    def _frozen(self) -> list[FrozenTrial]:
        return self._study.get_trials(deepcopy=False)

    def _told(self, trial: FrozenTrial) -> Told:
        said = trial.user_attrs.get("end") or {}
        times = [t for name, t in trial.user_attrs.items() if name.startswith("time")]
        steps = dict(sorted(trial.intermediate_values.items()))
        return Told(
            number=trial.number,
            state=_STATES[trial.state.name],
            value=trial.value if trial.state.name != "FAIL" else None,
            values=ask.from_params(self.settings, trial.params),
            steps=steps,
            epochs=int(said["epochs"]) if said.get("epochs") is not None else max(steps, default=0),
            time_s=said.get("time_s"),
            epoch_s=sum(times) / len(times) if times else None,
            why=said.get("why"),
            deaths=int(trial.user_attrs.get("deaths", 0)),
        )

    def _attempts(self, number: int) -> list[float]:
        attrs = self._frozen()[number].user_attrs
        return [float(t) for name, t in attrs.items() if name.startswith("attempt")]

    def _child(self, number: int) -> RunPaths:
        return self.run.child(f"trial{number:04d}")

    def _id(self, number: int) -> int:
        return self._frozen()[number]._trial_id

    def __getstate__(self) -> Any:
        raise TypeError(f"process {os.getpid()} opens the search itself")
