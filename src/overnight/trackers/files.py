"""The files behind a record of media.jsonl: a table's rows, an artifact's parts.

What is the matter with one of them is never the tracker's fault: whoever mixes the two up either
sends a broken picture for ever, or gives up a whole one because a server was away.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from overnight.trackers.base import Item

#: Files that are never written again once they are noted: a second name is as good as a copy.
_NEVER_CHANGED = ("media", "model")
_PICTURE = "_picture"
#: A table that is larger is shown by its beginning; all of it lies in the run's folder.
MOST_ROWS = 10_000


class Unfit(Exception):  # noqa: N818 - it says what it is
    """A file that no tracker will ever take: gone, changed, or not what its record says."""


@contextmanager
def reading() -> Iterator[None]:
    """Within it files of the run are read, and nothing is sent.

    Raises:
        Unfit: One cannot be used.
        OSError: Its disk does not answer, or another one is full.
    """
    try:
        yield
    except OSError as error:
        # Libraries raise it without a number for what they cannot make head or tail of.
        if error.errno is not None and not isinstance(error, FileNotFoundError):
            raise
        raise Unfit(str(error)) from error
    except Exception as error:  # of a picture's or a film's library
        raise Unfit(str(error) or type(error).__name__) from error


@dataclass(frozen=True, slots=True)
class Part:
    """A file, and its name within what it is part of.

    Attributes:
        is_final: It is never written again.
    """

    name: str
    path: Path
    is_final: bool = False

    def put(self, target: Path) -> None:
        """Makes ``target`` the same file, or one with the same content.

        Raises:
            OSError: The disk is full, or the file is gone.
        """
        aside = target.with_name(f"{target.name[:100]}.{os.getpid()}.tmp")
        aside.unlink(missing_ok=True)
        try:
            if self.is_final:
                with suppress(OSError):  # another disk, or one without links
                    aside.hardlink_to(self.path)
            if not aside.exists():
                shutil.copyfile(self.path, aside)
            aside.replace(target)
        finally:
            aside.unlink(missing_ok=True)


def parts_of(item: Item, run: Path) -> Iterator[Part]:
    """The files of an artifact.

    Raises:
        FileNotFoundError: One is gone.
        ValueError: One has changed since it was noted, or its name leads out of the artifact.
    """
    files = item.record.get("files")
    for said in files if isinstance(files, list) else ():
        name, where = str(said.get("name") or ""), str(said.get("path") or "")
        path = run / where
        if not name or name.startswith("/") or ".." in name.split("/"):
            raise ValueError(f"a part cannot be called {name!r}")
        if not path.is_file():
            raise FileNotFoundError(f"{path} is gone")
        is_final = where.split("/")[0] in _NEVER_CHANGED
        if not is_final and said.get("sha256") and said["sha256"] != _sha256(path):
            raise ValueError(f"{path} has changed since")
        yield Part(name, path, is_final)


def picture_of(said: Any, run: Path) -> Path:
    """The file of a mask, or of a picture in a table.

    Raises:
        FileNotFoundError: It is not there.
    """
    path = run / str(said.get("path") if isinstance(said, dict) else "")
    if not path.is_file():
        raise FileNotFoundError(f"{path} is gone")
    return path


def spread_of(item: Item) -> tuple[float, float, list[int]]:
    """A histogram's lowest and highest bound, and what its bins count.

    Raises:
        ValueError, TypeError: It is none.
    """
    low, high = float(item.record["low"]), float(item.record["high"])
    counts = [int(count) for count in item.record["counts"]]
    if not (counts and low < high):
        raise ValueError("a histogram needs bins, and two bounds")
    return low, high, counts


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def rows_of(path: Path) -> Iterator[dict[str, Any]]:
    """The rows of a table's file."""
    packed = path.suffix == ".gz"
    with path.open("rb") as raw, gzip.GzipFile(fileobj=raw) if packed else raw as lines:
        for line in lines:
            row = json.loads(line)
            if isinstance(row, dict):
                yield row


def table_of(
    item: Item, picture: Callable[[Mapping[str, Any]], Any]
) -> tuple[list[str], list[list[Any]]]:
    """A table's columns and rows, as far as it is shown.

    Args:
        item: The table.
        picture: What stands in a cell that is a picture, by what its record says of it.

    Raises:
        FileNotFoundError: It is gone.
        ValueError: It is no table.
    """
    said = item.record.get("columns")
    columns = [str(each) for each in said] if isinstance(said, list) else []
    rows = []
    for row in islice(rows_of(item.path), MOST_ROWS):
        cells = [row.get(column) for column in columns]
        rows.append(
            [
                picture(cell[_PICTURE])
                if isinstance(cell, dict) and isinstance(cell.get(_PICTURE), dict)
                else cell
                for cell in cells
            ]
        )
    return columns, rows
