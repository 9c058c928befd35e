"""``tuning:`` of a config, and a search's file of its own (``--optuna-config``): the same keys."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field

from overnight.tasks.config import Part


class Tuning(Part):
    """``tuning:``."""

    #: Trials that end, those that fail and those that are cut short among them.
    n_trials: int = Field(default=20, ge=1, le=100_000)
    #: As in W&B's sweeps. bayes is Optuna's TPE.
    method: Literal["bayes", "random", "grid"] = "bayes"
    #: What cuts a trial short that does worse than others did in the same epoch.
    pruner: Literal["median", "hyperband", "none"] = "median"
    #: None: the task's main metric.
    metric: str | None = None
    #: None: as that metric is meant.
    goal: Literal["maximize", "minimize"] | None = None
    #: Of a trial; None: those of the training, so that what is found holds for it.
    epochs: int | None = Field(default=None, ge=1)
    #: Folds that a trial trains; its value is their mean.
    folds: int = Field(default=1, ge=1, le=50)
    #: Trials at a time, each in a process of its own; on cards of their own, as far as there are.
    workers: int = Field(default=1, ge=1, le=64)
    #: Full key -> range or values; empty: the task's own.
    search_space: Mapping[str, Any] = Field(default_factory=dict)
