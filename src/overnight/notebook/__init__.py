"""Notebooks as scripts: what `overnight convert` and `overnight run nb.ipynb` do first.

::

    reader ──► magics ──► parameters ──► calls, literals ──► script
    (cells)    (! and %)   (--set)       (Colab, paths,       (header, marks)
                                          secrets)      names ──► findings
"""

from __future__ import annotations

from overnight.notebook.conversion import Conversion, Finding, Import, InputPath, Install
from overnight.notebook.convert import convert
from overnight.notebook.installs import check_installs
from overnight.notebook.script import SIGNATURE, cell_of_line

__all__ = [
    "SIGNATURE", "Conversion", "Finding", "Import", "InputPath", "Install", "cell_of_line",
    "check_installs", "convert",
]  # fmt: skip
