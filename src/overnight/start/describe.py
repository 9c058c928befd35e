"""``run.json`` and ``config.yaml``: what a run is, and what was asked for, for people.

A training's ``config.yaml`` is its whole spec, which its trainer reads (start/config.py).
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from typing import Any

from overnight.ledger import files
from overnight.ledger.format import SCHEMA_VERSION
from overnight.ledger.identity import here
from overnight.ledger.paths import RunPaths
from overnight.redact import redact, redact_args
from overnight.start.check import Ready
from overnight.supervisor.launch import Launch, hide


def describe(
    run: RunPaths,
    ready: Ready,
    name: str,
    launch: Launch,
    created_us: int,
    env: Mapping[str, str],
) -> None:
    """Writes run.json and a job's config.yaml; no secret of ``env`` gets into either."""
    asked, python = ready.asked, ready.python
    info = {
        "schema_version": SCHEMA_VERSION,
        "run_id": run.run_id,
        "name": name,
        "kind": run.kind,
        "argv": redact_args(launch.argv, env),
        "cwd": launch.cwd,
        "root": run.root,
        "parent": os.environ.get("OVERNIGHT_RUN_DIR"),
        "target": asked.target,
        "git_commit": git_commit(launch.cwd),
        "entry_sha256": launch.notebook_sha256 or launch.entry_sha256,
        "python": python or None,
        "platform": sys.platform,
        "host": here()[3],
        "cpu_count": os.cpu_count(),
        "created_us": created_us,
        "labels": list(asked.labels),
        "set": list(asked.overrides) if ready.kind == "config" else [],
        "supervised": True,
        "overnight_version": _version(),
        "log": run.log,
    }
    files.replace(run.run_json, files.to_json(info))
    if ready.kind in ("config", "own"):
        return
    config = {
        "target": asked.target or None,
        "args": redact_args(hide(asked.args, env), env),
        "name": name,
        "set": {key: redact(text, env) for key, text in asked.overrides.items()},
        "map": dict(asked.path_map),
        "env": {k: "${" + k + "}" if v is None else redact(v, env) for k, v in asked.env.items()},
        "python": python or None,
        "restart": asked.restart,
        "stall_after": launch.stall_after_s and f"{launch.stall_after_s:g}s",
        "label": list(asked.labels),
        "kind": run.kind,
        "notify": list(asked.notify),
        "alert": list(asked.alerts),
    }
    files.replace(run.config_yaml, _yaml(config).encode("utf-8", "replace"))


def _yaml(config: Mapping[str, Any]) -> str:
    """Flat YAML: every JSON value is one, so no library is needed to write it."""
    import json

    return "".join(f"{k}: {json.dumps(v, ensure_ascii=False)}\n" for k, v in config.items())


def _version() -> str:
    from overnight import __version__

    return __version__


def git_commit(folder: str) -> str | None:
    """The commit checked out in a folder, read from git's own files (a call of git costs 5 ms)."""
    while not os.path.exists(os.path.join(folder, ".git")):
        parent = os.path.dirname(folder)
        if parent == folder:
            return None
        folder = parent
    git = os.path.join(folder, ".git")
    head = _line(os.path.join(git, "HEAD"))
    if not head.startswith("ref: "):
        return head or None
    ref = head[5:]
    commit = _line(os.path.join(git, *ref.split("/")))
    if not commit:
        try:
            with open(os.path.join(git, "packed-refs"), encoding="utf-8") as file:
                commit = next((line[:40] for line in file if line.rstrip().endswith(" " + ref)), "")
        except OSError:
            return None
    return commit or None


def _line(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.readline().strip()
    except OSError:
        return ""
