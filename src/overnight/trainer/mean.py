"""The temperature of what is served: the mean of several members, none of them asked alone.

It is fitted to pictures without a label, the test images: no member has learnt from them. What the
members put out is kept (``oof/unlabelled_logits.npy``), so that ``overnight calibrate`` does it
again without torch.

Shapes: M members, N pictures, K classes.
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from overnight.calibration import Calibration, fit_mean
from overnight.errors import UserError
from overnight.ledger import files
from overnight.ledger.paths import RunPaths
from overnight.model_folder import CARD, Card, read
from overnight.trainer import calibrate
from overnight.trainer.console import Console, counted, number
from overnight.trainer.kept import Plan
from overnight.trainer.oof import save_array

if TYPE_CHECKING:
    from overnight.spec import Spec

#: More tell no more: with 200 the negative log likelihood is the best one's to three digits.
NUM_PICTURES = 512
_FILE = "unlabelled_logits.npy"


def fit(
    run: RunPaths, console: Console, spec: Spec, plan: Plan, folder: Path, found: Calibration
) -> None:
    """Puts the mean's temperature into a model's card, where there are pictures to fit it to.

    Args:
        run: The run.
        console: Where its lines go.
        spec: What was asked for.
        plan: The data, test images among them.
        folder: The model folder, with the members' temperature.
        found: That one.
    """
    Path(run.at("oof", _FILE)).unlink(missing_ok=True)  # of an earlier attempt's members
    card = read(folder)
    if len(card.members) < 2 or found.why != "fitted" or not plan.index.unlabelled:
        return
    logits_MNK = _logits(spec, plan, card)
    if logits_MNK is None:
        return
    save_array(Path(run.at("oof", _FILE)), logits_MNK)
    said: dict[str, Any] = dict(card.said)
    temperature = put(said, run, found)
    files.replace(str(folder / CARD), files.to_json(said))
    num = counted(logits_MNK.shape[1], "picture")
    if temperature is None:
        console.line("CALIB", f"the mean of {len(card.members)} members is left as it is, by {num}")
    else:
        text = number("temperature", temperature)
        console.line(
            "CALIB", f"the mean of {len(card.members)} members at temperature {text}, by {num}"
        )


def put(said: dict[str, Any], run: RunPaths, found: Calibration) -> float | None:
    """Puts the mean's temperature into a card that has the members'.

    Returns:
        The temperature; None where there is nothing to fit it to, or none fits.

    Raises:
        UserError: What the members put out is damaged.
    """
    path = Path(run.at("oof", _FILE))
    if found.why != "fitted" or not path.is_file():
        return None
    logits_MNK = calibrate.load(path)
    if logits_MNK.ndim != 3 or logits_MNK.shape[0] != len(said["members"]):
        why = f"{_FILE}: {' x '.join(map(str, logits_MNK.shape))}"
        raise UserError("calibrate.oof_damaged", where=run.at("oof"), why=why)
    temperature = fit_mean(logits_MNK, found.temperature)
    said["calibration"] = {
        **said["calibration"],
        "mean": {"temperature": temperature, "num": int(logits_MNK.shape[1])},
    }
    if temperature is not None:
        said["postprocessing"] = {**said["postprocessing"], "temperature": temperature}
    return temperature


def _logits(spec: Spec, plan: Plan, card: Card) -> NDArray[np.float32] | None:
    """``(M, N, K)`` of some test images; None where none of them can be read."""
    from torch.utils.data import DataLoader

    from overnight.trainer import precision

    every = plan.index.unlabelled
    examples = every[:: -(-len(every) // NUM_PICTURES)]
    train: Any = spec.train
    device = precision.device()
    module, _, name = spec.info.predictor.partition(":")
    predictor = getattr(import_module(module), name).load(
        card, device=str(device), precision=precision.precision(train.amp, device)
    )
    batches: Any = DataLoader(
        predictor.dataset(examples), train.batch_size, collate_fn=predictor.collate
    )
    parts = []
    for batch in batches:
        there = [at for at in range(len(batch)) if at not in set(batch.unreadable)]
        if there:
            parts.append(predictor.logits(batch)[:, there])
    return np.concatenate(parts, axis=1) if parts else None
