"""A run's folder, read once: everything that a page tells of it."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from overnight.alerts.history import all_rows, slow_rows
from overnight.alerts.known import as_number
from overnight.errors import LedgerError, UserError
from overnight.ledger import files
from overnight.ledger.format import Row, decode
from overnight.ledger.paths import RunPaths
from overnight.ledger.reader import merged, read, stems
from overnight.ledger.state import View, view
from overnight.ledger.writer import segment_path, segments
from overnight.redact import redact

#: Samples of the machine, and lines of the log, that a page can show.
_SAMPLES_BYTES = 2 * 1024 * 1024
_LOG_BYTES, _LOG_LINES, _LOG_COLUMNS = 64 * 1024, 60, 400
_CONFIG_KIB = 512


@dataclass(frozen=True, slots=True)
class Trial:
    """One trial of a search, as it ended."""

    number: int
    values: Mapping[str, Any]
    state: str
    value: float | None = None
    epochs: int | None = None
    time_s: float | None = None
    why: str = ""


@dataclass(frozen=True, slots=True)
class Story:
    """A run, as its folder tells it.

    Attributes:
        rows: The rows that count; of a long run some, from evenly spaced places.
        job: The job's events, without its progress.
        media: Its pictures, tables and files; of those that come twice the newest.
        config: Its settings by their full keys, ``train.lr``.
        asked: Keys that a person has set; empty where that cannot be told.
        log: The last lines of its output; no secrets.
    """

    run: RunPaths
    view: View
    info: Mapping[str, Any] = field(default_factory=dict)
    machine: Mapping[str, Any] = field(default_factory=dict)
    status: Mapping[str, Any] = field(default_factory=dict)
    config: Mapping[str, Any] = field(default_factory=dict)
    asked: frozenset[str] = frozenset()
    rows: Sequence[Row] = ()
    job: Sequence[Mapping[str, Any]] = ()
    progress: Mapping[str, Any] = field(default_factory=dict)
    events: Sequence[Mapping[str, Any]] = ()
    media: Sequence[Mapping[str, Any]] = ()
    samples: Sequence[Mapping[str, Any]] = ()
    trials: Sequence[Trial] = ()
    log: Sequence[str] = ()

    @property
    def name(self) -> str:
        """What the person calls it."""
        name = self.info.get("name")
        return name if isinstance(name, str) and name else self.run.run_id

    def of_job(self, event: str) -> list[Mapping[str, Any]]:
        """The job's events of a name, in their order."""
        return [record for record in self.job if record.get("_event") == event]

    def last(self, event: str) -> Mapping[str, Any]:
        """The newest event of a name; empty where there is none."""
        found = self.of_job(event)
        return found[-1] if found else {}

    def setting(self, key: str) -> Any:
        """A setting by its full key; None where it is not set."""
        return self.config.get(key)

    def ran_s(self) -> float | None:
        """Seconds that the job was at work, all attempts together."""
        spent = {
            record.get("_attempt"): ran_s
            for record in self.events
            if record.get("_event") == "Exited"
            and (ran_s := as_number(record.get("ran_s"))) is not None
        }
        if not spent and self.view.ran_s is not None:
            return self.view.ran_s
        elapsed_s = as_number(self.status.get("elapsed_s"))
        if self.view.attempt not in spent and self.status.get("attempt") == self.view.attempt:
            spent[self.view.attempt] = elapsed_s or 0.0
        return sum(spent.values()) if spent else None


def gather(run: RunPaths) -> Story:
    """Reads a run's folder. What is missing or damaged is absent; nothing raises.

    Read within bounds: a ledger may hold millions of rows.
    """
    rows, whole = all_rows(run)
    if not whole:  # of the steps some are enough; of what closes an epoch or the run, all
        rows = [row for row in rows if row.kind == "step"] + slow_rows(run)
    job, progress = _job(run)
    config = _flat(_yaml(run.config_yaml))
    info = _json(run.run_json)
    return Story(
        run=run,
        view=view(run),
        info=info,
        machine=_json(run.machine_json),
        status=_json(run.status_json),
        config=config,
        asked=_asked(run, info, config),
        rows=rows,
        job=job,
        progress=progress,
        events=_records(run, "events"),
        media=_newest(run),
        samples=list(_samples(run)),
        trials=_trials(job),
        log=_log(run),
    )


def _json(path: str) -> Mapping[str, Any]:
    try:
        return files.read_json(path) or {}
    except OSError:
        return {}


def _records(run: RunPaths, stem: str) -> list[dict[str, Any]]:
    with contextlib.suppress(OSError, LedgerError):
        return read(run.dir, stem).records
    return []


def _job(run: RunPaths) -> tuple[list[dict[str, Any]], Mapping[str, Any]]:
    """The job's events without its progress, and the newest of that."""
    found: list[dict[str, Any]] = []
    progress: Mapping[str, Any] = {}
    with contextlib.suppress(OSError, LedgerError):
        for _, _, record in merged(run.dir, "job"):
            if record.get("_event") == "Progress":
                progress = record
            else:
                found.append(record)
    return found, progress


def _newest(run: RunPaths) -> list[dict[str, Any]]:
    """What was kept, in its order; of records of one kind, key and place the newest attempt's."""
    found: dict[tuple[Any, ...], dict[str, Any]] = {}
    with contextlib.suppress(OSError, LedgerError):
        for _, _, record in merged(run.dir, "media"):
            places = tuple(str(record.get(axis)) for axis in ("stage", "fold", "step", "epoch"))
            key = (str(record.get("_kind")), str(record.get("key")), *places)
            found.pop(key, None)
            found[key] = record
    return list(found.values())


def _samples(run: RunPaths) -> Iterator[dict[str, Any]]:
    """Samples of the machine: all of a night, of a month every so many."""
    paths = [
        Path(segment_path(run.dir, stem, segment))
        for stem in stems(run.dir, "system")
        for segment in segments(run.dir, stem)
    ]
    with contextlib.suppress(OSError):
        every = 1 + sum(path.stat().st_size for path in paths) // _SAMPLES_BYTES
        for path in paths:
            with path.open("rb") as file:
                for at, line in enumerate(file):
                    record = decode(line) if at % every == 0 else None
                    if record is not None:
                        yield record


def _trials(job: Sequence[Mapping[str, Any]]) -> list[Trial]:
    """Every trial that began, by its number; one that was begun anew as it ended at last."""
    found: dict[int, Trial] = {}
    for record in job:
        number, event = record.get("trial"), record.get("_event")
        if event not in ("TrialStarted", "TrialEnded") or not isinstance(number, int):
            continue
        values = record.get("values")
        values = values if isinstance(values, Mapping) else {}
        if event == "TrialStarted":
            found[number] = Trial(number, values, "running")
            continue
        epochs, why = record.get("epochs"), record.get("why")
        known = found.get(number)
        found[number] = Trial(
            number,
            values or (known.values if known else {}),
            str(record.get("state") or "failed"),
            as_number(record.get("value")),
            epochs if isinstance(epochs, int) else None,
            as_number(record.get("time_s")),
            why if isinstance(why, str) else "",
        )
    return [found[number] for number in sorted(found)]


def _log(run: RunPaths) -> list[str]:
    """The last lines of the output. What a bar has drawn over itself is gone."""
    try:
        with Path(run.log).open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - _LOG_BYTES))
            text = file.read().decode("utf-8", "replace")
    except OSError:
        return []
    lines = [line.rstrip("\r").rpartition("\r")[2] for line in text.split("\n")]
    lines = lines[1:] if size > _LOG_BYTES else lines
    kept = [line[:_LOG_COLUMNS] for line in lines if line.strip()][-_LOG_LINES:]
    return redact("\n".join(kept)).split("\n") if kept else []


# ── settings ────────────────────────────────────────────────────────────────────────────────


def _yaml(path: str) -> Any:
    if not Path(path).is_file():
        return {}
    from overnight import yaml_tree

    problems: list[UserError] = []
    try:
        tree = yaml_tree.read(path, problems, max_kib=_CONFIG_KIB)
    except OSError:
        return {}
    return {} if tree is None or problems else tree.data()


def _flat(value: Any, above: str = "") -> dict[str, Any]:
    """``{"train": {"lr": 1}}`` as ``{"train.lr": 1}``; lists stay whole."""
    if not isinstance(value, Mapping):
        return {above: value} if above else {}
    found: dict[str, Any] = {}
    for key, inner in value.items():
        name = f"{above}.{key}" if above else str(key)
        found.update(_flat(inner, name) if inner else {name: inner})
    return found


def _asked(run: RunPaths, info: Mapping[str, Any], config: Mapping[str, Any]) -> frozenset[str]:
    """The keys a person has set: in the config that was kept beside the code, or with it."""
    target = info.get("target")
    if not isinstance(target, str) or not target.endswith((".yaml", ".yml")):
        return frozenset()
    said = info.get("set")
    options = tuple(map(str, said)) if isinstance(said, list) else ()
    written = (*_flat(_yaml(str(Path(run.code) / Path(target).name))), *options)
    # A whole table may have been given: `--set tuning={n_trials: 3}`.
    above = tuple(key + "." for key in written)
    return frozenset(key for key in config if key in written or key.startswith(above))
