"""Files that are not append-only: written aside and renamed, or taken by atomic create.

Windows and some network disks refuse what Linux allows for a moment (renaming over an open file);
there a rename is tried again for a second.
"""

from __future__ import annotations

import errno
import json
import os
import sys
import time
from _thread import get_ident
from collections.abc import Mapping
from typing import Any

from overnight import crashpoint
from overnight.ledger.format import parse_object, spell

_RENAME_TRIES_S = 1.0


def replace(path: str, data: bytes, *, mode: int = 0o600, sync: bool = True) -> None:
    """Writes ``data`` so that a reader of ``path`` sees the old bytes or the new, never a mixture.

    Raises:
        OSError: The disk is full, the folder is gone …; ``path`` is as it was.
    """
    aside = _aside(path)
    fd = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_CLOEXEC", 0), mode)
    try:
        try:
            crashpoint.tear("replace.torn", fd, data)
            write_all(fd, data)
            if sync:
                os.fsync(fd)
        finally:
            os.close(fd)
        crashpoint.reach("replace.written")
        rename(aside, path)
        crashpoint.reach("replace.renamed")
    except BaseException:
        discard(aside)
        raise


def rename(source: str, target: str) -> None:
    """``os.replace``, patient with readers on systems where they are in the way."""
    if sys.platform == "win32":
        until = time.monotonic() + _RENAME_TRIES_S
        while True:
            try:
                os.replace(source, target)
            except PermissionError:
                if time.monotonic() > until:
                    raise
                time.sleep(0.01)
            else:
                return
    else:
        os.replace(source, target)


def _aside(path: str) -> str:
    """A name beside ``path`` that no other process, thread or machine is using."""
    return f"{path}.{os.getpid()}.{get_ident():x}.{time.monotonic_ns()}.tmp"


def write_all(fd: int, data: bytes) -> None:
    """Writes every byte. Raises OSError with ENOSPC when a write accepts none."""
    view = memoryview(data)
    while view:
        written = os.write(fd, view)
        if written == 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        view = view[written:]


def create_once(path: str, data: bytes, *, mode: int = 0o600, sync: bool = False) -> bool:
    """Creates ``path`` with its whole content; False if the name is taken already.

    The content is linked into place, so nobody sees the name without the content. Where a disk
    has no hard links the name is created exclusively and then filled.
    """
    aside = _aside(path)
    fd = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_CLOEXEC", 0), mode)
    try:
        try:
            write_all(fd, data)
            if sync:
                os.fsync(fd)
        finally:
            os.close(fd)
        crashpoint.reach("claim.written")
        try:
            os.link(aside, path)
        except FileExistsError:
            return False
        except OSError:
            return _create_exclusively(path, data, mode)
        crashpoint.reach("claim.taken")
        return True
    finally:
        discard(aside)


def _create_exclusively(path: str, data: bytes, mode: int) -> bool:
    try:
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    except FileExistsError:
        return False
    try:
        try:
            write_all(fd, data)
        finally:
            os.close(fd)
    except BaseException:
        discard(path)  # a name taken without its content would be taken for ever
        raise
    return True


def discard(path: str) -> None:
    """Removes a file that may already be gone."""
    try:
        os.unlink(path)
    except FileNotFoundError:
        return


def read_json(path: str) -> dict[str, Any] | None:
    """The JSON object in ``path``; None if there is no such file, or no object in it."""
    try:
        with open(path, "rb") as file:
            return parse_object(file.read())
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
        return None


def to_json(value: Mapping[str, Any]) -> bytes:
    """A small file's text: readable, one key a line, non-ASCII as it is; NaN is "NaN"."""
    return (json.dumps(spell(value), ensure_ascii=False, indent=1) + "\n").encode()
