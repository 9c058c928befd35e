"""The spec of a run, as its config.yaml has it; paths go along with a root that was moved."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from overnight.ledger import files
from overnight.ledger.paths import RunPaths

if TYPE_CHECKING:
    from overnight.spec import Spec


def read_spec(run: RunPaths) -> Spec:
    """The spec of a run.

    Raises:
        UserError, UserErrors: Somebody has edited it into something that cannot be read.
    """
    from overnight import spec as specs

    spec: Spec = specs.read(Path(run.config_yaml), {}, os.environ)
    was = (files.read_json(run.launch_json) or {}).get("root")
    if not isinstance(was, str) or was in ("", run.root) or Path(was).exists():
        return spec
    sections = {
        name: _moved(getattr(spec, name), Path(was), Path(run.root)) for name in ("data", "model")
    }
    moved: Spec = spec.model_copy(update=sections)
    return moved


def paths(spec: Spec) -> Iterator[tuple[str, Path]]:
    """The files and folders a spec reads from, by their keys: ``data.train_csv``."""
    for part in ("data", "model"):
        section: Any = getattr(spec, part)
        for name in type(section).model_fields:
            value = getattr(section, name)
            if isinstance(value, Path):
                yield f"{part}.{name}", value


def _moved(section: Any, was: Path, now: Path) -> Any:
    """A part of a spec with its paths below ``was`` below ``now``."""
    changed = {
        name: now / value.relative_to(was)
        for name in type(section).model_fields
        if isinstance(value := getattr(section, name), Path) and value.is_relative_to(was)
    }
    return section.model_copy(update=changed) if changed else section
