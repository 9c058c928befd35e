"""The plan of a run with ``until``, as it is told: a line of the log, an event of the ledger."""

from __future__ import annotations

import math
import time
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from overnight.errors import UserError
from overnight.ledger import job
from overnight.ledger.paths import RunPaths
from overnight.messages import say
from overnight.trainer import checkpoints, kept
from overnight.trainer.console import Console, counted
from overnight.trainer.kept import Plan
from overnight.trainer.until import Planned, Planner
from overnight.trainer.work import Work

if TYPE_CHECKING:
    from overnight.spec import Spec


def planner(run: RunPaths, console: Console, spec: Spec, plan: Plan) -> Planner:
    """Who decides what fits, and tells of it.

    Raises:
        UserError: The time is over, and there is no fold to end with.
    """
    work = Work.of(spec, plan)
    if spec.until is None:
        return Planner(work)
    until_s = datetime.fromisoformat(spec.until).timestamp()
    if time.time() >= until_s and work.num_folds and not _has_begun(run, plan):
        moment = f"{datetime.fromtimestamp(until_s).astimezone():%Y-%m-%d %H:%M %Z}"
        raise UserError("until.over", where=f"until: {spec.until}", moment=moment)
    return Planner(work, until_s, tell=_Teller(console, work, until_s).tell)


def _has_begun(run: RunPaths, plan: Plan) -> bool:
    """Whether a fold is over, or has something to be ended with."""
    folders = [kept.folder(run, scope) for scope in plan.scopes]
    return any(
        Path(folder, "result.json").exists() or checkpoints.newest(folder) for folder in folders
    )


class _Teller:
    """Tells each plan.

    Args:
        console: Where its lines go.
        work: What was asked for.
        until_s: When the run has to be over.
    """

    def __init__(self, console: Console, work: Work, until_s: float) -> None:
        self._console, self._work, self._until_s = console, work, until_s

    def tell(self, planned: Planned) -> None:
        """``[PLAN]`` and ``Planned``."""
        work, search_s = self._work, planned.search_ends_s
        parts = []
        if work.num_trials:
            trials = f"{planned.num_trials} of {counted(work.num_trials, 'trial')}"
            parts.append(trials + (f" until {_clock(search_s)}" if search_s is not None else ""))
        if work.num_folds:
            parts.append(f"{planned.num_folds} of {counted(work.num_folds, 'fold')}")
        over = f"over by {_clock(planned.ends_s)}"
        self._console.line(
            "PLAN", f"until {_clock(self._until_s)}: {', '.join([*parts, over])} ({planned.why})"
        )
        if planned.why == "too_late":
            left_s = max(0, math.floor(self._until_s - time.time()))
            span = f"{left_s // 60}:{left_s % 60:02}"
            self._console.line("PLAN", f"! {say('until.short', span=span)}")
        job.event(
            "Planned",
            until_us=int(self._until_s * 1e6),
            num_trials=planned.num_trials,
            trials_asked=work.num_trials,
            num_folds=planned.num_folds,
            folds_asked=work.num_folds,
            search_ends_us=None if search_s is None else int(search_s * 1e6),
            ends_us=int(planned.ends_s * 1e6),
            why=planned.why,
        )


def _clock(seconds: float) -> str:
    """``07:00:00``; another day's with its date."""
    moment = datetime.fromtimestamp(seconds).astimezone()
    is_today = moment.date() == datetime.now().astimezone().date()
    return f"{moment:%H:%M:%S}" if is_today else f"{moment:%Y-%m-%d %H:%M:%S}"
