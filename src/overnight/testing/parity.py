"""Our engine's losses beside those of the plainest script with the same library and seed.

``python -m overnight.testing.parity``. Both train the same timm model with transformers.Trainer on
the same pictures, dropout, clipping, smoothing and schedule included; the script knows nothing of
us. On a processor the first 20 losses are equal: what the engine adds changes no number.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.nn import functional
from transformers import PrinterCallback, Trainer, TrainingArguments, set_seed

from overnight.spec import Spec
from overnight.tasks.base import Example
from overnight.tasks.image_classification.images import load_image
from overnight.tasks.image_classification.task import ImageClassification
from overnight.testing import fits
from overnight.trainer.engine import HfEngine

NUM_STEPS = 20
TOLERANCE = 1e-6
_BATCH, _SIZE_PX, _NUM_VALID = 8, 32, 8
_LR, _DROP, _SMOOTHING, _DECAY, _WARMUP = 1e-3, 0.1, 0.1, 0.05, 5


def plain(folder: Path, examples: Sequence[Example], seed: int) -> list[float]:
    """The losses of the plainest script."""
    import timm
    from torchvision.transforms.v2 import functional as pictures

    class Net(nn.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.net = timm.create_model(fits.TINY, num_classes=3, drop_rate=_DROP)

        def forward(self, pixel_values: torch.Tensor, labels: torch.Tensor) -> dict[str, Any]:
            logits = self.net(pixel_values)
            loss = functional.cross_entropy(logits, labels, label_smoothing=_SMOOTHING)
            return {"loss": loss, "logits": logits}

    cfg = timm.get_pretrained_cfg(fits.TINY)
    dataset = []
    for example in examples:
        picture = pictures.pil_to_tensor(load_image(example))
        picture = pictures.resize(picture, [_SIZE_PX, _SIZE_PX], antialias=True)
        values = pictures.to_dtype(picture, torch.float32, scale=True)
        values = pictures.normalize(values, list(cfg.mean), list(cfg.std))
        dataset.append({"pixel_values": values, "labels": example.target})
    set_seed(seed)
    arguments = TrainingArguments(
        str(folder),
        seed=seed,
        num_train_epochs=2,
        per_device_train_batch_size=_BATCH,
        learning_rate=_LR,
        weight_decay=_DECAY,
        lr_scheduler_type="cosine",
        warmup_steps=_WARMUP,
        logging_steps=1,
        save_strategy="no",
        report_to="none",
        disable_tqdm=True,
        use_cpu=True,
        dataloader_pin_memory=False,
    )
    trainer = Trainer(Net(), arguments, train_dataset=dataset)
    trainer.remove_callback(PrinterCallback)
    trainer.train()
    losses = [row["loss"] for row in trainer.state.log_history if "loss" in row]
    return losses[:NUM_STEPS]


def ours(folder: Path, examples: list[Example], seed: int) -> list[float]:
    """The losses of the engine, from its ledger."""
    steps_per_epoch = (len(examples) - _NUM_VALID) // _BATCH
    ledger = fits.MemoryLedger()
    ctx = fits.context(folder, examples, _asked(seed, steps_per_epoch), num_valid=_NUM_VALID,
                       ledger=ledger)  # fmt: skip
    HfEngine().fit(ImageClassification(), ctx)
    return [row["batch_loss"] for row in ledger.steps()][:NUM_STEPS]


def _asked(seed: int, steps_per_epoch: int) -> Spec:
    return fits.spec(
        train={
            "lr": _LR, "weight_decay": _DECAY, "label_smoothing": _SMOOTHING, "batch_size": _BATCH,
            "img_size": _SIZE_PX, "warmup": _WARMUP / steps_per_epoch,
        },
        model={"drop_rate": _DROP},
        seed=seed,
    )  # fmt: skip


def compare(folder: Path, seed: int = 42) -> list[tuple[float, float]]:
    """Our loss and theirs, step by step."""
    examples = fits.images(folder / "images", 88)
    mine = ours(folder / "ours", examples, seed)
    theirs = plain(folder / "plain", examples[_NUM_VALID:], seed)
    return list(zip(mine, theirs, strict=True))


def worst(pairs: Sequence[tuple[float, float]]) -> float:
    """The largest relative difference."""
    return max(abs(a - b) / abs(b) for a, b in pairs)


def main() -> int:
    """Prints both columns; 1 where they are not equal."""
    torch.set_num_threads(1)
    folder = Path(tempfile.mkdtemp(prefix="overnight-parity-"))
    try:
        pairs = compare(folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    _say("step   overnight     plain script")
    for step, (mine, theirs) in enumerate(pairs, 1):
        _say(f"{step:4}   {mine:.9f}   {theirs:.9f}")
    _say(f"largest relative difference {worst(pairs):.1e}, allowed {TOLERANCE:.0e}")
    return 0 if worst(pairs) <= TOLERANCE else 1


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")


if __name__ == "__main__":
    sys.exit(main())
