"""What a run is now, folded from what its folder holds. Nothing here writes.

The fold needs only ``events.jsonl``, ``keeper.json``, ``exit.json``, ``lease`` and which processes
live. ``status.json`` adds what the supervisor has worked out (time left, samples) and may be
missing.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Union

from overnight.ledger.files import read_json
from overnight.ledger.format import time_us
from overnight.ledger.identity import ALIVE, CANNOT_TELL, Identity
from overnight.ledger.paths import RunPaths
from overnight.ledger.reader import read

#: The supervisor renews its lease this often.
LEASE_EVERY_S = 30
#: From elsewhere, a lease older than this many renewals no longer speaks for a living run.
LEASE_FRESH_S = 4 * LEASE_EVERY_S
#: Three centuries; what lies beyond is garbage.
_MAX_S = 1e10
#: A run that nobody started within this time never will be.
_QUEUED_AT_MOST_S = 60


@dataclass(frozen=True)
class Queued:
    """Its folder exists; the job does not run yet."""


@dataclass(frozen=True)
class Running:
    """The job runs and is looked after. ``seen_s``: age of the sign of life, from elsewhere."""

    host: str
    seen_s: float | None = None


@dataclass(frozen=True)
class Stalled:
    """The job lives, but neither writes nor computes."""

    silent_s: float


@dataclass(frozen=True)
class Restarting:
    """The last attempt failed; the next one starts by itself."""

    attempt: int


@dataclass(frozen=True)
class Stopping:
    """A person asked for a stop; the job may still be saving."""

    by: str


@dataclass(frozen=True)
class Finished:
    """The job ended well."""

    code: int = 0


@dataclass(frozen=True)
class Failed:
    """The job ended badly. ``cause`` as supervisor.diagnose wrote it; None: not looked at yet."""

    code: int | None
    signal: int | None
    cause: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class Stopped:
    """A person stopped it."""

    code: int | None
    signal: int | None


@dataclass(frozen=True)
class Unattended:
    """The job lives; its supervisor is gone. It can be stopped, waited for and taken over."""

    job_pid: int


@dataclass(frozen=True)
class Lost:
    """The job is gone and nobody saw how: ``reboot``, ``unseen`` or ``never_started``."""

    why: str


@dataclass(frozen=True)
class Elsewhere:
    """It ran on another machine or in a container, and gives no fresh sign of life."""

    host: str
    seen_s: float | None


State = Union[
    Queued, Running, Stalled, Restarting, Stopping,
    Finished, Failed, Stopped, Unattended, Lost, Elsewhere,
]  # fmt: skip
STATES: tuple[type[Any], ...] = (
    Queued, Running, Stalled, Restarting, Stopping,
    Finished, Failed, Stopped, Unattended, Lost, Elsewhere,
)  # fmt: skip
#: Nothing happens in these any more unless a person asks for it.
ENDED = (Finished, Failed, Stopped, Lost)


def word(state: State) -> str:
    """The state's name as ``--json`` shows it: ``finished``, ``failed`` and so on."""
    return type(state).__name__.lower()


def state_to_json(state: State) -> dict[str, Any]:
    """The state as JSON values; its name is under ``state``."""
    return {"state": word(state), **asdict(state)}


def state_from_json(value: Mapping[str, Any]) -> State | None:
    """The state in a JSON object, or None if it holds none this version knows."""
    for each in STATES:
        if each.__name__.lower() == value.get("state"):
            known = {f.name: value[f.name] for f in fields(each) if f.name in value}
            try:
                return each(**known)  # type: ignore[no-any-return]
            except TypeError:
                return None
    return None


@dataclass(frozen=True)
class View:
    """A run as it is now."""

    run: RunPaths
    state: State
    attempt: int
    started_us: int | None
    ended_us: int | None
    #: Seconds the newest attempt ran, where that is over and was measured.
    ran_s: float | None
    #: The supervisor has not written this end down yet: settle() may.
    unsettled: bool = False


def view(run: RunPaths) -> View:
    """Folds a run's folder into what it is now. A damaged folder still gives an answer."""
    book = read(run.dir, "events")
    attempt, started_us, begun_us = 0, None, None
    closed: dict[str, Any] | None = None
    open_event = ""
    stalled: float | None = None
    for record in book.records:
        event = record.get("_event")
        attempt = max(attempt, _int(record.get("_attempt")) or 0)
        begun_us = begun_us or time_us(record.get("_t"))
        if event == "Started":
            started_us = started_us or time_us(record.get("_t"))
            closed, stalled, open_event = None, None, "Started"
        elif event == "Stalled":
            stalled = _float(record.get("silent_s")) or 0.0
        elif event == "Recovered":
            stalled = None
        elif event == "Stopping":
            open_event = "Stopping"
            stop_by = str(record.get("by", ""))
        elif event == "Exited":
            closed, stalled = record, None
        elif event in ("Resumed", "Restarting"):
            closed, stalled, open_event = None, None, str(event)

    if closed is not None and closed.get("final", True):
        return View(
            run, _ended_state(closed), attempt, started_us, time_us(closed.get("_t")),
            _float(closed.get("ran_s")),
        )  # fmt: skip

    lease = read_json(run.lease) or {}
    supervisor = Identity.from_json(lease.get("supervisor"))
    keeper_file = read_json(run.keeper_json) or {}
    if _int(keeper_file.get("attempt")) is not None:
        attempt = max(attempt, _int(keeper_file.get("attempt")) or 0)
    job = Identity.from_json(keeper_file.get("job"))
    keeper = Identity.from_json(keeper_file.get("keeper"))
    if not book.records and job is None and supervisor is None:
        return _unsupervised(run)

    attended = supervisor.look() if supervisor is not None else "gone"
    if attended == CANNOT_TELL:
        assert supervisor is not None
        seen_s = _age_s(run.lease)
        if seen_s is not None and seen_s <= LEASE_FRESH_S:
            state: State = Running(supervisor.host, seen_s)
        else:
            state = Elsewhere(supervisor.host, seen_s)
        return View(run, state, attempt, started_us, None, None)
    if attended == ALIVE:
        assert supervisor is not None
        if open_event == "Stopping":
            state = Stopping(stop_by)
        elif closed is not None or open_event == "Restarting":
            state = Restarting(attempt)
        elif stalled is not None:
            state = Stalled(stalled)
        elif open_event == "Started":
            state = Running(supervisor.host)
        else:
            state = Queued()
        return View(run, state, attempt, started_us, None, None)

    # Nobody looks after it any more.
    ended = read_json(run.exit_json)
    if ended is not None and _int(ended.get("attempt")) == attempt:
        # A block that a program opened for itself knows that it was interrupted.
        outcome = "stopped" if open_event == "Stopping" else ended.get("outcome")
        record = {**ended, "outcome": outcome}
        ended_us = time_us(ended.get("ended_us"))
        return View(
            run, _ended_state(record), attempt, started_us, ended_us,
            _float(ended.get("ran_s")), unsettled=True,
        )  # fmt: skip
    for process in (job, keeper):
        if process is not None and process.look() == ALIVE:
            job_pid = job.pid if job is not None else process.pid
            return View(run, Unattended(job_pid), attempt, started_us or begun_us, None, None)
    if job is not None and job.rebooted or (supervisor is not None and supervisor.rebooted):
        state = Lost("reboot")
    else:
        state = Lost("unseen" if job is not None else "never_started")
    return View(run, state, attempt, started_us, None, None, unsettled=True)


def _ended_state(record: Mapping[str, Any]) -> State:
    code, signal = _int(record.get("code")), _int(record.get("signal"))
    outcome, cause = record.get("outcome"), record.get("cause")
    if outcome == "stopped":
        return Stopped(code, signal)
    if outcome == "lost":
        return Lost(str(record.get("why", "unseen")))
    if code == 0 and outcome in (None, "finished"):
        return Finished()
    return Failed(code, signal, cause if isinstance(cause, dict) else None)


def _unsupervised(run: RunPaths) -> View:
    """A run that a script opened for itself with ``overnight.init()``, or one just being made."""
    info = read_json(run.run_json) or {}
    created_us = time_us(info.get("created_us"))
    process = Identity.from_json(info.get("process"))
    ended = read_json(run.exit_json)
    if ended is not None:
        return View(
            run, _ended_state(ended), 0, created_us, time_us(ended.get("ended_us")),
            _float(ended.get("ran_s")),
        )  # fmt: skip
    if process is not None:
        look = process.look()
        if look == ALIVE:
            return View(run, Running(process.host), 0, created_us, None, None)
        if look == CANNOT_TELL:
            return View(run, Elsewhere(process.host, None), 0, created_us, None, None)
        why = "reboot" if process.rebooted else "unseen"
        return View(run, Lost(why), 0, created_us, None, None)
    age_s = _age_s(run.run_json if info else run.dir)
    fresh = age_s is not None and age_s < _QUEUED_AT_MOST_S
    return View(run, Queued() if fresh else Lost("never_started"), 0, None, None, None)


def exit_status(state: State) -> int | None:
    """What ``wait`` returns for an ended run: the job's code, 128+n for a signal, 125 if unseen."""
    if isinstance(state, Finished):
        return state.code
    if isinstance(state, (Failed, Stopped)):
        if state.signal is not None:
            return 128 + state.signal
        return 125 if state.code is None else state.code
    return 125 if isinstance(state, (Lost, Elsewhere)) else None


def _age_s(path: str) -> float | None:
    try:
        return max(0.0, time.time() - os.stat(path).st_mtime)
    except OSError:
        return None


def _int(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _float(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    # Bounded both ways, so that whoever shows a duration may round it.
    return float(value) if -_MAX_S < value < _MAX_S else None
