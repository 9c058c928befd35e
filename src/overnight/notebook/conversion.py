"""What a conversion gives: the script, and everything a person or preflight should know of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from overnight.messages import say

Level = Literal["blocks", "warns", "notes"]


@dataclass(frozen=True, slots=True)
class Finding:
    """Something in the notebook the person should know before the night.

    Attributes:
        level: ``blocks`` is refused before the start; ``warns`` may go wrong; ``notes`` tells
            what was changed.
        cell: Counts the code cells that are not blank, from 1: the number Jupyter and Colab show
            in brackets after "Restart and run all". 0 is the notebook as a whole.
        line: Line within the cell, from 1; 0 is the cell as a whole.
        key: Catalogue key of the sentence.
        fields: What the sentence names; never a secret.
    """

    level: Level
    cell: int
    line: int
    key: str
    fields: Mapping[str, str] = field(default_factory=dict)

    @property
    def text(self) -> str:
        """The sentence in the reader's language."""
        return say(self.key, **self.fields)

    @property
    def fix(self) -> str:
        """How to put it right, or nothing where there is nothing to do."""
        return say(self.key + ".fix", **self.fields)


@dataclass(frozen=True, slots=True)
class Install:
    """One requirement of an install line; install lines are never run.

    Attributes:
        requirement: As written, without options: ``timm>=1.0``, ``git+https://…``.
        tool: ``system`` is a package of the operating system (apt, brew).
        conditional: Whether the line stands under an ``if``, a ``try`` or in a function.
    """

    requirement: str
    cell: int
    line: int
    tool: Literal["pip", "conda", "system"] = "pip"
    conditional: bool = False


@dataclass(frozen=True, slots=True)
class Import:
    """A module the notebook imports.

    Attributes:
        module: Top-level name: ``sklearn`` for ``from sklearn.svm import SVC``.
        conditional: Whether it stands under an ``if``, a ``try`` or in a function, or may be
            made by the notebook itself (a module written or cloned by an earlier cell).
    """

    module: str
    cell: int
    line: int
    conditional: bool = False


@dataclass(frozen=True, slots=True)
class InputPath:
    """A literal path that a well-known reader (``read_csv``, ``open`` …) is given.

    Attributes:
        path: As the script holds it, after ``paths`` was applied; relative ones belong to the
            folder the job runs in.
    """

    path: str
    cell: int
    line: int


@dataclass(frozen=True, slots=True)
class Conversion:
    """A notebook as a script, and what is known of it.

    Attributes:
        source: The script. Runs with plain Python, without Overnight.
        overrides_diff: Unified diff of the rewritten parameters, ``""`` where none was asked.
        kernel: Name of the notebook's kernelspec.
        inputs: Files it reads, as far as they stand there literally.
        mapped: Platform folder → where it lies here, for those the notebook names.
        num_cells: Code cells that are not blank.
    """

    source: str
    findings: tuple[Finding, ...]
    installs: tuple[Install, ...]
    overrides_diff: str
    kernel: str | None
    imports: tuple[Import, ...]
    inputs: tuple[InputPath, ...]
    mapped: Mapping[str, str]
    num_cells: int

    @property
    def blocks(self) -> tuple[Finding, ...]:
        """The findings for which a run is refused."""
        return tuple(finding for finding in self.findings if finding.level == "blocks")
