"""A run that a program opens for itself, without a supervisor: its folder, and its end.

Three kinds: ``overnight.init`` opens one for the whole process, ``overnight.watch`` one for a part
of it, which may be over while the process goes on (a notebook's kernel), and a search one for each
of its trials, within its own.
"""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Mapping, Sequence
from typing import Any

from overnight.ledger import files, index
from overnight.ledger.format import SCHEMA_VERSION
from overnight.ledger.identity import Identity, here
from overnight.ledger.paths import RunPaths, create_run, find_root, name_from, name_problem

#: Room set aside for the end of a block: 4,000 characters of a traceback, Hangul too, and the rest.
END_BYTES = 16 * 1024


def make(
    name: str | None,
    root: str | None,
    labels: Mapping[str, Any] | Sequence[str],
    *,
    parent: str | None = None,
) -> RunPaths:
    """Makes a run's folder with its ``run.json``; whoever calls lists it.

    Raises:
        OSError: The root cannot be written.
        ValueError: ``name`` cannot name a run.
    """
    if name is not None and name_problem(name):
        raise ValueError(f"{name!r} cannot name a run")
    program = script()
    target = program or notebook()
    start = os.path.dirname(os.path.abspath(program)) if program else os.getcwd()
    name = name or name_from(target)
    run = create_run(find_root(start, root), "run", name)
    identity = Identity.of()
    info = {
        "schema_version": SCHEMA_VERSION,
        "run_id": run.run_id,
        "name": name,
        "kind": run.kind,
        "target": target,
        "cwd": os.getcwd(),
        "root": run.root,
        "parent": parent,
        "python": sys.executable,
        "platform": sys.platform,
        "host": here()[3],
        "created_us": time.time_ns() // 1000,
        "labels": _words(labels),
        "supervised": False,
        "process": identity.to_json() if identity else None,
        "begun_boot_s": boot_s(),
    }
    files.replace(run.run_json, files.to_json(info))
    return run


def make_child(
    parent: RunPaths, number: int, values: Mapping[str, Any], *, process: bool = True
) -> RunPaths:
    """Makes the folder of a trial, a run within its search, or gives it to another process.

    Args:
        parent: The search.
        number: Of the trial.
        values: What it tries, by name.
        process: Whether it lives in this process.

    Raises:
        OSError: The folder cannot be written.
    """
    run = parent.child(f"trial{number:04d}")
    os.makedirs(run.dir, mode=0o700, exist_ok=True)
    run.make()
    identity = Identity.of() if process else None
    whole = files.read_json(parent.run_json) or {}
    before = files.read_json(run.run_json) or {}
    taken = ("target", "cwd", "python", "platform", "host", "overnight_version")
    info = {
        "schema_version": SCHEMA_VERSION,
        "run_id": run.run_id,
        "name": f"{whole.get('name', parent.run_id)}-trial{number:04d}",
        "kind": run.kind,
        **{key: whole[key] for key in taken if key in whole},
        "root": run.root,
        "parent": parent.run_id,
        "trial": number,
        "values": dict(values),
        "created_us": before.get("created_us") or time.time_ns() // 1000,
        "labels": [],
        "supervised": False,
        "process": identity.to_json() if identity else None,
        "begun_boot_s": boot_s(),
    }
    files.replace(run.run_json, files.to_json(info), sync=False)
    return run


def _words(labels: Mapping[str, Any] | Sequence[str]) -> dict[str, str] | list[str]:
    if isinstance(labels, Mapping):
        return {str(key): str(value) for key, value in labels.items()}
    return [str(label) for label in labels]


def list_in_index(run: RunPaths) -> None:
    """Lets ``overnight ls`` find the run.

    Raises:
        OSError: The user's state folder cannot be written; the run itself is there all the same.
    """
    info = files.read_json(run.run_json) or {}
    index.add(run, name=str(info.get("name")), created_us=int(info.get("created_us") or 0))


def reserve_end(run: RunPaths) -> None:
    """Sets room aside for the end, so that a disk that is full by then can take it."""
    with contextlib.suppress(OSError):  # as good as full already: then the end needs luck
        files.replace(_reserve(run), b" " * END_BYTES, sync=False)


def write_end(run: RunPaths, end: Mapping[str, Any]) -> None:
    """Writes ``exit.json``.

    Raises:
        OSError: The run's folder cannot be written.
    """
    # Over the room set aside, not truncated: no new block of the disk is needed.
    fd = os.open(_reserve(run), os.O_WRONLY | os.O_CREAT | getattr(os, "O_CLOEXEC", 0), 0o600)
    try:
        files.write_all(fd, files.to_json(end).ljust(END_BYTES - 1) + b"\n")
        os.fsync(fd)
    finally:
        os.close(fd)
    files.rename(_reserve(run), run.exit_json)


def _reserve(run: RunPaths) -> str:
    return run.exit_json + ".reserve"


def script() -> str:
    """The file this process was started with; empty in a notebook, at a prompt or with ``-c``."""
    given = sys.argv[0] if sys.argv else ""
    # A kernel's first argument is the kernel's own file, but its __main__ has none.
    has_file = getattr(sys.modules.get("__main__"), "__file__", None)
    return given if has_file and given not in ("", "-c") else ""


def notebook() -> str:
    """The notebook whose kernel this is, as far as that is told; empty if it is no kernel."""
    main = sys.modules.get("__main__")
    said = getattr(main, "__vsc_ipynb_file__", None) or os.environ.get("JPY_SESSION_NAME", "")
    if isinstance(said, str) and said.endswith(".ipynb"):
        return said
    return "notebook" if "ipykernel" in sys.modules else ""


def boot_s() -> float | None:
    """Seconds since the machine was started: nobody sets this clock, and all processes share it."""
    if sys.platform == "linux":
        now_s: float | None = time.clock_gettime(time.CLOCK_BOOTTIME)
    else:
        now_s = None
    return now_s
