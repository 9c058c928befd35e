"""Notebooks made of a few cells."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from overnight.errors import NotebookError
from overnight.notebook import Conversion, convert


@pytest.fixture
def make(tmp_path: Path) -> Callable[..., Path]:
    """Writes a notebook of code cells (a leading ``md:`` makes a text cell)."""

    def write(*cells: str, name: str = "it.ipynb", counts: list[int | None] | None = None) -> Path:
        made: list[dict[str, Any]] = []
        for index, text in enumerate(cells):
            if text.startswith("md:"):
                made.append({"cell_type": "markdown", "metadata": {}, "source": text[3:]})
            else:
                count = counts[index] if counts else None
                made.append(
                    {"cell_type": "code", "metadata": {}, "source": text.splitlines(True),
                     "outputs": [], "execution_count": count}
                )  # fmt: skip
        kernel = {"name": "python3", "language": "python"}
        document = {"cells": made, "metadata": {"kernelspec": kernel}, "nbformat": 4}
        path = tmp_path / name
        path.write_text(json.dumps(document), "utf-8")
        return path

    return write


@pytest.fixture
def converted(make: Callable[..., Path]) -> Callable[..., Conversion]:
    """Converts a notebook of these cells, in an empty environment unless one is given."""

    def run(
        *cells: str,
        overrides: Mapping[str, str] | None = None,
        paths: Mapping[str, str] | None = None,
        env: Mapping[str, str] | None = None,
        counts: list[int | None] | None = None,
    ) -> Conversion:
        path = make(*cells, counts=counts)
        return convert(path, overrides=overrides, paths=paths, env=env or {})

    return run


@pytest.fixture
def attempt() -> Callable[..., Conversion | NotebookError]:
    """Converts, and gives the error where there is one: nothing else may come out."""

    def run(path: Path, **options: Any) -> Conversion | NotebookError:
        try:
            return convert(path, **{"env": {}, **options})
        except NotebookError as error:
            return error

    return run


@pytest.fixture
def cell_text() -> Callable[[Conversion, int], str]:
    """One cell of a script."""

    def text(conversion: Conversion, cell: int = 1) -> str:
        body = conversion.source.partition(f"# %% cell {cell}\n")[2]
        return body.partition("\n# %% ")[0].rstrip("\n")

    return text


@pytest.fixture
def output_of(tmp_path: Path) -> Callable[..., str]:
    """Runs a script with plain Python, without site-packages, and gives what it printed."""

    def run(conversion: Conversion, *, env: Mapping[str, str] | None = None, code: int = 0) -> str:
        script = tmp_path / "script.py"
        script.write_text(conversion.source, "utf-8")
        done = subprocess.run(
            [sys.executable, "-I", "-S", "script.py"], cwd=tmp_path, capture_output=True, text=True,
            encoding="utf-8", stdin=subprocess.DEVNULL, check=False,
            env={"PATH": "/usr/bin:/bin", "PYTHONIOENCODING": "utf-8", **(env or {})},
        )  # fmt: skip
        assert done.returncode == code, done.stderr
        return done.stdout + (done.stderr if code else "")

    return run
