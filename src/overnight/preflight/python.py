"""Which Python a job gets."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Mapping
from typing import Literal

Source = Literal["option", "venv", "conda", "own"]


def job_python(asked: str | None, env: Mapping[str, str]) -> tuple[str, Source]:
    """The interpreter of a job: the one asked for, the active environment's, else this one."""
    if asked:
        path = os.path.expanduser(asked)
        return shutil.which(path, path=env.get("PATH")) or path, "option"
    place = ("Scripts", "python.exe") if sys.platform == "win32" else ("bin", "python")
    candidates: list[tuple[Source, str, tuple[str, ...]]] = [
        ("venv", "VIRTUAL_ENV", place),
        ("conda", "CONDA_PREFIX", ("python.exe",) if sys.platform == "win32" else place),
    ]
    for source, variable, parts in candidates:
        folder = env.get(variable)
        if folder and os.access(path := os.path.join(folder, *parts), os.X_OK):
            return path, source
    return sys.executable, "own"
