"""What an environment defines: channels, kept until all of theirs is told; a heartbeat URL.

The agent may be older than the variable, and outlives the program that had it.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterable, Mapping

from overnight.ledger import files
from overnight.outbox.folder import agent_paths

#: ``OVERNIGHT_CHANNEL_PHONE=<url>`` defines ``phone``.
PREFIX = "OVERNIGHT_CHANNEL_"
#: Somebody who expects a GET every few minutes: see ``overnight.agent.ping``.
HEARTBEAT = "OVERNIGHT_HEARTBEAT_URL"


def keep_channels(names: Iterable[str], env: Mapping[str, str]) -> None:
    """Keeps those of ``names`` that ``env`` defines, readable by this user only.

    Raises:
        OSError: The user's state folder cannot be written.
    """
    defined = channels_in(env)
    wanted = [name for name in map(one_spelling, names) if name in defined]
    if not wanted:
        return
    paths = agent_paths()
    for name in wanted:
        said = {"name": name, "url": defined[name], "format": None}
        path = paths.kept_channel(name)
        if files.read_json(path) == said:
            os.utime(path)  # wanted again: not to be tidied away with an earlier run's
        else:
            os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
            files.replace(path, files.to_json(said), mode=0o600)


def keep_heartbeat(env: Mapping[str, str]) -> None:
    """Keeps the heartbeat URL that ``env`` defines, readable by this user only.

    Raises:
        OSError: The user's state folder cannot be written.
    """
    url = env.get(HEARTBEAT, "").strip()
    if url.startswith(("http://", "https://")):
        files.replace(agent_paths().heartbeat, url.encode("utf-8", "replace"), mode=0o600)


def forget_heartbeat(unless_within_s: float) -> None:
    """Removes it, unless it was kept so lately that its run may not have asked yet."""
    path = agent_paths().heartbeat
    with contextlib.suppress(OSError):  # there is none
        if time.time() - os.stat(path).st_mtime >= unless_within_s:
            files.discard(path)


def kept_lately(within_s: float) -> set[str]:
    """The channels that were kept so lately that nothing may have asked for them yet."""
    folder, found = agent_paths().channels, set()
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            with contextlib.suppress(OSError):  # gone in this moment
                if entry.name.endswith(".json") and time.time() - entry.stat().st_mtime < within_s:
                    said = files.read_json(entry.path) or {}
                    found.add(str(said.get("name", "")))
    return found


def channels_in(env: Mapping[str, str]) -> dict[str, str]:
    """Name → URL of the channels that an environment defines."""
    return {
        one_spelling(variable[len(PREFIX) :]): url.strip()
        for variable, url in env.items()
        if variable.upper().startswith(PREFIX) and len(variable) > len(PREFIX) and url.strip()
    }


def one_spelling(name: str) -> str:
    """A channel's name as it is filed: no capitals, and no ``_``, which a variable must have."""
    if not name.isascii():
        import unicodedata  # 1 MB that a supervisor seldom needs

        name = unicodedata.normalize("NFC", name)
    return name.strip().lower().replace("_", "-")
