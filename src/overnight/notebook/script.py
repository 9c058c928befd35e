"""The script's text: the header it needs, then its cells with their marks."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path

from overnight.notebook.marks import TEXT_MARK, mark
from overnight.notebook.shell import block, quoted

#: First line of every script; `overnight convert` overwrites only files that begin with it.
SIGNATURE = "# Converted by overnight from "
_EMBEDDED = "# -- embedded from here "
#: Parts of the header in their order → whether every script has it.
_PARTS = {
    "display": True, "shell": False, "wait": False, "hosted": False, "ipython": False,
    "include": False, "own": True,
}  # fmt: skip


def assemble(
    name: str,
    parts: Sequence[tuple[int, str]],
    futures: Sequence[str],
    included: Mapping[str, str],
) -> str:
    """The whole script.

    Args:
        name: The notebook's file name.
        parts: Number and Python of each code cell; number 0 is text, to become comments.
        futures: Features imported from ``__future__``, which must stand first.
        included: Bodies of notebooks that ``%run`` brings in.
    """
    text = body(parts)
    shown = json.dumps(name.encode("utf-8", "backslashreplace").decode(), ensure_ascii=False)
    head = [SIGNATURE + "".join(c if c.isprintable() else "?" for c in shown) + "."]
    head.append("# Runs with plain Python. Change the notebook rather than this file.")
    if futures:
        head.append("from __future__ import " + ", ".join(sorted(set(futures))))
    whole = text + "".join(included.values())
    for part, is_always in _PARTS.items():
        source, names = _part(part)
        needed = "IPython" in whole if part == "ipython" else _uses(whole, names)
        if is_always or needed:
            head.append("\n# -- header: " + part + " " + "-" * (80 - len(part)))
            head.append(source.strip("\n"))
    for other, source in included.items():
        head.append("_NB_INCLUDED[" + quoted(other) + "] = " + block("\\\n" + source).replace(
            '"""\\\\', '"""\\', 1))  # fmt: skip
    return "\n".join(head) + "\n\n\n" + text


def body(parts: Sequence[tuple[int, str]]) -> str:
    """The cells with their marks."""
    out: list[str] = []
    for number, source in parts:
        if number:
            out.append(f"{mark(number)}\n{source.rstrip()}\n")
        else:
            lines = "\n".join(("# " + line).rstrip() for line in source.strip("\n").split("\n"))
            out.append(TEXT_MARK + "\n" + lines + "\n")
    return "\n".join(out)


def _uses(text: str, names: frozenset[str]) -> bool:
    return re.search(r"\b(?:" + "|".join(sorted(names)) + r")\b", text) is not None


@cache
def _part(name: str) -> tuple[str, frozenset[str]]:
    """A part of the header as embedded, and the names it offers to cells."""
    path = Path(__file__).with_name("header") / (name + ".py")
    text = path.read_text(encoding="utf-8").partition(_EMBEDDED)[2].partition("\n")[2]
    text = re.sub(r"  # (?:type: ignore|fmt:|noqa).*", "", text)
    offered: set[str] = set()
    for node in ast.parse(text).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            offered.add(node.name)
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            offered.update(n.id for t in targets for n in ast.walk(t) if isinstance(n, ast.Name))
    return text, frozenset(offered)
