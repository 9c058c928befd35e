"""The files behind a record of media.jsonl: a table's rows, an artifact's parts."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from overnight.trackers.base import Item

#: Files that are never written again once they are noted: a second name is as good as a copy.
_NEVER_CHANGED = ("media", "model")
_PICTURE = "_picture"
#: A table that is larger is shown by its beginning; all of it lies in the run's folder.
_MOST_ROWS = 10_000


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


def table_of(item: Item) -> tuple[list[str], list[list[Any]]]:
    """A table's columns and rows; a picture in it by its path in the run's folder."""
    said = item.record.get("columns")
    columns = [str(each) for each in said] if isinstance(said, list) else []
    rows = []
    for row in rows_of(item.path):
        rows.append([_cell(row.get(column)) for column in columns])
        if len(rows) >= _MOST_ROWS:
            break
    return columns, rows


def _cell(value: Any) -> Any:
    if isinstance(value, dict) and isinstance(value.get(_PICTURE), dict):
        return value[_PICTURE].get("path")
    return value
