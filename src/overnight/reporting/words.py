"""What happened, in sentences: the part of a page that is read first, and often alone."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from overnight.alerts import names
from overnight.alerts.facts import facts_of
from overnight.alerts.known import as_number
from overnight.alerts.spoken import NOTHING, number, span
from overnight.ledger.format import time_us
from overnight.ledger.state import (
    ENDED,
    Elsewhere,
    Failed,
    Finished,
    Lost,
    Queued,
    Running,
    Stalled,
    Stopped,
    Unattended,
)
from overnight.messages import say
from overnight.reporting import left
from overnight.reporting.curves import Fold, calibration, final_values, folds, main_metric
from overnight.reporting.gather import Story, Trial
from overnight.supervisor.cause import Cause

_LOST = ("reboot", "unseen", "never_started")
_OTHERS_AT_MOST = 4
_VALUES_AT_MOST = 8


def moment(us: int | None) -> str:
    """A date and a time: whoever reads a page later has another today."""
    if time_us(us) is None or us is None:
        return NOTHING
    try:
        then = datetime.fromtimestamp(us / 1e6)
    except (OverflowError, OSError, ValueError):
        return NOTHING
    fields = {"year": then.year, "month": then.month, "day": then.day}
    return say("time.date", time=f"{then:%H:%M}", **fields)


def happened(story: Story) -> list[str]:
    """The sentences, in the order they are told."""
    metric = main_metric(story)
    by_fold = folds(story, metric)
    found = [
        *_state(story),
        *_when(story),
        *_what(story, is_trained=bool(by_fold)),
        *_search(story, metric),
        *_result(story, metric, by_fold),
        *_early(story),
        *_calibration(story),
        *_prediction(story),
        *_plan(story),
        *_attempts(story),
        *left.undone(story, by_fold),
    ]
    return [sentence for sentence in found if sentence]


def cause(story: Story) -> Cause | None:
    """Why it failed, or what a person should look at though it did not; None for neither."""
    state = story.view.state
    said: Any = state.cause if isinstance(state, Failed) else None
    if said is None and isinstance(state, (Failed, Finished)):
        ended = [record for record in story.events if record.get("_event") == "Exited"]
        said = ended[-1].get("cause") if ended else None
    if not isinstance(said, Mapping):
        return None
    found = Cause.from_json(said)
    return found if found.failed or found.kind == "no_work" else None


def began_us(story: Story) -> int | None:
    """When it began, or was made."""
    return story.view.started_us or time_us(story.info.get("created_us"))


# ── state and time ──────────────────────────────────────────────────────────────────────────


def _state(story: Story) -> Iterator[str]:
    state, ran_s = story.view.state, story.ran_s()
    took = span(ran_s) if ran_s is not None else NOTHING
    match state:
        case Finished():
            yield say("report.finished", span=took)
        case Failed():
            why = cause(story)
            text = why.text if why is not None else say("cause.unknown")
            key = "report.failed_bare" if ran_s is None else "report.failed_after"
            yield say(key, span=took, cause=text)
        case Stopped():
            yield say("report.stopped_after", span=took)
        case Lost(why=str(reason)):
            yield say("report.lost_" + (reason if reason in _LOST else "unseen"))
        case Queued():
            yield say("report.queued")
        case Elsewhere(host=host):
            yield say("report.elsewhere", host=host)
        case Stalled(silent_s=silent_s):
            yield say("report.stalled", span=span(silent_s))
        case Unattended():
            yield say("report.unattended")
        case _:
            at = moment(time.time_ns() // 1000)
            facts = facts_of(story.run, story.view, now_us=time.time_ns() // 1000)
            done, total, unit = facts.get("done"), facts.get("total"), facts.get("unit", "")
            if isinstance(state, Running) and done is not None and total is not None:
                named = say("report." + unit) if unit in ("epoch", "step") else unit
                progress = f"{named} {done:,.0f}/{total:,.0f}"
                yield say("report.running", progress=progress, moment=at)
            else:
                yield say("report.running_bare", moment=at)


def _when(story: Story) -> Iterator[str]:
    begun = began_us(story)
    if begun is None:
        return
    host = str(story.info.get("host") or NOTHING)
    cores = story.machine.get("cpu_count") or story.info.get("cpu_count")
    where = say("report.cores", host=host, num=cores) if cores else host
    cards = story.machine.get("gpus")
    if isinstance(cards, list):
        models = Counter(str(card).partition(",")[0] for card in cards)
        listed = ", ".join(f"{num} x {name}" if num > 1 else name for name, num in models.items())
        where += ", " + (listed or say("report.no_gpu"))
    if isinstance(story.view.state, ENDED) and story.view.ended_us is not None:
        end = moment(story.view.ended_us)
        begin = moment(begun)
        if begin.rpartition(" ")[0] == end.rpartition(" ")[0]:
            end = end.rpartition(" ")[2]
        yield say("report.when", begin=begin, end=end, where=where)
    else:
        yield say("report.since", begin=moment(begun), where=where)


def _what(story: Story, *, is_trained: bool) -> Iterator[str]:
    asked, data = story.last("Configured"), story.last("DatasetUsed")
    model, num = asked.get("model"), as_number(data.get("num_examples"))
    if model and num is not None:
        num_folds, num_epochs = asked.get("folds"), asked.get("epochs")
        fields: dict[str, object] = {
            "model": model,
            "num": f"{num:,.0f}",
            "folds": _counted("fold", num_folds),
            "epochs": _counted("epoch", num_epochs),
        }
        classes = as_number(data.get("num_classes"))
        if not is_trained:
            yield say("report.looked_at", model=model, num=fields["num"])
        elif classes:
            yield say("report.trained", classes=f"{classes:,.0f}", **fields)
        else:
            yield say("report.trained_on", **fields)
    elif story.run.kind == "infer" and story.setting("model.run_id"):
        yield say("report.predicted_with", run=story.setting("model.run_id"))
    elif target(story):
        yield say("report.ran", target=target(story))


def target(story: Story) -> str:
    """The script, notebook or command that it ran."""
    said = story.info.get("target")
    if isinstance(said, str) and said:
        return said
    argv = story.info.get("argv")
    return " ".join(map(str, argv))[:200] if isinstance(argv, list) else ""


def _counted(unit: str, num: object) -> str:
    if num == 1:
        return say("report.one_" + unit)
    return say(f"report.num_{unit}s", num=num if isinstance(num, int) else NOTHING)


# ── results ─────────────────────────────────────────────────────────────────────────────────


def _result(story: Story, metric: str | None, by_fold: Sequence[Fold]) -> Iterator[str]:
    whole = final_values(story)
    several = [fold for fold in by_fold if fold.best is not None]
    is_out_of_fold = bool(story.of_job("ModelSaved")) and metric in whole
    if metric is None:
        if not story.trials and not any(row.values for row in story.rows):
            yield say("report.nothing_logged")
        return
    if is_out_of_fold:
        others = [
            f"{name} {number(value)}"
            for name, value in whole.items()
            if name != metric and names.better(name) is not None and names.unit(name) == ""
            and not name.startswith(("ece", "mce", "nll", "brier")) and name != "total_time_s"
        ]  # fmt: skip
        listed = ", ".join(others[:_OTHERS_AT_MOST])
        said = say("report.others", others=listed) if listed else ""
        yield say("report.oof", metric=metric, value=number(whole[metric]), others=said)
    if len(several) > 1:
        sign = 1 if names.better(metric) == "higher" else -1
        ranked = sorted(several, key=lambda fold: sign * (fold.best or 0.0), reverse=True)
        best, worst = ranked[0], ranked[-1]
        yield say(
            "report.best_fold",
            best=best.name,
            value=number(best.best or 0.0),
            epoch=best.epoch if best.epoch is not None else NOTHING,
            worst=worst.name,
            low=number(worst.best or 0.0),
        )
    elif several and several[0].epoch is not None and several[0].best is not None:
        fold = several[0]
        yield say(
            "report.best_epoch", metric=metric, value=number(fold.best or 0.0), epoch=fold.epoch
        )
    elif not is_out_of_fold:
        last = [row.values[metric] for row in story.rows if metric in row.values]
        if last:
            yield say("report.last_value", metric=metric, value=number(last[-1]))


def _early(story: Story) -> Iterator[str]:
    records = story.of_job("EarlyStopped")
    scopes = [
        say("report.fold", number=record["fold"])
        for record in records
        if isinstance(record.get("fold"), int)
    ]
    if scopes:
        yield say("report.early_stopped", scopes=", ".join(dict.fromkeys(scopes)))
    elif records:
        yield say("report.early_stopped_bare")


def greater_is_better(story: Story, metric: str | None) -> bool:
    """Which way the search went."""
    goal = story.setting("tuning.goal")
    if goal in ("maximize", "minimize"):
        return bool(goal == "maximize")
    name = story.setting("tuning.metric") or metric
    return names.better(str(name)) != "lower" if name else True


def best_trial(story: Story, metric: str | None) -> Trial | None:
    """The best of those that were completed."""
    done = [each for each in story.trials if each.state == "complete" and each.value is not None]
    if not done:
        return None
    sign = 1 if greater_is_better(story, metric) else -1
    return max(done, key=lambda each: sign * (each.value or 0.0))


def _search(story: Story, metric: str | None) -> Iterator[str]:
    if not story.trials:
        return
    states = Counter(each.state for each in story.trials)
    counts = ", ".join(
        say("report.num_" + state, num=states[state])
        for state in ("complete", "pruned", "failed", "running")
        if states[state]
    )
    best = best_trial(story, metric)
    num = len(story.trials)
    if best is None or best.value is None:
        yield say("report.tuned_none", num=num, counts=counts)
        return
    values = [f"{key} {spelled(value)}" for key, value in best.values.items()]
    listed = ", ".join(values[:_VALUES_AT_MOST]) + (" …" if len(values) > _VALUES_AT_MOST else "")
    yield say(
        "report.tuned", num=num, counts=counts, best=best.number, value=number(best.value),
        values=listed,
    )  # fmt: skip


def spelled(value: object) -> str:
    """A setting's value as one reads it."""
    if isinstance(value, bool) or value is None:
        return {True: "true", False: "false", None: "null"}[value]
    if isinstance(value, (int, float)):
        return number(value) if isinstance(value, float) else str(value)
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(map(spelled, value)) + "]"
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key}: {spelled(each)}" for key, each in value.items()) + "}"
    return str(value)


def _calibration(story: Story) -> Iterator[str]:
    said = calibration(story)
    temperature = said.get("temperature", as_number(story.last("Calibrated").get("temperature")))
    if temperature is None:
        if story.of_job("ModelSaved") and story.last("Configured").get("task"):
            yield say("report.not_calibrated")
        return
    if temperature == 1.0:
        yield say("report.calibrated_no")
    elif "ece_before" in said and "ece_after" in said:
        before, after = number(said["ece_before"]), number(said["ece_after"])
        yield say("report.calibrated", temperature=number(temperature), before=before, after=after)
    else:
        yield say("report.calibrated_bare", temperature=number(temperature))


def _prediction(story: Story) -> Iterator[str]:
    said = story.last("Predicted")
    num, unreadable = as_number(said.get("num")), as_number(said.get("unreadable"))
    if num is None:
        return
    fields = {"num": f"{num:,.0f}", "path": said.get("path") or NOTHING}
    if unreadable:
        yield say("report.predicted_unreadable", unreadable=f"{unreadable:,.0f}", **fields)
    else:
        yield say("report.predicted", **fields)


def plan_of(record: Mapping[str, Any]) -> str:
    """A plan in a few words: ``12 of 20 trials, 3 of 5 folds``."""
    parts = []
    for key, word in (("num_trials", "trials"), ("num_folds", "folds")):
        num, asked = record.get(key), record.get(word + "_asked")
        if isinstance(num, int) and (num or asked):
            of_all = isinstance(asked, int)
            key = f"report.plan_{word}_of" if of_all else f"report.plan_{word}"
            parts.append(say(key, num=num, asked=asked))
    return ", ".join(parts) or NOTHING


def _plan(story: Story) -> Iterator[str]:
    plans = story.of_job("Planned")
    last = plans[-1] if plans else {}
    ends = time_us(last.get("until_us", last.get("ends_us")))
    if ends is not None:
        plan = plan_of(plans[-1])
        yield say("report.planned", moment=moment(ends), num=len(plans), plan=plan)


def _attempts(story: Story) -> Iterator[str]:
    if story.view.attempt:
        yield say("report.attempts", num=story.view.attempt + 1)
    restarts = sum(record.get("_event") == "Restarting" for record in story.events)
    if restarts:
        yield say("report.restarted", num=restarts)
