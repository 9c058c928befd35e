"""Notebooks as scripts: what `overnight convert` and `overnight run nb.ipynb` do first.

::

    reader ──► magics ──► parameters ──► calls, literals ──► script
    (cells)    (! and %)   (--set)       (Colab, paths,       (header, marks)
                               │          secrets)
                               └──────► names ──► findings

Names are loaded when first used: the supervisor wants `cell_of_line` only.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from overnight.notebook.conversion import Conversion as Conversion
    from overnight.notebook.conversion import Finding as Finding
    from overnight.notebook.conversion import Import as Import
    from overnight.notebook.conversion import InputPath as InputPath
    from overnight.notebook.conversion import Install as Install
    from overnight.notebook.converter import convert as convert
    from overnight.notebook.installs import check_installs as check_installs
    from overnight.notebook.marks import cell_of_line as cell_of_line

#: Public name → the module that has it.
_HOMES = {
    "Conversion": "conversion",
    "Finding": "conversion",
    "Import": "conversion",
    "InputPath": "conversion",
    "Install": "conversion",
    "cell_of_line": "marks",
    "check_installs": "installs",
    "convert": "converter",
}
__all__ = [
    "Conversion", "Finding", "Import", "InputPath", "Install", "cell_of_line", "check_installs",
    "convert",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'overnight.notebook' has no attribute {name!r}")
    return getattr(import_module("overnight.notebook." + _HOMES[name]), name)


def __dir__() -> list[str]:
    return __all__
