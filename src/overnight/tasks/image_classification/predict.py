"""Image classification, as whoever predicts sees it: a server, or a folder of a hundred thousand.

Shapes: N pictures, V views of each, K classes, S the side of the model's input; H, W of a picture.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict
from safetensors import SafetensorError

from overnight.errors import UserError
from overnight.tasks.base import Example
from overnight.tasks.image_classification import model as models
from overnight.tasks.image_classification.augment import ToInput
from overnight.tasks.image_classification.images import BadImageError, pixels, pixels_of
from overnight.tasks.predictor import BadInput, Views

if TYPE_CHECKING:
    from overnight.model_folder import Card

#: Of each side, where five windows are looked at: 224 of 256, as since AlexNet's ten crops
#: (Krizhevsky, Sutskever, Hinton 2012, section 4.1). All five see the middle.
_WINDOW = 7 / 8


class Classes(BaseModel):
    """What is said of a picture."""

    model_config = ConfigDict(frozen=True)

    label: str
    confidence: float
    probabilities: dict[str, float]


class Batch:
    """Inputs side by side.

    Attributes:
        pixels_NV3SS: Of pictures that cannot be read: zeros.
        unreadable: Their places in the batch.
    """

    def __init__(self, pixels_NV3SS: torch.Tensor, unreadable: Sequence[int] = ()) -> None:
        self.pixels_NV3SS, self.unreadable = pixels_NV3SS, unreadable

    def __len__(self) -> int:
        return len(self.pixels_NV3SS)

    def pin_memory(self) -> Batch:
        """As a loader asks for it, so that a card fetches it by itself."""
        return Batch(self.pixels_NV3SS.pin_memory(), self.unreadable)


class Pictures(torch.utils.data.Dataset[torch.Tensor | None]):  # type: ignore[misc]
    """Pictures as a model's input; None where one cannot be read.

    Args:
        examples: Of whom.
        to_views: What makes a picture's views.
        kept_px: The shorter side a picture is reduced to first, as in the training.
    """

    def __init__(self, examples: Sequence[Example], to_views: ToViews, kept_px: int) -> None:
        self._examples, self._to_views, self._kept_px = examples, to_views, kept_px

    def __len__(self) -> int:
        return len(self._examples)

    def __getitem__(self, index: int) -> torch.Tensor | None:
        example = self._examples[index]
        if not example.inputs["image"]:
            return None
        try:
            return self._to_views(pixels(example, self._kept_px))
        except BadImageError:
            return None


class ToViews:
    """Pixels ``(H, W, 3)`` uint8 to the views of a picture that have pixels of their own.

    A mirrored view has none: it is made where the model is.

    Args:
        to_input: What makes a model's input of pixels, as in an evaluation.
        views: Which.
    """

    def __init__(self, to_input: ToInput, views: Views) -> None:
        self._to_input, self._has_windows = to_input, views == "crops"

    def __call__(self, pixels_HW3: NDArray[np.uint8]) -> torch.Tensor:
        """``(V, 3, S, S)`` float32: the whole picture, or five windows of it."""
        pixels_3HW = torch.from_numpy(pixels_HW3).permute(2, 0, 1)
        if not self._has_windows:
            return self._to_input(pixels_3HW)[None]
        height, width = pixels_3HW.shape[-2:]
        rows, columns = max(1, round(height * _WINDOW)), max(1, round(width * _WINDOW))
        down, right = height - rows, width - columns
        corners = [(0, 0), (0, right), (down, 0), (down, right), (down // 2, right // 2)]
        windows = [pixels_3HW[:, top : top + rows, left : left + columns] for top, left in corners]
        return torch.stack([self._to_input(window) for window in windows])


class Predictor:
    """A model folder's members, asked together.

    Args:
        members: In evaluation mode, on ``device``.
        card: What the folder says of itself.
        device: Where they are.
        views: Which views of a picture are averaged.
        precision: Of the arithmetic.
    """

    output = Classes

    def __init__(
        self,
        members: Sequence[models.Classifier],
        card: Card,
        *,
        device: str = "cpu",
        views: Views = "none",
        precision: Literal["fp32", "bf16", "fp16"] = "fp32",
    ) -> None:
        self.labels: Sequence[str] = card.labels
        self._members, self._temperature = members, card.temperature
        self._device = torch.device(device)
        self._precision, self._is_mirrored = precision, views != "none"
        size_px = _number(card, "size_px")
        self._kept_px = _number(card, "shorter_side_px")
        to_input = ToInput(size_px, _three(card, "mean"), _three(card, "std"), "none")
        self._to_views = ToViews(to_input, views)
        self._is_channels_last = self._device.type == "cuda" and any(
            isinstance(module, torch.nn.Conv2d) for each in members for module in each.modules()
        )
        for member in members:
            member.to(self._device)
            if self._is_channels_last:
                member.to(memory_format=torch.channels_last)

    @classmethod
    def load(
        cls,
        card: Card,
        *,
        device: str = "cpu",
        views: Views = "none",
        precision: Literal["fp32", "bf16", "fp16"] = "fp32",
    ) -> Predictor:
        """The members of a folder that was verified. Their weights are safetensors.

        Raises:
            UserError: They are not what the folder says they are.
        """
        members = [_load(member.folder) for member in card.members]
        for member, said in zip(members, card.members, strict=True):
            if member.num_labels != len(card.labels):
                raise UserError("predict.other_classes", where=said.folder, num=len(card.labels))
        return cls(members, card, device=device, views=views, precision=precision)

    def prepare(self, raw: Mapping[str, Any]) -> torch.Tensor:
        """The views of one picture.

        Args:
            raw: ``image``: a path, or the bytes of a file.

        Raises:
            BadInput: It cannot be read.
        """
        image = raw.get("image")
        try:
            if isinstance(image, bytes):
                return self._to_views(pixels_of(image, self._kept_px))
            return self._to_views(pixels(Example("", {"image": str(image)}), self._kept_px))
        except BadImageError as error:
            raise BadInput(str(error)) from error

    def batch_key(self, item: torch.Tensor) -> Hashable:
        """All inputs are of one size."""
        return tuple(item.shape)

    def predict(self, items: Sequence[torch.Tensor]) -> Sequence[Classes]:
        """What each picture shows."""
        found_NK = self.probabilities(Batch(torch.stack(list(items))))
        return [
            Classes(
                label=self.labels[int(row_K.argmax())],
                confidence=float(row_K.max()),
                probabilities=dict(zip(self.labels, row_K.tolist(), strict=True)),
            )
            for row_K in found_NK
        ]

    def dataset(self, examples: Sequence[Example]) -> Pictures:
        """The pictures of the examples, decoded by whoever asks."""
        return Pictures(examples, self._to_views, self._kept_px)

    def collate(self, items: Sequence[torch.Tensor | None]) -> Batch:
        """The dataset's items side by side."""
        there = next((item for item in items if item is not None), None)
        unreadable = [place for place, item in enumerate(items) if item is None]
        if there is None:
            return Batch(torch.zeros((len(items), 0)), unreadable)
        blank = torch.zeros_like(there)
        return Batch(torch.stack([blank if item is None else item for item in items]), unreadable)

    def probabilities(self, batch: Batch) -> NDArray[np.float32]:
        """``(N, K)``: mean over members and views of softmax(logits / temperature); see Predictor.

        On a card whose memory is too small for the batch it is asked in halves.
        """
        if len(batch.unreadable) == len(batch):
            return np.full((len(batch), len(self.labels)), np.nan, np.float32)
        pixels_NV3SS = batch.pixels_NV3SS.to(self._device, non_blocking=True)
        found_NK = self._ask(pixels_NV3SS)
        found_NK[list(batch.unreadable)] = np.nan
        return found_NK

    def logits(self, batch: Batch) -> NDArray[np.float32]:
        """``(A, N, K)``: of each member and view, A of them; of no meaning where one is unreadable.

        A batch needs one that can be read.
        """
        return self._logits(batch.pixels_NV3SS.to(self._device, non_blocking=True))

    def _ask(self, pixels_NV3SS: torch.Tensor) -> NDArray[np.float32]:
        try:
            logits_ANK = self._logits(pixels_NV3SS)
        except torch.cuda.OutOfMemoryError:
            half = len(pixels_NV3SS) // 2
            if not half:
                raise
            torch.cuda.empty_cache()
            return np.concatenate([self._ask(pixels_NV3SS[:half]), self._ask(pixels_NV3SS[half:])])
        # In float64, as the temperature was fitted.
        powers_ANK = logits_ANK.astype(np.float64) / self._temperature
        powers_ANK -= powers_ANK.max(axis=2, keepdims=True)
        np.exp(powers_ANK, out=powers_ANK)
        powers_ANK /= powers_ANK.sum(axis=2, keepdims=True)
        return np.asarray(powers_ANK.mean(axis=0), dtype=np.float32)

    def _logits(self, pixels_NV3SS: torch.Tensor) -> NDArray[np.float32]:
        """``(A, N, K)``: of each member and view, A of them, which wait for the card only once."""
        on = self._device
        kind = torch.float16 if self._precision == "fp16" else torch.bfloat16
        found = []
        with (
            torch.inference_mode(),
            torch.autocast(on.type, dtype=kind, enabled=self._precision != "fp32"),
        ):
            for pixels_N3SS in pixels_NV3SS.unbind(1):
                for mirrored in (False, True) if self._is_mirrored else (False,):
                    seen = pixels_N3SS.flip(-1) if mirrored else pixels_N3SS
                    if self._is_channels_last:
                        seen = seen.contiguous(memory_format=torch.channels_last)
                    found += [member(seen).logits.float() for member in self._members]
        return np.asarray(torch.stack(found).cpu().numpy())


def _load(folder: Path) -> models.Classifier:
    try:
        return models.load(folder)
    except (RuntimeError, SafetensorError, ValueError, TypeError, KeyError) as error:
        if isinstance(error, UserError):
            raise
        # As timm or safetensors refuse: a name they do not know, tensors of another shape.
        why = str(error).partition("\n")[0][:200]
        raise UserError("predict.cannot_load", where=folder, why=why) from error


def _number(card: Card, key: str) -> int:
    """A length in pixels of the card's ``input``: square inputs have two."""
    value = card.input.get(key)
    value = value[0] if isinstance(value, list) and len(set(map(str, value))) == 1 else value
    if not isinstance(value, int) or not 1 <= value <= 1 << 14:
        raise UserError("model.odd_key", where=card.folder, name=f"input: {key}")
    return value


def _three(card: Card, key: str) -> list[float]:
    """A number a channel, of the card's ``input``."""
    value = card.input.get(key)
    if not isinstance(value, list) or not all(isinstance(each, (int, float)) for each in value):
        raise UserError("model.odd_key", where=card.folder, name=f"input: {key}")
    return value
