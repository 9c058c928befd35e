"""The trial run of ``overnight check``: the job itself, shortened, its results left alone.

::

    shorten ──► attempt ──► watch ──► ranges ──► TrialResult
    (what is    │  (in the job: inside/)         (of the full run)
     left out)  ├──► confined, seccomp ──► aside     (what would be overwritten is put aside)
                └──► produced                        (what it wrote is read back)

Names are loaded when first used: ``inside`` runs in the job's Python and needs none of them.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from overnight.preflight.trial.asked import Change as Change
    from overnight.preflight.trial.asked import Moment as Moment
    from overnight.preflight.trial.asked import Ranges as Ranges
    from overnight.preflight.trial.asked import TrialAsked as TrialAsked
    from overnight.preflight.trial.asked import TrialResult as TrialResult
    from overnight.preflight.trial.start import run as run

#: Public name → the module that has it.
_HOMES = {
    "Change": "asked",
    "Moment": "asked",
    "Ranges": "asked",
    "TrialAsked": "asked",
    "TrialResult": "asked",
    "run": "start",
}
__all__ = ["Change", "Moment", "Ranges", "TrialAsked", "TrialResult", "run"]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'overnight.preflight.trial' has no attribute {name!r}")
    return getattr(import_module("overnight.preflight.trial." + _HOMES[name]), name)
