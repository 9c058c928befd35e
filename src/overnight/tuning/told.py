"""What a search tells the ledger of its run: events of its trials, and what it shows at its end."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from overnight.ledger import job, media
from overnight.ledger.paths import RunPaths
from overnight.ledger.reader import read
from overnight.tasks.base import Json
from overnight.tuning.study import Study, Told

_STARTED, _ENDED = "TrialStarted", "TrialEnded"


class Announcer:
    """Says of each trial once that it began and how it ended, whatever was killed in between.

    One process of a search has one.

    Args:
        run: The search's run.
        study: Its trials.
    """

    def __init__(self, run: RunPaths, study: Study) -> None:
        self._study = study
        self._said: dict[str, set[int]] = {_STARTED: set(), _ENDED: set()}
        for record in read(run.dir, "job").records:
            if record.get("_event") in self._said:
                self._said[record["_event"]].add(record["trial"])

    def announce(self) -> list[Told]:
        """Says what is new; gives all trials."""
        trials = self._study.trials()
        for each in trials:
            if each.number not in self._said[_STARTED]:
                self._said[_STARTED].add(each.number)
                job.event(_STARTED, trial=each.number, values=dict(each.values))
            if each.state != "running" and each.number not in self._said[_ENDED]:
                self._said[_ENDED].add(each.number)
                job.event(_ENDED, **_fields(each))
        return trials


def _fields(told: Told) -> dict[str, Any]:
    return {
        "trial": told.number,
        "state": told.state,
        "value": told.value,
        "values": dict(told.values),
        "epochs": told.epochs,
        "time_s": told.time_s,
        "why": told.why,
    }


def leave(run: RunPaths, study: Study, metric: str) -> None:
    """Leaves the tables ``trials`` and ``importance`` and the pictures of a search that is over.

    Args:
        run: The search's run.
        study: Its trials.
        metric: What their value is called.
    """
    trials = study.trials()
    if not trials:
        return
    names = list(study.settings.space)
    columns = ["trial", "state", metric, "epochs", "time_s", *names, "why"]
    rows = [
        [each.number, each.state, each.value, each.epochs, each.time_s,
         *(_cell(each.values, name) for name in names), each.why]
        for each in trials
    ]  # fmt: skip
    media.table(columns, rows, "trials")
    importance = study.importance()
    if importance:
        media.table(["parameter", "importance"], list(importance.items()), "importance")
    from overnight.tuning import pictures

    for key, figure in pictures.drawn(trials, study.settings, metric, importance):
        media.figure(figure, key)


def _cell(values: Mapping[str, Json], name: str) -> Json:
    return values.get(name)
