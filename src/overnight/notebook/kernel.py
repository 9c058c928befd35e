"""Which Python a notebook's kernel is."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path


def kernel_python(kernel: str, env: Mapping[str, str]) -> str:
    """The interpreter of a Jupyter kernel of this name; empty if it does not name one by path.

    The kernel that every Jupyter brings along (``python3``) names no environment of its own.
    """
    if kernel == "python3" or "/" in kernel or "\\" in kernel or "\0" in kernel:
        return ""
    own = env.get("JUPYTER_DATA_DIR") or Path.home() / ".local/share/jupyter"
    shared = [part for part in env.get("JUPYTER_PATH", "").split(os.pathsep) if part]
    for place in (own, *shared, "/usr/local/share/jupyter", "/usr/share/jupyter"):
        try:
            said = json.loads(Path(place, "kernels", kernel, "kernel.json").read_bytes())
        except (OSError, ValueError):
            continue
        argv = said.get("argv") if isinstance(said, dict) else None
        program = argv[0] if isinstance(argv, list) and argv else None
        if isinstance(program, str) and Path(program).is_absolute() and os.access(program, os.X_OK):
            return program
    return ""
