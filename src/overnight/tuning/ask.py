"""What a trial is to try: drawn by Optuna, the same for the same history, seed and number.

The sampler is made anew for each trial, with a seed of its own, over a copy of the history in
memory. So nothing of it has to survive a kill, and a trial is written down with all of its values
or not at all.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import TYPE_CHECKING, Any, Literal

from overnight.tasks.base import Json
from overnight.tuning import space
from overnight.tuning.space import Choice, Distribution, Range

if TYPE_CHECKING:
    import optuna
    from optuna.distributions import BaseDistribution

#: Brackets of Hyperband are dealt by it, so it must not be the run's.
NAME = "search"
#: Optuna's own, for a search of its usual length; a shorter one draws a third of its trials evenly.
_STARTUP, _STARTUP_SHARE = 10, 3
#: A median of fewer finished trials is no measure.
_PRUNE_BEHIND, _PRUNE_SHARE = 5, 4
#: How often another draw is made where a trial would be the same as one before.
_DRAWS = 8
#: Significant digits of a number that is drawn: nobody needs 17 of them in a config.
_DIGITS = 5


@dataclass(frozen=True, slots=True)
class Settings:
    """What is asked of a search.

    Attributes:
        space: What is varied, by name.
        n_trials: How many trials begin.
        method: Who draws: ``bayes`` is Optuna's TPE.
        pruner: Who cuts short.
        goal: Of the value.
        seed: Of all draws.
        max_step: The last step a trial may report; 0: nobody knows.
    """

    space: Mapping[str, Distribution]
    n_trials: int
    method: Literal["bayes", "random", "grid"] = "bayes"
    pruner: Literal["median", "hyperband", "none"] = "median"
    goal: Literal["maximize", "minimize"] = "maximize"
    seed: int = 0
    max_step: int = 1

    @property
    def most(self) -> int:
        """Trials there can be: a grid has an end."""
        found = space.num_points(self.space, self.n_trials) if self.method == "grid" else None
        return self.n_trials if found is None else min(self.n_trials, found)


def pruner(settings: Settings) -> optuna.pruners.BasePruner:
    """Who cuts trials short."""
    import optuna

    match settings.pruner:
        case "median":
            behind = min(_PRUNE_BEHIND, max(1, settings.n_trials // _PRUNE_SHARE))
            return optuna.pruners.MedianPruner(n_startup_trials=behind)
        case "hyperband":
            # Of a script nobody knows how long it goes on: then its first trial shows it.
            return optuna.pruners.HyperbandPruner(max_resource=settings.max_step or "auto")
        case "none":
            return optuna.pruners.NopPruner()


def draw(
    settings: Settings, history: Sequence[optuna.trial.FrozenTrial], number: int
) -> dict[str, Json]:
    """The values of trial ``number``, by name.

    Args:
        settings: Of the search.
        history: Every trial before it, in their order.
        number: Of the trial: how many were begun before.
    """
    if settings.method == "grid":
        axes = [space.points(each, settings.n_trials) or [] for each in settings.space.values()]
        grid = itertools.product(*axes)
        return dict(zip(settings.space, next(itertools.islice(grid, number, None)), strict=True))
    before = {json.dumps(from_params(settings, trial.params)) for trial in history}
    for turn in range(_DRAWS):
        found = _drawn(settings, history, number, turn)
        if json.dumps(found) not in before:
            break
    return found


def _drawn(
    settings: Settings, history: Sequence[optuna.trial.FrozenTrial], number: int, turn: int
) -> dict[str, Json]:
    import optuna

    digest = blake2b(f"{settings.seed},{number},{turn}".encode(), digest_size=4).digest()
    seed = int.from_bytes(digest, "big")
    sampler: optuna.samplers.BaseSampler
    if settings.method == "random":
        sampler = optuna.samplers.RandomSampler(seed=seed)
    else:
        startup = min(_STARTUP, max(2, settings.n_trials // _STARTUP_SHARE))
        sampler = optuna.samplers.TPESampler(seed=seed, n_startup_trials=startup)
    study = optuna.create_study(
        storage=optuna.storages.InMemoryStorage(),
        study_name=NAME,
        sampler=sampler,
        pruner=pruner(settings),
        direction=settings.goal,
    )
    study.add_trials(history)
    return from_params(settings, study.ask(distributions(settings)).params)


def distributions(settings: Settings) -> dict[str, BaseDistribution]:
    """The space in Optuna's words. What is chosen from goes as JSON: a list, and True beside 1."""
    from optuna.distributions import (
        CategoricalDistribution,
        FloatDistribution,
        IntDistribution,
    )

    found: dict[str, BaseDistribution] = {}
    for name, each in settings.space.items():
        match each:
            case Choice(values):
                found[name] = CategoricalDistribution([json.dumps(value) for value in values])
            # Of a range over exponents Optuna knows no step: see space.rounded.
            case Range(low, high, log, step, True):
                step = 1 if log else int(step or 1)
                found[name] = IntDistribution(int(low), int(high), log=log, step=step)
            case Range(low, high, log, step):
                found[name] = FloatDistribution(low, high, log=log, step=None if log else step)
    return found


def from_params(settings: Settings, params: Mapping[str, Any]) -> dict[str, Json]:
    """Values of Optuna's in ours."""
    return {
        name: json.loads(params[name]) if isinstance(each, Choice) else _tidy(params[name], each)
        for name, each in settings.space.items()
    }


def to_params(settings: Settings, values: Mapping[str, Json]) -> dict[str, Any]:
    """And back."""
    return {
        name: json.dumps(values[name]) if isinstance(each, Choice) else values[name]
        for name, each in settings.space.items()
    }


def _tidy(value: float, within: Range) -> float:
    if within.log and within.step is not None:
        return space.rounded(within, value)
    if within.is_int:
        return round(value)
    if within.step is not None:
        return space.tidy(value)
    return min(within.high, max(within.low, float(f"{value:.{_DIGITS}g}")))
