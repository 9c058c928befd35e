"""``overnight.notify``: a program tells something itself.

Within a run it is one line in the run's ledger, which the agent reads. Without a run it is a file
per channel in the outbox. Either way nobody waits for a network.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import time
from collections.abc import Iterable
from typing import Any

from overnight.ledger import job, media
from overnight.ledger.complaint import complain
from overnight.ledger.identity import here
from overnight.ledger.paths import name_from
from overnight.messages import language
from overnight.outbox import summon
from overnight.outbox.folder import agent_paths
from overnight.outbox.message import Message, put
from overnight.redact import redact
from overnight.watching import asked
from overnight.watching.trial import is_trial

#: More than any channel takes; what is longer belongs into a file.
_TEXT_CHARS = 10_000
_TITLE_CHARS = 200
#: What a channel attaches as a picture; a run keeps a copy, since a program draws over its files.
_PICTURES = (".png", ".jpg", ".jpeg", ".gif", ".webp", ".svg")
#: A message is tried for a day; a channel with a full budget holds it for some more.
_PICTURES_KEPT_S = 7 * 86_400.0
#: Mail servers and chats refuse more.
_FILE_BYTES = 20 * 1024 * 1024


def notify(
    text: str = "",
    /,
    *more: Any,
    title: str = "",
    files: Any = (),
    channels: Any = None,
    **unknown: Any,
) -> None:
    """Tells a text on the channels: ``overnight.notify("fold 3 done", files=["cm.png"])``.

    Never raises and waits for no network; the message goes out even if the program ends at once.

    Args:
        text: What to tell.
        *more: Nothing; said and left out.
        title: A line above it.
        files: Pictures and other files to attach where a channel can: paths, or objects with
            ``savefig``.
        channels: Names of channels; by default the run's, without a run those of ``notify.yaml``,
            else all.
        **unknown: ``text``, if it was given by that word; any other is said and left out.
    """
    try:
        if more:
            complain("watch.positional", value=_clean(more[0], 80))
        if isinstance(text, str) and not text:
            text = unknown.pop("text", "")
        for word in unknown:
            complain("watch.option", word=word)
        if not (job.is_silent() or is_trial()):
            asked.look_at_the_system()
            _tell(_clean(text, _TEXT_CHARS), _clean(title, _TITLE_CHARS), files, channels)
    except Exception as error:  # whatever it is, the program goes on
        complain("watch.untold", error)


def _clean(value: object, limit: int) -> str:
    if isinstance(value, (bytes, bytearray)):
        value = bytes(value).decode("utf-8", "replace")
    text = ("" if value is None else str(value))[:limit]
    return redact(text).encode("utf-8", "replace").decode("utf-8") if text else ""


def _tell(text: str, title: str, files: Any, channels: Any) -> None:
    run = job.current()
    attached = list(_attached(files, run))
    if not (text.strip() or title.strip() or attached):
        complain("watch.empty")
        return
    names = asked.channels_of(channels)
    if names == asked.NOBODY:
        return
    if run is not None:
        fields = {"text": text, "title": title, "files": attached, "channels": names}
        run.event("Notify", {key: value for key, value in fields.items() if value})
        if names:
            with contextlib.suppress(OSError):  # a home that is full: the run's own are kept
                asked.keep(names)
        asked.only_what_it_says(run, names)
        return
    found = asked.channels_without_a_run(names)
    if not found:
        return
    paths = agent_paths().make()
    asked.keep(found)
    now_us = time.time_ns() // 1000
    facts = {"event": "text", "text": text, "title": title, "host": here()[3], "now_us": now_us}
    for name in found:
        message = Message(
            key=f"notify-{now_us}-{os.getpid()}-{time.monotonic_ns()}",
            channel=name,
            event="text",
            created_us=now_us,
            facts=facts,
            files=tuple(attached),
            language=language(),
        )
        put(paths, message)
    summon.summon()


def _attached(files: Any, run: job.Job | None) -> Iterable[str]:
    """The paths of what is to be attached; what cannot be is said and left out."""
    if files is None:
        return
    if isinstance(files, (str, os.PathLike)) or hasattr(files, "savefig"):
        files = [files]
    try:
        given = list(files)
    except TypeError:
        complain("watch.files", kind=type(files).__name__)
        return
    for each in given:
        try:
            yield _kept(each, run)
        except Exception as error:  # whatever a figure's own methods raise: the text is told
            complain("watch.file", error, file=_shown(each))


def _kept(file: Any, run: job.Job | None) -> str:
    """Where a file lies that stays as it is until it is sent."""
    if hasattr(file, "savefig"):
        if run is not None:
            return media.keep_figure(run, file, "notify")
        drawn = os.path.join(_folder(), "figure.png")
        file.savefig(drawn, bbox_inches="tight")
        return drawn
    path: str = os.path.abspath(os.path.expanduser(os.fspath(file)))
    size = os.stat(path).st_size
    if size > _FILE_BYTES:
        raise ValueError(f"{size / 2**20:.0f} MiB > {_FILE_BYTES / 2**20:.0f} MiB")
    if not path.lower().endswith(_PICTURES):
        return path
    if run is not None:
        return media.keep_figure(run, path, name_from(path))
    return shutil.copy(path, _folder())


def _folder() -> str:
    """A new folder for a picture that no run keeps; those of messages long gone are removed."""
    pictures = os.path.join(agent_paths().make().dir, "attached")
    os.makedirs(pictures, mode=0o700, exist_ok=True)
    for name in os.listdir(pictures):
        old = os.path.join(pictures, name)
        with contextlib.suppress(OSError):  # gone in this moment
            if time.time() - os.stat(old).st_mtime > _PICTURES_KEPT_S:
                shutil.rmtree(old, ignore_errors=True)
    mine = os.path.join(pictures, f"{time.time_ns()}-{os.getpid()}")
    os.mkdir(mine, mode=0o700)
    return mine


def _shown(value: object) -> str:
    return value[:120] if isinstance(value, str) else type(value).__name__
