"""From an ID to its file: one look into each folder, whatever the extension and its case."""

from __future__ import annotations

import os
import unicodedata
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path

from overnight.tasks.image_classification.images import EXTENSIONS

#: A link that leads back up would be followed for ever.
_MAX_DEPTH = 16


def is_image(name: str) -> bool:
    """Whether a file's name ends as an image's does; what begins with a dot is no image."""
    return not name.startswith(".") and _parts(name)[1].lower() in EXTENSIONS


def images_below(folder: Path) -> list[str]:
    """All images in a folder and below it, relative to it with ``/``, sorted."""
    found = []
    for parent, folders, names in os.walk(folder, followlinks=True):
        inside = Path(parent).relative_to(folder)
        if len(inside.parts) < _MAX_DEPTH:
            folders[:] = [name for name in folders if not name.startswith(".")]
        else:
            folders.clear()
        found += [(inside / name).as_posix() for name in names if is_image(name)]
    return sorted(found)


@dataclass(frozen=True, slots=True)
class Found:
    """A file for an ID.

    Attributes:
        others: Further files the ID could mean: the same name with another extension.
    """

    path: str
    others: tuple[str, ...] = ()


@dataclass(slots=True)
class Finder:
    """Files of a folder by ID. A folder is listed once, not asked for each ID.

    Attributes:
        extension: Tried before the others; with or without its dot.
    """

    folder: Path
    extension: str | None = None
    _listings: dict[str, dict[str, list[str]]] = field(default_factory=dict)

    def find(self, id: str) -> Found | None:
        """The file of an ID, which may have an extension or none, and folders before its name.

        Tried in this order: the ID as it is; with the extension asked for; with any other. An ID
        ``a.jpg`` finds ``a.png``, and never makes up an ``a.jpg.jpg``.
        """
        inside, _, name = id.replace("\\", "/").rpartition("/")
        listing = self._listing(inside)
        candidates = [*listing.get(_key(name), ()), *listing.get(_key(name) + "/", ())]
        if not candidates and is_image(name):
            candidates = listing.get(_key(_parts(name)[0]) + "/", [])
        if not candidates:
            return None
        best, *others = sorted(set(candidates), key=lambda each: self._rank(each, name))
        if _same(best, name):
            others = []
        return Found(str(self.folder / inside / best), tuple(others))

    def _rank(self, candidate: str, name: str) -> tuple[bool, bool, bool, int, str]:
        stem, extension = _parts(candidate)
        wanted = "." + (self.extension or "").lower().lstrip(".")
        return (
            candidate != name,
            not _same(candidate, name),
            extension.lower() != wanted,
            EXTENSIONS.index(extension.lower()) if is_image(candidate) else len(EXTENSIONS),
            stem,
        )

    def _listing(self, inside: str) -> dict[str, list[str]]:
        """Names by themselves, and (with ``/`` behind) by what stands before their extension."""
        known = self._listings.get(inside)
        if known is not None:
            return known
        listing: defaultdict[str, list[str]] = defaultdict(list)
        try:
            with os.scandir(self.folder / inside) as entries:
                for entry in entries:
                    if not entry.is_file():
                        continue
                    # A file that is named with its extension is taken at its word.
                    listing[_key(entry.name)].append(entry.name)
                    if is_image(entry.name):
                        listing[_key(_parts(entry.name)[0]) + "/"].append(entry.name)
        except (OSError, ValueError):
            listing.clear()  # no such folder, or no name of one: each of its images is told
        self._listings[inside] = dict(listing)
        return self._listings[inside]


def _parts(name: str) -> tuple[str, str]:
    """What stands before the extension, and the extension with its dot."""
    stem, dot, extension = name.rpartition(".")
    return (stem, dot + extension) if stem else (name, "")


def _same(one: str, other: str) -> bool:
    return unicodedata.normalize("NFC", one) == unicodedata.normalize("NFC", other)


def _key(name: str) -> str:
    """A name whatever its case, and however its letters are put together.

    macOS stores 가 as ᄀ and ᅡ; a table written elsewhere has it in one piece.
    """
    return unicodedata.normalize("NFC", name).casefold()
