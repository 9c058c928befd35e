"""Several runs beside each other: their results, the better one marked, and where they differ."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Any

from overnight.alerts import names
from overnight.alerts.spoken import NOTHING, number, span
from overnight.ledger.format import EPOCH
from overnight.ledger.state import word
from overnight.messages import say
from overnight.reporting import charts, curves, words
from overnight.reporting.charts import Line, Point
from overnight.reporting.gather import Story
from overnight.reporting.parts import Figure, Table

_METRICS_AT_MOST, _CHARTS_AT_MOST = 12, 8
#: What is said of a model or a run, and makes it neither better nor worse.
_FACTS = ("num_parameters", "num_trainable_parameters", "flops")


def compared(stories: Sequence[Story]) -> dict[str, Any]:
    """What the template of a comparison shows."""
    titles = _titles(stories)
    values = [_values(story) for story in stories]
    metric = _common(stories)
    best = _best([each.get(metric) for each in values], metric) if metric else None
    verdict = say("report.no_best", metric=metric) if metric else say("report.no_common")
    if best is not None and metric is not None:
        found = number(values[best][metric])
        verdict = say("report.best_run", metric=metric, run=titles[best], value=found)
    return {
        "stories": stories,
        "titles": titles,
        "verdict": verdict,
        "results": _results(stories, titles, values, metric, best),
        "curves": _curves(stories, titles, metric),
        "differences": _differences(stories, titles),
        "happened": [words.happened(story) for story in stories],
    }


def _titles(stories: Sequence[Story]) -> list[str]:
    """What the runs are called: their names where no two are alike, else their ids."""
    given = [story.name for story in stories]
    if len(set(given)) == len(given):
        return given
    ids = [story.run.run_id for story in stories]
    return ids if len(set(ids)) == len(ids) else [story.run.dir for story in stories]


def _values(story: Story) -> dict[str, float]:
    """The numbers of a run by the names of docs/metrics.md: of the whole, else its best epochs."""
    every = curves.logged(story)
    known = {name: names.canonical(name, every) for name in every}
    found: dict[str, float] = {}
    for row in story.rows:  # the last value, where nothing better is known
        if row.scope.stage == "train":
            found.update({known[name]: value for name, value in row.values.items()})
    metric = curves.main_metric(story)
    for name in every:
        if name != metric and not names.better(name):
            continue
        folds = [fold.best for fold in curves.folds(story, name) if fold.best is not None]
        if folds:
            found[known[name]] = fmean(folds)
    whole = {**curves.calibration(story), **curves.final_values(story)}
    found.update({known.get(name, name): value for name, value in whole.items()})
    return {name: value for name, value in found.items() if name not in _FACTS and name != "lr"}


def _common(stories: Sequence[Story]) -> str | None:
    """The number by which the runs are compared: one that people watch first, and all have."""
    mains = [curves.main_metric(story) for story in stories]
    known = [{names.canonical(name) for name in curves.logged(story)} for story in stories]
    shared = set.intersection(*known) if known else set()
    for main in mains:
        if main is not None and names.canonical(main) in shared:
            return names.canonical(main)
    return names.main(shared)


def _best(values: Sequence[float | None], name: str) -> int | None:
    """Whose value is the best; None where the name does not tell which way that is."""
    better = names.better(name)
    finite = [at for at, value in enumerate(values) if value is not None and value - value == 0]
    if better is None or len(finite) < 2:
        return None
    sign = 1 if better == "higher" else -1
    best = max(finite, key=lambda at: sign * (values[at] or 0.0))
    is_alone = sum(values[at] == values[best] for at in finite) == 1
    return best if is_alone else None


def _results(
    stories: Sequence[Story],
    titles: Sequence[str],
    values: Sequence[Mapping[str, float]],
    metric: str | None,
    best: int | None,
) -> dict[str, Any]:
    """A row a number, a column a run; in each row the best is marked."""
    every = list(dict.fromkeys(name for each in values for name in each))
    every.sort(key=lambda name: (name != metric, names.better(name) is None))
    rows = []
    for name in every[:_METRICS_AT_MOST]:
        of_runs = [each.get(name) for each in values]
        shown = [NOTHING if value is None else number(value) for value in of_runs]
        rows.append({"name": name, "cells": shown, "best": _best(of_runs, name)})
    ran = [story.ran_s() for story in stories]
    rows.append(
        {
            "name": say("report.duration"),
            "cells": [NOTHING if each is None else span(each) for each in ran],
            "best": None,
        }
    )
    states = [say("state." + word(story.view.state)) for story in stories]
    rows.append({"name": say("report.state"), "cells": states, "best": None})
    began = [words.moment(words.began_us(story)) for story in stories]
    rows.append({"name": say("report.started"), "cells": began, "best": None})
    return {"head": titles, "rows": rows, "best": best}


def _curves(stories: Sequence[Story], titles: Sequence[str], metric: str | None) -> list[Figure]:
    """The same number of all runs in one chart: of folds the mean."""
    known = [{names.canonical(name): name for name in curves.logged(story)} for story in stories]
    every = list(dict.fromkeys(name for each in known for name in each))
    every = [name for name in every if name not in _FACTS and names.better(name) is not None]
    every.sort(key=lambda name: (name != metric, name not in ("valid_loss", "train_loss")))
    found: list[Figure] = []
    for name in every:
        drawn = []
        has_folds = by_epoch = False
        for at, (story, spelled) in enumerate(zip(stories, known, strict=True)):
            if name not in spelled:
                continue
            points, folds, epochs = _mean(story, spelled[name])
            has_folds, by_epoch = has_folds or folds, by_epoch or epochs
            if len(points) > 1:
                drawn.append(Line(titles[at], points, at))
        if drawn and len(found) < _CHARTS_AT_MOST:
            title = say("report.mean_of_folds", metric=name) if has_folds else name
            unit = say("report.epoch" if by_epoch else "report.step")
            found.append(Figure(title, charts.lines(drawn, label=title, x_label=unit)))
    return found


def _mean(story: Story, name: str) -> tuple[Sequence[Point], bool, bool]:
    """A number over the epochs or steps, of several folds their mean; and whether it is either."""
    rows = [
        row for row in story.rows
        if name in row.values and row.kind != "summary" and row.scope.stage == "train"
    ]  # fmt: skip
    by_epoch = any(row.kind == EPOCH for row in rows)
    shift = int(any(row.kind == EPOCH and row.epoch == 0 for row in rows))
    values: dict[float, list[float]] = {}
    for row in rows:
        axis = row.epoch if by_epoch else row.step
        if axis is not None and (row.kind == EPOCH or not by_epoch):
            values.setdefault(float(axis + (shift if by_epoch else 0)), []).append(row.values[name])
    several = len({row.scope for row in rows}) > 1
    return sorted((at, fmean(found)) for at, found in values.items()), several, by_epoch


def _differences(stories: Sequence[Story], titles: Sequence[str]) -> Table | None:
    """The settings in which the runs are not alike; None where they have none."""
    keys = list(dict.fromkeys(key for story in stories for key in story.config))
    if not keys:
        return None
    rows = []
    for key in keys:
        shown = [
            words.spelled(story.config[key]) if key in story.config else NOTHING
            for story in stories
        ]
        if len(set(shown)) > 1:
            rows.append([key, *shown])
    return Table(["", *titles], rows, say("report.differences"))
