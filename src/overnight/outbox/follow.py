"""Asking the agent to follow a run: its ``notify.json`` says what is to be told, and where."""

from __future__ import annotations

import contextlib
import os

from overnight.ledger import files
from overnight.ledger.paths import RunPaths
from overnight.outbox.folder import agent_paths
from overnight.outbox.keep import keep_channels, keep_heartbeat
from overnight.outbox.reserve import set_aside


def ask(run: RunPaths, *, by_name: bool = False) -> bool:
    """Asks for a run to be followed; False if nobody wants to be told of it. Cheap to call often.

    What this process's environment defines for the run is kept for the agent: channels, and where
    its signs of life go.

    Args:
        run: The run.
        by_name: Its job names channels itself: so even where the run is told to nobody.

    Raises:
        OSError: The user's state folder cannot be written.
    """
    if not os.path.exists(run.notify_json):
        return False
    paths = agent_paths()
    followed = paths.followed(run.dir)
    if (files.read_json(followed) or {}).get("dir") != run.dir:
        names = (files.read_json(run.notify_json) or {}).get("channels")
        if names == [] and not by_name:
            return False
        paths.make()
        if isinstance(names, list):
            keep_channels([name for name in names if isinstance(name, str)], os.environ)
        keep_heartbeat(os.environ)
        files.replace(followed, files.to_json({"dir": run.dir}))
        set_aside(paths)
    return True


def is_asked(run: RunPaths) -> bool:
    """Whether the agent has yet something to tell of this run."""
    return os.path.exists(agent_paths().followed(run.dir))


def all_asked() -> list[RunPaths]:
    """Every run that is to be followed on this machine."""
    folder = agent_paths().follow
    found = []
    try:
        names = sorted(os.listdir(folder))
    except OSError:
        return []
    for name in names:
        if not name.endswith(".json"):
            continue
        said = None
        with contextlib.suppress(OSError):  # one that cannot be read must not hide the others
            said = files.read_json(os.path.join(folder, name))
        where = (said or {}).get("dir")
        if isinstance(where, str) and os.path.isabs(where):
            found.append(RunPaths(where))
    return found


def done(run: RunPaths) -> None:
    """All of a run was told."""
    paths = agent_paths()
    files.discard(paths.judged(run.dir))
    files.discard(paths.followed(run.dir))
