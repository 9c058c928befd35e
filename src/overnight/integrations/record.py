"""What all frameworks' callbacks share: names, the best so far, and never raising."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from overnight.alerts import names
from overnight.ledger import job
from overnight.ledger.complaint import complain

T = TypeVar("T")
#: What frameworks put in front of a validation metric's name.
_PREFIXES = ("eval_", "val_", "valid_", "metrics/")
#: Measured by every framework about itself; none of it says how good the model is.
_NO_METRIC = ("runtime", "samples_per_second", "steps_per_second", "total_flos")


def never_raises(method: Callable[..., T]) -> Callable[..., T | None]:
    """A callback's method that says what goes wrong in it, once, and lets the training go on."""

    @functools.wraps(method)
    def quiet(*args: Any, **kwargs: Any) -> T | None:
        try:
            return method(*args, **kwargs)
        except Exception as error:  # a framework of another version: not the training's business
            complain("job.callback", error)
            return None

    return quiet


def plain(values: Mapping[str, Any], *, training: bool = False) -> dict[str, Any]:
    """A framework's values under the ledger's names; what is no number is left out."""
    found: dict[str, Any] = {}
    for key, value in values.items():
        name = str(key)
        if name == "epoch" or name.endswith(_NO_METRIC) or _is_twin(name, values):
            continue
        try:
            number = float(value)
        except (TypeError, ValueError):
            continue
        found[_name(name, values, training)] = number
    return found


def _is_twin(name: str, values: Mapping[str, Any]) -> bool:
    """Whether Lightning has the same number of the epoch too: as ``loss`` beside ``loss_step``."""
    bare, _, ending = name.rpartition("_")
    return (ending == "step" and (bare in values or bare + "_epoch" in values)) or (
        ending == "epoch" and bare in values
    )


def _name(key: str, values: Mapping[str, Any], training: bool) -> str:
    known = names.canonical(key, map(str, values))
    if known != key or training:
        return known
    for prefix in _PREFIXES:
        rest = key[len(prefix) :]
        # eval_macro_f1 is macro_f1; a name of its own keeps its prefix.
        if key.startswith(prefix) and names.better(rest) is not None:
            return names.canonical(rest)
    return key


class Best:
    """The best value of one metric so far.

    Args:
        metric: Its name; None for the first known one that is reported.
        greater_is_better: None for what the name says.
    """

    def __init__(self, metric: str | None = None, greater_is_better: bool | None = None) -> None:
        self.metric = metric
        self.greater = greater_is_better
        self.value: float | None = None

    def see(self, values: Mapping[str, Any], epoch: int | None = None) -> bool:
        """Notes a new best; whether there was one."""
        if self.metric is None:
            # A score before a loss, and what was measured on unseen data before all else.
            known = [key for key in values if names.better(key) is not None]
            known.sort(key=lambda key: (key.startswith("train"), names.better(key) != "higher"))
            self.metric = known[0] if known else None
        value = values.get(self.metric) if self.metric else None
        if value is None or not math.isfinite(value):
            return False
        assert self.metric is not None
        if self.greater is None:
            self.greater = names.better(self.metric) != "lower"
        if self.value is not None and not (
            value > self.value if self.greater else value < self.value
        ):
            return False
        self.value = float(value)
        job.event("NewBest", metric=self.metric, value=self.value, epoch=epoch)
        return True


def stopped_early(epoch: float | None, total: float | None, why: str = "") -> None:
    """Notes that the training ended by its own decision before its last epoch."""
    job.event("EarlyStopped", epoch=epoch, total=total, why=why)
