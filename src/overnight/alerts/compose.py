"""The text of a message: one line for a phone, a page for a mailbox, or a person's own wording.

Everything is composed of parts with ranks. Where a message may only be short, the parts that
matter least fall away whole, then the longest is shortened; nothing is cut in the middle of a
character, and no command in the middle at all.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from overnight.alerts import template as wording
from overnight.alerts.fit import Part, fitted
from overnight.alerts.known import Known
from overnight.alerts.pieces import EVENTS, Pieces, word
from overnight.alerts.settings import Format
from overnight.alerts.spoken import span
from overnight.alerts.trim import clean, cut, last_lines
from overnight.errors import UserError
from overnight.messages import Language, say, speaking

#: KakaoTalk's text template takes so many; and a longer line is no glance.
SHORT_CHARS = 200
#: Telegram takes 4096, the least of the services that take a page.
FULL_CHARS = 4000
#: A name in one line: what is cut off stands in the command to resume.
_SHORT_NAME_CHARS = 40
#: A part that may be shortened keeps at least so much.
_LEAST_SHORT_CHARS = 60
_LEAST_FULL_CHARS = 300
_EVIDENCE_LINES = 12
_EVIDENCE_CHARS = 1500
#: A line of a digest in the short format, and lines of one on a page, at the most.
_DIGEST_LINE_CHARS = 80
_DIGEST_LINES = 40


@dataclass(frozen=True)
class Text:
    """What is sent. In the short and the custom format everything is in ``body``.

    Both together, and the line end between them, keep to the ``max_chars`` that was asked for.
    """

    title: str
    body: str


def render(
    event: str,
    facts: Mapping[str, Any],
    *,
    format: Format,
    language: Language,
    template: str = "",
    max_chars: int | None = None,
    sent_us: int | None = None,
) -> Text:
    """A message's text. Whatever the facts hold, it is one; nothing raises.

    Args:
        event: One of ``pieces.EVENTS``; another one is told by its name.
        facts: What is known, as docs/notifications.md lists it. All of it may be absent.
        format: How much is told.
        language: In which language.
        template: The wording of the custom format, as ``template.check`` accepts it.
        max_chars: The most code points the channel takes. Above it the short format stays at 200
            and the others at 4000.
        sent_us: When it leaves, in microseconds since 1970-01-01 UTC; by default now.
    """
    most = _least(SHORT_CHARS if format == "short" else FULL_CHARS, max_chars)
    with speaking(language):
        said = Pieces(event, Known(facts), sent_us or time.time_ns() // 1000)
        if format == "full":
            return _full(said, most)
        if format == "custom":
            try:
                own = clean(wording.fill(template, _fields(said))).strip()
            except UserError:  # it was checked when it was set, by another version perhaps
                own = ""
            if own:
                return Text("", cut(own, most))
        return Text("", _short(said, min(most, SHORT_CHARS)))


def digest(
    messages: Sequence[tuple[str, Mapping[str, Any]]],
    *,
    format: Format,
    language: Language,
    max_chars: int | None = None,
    sent_us: int | None = None,
) -> Text:
    """Many messages as one: how many of each event, then the urgent and the newest in a line each.

    Args:
        messages: Event and facts of each, oldest first.
        format: ``short`` (and ``custom``) tells them on a phone, ``full`` on a page.
        language: See ``render``.
        max_chars: See ``render``.
        sent_us: See ``render``.
    """
    sent_us = sent_us or time.time_ns() // 1000
    order = {event: rank for rank, event in enumerate(EVENTS)}
    newest_first = list(reversed(messages))
    ranked = sorted(newest_first, key=lambda each: order.get(each[0], len(EVENTS)))
    full = format == "full"
    with speaking(language):
        most = _least(FULL_CHARS if full else SHORT_CHARS, max_chars)
        title = ""
        if full:
            count = say("alert.digest_title", count=len(messages))
            title = cut(say("alert.head", word=word("digest"), name=count), most)
            most = max(0, most - len(title) - 1)
        # In the order of urgency, as the events came out of it.
        counts = Counter(event for event, _ in ranked)
        told = " · ".join(f"{word(event)} {count}" for event, count in counts.items())
        lines = [cut(say("alert.digest", count=len(messages), counts=told), most)]
        room = most - len(lines[0])
        for at, (event, facts) in enumerate(ranked):
            line_chars = SHORT_CHARS if full else _DIGEST_LINE_CHARS
            text = _short(Pieces(event, Known(facts), sent_us), line_chars)
            rest = len(ranked) - at
            more = say("alert.digest_more", count=rest)
            # Behind this line the number of the others must still find its place.
            needed = 1 + len(text) + (1 + len(more) if rest > 1 else 0)
            if needed > room or at == _DIGEST_LINES:
                # Bare of any line it would say again what the first one says.
                if at and 1 + len(more) <= room:
                    lines.append(more)
                break
            lines.append(text)
            room -= 1 + len(text)
    return Text(title, "\n".join(lines))


def _least(own: int, asked: int | None) -> int:
    return own if asked is None else max(0, min(own, asked))


# ── one line ────────────────────────────────────────────────────────────────────────────────


def _short(said: Pieces, most: int) -> str:
    parts = [Part(said.head(_SHORT_NAME_CHARS)), *_short_parts(said), Part(said.happened(), 3)]
    return fitted(parts, " · ", most, _LEAST_SHORT_CHARS)


def _short_parts(said: Pieces) -> list[Part]:
    """What a line says behind its head: in the order it is read, with ranks."""
    known = said.known
    host = Part(known.text("host", 40), 6)
    # Commands are whole, or they are not there.
    resume = Part(known.text("resume", 160), 1)
    cause, place = Part(said.cause(), 0, cut), Part(said.place(), 4)
    progress, left, done = Part(said.progress(), 2), Part(said.left(), 1), Part(said.done(), 3)
    event = said.event
    if event == "started":
        return [Part(known.text("target", 80), 2), left, host]
    if event == "finished":
        return [Part(said.duration(), 1), Part(said.best(), 1), cause, host]
    if event == "early_stopped":
        return [Part(said.progress(), 0), Part(said.duration(), 2), Part(said.best(), 1), host]
    if event == "crashed":
        return [cause, place, progress, Part(said.refused(), 5), resume, host]
    if event == "lost":
        return [Part(said.lost(), 0 if not cause.text else 2), cause, progress, resume, host]
    if event == "stopped":
        return [progress, Part(said.best(), 3), resume, host]
    if event == "stalled":
        return [Part(said.silent("alert.silent")), progress, host]
    if event == "recovered":
        return [Part(said.silent("alert.after_silence"), 1), progress, left, host]
    if event == "restarting":
        return [Part(said.next_try(), 1), cause, place, progress, host]
    if event == "eta_moved":
        return [Part(said.left_was() or said.left()), Part(said.done(), 1), progress, host]
    if event in ("milestone", "heartbeat"):
        return [progress, Part(said.last(), 1), left, done, host]
    if event == "threshold":
        return [Part(known.text("rule", 120), 0, cut), Part(said.value()), progress, host]
    return [Part(known.text("title", 80), 1), Part(known.text("text", 1000), 0, cut), host]


# ── a page ──────────────────────────────────────────────────────────────────────────────────


def _full(said: Pieces, most: int) -> Text:
    title = cut(said.head(), most)
    rows = [*_sentences(said), *_rows(said), Part(_row("at", said.happened_at()), 4)]
    return Text(title, fitted(rows, "\n", max(0, most - len(title) - 1), _LEAST_FULL_CHARS))


def _sentences(said: Pieces) -> list[Part]:
    """What happened, in sentences; of a failure its cause, the evidence and the way out."""
    event, known = said.event, said.known
    if not _is_of_a_run(said):
        return [Part(known.text("title", 120)), Part(known.lines("text"), 0, cut)]
    opening = _opening(said)
    if event == "early_stopped":
        return [Part(opening), Part(known.text("text"), 3)]
    if event not in ("crashed", "restarting", "finished", "lost"):
        return [Part(opening)]
    cause, fix = said.cause_sentences()
    evidence = known.evidence(_EVIDENCE_LINES, _EVIDENCE_CHARS) if cause else ""
    return [
        # The cause alone says that it failed.
        Part("" if cause and event == "crashed" else opening),
        Part(cause, 0, cut),
        Part(evidence, 1, _from_the_end),
        Part(fix, 3, cut),
    ]


def _from_the_end(text: str, limit: int) -> str:
    return last_lines(text, _EVIDENCE_LINES, limit)


def _is_of_a_run(said: Pieces) -> bool:
    """Whether a run's course is told, rather than somebody's own words."""
    return said.event in EVENTS and said.event not in ("text", "channel", "digest")


def _opening(said: Pieces) -> str:
    event, known = said.event, said.known
    took, silent = said.duration(), known.seconds("silent_s")
    if event == "finished" and took:
        return say("alert.full_finished_in", span=took)
    if event == "stalled" and silent is None:
        return say("alert.full_stalled_bare")
    if event == "recovered" and silent is not None:
        return say("alert.full_recovered_after", span=span(silent))
    if event == "lost":
        return said.lost(whole=True)
    if event == "milestone" and not said.percent():
        return say("alert.full_milestone_bare")
    if event == "threshold" and not known.text("rule"):
        return say("alert.full_threshold_bare")
    return say(
        "alert.full_" + event,
        span=span(silent or 0.0),
        percent=said.percent(),
        rule=known.text("rule", 200),
    )


def _rows(said: Pieces) -> list[Part]:
    """Label and text of each line of a page."""
    known, event = said.known, said.event
    host = Part(_row("host", known.text("host", 80)), 4)
    if not _is_of_a_run(said):
        return [host]
    over = event in ("finished", "early_stopped", "stopped", "crashed", "lost")
    started, failed = event == "started", event in ("crashed", "lost", "stopped")
    progress = said.progress()
    if progress and said.percent() and not over:
        progress = f"{progress} ({say('alert.percent', percent=said.percent())})"
    was = said.left_was() if event == "eta_moved" else ""
    left = ", ".join(filter(None, (was or said.left(), said.done())))
    # A rule may have looked at another number than the one that has a best.
    best = said.best(labelled=True) if event != "threshold" else ""
    return [
        Part(_row("value", said.value() if event == "threshold" else ""), 1),
        Part(_row("progress", "" if started else progress), 1),
        Part(_row("metrics", said.metrics()), 2),
        Part(_row("best", best), 2),
        # The opening sentence of a finished run has said it.
        Part(_row("time", "" if event in ("finished", "started") else said.duration()), 3),
        Part(_row("left", "" if over else left), 1),
        Part(_row("attempt", ", ".join(filter(None, (said.tries(), said.refused())))), 4),
        Part(_row("runs", known.text("target", 200) if started else ""), 4),
        host,
        Part(_row("gpu", "" if over else known.text("gpu", 120)), 6),
        Part(_row("log", known.text("log", 400)), 5),
        Part(_row("resume", known.text("resume", 300) if failed else ""), 2),
    ]


def _row(label: str, text: str) -> str:
    return say("alert.row", label=say("alert.label_" + label), text=text) if text else ""


# ── a person's own wording ──────────────────────────────────────────────────────────────────


def _fields(said: Pieces) -> dict[str, Any]:
    """What ``template.FIELDS`` names, as far as it is known."""
    known = said.known
    left, old = known.range_s("remaining_s"), known.range_s("old_remaining_s")
    silent_s, metric = known.seconds("silent_s"), known.text("metric", 40)
    value = known.number("value")
    values: dict[str, Any] = {
        "title": said.head(),
        "short": _short(said, SHORT_CHARS),
        "event": said.event if said.event in EVENTS else word(said.event),
        "metric": metric,
        "value": known.metrics.get(metric) if value is None else value,
        # Of the main number; what a rule looked at may be another one.
        "best": None if said.event == "threshold" else known.number("best"),
        "best_epoch": None if said.event == "threshold" else known.count("best_epoch"),
        "metrics": said.metrics(),
        "duration": said.duration(),
        "duration_s": known.seconds("duration_s"),
        "remaining": "" if left is None else said.span_left(left),
        "remaining_s": None if left is None else left[1],
        "old_remaining": "" if old is None else said.span_left(old),
        "done_at": said.done_at(),
        "at": said.at(),
        "now_us": said.now_us,
        "cause": said.cause(),
        "evidence": known.evidence(_EVIDENCE_LINES, _EVIDENCE_CHARS),
        "fix": said.cause_sentences()[1],
        "text": known.lines("text"),
        "silent": "" if silent_s is None else span(silent_s),
        "silent_s": silent_s,
    }
    if known.count("attempt") is not None:
        # People count from 1.
        values["attempt"] = (known.count("attempt") or 0) + 1
    for name, kind in wording.FIELDS.items():
        if name not in values:
            values[name] = known.text(name, 400) if kind == "text" else known.count(name)
    if not values["done"] and values["epoch"]:
        values.update(done=values["epoch"], total=values["epochs"], unit=values["unit"] or "epoch")
    return values
