"""A search whose values come from a W&B server: a real sweep, this machine its agent.

The trials are kept as those of any search, in its journal and folders, so that all that shows and
resumes one does; but for a trial's values the server is asked. A trial's run there is the one that
the server named, written by the mirror as any other. ``sweep.json`` says which sweep it is; what
the server has told and no trial has begun yet lies in ``sweep/``: a kill loses nothing of it.
"""

from __future__ import annotations

import math
import os
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from overnight.errors import UserError
from overnight.ledger import files, job
from overnight.ledger.paths import RunPaths
from overnight.messages import say
from overnight.outbox import track
from overnight.tasks.base import Json
from overnight.trackers.about import default_project
from overnight.trackers.base import Retry
from overnight.trackers.key import key_of
from overnight.tuning import ask
from overnight.tuning.ask import Settings
from overnight.tuning.space import Choice, Distribution, points
from overnight.tuning.study import Ended, Study, Trial
from overnight.tuning.wandb_server import BEAT_S, Agent, Server, Sweep

#: A server that is away is asked again after this long, and twice as long each time, up to that.
_AGAIN_S, _AGAIN_AT_MOST_S = 5.0, 60.0
#: How long the next values wait for the mirror: those of a Bayesian search follow from results.
_ARRIVES_WITHIN_S = 120.0
#: Of W&B's hyperband: how much fewer go on at each rung, as Optuna's.
_ETA = 3
_LOOK_S = 0.5
_OVER = "over"
#: A list that W&B's page still draws.
_MOST_POINTS = 1000


def create(
    entry: Mapping[str, Any] | None,
    settings: Settings,
    *,
    metric: str,
    name: str,
    root: str,
    env: Mapping[str, str],
) -> Sweep:
    """Makes the sweep on the server.

    Args:
        entry: The run's W&B, as ``track.json`` has it; None: it goes to none.
        settings: What is asked of the search.
        metric: The number that counts, as a trial logs it.
        name: Of the sweep.
        root: The run's root.
        env: Where the key may stand.

    Raises:
        UserError: There is no key, the run is kept in files, or the server does not answer, or
            will not.
    """
    if entry is None or entry.get("mode") == "offline":
        raise UserError("track.sweep_offline", where="--backend wandb")
    server = _server(str(entry["address"]), env)
    project = str(entry.get("project") or default_project(root))
    try:
        return server.create(
            as_sweep(settings, metric), name=name, project=project, entity=entry.get("entity")
        )
    except Retry as error:
        raise UserError("track.sweep_away", where=server.address, why=error.why) from error


def keep(run: RunPaths, sweep: Sweep) -> None:
    """Makes a run's search that of a sweep, before it begins.

    Raises:
        OSError: The run's folder cannot be written.
    """
    files.replace(_path(run), files.to_json({"schema": 1, **asdict(sweep)}))


def kept(run: RunPaths) -> Sweep | None:
    """The sweep of a run, if it has one."""
    said = files.read_json(_path(run))
    if said is None:
        return None
    return Sweep(*(str(said.get(key) or "") for key in ("id", "entity", "project", "address")))


def _path(run: RunPaths) -> str:
    return run.at("sweep.json")


def _server(address: str, env: Mapping[str, str]) -> Server:
    key = key_of(env, address)
    if not key:
        raise UserError("track.sweep_no_key", where=address)
    return Server(address, key)


def open_search(
    run: RunPaths,
    settings: Settings,
    *,
    metric: str = "",
    stop: Callable[[], object] = lambda: None,
) -> Study:
    """The search of a run: a sweep's, where it has one, else Optuna's.

    Args:
        run: The search's.
        settings: What is asked of it.
        metric: The number that counts.
        stop: Whether this process has to end: then no more is asked for.

    Raises:
        UserError: It is a sweep's, and there is no key.
    """
    sweep = kept(run)
    return Study(run, settings) if sweep is None else WandbSweep(run, settings, sweep, metric, stop)


class WandbSweep(Study):
    """The search. Its first call of ``ask`` registers this process with the server.

    Args:
        run: The search's.
        settings: What is asked of it.
        sweep: Which one it is there.
        metric: The number that counts.
        stop: Whether this process has to end.
    """

    def __init__(
        self,
        run: RunPaths,
        settings: Settings,
        sweep: Sweep,
        metric: str,
        stop: Callable[[], object],
    ) -> None:
        # The server cuts short by Hyperband itself; a median of ours it knows nothing of.
        if settings.pruner == "hyperband":
            settings = replace(settings, pruner="none")
        super().__init__(run, settings)
        self.sweep, self._metric, self._stop = sweep, metric, stop
        self._agent: Agent | None = None
        self._told_away = False
        self._last: RunPaths | None = None

    # ── what the server is asked ─────────────────────────────────────────────────────────────

    def ask(self) -> Trial | None:
        """The next trial; waits while the server is away, until this process is asked to stop.

        Raises:
            UserError: The server will not have us.
        """
        with self._journal.alone():
            trial = self._left_by_others(self._frozen())
        if trial is None:
            self._wait_for_result()
            trial = self._new()
        if trial is not None:
            self._at_work().begin(_run_id(trial))
        return trial

    def _new(self) -> Trial | None:
        wait_s = 0.0
        while not self._pause(wait_s) and not self._is_late():
            with self._journal.alone():
                number = len(self._frozen())
                if number >= self.num_trials:
                    return None
                if (told := self._oldest_told()) is not None:
                    path, said = told
                    made = self._begin(number, said["values"], id=said["run_id"],
                                       sweep=self.sweep.id)  # fmt: skip
                    files.discard(path)
                    return made
            wait_s = self._hear(wait_s)
        return None

    def _hear(self, waited_s: float) -> float:
        """Asks the server once; in how many seconds it is asked again."""
        try:
            told = self._at_work().next()
        except Retry as error:
            if not self._told_away:
                self._told_away = True
                sys.stderr.write(say("track.sweep_waits", why=error.why) + "\n")
            return min(max(_AGAIN_S, 2 * waited_s), _AGAIN_AT_MOST_S)
        self._told_away = False
        if told is not None:
            run_id, args = told
            given = {name: _value(name, args, each) for name, each in self.settings.space.items()}
            # As any search has them: a number that is drawn has few digits.
            values = ask.from_params(self.settings, ask.to_params(self.settings, given))
            said = {"run_id": run_id, "values": values}
            self._write_down(f"{time.time_ns()}-{run_id}.json", said)
            return 0.0
        if self._at_work().is_over:
            self._write_down(_OVER, {})
            return 0.0
        return BEAT_S

    def _at_work(self) -> Agent:
        if self._agent is None:
            self._agent = Agent(_server(self.sweep.address, os.environ), self.sweep)
        return self._agent

    @property
    def _folder(self) -> Path:
        return Path(self.run.at("sweep"))

    def _write_down(self, name: str, said: Mapping[str, Any]) -> None:
        self._folder.mkdir(mode=0o700, exist_ok=True)
        files.replace(str(self._folder / name), files.to_json(said))

    def _oldest_told(self) -> tuple[str, Mapping[str, Any]] | None:
        """What the server has told some process of ours and none has begun: it may be dead."""
        for path in sorted(self._folder.glob("*.json")):
            said = files.read_json(str(path)) or {}
            if self._has_begun(str(said.get("run_id"))):
                files.discard(str(path))  # killed between the two
            else:
                return str(path), said
        return None

    def _has_begun(self, run_id: str) -> bool:
        return any(run_id == each.options.get("id")
                   for number in range(len(self._frozen()))
                   for each in track.wanted(self._child(number)))  # fmt: skip

    def _pause(self, seconds: float) -> bool:
        """Waits; whether this process is to stop."""
        until = time.monotonic() + seconds
        while not self._stop() and (left_s := until - time.monotonic()) > 0:
            time.sleep(min(left_s, _LOOK_S))
        return bool(self._stop())

    def _wait_for_result(self) -> None:
        """Until the mirror has taken the last trial there, where the next one follows from it."""
        last, self._last = self._last, None
        if last is None or self.settings.method != "bayes":
            return
        until = time.monotonic() + _ARRIVES_WITHIN_S
        while not track.is_done(last, "wandb") and time.monotonic() < until:
            if self._pause(_LOOK_S) or self._is_late():
                return

    # ── what a search does ───────────────────────────────────────────────────────────────────

    @property
    def num_trials(self) -> int:
        """As of any search; once the server has no more, those that have begun."""
        if (self._folder / _OVER).exists():
            return min(super().num_trials, len(self._frozen()))
        return super().num_trials

    def report(self, trial: Trial, step: int, value: float, *, time_s: float | None = None) -> bool:
        """Notes how good a trial is so far; False: it, or the server, has it end."""
        goes_on = super().report(trial, step, value, time_s=time_s)
        mine = job.current()
        if self._metric and mine is not None and mine.run == trial.run:
            # The server goes by a number of this name, and a trial of folds has none.
            job.log_to(mine, {self._metric: value}, epoch=step)
        return goes_on and not self.is_stopped(trial)

    def is_stopped(self, trial: Trial) -> bool:
        """Whether the server, or a person there, has stopped a trial."""
        return _run_id(trial) in self._at_work().stopped

    def tell(self, trial: Trial, state: Ended, value: float | None = None, **more: Any) -> None:
        """Ends a trial, for good."""
        if state == "pruned" and self.is_stopped(trial):
            more["why"] = say("track.sweep_stopped")
        super().tell(trial, state, value, **more)
        self._at_work().end()
        self._last = trial.run

    def give_back(self, trial: Trial, *, time_s: float = 0.0) -> None:
        """Leaves a trial to whoever comes next."""
        super().give_back(trial, time_s=time_s)
        self._at_work().end()


def _run_id(trial: Trial) -> str:
    found = [str(each.options.get("id") or "") for each in track.wanted(trial.run)]
    return next(filter(None, found), "")


def _value(name: str, args: Mapping[str, Any], within: Distribution) -> Json:
    """A value of the server's as one of the space.

    Raises:
        UserError: It is none.
    """
    said = args.get(name)
    value: Json = said.get("value") if isinstance(said, dict) else None
    if isinstance(within, Choice):
        for each in within.values:
            if each == value and isinstance(each, bool) == isinstance(value, bool):
                return each
    elif isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value):
        near = 1e-6 * max(abs(within.low), abs(within.high))
        if within.low - near <= value <= within.high + near:
            return min(within.high, max(within.low, value))
    raise UserError("track.sweep_value", where=name, value=str(value)[:100])


def as_sweep(settings: Settings, metric: str) -> dict[str, Any]:
    """A search as W&B's sweeps have it.

    Source: https://docs.wandb.ai/models/sweeps/sweep-config-keys
    """
    found: dict[str, Any] = {
        "method": settings.method,
        "metric": {"name": metric, "goal": settings.goal},
        "parameters": {
            name: _parameter(each, is_grid=settings.method == "grid")
            for name, each in settings.space.items()
        },
        "run_cap": settings.most,
    }
    if settings.pruner == "hyperband":
        found["early_terminate"] = {"type": "hyperband", "min_iter": 1, "eta": _ETA}
    return found


def _parameter(each: Distribution, *, is_grid: bool) -> dict[str, Any]:
    if isinstance(each, Choice):
        return {"values": list(each.values)}
    if is_grid:
        return {"values": points(each, _MOST_POINTS)}
    number = int if each.is_int else float
    found: dict[str, Any] = {"min": number(each.low), "max": number(each.high)}
    step = each.step or (1 if each.is_int else None)
    if step is None:
        return {**found, "distribution": "log_uniform_values" if each.log else "uniform"}
    if each.is_int and step == 1 and not each.log:
        return {**found, "distribution": "int_uniform"}
    if each.low % step:  # its steps are counted from 0, ours from the lower end
        return {"values": points(each, _MOST_POINTS)}
    word = "q_log_uniform_values" if each.log else "q_uniform"
    return {**found, "q": number(step), "distribution": word}
