"""Where in a cell a piece of code stands: surely run, perhaps run, or only asked about."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True)
class Place:
    """What stands around a node.

    Attributes:
        conditional: Under an ``if``, a ``try``, or in a function: it may never run.
        in_try: In the body of a ``try``: a failure may be expected.
        in_test: Part of a condition or of a question such as ``os.path.exists``.
    """

    conditional: bool = False
    in_try: bool = False
    in_function: bool = False
    in_test: bool = False


_QUESTIONS = frozenset({"exists", "isdir", "isfile", "is_dir", "is_file", "lexists", "startswith"})


def walk(tree: ast.AST) -> Iterator[tuple[ast.AST, Place]]:
    """Every node of ``tree`` with its place, parents first, in the order of the text."""
    stack: list[tuple[ast.AST, Place]] = [(tree, Place())]
    while stack:
        node, place = stack.pop()
        yield node, place
        stack.extend(reversed(list(_children(node, place))))


def is_main_guard(node: ast.If) -> bool:
    """Whether an ``if`` is ``if __name__ == "__main__"``, which holds in a script."""
    names = {part.id for part in ast.walk(node.test) if isinstance(part, ast.Name)}
    return names == {"__name__"} and isinstance(node.test, ast.Compare)


def _children(node: ast.AST, place: Place) -> Iterator[tuple[ast.AST, Place]]:
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
        inside = replace(place, conditional=True, in_function=True, in_test=False)
        body = node.body if isinstance(node.body, list) else [node.body]
        for child in ast.iter_child_nodes(node):
            yield child, inside if child in body else place
    elif isinstance(node, ast.If | ast.IfExp):
        yield node.test, replace(place, in_test=True)
        for child in ast.iter_child_nodes(node):
            if child is not node.test:
                is_main = isinstance(node, ast.If) and is_main_guard(node)
                yield child, place if is_main else replace(place, conditional=True)
    elif isinstance(node, ast.Try | ast.TryStar):
        for child in ast.iter_child_nodes(node):
            is_body = child in node.body
            in_try = place.in_try or (is_body and bool(node.handlers))
            is_sure = child in node.finalbody
            yield child, place if is_sure else replace(place, conditional=True, in_try=in_try)
    elif isinstance(node, ast.Match):
        yield node.subject, place
        for case in node.cases:
            yield case, replace(place, conditional=True)
    elif isinstance(node, ast.BoolOp):
        yield node.values[0], place
        for value in node.values[1:]:
            yield value, replace(place, conditional=True)
    elif isinstance(node, ast.Compare | ast.Assert) or _is_question(node):
        for child in ast.iter_child_nodes(node):
            yield child, replace(place, in_test=True)
    else:
        for child in ast.iter_child_nodes(node):
            yield child, place


def _is_question(node: ast.AST) -> bool:
    return (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in _QUESTIONS
    )


class Origins:
    """Which imported thing a local name stands for, over all cells read so far."""

    def __init__(self) -> None:
        self._origins: dict[str, str] = {}

    def learn(self, node: ast.AST) -> None:
        """Take note of an import statement; any other node says nothing."""
        if isinstance(node, ast.Import):
            for alias in node.names:
                name = alias.asname or alias.name.partition(".")[0]
                self._origins[name] = alias.name if alias.asname else name
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            for alias in node.names:
                self._origins[alias.asname or alias.name] = node.module + "." + alias.name

    def of(self, node: ast.expr) -> str:
        """The dotted name behind an expression: ``np.load`` is ``numpy.load``; "" for others."""
        parts: list[str] = []
        while isinstance(node, ast.Attribute):
            parts.append(node.attr)
            node = node.value
        if not isinstance(node, ast.Name):
            return ""
        return ".".join([self._origins.get(node.id, node.id), *reversed(parts)])
