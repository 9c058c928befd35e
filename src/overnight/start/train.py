"""``overnight.train``: what a config asks for, started from Python, in a process of its own."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from overnight.errors import UserError
from overnight.ledger.paths import RunPaths
from overnight.start.begin import Started, start
from overnight.start.check import Asked
from overnight.start.wanted import Wanted


def train(
    config: str | os.PathLike[str],
    *,
    set: Mapping[str, object] | None = None,
    mode: str | None = None,
    optimize: bool = False,
    n_trials: int | None = None,
    optuna_config: str | os.PathLike[str] = "",
    use_calibration: bool = False,
    auto_continue: bool = False,
    skip_training: bool = False,
    until: str | datetime | None = None,
    name: str | None = None,
    labels: Sequence[str] = (),
    notify: Sequence[str] = (),
    alerts: Sequence[str] = (),
    track: Sequence[str] = (),
    restart: int = 0,
    root: str | os.PathLike[str] | None = None,
) -> RunPaths:
    """Starts a training and gives its run once it is under way; the training outlives the caller.

    ::

        run = overnight.train("configs/train.yaml", set={"train.lr": 3e-4})
        print(run.dir, run.log)

    Args:
        config: The YAML file.
        set: Other values for its keys, ``{"train.lr": 3e-4}``.
        mode: ``basic``, ``highperf`` or ``full-pipeline``; fills what the config leaves open. By
            default ``full-pipeline`` with ``optimize`` or ``use_calibration``, else the config's.
        optimize: Search for better values first; without ``auto_continue`` nothing else is done.
        n_trials: Of the search; the config's ``tuning.n_trials``, else 20, by default.
        optuna_config: A file that says what is searched: the keys of ``tuning:``, or a W&B sweep.
        use_calibration: Fit a temperature to the out-of-fold predictions.
        auto_continue: Train with what the search has found.
        skip_training: With ``optimize`` search only; alone, predict with the newest training.
        until: When it has to be over: ``07:00``, ``8h``, a datetime (a naive one is local).
        name: The run's name; ``project.name`` by default.
        labels: Words to find the run by.
        notify: Channels to be told on; none: as the files say.
        alerts: Rules, as ``val_f1 > 0.9``.
        track: Trackers; none: as the files say.
        restart: How often it is started again after a failure.
        root: The root folder; found as for every run by default.

    Returns:
        The run: its folder, its log, where everything in it lies.

    Raises:
        UserErrors: Everything that is wrong with the config, the data's paths or the machine.
    """
    asked = Asked(
        target=os.fspath(config),
        # JSON is YAML: texts keep their quotes, None and True become null and true.
        overrides={key: json.dumps(value, default=os.fspath) for key, value in (set or {}).items()},
        name=name,
        labels=labels,
        notify=notify,
        alerts=alerts,
        track=track,
        restart=restart,
        kind="train",
        root=None if root is None else os.fspath(root),
        wanted=Wanted(
            mode=mode,
            optimize=optimize,
            n_trials=n_trials,
            optuna_config=os.fspath(optuna_config),
            use_calibration=use_calibration,
            auto_continue=auto_continue,
            skip_training=skip_training,
            until=until.isoformat() if isinstance(until, datetime) else until,
        ),
    )
    return start_training(asked).run


def start_training(asked: Asked, found: Sequence[UserError] = ()) -> Started:
    """What ``overnight train`` starts: a training, a search, or a prediction.

    Args:
        asked: Its target is a config.
        found: What is known to be wrong already, told together with all the rest.

    Raises:
        UserErrors: Everything that is wrong with what was asked; nothing was started or left.
    """
    if not asked.wanted.predicts_only:
        return start(asked, found)
    from overnight.start import predict

    mode = asked.wanted.mode
    overrides = asked.overrides if mode is None else {**asked.overrides, "mode": mode}
    found = [*found, *asked.wanted.contradictions()]
    return predict.start(replace(asked, overrides=overrides), found=found)
