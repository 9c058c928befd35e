"""``python -m overnight.trainer.weigh CONFIG NUM_CLASSES``: builds a training's model, once.

What it is made of, or why it cannot be built, is written to ``weighed.json`` beside the config:
``overnight check`` asks, in a process of its own, since only the trainer imports torch.
"""

from __future__ import annotations

import os
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

from overnight import spec as specs
from overnight.errors import OvernightError
from overnight.ledger import files
from overnight.tasks.base import FitContext, Scope


def main(words: list[str]) -> int:
    """Writes ``weighed.json``; 0 where the model can be built, 2 where it cannot."""
    config = Path(words[0])
    spec = specs.read(config, {}, os.environ)
    module, _, name = spec.info.task.partition(":")
    code = 0
    found: dict[str, Any]
    try:
        model = getattr(import_module(module), name)().model(_context(spec, int(words[1])))
        weights = list(model.parameters())
        found = {
            "num_parameters": sum(each.numel() for each in weights),
            "num_trainable": sum(each.numel() for each in weights if each.requires_grad),
        }
    except OvernightError as error:
        found = {"what": error.what, "where": error.where, "fix": error.fix}
        code = error.exit_code
    files.replace(str(config.with_name("weighed.json")), files.to_json(found))
    return code


def _context(spec: specs.Spec, num_classes: int) -> FitContext:
    """As much of a fit as a model is built from: it has no run to write to."""
    nothing: Any = None
    return FitContext(
        folder=Path(os.devnull),
        spec=spec,
        scope=Scope(),
        train=(),
        valid=(),
        labels=[str(number) for number in range(num_classes)],
        checkpoint=None,
        ledger=nothing,
        stop=nothing,
        report=lambda _epoch, _metric: True,
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
