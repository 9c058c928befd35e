"""What is going to run, as far as it can be told before: a script, a notebook or a command."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from overnight.notebook.marks import cell_of_line

if TYPE_CHECKING:
    from overnight.notebook import Conversion
    from overnight.notebook import Finding as NotebookFinding

#: Programs that start a Python script which stands among their arguments.
_STARTERS = re.compile(
    r"(?:python(?:\d(?:\.\d+)?)?|pypy3?|torchrun|accelerate|deepspeed|ipython|coverage|mpirun|"
    r"horovodrun)(?:\.exe)?$"
)
#: They set RANK, LOCAL_RANK and the like for the script.
_DISTRIBUTED = re.compile(r"(?:torchrun|accelerate|deepspeed|mpirun|horovodrun)(?:\.exe)?$")
_PYTHON = re.compile(r"(?:python(?:\d(?:\.\d+)?)?|pypy3?)(?:\.exe)?$")


@dataclass(frozen=True)
class Job:
    """A job and where it will run.

    Attributes:
        kind: A command that starts a Python script counts as that script.
        path: The script or the notebook, absolute; of a command, its program.
        args: What the script is given.
        python: The job's interpreter; empty for a command.
        env: The job's environment.
        cwd: The folder it runs in: relative paths start there.
        root: The folder runs are written below.
        conversion: Of a notebook.
        found: What is known of a notebook already.
        is_distributed: Whether a launcher sets variables for it.
        is_module: Run with ``-m``: relative imports work.
    """

    kind: Literal["script", "notebook", "command"]
    path: str
    args: Sequence[str] = ()
    python: str = ""
    env: Mapping[str, str] = field(default_factory=dict)
    cwd: str = ""
    root: str = ""
    conversion: Conversion | None = None
    found: Sequence[NotebookFinding] = ()
    is_distributed: bool = False
    is_module: bool = False

    @cached_property
    def source(self) -> bytes:
        """What Python is given to run; empty for a command that is no Python script."""
        if self.conversion is not None:
            return self.conversion.source.encode("utf-8")
        return Path(self.path).read_bytes() if self.kind == "script" else b""

    @cached_property
    def folder(self) -> str:
        """Where it lies: Python looks for its modules there first."""
        return os.path.dirname(self.path)

    def where(self, line: int, path: str = "") -> str:
        """A line of the job as its owner knows it: ``train.py:12``, or cell and line ``3:5``."""
        if path and path != self.path:
            return f"{os.path.relpath(path, self.folder)}:{line}"
        if self.conversion is None:
            return f"{os.path.basename(self.path)}:{line}"
        place = cell_of_line(self.conversion.source, line)
        return f"{place[0]}:{place[1]}" if place else ""

    def is_own(self, line: int) -> bool:
        """Whether a line is its owner's; a converted notebook has a header of ours."""
        return self.conversion is None or bool(self.where(line))


def from_command(argv: Sequence[str], env: Mapping[str, str], cwd: str, root: str) -> Job:
    """A command; one that starts a Python script is that script."""
    program = os.path.abspath(argv[0]) if os.sep in argv[0] else argv[0]
    name = os.path.basename(argv[0])
    plain = Job("command", program, argv[1:], env=env, cwd=cwd, root=root)
    if not _STARTERS.match(name):
        return plain
    python = program if _PYTHON.match(name) else _python_of(argv, env)
    if not python:
        return plain
    is_distributed = bool(_DISTRIBUTED.match(name))
    words = list(argv[1:])
    for at, word in enumerate(words):
        if word == "-c" and not is_distributed:
            return plain
        if word == "-m" and at + 1 < len(words):
            base = os.path.join(cwd, *words[at + 1].split("."))
            options = (base + ".py", os.path.join(base, "__main__.py"))
            found = next((path for path in options if os.path.isfile(path)), "")
            is_launcher = not found and words[at + 1].startswith(
                ("torch.distributed", "accelerate")
            )
            if is_launcher:
                is_distributed = True
                continue
            if not found:
                return plain
            return Job("script", found, words[at + 2 :], python, env, cwd, root,
                       is_distributed=is_distributed, is_module=True)  # fmt: skip
        path = os.path.join(cwd, word)
        if word.endswith(".py") and os.path.isfile(path):
            return Job("script", os.path.abspath(path), words[at + 1 :], python, env, cwd, root,
                       is_distributed=is_distributed)  # fmt: skip
    return plain


def _python_of(argv: Sequence[str], env: Mapping[str, str]) -> str:
    """The Python a launcher starts: named after it (``mpirun -n 2 python …``), else beside it."""
    for word in argv[1:]:
        if word.endswith(".py"):
            break
        if _PYTHON.match(os.path.basename(word)):
            return shutil.which(word, path=env.get("PATH")) or ""
    program = os.path.abspath(argv[0]) if os.sep in argv[0] else argv[0]
    python = os.path.join(os.path.dirname(program), "python")
    return python if os.access(python, os.X_OK) else ""
