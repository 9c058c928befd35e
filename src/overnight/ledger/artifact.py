"""A version of a file or a folder: what is in it, and where that lies."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from overnight.errors import UserError
from overnight.ledger.shelf import Shelf, copier, suffix_of

#: Predictions, heads and small models; beyond it a copy each epoch would fill a disk over night.
COPIED_BYTES = 64 * 1024 * 1024
#: More would make a record that no reader wants; an archive of them is one file.
NUM_FILES_AT_MOST = 1_000


@dataclass(frozen=True)
class Version:
    """What one version of an artifact holds."""

    sha256: str
    num_bytes: int
    files: Sequence[Mapping[str, Any]]

    def fields(self) -> dict[str, Any]:
        """As in its record."""
        return {"sha256": self.sha256, "bytes": self.num_bytes, "files": list(self.files)}


def version(shelf: Shelf, path: str) -> Version:
    """Reads a file, or a folder and all in it; copies what has to be.

    Raises:
        UserError: There is no such file, or there are too many.
        OSError: A file cannot be read, or the disk is full.
    """
    if os.path.isdir(path):
        names = _names(path)
        files = [_file(shelf, os.path.join(path, *name.split("/")), name) for name in names]
        lines = "".join(f"{file['sha256']}  {file['name']}\n" for file in files)
        sha256 = hashlib.sha256(lines.encode("utf-8", "surrogateescape")).hexdigest()
    else:
        files = [_file(shelf, path, os.path.basename(path))]
        sha256 = files[0]["sha256"]
    return Version(sha256, sum(file["bytes"] for file in files), files)


def _file(shelf: Shelf, path: str, name: str) -> dict[str, Any]:
    copy = copier(path)
    fields = shelf.in_place(path)
    if fields is None and os.path.getsize(path) <= COPIED_BYTES:
        fields = shelf.part(suffix_of(path), copy)
    return {"name": name, **(fields or shelf.elsewhere(path))}


def _names(folder: str) -> list[str]:
    """Every file below a folder, relative to it, with ``/``, in order; links are followed."""
    found: list[str] = []
    for parent, folders, names in os.walk(folder, onerror=_raise, followlinks=True):
        here = os.path.join(os.path.realpath(parent), "")
        # A link to a folder that it lies in has no end.
        ends = {f: os.path.join(os.path.realpath(os.path.join(parent, f)), "") for f in folders}
        folders[:] = sorted(name for name in folders if not here.startswith(ends[name]))
        found += [os.path.relpath(os.path.join(parent, name), folder) for name in names]
        if len(found) > NUM_FILES_AT_MOST:
            raise UserError("job.too_many_files", path=folder, at_most=f"{NUM_FILES_AT_MOST:,}")
    if not found:
        raise UserError("job.empty_folder", path=folder)
    return sorted(name.replace(os.sep, "/") for name in found)


def _raise(error: OSError) -> None:
    raise error
