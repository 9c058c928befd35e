"""``machine.json`` and ``code/git.diff``: what a run stood on, asked once the job already runs.

These questions take longer than a person waits for ``overnight run``.
"""

from __future__ import annotations

import contextlib
import os
import platform
import subprocess
import sys

from overnight.ledger import files
from overnight.ledger.paths import RunPaths
from overnight.redact import redact
from overnight.supervisor.launch import Launch

#: A repository on a network disk may be slow; nobody waits for this, but it must end.
_ANSWER_IN_S = 30.0
#: A larger diff is a data file in the wrong place.
_DIFF_BYTES = 4 * 1024 * 1024
_GPU_QUERY = "name,memory.total,driver_version,compute_cap"


def describe(run: RunPaths, launch: Launch) -> None:
    """Writes machine.json. What cannot be asked is null."""
    cards = _ask(["nvidia-smi", f"--query-gpu={_GPU_QUERY}", "--format=csv,noheader"], launch.cwd)
    status = _ask(["git", "status", "--porcelain", "--untracked-files=no"], launch.cwd)
    if status:
        diff = _ask(["git", "diff", "HEAD"], launch.cwd) or ""
        with contextlib.suppress(OSError):
            data = redact(diff[:_DIFF_BYTES]).encode("utf-8", "replace")
            files.replace(os.path.join(run.code, "git.diff"), data)
    said = {
        "git_dirty": None if status is None else bool(status),
        "gpus": [line.strip() for line in (cards or "").splitlines() if line.strip()],
        "cpu": _cpu_name(),
        "cpu_count": os.cpu_count(),
        "kernel": platform.release(),
        "platform": sys.platform,
    }
    with contextlib.suppress(OSError):  # a full disk: the run goes on without
        files.replace(run.machine_json, files.to_json(said))


def _ask(argv: list[str], cwd: str) -> str | None:
    try:
        done = subprocess.run(
            argv, cwd=cwd, capture_output=True, timeout=_ANSWER_IN_S, check=False,
            stdin=subprocess.DEVNULL,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.decode("utf-8", "replace") if done.returncode == 0 else None


def _cpu_name() -> str:
    with contextlib.suppress(OSError), open("/proc/cpuinfo", encoding="utf-8") as file:
        for line in file:
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor()
