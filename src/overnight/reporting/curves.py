"""What was logged, as lines: one chart a number, a line for each fold."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from overnight.alerts import names
from overnight.ledger.format import EPOCH, SUMMARY, Row, Scope
from overnight.messages import say
from overnight.reporting.charts import Line, Point
from overnight.reporting.gather import Story

#: Charts of a page.
_CHARTS_AT_MOST = 14
#: Facts of the model: no curve.
_FACTS = frozenset({"num_parameters", "num_trainable_parameters", "flops", "total_time_s"})
#: What is worth its place only where nothing else is: shown last.
_BACKGROUND = ("time_s", "mem_MiB")


@dataclass(frozen=True, slots=True)
class Fold:
    """One fold, or the whole of a run that has none.

    Attributes:
        best: The main number at its best epoch.
        epoch: That epoch, counted from 1; None where epochs were not logged.
        num_epochs: How many it has closed.
        final: The values it ended with, where it said so.
    """

    scope: Scope
    best: float | None = None
    epoch: int | None = None
    num_epochs: int = 0
    final: Mapping[str, float] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """``fold 0``, ``trial 3``, or nothing."""
        return scope_name(self.scope)


@dataclass(frozen=True, slots=True)
class Chart:
    """One chart: its title, its lines, the numbers it draws, and what its axis counts."""

    title: str
    lines: Sequence[Line]
    names: Sequence[str]
    by_epoch: bool
    share: bool = False

    @property
    def unit(self) -> str:
        """What the axis counts, in the reader's language."""
        return say("report.epoch" if self.by_epoch else "report.step")


def scope_name(scope: Scope) -> str:
    """``fold 0``, ``trial 3``, or nothing, in the reader's language."""
    parts = []
    if scope.trial is not None:
        parts.append(say("report.trial", number=scope.trial))
    if scope.fold is not None:
        parts.append(say("report.fold", number=scope.fold))
    return ", ".join(parts)


def logged(story: Story) -> list[str]:
    """The names of all numbers, in the order of their first row."""
    return list(dict.fromkeys(name for row in story.rows for name in row.values))


def main_metric(story: Story) -> str | None:
    """The number people watch first, as it was logged; None if none stands out."""
    of_epochs = {name for row in story.rows if row.kind == EPOCH for name in row.values}
    said = story.last("NewBest").get("metric")
    if isinstance(said, str) and said in of_epochs:
        return said
    return names.main(of_epochs or logged(story))


def folds(story: Story, metric: str | None) -> list[Fold]:
    """Each fold with its best epoch, in their order."""
    final = {row.scope: row.values for row in story.rows if row.kind == SUMMARY}
    better = names.better(metric) if metric else None
    found = []
    for scope, each in _by_scope(story).items():
        of_scope = each.epochs
        if not of_scope:
            continue
        shift = int(any(row.epoch == 0 for row in of_scope))
        best = _best([row for row in of_scope if metric in row.values], metric, better)
        found.append(
            Fold(
                scope,
                None if best is None else best.values[metric or ""],
                None if best is None or best.epoch is None else best.epoch + shift,
                len({row.epoch for row in of_scope}),
                final.get(scope, {}),
            )
        )
    return found


def _order(scope: Scope) -> tuple[int, int]:
    return (
        -1 if scope.trial is None else scope.trial,
        -1 if scope.fold is None else scope.fold,
    )


def _best(rows: Sequence[Row], metric: str | None, better: str | None) -> Row | None:
    finite = [row for row in rows if metric and row.values[metric] - row.values[metric] == 0]
    if better is None or not finite or metric is None:
        return None
    sign = 1 if better == "higher" else -1
    return max(finite, key=lambda row: sign * row.values[metric])


def final_values(story: Story) -> dict[str, float]:
    """The values of the whole run: what it said last, of all that belongs to no fold."""
    found: dict[str, float] = {}
    for row in story.rows:
        if row.kind == SUMMARY and row.scope == Scope():
            found.update(row.values)
    return found


def calibration(story: Story) -> dict[str, float]:
    """What the calibration said: ``temperature``, ``ece_before`` …; empty where there was none."""
    found: dict[str, float] = {}
    for row in story.rows:
        if row.kind == SUMMARY and row.scope.stage == "calibrate":
            found.update(row.values)
    return found


def charts(story: Story, metric: str | None) -> list[Chart]:
    """The charts of a run: its losses, its main number, the learning rate, then the others."""
    rows = _by_scope(story)
    every = _drawn(story)
    train, valid = (names.resolve(name, every) for name in ("train_loss", "valid_loss"))
    pairs = [[name for name in (train, valid) if name]]
    for name in (metric, *every):
        known = names.canonical(name, every) if name in every else ""
        partners = [each for each in every if names.canonical(each, every) == "train_" + known]
        pairs.append([*partners, name] if name and known else [])
    taken: set[str] = set()
    found: list[Chart] = []
    for pair in sorted(filter(None, pairs), key=_rank(metric, valid)):
        if not taken.intersection(pair) and len(found) < _CHARTS_AT_MOST:
            title = say("report.loss") if valid in pair and train in pair else pair[-1]
            chart = _chart(rows, pair, title, metric)
            taken.update(pair)
            if any(len(line.points) > 1 for line in chart.lines):
                found.append(chart)
    return found


def _drawn(story: Story) -> list[str]:
    """The numbers that are worth a chart: the best so far is a line of another one's."""
    every = logged(story)
    bests = {name for name in every if name.startswith("best_") and name[5:] in every}
    return [name for name in every if name not in _FACTS | bests]


def _rank(metric: str | None, valid: str | None) -> Callable[[Sequence[str]], int]:
    """Losses, the main number, any other pair, the learning rate, single ones, then the rest."""

    def rank(pair: Sequence[str]) -> int:
        name = pair[-1]
        if name in (valid, "train_loss", metric):
            return 0 if name != metric else 1
        if len(pair) > 1:
            return 2
        if names.canonical(name) == "lr":
            return 3
        if name.startswith("train_"):  # drawn beside its partner, where it has one
            return 6
        return 5 if name in _BACKGROUND else 4

    return rank


def left_out(story: Story) -> int:
    """How many numbers have no chart because there are too many."""
    return max(0, len(_drawn(story)) - 2 * _CHARTS_AT_MOST)


@dataclass(frozen=True, slots=True)
class _Rows:
    """The rows of one fold: those that close an epoch, and the others."""

    epochs: list[Row] = field(default_factory=list)
    steps: list[Row] = field(default_factory=list)


def _by_scope(story: Story) -> dict[Scope, _Rows]:
    found: dict[Scope, _Rows] = {}
    for row in story.rows:
        if row.kind != SUMMARY and row.scope.stage == "train":
            of_scope = found.setdefault(row.scope, _Rows())
            (of_scope.epochs if row.kind == EPOCH else of_scope.steps).append(row)
    return {scope: found[scope] for scope in sorted(found, key=_order)}


def _chart(
    rows: Mapping[Scope, _Rows], logged: Sequence[str], title: str, metric: str | None
) -> Chart:
    """Some numbers in one chart: of the first the line is dashed where there is a second."""
    by_epoch = any(
        name in row.values for each in rows.values() for row in each.epochs for name in logged
    )
    lines = []
    for at, (scope, of_scope) in enumerate(rows.items()):
        shift = int(by_epoch and any(row.epoch == 0 for row in of_scope.epochs))
        for name in logged:
            points = _points(of_scope.epochs if by_epoch else of_scope.steps, name, by_epoch, shift)
            if not points:
                continue
            part = "" if len(logged) == 1 else name
            label = " · ".join(filter(None, (scope_name(scope), part)))
            # With one scope the two numbers are told apart by colour as well.
            colour = at if len(rows) > 1 else logged.index(name)
            dashed = len(logged) > 1 and name == logged[0]
            best = _place_of_best(points, name) if name == metric else None
            lines.append(Line(label, points, colour, "dashed" if dashed else "solid", best))
    values = [y for line in lines for _, y in line.points if y - y == 0]
    is_share = bool(values) and min(values) >= 0 and max(values) <= 1
    return Chart(title, lines, logged, by_epoch, is_share and names.better(title) == "higher")


def _points(rows: Sequence[Row], name: str, by_epoch: bool, shift: int) -> list[Point]:
    found: dict[float, float] = {}
    for at, row in enumerate(rows):
        value = row.values.get(name)
        if value is not None:
            axis = row.epoch if by_epoch else row.step
            found[float(at if axis is None else axis + shift)] = value
    return sorted(found.items())


def _place_of_best(points: Sequence[Point], name: str) -> int | None:
    better = names.better(name)
    finite = [at for at, (_, y) in enumerate(points) if y - y == 0]
    if better is None or not finite:
        return None
    sign = 1 if better == "higher" else -1
    return max(finite, key=lambda at: sign * points[at][1])
