"""KakaoTalk's tokens as a file: private, whole or absent, with room taken before it is needed.

One file per channel, ``tokens/<channel>.json`` in the configuration folder, mode 0600. Two machines
need a login each: a copied file is dead on both after the first month. Standard library only.
"""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from threading import get_ident
from typing import Any

from overnight import crashpoint
from overnight.channels.base import Refused
from overnight.channels.store import canonical
from overnight.errors import UserError
from overnight.ledger import claims, files
from overnight.ledger.paths import config_dir

DAY_S = 86_400.0
#: So long before its end an access token is replaced.
_AHEAD_S = 1_800.0
#: The same where that may replace the refresh token too: what a lost answer leaves is good for
#: five hours, and there is at most one refresh an hour.
_AHEAD_OF_ROTATION_S = 5 * 3600.0
#: "Less than a month left" (Kakao's words), with two days for what a month and a clock may be.
_ROTATES_BELOW_S = 33 * DAY_S
#: An access token with less left may be dead on arrival.
_LEEWAY_S = 60.0
#: A clock that stands this far before a token's birth was set back: nothing it says is believed.
_CLOCK_S = 300.0
#: The claim of a process of another machine on the same network home is void by then.
_STALE_S = 180.0
#: The file's size, padded: room once taken holds any tokens.
_FILE_BYTES = 4096
_SCHEMA = "overnight.kakao-token/1"


@dataclass(frozen=True, slots=True)
class Token:
    """What one login has brought, and the refreshes since. Times are seconds since 1970 UTC.

    Attributes:
        granted_s: When the access token was asked for.
        dead: Why the server refused the refresh token; empty while it is good.
    """

    access: str = field(repr=False)
    access_expires_s: float
    refresh: str = field(repr=False)
    refresh_expires_s: float
    granted_s: float
    dead: str = ""

    def is_usable(self, now_s: float) -> bool:
        """Whether the access token is good as far as this clock knows."""
        return now_s < self.access_expires_s - _LEEWAY_S and now_s > self.granted_s - _CLOCK_S

    def is_due(self, now_s: float) -> bool:
        """Whether it is time for a refresh."""
        ahead_s = _AHEAD_OF_ROTATION_S if self.may_rotate(now_s) else _AHEAD_S
        return not self.is_usable(now_s) or now_s > self.access_expires_s - ahead_s

    def may_rotate(self, now_s: float) -> bool:
        """Whether a refresh may replace the refresh token."""
        return self.refresh_expires_s - now_s < _ROTATES_BELOW_S


def path(name: str) -> Path:
    """Where a channel's tokens are, whether or not there are any.

    Raises:
        UserError: No channel can have this name.
    """
    return Path(config_dir()) / "tokens" / (canonical(name) + ".json")


def load(name: str) -> Token | None:
    """A channel's tokens; None before the first login.

    Raises:
        UserError: The file is damaged or cannot be read.
    """
    where = path(name)
    try:
        if sys.platform != "win32" and where.exists() and where.stat().st_mode & 0o077:
            where.chmod(0o600)
        value = files.read_json(str(where))
        exists = where.exists()
    except OSError as error:
        raise Refused(
            "kakao.token_unreadable", where=where, why=error.strerror, name=name
        ) from None
    if value is None and not exists:
        return None
    token = _from_json(value or {})
    if token is None:
        raise Refused("kakao.token_damaged", where=where, name=name)
    return token


def check_room(name: str) -> None:
    """Raises UserError if a login's tokens could not be saved."""
    try:
        with room(path(name)):
            return
    except OSError as error:
        raise unwritable(name, error) from None


def forget(name: str) -> bool:
    """Removes a channel's tokens; False if it had none.

    Raises:
        UserError: The file cannot be removed.
    """
    where = path(name)
    try:
        for left in where.parent.glob(where.name + ".*"):
            left.unlink(missing_ok=True)
        where.unlink()
    except FileNotFoundError:
        return False
    except OSError as error:
        raise unwritable(name, error) from None
    return True


def _from_json(value: Mapping[str, Any]) -> Token | None:
    texts: list[Any] = [value.get(key) for key in ("access", "refresh", "dead")]
    times: list[Any] = [
        value.get(key) for key in ("access_expires_s", "refresh_expires_s", "granted_s")
    ]
    if not all(isinstance(text, str) for text in texts) or not texts[0] or not texts[1]:
        return None
    # Up to the year 35 million: beyond, a second is lost in the rounding.
    if not all(type(each) in (int, float) and 0 <= each < 2**50 for each in times):
        return None
    return Token(texts[0], times[0], texts[1], times[1], times[2], texts[2])


def save(where: Path, token: Token, place: Path | None) -> None:
    """Replaces the file: in the ``place`` that :func:`room` took, if any. Raises OSError."""
    data = files.to_json({"schema": _SCHEMA, **asdict(token)})
    data = data.rstrip().ljust(_FILE_BYTES - 1) + b"\n"
    if place is None:
        where.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        files.replace(str(where), data)
    else:
        # Not truncated: the blocks are there.
        fd = os.open(place, os.O_WRONLY | getattr(os, "O_CLOEXEC", 0))
        try:
            files.write_all(fd, data)
            os.ftruncate(fd, len(data))
            os.fsync(fd)
        finally:
            os.close(fd)
        crashpoint.reach("token.written")
        files.rename(str(place), str(where))
    _sync_folder(where.parent)
    crashpoint.reach("token.saved")


def _sync_folder(folder: Path) -> None:
    """Makes a rename outlive a power cut, where a folder can be synced."""
    if sys.platform != "win32":
        fd = os.open(folder, os.O_RDONLY)
        try:
            with contextlib.suppress(OSError):
                os.fsync(fd)
        finally:
            os.close(fd)


@contextmanager
def room(where: Path) -> Iterator[Path]:
    """Room on the disk for a token file. Raises OSError if there is none."""
    where.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    # Threads of one process may have the same moment.
    place = where.with_name(
        f"{where.name}.{os.getpid()}.{get_ident():x}.{time.monotonic_ns()}.room"
    )
    fd = os.open(place, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_CLOEXEC", 0), 0o600)
    try:
        try:
            files.write_all(fd, b" " * _FILE_BYTES)
            os.fsync(fd)
        finally:
            os.close(fd)
        yield place
    finally:
        place.unlink(missing_ok=True)


class BusyError(Exception):
    """Another process is changing the tokens."""


@contextmanager
def alone(where: Path) -> Iterator[None]:
    """Within it no other process changes the tokens. Raises BusyError, or OSError."""
    folder, what = where.parent / "claims", where.stem
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    number = claims.take(str(folder), what, stale_s=_STALE_S)
    if number is None:
        raise BusyError
    try:
        claims.forget_older(str(folder), what, number)
        _sweep(where)
        yield
    finally:
        with contextlib.suppress(OSError):  # a disk gone read-only; it is void with this process
            claims.leave(str(folder), what, number)


def _sweep(where: Path) -> None:
    """Takes up what killed processes left: the newest tokens are kept, all else goes.

    Tokens in a room were granted and never named: by then those before them may be dead.
    """
    for left in where.parent.glob(where.name + ".*"):
        if left.suffix not in (".room", ".tmp"):
            continue
        found, kept = (_from_json(files.read_json(str(each)) or {}) for each in (left, where))
        if found is not None and (kept is None or found.granted_s > kept.granted_s):
            files.rename(str(left), str(where))
        left.unlink(missing_ok=True)


def unwritable(name: str, error: OSError) -> UserError:
    """The error of a login whose tokens the disk did not take."""
    where = path(name)
    return UserError("kakao.token_unwritable", where=where, why=error.strerror or str(error))
