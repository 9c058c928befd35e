"""Takes one run to one tracker: reads what is new, sends it, notes how far it is.

Nothing is done twice that shows: a batch is noted before it is sent, made again exactly where its
mirror died, and known to the tracker by its numbers. What a newer attempt has gone over again is
never shown: where it was sent already, the run is begun anew there.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

from overnight import crashpoint
from overnight.ledger import files
from overnight.ledger.format import Scope
from overnight.ledger.identity import ALIVE, Identity
from overnight.ledger.paths import RunPaths, kind_dir
from overnight.ledger.state import ENDED, View, view
from overnight.outbox import track
from overnight.outbox.track import Asked, Wanted
from overnight.supervisor.ending import settle
from overnight.trackers import cursor as cursors
from overnight.trackers.about import about, end_of, event_facts, machine_facts
from overnight.trackers.base import Gone, Item, Point, Session, Tracker, patience_s
from overnight.trackers.batches import Batch, Batches
from overnight.trackers.counting import Counting, names_of, prefix_of
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
        #: The end of a run that is over, and how long its events were then.
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
            self.cursor.closed = track.events_bytes(self.run)
            self.save()
            self.is_done = True
            return False

    def _look(self) -> bool:
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
        if (files.read_json(self.run.run_json) or {}).get("kind") == "train":
            for key, kinds in _OUR_TRAINERS.items():
                counting.expect(key, kinds)
        counting.restore(cursor.sent)
        everything = Records(self.run.dir, {})
        while batch := everything.take(10_000):
            for record in batch:
                counting.see(record)
        self._counting = counting
        self._records = Records(self.run.dir, cursor.files)

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
                item = self._item(record, number)
                batch += [] if item is None else [item]
        self.patience_s = patience_s(sum(map(_num_bytes, batch)))
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

    def _item(self, record: Record, number: int) -> Item | None:
        """A record of media.jsonl; None where it names no file that is there."""
        data = record.data
        kind, key, where = data.get("_kind"), data.get("key"), data.get("path")
        if not isinstance(kind, str) or not isinstance(key, str) or not key:
            return None
        path = Path(self.run.dir)
        if kind not in ("artifact", "histogram"):  # these name no file, or several
            if not isinstance(where, str):
                return None
            path = path / where
            # A record of a foreign hand must not carry out what lies elsewhere.
            if not path.is_file() or not path.resolve().is_relative_to(
                Path(self.run.dir).resolve()
            ):
                return None
        each = record.row
        axis = each.step if each.step is not None else each.epoch
        aliases = data.get("aliases")
        return Item(
            kind=kind,
            key=prefix_of(Scope(each.scope.fold, each.scope.trial, each.scope.stage)) + key,
            path=path,
            step=axis,
            t_us=record.t_us,
            number=number,
            record=data,
            aliases=[str(a) for a in aliases] if isinstance(aliases, list) else (),
        )

    # -- the end -------------------------------------------------------------------------------

    def _look_for_end(self) -> None:
        """Finds out whether the run is over; where nobody wrote that down, does."""
        now = time.monotonic()
        num_bytes = track.events_bytes(self.run)
        if self._end is not None and self._end[0] == num_bytes:
            return
        self._end = None
        if self._looked_at and now - self._looked_at < _LOOK_AT_STATE_S:
            return
        self._looked_at = now
        lease = files.read_json(self.run.lease) or {}
        supervisor = Identity.from_json(lease.get("supervisor"))
        seen = view(self.run)
        attended = supervisor is not None and supervisor.look() == ALIVE
        if isinstance(seen.state, ENDED) and seen.unsettled and not attended:
            seen, num_bytes = settle(self.run), track.events_bytes(self.run)
        if isinstance(seen.state, ENDED) and not seen.unsettled:
            self._end = num_bytes, seen

    def _close(self, num_bytes: int, seen: View) -> None:
        session = self._open()
        self.patience_s = 3 * patience_s(0)  # the last file, the end, and a look at what is there
        config = Path(self.run.config_yaml)
        if config.is_file():
            session.send([Item("config", "config.yaml", config, None, 0, self.cursor.number + 1)])
        session.close(end_of(seen, self.run))
        self._session = None
        self.cursor.closed = num_bytes
        self.save()
        self.is_done = True

    def _away(self) -> None:
        """The folder is not there: it was removed, or its disk is away."""
        self._away_since = self._away_since or time.monotonic()
        away_s = time.monotonic() - self._away_since
        # Not the root: that may be the empty folder which a disk is mounted on.
        runs_dir = Path(kind_dir(self.run.root, self.run.kind)).parent
        self.is_done = runs_dir.is_dir() or away_s > _AWAY_S


def _num_bytes(each: Point | Item) -> int:
    """How much a file, or all of an artifact's, has to be carried there."""
    if isinstance(each, Point):
        return 0
    parts = each.record.get("files")
    if isinstance(parts, list):
        return sum(part["bytes"] for part in parts if type(part.get("bytes")) is int)
    try:
        return each.path.stat().st_size
    except OSError:  # gone since it was noted: the tracker says so
        return 0
