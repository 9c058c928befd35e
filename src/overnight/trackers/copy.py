"""Takes one run to one tracker: reads what is new, sends it, notes how far it is.

Nothing is done twice that shows: a batch is noted before it is sent, made again exactly where its
mirror died, and known to the tracker by its numbers. What a newer attempt has gone over again is
never shown: where it was sent already, the run is begun anew there.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from overnight import crashpoint
from overnight.ledger import files
from overnight.ledger.identity import ALIVE, Identity
from overnight.ledger.paths import RunPaths, kind_dir
from overnight.ledger.state import ENDED, Lost, Stopped, View, view
from overnight.outbox import track
from overnight.outbox.track import Asked, Wanted
from overnight.supervisor.ending import settle
from overnight.trackers import cursor as cursors
from overnight.trackers.about import about, end_of, event_facts, machine_facts
from overnight.trackers.base import Gone, Item, Point, Session, Tracker, patience_s
from overnight.trackers.batches import Batch, Batches
from overnight.trackers.counting import Counting, names_of
from overnight.trackers.items import item_of, num_bytes
from overnight.trackers.records import Places, Record, Records
from overnight.trackers.records import end_of as places_after

#: MLflow takes 1,000 values in a call, and a row has some.
_BATCH_RECORDS = 500
#: What this trainer of ours logs per step and per epoch: known before the first epoch is over.
_OUR_TRAINERS = {"lr": ("step", "epoch")}
#: What of the job's events is told beside its numbers.
_TOLD_EVENTS = ("Configured", "DatasetUsed")
#: Whether a run is over is asked this often where nothing new came of it.
_LOOK_AT_STATE_S = 2.0
#: A root that is not there may lie on a disk that is away for a while.
_AWAY_S = 86_400.0


class Copy:
    """One run on its way to one tracker.

    Args:
        asked: The run, and the tracker.
        tracker: It.
    """

    def __init__(self, asked: Asked, tracker: Tracker) -> None:
        self.asked = asked
        self.run: RunPaths = asked.run
        self.tracker = tracker
        #: Everything of it is there, or never will be.
        self.is_done = False
        #: Its end is there: only parts of it may be to come, unless it goes on.
        self.is_closed = False
        #: It was found there, or begun: its parts can be told what they are parts of.
        self.is_there = False
        #: How often the tracker took something.
        self.num_answers = 0
        #: How many seconds the call that is under way may take.
        self.patience_s = patience_s(0)
        self._cursor: cursors.Cursor | None = None
        self._records: Records | None = None
        self._counting = Counting()
        self._session: Session | None = None
        self._batches = Batches(self.run, asked.tracker)
        #: Somebody had deleted it, and it was begun anew since a person has asked for it.
        self._was_gone = False
        #: Batches that were made before and did not arrive: they are made again as they were.
        self._again: list[Batch] = []
        #: The end of a run that is over, and ``track.end_mark`` then.
        self._end: tuple[int, View] | None = None
        self._looked_at = 0.0
        self._described: set[str] = set()
        self._away_since = 0.0

    @property
    def cursor(self) -> cursors.Cursor:
        """How far it is. Raises OSError if that cannot be read now."""
        if self._cursor is None:
            self._cursor = cursors.read(self.run, self.asked.tracker, self.asked.lane)
        return self._cursor

    @property
    def was_taken(self) -> bool:
        """Whether all of it was there before. Raises OSError if that cannot be read now."""
        return self.cursor.closed == track.end_mark(self.run)

    def look(self) -> bool:
        """Takes one batch there; whether there may be more at once.

        Raises:
            Retry: The tracker does not answer; ask again.
            Refused: It will not have us.
            OSError: The run's disk does not answer, or is full.
        """
        if not Path(self.run.dir).is_dir():
            self._away()
            return False
        self._away_since = 0.0
        try:
            return self._look()
        except Gone as error:
            if self.asked.again and not self._was_gone:
                self._was_gone, self._session = True, None
                self._begin_anew()
                return True
            self.note_trouble(error.what, error.fix)
            self.cursor.closed = self.cursor.parts = track.end_mark(self.run)
            self.save()
            self.is_done = True
            return False

    def has_all_parts(self) -> None:
        """All parts of this run, which is closed, are there, or asked for by themselves."""
        if Path(self.run.children).is_dir():
            self.cursor.parts = self.cursor.closed
            self.save()
        self.is_done = True

    def _look(self) -> bool:
        if self._records is None and not self.asked.again and self.was_taken:
            self.is_closed = self.is_there = True  # by an earlier mirror; parts are to come
        if self.is_closed:
            if self.was_taken:
                return False
            self.is_closed = False
        # Asked before reading: what was written before its end is there once the end is.
        self._look_for_end()
        if self._records is None:
            self._survey()
        assert self._records is not None
        cursor = self.cursor
        records = self._records.take(_BATCH_RECORDS, self._up_to())
        for record in records:
            self._counting.see(record)
        if self._counting.outdated:
            self._begin_anew()
            return True
        if records or self._session is None:
            is_first = self._session is None
            session = self._open()
            if is_first and session.is_new and cursor.files:
                self._send_all_again()
                return True
            if is_first and session.has is not None and self._go_back(session.has):
                return True
            self._send(session, records)
        if records:
            return len(records) >= _BATCH_RECORDS or bool(self._again) or self._end is not None
        if self._end is not None:
            self._close(*self._end)
        return False

    def read_anew(self) -> None:
        """After something of the run's disk failed: what was taken from it may not have arrived."""
        self._cursor = self._records = None

    def leave(self) -> None:
        """Lets go of the run; whoever comes next goes on."""
        if self._session is not None:
            session, self._session = self._session, None
            session.leave()

    def note_trouble(self, what: str, fix: str) -> None:
        """Keeps what a person has to put right, for whoever asks how far the run is."""
        if (self.cursor.trouble, self.cursor.fix) != (what, fix):
            self.cursor.trouble, self.cursor.fix = what, fix
            self.save()

    def save(self) -> None:
        """Writes the cursor. Raises OSError if that fails."""
        self.cursor.save(self.run, self.asked.tracker)

    # -- reading -------------------------------------------------------------------------------

    def _survey(self) -> None:
        """Reads all rows there are: which of them count is known only from the newest."""
        cursor = self.cursor
        counting = Counting()
        if self._is_our_trainers():
            for key, kinds in _OUR_TRAINERS.items():
                counting.expect(key, kinds)
        counting.restore(cursor.sent)
        everything = Records(self.run.dir, {})
        while batch := everything.take(10_000):
            for record in batch:
                counting.see(record)
        self._counting = counting
        self._records = Records(self.run.dir, cursor.files)

    def _is_our_trainers(self) -> bool:
        kind = (files.read_json(self.run.run_json) or {}).get("kind")
        # A script's search has no config of its trials, a training's has.
        return kind in ("train", "pipeline") or (
            kind == "optimization" and Path(self.run.config_yaml).exists()
        )

    def _begin_anew(self) -> None:
        self.leave()
        self._forget_batches()
        self.cursor.begin_anew(generation=self.cursor.generation + 1)
        self.save()
        self._survey()

    def _send_all_again(self) -> None:
        """What was sent before is not there; the session stays, and begins with nothing."""
        self._forget_batches()
        self.cursor.begin_anew(generation=self.cursor.generation)
        self.save()
        self._survey()

    def _forget_batches(self) -> None:
        self._again = []
        self._batches.forget()

    def _up_to(self) -> Places | None:
        """Where the next batch ends, if it was made before."""
        return self._again[0].files if self._again else self.cursor.sending

    def _go_back(self, has: int) -> bool:
        """Goes back to what the tracker has; whether there is anything to be read again."""
        cursor, made = self.cursor, self._batches.read()
        at = Batch(0, cursor.number, cursor.files)
        if max(has, 0) < cursor.number:
            there = [batch for batch in made if batch.number <= has]
            at = there[-1] if there else Batch(0, 0, {})
            known = [at.number, *(batch.begin for batch in made if batch.number > at.number)]
            if not made or made[-1].number < cursor.number or known[:1] != known[1:2]:
                self._begin_anew()  # how its rows were numbered is not known any more
                return True
            cursor.sending = None
        self._again = [batch for batch in made if batch.number > at.number]
        if at.number == cursor.number and not self._again:
            return False
        cursor.files, cursor.number, cursor.num_records = at.files, at.number, at.number
        self.save()
        self._survey()
        return True

    # -- sending -------------------------------------------------------------------------------

    def _wanted(self) -> Wanted:
        found = [each for each in track.wanted(self.run) if each.name == self.asked.tracker]
        return found[0] if found else Wanted(self.asked.tracker, "", {})

    def _open(self) -> Session:
        if self._session is None:
            cursor = self.cursor
            known = bool(cursor.files) and not self.asked.again
            info = about(self.run, self._wanted(), generation=cursor.generation, known=known)
            self._session = self.tracker.open(info)
            self.is_there = True
            self.num_answers += 1
            if cursor.url != self._session.url or cursor.trouble:
                cursor.url, cursor.trouble, cursor.fix = self._session.url, "", ""
                self.save()
        return self._session

    def _send(self, session: Session, records: Sequence[Record]) -> None:
        self._describe(session, records)
        if not records:
            return
        cursor = self.cursor
        after: Places = places_after(list(records), cursor.files)
        counted = {id(record): each for record, each in names_of(records, self._counting)}
        for record in records:
            if id(record) in counted:
                self._counting.note_sent(record)
        # Noted before it is sent: whoever comes after us makes the same batch again.
        cursor.sending, cursor.sent = after, self._counting.sent()
        self.save()
        crashpoint.reach("mirror.begun")
        batch: list[Point | Item] = []
        number = cursor.number
        for record in records:
            # Every record uses a number up: which of them count may change, their numbers never.
            number += 1
            each = counted.get(id(record))
            if each is not None:
                file = record.stem + ".jsonl"
                batch.append(
                    Point(
                        number, each.t_us, each.kind, each.axis, each.prefix, each.values, file,
                        record.seq,
                    )
                )  # fmt: skip
            elif record.base == "media":
                item = item_of(self.run, record, number)
                batch += [] if item is None else [item]
        self.patience_s = patience_s(sum(map(num_bytes, batch)))
        rejected = session.send(batch) if batch else ()
        self.num_answers += 1
        self.patience_s = patience_s(0)
        crashpoint.reach("mirror.sent")
        cursor.reject(rejected)
        if session.has is not None and not self._again:
            if not cursor.number:
                self._batches.forget()  # of another address, or another key
            self._batches.note(Batch(cursor.number, number, after))
        self._again = [batch for batch in self._again if batch.number > number]
        cursor.files, cursor.sending = after, None
        cursor.number = number
        cursor.num_records += len(records)
        self.save()

    def _describe(self, session: Session, records: Sequence[Record]) -> None:
        """Says what is known of the run by now and was not when it was opened."""
        facts: dict[str, str] = {}
        if "machine" not in self._described and (machine := machine_facts(self.run)):
            self._described.add("machine")
            facts |= machine
        for record in records:
            event = record.data.get("_event")
            if record.base == "job" and event in _TOLD_EVENTS:
                facts |= event_facts(record.data, str(event))
        if facts:
            session.describe(facts)

    # -- the end -------------------------------------------------------------------------------

    def _look_for_end(self) -> None:
        """Finds out whether the run is over; where nobody wrote that down, does."""
        now = time.monotonic()
        mark = track.end_mark(self.run)
        if self._end is not None and self._end[0] == mark:
            return
        self._end = None
        if self._looked_at and now - self._looked_at < _LOOK_AT_STATE_S:
            return
        self._looked_at = now
        if self.run.parent is not None:
            seen_part = _ended_part(self.run, self.run.parent)
            self._end = None if seen_part is None else (mark, seen_part)
            return
        lease = files.read_json(self.run.lease) or {}
        supervisor = Identity.from_json(lease.get("supervisor"))
        seen = view(self.run)
        attended = supervisor is not None and supervisor.look() == ALIVE
        if isinstance(seen.state, ENDED) and seen.unsettled and not attended:
            seen, mark = settle(self.run), track.end_mark(self.run)
        if isinstance(seen.state, ENDED) and not seen.unsettled:
            self._end = mark, seen

    def _close(self, mark: int, seen: View) -> None:
        session = self._open()
        self.patience_s = 3 * patience_s(0)  # the last file, the end, and a look at what is there
        config = Path(self.run.config_yaml)
        if config.is_file():
            session.send([Item("config", "config.yaml", config, None, 0, self.cursor.number + 1)])
        session.close(end_of(seen, self.run))
        self._session = None
        self.cursor.closed = mark
        self.save()
        self.is_closed = True

    def _away(self) -> None:
        """The folder is not there: it was removed, or its disk is away."""
        self._away_since = self._away_since or time.monotonic()
        away_s = time.monotonic() - self._away_since
        # Not the root: that may be the empty folder which a disk is mounted on.
        runs_dir = Path(kind_dir(self.run.root, self.run.kind)).parent
        self.is_done = runs_dir.is_dir() or away_s > _AWAY_S


def _ended_part(part: RunPaths, whole: RunPaths) -> View | None:
    """A part's end: its own, or that of the whole, where it was cut off; None: it goes on."""
    seen = view(part)
    if Path(part.exit_json).exists():
        return seen if isinstance(seen.state, ENDED) else None
    end = view(whole)
    if not isinstance(end.state, ENDED) or end.unsettled:
        return None
    state = end.state if isinstance(end.state, Stopped) else Lost("unseen")
    return replace(seen, state=state, ended_us=end.ended_us, unsettled=False)
