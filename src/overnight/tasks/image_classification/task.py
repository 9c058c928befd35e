"""Image classification, as the trainer sees it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn

from overnight.tasks.base import Example, FitContext, Json
from overnight.tasks.image_classification import model as models
from overnight.tasks.image_classification.augment import Mix, Strength, ToInput
from overnight.tasks.image_classification.cache import open_cache
from overnight.tasks.image_classification.config import INFO, ImageTrain
from overnight.tasks.metrics import Classification
from overnight.tasks.seeded import derive, draws


class Images(torch.utils.data.Dataset[tuple[torch.Tensor, int]]):  # type: ignore[misc]
    """Pictures and their classes.

    Args:
        pictures: Number → pixels ``(H, W, 3)`` uint8.
        targets: The classes' indices.
        to_input: What makes a model's input of pixels.
        seed: Of the run.
    """

    def __init__(self, pictures: Any, targets: Sequence[int], to_input: ToInput, seed: int) -> None:
        self._pictures, self._targets = pictures, targets
        self._to_input, self._seed, self._epoch = to_input, seed, 0

    def __len__(self) -> int:
        return len(self._targets)

    def set_epoch(self, epoch: int) -> None:
        """From now on the draws are those of this epoch."""
        self._epoch = epoch

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        pixels_3HW = torch.from_numpy(self._pictures[index]).permute(2, 0, 1)
        with draws(derive(self._seed, self._epoch, index)):
            return self._to_input(pixels_3HW), self._targets[index]


class ImageClassification:
    """The task ``image_classification``."""

    info = INFO

    def __init__(self) -> None:
        self._mix: Mix | None = None

    def dataset(self, examples: Sequence[Example], ctx: FitContext, *, augment: bool) -> Images:
        """The pictures of the examples; a cache holds them where they fit."""
        train = ctx.spec.train
        size_px = train.img_size
        if augment:
            self._mix = Mix(train.mixup, train.cutmix, len(ctx.labels))
        shape = models.input_of(ctx.spec.model.name, size_px)
        strength: Strength = train.augmentation if augment else "none"
        pictures = open_cache(examples, _kept_px(train), asked=ctx.spec.data.cache)
        targets = [_index(example) for example in examples]
        noise = train.document_noise if augment else 0.0
        to_input = ToInput(size_px, shape["mean"], shape["std"], strength, noise)
        return Images(pictures, targets, to_input, ctx.spec.project.seed)

    def collate(
        self, batch: Sequence[tuple[torch.Tensor, int]], *, seed: int, train: bool
    ) -> Mapping[str, Any]:
        """A batch; mixed where that is asked for and it is trained on."""
        pixels_NCHW = torch.stack([pixels for pixels, _ in batch])
        labels = torch.tensor([target for _, target in batch])
        if train and self._mix is not None:
            with draws(seed):
                pixels_NCHW, labels = self._mix(pixels_NCHW, labels)
        return {"pixel_values": pixels_NCHW, "labels": labels}

    def model(self, ctx: FitContext) -> nn.Module:
        """The classifier.

        Raises:
            UserError: See :func:`overnight.tasks.image_classification.model.build`.
        """
        train = ctx.spec.train
        made = models.build(ctx.spec.model, tuple(ctx.labels), train.img_size)
        made.label_smoothing = train.label_smoothing
        return made

    def metric(self, ctx: FitContext) -> Classification:
        """Accuracy and macro F1."""
        return Classification(len(ctx.labels))

    def media(
        self, model: nn.Module, examples: Sequence[Example], ctx: FitContext
    ) -> Iterable[Any]:
        """None of its own: confusion and predictions are made of the out-of-fold logits."""
        return ()

    def save(self, model: nn.Module, folder: Path, ctx: FitContext) -> Mapping[str, Json]:
        """Writes ``config.json`` and ``model.safetensors``."""
        assert isinstance(model, models.Classifier)
        model.save_pretrained(folder)
        shape = models.input_of(ctx.spec.model.name, ctx.spec.train.img_size)
        return {
            "output": "classes",
            "labels": list(ctx.labels),
            "input": {
                "kind": "image",
                "size_px": shape["input_size"][1:],
                # First so that the shorter side has this many pixels (images.pixels), then whole.
                "shorter_side_px": _kept_px(ctx.spec.train),
                "resize": "whole picture, bilinear, antialias",
                "mean": shape["mean"],
                "std": shape["std"],
            },
            "base_model": {
                "name": ctx.spec.model.name,
                "pretrained": ctx.spec.model.pretrained and ctx.spec.model.path is None,
                "pooling": ctx.spec.model.pooling,
            },
        }

    def load(self, folder: Path) -> nn.Module:
        """The model of a member, to predict with."""
        return models.load(folder)


def _kept_px(train: ImageTrain) -> int:
    """The shorter side of the pictures that are kept, for training and evaluation alike.

    A random window shows less than the whole, so there is an eighth more than the input needs: 256
    for 224, as everywhere.
    """
    return train.img_size if train.augmentation == "none" else train.img_size * 8 // 7


def _index(example: Example) -> int:
    assert isinstance(example.target, int), f"{example.id} has no class"
    return example.target
