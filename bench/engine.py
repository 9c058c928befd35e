"""What the engine costs at each step: bare loop, plain transformers.Trainer, Lightning, ours.

A model of 922 parameters, so that nearly all of a step is the loop around it; the same data, batch,
optimizer (fused AdamW), clipping, schedule and one thread for all. What is taken is the process's
CPU time, which others' work does not stretch, noted in the data set between the first item of
step 100 and of the last one: what an engine does at the start and the end is not in it. Ours also
keeps accuracy and macro F1 of the training, its ledger's rows and its NaN watch; Lightning does not
clip (it refuses to with a fused AdamW). Run it as ``python bench/engine.py``.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import time
import warnings
from pathlib import Path
from typing import Any

import _measure as measure

_NUM_PAIRS = 10
_BATCH, _STEPS, _WARM = 8, 600, 100
_FEATURES, _HIDDEN, _CLASSES = 10, 42, 10
_LR, _CLIP = 1e-3, 1.0
_RESNET_BATCH = 16


def main() -> None:
    """Prints the table."""
    # Its own dependencies are those we have; torch alone would be gigabytes once more.
    python = measure.environment(
        "lightning", "--no-deps", "lightning==2.6.6", "lightning-utilities", "torchmetrics"
    )
    machine = measure.calm()
    ours = sysconfig.get_paths()["purelib"]
    paths = os.pathsep.join([str(measure.ROOT / "src"), ours])
    env = {**os.environ, "PYTHONPATH": paths, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [python, __file__, "--measure"], env=env, stdout=subprocess.PIPE, check=True, text=True
    )
    found = json.loads(done.stdout.splitlines()[-1])
    resnet_ms = found.pop("resnet_ms")
    rows = []
    for name, pairs in found.items():
        steps = list(zip(pairs["engine"], pairs["bare loop"], strict=True))
        cost = measure.Interval.of([engine - bare for engine, bare in steps])
        times = measure.Interval.of([engine / bare for engine, bare in steps])
        step = measure.Interval.of(pairs["engine"])
        share = f"{cost.median / resnet_ms:.2%}"
        rows.append([name, f"{step:.3f}", f"{times:.2f}", f"{cost:.3f}", share])
    measure.table(
        f"A step of an empty model; ResNet-18 at 224 px, batch {_RESNET_BATCH}: {resnet_ms:.0f} ms",
        machine,
        [
            "engine", "CPU ms a step", "times the bare loop", "more than the bare loop, ms",
            "share of a ResNet-18 step",
        ],
        rows,
    )  # fmt: skip
    measure.keep("engine", machine, {"resnet_ms": resnet_ms, **found})


# ── in the process that measures ─────────────────────────────────────────────────────────────


class Items:
    """Random features; notes when the first item of step 100 and of the last step is asked for."""

    def __init__(self) -> None:
        import torch

        generator = torch.Generator().manual_seed(0)
        num = _BATCH * _STEPS
        self.features = torch.randn(num, _FEATURES, generator=generator)
        self.targets = torch.randint(0, _CLASSES, (num,), generator=generator)
        self.asked = 0
        self.times: list[float] = []

    def __len__(self) -> int:
        return len(self.targets)

    def __getitem__(self, index: int) -> dict[str, Any]:
        if self.asked in (_WARM * _BATCH, (_STEPS - 1) * _BATCH):
            self.times.append(time.process_time())
        self.asked += 1
        return {"x": self.features[index], "labels": self.targets[index]}

    def set_epoch(self, epoch: int) -> None:
        """Nothing is drawn."""

    def ms_a_step(self) -> float:
        """Between the two."""
        begun, ended = self.times
        return (ended - begun) / (_STEPS - 1 - _WARM) * 1e3


def _net() -> Any:
    import torch
    from torch import nn
    from torch.nn import functional

    class Net(nn.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.body = nn.Sequential(
                nn.Linear(_FEATURES, _HIDDEN), nn.ReLU(), nn.Linear(_HIDDEN, _CLASSES)
            )

        def forward(self, x: torch.Tensor, labels: torch.Tensor) -> dict[str, Any]:
            logits = self.body(x)
            return {"loss": functional.cross_entropy(logits, labels), "logits": logits}

    return Net()


def _bare() -> float:
    import torch
    from torch.utils.data import DataLoader

    items, net = Items(), _net()
    optimizer = torch.optim.AdamW(net.parameters(), lr=_LR, fused=True)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1 - step / _STEPS)
    net.train()
    for batch in DataLoader(items, _BATCH, shuffle=True):
        loss = net(**batch)["loss"]
        loss.backward()
        torch.nn.utils.clip_grad_norm_(net.parameters(), _CLIP)
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()
    return items.ms_a_step()


def _trainer() -> float:
    from transformers import PrinterCallback, Trainer, TrainingArguments

    items = Items()
    with tempfile.TemporaryDirectory() as folder:
        arguments = TrainingArguments(
            folder, num_train_epochs=1, per_device_train_batch_size=_BATCH, learning_rate=_LR,
            max_grad_norm=_CLIP, report_to="none", disable_tqdm=True, save_strategy="no",
            logging_steps=50, use_cpu=True, dataloader_pin_memory=False,
            remove_unused_columns=False,
        )  # fmt: skip
        trainer = Trainer(_net(), arguments, train_dataset=items)
        trainer.remove_callback(PrinterCallback)
        trainer.train()
    return items.ms_a_step()


def _lightning() -> float:
    import lightning.pytorch as pl
    import torch
    from torch.utils.data import DataLoader

    class Lit(pl.LightningModule):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.net = _net()

        def training_step(self, batch: dict[str, Any], _: int) -> Any:
            return self.net(**batch)["loss"]

        def configure_optimizers(self) -> Any:
            optimizer = torch.optim.AdamW(self.parameters(), lr=_LR, fused=True)
            made = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1 - step / _STEPS)
            return {"optimizer": optimizer, "lr_scheduler": {"scheduler": made, "interval": "step"}}

    items = Items()
    trainer = pl.Trainer(
        max_epochs=1, accelerator="cpu", logger=False, enable_checkpointing=False,
        enable_progress_bar=False, enable_model_summary=False,
    )  # fmt: skip
    trainer.fit(Lit(), DataLoader(items, _BATCH, shuffle=True))
    return items.ms_a_step()


def _ours() -> float:
    import torch

    from overnight.tasks.image_classification.config import INFO
    from overnight.tasks.metrics import Classification
    from overnight.testing import fits
    from overnight.trainer.engine import HfEngine

    items = Items()

    class Empty:
        info = INFO

        def dataset(self, examples: Any, ctx: Any, *, augment: bool) -> Any:
            if augment:
                return items
            few = Items()
            few.features, few.targets = few.features[:_BATCH], few.targets[:_BATCH]
            return few

        def collate(self, batch: Any, *, seed: int, train: bool) -> Any:
            return {name: torch.stack([item[name] for item in batch]) for name in batch[0]}

        def model(self, ctx: Any) -> Any:
            return _net()

        def metric(self, ctx: Any) -> Any:
            return Classification(_CLASSES)

        def save(self, model: Any, folder: Path, ctx: Any) -> dict[str, Any]:
            return {}

    folder = Path(tempfile.mkdtemp())
    try:
        examples = fits.images(folder / "images", 2)
        asked = fits.spec(train={
            "epochs": 1, "batch_size": _BATCH, "lr": _LR, "grad_clip_norm": _CLIP,
            "scheduler": "linear", "warmup": 0, "log_interval": 50,
        })  # fmt: skip
        ctx = fits.context(
            folder / "fold0", examples, asked, train=[examples[0]] * len(items),
            valid=[examples[1]] * _BATCH,
        )  # fmt: skip
        HfEngine().fit(Empty(), ctx)  # type: ignore[arg-type]
    finally:
        shutil.rmtree(folder)
    return items.ms_a_step()


def _resnet_ms() -> float:
    import timm
    import torch
    from torch.nn import functional

    net = timm.create_model("resnet18", num_classes=_CLASSES)
    optimizer = torch.optim.AdamW(net.parameters(), lr=_LR, fused=True)
    x, labels = torch.randn(_RESNET_BATCH, 3, 224, 224), torch.zeros(_RESNET_BATCH).long()
    times = []
    for _ in range(4):
        begun = time.process_time()
        functional.cross_entropy(net(x), labels).backward()
        optimizer.step()
        optimizer.zero_grad()
        times.append(time.process_time() - begun)
    return sorted(times)[1] * 1e3


def _measure() -> None:
    import logging

    import torch

    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    torch.set_num_threads(1)
    engines = {"ours": _ours, "transformers.Trainer": _trainer, "Lightning": _lightning}
    for each in (_bare, *engines.values()):
        each()  # the first one pays for imports
    found: dict[str, Any] = {"resnet_ms": _resnet_ms()}
    for name, engine in engines.items():
        pairs = measure.in_turn(_bare, engine, num_pairs=_NUM_PAIRS)
        found[name] = {"bare loop": pairs.ours, "engine": pairs.theirs}
    print(json.dumps(found))


if __name__ == "__main__":
    if "--measure" in sys.argv:
        _measure()
    else:
        main()
