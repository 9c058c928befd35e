"""How fast something like it was trained here before."""

from __future__ import annotations

import os
import statistics
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from overnight.errors import UserError, UserErrors
from overnight.ledger import files, index, reader
from overnight.ledger.format import EPOCH
from overnight.ledger.identity import here
from overnight.ledger.paths import RunPaths
from overnight.spec import Spec, read

#: So many trainings are looked at, the newest first: each costs some milliseconds.
_MOST_RUNS = 50
#: What changes how long a picture takes.
_MODEL = ("name", "freeze_backbone")
_TRAIN = ("img_size", "batch_size", "amp", "augmentation", "compile", "deterministic")


@dataclass(frozen=True, slots=True)
class Pace:
    """What an earlier run has shown.

    Attributes:
        example_s: Seconds an epoch takes for each example of the data, validation included.
    """

    run_id: str
    example_s: float


def known(spec: Spec, root: str) -> Pace | None:
    """The newest run of this root, on this machine, whose steps cost what these will."""
    runs = (entry.run for entry in index.entries() if entry.kind in ("train", "pipeline"))
    for run in islice((run for run in runs if run.root == root), _MOST_RUNS):
        if (found := _of(run, spec)) is not None:
            return found
    return None


def _of(run: RunPaths, spec: Spec) -> Pace | None:
    info = files.read_json(run.run_json) or {}
    if info.get("host") != here()[3] or not os.path.isfile(run.config_yaml):
        return None
    try:
        before = read(Path(run.config_yaml), {}, os.environ)
    except (UserError, UserErrors):
        return None  # of another version, or a variable of it is not set here
    if before.task != spec.task or _costs(before) != _costs(spec):
        return None
    used = [
        record["num_examples"]
        for record in reader.read(run.dir, "job").records
        if record.get("_event") == "DatasetUsed" and isinstance(record.get("num_examples"), int)
    ]
    times = [
        row.values["time_s"]
        for row in reader.rows(run.dir)
        if row.kind == EPOCH and "time_s" in row.values
    ]
    if not used or not times or used[-1] < 1:
        return None
    return Pace(run.run_id, statistics.median(times) / used[-1])


def _costs(spec: Spec) -> tuple[Any, ...]:
    return (
        *(getattr(spec.model, name, None) for name in _MODEL),
        *(getattr(spec.train, name, None) for name in _TRAIN),
    )
