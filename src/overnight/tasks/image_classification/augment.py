"""Pixels to a model's input, and what is varied on the way while training.

H and W: height and width of the picture; S: the side of the model's input.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torchvision.transforms import v2
from torchvision.transforms.v2 import functional

from overnight.tasks.image_classification.document_noise import DocumentNoise

Strength = Literal["none", "basic", "strong"]
#: The part of each side that a random window shows. 0.8 of the side is 0.64 of the picture: what
#: is in it is nearly always still to be seen, where ImageNet's recipe shows as little as 0.08.
_SMALLEST_WINDOW = 0.8
#: timm's and torchvision's common choice (RandAugment's paper, table 3, says 2 and 9 for CIFAR).
_NUM_OPS, _MAGNITUDE = 2, 9
_ERASE_SHARE = 0.25
_RESIZE = functional.InterpolationMode.BILINEAR


class ToInput:
    """A picture of uint8 to a normalised float input of S x S.

    Without augmentation it is resized as a whole, its sides' ratio given up: nothing is cut off.
    Random draws are torch's, so a caller who seeds torch (``seeded.draws``) fixes them.

    Args:
        size_px: S.
        mean: Per channel, of values from 0 to 1.
        std: The same.
        strength: ``basic`` shifts, scales and flips; ``strong`` also takes RandAugment and erases.
        document_noise: Share of the pictures that look photographed or scanned.
    """

    def __init__(
        self,
        size_px: int,
        mean: Sequence[float],
        std: Sequence[float],
        strength: Strength,
        document_noise: float = 0.0,
    ) -> None:
        self.size_px, self.strength = size_px, strength
        self._mean, self._std = list(mean), list(std)
        self._noise = DocumentNoise(document_noise) if document_noise > 0 else None
        self._vary = v2.RandAugment(_NUM_OPS, _MAGNITUDE) if strength == "strong" else None
        self._erase = v2.RandomErasing(_ERASE_SHARE) if strength == "strong" else None

    def __call__(self, pixels_3HW: torch.Tensor) -> torch.Tensor:
        """The input, ``(3, S, S)`` float32."""
        size = [self.size_px, self.size_px]
        if self.strength == "none":
            picture = functional.resize(pixels_3HW, size, _RESIZE, antialias=True)
        else:
            picture = functional.resized_crop(
                pixels_3HW, *_window(*pixels_3HW.shape[-2:]), size, _RESIZE, antialias=True
            )
            if float(torch.rand(())) < 0.5:
                picture = functional.horizontal_flip(picture)
        if self._noise is not None:
            picture = self._noise(picture)
        if self._vary is not None:
            picture = self._vary(picture)
        values = functional.normalize(
            functional.to_dtype(picture, torch.float32, scale=True), self._mean, self._std
        )
        return values if self._erase is None else self._erase(values)


def _window(height: int, width: int) -> tuple[int, int, int, int]:
    """Top, left, height and width of a random window."""
    scale, down, right = torch.rand(3).tolist()
    share = _SMALLEST_WINDOW + (1 - _SMALLEST_WINDOW) * scale
    rows, columns = max(1, round(height * share)), max(1, round(width * share))
    top, left = round(down * (height - rows)), round(right * (width - columns))
    return top, left, rows, columns


class Mix:
    """Mixup and cutmix of a batch, in turn by chance where both are asked for.

    Args:
        mixup: Alpha of its beta distribution; 0: none.
        cutmix: The same.
        num_classes: K, for labels that are shares of classes.
    """

    def __init__(self, mixup: float, cutmix: float, num_classes: int) -> None:
        ways: list[v2.Transform] = []
        if mixup > 0:
            ways.append(v2.MixUp(alpha=mixup, num_classes=num_classes))
        if cutmix > 0:
            ways.append(v2.CutMix(alpha=cutmix, num_classes=num_classes))
        self._mix = v2.RandomChoice(ways) if len(ways) > 1 else next(iter(ways), None)

    def __call__(
        self, pixels_NCHW: torch.Tensor, labels_N: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """The batch, mixed: inputs, and labels ``(N, K)``; as it was where nothing is asked."""
        if self._mix is None:
            return pixels_NCHW, labels_N
        mixed: tuple[torch.Tensor, torch.Tensor] = self._mix(pixels_NCHW, labels_N)
        return mixed
