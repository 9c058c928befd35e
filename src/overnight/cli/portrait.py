"""The lines that describe one run: its state, what it made, what to type next.

``status`` prints them at any time, ``--follow`` when the run ends.
"""

from __future__ import annotations

import os
import shlex
import signal as signals
from collections.abc import Iterator, Mapping
from typing import assert_never

from overnight.cli.artifacts import has_files, pictures, written
from overnight.cli.glance import Estimate, Glance, cause_of
from overnight.cli.output import (
    Colour,
    ago,
    bar,
    cells,
    columns,
    mib,
    moment,
    now_us,
    number,
    pad,
    paint,
    plain,
    quoted,
    span,
    still_left,
    wrap,
)
from overnight.cli.tracked import tracked_by
from overnight.ledger.files import read_json
from overnight.ledger.paths import RunPaths
from overnight.ledger.state import (
    ENDED,
    Elsewhere,
    Failed,
    Finished,
    Lost,
    Queued,
    Restarting,
    Running,
    Stalled,
    State,
    Stopped,
    Stopping,
    Unattended,
    word,
)
from overnight.messages import say
from overnight.redact import redact

#: Signs that are one column wide in every terminal, East Asian ones included.
_SIGNS: dict[type, tuple[str, Colour]] = {
    Queued: (":", "cyan"),
    Running: ("▸", "green"),
    Stalled: ("!", "yellow"),
    Restarting: ("↻", "yellow"),
    Stopping: ("▪", "yellow"),
    Finished: ("✓", "green"),
    Failed: ("✗", "red"),
    Stopped: ("▪", "blue"),
    Unattended: ("▹", "yellow"),
    Lost: ("?", "red"),
    Elsewhere: ("?", "blue"),
}
_METRICS_AT_MOST = 8
#: Facts of the model, told once, and what nobody watches a training for: shown where there is room.
_FACTS = frozenset({"num_parameters", "num_trainable_parameters", "flops"})
_BACKGROUND = frozenset({"lr", "mem_MiB", "time_s", "total_time_s", "mce_before", "mce_after",
                         "nll_before", "nll_after", "brier_before", "brier_after"})  # fmt: skip
_BAR_COLUMNS = 24
#: Rows of sentences, and their colour; the others hold paths and commands.
_PROSE: dict[str, Colour | None] = {
    "note": "yellow", "why": "red", "evidence": "dim", "fix": None, "metrics": None,
    "machine": None, "tracks": None,
}  # fmt: skip


def sign(state: State) -> tuple[str, Colour]:
    """The mark and the colour of a state."""
    return _SIGNS[type(state)]


def title(state: State) -> str:
    """A state in a few words: ``failed (exit code 1)``."""
    name = say("state." + word(state))
    match state:
        case Failed(signal=int(number_)) | Stopped(signal=int(number_)):
            return f"{name} ({signal_name(number_)})"
        case Failed(code=int(code)):
            return say("show.state_code", state=name, code=code)
        case Running(host=host, seen_s=float(seen_s)):
            return say("show.running_on", state=name, host=plain(host, 60), seen=ago(seen_s))
        case Lost(why="reboot" | "unseen" | "never_started" as why):
            return f"{name} ({say('show.lost_' + why)})"
        case _:
            return name


def signal_name(value: int) -> str:
    """``SIGKILL`` for 9."""
    try:
        return signals.Signals(value).name
    except ValueError:
        return say("show.signal", number=value)


def remark(state: State) -> str:
    """What a person should know of a state beyond its name; empty where the name says it all."""
    match state:
        case Stalled(silent_s=silent_s):
            return say("show.note_stalled", span=span(silent_s))
        case Restarting(attempt=attempt):
            return say("show.note_restarting", attempt=attempt + 1)
        case Stopping(by=by):
            return say("show.note_stopping", by=plain(by, 60) or "?")
        case Unattended(job_pid=pid):
            return say("show.note_unattended", pid=pid)
        case Lost(why=why):
            known = why if why in ("reboot", "unseen", "never_started") else "unseen"
            return say("show.note_lost_" + known)
        case Elsewhere(host=host, seen_s=seen_s):
            if seen_s is None:
                return say("show.note_elsewhere", host=plain(host, 60))
            return say("show.note_elsewhere_seen", host=plain(host, 60), seen=ago(seen_s))
        case Queued():
            return say("show.note_queued")
        case Running() | Finished() | Failed() | Stopped():
            return ""
        case _:
            assert_never(state)


# ── progress ────────────────────────────────────────────────────────────────────────────────


def counted(estimate: Estimate) -> str:
    """``epoch 7/12``, ``step 1,200``."""
    if estimate.done is None:
        return ""
    unit = plain(estimate.unit, 20)
    units = {"epoch": "show.unit_epoch", "step": "show.unit_step", "trial": "show.unit_trial"}
    if unit in units:
        unit = say(units[unit])
    done = f"{estimate.done:,.0f}"
    count = done if estimate.total is None else f"{done}/{estimate.total:,.0f}"
    return say("show.counted", unit=unit, count=count)


def left(estimate: Estimate) -> str:
    """``about 3–4 min left``; empty where it cannot be known."""
    if estimate.left_s is None:
        return ""
    low_s, high_s = estimate.left_s
    return still_left(low_s, high_s, at_most=estimate.at_most)


def percent(estimate: Estimate) -> str:
    """``58 %``; never 100 % before the end."""
    if estimate.fraction is None:
        return ""
    return f"{min(99, int(estimate.fraction * 100 + 1e-9))} %"


def progress_line(estimate: Estimate, *, width: int = _BAR_COLUMNS) -> str:
    """Bar, share and count."""
    texts = [percent(estimate), counted(estimate)]
    if estimate.fraction is not None:
        texts.insert(0, paint(bar(estimate.fraction, width), "green"))
    return "  ".join(text for text in texts if text)


def metrics_text(metrics: Mapping[str, float], at_most: int = _METRICS_AT_MOST) -> str:
    """``loss 0.412 · accuracy 0.93``: of many, the newest that tell how good it is."""
    watched = [key for key in metrics if key not in _BACKGROUND | _FACTS][-at_most:]
    room = at_most - len(watched)
    rest = [key for key in metrics if key in _BACKGROUND][-room:] if room else []
    return " · ".join(f"{plain(key, 40)} {number(metrics[key])}" for key in watched + rest)


def machine_text(sample: Mapping[str, float]) -> str:
    """CPU, memory and cards as the last sample found them."""
    texts = []
    if "cpu_percent" in sample:
        texts.append(f"CPU {sample['cpu_percent']:.0f} %")
    if "ram_mib" in sample:
        texts.append(f"RAM {mib(sample['ram_mib'])}")
    for card in cards(sample):
        util, used = sample.get(f"gpu{card}_util_percent"), sample.get(f"gpu{card}_memory_mib")
        total, heat = (
            sample.get(f"gpu{card}_memory_total_mib"),
            sample.get(f"gpu{card}_temperature_c"),
        )
        text = f"GPU{card}"
        text += "" if util is None else f" {util:.0f} %"
        if used is not None:
            text += " " + (mib(used) if total is None else f"{used / 1024:.1f}/{mib(total)}")
        texts.append(text + ("" if heat is None else f" {heat:.0f} °C"))
    return " · ".join(texts)


def cards(sample: Mapping[str, float]) -> list[int]:
    """The numbers of the cards in a sample."""
    found = {
        int(key[3:].partition("_")[0])
        for key in sample
        if key.startswith("gpu") and key[3:].partition("_")[0].isdecimal()
    }
    return sorted(found)


# ── the whole picture ───────────────────────────────────────────────────────────────────────


def portrait(seen: Glance, *, ending: bool = False) -> list[str]:
    """All that is told of a run, as lines.

    Args:
        seen: The run.
        ending: It has just ended before the reader's eyes: also look for the files it left.
    """
    state = seen.view.state
    mark, colour = sign(state)
    name = plain(seen.run.run_id)
    lines = [f"{paint(mark, colour)} {paint(name, 'bold')}  {paint(title(state), colour)}"]
    estimate = seen.estimate
    if estimate is not None and not isinstance(state, (*ENDED, Queued)):
        lines.append("  " + progress_line(estimate))
        done = ending_moment(estimate)
        texts = [left(estimate), say("show.done_at", moment=done) if done else ""]
        if any(texts):
            lines.append("  " + ", ".join(text for text in texts if text))
    rows = list(_facts(seen, ending))
    rows.append(("", ""))
    rows += _next(seen)
    return lines + _aligned(rows)


def ending_moment(estimate: Estimate) -> str:
    """``~ 14:20``: when it will be done, by the slower guess; empty where it cannot be known."""
    if estimate.left_s is None:
        return ""
    done_us = now_us() + int(estimate.left_s[1] * 1e6)
    return say("time.around", moment=moment(done_us))


def _facts(seen: Glance, ending: bool) -> Iterator[tuple[str, str]]:
    state, run = seen.view.state, seen.run
    if note := remark(state):
        yield "note", note
    yield from _why(seen)
    yield "started", _started(seen)
    if seen.metrics:
        yield "metrics", metrics_text(seen.metrics)
    if seen.sample and (machine := machine_text(seen.sample)):
        yield "machine", machine
    target = seen.info.get("target")
    argv = seen.info.get("argv")
    if isinstance(target, str) and target:
        yield "runs", plain(target)
    elif isinstance(argv, list) and argv:
        yield "runs", redact(plain(shlex.join(map(str, argv)), 200))
    num_pictures = pictures(run)
    if num_pictures:
        yield "pictures", say("show.pictures_in", count=num_pictures, folder=plain(run.media))
    if has_files(run.ckpt):
        yield "checkpoints", plain(run.ckpt)
    if isinstance(state, ENDED) and (ending or isinstance(state, Finished)):
        models, tables = written(run)
        if has_files(own := run.at("model")):  # a training's own model folder
            models = plain(own)
        if os.path.exists(own := run.at("submission.csv")):
            tables = plain(own)
        if models:
            yield "models", models
        if tables:
            yield "tables", tables
    if isinstance(state, ENDED) and not ending and os.path.exists(run.report):
        yield "report", plain(run.report)
    if told := told_on(run):
        yield "tells", told
    if not ending and (tracks := tracked_by(run)):
        yield "tracks", tracks
    if os.path.exists(run.log):
        yield "log", plain(run.log)
    yield "folder", plain(run.dir)


def told_on(run: RunPaths) -> str:
    """The channels a run is told of on, and what keeps its messages from arriving."""
    names = (read_json(run.notify_json) or {}).get("channels")
    if not isinstance(names, list) or not names:
        return ""
    from overnight.agent import lane
    from overnight.outbox.folder import agent_paths

    paths, texts = agent_paths(), []
    for name in map(str, names):
        found = lane.read(paths, name)
        troubles = lane.describe(found, now_us()) if found is not None else []
        texts.append(plain(f"{name} ({troubles[0]})" if troubles else name, 300))
    return ", ".join(texts)


def _why(seen: Glance) -> Iterator[tuple[str, str]]:
    """Cause, the line it is concluded from, and what to do."""
    said = cause_of(seen.view)
    if said is None:
        if isinstance(seen.view.state, Failed):
            yield "why", say("show.cause_open")
        return
    from overnight.supervisor.cause import Cause

    cause = Cause.from_json(said)
    yield "why" if cause.failed else "note", cause.text
    if cause.evidence.removeprefix("[ERROR] ") not in cause.text:
        yield "evidence", cause.evidence
    if cause.fix:
        yield "fix", cause.fix


def _started(seen: Glance) -> str:
    """When it started and how long it ran, or runs."""
    begun, now = seen.started_us, seen.view
    texts = [moment(begun)]
    if now.ended_us is not None and moment(now.ended_us) != texts[0]:
        texts[0] = say("show.from_to", begin=texts[0], end=moment(now.ended_us))
    if seen.ran_s is not None:
        key = "show.ran" if isinstance(now.state, ENDED) else "show.for"
        texts.append(say(key, span=span(seen.ran_s)))
    if now.attempt:
        texts.append(say("show.attempt", attempt=now.attempt + 1))
    return ", ".join(texts)


def _next(seen: Glance) -> Iterator[tuple[str, str]]:
    """What one would type next."""
    run = quoted(seen.run.run_id)
    supervised = seen.info.get("supervised") is not False
    resume = ("resume", f"overnight resume {run}")
    follow, stop = ("follow", f"overnight logs -f {run}"), ("stop", f"overnight stop {run}")
    read = ("read", f"overnight logs {run}")
    match seen.view.state:
        case Running(seen_s=None) | Stalled() | Restarting() | Queued():
            yield from [follow, stop] if supervised else [follow]
        case Running():
            yield follow
        case Unattended():
            yield from [follow, ("resume", f"overnight resume {run}"), stop]
        case Stopping():
            yield from [follow, ("stop_now", f"overnight stop {run} --now")]
        case Failed() | Stopped() | Lost() | Elsewhere():
            yield from [read, resume] if supervised else [read]
        case Finished():
            yield read


def _aligned(rows: list[tuple[str, str]]) -> list[str]:
    """Labels in a column; prose wrapped beside them, paths and commands left whole to be copied."""
    labels = {key: say("show.label_" + key) if key else "" for key, _ in rows}
    indent = max(cells(label) for label in labels.values())
    width = columns()
    lines = []
    for key, text in rows:
        if not key:
            lines.append("")
            continue
        colour = _PROSE.get(key)
        pieces = [text]
        if key in _PROSE and width is not None:
            pieces = wrap(text, max(20, width - indent - 4))
        for number_, piece in enumerate(pieces):
            label = pad("" if number_ else labels[key], indent)
            lines.append(f"  {paint(label, 'dim')}  {paint(piece, colour)}".rstrip())
    return lines
