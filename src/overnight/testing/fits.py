"""Small fits for tests, proofs and benches: real images, a real model, a ledger in memory."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
from PIL import Image

from overnight.spec import Spec
from overnight.spec.schema import Output, Project
from overnight.tasks.base import Example, FitContext, Json, Scope
from overnight.tasks.image_classification.config import Data, ImageTrain, Model
from overnight.trainer import checkpoints

#: 0.4 million parameters; 3 ms a step of eight images of 32 pixels on one core.
TINY = "test_resnet"


@dataclass(slots=True)
class MemoryLedger:
    """Keeps what a fit reports.

    Attributes:
        rows: As they would stand in metrics.jsonl, without times.
        events: Name and fields.
    """

    rows: list[dict[str, Any]] = field(default_factory=list)
    events: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    done: list[tuple[float, float]] = field(default_factory=list)

    def metrics(
        self,
        values: Mapping[str, float],
        *,
        step: int | None = None,
        epoch: int | None = None,
        scope: Scope = Scope(),  # noqa: B008  (frozen)
        summary: bool = False,
    ) -> None:
        """See tasks.base.JobLedger, as all below."""
        axes = {"step": step, "epoch": epoch, "fold": scope.fold}
        given = {name: value for name, value in axes.items() if value is not None}
        self.rows.append({**given, **values})

    def event(self, name: str, **fields: Json) -> None:
        """Keeps an event."""
        self.events.append((name, fields))

    def progress(self, done: float, total: float, *, unit: str = "step") -> None:
        """Keeps how far it is."""
        self.done.append((done, total))

    def epochs(self) -> list[dict[str, Any]]:
        """The epoch rows."""
        return [row for row in self.rows if "epoch" in row]

    def steps(self) -> list[dict[str, Any]]:
        """The step rows."""
        return [row for row in self.rows if "step" in row]


@dataclass(slots=True)
class StopAt:
    """Asks to stop once it was asked so many times; a fit asks at each step and each batch.

    Attributes:
        turn: How many times it says nothing; None: for ever.
        why: What it says then.
        act: Called at that moment instead.
    """

    turn: int | None = None
    why: Literal["signal", "deadline", "pruned"] = "signal"
    act: Callable[[], None] | None = None
    asked_so_far: int = 0

    def asked(self) -> Literal["signal", "deadline", "pruned"] | None:
        """See tasks.base.Stop."""
        self.asked_so_far += 1
        if self.turn is None or self.asked_so_far <= self.turn:
            return None
        if self.act is not None:
            self.act()
        return self.why


def images(folder: Path, num: int, *, num_classes: int = 3, size_px: int = 24) -> list[Example]:
    """Pictures of coloured noise: a class is a hue, so that a tiny model learns something."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    made = []
    for number in range(num):
        target = number % num_classes
        pixels = rng.integers(0, 160, (size_px, size_px, 3), dtype=np.uint8)
        pixels[..., target % 3] += np.uint8(40)
        path = folder / f"{number:04d}.png"
        Image.fromarray(pixels).save(path)
        made.append(Example(str(number), {"image": str(path)}, target))
    return made


def spec(
    *,
    train: Mapping[str, Any] | None = None,
    model: Mapping[str, Any] | None = None,
    seed: int = 42,
    keep_checkpoints: int = 2,
) -> Spec:
    """A spec of a small training from scratch on one core."""
    asked: dict[str, Any] = {
        "img_size": 32, "batch_size": 8, "epochs": 2, "lr": 1e-3, "num_workers": 0,
        "augmentation": "none", "log_interval": 1,
    }  # fmt: skip
    return Spec(
        task="image_classification",
        project=Project(name="small", seed=seed),
        data=Data(image_dir_train=Path("/nowhere")),  # the examples say where
        model=Model(**{"name": TINY, "pretrained": False, **(model or {})}),
        train=ImageTrain(**{**asked, **(train or {})}),
        output=Output(keep_checkpoints=keep_checkpoints),
    )


def context(
    folder: Path,
    examples: list[Example],
    asked: Spec,
    *,
    num_valid: int = 12,
    **changes: Any,
) -> FitContext:
    """A fit of fold 0 in ``folder``; the first examples are its validation set."""
    num_classes = 1 + max(e.target for e in examples if isinstance(e.target, int))
    made = FitContext(
        folder=folder,
        spec=asked,
        scope=Scope(fold=0),
        train=examples[num_valid:],
        valid=examples[:num_valid],
        labels=[f"class {number}" for number in range(num_classes)],
        checkpoint=checkpoints.newest(folder),
        ledger=MemoryLedger(),
        stop=StopAt(),
        report=lambda _epoch, _value: True,
    )
    return dataclasses.replace(made, **changes)


def sha256(path: Path) -> str:
    """Of a file's contents."""
    return hashlib.sha256(path.read_bytes()).hexdigest()
