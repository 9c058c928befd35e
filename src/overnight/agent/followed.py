"""One run that is followed: what is new in its ledger becomes messages in the outbox."""

from __future__ import annotations

import math
import os
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from typing import Any

from overnight.alerts.facts import facts_of
from overnight.alerts.judge import Alert, Judge
from overnight.alerts.settings import Settings
from overnight.ledger import files
from overnight.ledger.format import time_us
from overnight.ledger.identity import ALIVE, Identity
from overnight.ledger.paths import RunPaths, kind_dir
from overnight.ledger.reader import Tail, stems
from overnight.ledger.state import ENDED, Unattended, view
from overnight.outbox.folder import AgentPaths
from overnight.outbox.message import Message, is_known, put
from overnight.outbox.reserve import give_back_if_full
from overnight.supervisor import report
from overnight.supervisor.ending import log_tail, settle

assert sys.platform != "win32"

#: Without a supervisor nobody tells of the end: one looks for oneself, this often.
_LOOK_YOURSELF_S = 5.0
#: A root that is not there may lie on a disk that is away for a while.
_AWAY_S = 86_400.0
#: What was told is noted for a month: of what is older nobody knows whether it was.
_OLD_US = 30 * 86_400 * 1_000_000
_PUTS_FOR_S = 0.5
_MOST_COMPLAINTS = 20
#: What the run's page goes along with.
_WITH_REPORT = frozenset(["finished", "early_stopped", "crashed", "stopped"])


class Followed:
    """Follows one run.

    Args:
        paths: The agent's.
        run: The run; its ``notify.json`` says what is to be told.

    Raises:
        OSError: The run cannot be read now.
    """

    def __init__(self, paths: AgentPaths, run: RunPaths) -> None:
        self.paths = paths
        self.run = run
        #: Whether all of it was put into the outbox.
        self.is_done = False
        #: Whether a look ended before all of it was: the next is to come soon.
        self.has_more = False
        self.settings = Settings()
        self.judge = Judge(self.settings)
        self._asked: dict[str, Any] | None = None
        self._tails: dict[str, Tail] = {}
        #: Read, and not yet judged: what else is told by them has to be known first.
        self._events: list[dict[str, Any]] = []
        #: What the disk has not yet taken.
        self._pending: list[Alert] = []
        #: What went wrong in Overnight itself: each thing is written to the log once.
        self._complained: set[str] = set()
        self._ended = False
        #: The monotonic clock when that was seen first.
        self._ended_at = 0.0
        #: Where the newest attempt's output begins in the log.
        self._log_from = 0
        self._status: dict[str, Any] = {}
        self._status_at = 0
        self._looked_at = 0.0
        self._away_since = 0.0
        self._snapshot: Any = None
        self._read_settings()

    @property
    def is_read(self) -> bool:
        """Whether it is known what is to be told; not where the run's disk was away so far."""
        return self._asked is not None

    @property
    def channels(self) -> tuple[str, ...]:
        """Where it is told."""
        return self.settings.channels

    def _read_settings(self) -> None:
        """Reads notify.json; a job may ask for more while it runs."""
        asked = files.read_json(self.run.notify_json)
        if asked is None and self._asked is None and os.path.exists(self.run.notify_json):
            say = "is damaged: nothing can be told of this run"
            sys.stderr.write(f"{self.run.notify_json} {say}\n")
            asked = {}
        if asked is None or asked == self._asked:  # damaged: what was asked before still counts
            return
        self._asked = asked
        self.settings = Settings.from_json(asked)
        self.judge = Judge(self.settings)
        self.judge.restore((files.read_json(self.paths.judged(self.run.dir)) or {}).get("judge"))
        # Read anew from the start: the same alerts come under the same keys.
        self._tails, self._events = {}, []

    def look(self) -> None:
        """Puts what is new into the outbox.

        Raises:
            OSError: The disk is full, or the run's folder cannot be read; ask again.
        """
        if not os.path.isdir(self.run.dir):  # removed: nothing is to be told any more
            self._away_since = self._away_since or time.monotonic()
            away_s = time.monotonic() - self._away_since
            # Not the root: that may be the empty folder which a disk is mounted on.
            runs_dir = os.path.dirname(kind_dir(self.run.root, self.run.kind))
            self.is_done = os.path.isdir(runs_dir) or away_s > _AWAY_S
            return
        self._away_since = 0.0
        self._read_settings()
        self._look_yourself()
        # What was written before an end is there once the end is: so events are read first, and
        # judged last.
        self._events += (record for _, record in self._new("events"))
        for base in ("metrics", "job", "system"):
            for stem, record in self._new(base):
                self._attempt(partial(self._judge, base, stem, record))
        self._attempt(self._read_status)
        for record in self._events:
            self._attempt(partial(self._judge, "events", "events", record))
        self._events = []
        if not self._ended and os.path.exists(self.run.exit_json):
            give_back_if_full(self.paths)  # on the same disk its end cannot be written down either
        self._put_pending()
        self.is_done = self._ended and not self._pending
        self._save()

    def _new(self, base: str) -> Iterator[tuple[str, dict[str, Any]]]:
        """What came since the last look, with the name of its file."""
        for stem in stems(self.run.dir, base):
            tail = self._tails.setdefault(stem, Tail(self.run.dir, stem))
            for record in tail.read():
                yield stem, record

    def _judge(self, base: str, stem: str, record: dict[str, Any]) -> None:
        alerts = self._judged(base, stem, record)
        said_us = time_us(record.get("_t"))
        if said_us is None or time.time_ns() // 1000 - said_us < _OLD_US:
            self._pending += alerts

    def _attempt(self, do: Callable[[], None]) -> None:
        """Does something with one record: what goes wrong there must not silence the run.

        The traceback is in the agent's log, once. OSError is raised: it may work at the next look.
        """
        try:
            do()
        except OSError:
            raise
        except Exception:
            text = traceback.format_exc()
            if text not in self._complained and len(self._complained) < _MOST_COMPLAINTS:
                self._complained.add(text)
                sys.stderr.write(f"{self.run.dir}\n{text}")

    def _judged(self, base: str, stem: str, record: dict[str, Any]) -> list[Alert]:
        if base == "metrics":
            return self.judge.metrics(record, stem)
        if base == "job":
            return self.judge.job(record, stem)
        if base == "system":
            return self.judge.system(record)
        self._note(record)
        return self.judge.event(self._with_log(record))

    def _note(self, record: dict[str, Any]) -> None:
        event = record.get("_event")
        if event == "Exited":
            self._ended = record.get("final", True) is True
        elif event in ("Started", "Resumed", "Adopted", "Restarting"):
            self._ended, self._ended_at = False, 0.0
        if event == "Started":
            log_bytes = record.get("log_bytes")
            self._log_from = log_bytes if isinstance(log_bytes, int) else 0

    def _with_log(self, record: dict[str, Any]) -> dict[str, Any]:
        """The end of the log goes with a good end: early stopping stands there."""
        if record.get("_event") == "Exited" and record.get("outcome") == "finished":
            return {**record, "log_tail": log_tail(self.run, since=self._log_from)}
        return record

    def _read_status(self) -> None:
        """What the supervisor has worked out; where that stands still, time goes on alone."""
        try:
            changed = os.stat(self.run.status_json).st_mtime_ns
        except OSError:
            return
        now_us = time.time_ns() // 1000
        if changed != self._status_at:
            self._status = files.read_json(self.run.status_json) or {}
            self._pending += self.judge.status(self._status)
            self._status_at = changed
            return
        elapsed_s, updated_us = self._status.get("elapsed_s"), self._status.get("updated_us")
        if isinstance(elapsed_s, float) and isinstance(updated_us, int) and not self._ended:
            self._pending += self.judge.tick(elapsed_s + max(0, now_us - updated_us) / 1e6)

    def _look_yourself(self) -> None:
        """Where the supervisor is gone, sees whether the run is too, and writes that down."""
        now = time.monotonic()
        if self._looked_at and now - self._looked_at < _LOOK_YOURSELF_S:
            return
        self._looked_at = now
        lease = files.read_json(self.run.lease) or {}
        supervisor = Identity.from_json(lease.get("supervisor"))
        if supervisor is not None and supervisor.look() == ALIVE:
            return
        seen = settle(self.run)
        if isinstance(seen.state, ENDED) and not seen.unsettled:
            self._ended = True
        elif isinstance(seen.state, Unattended) and seen.started_us is not None:
            # Nobody works anything out any more; the signs of life go on.
            elapsed_s = time.time() - seen.started_us / 1e6
            self._pending += self.judge.tick(elapsed_s)

    def _put_pending(self) -> None:
        """Puts alerts into the outbox, for a moment: the couriers of the others wait meanwhile."""
        until = math.inf
        facts: dict[str, Any] = {}
        self.has_more = False
        while self._pending and time.monotonic() < until:
            if self._pending[0].event in _WITH_REPORT and self._report_is_due():
                return  # its supervisor wakes this process when it is there
            self._attempt(partial(self._put, self._pending[0], facts))
            del self._pending[0]
            # From the first on: with that one the facts were gathered, however long it took.
            until = min(until, time.monotonic() + _PUTS_FOR_S)
        self.has_more = bool(self._pending)

    def _report_is_due(self) -> bool:
        """Whether the run's page is worth a moment's wait, so that it goes with its end."""
        now = time.monotonic()
        if not self._ended:
            return False
        self._ended_at = self._ended_at or now
        return now - self._ended_at < report.WITHIN_S and report.is_due(self.run)

    def _put(self, alert: Alert, facts: dict[str, Any]) -> None:
        """One message per channel. Raises OSError if the outbox cannot be written.

        Args:
            alert: What is to be told.
            facts: Those of the run, once they are known: gathering them takes a third of a second.
        """
        special = dict(alert.facts)
        named = _texts(special.pop("channels", None)) or self.settings.channels
        attached = _texts(special.get("files"))
        if alert.event in _WITH_REPORT and report.is_there(self.run):
            attached += (self.run.report,)
        message = Message(
            key=f"{self.run.dir}\0{alert.key}",
            channel="",
            event=alert.event,
            created_us=time.time_ns() // 1000,
            urgent=alert.urgent,
            live=alert.live,
            template=self.settings.template,
            language=self.settings.language,
            files=attached,
            run_dir=self.run.dir,
        )
        for channel in named:
            form = self.settings.formats.get(channel) or self.settings.format or ""
            mine = replace(message, channel=channel, format=form)
            if is_known(self.paths, mine):
                continue
            if not facts:
                facts.update(facts_of(self.run, view(self.run), now_us=message.created_us))
            put(self.paths, replace(mine, facts={**facts, **special}))

    def _save(self) -> None:
        """Keeps what cannot be read anew from the ledger: what the time left was before."""
        snapshot = self.judge.snapshot()
        if snapshot != self._snapshot:
            said = files.to_json({"dir": self.run.dir, "judge": snapshot})
            files.replace(self.paths.judged(self.run.dir), said, sync=False)
            self._snapshot = snapshot


def _texts(value: object) -> tuple[str, ...]:
    """What a job said where names are meant: one, several, or anything at all."""
    if isinstance(value, str):
        return (value,)
    if not isinstance(value, list):
        return ()
    return tuple(each for each in value if isinstance(each, str))
