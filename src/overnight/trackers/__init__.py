"""Where records go: MLflow and W&B, an extension kind.

A tracker is a word, an address and a key. Importing this room imports no tracker.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from overnight import plugins
from overnight.errors import OvernightError, UserError
from overnight.trackers.base import Tracker

__all__ = ["GROUP", "ROWS", "open_tracker"]

#: The entry point group: word → class called with the address, the root and the environment.
GROUP = "overnight.trackers"
ROWS = {
    "mlflow": "overnight.trackers.mlflow:Mlflow",
    "wandb": "overnight.trackers.wandb:Wandb",
}


def open_tracker(name: str, address: str, root: str, env: Mapping[str, str]) -> Tracker:
    """The tracker of that name. Contacts nobody.

    Args:
        name: Its word.
        address: Where it is; empty for its own place below the root.
        root: The root, where the address is empty.
        env: Its keys, as they stood in the environment of whoever asked.

    Raises:
        UserError: There is none of this name, or its library is not installed.
    """
    try:
        kind = plugins.find(GROUP, name, ROWS)
        if kind is None:
            raise UserError("track.unknown", where=name, names=", ".join(ROWS))
        tracker: Tracker = kind(address, Path(root), env)
    except OvernightError:
        raise
    except ModuleNotFoundError as error:
        extra = "wandb" if name == "wandb" else "train"
        raise UserError("track.not_installed", where=name, module=error.name, extra=extra) from None
    except Exception as error:  # a plug-in's class may raise anything
        raise UserError(
            "plugin.failed", where=name, why=f"{type(error).__name__}: {error}"
        ) from error
    return tracker
