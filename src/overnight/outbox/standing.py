"""How far a run's records have come on their way to its trackers, and what keeps them.

The trials of a search are counted with it: a person looks at the search.

For whoever looks: ``status``, ``sync``, a command that follows, the doctor. What the mirror notes
are facts; the sentences are made here, in the reader's language.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import reduce
from typing import Any

from overnight.ledger import files
from overnight.ledger.paths import RunPaths
from overnight.ledger.reader import Tail, stems
from overnight.messages import say
from overnight.outbox.folder import AgentPaths, agent_paths
from overnight.outbox.track import (
    BASES,
    asked,
    is_done,
    parts,
    positions_of,
    wait_s,
    wanted,
    whole,
)


@dataclass(frozen=True)
class Standing:
    """How far a tracker has come with a run.

    Attributes:
        url: Where a person finds the run; empty before it was there.
        sent: Records it has.
        left: Records it has not.
        closed: It has the run's end as well.
        num_rejected: Values it will not take: they are in the ledger only.
        rejected: Some of their names, and why.
        trouble: What a person has to put right, or why it is tried again later; may be empty.
        fix: What to do about it.
        failures: How often in a row that happened.
        failed_us: When it did last; 0: it is not failing.
        retry_s: In how many seconds it is tried again; 0: as soon as possible, or not at all.
    """

    tracker: str
    url: str
    sent: int
    left: int
    closed: bool
    num_rejected: int
    rejected: Mapping[str, str]
    trouble: str
    fix: str
    failures: int
    failed_us: int
    retry_s: int


def standing(run: RunPaths) -> list[Standing]:
    """How far each tracker of a run has come."""
    paths = agent_paths()
    return [
        reduce(_with, (_standing(paths, each, to.name) for each in _all(run, to.name)))
        for to in wanted(run)
    ]


def _all(run: RunPaths, tracker: str) -> Iterator[RunPaths]:
    """A run and its trials."""
    yield run
    yield from parts(run, tracker)


def _with(one: Standing, part: Standing) -> Standing:
    """The standing of a run and of a part of it, as that of one run."""
    worse = part if part.trouble and not one.trouble else one
    return replace(
        one,
        sent=one.sent + part.sent,
        left=one.left + part.left,
        closed=one.closed and part.closed,
        num_rejected=one.num_rejected + part.num_rejected,
        rejected={**part.rejected, **one.rejected},
        trouble=worse.trouble,
        fix=worse.fix,
        failures=worse.failures,
        failed_us=worse.failed_us,
        retry_s=worse.retry_s,
    )


def _standing(paths: AgentPaths, run: RunPaths, tracker: str) -> Standing:
    cursor = files.read_json(run.cursor(tracker)) or {}
    rejected = cursor.get("rejected")
    rejected = rejected if isinstance(rejected, dict) else {}
    keys = rejected.get("keys")
    closed = is_done(run, tracker)
    waits = {} if closed else _waits(paths, run, tracker)
    trouble, fix = str(cursor.get("trouble") or ""), str(cursor.get("fix") or "")
    if waits and not trouble:
        trouble = retried(tracker, waits)
    return Standing(
        tracker=tracker,
        url=str(cursor.get("url") or ""),
        sent=whole(cursor.get("num_records")),
        left=0 if closed else _num_after(run, positions_of(cursor)),
        closed=closed,
        num_rejected=whole(rejected.get("num")),
        rejected={
            str(key): str(said.get("why", ""))
            for key, said in (keys.items() if isinstance(keys, dict) else ())
            if isinstance(said, dict)
        },
        trouble=trouble,
        fix=fix,
        failures=whole(waits.get("failures")),
        failed_us=whole(waits.get("decided_us")),
        retry_s=round(wait_s(waits)),
    )


def retried(tracker: str, waits: Mapping[str, Any]) -> str:
    """Why it is tried again, and when."""
    minutes = -(-round(wait_s(waits)) // 60)
    key = "track.retry" if minutes else "track.retry_now"
    return say(key, tracker=tracker, why=str(waits.get("why") or "?"), minutes=minutes,
               number=whole(waits.get("failures")))  # fmt: skip


def _waits(paths: AgentPaths, run: RunPaths, tracker: str) -> Mapping[str, Any]:
    """What keeps a run that is asked for: itself, or its tracker; nothing where nothing does."""
    said = _read(paths.mirrored(run.dir, tracker))
    if said.get("dir") != run.dir:
        return {}
    if wait_s(said):
        return said
    state = _read(paths.tracker_state(str(said.get("lane"))))
    return state if whole(state.get("failures")) else {}


def _read(path: str) -> Mapping[str, Any]:
    try:
        return files.read_json(path) or {}
    except OSError:  # another user's, or a disk that is away: then nothing is known of it
        return {}


def waiting() -> list[tuple[RunPaths, Standing]]:
    """The runs of which something is yet to be taken to a tracker, and how far it is."""
    return [
        (request.run, each)
        for request in asked()
        for each in standing(request.run)
        if each.tracker == request.tracker
    ]


def total(run: RunPaths, tracker: str) -> int:
    """How many records of a run and its trials there are for a tracker."""
    return sum(_num_after(each, {}) for each in _all(run, tracker))


def _num_after(run: RunPaths, positions: Mapping[str, tuple[int, int]]) -> int:
    number = 0
    for base in BASES:
        for stem in stems(run.dir, base):
            segment, seq = positions.get(stem, (0, -1))
            number += sum(1 for _ in Tail(run.dir, stem, segment=segment, after=seq).read())
    return number
