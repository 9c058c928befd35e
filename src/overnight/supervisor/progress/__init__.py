"""How far a run is and how long is left, from its unchanged log and what the job says itself.

Trusted in this order: the job's own ``overnight.progress``; an estimate that the framework prints
for the whole run (MMEngine, Detectron2, CatBoost, the one bar of a transformers Trainer); the
epochs that are over; the outermost bar. The answer is a range. It is withheld until two epochs or
3 % of the run are over and five seconds were timed, and where the end cannot be known.

Nothing here reads a clock or a file: the supervisor passes bytes and the time they were found.

    lines.py      a line of output → what it says     pace.py       seconds a unit of work takes
    epochs.py     epochs and folds                    bars.py       which bar spans the run
    framework.py  estimates printed by frameworks     metrics.py    the newest loss-like numbers
    hints.py      totals named by arguments, script   estimate.py   the answer
    tracker.py    all of it for one attempt
"""

from __future__ import annotations

from overnight.supervisor.progress.estimate import Estimate
from overnight.supervisor.progress.hints import hints_in
from overnight.supervisor.progress.tracker import Progress

__all__ = ["Estimate", "Progress", "hints_in"]
