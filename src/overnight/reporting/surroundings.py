"""On what a run stood: its settings, the machine and its load, and what happened when."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from overnight.alerts.known import as_number, whole
from overnight.alerts.spoken import NOTHING, mib, span
from overnight.ledger.format import time_us
from overnight.messages import say
from overnight.reporting import charts
from overnight.reporting.charts import Line
from overnight.reporting.gather import Story
from overnight.reporting.parts import Figure, Table
from overnight.reporting.words import began_us, moment, plan_of, spelled, target

_TIMELINE_AT_MOST, _TEXT_CHARS = 80, 160
#: From here on the axis counts hours.
_IN_HOURS_S = 3 * 3600.0


def settings(story: Story) -> tuple[Table | None, Table | None]:
    """What was set, and what was left as it is by default; of a script all in the first."""
    shown = {key: value for key, value in story.config.items() if value not in (None, {}, [], "")}
    if not story.asked:
        return _settings(shown, say("report.settings_all")), None
    asked = {key: value for key, value in story.config.items() if key in story.asked}
    rest = {key: value for key, value in story.config.items() if key not in story.asked}
    return (
        _settings(asked, say("report.settings_set")),
        _settings(rest, say("report.settings_default")),
    )


def _settings(values: Mapping[str, Any], title: str) -> Table | None:
    rows = [[key, spelled(value)] for key, value in values.items()]
    return Table([], rows, title) if rows else None


def environment(story: Story) -> Table:
    """The machine, the versions, the code."""
    info, machine = story.info, story.machine
    cards = machine.get("gpus")
    commit = info.get("git_commit")
    if commit and machine.get("git_dirty"):
        commit = say("report.git_dirty", commit=commit)
    totals = [as_number(each.get("host_ram_total_mib")) for each in story.samples[:1]]
    data = story.last("DatasetUsed")
    sha256 = story.last("ModelSaved").get("sha256")
    cores = machine.get("cpu_count") or info.get("cpu_count")
    cpu = " · ".join(str(each) for each in (machine.get("cpu"), cores) if each)
    command = target(story)
    rows = [
        ("command", command),
        ("host", info.get("host")),
        ("cpu", cpu),
        ("gpu", ", ".join(map(str, cards)) if isinstance(cards, list) and cards else ""),
        ("memory", mib(totals[0]) if totals and totals[0] is not None else ""),
        ("python", info.get("python")),
        ("version", info.get("overnight_version")),
        ("git", commit),
        ("data", data.get("fingerprint") and f"{data.get('name')} · {data['fingerprint']}"),
        ("model", sha256 and f"sha256 {sha256}"),
        ("started", moment(began_us(story))),
        ("folder", story.run.dir),
        ("log", story.run.log if Path(story.run.log).is_file() else ""),
    ]
    return Table([], [[say("report." + key), str(text)] for key, text in rows if text])


def load(story: Story) -> list[Figure]:
    """What the machine had to do, over the time."""
    begun = [us for each in story.samples if (us := time_us(each.get("_t"))) is not None]
    if len(begun) < 2:
        return []
    hours = begun[-1] - begun[0] > _IN_HOURS_S * 1e6
    unit, unit_us = ("hours", 3600e6) if hours else ("minutes", 60e6)
    columns = dict.fromkeys(key for each in story.samples[-50:] for key in each)
    cards = sorted(
        {key[3:].partition("_")[0] for key in columns if key.startswith("gpu") and "_" in key}
    )
    wanted: list[tuple[str, list[tuple[str, str]]]] = [
        ("cpu_percent", [("", "cpu_percent")]),
        ("ram_mib", [("", "ram_mib")]),
        ("gpu_util", [(f"GPU{card}", f"gpu{card}_util_percent") for card in cards]),
        ("gpu_memory", [(f"GPU{card}", f"gpu{card}_memory_mib") for card in cards]),
        ("gpu_temperature", [(f"GPU{card}", f"gpu{card}_temperature_c") for card in cards]),
    ]
    found = []
    for title, keys in wanted:
        drawn = []
        for at, (name, key) in enumerate(keys):
            points = [
                ((us - begun[0]) / unit_us, value)
                for each in story.samples
                if (us := time_us(each.get("_t"))) is not None
                and (value := as_number(each.get(key))) is not None
            ]
            if len(points) > 1:
                drawn.append(Line(name, points, at))
        words = say("report." + title)
        axis = say("report." + unit)
        picture = charts.lines(drawn, label=words, x_label=axis, whole_x=False, from_zero=True)
        if picture:
            found.append(Figure(words, picture))
    return found


def timeline(story: Story) -> list[tuple[str, str]]:
    """What happened when: the supervisor's events and those of the job's that people know."""
    found: list[tuple[int, str]] = []
    for record in (*story.events, *story.job):
        at, words = time_us(record.get("_t")), _event(record)
        if at is not None and words:
            found.append((at, words))
    found.sort(key=lambda each: each[0])
    return [(moment(at), words) for at, words in found[-_TIMELINE_AT_MOST:]]


def _event(record: Mapping[str, Any]) -> str:
    event = str(record.get("_event"))
    if event == "PhaseStarted" and isinstance(record.get("fold"), int):
        return say("report.event_phase_started", phase=say("report.fold", number=record["fold"]))
    seconds = as_number(record.get("silent_s", record.get("in_s")))
    outcome = str(record.get("outcome") or "")
    fields = {
        "attempt": (whole(record.get("_attempt")) or 0) + 1,
        "span": span(seconds or 0.0),
        "by": str(record.get("by") or NOTHING),
        "outcome": say("state." + outcome) if outcome in _OUTCOMES else NOTHING,
        "phase": str(record.get("phase") or NOTHING),
        "plan": plan_of(record),
        "text": str(record.get("text") or record.get("title") or NOTHING)[:_TEXT_CHARS],
    }
    return say("report.event_" + _EVENTS[event], **fields) if event in _EVENTS else ""


#: Events that a page has words for; the others are of no interest to whoever reads it.
_EVENTS = {
    "Queued": "queued", "Started": "started", "Stalled": "stalled", "Recovered": "recovered",
    "Adopted": "adopted", "Stopping": "stopping", "Exited": "exited", "Restarting": "restarting",
    "RestartRefused": "restart_refused", "Resumed": "resumed", "PhaseStarted": "phase_started",
    "EarlyStopped": "early_stopped", "StopHonoured": "stop_honoured", "ModelSaved": "model_saved",
    "Calibrated": "calibrated", "Predicted": "predicted", "Planned": "planned", "Notify": "notify",
}  # fmt: skip
_OUTCOMES = ("finished", "failed", "stopped", "lost")
