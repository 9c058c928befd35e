"""What a search has found: its history, what matters, its trials, and the plan it went by."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup

from overnight.alerts.spoken import NOTHING, number, span
from overnight.ledger.format import time_us
from overnight.messages import say
from overnight.reporting import charts, figures, tables
from overnight.reporting.charts import Line
from overnight.reporting.gather import Story, Trial
from overnight.reporting.parts import Figure, Table
from overnight.reporting.words import best_trial, greater_is_better, moment, plan_of, spelled

_TRIALS_AT_MOST = 20
#: Why trials are cut short, in the ledger's words.
_CUT = ("median", "hyperband", "deadline")


def search(story: Story, metric: str | None) -> tuple[list[Figure], Table | None]:
    """History, importance and parallel coordinates of a search; and its trials."""
    trials = story.trials
    if not trials:
        return [], None
    higher = greater_is_better(story, metric)
    best = best_trial(story, metric)
    drawn = [Figure(say("report.history"), _history(trials, higher=higher))]
    ranked = tables.importance(story)
    if ranked:
        title = say("report.importance")
        drawn.append(Figure(title, figures.bars(ranked, title)))
    varied = list(dict.fromkeys(key for each in trials for key in each.values))
    if len(varied) > 1 and len(trials) > 1:
        result = say("report.result")
        scored = sorted(
            (each for each in trials if each.value is not None and charts.is_number(each.value)),
            key=lambda each: each.value or 0.0,
            reverse=not higher,
        )
        threads = [
            figures.Thread(
                f"{say('report.trial', number=each.number)}: {number(each.value or 0.0)}",
                {**each.values, result: each.value},
                at / max(1, len(scored) - 1),
                best=each is best,
            )
            for at, each in enumerate(scored)
        ]
        title = say("report.parallel")
        drawn.append(
            Figure(title, figures.parallel([*varied, result], threads, title), wide=len(varied) > 4)
        )
    return [each for each in drawn if each.drawn], _trials(trials, varied, best, higher=higher)


def _history(trials: Sequence[Trial], *, higher: bool) -> Markup:
    """Each trial's value as a dot of its state's colour, and the best so far as a line."""
    names_of = {
        "complete": say("report.complete"), "pruned": say("report.pruned"),
        "failed": say("report.failed_trial"), "running": say("report.running_trial"),
    }  # fmt: skip
    drawn = []
    steps: list[charts.Point] = []
    for each in trials:
        if each.state == "complete" and charts.is_number(each.value):
            value = each.value or 0.0
            known = steps[-1][1] if steps else value
            steps.append((float(each.number), max(known, value) if higher else min(known, value)))
    if len(steps) > 1:
        drawn.append(Line(say("report.best_so_far"), steps, 0, "steps"))
    for colour, state in enumerate(names_of):
        points = [
            (float(each.number), each.value)
            for each in trials
            if each.state == state and each.value is not None
        ]
        if points:
            drawn.append(Line(names_of[state], points, colour, "dots"))
    label, axis = say("report.history"), say("report.trial", number="").strip()
    return charts.lines(drawn, label=label, x_label=axis) if len(trials) > 1 else Markup("")


def _trials(
    trials: Sequence[Trial], varied: Sequence[str], best: Trial | None, *, higher: bool
) -> Table:
    sign = 1 if higher else -1
    order = sorted(
        trials,
        key=lambda each: (
            each.state != "complete",
            -sign * each.value if each.value is not None and each.value == each.value else 0.0,
            each.number,
        ),
    )
    shown = order[:_TRIALS_AT_MOST]
    state = {
        "complete": "report.complete", "pruned": "report.pruned", "failed": "report.failed_trial"
    }  # fmt: skip
    rows = [
        [
            each.number,
            NOTHING if each.value is None else number(each.value),
            say(state.get(each.state, "report.running_trial")),
            *(spelled(each.values[key]) if key in each.values else NOTHING for key in varied),
            NOTHING if each.epochs is None else each.epochs,
            NOTHING if each.time_s is None else span(each.time_s),
            say("report.cut_" + each.why) if each.why in _CUT else each.why,
        ]
        for each in shown
    ]
    ends = [say("report.epochs"), say("report.took"), say("report.why")]
    head = ["", say("report.result"), say("report.state"), *varied, *ends]
    if not any(row[-1] for row in rows):
        head, rows = head[:-1], [row[:-1] for row in rows]
    more = len(order) - len(shown)
    remark = say("report.more_trials", num=more) if more else ""
    marked = (shown.index(best),) if best in shown else ()
    return Table(head, rows, say("report.trials"), marked, remark)


def plans(story: Story) -> Table | None:
    """Each plan of a run that has to be over by a time."""
    rows = [
        [
            moment(time_us(each.get("_t"))),
            plan_of(each),
            moment(time_us(each.get("ends_us"))),
            _reason(each.get("why")),
        ]
        for each in story.of_job("Planned")
    ]
    if not rows:
        return None
    return Table(["", say("report.plans"), say("report.plan_ends"), say("report.why")], rows)


def _reason(word: object) -> str:
    """Why a plan was made, in a few words; one that a page has no words for stands as it is."""
    return say(f"report.why_{word}") if word in _REASONS else str(word or "")


_REASONS = (
    "start", "measured", "slower", "faster", "search_over", "fold_left_out", "fold_cut", "too_late"
)  # fmt: skip
