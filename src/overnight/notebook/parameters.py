"""Parameters: rewriting the notebook's own literals, where the notebook assigns them.

``EPOCHS``, ``CFG.epochs`` of a class, ``config.lr`` of a dict or of a call such as
``TrainingArguments(...)``: values derived from them follow by themselves.
"""

from __future__ import annotations

import ast
import difflib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from overnight.errors import NotebookError
from overnight.messages import say
from overnight.notebook.edit import Edits
from overnight.notebook.shell import quoted
from overnight.redact import redact

#: Names told in an error: more would scroll the mistake away.
_MAX_TOLD = 12


@dataclass(frozen=True, slots=True)
class Assignment:
    """A value given to a parameter at the top level; None where it is no plain name's."""

    name: str
    value: ast.expr | None
    cell: int
    line: int
    conditional: bool = False


def rewrite(
    cells: Sequence[tuple[int, str]],
    trees: Sequence[ast.Module],
    overrides: Mapping[str, str],
    env: Mapping[str, str],
    where: str,
) -> tuple[list[str], str]:
    """The cells with their parameters rewritten, and the difference as a unified diff.

    Args:
        cells: Number and Python of each cell.
        trees: The trees of ``cells``.
        overrides: Name → value as typed: a Python literal, else a string.
        env: Environment whose secrets are kept out of the diff.
        where: The notebook, for the error.

    Raises:
        NotebookError: Names every override that cannot be applied, and why.
    """
    assignments: dict[str, list[Assignment]] = {}
    for (number, _), tree in zip(cells, trees, strict=True):
        for found in _assignments(tree.body, number, conditional=False):
            assignments.setdefault(found.name, []).append(found)
    edits = {
        number: Edits(source, tree)
        for (number, source), tree in zip(cells, trees, strict=True)
    }  # fmt: skip
    mistakes: list[str] = []
    for name, typed in overrides.items():
        mistake = _apply(name, typed, assignments, edits)
        if mistake:
            mistakes.append("  " + name + ": " + mistake)
    if mistakes:
        listed = redact("\n".join(mistakes), env)
        raise NotebookError(
            "notebook.bad_overrides", where=where, count=len(mistakes), mistakes=listed
        )
    sources = [edits[number].apply() for number, _ in cells]
    diff: list[str] = []
    for (number, before), after in zip(cells, sources, strict=True):
        if before != after:
            diff += difflib.unified_diff(
                redact(before, env).split("\n"),
                redact(after, env).split("\n"),
                f"cell {number}",
                f"cell {number}",
                lineterm="",
                n=0,
            )
    return sources, "\n".join(diff)


def _apply(
    name: str,
    typed: str,
    assignments: Mapping[str, list[Assignment]],
    edits: Mapping[int, Edits],
) -> str:
    """Write one override; the sentence that says why not, or ""."""
    found = assignments.get(name)
    if not found:
        known = sorted(
            n
            for n, all_found in assignments.items()
            if any(_is_literal(f.value) for f in all_found)
        )
        close = difflib.get_close_matches(name, known, 1, 0.6) or [
            n for n in known if n.lower() == name.lower() or n.rpartition(".")[2] == name
        ]
        if close:
            return say("notebook.override_close", close=close[0])
        if not known:
            return say("notebook.override_none")
        shown = ", ".join(known[:_MAX_TOLD]) + (" …" if len(known) > _MAX_TOLD else "")
        return say("notebook.override_unknown", known=shown)
    sure = [item for item in found if not item.conditional]
    literal = [item for item in sure if _is_literal(item.value)]
    other = next((item for item in sure if not _is_literal(item.value)), None)
    if other is not None or not literal:
        place = other or found[0]
        return say("notebook.override_not_literal", cell=place.cell, line=place.line)
    values = {ast.dump(item.value) for item in literal if item.value is not None}
    if len(values) > 1:
        places = ", ".join(f"{item.cell}:{item.line}" for item in literal)
        return say("notebook.override_twice", places=places)
    last = literal[-1].value
    assert last is not None
    new = _typed(typed, last)
    if new is None:
        return say("notebook.override_type", old=ast.unparse(last)[:40], new=typed[:40])
    for item in literal:
        assert item.value is not None
        edits[item.cell].replace(item.value, new)
    return ""


def _typed(typed: str, old: ast.expr) -> str | None:
    """The Python literal for what was typed; None where it cannot stand for the old value."""
    before = ast.literal_eval(old) if isinstance(old, ast.Constant) else None
    text = typed.strip()
    try:
        value = ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError, TypeError):
        value = typed
        is_literal = False
    else:
        is_literal = True
    if isinstance(before, str) and not isinstance(value, str):
        value, is_literal = typed, False  # NAME=2024 stays a name
    if isinstance(before, bool) and text.lower() in ("true", "false", "yes", "no", "on", "off"):
        return "True" if text.lower() in ("true", "yes", "on") else "False"
    if not is_literal and isinstance(value, str):
        is_number = isinstance(before, int | float) or isinstance(old, ast.UnaryOp | ast.BinOp)
        return None if is_number else _string(value)
    if isinstance(value, str):
        return _string(value)
    return text if "\n" not in text and "#" not in text else repr(value)


def _string(value: str) -> str:
    return quoted(value.encode("utf-8", "replace").decode("utf-8"))


def _is_literal(node: ast.expr | None) -> bool:
    """Whether a value is written out: constants, arithmetic of constants, containers of them."""
    if node is None:
        return False
    allowed = (
        ast.Constant, ast.UnaryOp, ast.BinOp, ast.List, ast.Tuple, ast.Dict, ast.Set,
        ast.operator, ast.unaryop, ast.expr_context,
    )  # fmt: skip
    return all(isinstance(part, allowed) for part in ast.walk(node))


def _assignments(
    body: Sequence[ast.stmt], cell: int, *, conditional: bool, prefix: str = ""
) -> Iterator[Assignment]:
    """Every assignment at the top level, those under ``if`` and the like marked."""
    for node in body:
        if isinstance(node, ast.Assign):
            for target in node.targets:
                yield from _targets(target, node.value, cell, prefix, conditional=conditional)
        elif isinstance(node, ast.AnnAssign):
            if node.value is not None:
                yield from _targets(node.target, node.value, cell, prefix, conditional=conditional)
        elif isinstance(node, ast.AugAssign):
            yield from _targets(node.target, None, cell, prefix, conditional=conditional)
        elif isinstance(node, ast.ClassDef) and not prefix:
            yield from _assignments(
                node.body, cell, conditional=conditional, prefix=node.name + "."
            )
        elif isinstance(node, ast.If | ast.For | ast.While | ast.With | ast.Try | ast.AsyncFor):
            parts: list[list[ast.stmt]] = [
                getattr(node, name, []) for name in ("body", "orelse", "finalbody")
            ]
            parts += [handler.body for handler in getattr(node, "handlers", [])]
            is_plain = isinstance(node, ast.With)
            for part in parts:
                yield from _assignments(
                    part, cell, conditional=conditional or not is_plain, prefix=prefix
                )


def _targets(
    target: ast.expr, value: ast.expr | None, cell: int, prefix: str, *, conditional: bool
) -> Iterator[Assignment]:
    line = target.lineno
    if isinstance(target, ast.Name):
        name = prefix + target.id
        yield Assignment(name, value, cell, line, conditional)
        if not prefix and value is not None:
            for key, inner in _inside(value):
                yield Assignment(name + "." + key, inner, cell, inner.lineno, conditional)
    elif isinstance(target, ast.Attribute) and isinstance(target.value, ast.Name) and not prefix:
        yield Assignment(target.value.id + "." + target.attr, value, cell, line, conditional)
    elif isinstance(target, ast.Subscript) and isinstance(target.value, ast.Name) and not prefix:
        if isinstance(target.slice, ast.Constant) and isinstance(target.slice.value, str):
            name = target.value.id + "." + target.slice.value
            yield Assignment(name, value, cell, line, conditional)
    elif isinstance(target, ast.Tuple | ast.List):
        values: list[ast.expr | None] = [None] * len(target.elts)
        if isinstance(value, ast.Tuple | ast.List) and len(value.elts) == len(target.elts):
            values = [*value.elts]
        for part, one in zip(target.elts, values, strict=True):
            if isinstance(part, ast.Name):
                yield from _targets(part, one, cell, prefix, conditional=conditional)


def _inside(value: ast.expr) -> Iterator[tuple[str, ast.expr]]:
    """Named parts of a value: a dict's string keys, a call's keywords."""
    if isinstance(value, ast.Dict):
        for key, inner in zip(value.keys, value.values, strict=True):
            if isinstance(key, ast.Constant) and isinstance(key.value, str):
                yield key.value, inner
    elif isinstance(value, ast.Call):
        for keyword in value.keywords:
            if keyword.arg is not None:
                yield keyword.arg, keyword.value
