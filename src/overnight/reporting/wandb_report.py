"""A report in W&B, of runs that are there: our sentences, W&B's own panels.

Of ours it says what happened; the numbers are drawn by W&B from what its mirror has taken there, so
that they go on living. The library of its reports talks to one server and one account, which it
reads from the environment: this is for a process that does nothing else, a verb.

    https://docs.wandb.ai/models/reports
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from typing import Any
from urllib.parse import unquote, urlsplit

from overnight.errors import UserError, UserErrors
from overnight.ledger import files
from overnight.ledger.paths import RunPaths
from overnight.messages import Language, say, speaking
from overnight.outbox import track
from overnight.redact import redact
from overnight.reporting import curves, words
from overnight.reporting.gather import Story, gather
from overnight.trackers.counting import prefix_of
from overnight.trackers.key import WANDB, has_key, key_of

_NUMBERS_AT_MOST = 12
_TITLE_CHARS = 128


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a run is in W&B."""

    address: str
    entity: str
    project: str
    name: str


def publish(runs: Sequence[RunPaths], language: Language, env: Mapping[str, str]) -> str:
    """Makes the report; its address.

    Args:
        runs: What it is about; all of them in one W&B.
        language: Of the sentences.
        env: ``WANDB_API_KEY``, where the key is not in the person's netrc.

    Raises:
        UserErrors: The library or the key is missing, or a run is not there.
        UserError: W&B did not take it.
    """
    problems: list[UserError] = []
    if find_spec("wandb_workspaces") is None:
        problems.append(UserError("report.wandb_missing", where="overnight report --wandb"))
    places = [_place(run, problems) for run in runs]
    found = [place for place in places if place is not None]
    if len({place.address for place in found}) > 1:
        listed = ", ".join(sorted({place.address for place in found}))
        problems.append(UserError("report.wandb_apart", where=listed))
    address = found[0].address if found else WANDB
    if found and not has_key(env, address):
        problems.append(UserError("report.wandb_no_key", where=address))
    if problems:
        raise UserErrors(problems)
    os.environ.update({"WANDB_BASE_URL": address, "WANDB_SILENT": "true"})
    if key := key_of(env, address):
        os.environ["WANDB_API_KEY"] = key
    with speaking(language):
        return _saved([gather(run) for run in runs], found)


def _place(run: RunPaths, problems: list[UserError]) -> _Place | None:
    """Where a run is; None, and a problem, where it is not, or only on this disk."""
    url = str((files.read_json(run.cursor("wandb")) or {}).get("url") or "")
    parts = urlsplit(url)
    steps = [unquote(step) for step in parts.path.strip("/").split("/")]
    if parts.scheme not in ("http", "https") or len(steps) < 4 or steps[-2] != "runs":
        problems.append(UserError("report.wandb_not_there", where=run.run_id, run=run.run_id))
        return None
    said = [each for each in track.wanted(run) if each.name == "wandb"]
    address = said[0].address if said and said[0].address else WANDB
    return _Place(address, steps[-4], steps[-3], steps[-1])


def _saved(stories: Sequence[Story], places: Sequence[_Place]) -> str:
    reports: Any = import_module("wandb_workspaces.reports.v2")
    several = len(stories) > 1
    title = say("report.compared", num=len(stories)) if several else stories[0].name
    blocks: list[Any] = []
    for story in stories:
        if several:
            blocks.append(reports.H2(story.name))
        blocks += [reports.P(sentence) for sentence in words.happened(story)]
    runsets = []
    for entity, project in dict.fromkeys((place.entity, place.project) for place in places):
        names = [
            place.name for place in places if (place.entity, place.project) == (entity, project)
        ]
        runsets.append(reports.Runset(entity=entity, project=project, filters=f"ID in {names}"))
    blocks.append(reports.PanelGrid(runsets=runsets, panels=_panels(reports, stories)))
    first = places[0]
    made = reports.Report(
        entity=first.entity,
        project=first.project,
        title=title[:_TITLE_CHARS],
        description=say("report.title"),
        blocks=blocks,
        width="fluid",
    )
    try:
        made.save()
        return str(made.url)
    except Exception as error:  # its library raises whatever its transport does
        why = redact(f"{type(error).__name__}: {error}").partition("\n")[0][:300]
        raise UserError("report.wandb_refused", where=first.address, why=why) from error


def _panels(reports: Any, stories: Sequence[Story]) -> list[Any]:
    """A line plot of each number, of all its folds; and what several runs differ in."""
    drawn: dict[str, dict[str, None]] = {}
    for story in stories:
        for chart in curves.charts(story, curves.main_metric(story)):
            for name in chart.names:
                scopes = {row.scope for row in story.rows if name in row.values}
                there = sorted(
                    prefix_of(scope) + name for scope in scopes if scope.fold is not None
                )
                drawn.setdefault(name, {}).update(dict.fromkeys(there or [name]))
    # Without an axis of its own a plot takes the one that a number was defined with.
    panels = [
        reports.LinePlot(title=name, y=list(keys))
        for name, keys in list(drawn.items())[:_NUMBERS_AT_MOST]
    ]
    if len(stories) > 1:
        panels.append(reports.RunComparer(diff_only="split"))
    return panels
