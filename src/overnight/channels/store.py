"""The person's channels: named URLs in one private file, and in variables.

``channels.json`` lies in the user's configuration folder, mode 0600 in a folder of 0700. A variable
``OVERNIGHT_CHANNEL_PHONE=<url>`` defines ``phone`` and wins over the file. Names know no capitals;
``_`` and ``-`` are the same, since a variable's name cannot hold the latter.

Standard library only: the agent imports it.
"""

from __future__ import annotations

import os
import re
import stat
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from overnight.channels.url import masked as masked
from overnight.errors import UserError
from overnight.ledger import files
from overnight.ledger.paths import config_dir
from overnight.outbox import keep

VARIABLE = keep.PREFIX
Format = Literal["short", "full", "custom"]
FORMATS: tuple[Format, ...] = ("short", "full", "custom")
_NAME = re.compile(r"[^\W_][\w-]{0,31}")
_SCHEMA = "overnight.channels/1"
_PRIVATE_FILE, _PRIVATE_FOLDER, _OTHERS = 0o600, 0o700, 0o077


@dataclass(frozen=True, slots=True)
class Named:
    """A channel as the person set it up.

    Attributes:
        name: In its one spelling: ``my-phone``.
        url: The secret; kept out of ``repr``.
        source: Where it was found.
        format: How messages are written for it, if the person chose.
    """

    name: str
    url: str = field(repr=False)
    source: Literal["file", "environment"]
    format: Format | None = None

    @property
    def masked(self) -> str:
        """The service and at most three characters: what may be shown."""
        return masked(self.url)


def built_in() -> dict[str, Named]:
    """Channels that need no setting up: told on only where they are named."""
    return {word: Named(word, word + "://", "environment") for word in ("console", "desktop")}


def with_terminal(env: Mapping[str, str], names: Iterable[str]) -> dict[str, str]:
    """``env`` with the terminal of this process in the place of every ``console://`` in ``names``.

    Which terminal is meant is known only to whoever sits at it.
    """
    from overnight.channels.terminal import console_url

    known = {**built_in(), **load(env)}
    terminal = console_url()
    found = dict(env)
    for name in names:
        named = known.get(canonical(name))
        if named is not None and terminal is not None and named.url.rstrip("/") == "console:":
            found[VARIABLE + named.name] = terminal
        elif named is not None and named.name not in load(env):
            found[VARIABLE + named.name] = named.url
    return found


def path() -> Path:
    """Where the file is, whether or not there is one."""
    return Path(config_dir()) / "channels.json"


def canonical(name: str) -> str:
    """The one spelling of a channel's name.

    Raises:
        UserError: It cannot be one.
    """
    spelled = keep.one_spelling(name)
    if not _NAME.fullmatch(spelled):
        raise UserError("channel.name", where=_shown(name))
    return spelled


def load(env: Mapping[str, str] | None = None) -> dict[str, Named]:
    """Every channel there is, by name.

    Raises:
        UserError: The file is damaged or cannot be kept from others, or a variable's name cannot
            be a channel's.
    """
    found = {name: _named(name, entry) for name, entry in _read().items()}
    for variable, url in (os.environ if env is None else env).items():
        if variable.upper().startswith(VARIABLE) and url.strip():
            try:
                name = canonical(variable[len(VARIABLE) :])
            except UserError:
                raise UserError("channel.name", where=_shown(variable)) from None
            found[name] = Named(name, url.strip(), "environment", None)
    return dict(sorted(found.items()))


def add(name: str, url: str, format: Format | None = None) -> Named:
    """Keeps a channel, over one of the same name. Whether its URL works is not looked at.

    Raises:
        UserError: The name or the format cannot be, or the file cannot be read or written.
    """
    named = Named(canonical(name), url.strip(), "file", format)
    if format is not None and format not in FORMATS:
        raise UserError("channel.format", where=named.name)
    with _changing() as entries:
        entries[named.name] = {"url": named.url, "format": format}
    return named


def remove(name: str) -> bool:
    """Forgets a channel; False if the file has none of that name.

    Raises:
        UserError: The file cannot be read or written.
    """
    name = canonical(name)
    with _changing() as entries:
        return entries.pop(name, None) is not None


def _shown(word: str) -> str:
    return "".join(char if char.isprintable() else "?" for char in word)[:80]


def _named(name: str, entry: Mapping[str, Any]) -> Named:
    return Named(name, entry["url"], "file", entry.get("format"))


def _read() -> dict[str, dict[str, Any]]:
    where = path()
    try:
        _keep_private(where)
        value = files.read_json(str(where))
        exists = where.exists()
    except OSError as error:
        raise UserError("channel.file_unreadable", where=where, why=error.strerror) from None
    if value is None and not exists:
        return {}
    entries = value.get("channels") if value is not None else None
    if not isinstance(entries, dict) or not all(map(_is_entry, entries.items())):
        raise UserError("channel.file_damaged", where=where)
    return entries


def _is_entry(item: tuple[str, Any]) -> bool:
    name, entry = item
    return (
        _NAME.fullmatch(name) is not None
        and isinstance(entry, dict)
        and isinstance(entry.get("url"), str)
        and entry.get("format") in (None, *FORMATS)
    )


def _keep_private(where: Path) -> None:
    """Takes other people's rights to the file away; refuses where that does not work."""
    if sys.platform != "win32" and where.exists():
        found = where.stat()
        if not stat.S_IMODE(found.st_mode) & _OTHERS:
            return
        if found.st_uid == os.getuid():
            where.chmod(_PRIVATE_FILE)
        if stat.S_IMODE(where.stat().st_mode) & _OTHERS:
            raise UserError("channel.file_open", where=where)


@contextmanager
def _changing() -> Iterator[dict[str, dict[str, Any]]]:
    """The entries, read and written back while no other process does the same."""
    where = path()
    try:
        where.parent.mkdir(mode=_PRIVATE_FOLDER, parents=True, exist_ok=True)
        with _alone(where.with_suffix(".lock")):
            entries = _read()
            before = repr(entries)
            yield entries
            if repr(entries) != before:
                data = files.to_json({"schema": _SCHEMA, "channels": entries})
                files.replace(str(where), data, mode=_PRIVATE_FILE)
    except OSError as error:
        raise UserError("channel.file_unwritable", where=where, why=error.strerror) from None


@contextmanager
def _alone(lock: Path) -> Iterator[None]:
    """Waits until no other process changes the channels. The lock dies with its holder."""
    fd = os.open(lock, os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0), _PRIVATE_FILE)
    try:
        if sys.platform == "win32":
            import msvcrt

            msvcrt.locking(fd, msvcrt.LK_LOCK, 1)
        else:
            import fcntl

            fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)
