"""``overnight.train``: what a config asks for, started from Python, in a process of its own."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence

from overnight.ledger.paths import RunPaths
from overnight.start.begin import start
from overnight.start.check import Asked


def train(
    config: str | os.PathLike[str],
    *,
    set: Mapping[str, object] | None = None,
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
    )
    return start(asked).run
