"""A table's columns and rows, from whatever people hold tables in; each is asked by its methods."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from typing import Any

from overnight.errors import UserError


def opened(columns: Any, rows: Any) -> tuple[list[Any], Iterable[Any]]:
    """The columns as they were given, and the rows as sequences or mappings.

    Args:
        columns: Their names; None where the rows know them.
        rows: Rows one by one, a column → its cells, a frame of pandas or polars, a table of Arrow.

    Raises:
        UserError: Nobody says what the columns are called, or they are of different lengths.
        Exception: Whatever the objects' own methods raise.
    """
    names: list[Any] = []
    if isinstance(columns, (str, bytes)):
        raise UserError("job.columns_text", columns=repr(columns)[:80])
    if hasattr(rows, "itertuples") and hasattr(rows, "columns"):
        names, rows = _of_pandas(rows)
    elif hasattr(rows, "iter_rows") and hasattr(rows, "columns"):  # polars
        names, rows = list(rows.columns), rows.iter_rows()
    elif hasattr(rows, "to_pylist") and hasattr(rows, "column_names"):  # Arrow
        names, rows = list(rows.column_names), rows.to_pylist()
    elif isinstance(rows, Mapping):
        names, rows = _of_columns(rows, columns)
    else:
        rows = iter(rows)
        if columns is None:
            first: Any = next(rows, None)
            if not isinstance(first, Mapping) and not hasattr(first, "_fields"):
                raise UserError("job.no_columns")
            names = list(first if isinstance(first, Mapping) else first._fields)
            rows = chain([first], rows)
    return list(names if columns is None else columns), rows


def _of_pandas(frame: Any) -> tuple[list[Any], Iterable[Any]]:
    """What is missing is None but in columns of floats, where it is a number like others."""
    if any(name is not None for name in frame.index.names):  # it was given names: it is wanted
        frame = frame.reset_index()
    cells = []
    for _, column in frame.items():
        is_float = column.dtype.kind == "f" and not hasattr(column.dtype, "na_value")
        cells.append(column if is_float else column.astype(object).where(column.notna(), None))
    return list(frame.columns), zip(*cells)


def _of_columns(rows: Mapping[Any, Any], columns: Sequence[Any] | None) -> tuple[list[Any], Any]:
    names = list(rows) if columns is None else list(columns)
    if not any(_is_list(rows.get(name)) for name in names):
        return names, [rows]  # a single row
    if not all(_is_list(rows.get(name)) for name in names):
        raise UserError("job.uneven")
    cells = [list(rows[name]) for name in names]
    if len({len(each) for each in cells}) > 1:
        raise UserError("job.uneven")
    return names, zip(*cells)


def _is_list(value: Any) -> bool:
    return hasattr(value, "__iter__") and not isinstance(value, (str, bytes, Mapping))
