"""A notebook file as cells: JSON read directly, by nbformat 4 and 3."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from overnight.errors import NotebookError

#: Kernel names that are not Python's, by their beginning, for notebooks that name no language.
_FOREIGN_KERNELS = (
    "ir", "julia", "javascript", "ijavascript", "deno", "scala", "almond", "bash", "octave",
    "matlab", "xcpp", "xeus-cling", "rust", "ruby", "iruby", ".net-", "gophernotes", "sql", "sas",
    "stata", "kotlin", "java", "haskell", "ihaskell", "perl", "iperl", "lua", "mathematica",
)  # fmt: skip
#: Cells with one of these tags are not run by nbclient either.
_SKIP_TAGS = frozenset({"skip-execution"})


@dataclass(frozen=True, slots=True)
class Cell:
    """One cell.

    Attributes:
        number: Place among the code cells that are not blank, from 1; 0 for any other cell.
        count: Jupyter's execution count, None where the cell was never run.
        failed: Whether its stored output is an error.
        skipped: Whether its tags say that it is not to be run.
    """

    kind: Literal["code", "text"]
    source: str
    number: int = 0
    count: int | None = None
    failed: bool = False
    skipped: bool = False


@dataclass(frozen=True, slots=True)
class Notebook:
    """What was read; ``kernel`` is the kernelspec's name."""

    cells: tuple[Cell, ...]
    kernel: str | None


def read(path: Path) -> Notebook:
    """The notebook in ``path``.

    Raises:
        NotebookError: It cannot be read, is not a notebook, or is not in Python.
    """
    try:
        data = path.read_bytes()
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        reason = getattr(error, "strerror", None) or str(error)
        raise NotebookError("notebook.unreadable", where=path, reason=reason) from error
    return parse(data, where=str(path))


def parse(data: bytes, *, where: str = "") -> Notebook:
    """The notebook whose file holds ``data``.

    Raises:
        NotebookError: See `read`.
    """
    if not data.strip(b" \t\r\n\xef\xbb\xbf"):
        raise NotebookError("notebook.empty", where=where)
    try:
        document = json.loads(data)
    except (ValueError, RecursionError) as error:
        line = str(error.lineno) if isinstance(error, json.JSONDecodeError) else "?"
        raise NotebookError("notebook.not_json", where=where, line=line) from error
    if not isinstance(document, dict):
        raise NotebookError("notebook.not_a_notebook", where=where)
    cells = _raw_cells(document)
    if cells is None:
        raise NotebookError("notebook.not_a_notebook", where=where)
    kernel = _python_kernel(document, where)
    read_cells: list[Cell] = []
    number = 0
    for raw in cells:
        cell = _cell(raw, number + 1)
        if cell.kind == "code":
            if not cell.source.strip():
                continue
            number += 1
        read_cells.append(cell)
    return Notebook(tuple(read_cells), kernel)


def _raw_cells(document: dict[str, Any]) -> list[dict[str, Any]] | None:
    cells = document.get("cells")
    if isinstance(cells, list):
        return [cell for cell in cells if isinstance(cell, dict)]
    sheets = document.get("worksheets")  # nbformat 3 and 2
    if not isinstance(sheets, list):
        return None
    found: list[dict[str, Any]] = []
    for sheet in sheets:
        inner = sheet.get("cells") if isinstance(sheet, dict) else None
        if isinstance(inner, list):
            found.extend(cell for cell in inner if isinstance(cell, dict))
    return found


def _cell(raw: dict[str, Any], number: int) -> Cell:
    source = text_of(raw.get("source", raw.get("input", "")))
    language = raw.get("language", "python")  # nbformat 3
    if raw.get("cell_type") != "code" or language not in ("python", None):
        if raw.get("cell_type") == "heading":
            level = raw.get("level")
            source = "#" * (level if isinstance(level, int) and 0 < level < 7 else 1) + " " + source
        return Cell("text", source)
    count = raw.get("execution_count", raw.get("prompt_number"))
    outputs = raw.get("outputs")
    metadata = raw.get("metadata")
    failed = isinstance(outputs, list) and any(
        isinstance(output, dict) and output.get("output_type") in ("error", "pyerr")
        for output in outputs
    )
    return Cell(
        "code",
        source,
        number,
        count if isinstance(count, int) and not isinstance(count, bool) else None,
        failed,
        isinstance(metadata, dict) and _is_skipped(metadata),
    )


def _is_skipped(metadata: dict[str, Any]) -> bool:
    tags = metadata.get("tags")
    if isinstance(tags, list) and any(isinstance(tag, str) and tag in _SKIP_TAGS for tag in tags):
        return True
    control = metadata.get("run_control")  # nbextension "freeze"
    return isinstance(control, dict) and control.get("frozen") is True


def text_of(value: object) -> str:
    """A cell's text, one string or several: plain line ends, no NUL, no lone surrogates."""
    if isinstance(value, list):
        text = "".join(part for part in value if isinstance(part, str))
    else:
        text = value if isinstance(value, str) else ""
    text = text.replace("\0", "\ufffd").replace("\r\n", "\n").replace("\r", "\n").lstrip("\ufeff")
    return text.encode("utf-8", "replace").decode("utf-8")


def _python_kernel(document: dict[str, Any], where: str) -> str | None:
    metadata = document.get("metadata")
    metadata = metadata if isinstance(metadata, dict) else {}
    spec = metadata.get("kernelspec")
    spec = spec if isinstance(spec, dict) else {}
    info = metadata.get("language_info")
    info = info if isinstance(info, dict) else {}
    name = spec.get("name")
    kernel = name if isinstance(name, str) and name else None
    language = spec.get("language")
    if not isinstance(language, str) or not language:
        language = None
        if kernel is not None:
            bare = kernel.lower()
            if any(bare == foreign or bare.startswith((foreign + "-", foreign + "_"))
                   or (bare.startswith(foreign) and bare[len(foreign):].strip(".0123456789") == "")
                   or (foreign.endswith("-") and bare.startswith(foreign))
                   for foreign in _FOREIGN_KERNELS):  # fmt: skip
                language = kernel
        elif isinstance(info.get("name"), str):
            language = info["name"]
    if language is not None and "python" not in language.lower():
        shown = language.encode("utf-8", "replace").decode("utf-8")
        raise NotebookError("notebook.other_language", where=where, language=shown)
    return kernel
