"""Part of converted scripts with ``%run other.ipynb``: the other notebook's cells."""

from __future__ import annotations

# -- embedded from here -------------------------------------------------------------------------
import sys as _sys

_NB_INCLUDED: dict[str, str] = {}


def _nb_include(name: str) -> None:
    """``%run other.ipynb``: its cells run among our names."""
    exec(compile(_NB_INCLUDED[name], name, "exec"), _sys._getframe(1).f_globals)
