"""What a spec asks of its search: the space, the number that counts, how long a trial is.

Free of torch: the session and its workers both ask.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from overnight.alerts import names
from overnight.spec.override import with_values
from overnight.tasks.base import Json, Scope
from overnight.tuning import space
from overnight.tuning.ask import Settings
from overnight.tuning.config import Tuning

if TYPE_CHECKING:
    from overnight.spec import Spec


def tuning_of(spec: Spec) -> Tuning:
    """``tuning:`` of a spec that has one."""
    assert spec.tuning is not None, "the session asks for a search where the spec does"
    return spec.tuning


def metric(spec: Spec) -> str:
    """The number that counts, as docs/metrics.md calls it."""
    asked = tuning_of(spec).metric
    return spec.info.main_metric if asked is None else names.canonical(asked)


def goal(spec: Spec) -> Literal["maximize", "minimize"]:
    """Which way it improves."""
    asked = tuning_of(spec).goal
    if asked is not None:
        return asked
    if metric(spec) == spec.info.main_metric:
        return "maximize" if spec.info.greater_is_better else "minimize"
    return "minimize" if names.better(metric(spec)) == "lower" else "maximize"


def epochs(spec: Spec) -> int:
    """Of each fold of a trial."""
    train: Any = spec.train
    return tuning_of(spec).epochs or int(train.epochs)


def scopes(spec: Spec, folds: Sequence[Scope]) -> Sequence[Scope]:
    """The folds that a trial trains: the first ones."""
    return folds[: tuning_of(spec).folds]


def settings(spec: Spec, num_folds: int) -> Settings:
    """What Optuna has to know of it.

    Raises:
        UserErrors: The space cannot be searched.
    """
    asked, info = tuning_of(spec), spec.info
    known = space.kinds({"model": info.model, "train": info.train})
    return Settings(
        space=space.of(asked.search_space or info.search_space, known),
        n_trials=asked.n_trials,
        method=asked.method,
        pruner=asked.pruner,
        goal=goal(spec),
        seed=spec.project.seed,
        max_step=epochs(spec) * max(1, min(asked.folds, num_folds)),
    )


def trial_spec(spec: Spec, values: Mapping[str, Json]) -> Spec:
    """A trial's own training: the values in their places, and nothing left to search.

    Raises:
        UserErrors: The values do not go together, or the task refuses one.
    """
    asked = {**values, "train.epochs": epochs(spec)}
    rest: dict[str, Any] = {
        "tuning": None, "mode": "basic", "auto_continue": False, "calibration": False,
        "until": None, "notify": {}, "track": None,
    }  # fmt: skip
    changed: Spec = with_values(spec, asked).model_copy(update=rest)
    return changed
