"""What a training came to: the parts of its page from the first numbers to the worst cases."""

from __future__ import annotations

from collections.abc import Sequence

from overnight.alerts import names
from overnight.alerts.known import as_number
from overnight.alerts.spoken import NOTHING, number, span
from overnight.messages import say
from overnight.reporting import charts, curves, figures, tables
from overnight.reporting.curves import Fold
from overnight.reporting.gather import Story
from overnight.reporting.parts import Case, Figure, Table
from overnight.reporting.pictures import Pictures

_CLASSES_AT_MOST, _WORST_AT_MOST = 30, 48
_CASE_PX = 72


def tiles(story: Story, metric: str | None, by_fold: Sequence[Fold]) -> list[tuple[str, str]]:
    """The numbers that are asked for first: name and value."""
    whole = curves.final_values(story)
    found: list[tuple[str, str]] = []
    if metric is not None:
        bests = [fold.best for fold in by_fold if fold.best is not None]
        value = whole.get(metric)
        if value is None and bests:
            value = max(bests) if names.better(metric) == "higher" else min(bests)
        if value is not None:
            found.append((metric, number(value)))
    found += [
        (name, number(value))
        for name, value in whole.items()
        if name != metric and names.better(name) is not None and not names.unit(name)
        and name != "total_time_s"
    ][:3]  # fmt: skip
    said = curves.calibration(story)
    if "ece_after" in said:
        found.append((say("report.ece"), number(said["ece_after"])))
    ran_s = story.ran_s()
    if ran_s is not None:
        found.append((say("report.duration"), span(ran_s)))
    return found


def curve_figures(story: Story, metric: str | None) -> list[Figure]:
    """The curves of what was logged."""
    return [
        Figure(
            chart.title,
            charts.lines(chart.lines, label=chart.title, x_label=chart.unit, share=chart.share),
        )
        for chart in curves.charts(story, metric)
    ]


def fold_table(metric: str | None, by_fold: Sequence[Fold]) -> Table | None:
    """A row for each fold, where there are several."""
    shown = [fold for fold in by_fold if fold.best is not None]
    if metric is None or len(shown) < 2:
        return None
    sign = 1 if names.better(metric) == "higher" else -1
    best = max(range(len(shown)), key=lambda at: sign * (shown[at].best or 0.0))
    others = [name for name in shown[0].final if name != metric and names.better(name) is not None][
        :5
    ]
    head = ["", say("report.folds_best", metric=metric), say("report.at_epoch"), *others]
    rows = [
        [
            fold.name,
            number(fold.best or 0.0),
            f"{fold.epoch if fold.epoch is not None else NOTHING} / {fold.num_epochs}",
            *(number(fold.final[name]) if name in fold.final else NOTHING for name in others),
        ]
        for fold in shown
    ]
    return Table(head, rows, say("report.folds"), (best,))


def confusion(story: Story) -> Figure | None:
    """The newest confusion matrix."""
    classes, counts = tables.confusion(story)
    if not classes:
        return None
    label = say("report.confusion")
    return Figure(label, figures.matrix(classes, counts, label))


def per_class(story: Story) -> Table | None:
    """Precision, recall and F1 of the worst classes."""
    found = tables.rows(story, tables.newest(story, "per_class"))
    if not found:
        return None
    columns = ("precision", "recall", "f1")
    rows = [
        [
            str(row.get("class")),
            *(_score(row.get(column)) for column in columns),
            f"{as_number(row.get('num')) or 0:,.0f}",
        ]
        for row in found[:_CLASSES_AT_MOST]
    ]
    head = [
        say("report.class"),
        *(say("report." + column) for column in columns),
        say("report.num"),
    ]
    more = len(found) - len(rows)
    remark = say("report.more_classes", num=more) if more > 0 else ""
    return Table(head, rows, say("report.per_class"), remark=remark)


def _score(value: object) -> str:
    found = as_number(value)
    return NOTHING if found is None else f"{found:.3f}"


def reliability(story: Story) -> tuple[list[Figure], Table | None]:
    """How far confidence can be believed, as trained and calibrated."""
    bins = tables.reliability(story)
    drawn = [
        Figure(say("report." + when), figures.reliability(found, say("report." + when)))
        for when, found in bins.items()
        if found
    ]
    said = curves.calibration(story)
    rows = [
        [say("report." + name), number(said[name + "_before"]), number(said[name + "_after"])]
        for name in ("ece", "mce", "nll", "brier")
        if name + "_before" in said and name + "_after" in said
    ]
    head = ["", say("report.before"), say("report.after")]
    return drawn, Table(head, rows) if rows else None


def worst(story: Story, pictures: Pictures) -> list[Case]:
    """The worst cases, as the training has put them: the worst first."""
    found = []
    for row in tables.rows(story, tables.newest(story, "predictions"), _WORST_AT_MOST):
        truth, prediction = str(row.get("truth")), str(row.get("prediction"))
        is_wrong = truth != prediction
        path = tables.picture_of(row.get("image"))
        picture = pictures.take(path, _CASE_PX) if path else ""
        if not picture and not is_wrong:
            continue
        key = "report.wrong" if is_wrong else "report.right"
        confidence = as_number(row.get("confidence"))
        sure = "" if confidence is None else f"{confidence:.0%}"
        words = say(key, truth=truth, prediction=prediction)
        found.append(Case(picture, words, sure, str(row.get("id", "")), is_wrong))
    return found
