"""What a camera or a scanner does to a page, done to a picture while training.

H and W: height and width of the picture, which stay. Sizes are shares of the shorter side, so that
small pictures look alike.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from io import BytesIO

import torch
from PIL import Image
from torchvision.transforms.v2 import functional

#: Paper, seen beyond the page's edges.
_PAPER = 255.0
_BILINEAR = functional.InterpolationMode.BILINEAR
#: Held by hand a page is hardly ever more askew; text further round is another task.
_MOST_DEGREES = 12.0
#: Of each side, that a corner of the page may be off.
_MOST_OFF = 0.12
#: Standard deviation as a share of the side: from 0.9 to 2.2 px of 224. Below half a pixel nothing
#: would be seen.
_BLUR, _LEAST_BLUR_PX = (0.004, 0.010), 0.5
#: Of a messenger's thumbnail and of a camera's thriftiest setting.
_JPEG = (12, 60)
#: How much light is left where the shadow is deepest, and how soft its edge is.
_LIGHT, _SOFTNESS = (0.35, 0.75), (0.02, 0.20)


class DocumentNoise:
    """One or two kinds of noise for a share of the pictures, none for the others.

    Random draws are torch's, so a caller who seeds torch fixes them.

    Args:
        share: Of the pictures, from 0 to 1.
    """

    def __init__(self, share: float) -> None:
        self.share = share

    def __call__(self, pixels_3HW: torch.Tensor) -> torch.Tensor:
        """The picture, uint8 of the same shape."""
        if float(torch.rand(())) >= self.share:
            return pixels_3HW
        num = 1 + int(torch.randint(2, ()))
        chosen = sorted(torch.randperm(len(KINDS))[:num].tolist())
        for kind in (list(KINDS.values())[at] for at in chosen):
            pixels_3HW = kind(pixels_3HW)
        return pixels_3HW


def _between(low: float, high: float) -> float:
    return low + (high - low) * float(torch.rand(()))


def perspective(pixels_3HW: torch.Tensor) -> torch.Tensor:
    """The page from aslant: each corner moves inwards by itself."""
    height, width = pixels_3HW.shape[-2:]
    right, bottom = width - 1, height - 1
    corners = [[0, 0], [right, 0], [right, bottom], [0, bottom]]
    off = (torch.rand(4, 2) * torch.tensor([_MOST_OFF * width, _MOST_OFF * height])).tolist()
    moved = [
        [round(x + (dx if x == 0 else -dx)), round(y + (dy if y == 0 else -dy))]
        for (x, y), (dx, dy) in zip(corners, off, strict=True)
    ]
    return functional.perspective(
        pixels_3HW, corners, moved, interpolation=_BILINEAR, fill=[_PAPER]
    )


def rotation(pixels_3HW: torch.Tensor) -> torch.Tensor:
    """The page askew."""
    angle = _between(-_MOST_DEGREES, _MOST_DEGREES)
    return functional.rotate(pixels_3HW, angle, interpolation=_BILINEAR, fill=[_PAPER])


def shadow(pixels_3HW: torch.Tensor) -> torch.Tensor:
    """A hand's or a lamp's shadow over one side of the page."""
    height, width = pixels_3HW.shape[-2:]
    angle, light, softness = _between(0, 2 * math.pi), _between(*_LIGHT), _between(*_SOFTNESS)
    rows_H1 = torch.linspace(-0.5, 0.5, height)[:, None]
    columns_1W = torch.linspace(-0.5, 0.5, width)[None, :]
    across_HW = math.cos(angle) * columns_1W + math.sin(angle) * rows_H1
    depth_HW = torch.sigmoid((across_HW - _between(-0.2, 0.2)) / softness)
    return (pixels_3HW * (1 - (1 - light) * depth_HW)).round().to(torch.uint8)


def blur(pixels_3HW: torch.Tensor) -> torch.Tensor:
    """Out of focus."""
    sigma = max(_LEAST_BLUR_PX, _between(*_BLUR) * min(pixels_3HW.shape[-2:]))
    side = 2 * math.ceil(2 * sigma) + 1
    return functional.gaussian_blur(pixels_3HW, [side, side], [sigma, sigma])


def jpeg(pixels_3HW: torch.Tensor) -> torch.Tensor:
    """Compressed too much."""
    low, high = _JPEG
    quality = int(torch.randint(low, high + 1, ()))
    file = BytesIO()
    # Pillow, as the pictures themselves are read: torchvision's own encoder is on its way out.
    Image.fromarray(pixels_3HW.permute(1, 2, 0).numpy()).save(file, "JPEG", quality=quality)
    with Image.open(file) as picture:
        return functional.pil_to_tensor(picture)


#: In the order in which they happen to a page.
KINDS: Mapping[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "perspective": perspective,
    "rotation": rotation,
    "shadow": shadow,
    "blur": blur,
    "jpeg": jpeg,
}
