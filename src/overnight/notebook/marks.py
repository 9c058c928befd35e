"""Marks of the cells in a script, and the way back from its lines to the notebook's.

Apart from the rest, since the supervisor reads them too and has to stay small.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

TEXT_MARK = "# %% [markdown]"
_MARK = re.compile(r"# %% cell ([1-9][0-9]{0,8})$")


def mark(cell: int) -> str:
    """The line above a code cell."""
    return f"# %% cell {cell}"


def _marks(source: str) -> Iterator[tuple[int, int]]:
    """Line and cell of every mark; text between cells counts as cell 0.

    Cells count upwards: a line of a cell's own that looks like a mark rarely does.
    """
    last = 0
    for number, line in enumerate(source.split("\n"), 1):
        if not line.startswith("# %%"):
            continue
        match = _MARK.match(line)
        if match is not None and int(match[1]) > last:
            last = int(match[1])
            yield number, last
        elif line == TEXT_MARK:
            yield number, 0


def cell_of_line(script_source: str, line: int) -> tuple[int, int] | None:
    """The cell and the line in it for a line of a converted script, both from 1.

    Returns:
        None for the header, for text between cells, and for a script without marks.
    """
    if not 1 <= line <= script_source.count("\n") + 1:
        return None
    found: tuple[int, int] | None = None
    for number, cell in _marks(script_source):
        if number > line:
            break
        found = (cell, line - number)
    return found if found is not None and found[0] > 0 and found[1] > 0 else None
