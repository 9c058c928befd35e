"""Where the job's pictures and files are put (docs/ledger-format.md).

A file is whole before its record is written, and is never written again. A process that is killed
leaves at most a file that no record names.
"""

from __future__ import annotations

import hashlib
import os
import re
import stat
import time
from _thread import get_ident
from collections.abc import Callable
from typing import Any

from overnight import crashpoint
from overnight.errors import UserError
from overnight.ledger import files, pixels
from overnight.ledger.paths import RunPaths, name_from

_BLOCK_BYTES = 1024 * 1024
#: What a file's name may end in; anything longer or stranger is no suffix people know.
_SUFFIX = re.compile(r"\.[a-z0-9]{1,10}")

#: How the files begin that people can look at, and what their names end in.
_PICTURES = (
    (b"\x89PNG\r\n\x1a\n", ".png"), (b"\xff\xd8\xff", ".jpg"), (b"GIF8", ".gif"), (b"BM", ".bmp"),
    (b"II*\0", ".tif"), (b"MM\0*", ".tif"), (b"%PDF", ".pdf"), (b"<svg", ".svg"),
    (b"<?xml", ".svg"),
)  # fmt: skip

FileFields = dict[str, Any]


class Shelf:
    """A run's ``media/`` and ``media/parts/``.

    Args:
        run: The run.
        mark: What tells this process's files from those of others (``.p<pid>``).
        number: Of the next file in ``media/``, unless that name is taken.
    """

    def __init__(self, run: RunPaths, mark: str, number: int) -> None:
        self.run = run
        self._mark, self._number = mark, number

    def put(self, key: str, suffix: str, write: Callable[[str], None]) -> FileFields:
        """A file of ``media/``, named after what it shows.

        Args:
            key: What it shows.
            suffix: What its name ends in.
            write: Makes the file at the path it is given.

        Raises:
            OSError: The disk is full, or the folder cannot be written; nothing is left.
            Exception: Whatever ``write`` raises.
        """
        path = self._claim(name_from(key.replace("/", "_") + "."), suffix)
        aside = path + ".tmp"
        try:
            write(aside)
            fields = self._fields(aside)
            crashpoint.reach("media.written")
            files.rename(aside, path)
            crashpoint.reach("media.kept")
        except BaseException:
            files.discard(aside)
            files.discard(path)
            raise
        return {**fields, "path": self._relative(path)}

    def _claim(self, stem: str, suffix: str) -> str:
        """A name nobody has, held by an empty file until the whole one takes its place."""
        os.makedirs(self.run.media, mode=0o700, exist_ok=True)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_CLOEXEC", 0)
        number = self._number
        while True:
            path = self.run.at("media", f"{stem}{self._mark}_{number:06d}{suffix}")
            try:
                os.close(os.open(path, flags, 0o600))
            except FileExistsError:  # another thread's, or one that a killed process left
                number += 1
            else:
                return path

    def part(self, suffix: str, write: Callable[[str], None]) -> FileFields:
        """A file of ``media/parts/``, named by its contents: equal ones lie there once.

        Raises:
            OSError: As ``put``.
            Exception: Whatever ``write`` raises.
        """
        folder = self.run.at("media", "parts")
        os.makedirs(folder, mode=0o700, exist_ok=True)
        aside = os.path.join(folder, f"{os.getpid()}.{get_ident():x}.{time.monotonic_ns()}.tmp")
        try:
            write(aside)
            fields = self._fields(aside)
            path = os.path.join(folder, fields["sha256"] + suffix)
            files.rename(aside, path)
        except BaseException:
            files.discard(aside)
            raise
        return {**fields, "path": self._relative(path)}

    def picture(self, value: Any, key: str) -> FileFields:
        """A picture of any kind as a file of ``media/``."""
        suffix, write = _writer_of(value)
        return self.put(key, suffix, write)

    def picture_part(self, value: Any) -> FileFields:
        """A picture of any kind as a file of ``media/parts/``."""
        suffix, write = _writer_of(value)
        return self.part(suffix, write)

    def in_place(self, path: str) -> FileFields | None:
        """A file that lies in the run's folder already, left where it is; None for any other."""
        real, folder = os.path.realpath(path), os.path.realpath(self.run.dir)
        if not real.startswith(os.path.join(folder, "")):
            return None
        relative = os.path.relpath(real, folder).replace(os.sep, "/")
        return {**self._fields(real), "path": relative}

    def elsewhere(self, path: str) -> FileFields:
        """A file that is only pointed at."""
        return {**self._fields(path), "path": os.path.abspath(path)}

    def _relative(self, path: str) -> str:
        return os.path.relpath(path, self.run.dir).replace(os.sep, "/")

    @staticmethod
    def _fields(path: str) -> FileFields:
        digest, size = hashlib.sha256(), 0
        with open(path, "rb") as file:
            for block in iter(lambda: file.read(_BLOCK_BYTES), b""):
                digest.update(block)
                size += len(block)
        return {"path": "", "sha256": digest.hexdigest(), "bytes": size}


def suffix_of(path: str, default: str = "") -> str:
    """What a file's name ends in, where that is one people know."""
    suffix = os.path.splitext(path)[1].lower()
    return suffix if _SUFFIX.fullmatch(suffix) else default


def copier(source: str) -> Callable[[str], None]:
    """Copies a file: a link would change with what the job writes into it later.

    Raises:
        UserError: There is no such file, or it is none (a folder, a pipe).
    """
    try:
        is_file = stat.S_ISREG(os.stat(source).st_mode)
    except (OSError, ValueError):
        raise UserError("job.no_file", path=source) from None
    if not is_file:
        raise UserError("job.no_plain_file", path=source)

    def copy(target: str) -> None:
        with open(source, "rb") as old, open(target, "wb") as new:
            for block in iter(lambda: old.read(_BLOCK_BYTES), b""):
                new.write(block)

    return copy


def writer(data: bytes) -> Callable[[str], None]:
    """Writes these bytes."""

    def write(target: str) -> None:
        with open(target, "wb") as file:
            file.write(data)

    return write


def _writer_of(value: Any) -> tuple[str, Callable[[str], None]]:
    """The suffix of a picture's file, and what writes it."""
    if isinstance(value, (str, os.PathLike)):
        path = os.fsdecode(value)
        copy = copier(path)
        with open(path, "rb") as file:
            suffix = _suffix_of_picture(file.read(16), path)
        return suffix_of(path, suffix), copy
    if callable(getattr(value, "getvalue", None)):  # what a figure was drawn into
        value = value.getvalue()
    if isinstance(value, (bytes, bytearray)):
        data = bytes(value)
        return _suffix_of_picture(data[:16], f"{len(data):,} bytes"), writer(data)
    save = getattr(value, "savefig", None) or getattr(  # a figure, or one's axes
        getattr(value, "figure", None), "savefig", None
    )
    if callable(save):
        return ".png", lambda path: save(path, format="png", bbox_inches="tight")
    return ".png", writer(pixels.picture(value).png())


def _suffix_of_picture(head: bytes, where: str) -> str:
    for begin, suffix in _PICTURES:
        if head.startswith(begin):
            return suffix
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return ".webp"
    if head[4:8] == b"ftyp":  # heic, avif
        return ".avif"
    raise UserError("job.no_picture_file", path=where)
