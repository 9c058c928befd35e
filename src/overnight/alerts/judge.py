"""What of a run is to be told: records go in, alerts come out.

The same records give the same alerts under the same keys, however often they are read: whoever was
killed reads the ledger anew from its start. What does not stand in the ledger (how far the run is,
numbers read off the log) comes from ``status.json``; what was seen there is in the snapshot.

    event()    events.jsonl    started, stalled, ended …     status()  status.json
    job()      job.jsonl       notify, early stopping        tick()    time alone: the heartbeat
    metrics()  metrics.jsonl   rules                         system()  system.jsonl: rules
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from overnight.alerts import early_stop
from overnight.alerts.known import finite, whole
from overnight.alerts.numbers import Numbers
from overnight.alerts.outlook import News, Outlook, Standing, standing
from overnight.alerts.pieces import Event
from overnight.alerts.settings import Settings
from overnight.ledger.format import row, time_us

#: What somebody gets up for: it may use the slots of a budget that are kept for it.
URGENT = frozenset({"crashed", "finished", "lost", "early_stopped", "stopped", "stalled"})

_SCHEMA = "overnight.judge/1"
#: ``overnight.progress`` writes once a second: of a run this short its last word may be old.
_SHORT_RUN_S = 30.0
_JOB_EVENTS = 100


@dataclass(frozen=True)
class Alert:
    """Something to be told.

    Attributes:
        event: Which of the events.
        key: Unique within the run; the same again when the ledger is read again.
        urgent: It may use what a budget keeps for urgent messages.
        facts: What is special to it; the run's own facts are the agent's to add.
        live: News of progress: may take the place of the message before.
    """

    event: Event
    key: str
    urgent: bool
    facts: Mapping[str, Any] = field(default_factory=dict)
    live: bool = False


class Judge:
    """Judges one run.

    Args:
        settings: What is to be told.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._attempt = 0
        self._is_over = False
        self._stalled: Mapping[str, Any] | None = None
        self._failed: Mapping[str, Any] = {}
        self._refused = ""
        self._restarts = False
        self._numbers = Numbers(settings.rules)
        # of each attempt, for its end
        self._job_events: dict[int, list[Mapping[str, Any]]] = {}
        self._progress: dict[int, Mapping[str, Any]] = {}
        self._fold: int | None = None
        # what status.json told
        self._outlook = Outlook(settings)
        self._standing: Standing | None = None
        self._many_folds = False

    # ── events.jsonl ─────────────────────────────────────────────────────────────────────

    def event(self, record: Mapping[str, Any]) -> list[Alert]:
        """Takes in a record of the supervisor's.

        Args:
            record: With the last 64 KB of the attempt's output as ``log_tail``, where it is
                ``Exited`` and the run ended well: early stopping is read there.
        """
        attempt, event = whole(record.get("_attempt")) or 0, record.get("_event")
        self._attempt = max(self._attempt, attempt)
        if event == "Started":
            self._is_over = False
            self._stalled, self._refused = None, ""
            again, self._restarts = self._restarts, False
            return [] if again else self._tell("started", f"started-{attempt}", {})
        if event == "Stalled":
            self._stalled = record
            facts = {"silent_s": record.get("silent_s")}
            return self._tell("stalled", f"stalled-{attempt}-{_seq(record)}", facts)
        if event == "Recovered" and self._stalled is not None:
            facts = {"silent_s": _silence_s(self._stalled, record)}
            self._stalled = None
            return self._tell("recovered", f"recovered-{attempt}-{_seq(record)}", facts)
        if event == "RestartRefused":
            self._refused = str(record.get("why", ""))
        elif event == "Restarting":
            self._restarts = True
            facts = {name: record.get(name) for name in ("in_s", "restarts_left")}
            return self._tell("restarting", f"restarting-{attempt}", {**self._failed, **facts})
        elif event == "Exited":
            self._is_over = True
            if record.get("final", True) is not False:
                return self._ended(attempt, record)
            cause = record.get("cause")
            self._failed = {"cause": cause} if isinstance(cause, Mapping) else {}
        return []

    def _ended(self, attempt: int, record: Mapping[str, Any]) -> list[Alert]:
        facts: dict[str, Any] = {"attempt": attempt}
        cause = record.get("cause")
        if isinstance(cause, Mapping):
            facts["cause"] = dict(cause)
        event: Event
        outcome = record.get("outcome")
        if outcome == "stopped":
            event = "stopped"
        elif outcome == "lost":
            event, facts["why"] = "lost", str(record.get("why", "unseen"))
        elif outcome == "failed" or (outcome is None and record.get("code") != 0):
            event = "crashed"
            if self._refused:
                facts["restart_refused"] = self._refused
        else:
            event = "finished"
            early = self._early_stop(attempt, record)
            if early is not None and "early_stopped" in self._settings.events:
                event = "early_stopped"
                facts.update(why=early.reason, text=early.evidence)
                # As it was printed: people count from 1 there, a callback may not.
                if early.epoch is not None and early.reason != "callback":
                    facts["epoch"] = early.epoch
        # One key for all: what is read again later may be known better, and was told already.
        return self._tell(event, f"ended-{attempt}", facts)

    def _early_stop(self, attempt: int, record: Mapping[str, Any]) -> early_stop.EarlyStop | None:
        tail = record.get("log_tail")
        done = total = None
        unit = ""
        now = self._standing
        # A plain bar may be an epoch's, and of folds nobody knows how many were wanted.
        counts = now is not None and now.source not in ("bar", "job") and not self._many_folds
        if now is not None and counts and now.attempt == attempt:
            done, total, unit = now.done, now.total, now.unit
        ran_s = record.get("ran_s")
        by_job = self._progress.get(attempt)
        if by_job is not None:
            unit = str(by_job.get("unit", ""))
            if unit == "epoch" or (isinstance(ran_s, (int, float)) and ran_s >= _SHORT_RUN_S):
                done, total = finite(by_job.get("done")), finite(by_job.get("total"))
        # From two files: which fold a word was about is told by when it was said.
        said = sorted(
            self._job_events.get(attempt, ()), key=lambda each: time_us(each.get("_t")) or 0
        )
        return early_stop.seen(tail if isinstance(tail, str) else "", done, total, said, unit=unit)

    def _note(self, attempt: int, record: Mapping[str, Any]) -> None:
        self._attempt = max(self._attempt, attempt)
        self._job_events[attempt] = [*self._job_events.get(attempt, ())][-_JOB_EVENTS:] + [record]

    # ── job.jsonl ────────────────────────────────────────────────────────────────────────

    def job(self, record: Mapping[str, Any], stem: str = "job") -> list[Alert]:
        """Takes in a record of the job's own.

        Args:
            record: The record.
            stem: Its file's name before ``.jsonl``: each process of a job numbers its own.
        """
        attempt, event = whole(record.get("_attempt")) or 0, record.get("_event")
        if event == "Notify":
            said = ("text", "title", "files", "channels")
            facts = {name: record[name] for name in said if name in record}
            return self._tell("text", f"text-{attempt}-{stem}-{_seq(record)}", facts)
        if event == "Progress":
            self._progress[attempt] = record
        else:
            self._note(attempt, record)
        if event == "NewBest":
            return self._of_news(self._numbers.best(record))
        return []

    # ── metrics.jsonl ────────────────────────────────────────────────────────────────────

    def metrics(self, record: Mapping[str, Any], stem: str = "metrics") -> list[Alert]:
        """Takes in a row of numbers.

        Args:
            record: The row as it stands in the file.
            stem: Its file's name before ``.jsonl``.
        """
        if "_seq" not in record:
            return []
        found = row(record, file=stem, segment=0)
        self._attempt = max(self._attempt, found.attempt)
        if found.scope.fold not in (None, self._fold):
            # For the end: an early stop of the fold before was not the run's.
            self._fold = found.scope.fold
            self._note(found.attempt, {"fold": found.scope.fold, "_t": found.t_us})
        return self._of_news(self._numbers.row(found))

    # ── system.jsonl ─────────────────────────────────────────────────────────────────────

    def system(self, record: Mapping[str, Any]) -> list[Alert]:
        """Takes in a sample of the job's machine."""
        return self._of_news(self._numbers.sample(record))

    # ── status.json ──────────────────────────────────────────────────────────────────────

    def status(self, status: Mapping[str, Any]) -> list[Alert]:
        """Takes in what the supervisor has worked out.

        Args:
            status: ``status.json`` as it is now. All its durations are the attempt's own.
        """
        now = standing(status)
        if now is None or now.attempt < self._attempt:
            return []
        self._standing = now
        self._many_folds = _has_folds(status.get("progress"))
        if self._is_over and now.attempt == self._attempt:
            return []
        news = self._outlook.see(now) + self._numbers.printed(now, status.get("metrics"))
        return self._of_news(news)

    def tick(self, elapsed_s: float) -> list[Alert]:
        """Time has passed and nothing else.

        Args:
            elapsed_s: Seconds since the present attempt's start.
        """
        if self._is_over or not elapsed_s >= 0 or math.isinf(elapsed_s):
            return []
        return self._of_news(self._outlook.beat(self._attempt, elapsed_s))

    def _of_news(self, news: Iterable[News]) -> list[Alert]:
        return [
            alert
            for each in news
            for alert in self._tell(
                each.event, each.key, each.facts, live=each.event == "heartbeat"
            )
        ]

    # ── kept between two lives of the agent ──────────────────────────────────────────────

    def snapshot(self) -> dict[str, Any]:
        """What does not stand in the ledger, ready for JSON. All else is read anew from it."""
        return {
            "schema": _SCHEMA,
            "outlook": self._outlook.dump(),
            "numbers": self._numbers.dump(),
        }

    def restore(self, snapshot: Any) -> None:
        """Goes on from a snapshot; the ledger is then fed from its start. A damaged one is none."""
        if not isinstance(snapshot, Mapping) or snapshot.get("schema") != _SCHEMA:
            return
        outlook, numbers = Outlook(self._settings), Numbers(self._settings.rules)
        try:
            outlook.load(snapshot["outlook"])
            numbers.load(snapshot["numbers"])
        except (AttributeError, IndexError, KeyError, OverflowError, TypeError, ValueError):
            return
        self._outlook, self._numbers = outlook, numbers

    def _tell(
        self, event: Event, key: str, facts: Mapping[str, Any], *, live: bool = False
    ) -> list[Alert]:
        if event not in self._settings.events:
            return []
        known = {name: value for name, value in facts.items() if value is not None}
        return [Alert(event, key, event in URGENT, known, live)]


def _has_folds(progress: Any) -> bool:
    folds = progress.get("folds") if isinstance(progress, Mapping) else None
    return isinstance(folds, list) and any(each is not None for each in folds)


def _silence_s(stalled: Mapping[str, Any], recovered: Mapping[str, Any]) -> float | None:
    """How long it had been silent, when it moved again."""
    before = finite(stalled.get("silent_s"))
    then_us, now_us = time_us(stalled.get("_t")), time_us(recovered.get("_t"))
    if before is None or then_us is None or now_us is None:
        return before
    return before + max(0.0, (now_us - then_us) / 1e6)


def _seq(record: Mapping[str, Any]) -> int:
    return whole(record.get("_seq")) or 0
