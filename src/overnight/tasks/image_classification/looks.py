"""What was found in images that were looked at before: kept, so that a resume need not look again.

A file counts as known while its path, size and times are what they were. Only what was found whole
is kept: what is wrong with the others is looked at anew each time, and mended meanwhile. The lines
lie in the user's state folder, a file per image folder; it may be removed at any time.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
import time
from collections.abc import Iterable
from pathlib import Path

from overnight.ledger.paths import state_dir
from overnight.tasks.image_classification.images import MAX_PIXELS, Look

#: Another number: what a look finds is another, and nothing of before is believed.
_VERSION = 1
#: A file may be written again within one tick of its disk's clock (FAT: 2 s), and look the same.
_SETTLED_NS = 3_000_000_000
#: A data set nobody has trained on for so long.
_FORGOTTEN_S = 90 * 86_400
_MAX_BYTES = 1 << 30

#: Size, mtime and ctime in ns. The ctime, since unpacked files of one size may share their mtime.
_Stamp = tuple[int, int, int]


class KnownLooks:
    """The looks of one data set.

    Args:
        folder: Its images' folder, absolute; the lines name files relative to it.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = str(folder)
        name = hashlib.sha256(repr((*_rules(), self._folder)).encode("utf-8", "replace"))
        self._path = Path(state_dir(), "looks", f"{name.hexdigest()[:24]}.jsonl")
        self._known: dict[str, tuple[_Stamp, Look]] = {}
        #: As read: newer lines for a file replace its older ones.
        self._lines: list[tuple[str, bytes]] = []
        self._read()
        self._tidy()

    def find(self, path: str) -> Look | None:
        """What is known of a file; None where it has to be looked at."""
        known = self._known.get(self._name(path))
        return known[1] if known is not None and known[0] == _stamp(path) else None

    def keep(self, looks: Iterable[tuple[str, Look]], begun_ns: int) -> None:
        """Writes down what was found; without room for it, nothing is.

        Args:
            looks: Paths, and what was found in each.
            begun_ns: When the first of them was begun to be read, by the wall clock.
        """
        lines = []
        for path, look in looks:
            stamp = _stamp(path)
            if look.why or stamp is None or max(stamp[1:]) > begun_ns - _SETTLED_NS:
                continue
            row = [self._name(path), *stamp, look.sha256, look.width, look.height, look.mode,
                   look.format, int(look.is_moving)]  # fmt: skip
            lines.append(json.dumps(row, separators=(",", ":")))
        if not lines:
            return
        # What a kill has torn off before is ended by the first newline.
        data = "\n".join(["", *lines, ""]).encode("ascii")
        try:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            with self._path.open("ab", buffering=0) as file:
                file.write(data)  # one write: another process's lines do not get in between
        except OSError:
            return  # the next training looks again

    def _tidy(self) -> None:
        """Takes out lines that newer ones replace, and files of data sets nobody uses."""
        try:
            if len(self._lines) > 2 * len(self._known) + 1000:
                self._path.write_bytes(b"\n".join([*dict(self._lines).values(), b""]))
            for path in self._path.parent.iterdir():
                if time.time() - path.stat().st_mtime > _FORGOTTEN_S:
                    path.unlink()
        except OSError:
            return

    def _name(self, path: str) -> str:
        """Relative to the folder, absolute elsewhere: ``join`` makes either whole again."""
        if path.startswith(self._folder + os.sep):
            return path[len(self._folder) + 1 :]
        return path

    def _read(self) -> None:
        try:
            if self._path.stat().st_size > _MAX_BYTES:
                self._path.unlink()
            data = self._path.read_bytes()
            os.utime(self._path)
        except OSError:
            return
        for line in data.split(b"\n"):
            try:
                name, size, mtime_ns, ctime_ns, sha256, width, height, mode, kind, is_moving = (
                    json.loads(line)
                )
            except (ValueError, TypeError):
                continue  # between two writes; or torn by a kill, a full disk, a network disk
            look = Look("", sha256, size, width, height, mode, kind, bool(is_moving))
            self._known[name] = ((size, mtime_ns, ctime_ns), look)
            self._lines.append((name, line))


def _rules() -> tuple[object, ...]:
    """What makes a look what it is: another Pillow may read what this one refuses."""
    import PIL

    return _VERSION, PIL.__version__, MAX_PIXELS


def _stamp(path: str) -> _Stamp | None:
    try:
        found = Path(path).stat()
    except OSError:
        return None
    return found.st_size, found.st_mtime_ns, 0 if sys.platform == "win32" else found.st_ctime_ns
