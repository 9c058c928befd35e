"""Numbers as they stand in a tracker, read without the client that wrote them."""

from __future__ import annotations

import json
import math
import sqlite3
import subprocess
import sys
from collections.abc import Iterable, Iterator
from contextlib import closing
from functools import lru_cache
from pathlib import Path
from typing import Any

from overnight.ledger.paths import RunPaths

#: What MLflow keeps for an infinity.
_LARGEST = 1.7976931348623157e308
#: What a tracker has beside the job's own numbers.
_OTHERS = ("system/", "_", "overnight/")
_AXES = ("step", "epoch", "seq")


def numbers(tracker: str, root: Path, run: RunPaths) -> Iterator[tuple[str, int, str]]:
    """(name, step, value) of every number of a run; the machine's are left out."""
    found = {"mlflow": _mlflow, "wandb": _wandb}[tracker]
    return (each for each in found(root, run) if not each[0].startswith(_OTHERS))


def spelled(value: float) -> str:
    """A value as text, so that NaN is itself."""
    if math.isnan(value):
        return "NaN"
    return "Infinity" if value >= _LARGEST else "-Infinity" if value <= -_LARGEST else repr(value)


def _mlflow(root: Path, run: RunPaths) -> Iterator[tuple[str, int, str]]:
    asks = (
        "select m.key, m.step, m.value, m.is_nan from metrics m join runs r using (run_uuid) "
        "where r.lifecycle_stage = 'active' and r.name = ?"
    )
    with closing(sqlite3.connect(root / "mlflow.db")) as database:
        for key, step, value, is_nan in database.execute(asks, [run.run_id]):
            yield key, step, "NaN" if is_nan else spelled(value)


def mlflow_id(root: Path, run: RunPaths) -> str:
    """MLflow's own id of a run; empty where it has none, or two."""
    asks = "select run_uuid from runs where lifecycle_stage = 'active' and name = ?"
    return _only(root, asks, run)


def mlflow_parent(root: Path, run: RunPaths) -> str:
    """MLflow's id of what a run is a part of; empty where it is of nothing."""
    asks = (
        "select t.value from tags t join runs r using (run_uuid) where r.lifecycle_stage = 'active'"
        " and r.name = ? and t.key = 'mlflow.parentRunId'"
    )
    return _only(root, asks, run)


def _only(root: Path, asks: str, run: RunPaths) -> str:
    with closing(sqlite3.connect(root / "mlflow.db")) as database:
        found = database.execute(asks, [run.run_id]).fetchall()
    return str(found[0][0]) if len(found) == 1 else ""


def offline_group(root: Path, run: RunPaths) -> str:
    """The group of a run that was written without a network."""
    groups = {each["run"].get("run_group") for each in offline_records(root, run) if "run" in each}
    return str(groups.pop()) if len(groups) == 1 else ""


def live_group(url: str) -> str:
    """The group that W&B itself has a run in."""
    return str(_live(url).group)


def _wandb(root: Path, run: RunPaths) -> Iterator[tuple[str, int, str]]:
    for record in offline_records(root, run):
        history = record.get("history")
        if history is not None:
            yield from history_numbers(history["item"])


def of_history(history: Iterable[dict[str, Any]]) -> Iterator[tuple[str, int, str]]:
    """(name, step, value) of every number in a run's history as W&B's server keeps it."""
    for row in history:
        for each in history_numbers(row):
            if not each[0].startswith(_OTHERS):
                yield each


def live_history(url: str) -> Iterable[dict[str, Any]]:
    """The rows that W&B itself has of a run, by the address of its page."""
    found: Iterable[dict[str, Any]] = _live(url).scan_history()
    return found


def _live(url: str) -> Any:
    import wandb

    entity, project, _, name = url.rstrip("/").split("/")[-4:]
    return wandb.Api().run(f"{entity}/{project}/{name}")


def history_numbers(row: dict[str, Any]) -> Iterator[tuple[str, int, str]]:
    """The numbers of one row of a run's history, each with its own axis."""
    for key, value in row.items():
        prefix, _, name = key.rpartition("/")
        axis = _axis_of(row, prefix)
        if name in _AXES or axis is None or isinstance(value, (dict, list)):
            continue
        yield key, axis, spelled(float(value))


def _axis_of(row: dict[str, Any], prefix: str) -> int | None:
    for before in (prefix, prefix.rpartition("/")[0], ""):
        for axis in _AXES:
            name = f"{before}/{axis}" if before else axis
            if name in row:
                return int(row[name])
    return None


def offline_records(root: Path, run: RunPaths) -> Iterator[dict[str, Any]]:
    """What W&B's own reader says of a run that was written without a network."""
    for path in sorted((root / "wandb").glob("offline-run-*/*.wandb")):
        records = _inspected(path, path.stat().st_mtime_ns)
        names = {record["run"].get("display_name") for record in records if "run" in record}
        if run.run_id in names:
            yield from records


@lru_cache(maxsize=64)
def _inspected(path: Path, _written_ns: int) -> list[dict[str, Any]]:
    program = str(Path(sys.executable).with_name("wandb"))
    argv = [program, "leet", "inspect", "--json", str(path)]
    done = subprocess.run(argv, capture_output=True, text=True, check=True)
    return [json.loads(line) for line in done.stdout.splitlines()]
