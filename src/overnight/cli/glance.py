"""What can be told of a run, gathered from its folder: its state, its pace, its newest numbers.

Every verb that shows runs looks through here, so all of them say the same.
"""

from __future__ import annotations

import contextlib
import math
import os
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from overnight.cli.output import now_us
from overnight.errors import LedgerError
from overnight.ledger.files import read_json
from overnight.ledger.format import decode, row, time_us
from overnight.ledger.identity import Identity
from overnight.ledger.paths import RunPaths
from overnight.ledger.reader import stems
from overnight.ledger.state import (
    ENDED,
    Elsewhere,
    Failed,
    Finished,
    Queued,
    Restarting,
    Running,
    Stalled,
    Stopping,
    Unattended,
    View,
    exit_status,
    state_to_json,
    view,
)
from overnight.ledger.writer import segment_path, segments

#: The newest values of a metrics file stand in its last piece of this size.
_TAIL_BYTES = 64 * 1024
_MAX_S = 1e10
_NON_FINITE = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}


@dataclass(frozen=True, slots=True)
class Estimate:
    """How far a run is, as of now.

    Attributes:
        done: Units that are over.
        total: Of how many; None where nothing told.
        unit: ``epoch``, ``step``, or the job's own word.
        fraction: Share of the whole, 0..1; None where the end is not known.
        left_s: Lowest and highest seconds left; None where they cannot be known.
        at_most: The highest is an upper bound: it may stop early.
    """

    done: float | None
    total: float | None
    unit: str
    fraction: float | None
    left_s: tuple[float, float] | None
    at_most: bool


@dataclass(frozen=True, slots=True)
class Glance:
    """One run as it is now."""

    view: View
    #: run.json.
    info: Mapping[str, Any]
    estimate: Estimate | None = None
    metrics: Mapping[str, float] = field(default_factory=dict)
    sample: Mapping[str, float] = field(default_factory=dict)
    #: Seconds the newest attempt has run so far, or ran.
    ran_s: float | None = None
    #: Seconds since the supervisor last had news to write down.
    age_s: float | None = None

    @property
    def run(self) -> RunPaths:
        """Its folder."""
        return self.view.run

    @property
    def name(self) -> str:
        """What the person calls it."""
        name = self.info.get("name")
        return name if isinstance(name, str) and name else self.run.run_id

    @property
    def started_us(self) -> int | None:
        """When it was started, or at least made."""
        return self.view.started_us or time_us(self.info.get("created_us"))

    @property
    def is_living(self) -> bool:
        """Whether its job may still be at work on this machine or another."""
        return is_living(self.view)

    def to_json(self) -> dict[str, Any]:
        """The run as ``--json`` shows it."""
        now = self.view
        estimate = self.estimate
        progress = estimate and {
            "done": estimate.done,
            "total": estimate.total,
            "unit": estimate.unit,
            "fraction": estimate.fraction,
            "left_s": None if estimate.left_s is None else list(estimate.left_s),
            "at_most": estimate.at_most,
        }
        detail = state_to_json(now.state)
        return {
            "run_id": self.run.run_id,
            "name": self.name,
            "kind": self.run.kind,
            "state": detail.pop("state"),
            "code": detail.pop("code", None),
            "signal": detail.pop("signal", None),
            "cause": detail.pop("cause", None),
            "detail": detail,
            "attempt": now.attempt,
            "started_us": self.started_us,
            "ended_us": now.ended_us,
            "ran_s": None if self.ran_s is None else round(self.ran_s, 1),
            "exit_status": exit_status(now.state) if isinstance(now.state, ENDED) else None,
            "progress": progress,
            "metrics": dict(self.metrics),
            "sample": dict(self.sample),
            "dir": self.run.dir,
            "log": self.run.log,
        }


def is_living(now: View) -> bool:
    """Whether the run's job may still be at work, here or elsewhere."""
    return not isinstance(now.state, (*ENDED, Elsewhere))


def look(run: RunPaths) -> View:
    """The run's view; closes the books of a run whose supervisor died before it could."""
    now = view(run)
    if now.unsettled and sys.platform != "win32":
        from overnight.supervisor.ending import settle

        # Read-only to this user, or damaged: it can still be shown.
        with contextlib.suppress(OSError, LedgerError):
            return settle(run)
    return now


def glance(run: RunPaths, now: View | None = None) -> Glance:
    """Looks at a run. Whatever is missing or damaged in its folder is left out of the answer."""
    now = look(run) if now is None else now
    info = _json(run.run_json)
    status = _json(run.status_json)
    if status.get("attempt") != now.attempt:
        status = {}
    updated_us = time_us(status.get("updated_us"))
    age_s = None if updated_us is None else max(0.0, (now_us() - updated_us) / 1e6)
    moving = isinstance(now.state, (Running, Stopping, Stalled, Unattended))
    metrics = _numbers(status.get("metrics")) or last_values(run)
    return Glance(
        view=now,
        info=info,
        estimate=_estimate(status.get("estimate"), age_s if moving else None),
        metrics=metrics,
        sample=_numbers(status.get("sample")) if moving else {},
        ran_s=_ran_s(now, info, status, age_s),
        age_s=age_s,
    )


def _json(path: str) -> Mapping[str, Any]:
    try:
        return read_json(path) or {}
    except OSError:
        return {}


def _numbers(value: object) -> dict[str, float]:
    if not isinstance(value, dict):
        return {}
    spelt = {str(key): _NON_FINITE.get(str(number), number) for key, number in value.items()}
    return {
        key: number
        for key, number in spelt.items()
        if isinstance(number, int | float) and not isinstance(number, bool)
    }


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if abs(value) < _MAX_S else None


def _estimate(said: object, age_s: float | None) -> Estimate | None:
    """The supervisor's estimate, brought forward to now."""
    if not isinstance(said, dict):
        return None
    fraction = _number(said.get("fraction"))
    left = said.get("remaining_s")
    left_s = None
    if isinstance(left, list) and len(left) == 2 and age_s is not None:
        low, high = _number(left[0]), _number(left[1])
        if low is not None and high is not None:
            left_s = max(0.0, low - age_s), max(0.0, high - age_s)
    return Estimate(
        done=_number(said.get("done")),
        total=_number(said.get("total")),
        unit=str(said.get("unit", "")),
        fraction=None if fraction is None or math.isnan(fraction) else min(1.0, max(0.0, fraction)),
        left_s=left_s,
        at_most=said.get("at_most") is True,
    )


def _ran_s(
    now: View, info: Mapping[str, Any], status: Mapping[str, Any], age_s: float | None
) -> float | None:
    """Seconds the newest attempt has run, by a clock that nobody turns back where there is one."""
    match now.state:
        case Running() | Stalled() | Stopping() | Unattended():
            job = Identity.from_json(_json(now.run.keeper_json).get("job"))
            if job is None:  # a run that a script opened for itself
                job = Identity.from_json(info.get("process"))
            if sys.platform == "linux" and job is not None and job.look() == "alive":
                boot_s = time.clock_gettime(time.CLOCK_BOOTTIME)
                # What a program opened for itself may have begun long after the program.
                begun_s = _number(info.get("begun_boot_s"))
                if begun_s is None:
                    begun_s = job.start_ticks / os.sysconf("SC_CLK_TCK")
                return max(0.0, boot_s - begun_s)
            elapsed_s = _number(status.get("elapsed_s"))
            if elapsed_s is not None and age_s is not None:
                return elapsed_s + age_s
            return None if now.started_us is None else max(0.0, (now_us() - now.started_us) / 1e6)
        case Queued() | Restarting():
            return None
        case _:
            return now.ran_s


def last_values(run: RunPaths) -> dict[str, float]:
    """The newest values of each metric, from the ends of the run's metrics files."""
    values: dict[str, float] = {}
    for stem in stems(run.dir, "metrics"):
        numbers = segments(run.dir, stem)
        if not numbers:
            continue
        with contextlib.suppress(OSError):
            with open(segment_path(run.dir, stem, numbers[-1]), "rb") as file:
                end = file.seek(0, os.SEEK_END)
                file.seek(max(0, end - _TAIL_BYTES))
                lines = file.read().split(b"\n")
            for line in lines:
                record = decode(line) if line else None
                if record is not None:
                    for key, value in row(record, file=stem, segment=0).values.items():
                        values.pop(key, None)  # the newest stand last
                        values[key] = value
    return values


def ended_event(run: RunPaths) -> Mapping[str, Any]:
    """The newest attempt's ``Exited`` event, or nothing."""
    from overnight.ledger.reader import read

    with contextlib.suppress(OSError):
        for record in reversed(read(run.dir, "events").records):
            if record.get("_event") == "Exited":
                found: Mapping[str, Any] = record
                return found
    return {}


def cause_of(now: View) -> Mapping[str, Any] | None:
    """Why the run ended as it did, as the ledger has it; None where there is nothing to tell."""
    if isinstance(now.state, Failed):
        return now.state.cause
    if isinstance(now.state, Finished):
        cause = ended_event(now.run).get("cause")
        if isinstance(cause, dict) and cause.get("kind") == "no_work":
            return cause
    return None
