"""A table as a file: one JSON object a row, its pictures beside it."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from overnight.errors import UserError
from overnight.ledger import pixels
from overnight.ledger.complaint import complain_of
from overnight.ledger.format import encode, spell
from overnight.ledger.rows import opened
from overnight.ledger.shelf import Shelf

#: A larger one is compressed: predictions of a whole validation set shrink to a tenth.
PLAIN_BYTES = 1024 * 1024
_PICTURE = "_picture"
_PICTURE_SUFFIXES = (".png", ".jpg", ".jpeg", ".gif", ".webp", ".bmp")
#: What may be drawn from a table → its columns.
_PLOTS = {"confusion_matrix": ("truth", "prediction", "count")}


def write_table(shelf: Shelf, key: str, columns: Sequence[Any] | None, rows: Any) -> dict[str, Any]:
    """Puts a table on the shelf; gives its record's fields.

    Raises:
        UserError: The rows are none, or one has more cells than there are columns.
        OSError: The disk is full.
        Exception: Whatever the rows and cells raise.
    """
    given, rows = opened(columns, rows)
    names = _distinct([str(column) for column in given])
    lines = _Lines(shelf, key, given, names, rows)
    begin = lines.up_to(PLAIN_BYTES)
    if lines.over:
        file = shelf.put(key, ".jsonl", lambda path: _write_plain(path, begin))
    else:
        file = shelf.put(key, ".jsonl.gz", lambda path: _write_packed(path, begin, lines))
    return {**file, "columns": names, "num_rows": lines.num_rows}


def check_plot(plot: str, columns: Sequence[str]) -> str:
    """``plot``, where it can be drawn from these columns.

    Raises:
        UserError: Nobody knows the word, or columns are missing.
    """
    if plot not in _PLOTS:
        raise UserError("job.plot", plot=repr(plot), plots=", ".join(_PLOTS))
    if set(_PLOTS[plot]) - set(columns):
        raise UserError("job.plot_columns", plot=plot, columns=", ".join(_PLOTS[plot]))
    return plot


def _distinct(names: Sequence[str]) -> list[str]:
    """The names, with a number behind those that came before: ``score``, ``score_2``."""
    found: list[str] = []
    for name in names:
        again, count = name, 1
        while again in found:
            count += 1
            again = f"{name}_{count}"
        found.append(again)
    return found


class _Lines:
    """The lines of a table's file, made when they are asked for."""

    def __init__(
        self,
        shelf: Shelf,
        key: str,
        columns: Sequence[Any],
        names: Sequence[str],
        rows: Iterable[Any],
    ) -> None:
        self.num_rows = 0
        #: Whether all have been made.
        self.over = False
        self._shelf, self._key, self._columns, self._names = shelf, key, columns, names
        #: A picture could not be kept, and that was said: what ails one often ails a thousand.
        self._has_complained = False
        self._rows = iter(rows)

    def up_to(self, num_bytes: int) -> bytes:
        """The next lines, until they are more than so many bytes together."""
        lines = bytearray()
        while len(lines) <= num_bytes:
            row = next(self._rows, self)
            if row is self:
                self.over = True
                break
            lines += self._line(row)
        return bytes(lines)

    def _line(self, row: Any) -> bytes:
        self.num_rows += 1
        if isinstance(row, (str, bytes)) or not hasattr(row, "__iter__"):
            raise UserError("job.row", row=self.num_rows, given=repr(row)[:80])
        if isinstance(row, Mapping):
            cells = [row.get(column) for column in self._columns]
        else:
            cells = list(row)
            if len(cells) > len(self._names):
                raise UserError(
                    "job.row_too_long",
                    row=self.num_rows,
                    num_cells=len(cells),
                    num_columns=len(self._names),
                )
            cells += [None] * (len(self._names) - len(cells))
        return encode({name: self._cell(cell) for name, cell in zip(self._names, cells)})

    def _cell(self, value: Any) -> Any:
        if value is None or isinstance(value, (bool, int, float, str)):
            return value
        if isinstance(value, os.PathLike):
            path = os.fspath(value)
            if str(path).lower().endswith(_PICTURE_SUFFIXES):
                return self._picture(path)
            return str(path)
        if pixels.is_picture(value):
            return self._picture(value)
        if isinstance(value, Mapping) and _PICTURE in value:
            return str(value)
        listed = getattr(value, "tolist", None)
        return spell(listed() if callable(listed) else value)

    def _picture(self, value: Any) -> dict[str, Any] | None:
        try:
            return {_PICTURE: self._shelf.picture_part(value)}
        except Exception as error:  # one cell is empty, and the others are kept
            if not self._has_complained:
                self._has_complained = True
                complain_of("job.no_cell", self._key, error)
            return None


def _write_plain(path: str, begin: bytes) -> None:
    with open(path, "wb") as file:
        file.write(begin)


def _write_packed(path: str, begin: bytes, lines: _Lines) -> None:
    import gzip

    # Neither a name nor a time in it: equal tables are equal files.
    with open(path, "wb") as file, gzip.GzipFile("", "wb", 6, file, mtime=0) as packed:
        packed.write(begin)
        while not lines.over:
            packed.write(lines.up_to(PLAIN_BYTES))
