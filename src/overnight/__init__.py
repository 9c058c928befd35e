"""Overnight: leave a training job, wake up to a served model.

The public names, loaded when first used. Inside a job::

    import overnight

    overnight.log({"loss": loss}, step=step)
    overnight.progress(epoch, epochs, unit="epoch")
    folder = overnight.checkpoint_dir()

Without ``overnight run``, in a notebook or a script::

    with overnight.watch("baseline"):
        train()

    overnight.notify("fold 3 done")
"""

from __future__ import annotations

from importlib import import_module

#: Spelled out, because importing ``typing`` is most of what ``import overnight`` costs by itself.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from overnight.calibration import calibrate as calibrate
    from overnight.ledger.job import checkpoint_dir as checkpoint_dir
    from overnight.ledger.job import init as init
    from overnight.ledger.job import log as log
    from overnight.ledger.job import progress as progress
    from overnight.ledger.media import artifact as artifact
    from overnight.ledger.media import figure as figure
    from overnight.ledger.media import histogram as histogram
    from overnight.ledger.media import image as image
    from overnight.ledger.media import table as table
    from overnight.ledger.media import video as video
    from overnight.start.predict import predict as predict
    from overnight.start.train import train as train
    from overnight.start.tune import tune as tune
    from overnight.watching.block import watch as watch
    from overnight.watching.tell import notify as notify

__version__ = "0.1.0"

#: Public name → the module that has it.
_HOMES = {
    "init": "overnight.ledger.job",
    "log": "overnight.ledger.job",
    "progress": "overnight.ledger.job",
    "checkpoint_dir": "overnight.ledger.job",
    "artifact": "overnight.ledger.media",
    "figure": "overnight.ledger.media",
    "histogram": "overnight.ledger.media",
    "image": "overnight.ledger.media",
    "table": "overnight.ledger.media",
    "video": "overnight.ledger.media",
    "calibrate": "overnight.calibration",
    "predict": "overnight.start.predict",
    "train": "overnight.start.train",
    "tune": "overnight.start.tune",
    "watch": "overnight.watching.block",
    "notify": "overnight.watching.tell",
}
__all__ = [
    "__version__", "artifact", "calibrate", "checkpoint_dir", "figure", "histogram", "image",
    "init", "log", "notify", "predict", "progress", "table", "train", "tune", "video", "watch",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    if name == "tracking":
        return import_module("overnight.tracking")
    if name not in _HOMES:
        raise AttributeError(f"module 'overnight' has no attribute {name!r}")
    value = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
