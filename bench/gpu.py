"""What the engine costs on a GPU: images a second beside a bare loop, ResNet-50 and Swin-B, bf16.

Both train on the same random pictures of 224 px, made once and kept, through the same loader, with
autocast to bf16, channels-last where a model convolves, fused AdamW and clipping; ours also keeps
accuracy and macro F1 of the training, its ledger's rows and its NaN watch. Timed by the wall from
step 30 to the last one, the card waited for at both ends. Needs a GPU and says so where there is
none. Run it as ``python bench/gpu.py``.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
import time
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import timm
import torch
from torch.nn import functional
from torch.utils.data import DataLoader, Dataset

import _measure as measure
from overnight.tasks.image_classification.task import ImageClassification
from overnight.testing import fits
from overnight.trainer import precision
from overnight.trainer.engine import HfEngine

_MODELS = {"resnet50": 256, "swin_base_patch4_window7_224": 128}
_SIZE_PX, _CLASSES, _POOL = 224, 1000, 256
_STEPS, _WARM, _NUM_PAIRS = 150, 30, 3
_LR, _CLIP = 1e-4, 1.0
_BF16_CAPABILITY = (8, 0)


def main() -> int:
    """Prints the table."""
    if not torch.cuda.is_available():
        print("no GPU: torch can use none on this machine, so there is nothing to measure")
        return 0
    if torch.cuda.get_device_capability() < _BF16_CAPABILITY:
        print(f"{torch.cuda.get_device_name()} does not compute in bf16: nothing is measured")
        return 0
    warnings.simplefilter("ignore")
    machine = f"{torch.cuda.get_device_name()}, torch {torch.__version__}; {measure.calm()}"
    rows, found = [], {}
    for name, batch_size in _MODELS.items():
        pairs = measure.in_turn(
            lambda name=name, size=batch_size: _ours(name, size),
            lambda name=name, size=batch_size: _bare(name, size),
            num_pairs=_NUM_PAIRS,
        )
        found[name] = {"ours": pairs.ours, "bare": pairs.theirs}
        images = [measure.Interval.of([batch_size / each for each in seconds])
                  for seconds in (pairs.ours, pairs.theirs)]  # fmt: skip
        share = images[0].median / images[1].median
        rows.append([name, str(batch_size), *(f"{each:.0f}" for each in images), f"{share:.1%}"])
    head = ["model", "batch", "overnight, images/s", "bare loop, images/s", "share"]
    measure.table(f"Training at {_SIZE_PX} px in bf16", machine, head, rows)
    measure.keep("gpu", machine, found)
    return 0


class Pictures(Dataset[tuple[torch.Tensor, int]]):
    """A pool of random pictures, as often as is asked for."""

    def __init__(self, num: int) -> None:
        self._num = num
        generator = torch.Generator().manual_seed(0)
        self._pool = torch.randn(_POOL, 3, _SIZE_PX, _SIZE_PX, generator=generator)

    def __len__(self) -> int:
        return self._num

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        return self._pool[index % _POOL], index % _CLASSES

    def set_epoch(self, epoch: int) -> None:
        """Nothing is drawn."""


class Watch:
    """Notes when a model begins step 30 and the last one."""

    def __init__(self, model: torch.nn.Module) -> None:
        self._steps, self._times = 0, []  # type: int, list[float]
        model.register_forward_pre_hook(self._note)

    def _note(self, module: torch.nn.Module, _: Any) -> None:
        if not module.training:
            return
        if self._steps in (_WARM, _STEPS - 1):
            torch.cuda.synchronize()
            self._times.append(time.perf_counter())
        self._steps += 1

    def s_a_step(self) -> float:
        """Between the two."""
        begun, ended = self._times
        return (ended - begun) / (_STEPS - 1 - _WARM)


def _bare(name: str, batch_size: int) -> float:
    on = torch.device("cuda")
    net = timm.create_model(name, num_classes=_CLASSES).to(on).train()
    precision.channels_last(net, on)
    watch = Watch(net)
    optimizer = torch.optim.AdamW(net.parameters(), lr=_LR, fused=True)
    batches = DataLoader(
        Pictures(batch_size * _STEPS), batch_size, shuffle=True, pin_memory=True,
        num_workers=precision.num_workers("auto"),
    )  # fmt: skip
    for pixels, labels in batches:
        pixels = pixels.to(on, non_blocking=True, memory_format=torch.channels_last)
        with torch.autocast("cuda", torch.bfloat16):
            logits = net(pixels)
        loss = functional.cross_entropy(logits.float(), labels.to(on, non_blocking=True))
        loss.backward()
        torch.nn.utils.clip_grad_norm_(net.parameters(), _CLIP)
        optimizer.step()
        optimizer.zero_grad()
    return watch.s_a_step()


class _Task(ImageClassification):
    """Image classification of random pictures."""

    watch: Watch

    def dataset(self, examples: Sequence[Any], ctx: Any, *, augment: bool) -> Any:
        return Pictures(len(examples))

    def model(self, ctx: Any) -> Any:
        made = super().model(ctx)
        self.watch = Watch(made)
        return made

    def save(self, model: Any, folder: Path, ctx: Any) -> Mapping[str, Any]:
        return {}


def _ours(name: str, batch_size: int) -> float:
    folder = Path(tempfile.mkdtemp(prefix="overnight-gpu-"))
    try:
        (example,) = fits.images(folder / "images", 1)
        asked = fits.spec(
            train={
                "epochs": 1, "batch_size": batch_size, "lr": _LR, "grad_clip_norm": _CLIP,
                "scheduler": "constant", "warmup": 0, "log_interval": 50, "img_size": _SIZE_PX,
                "amp": "bf16", "num_workers": "auto",
            },
            model={"name": name},
        )  # fmt: skip
        ctx = fits.context(
            folder / "fold0", [example], asked, train=[example] * batch_size * _STEPS,
            valid=[example] * batch_size, labels=[str(number) for number in range(_CLASSES)],
        )  # fmt: skip
        task = _Task()
        HfEngine().fit(task, ctx)
        return task.watch.s_a_step()
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    sys.exit(main())
