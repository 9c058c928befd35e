"""What can be said of a run in a few words, each piece by itself; "" where it is not known."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, get_args

from overnight.alerts.known import Known
from overnight.alerts.spoken import (
    NOTHING,
    around,
    moment,
    number,
    span,
    still_left,
    time_left,
    with_zone,
)
from overnight.alerts.trim import line
from overnight.messages import say

#: What can be told, the most urgent first: a digest tells them in this order.
Event = Literal[
    "crashed", "lost", "stalled", "finished", "early_stopped", "stopped", "threshold",
    "restarting", "recovered", "eta_moved", "text", "channel", "milestone", "heartbeat",
    "started", "digest",
]  # fmt: skip
EVENTS: tuple[Event, ...] = get_args(Event)
_NAME_CHARS = 80
#: A message that is older than this when it leaves says when it happened.
_LATE_S = 600.0
#: Kinds of cause that a few words tell without any field.
_BARE_KINDS = frozenset({
    "no_work", "stopped", "host_oom", "cuda_oom", "device_assert", "gpu", "nccl", "shm",
    "disk_full", "nan_loss", "exception",
})  # fmt: skip


def word(event: str, percent: str = "") -> str:
    """What an event is called at the head of a message: ``finished``, ``50 %``."""
    if event == "milestone" and percent:
        return say("alert.word_milestone_at", percent=percent)
    return say("alert.word_" + event) if event in EVENTS else line(event, 30)


class Pieces:
    """The pieces of one message, in the language that is spoken.

    Args:
        event: One of ``EVENTS``, or a later version's.
        known: What is known of the run.
        sent_us: When the message leaves, in microseconds since 1970-01-01 UTC.
    """

    def __init__(self, event: str, known: Known, sent_us: int) -> None:
        self.event = event
        self.known = known
        self.sent_us = sent_us
        #: When it happened.
        self.now_us = known.time_us("now_us") or sent_us
        #: Seconds between the event and the sending.
        self.late_s = max(0.0, (sent_us - self.now_us) / 1e6)

    def head(self, name_chars: int = _NAME_CHARS) -> str:
        """``[finished] digits``."""
        happened = word(self.event, self.percent())
        known = self.known
        name = known.text("channel", name_chars) if self.event == "channel" else ""
        name = name or known.text("name", name_chars) or known.text("run", name_chars)
        if not name:
            return say("alert.head_bare", word=happened)
        return say("alert.head", word=happened, name=name)

    def percent(self) -> str:
        """A share of the whole in whole percents, never 100 before the end."""
        share = self.known.count("percent")
        if share is None:
            return ""
        most = 100 if self.event in ("finished", "early_stopped") else 99
        return str(min(most, int(share + 1e-9)))

    def progress(self) -> str:
        """``epoch 3/20``."""
        known = self.known
        done, total, unit = known.count("epoch"), known.count("epochs"), "epoch"
        if done is None:
            done, total = known.count("done"), known.count("total")
            unit = known.text("unit", 20)
        if done is None:
            return ""
        if unit == "epoch":
            told = _epoch(done, total)
        else:
            count = counted(done) if total is None else f"{counted(done)}/{counted(total)}"
            is_step = unit == "step"
            told = say("alert.of_step", count=count) if is_step else f"{count} {unit}".strip()
        fold = known.count("fold")
        return told if fold is None else f"{say('alert.fold', fold=counted(fold))}, {told}"

    def duration(self) -> str:
        """``6 h 12 min``."""
        took = self.known.seconds("duration_s")
        return "" if took is None else span(took)

    def left(self) -> str:
        """``about 3–4 min left``; nothing where the message comes so late that it is not true."""
        left = self.known.range_s("remaining_s")
        if left is None or self.late_s >= _LATE_S:
            return ""
        return still_left(left[0], left[1], at_most=self.known.says("at_most"))

    def left_was(self) -> str:
        """``about 2 h → about 5 h left``."""
        old, left = self.known.range_s("old_remaining_s"), self.known.range_s("remaining_s")
        if old is None or left is None:
            return ""
        return say("alert.left_was", old=self.span_left(old), span=self.span_left(left))

    def span_left(self, left: tuple[float, float]) -> str:
        """``about 3–4 min``."""
        return time_left(left[0], left[1], at_most=self.known.says("at_most"))

    def done(self) -> str:
        """``done tomorrow around 07:12``, by the slower guess; ``done by 07:12``: at the latest."""
        key = "alert.done_by" if self.known.says("at_most") else "alert.done"
        done = self.done_at()
        return say(key, moment=done) if done else ""

    def done_at(self) -> str:
        """``tomorrow around 07:12``, or the latest moment; nothing for what is as good as done."""
        left = self.known.range_s("remaining_s")
        if left is None or left[1] < 60:
            return ""
        end_us = self.now_us + int(left[1] * 1e6)
        if self.known.says("at_most"):
            said = with_zone(moment(end_us, now=self.sent_us))
        else:
            said = around(end_us, now=self.sent_us)
        return "" if said == NOTHING else said

    def happened(self) -> str:
        """``at 03:12``, in a message that comes late."""
        at = self.happened_at()
        return say("alert.happened", moment=at) if at else ""

    def happened_at(self) -> str:
        """When it happened, in a message that comes late."""
        return self.at() if self.late_s >= _LATE_S else ""

    def at(self) -> str:
        """When it happened."""
        return with_zone(moment(self.now_us, now=self.sent_us))

    def value(self) -> str:
        """``macro_f1 0.913``: the number that a rule looked at."""
        value, metric = self.known.number("value"), self.known.text("metric", 40)
        if value is None:
            return ""
        shown = f"{number(value * 100)}%" if self.known.says("share") else number(value)
        return f"{metric} {shown}".strip()

    def last(self) -> str:
        """The main number as it is: ``macro_f1 0.91 (best 0.913)``."""
        known = self.known
        best = known.number("best")
        metric = known.text("metric", 40) or next(iter(known.metrics), "")
        value = known.metrics.get(metric)
        if self.event == "threshold" or value is None or not metric:
            return ""
        if best is None or number(best) == number(value):
            return f"{metric} {number(value)}"
        return say("alert.last_best", metric=metric, value=number(value), best=number(best))

    def best(self, *, labelled: bool = False) -> str:
        """The main number at its best: ``macro_f1 0.913 (best, epoch 17/20)``.

        Args:
            labelled: It stands in a row that is called so: ``macro_f1 0.913 (epoch 17/20)``.
        """
        known = self.known
        best, metric = known.number("best"), known.text("metric", 40)
        if best is None or not metric:
            return "" if labelled else self.last()
        fields = {"metric": metric, "value": number(best)}
        at, total = known.count("best_epoch"), known.count("epochs")
        if known.count("fold") is not None:  # the total counts the epochs of all folds
            total = None
        if at is None:
            return f"{metric} {number(best)}" if labelled else say("alert.best", **fields)
        epoch = _epoch(at, total)
        return say("alert.best_row" if labelled else "alert.best_at", epoch=epoch, **fields)

    def metrics(self) -> str:
        """``macro_f1 0.91 · valid_loss 0.2``."""
        return " · ".join(f"{name} {number(value)}" for name, value in self.known.metrics.items())

    def silent(self, key: str) -> str:
        """``no output and no work for 20 min``."""
        silent = self.known.seconds("silent_s")
        return "" if silent is None else say(key, span=span(silent))

    def next_try(self) -> str:
        """``again in 30 s``."""
        wait = self.known.seconds("in_s")
        return "" if wait is None else say("alert.again_in", span=span(wait))

    def tries(self) -> str:
        """``attempt 2, again in 30 s, 1 restart left``: of a run that was tried more than once."""
        attempt = self.known.count("attempt") or 0
        texts = [self.next_try()] if self.event == "restarting" else []
        left = self.known.count("restarts_left")
        if self.event == "restarting" and left is not None:
            key = "alert.try_left" if left == 1 else "alert.tries_left"
            texts.append(say(key, count=counted(left)))
        if attempt or any(texts):
            texts.insert(0, say("alert.attempt", attempt=counted(attempt + 1)))
        return ", ".join(filter(None, texts))

    def refused(self) -> str:
        """Why it is not tried once more, where that was asked for."""
        why = self.known.text("restart_refused", 20)
        known = why in ("same_failure", "code_changed", "none_left")
        return say("alert.refused_" + why) if known else ""

    def lost(self, *, whole: bool = False) -> str:
        """Why nobody knows how it ended, in a few words or a whole sentence."""
        why = self.known.text("why", 20)
        if self.is_unseen:
            why = "own" if self.known.says("own") else "unseen"
        return say("alert.full_lost_" + why) if whole else say("alert.lost_" + why)

    @property
    def is_unseen(self) -> bool:
        """Whether it was lost while the machine went on."""
        return self.known.text("why", 20) not in ("reboot", "never_started")

    def cause(self) -> str:
        """A cause in a few words."""
        cause = self.known.cause
        kind = str(cause.get("kind", ""))
        if not cause or kind == "finished" or (self.event == "finished" and kind != "no_work"):
            return ""
        if self.event == "lost" and (kind == "unknown" or not self.is_unseen):
            return ""  # the word for it says as much
        fields: Mapping[str, str] = cause["fields"]
        said = ""
        if kind in ("exception", "unknown", "exit_code"):
            # Its last line says more than we can.
            said = line(self.known.evidence(1, 400), 300) or fields.get("error", "")
        return said or _few_words(kind, fields)

    def place(self) -> str:
        """Where a cause was met: ``cell 5, line 3`` or ``train.py:12``."""
        fields: Mapping[str, str] = self.known.cause.get("fields", {})
        if "cell" in fields:
            return say("alert.cell", cell=fields["cell"], line=fields["cell_line"])
        if "file" in fields:
            # The folders would fill the line; a path of Windows has its own separator.
            name = fields["file"].replace("\\", "/").rpartition("/")[2]
            return f"{name}:{fields['line']}"
        return ""

    def cause_sentences(self) -> tuple[str, str]:
        """A cause in whole sentences; and what to do about it."""
        if not self.known.cause or (self.event == "lost" and not self.is_unseen):
            return "", ""
        from overnight.supervisor.cause import Cause  # its syntax is younger than a job's Python

        cause = Cause.from_json(self.known.cause)
        if self.event == "finished" and cause.kind != "no_work":
            return "", ""
        if self.event == "lost" and cause.kind == "unknown":
            return "", cause.fix  # the opening sentence says as much
        return cause.text, cause.fix


def _epoch(at: float, total: float | None) -> str:
    """``epoch 17/20``, or ``epoch 17`` where nobody knows of how many."""
    if total is None:
        return say("alert.nth_epoch", count=counted(at))
    return say("alert.of_epoch", count=f"{counted(at)}/{counted(total)}")


def counted(value: float) -> str:
    """A counter: ``1,200``."""
    return f"{value:,.0f}" if value.is_integer() else number(value)


def _few_words(kind: str, fields: Mapping[str, str]) -> str:
    """What stands for a kind of cause in one line."""
    if kind == "missing_module" and "module" in fields:
        return say("alert.cause_missing_module", module=fields["module"])
    if kind == "signal" and "name" in fields:
        return say("alert.cause_signal", name=fields["name"])
    if kind == "exit_code" and "code" in fields:
        return say("alert.cause_exit_code", code=fields["code"])
    return say("alert.cause_" + (kind if kind in _BARE_KINDS else "unknown"))
