"""The config that a search leaves: the one it was asked with, with the best values in it."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from overnight.ledger import files
from overnight.ledger.paths import RunPaths
from overnight.spec.rewrite import optimized, write_like
from overnight.tasks.base import Json

if TYPE_CHECKING:
    from overnight.spec import Spec


def write_optimized(run: RunPaths, spec: Spec, values: Mapping[str, Json]) -> Path:
    """Writes ``train_optimized_<date>_<time>.yaml``, and gives its path.

    Beside the config that was asked with, so that its paths mean the same; in the run's folder
    where that is gone or its folder cannot be written.
    """
    target = (files.read_json(run.run_json) or {}).get("target")
    original = Path(target) if isinstance(target, str) and target else Path(run.config_yaml)
    name = f"train_optimized_{time.strftime('%Y%m%d_%H%M%S')}"
    wanted = optimized(spec, values)
    for source in (original, Path(run.config_yaml)):
        path, slot = source.with_name(f"{name}.yaml"), 1
        while path.exists():  # of a search that ended in the same second
            slot += 1
            path = source.with_name(f"{name}-{slot:03d}.yaml")
        try:
            write_like(source, wanted, path)
        except OSError:
            if source.parent == Path(run.dir):
                raise
        else:
            return path
    raise AssertionError("the run's own folder is the last")
