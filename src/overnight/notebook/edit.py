"""Changing Python text at the places its syntax tree names, without moving a line."""

from __future__ import annotations

import ast
import warnings


def parse_python(source: str) -> ast.Module | None:
    """The tree of ``source``, or None where it is not Python."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # invalid escapes in strings: not ours to complain of
            tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    return tree


class Edits:
    """Replacements in one text, gathered while its tree is read and applied at once.

    Every replacement keeps the number of lines: a crash in the script can be mapped to the
    notebook's line only then. Nothing is changed inside an f-string: before Python 3.12 its
    parts do not know where they stand.
    """

    def __init__(self, source: str, tree: ast.Module) -> None:
        self._in_fstring = {
            id(part)
            for node in ast.walk(tree)
            if isinstance(node, ast.JoinedStr)
            for part in ast.walk(node)
            if part is not node
        }
        self._data = source.encode("utf-8")
        self._starts = [0]
        for line in self._data.split(b"\n"):
            self._starts.append(self._starts[-1] + len(line) + 1)
        self._spans: list[tuple[int, int, str]] = []
        self._insertions: list[tuple[int, int, str]] = []

    def _offset(self, line: int, column: int) -> int:
        return self._starts[line - 1] + column

    def span(self, node: ast.stmt | ast.expr) -> tuple[int, int]:
        """Byte offsets of a node."""
        assert node.end_lineno is not None
        assert node.end_col_offset is not None
        return (
            self._offset(node.lineno, node.col_offset),
            self._offset(node.end_lineno, node.end_col_offset),
        )

    def text(self, node: ast.stmt | ast.expr) -> str:
        """A node as written."""
        start, end = self.span(node)
        return self._data[start:end].decode("utf-8")

    def replace(self, node: ast.stmt | ast.expr, new: str) -> bool:
        """Write ``new`` for a node; False where an earlier replacement already covers it.

        A node over several lines leaves its line ends behind: inside parentheses for an
        expression, after it for a statement.
        """
        if id(node) in self._in_fstring:
            return False
        start, end = self.span(node)
        lost = self._data.count(b"\n", start, end) - new.count("\n")
        if lost > 0:
            new = "(" + new + "\n" * lost + ")" if isinstance(node, ast.expr) else new + "\n" * lost
        return self.replace_span(start, end, new)

    def replace_span(self, start: int, end: int, new: str) -> bool:
        """Write ``new`` for the bytes from ``start`` to ``end``; False where they are taken."""
        if any(start < taken_end and taken < end for taken, taken_end, _ in self._spans):
            return False
        self._spans.append((start, end, new))
        return True

    def wrap(self, node: ast.stmt | ast.expr, head: str, tail: str) -> None:
        """Put ``head`` before and ``tail`` behind a node; what stands inside may change too."""
        if id(node) in self._in_fstring:
            return
        start, end = self.span(node)
        order = len(self._insertions)
        self._insertions.append((start, order, head))
        self._insertions.append((end, -order - 1, tail))

    def __bool__(self) -> bool:
        return bool(self._spans or self._insertions)

    def apply(self) -> str:
        """The text with everything written into it."""
        pieces: list[tuple[int, int, int, str]] = [
            (start, 1, 0, new) for start, _, new in self._spans
        ]
        # A tail (negative order) goes before a head at the same place; heads before the span.
        pieces += [
            (offset, -1 if order < 0 else 0, order, text)
            for offset, order, text in self._insertions
            if not any(start < offset < end for start, end, _ in self._spans)
        ]
        ends = {start: end for start, end, _ in self._spans}
        out: list[bytes] = []
        at = 0
        for start, rank, _, text in sorted(pieces):
            out.append(self._data[at:start])
            out.append(text.encode("utf-8"))
            at = ends[start] if rank == 1 else start
        out.append(self._data[at:])
        return b"".join(out).decode("utf-8")
