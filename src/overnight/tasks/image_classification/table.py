"""A table as people keep it: CSV of any encoding and separator, or JSON lines; every cell a text.

Ids such as ``007`` stay what they are: nothing is made a number here.
"""

from __future__ import annotations

import csv
import io
import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from overnight.errors import UserError
from overnight.messages import say
from overnight.plugins import nearest

#: What tools write where there is no value; compared in lower case.
MISSING = frozenset({"", "nan", "na", "n/a", "#n/a", "<na>", "null", "none"})
_MAX_BYTES = 1 << 30
_SEPARATORS = (",", ";", "\t", "|")
#: A path may be long; a picture in a cell is none of ours.
_MAX_FIELD = 1 << 20
_LOOKED_AT = 50


@dataclass(frozen=True, slots=True)
class Table:
    """The rows of a file.

    Attributes:
        columns: Their names, as they stand there.
        rows: The cells of each row, by column.
        lines: In which line of the file each row ends.
        encoding: What the bytes were read as.
        separator: Between two cells.
    """

    path: Path
    columns: tuple[str, ...]
    rows: Sequence[Sequence[str]]
    lines: Sequence[int]
    encoding: str = "utf-8"
    separator: str = ","

    def column(self, name: str) -> list[str]:
        """The cells of a column that is there."""
        place = self.columns.index(name)
        return [row[place] for row in self.rows]

    def find(self, wanted: str) -> str | None:
        """The column of this name: exactly, else whatever its case is; None if there is none."""
        if wanted in self.columns:
            return wanted
        same = [name for name in self.columns if name.casefold() == wanted.casefold()]
        return same[0] if len(same) == 1 else None

    def need(self, wanted: str, key: str) -> str:
        """The column of this name.

        Args:
            wanted: What the spec calls it.
            key: Where in the spec.

        Raises:
            UserError: There is none, or there are two.
        """
        found = self.find(wanted)
        shown = ", ".join(self.columns)
        if found is None:
            close = nearest(wanted, self.columns) or nearest(wanted, map(str.lower, self.columns))
            meant = say("data.meant", name=close) if close else ""
            raise UserError(
                "data.no_column",
                where=self.path,
                column=wanted,
                columns=shown,
                meant=meant,
                key=key,
            )
        if Counter(self.columns)[found] > 1:
            raise UserError("data.column_twice", where=self.path, column=found, columns=shown)
        return found


def read(path: Path, *, expected: Iterable[str] = ()) -> Table:
    """The table of a file.

    Args:
        path: Its extension says whether it is JSON lines; anything else is CSV.
        expected: Names of columns: the separator that finds them is the right one.

    Raises:
        UserError: It cannot be read as a table.
    """
    text, encoding = _text(path)
    if path.suffix.lower() in {".jsonl", ".ndjson"}:
        return _from_json_lines(path, text, encoding)
    wanted = {name.casefold() for name in expected}
    separator = max(_SEPARATORS, key=lambda each: _fits(text, each, wanted))
    rows: list[list[str]] = []
    lines: list[int] = []
    before = csv.field_size_limit(_MAX_FIELD)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, skipinitialspace=True)
    try:
        for row in reader:
            if any(cell.strip() for cell in row):
                rows.append([cell.strip() for cell in row])
                lines.append(reader.line_num)
    except csv.Error as error:
        raise UserError("data.not_csv", where=f"{path}:{reader.line_num}", why=error) from error
    finally:
        csv.field_size_limit(before)
    if not rows:
        raise UserError("data.empty_table", where=path)
    columns = tuple(rows[0])
    ragged = [line for line, row in zip(lines, rows, strict=True) if len(row) != len(columns)]
    if ragged:
        shown = ", ".join(map(str, ragged[:10]))
        raise UserError(
            "data.ragged", where=path, num=len(ragged), lines=shown, columns=len(columns),
            separator={"\t": "TAB"}.get(separator, separator),
        )  # fmt: skip
    if len(rows) == 1:
        raise UserError("data.no_rows", where=path)
    return Table(path, columns, rows[1:], lines[1:], encoding, separator)


def _text(path: Path) -> tuple[str, str]:
    try:
        with path.open("rb") as file:
            data = file.read(_MAX_BYTES + 1)
    except FileNotFoundError:
        raise UserError("data.no_file", where=path) from None
    except OSError as error:
        raise UserError("data.cannot_read", where=path, why=error.strerror or error) from error
    if len(data) > _MAX_BYTES:
        raise UserError("data.table_too_large", where=path, limit="1 GiB")
    # A spreadsheet says "Unicode" and means UTF-16.
    marked = data.startswith((b"\xff\xfe", b"\xfe\xff"))
    # CP949 holds EUC-KR: what Korean spreadsheets write.
    for encoding in ("utf-16",) if marked else ("utf-8-sig", "cp949"):
        try:
            text = data.decode(encoding)
        except UnicodeDecodeError as error:
            line = data.count(b"\n", 0, error.start) + 1
            continue
        return text.replace("\0", ""), encoding
    if data.startswith(b"PK\x03\x04"):
        raise UserError("data.is_excel", where=path)
    raise UserError("data.encoding", where=f"{path}:{line}")


def _fits(text: str, separator: str, wanted: set[str]) -> tuple[int, bool, int]:
    """How well a separator fits: wanted columns found, rows of equal length, number of columns."""
    head = csv.reader(io.StringIO(text[: 1 << 16], newline=""), delimiter=separator)
    rows = []
    try:
        for row in head:
            if row:
                rows.append(row)
            if len(rows) == _LOOKED_AT:
                break
    except csv.Error:
        return 0, False, 0
    if not rows:
        return 0, False, 0
    found = len(wanted & {cell.strip().casefold() for cell in rows[0]})
    # The last one may be cut off.
    even = len({len(row) for row in rows[:-1] or rows}) == 1
    return found, even, len(rows[0])


def _from_json_lines(path: Path, text: str, encoding: str) -> Table:
    columns: dict[str, None] = {}
    objects: list[dict[str, object]] = []
    lines: list[int] = []
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            found = json.loads(line)
        except (ValueError, RecursionError):
            found = None
        if not isinstance(found, dict):
            raise UserError("data.not_json_lines", where=f"{path}:{number}")
        objects.append(found)
        lines.append(number)
        columns.update(dict.fromkeys(found))
    if not objects:
        raise UserError("data.empty_table", where=path)
    rows = [[_cell(found.get(name)) for name in columns] for found in objects]
    return Table(path, tuple(columns), rows, lines, encoding)


def _cell(value: object) -> str:
    if value is None:
        return ""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text.replace("\0", "").strip()
