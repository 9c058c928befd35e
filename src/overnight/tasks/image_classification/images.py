"""An image as the training, the check, the card and the cache see it: RGB, eight bits, upright.

One set of rules for all of them, so that a picture never looks different to two:

- turned as its EXIF orientation says;
- transparent parts lie on white, as on paper;
- 16 bits a channel: the upper 8. No stretching, which would make every picture its own scale;
- CMYK, palettes, grey and the like become RGB; of an animation or several pages, the first picture;
- floating point pixels are refused: they have no fixed scale.
"""

from __future__ import annotations

import hashlib
import os
import struct
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import IO, TYPE_CHECKING

from overnight.messages import say
from overnight.tasks.base import Example
from overnight.tasks.image_classification import batch

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from PIL.Image import Image

#: What an image file may end in.
EXTENSIONS = (
    ".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".jfif", ".avif", ".ppm",
    ".pgm",
)  # fmt: skip
#: Pillow's own bound: 0.25 GiB of RGB. A file of 20 KB may claim more than any memory holds.
MAX_PIXELS = 89_478_485
_MAX_BYTES = 1 << 30
#: Pillow knows forty more. Some of them run programs (EPS), in some a missing end is not noticed
#: (JPEG 2000). A telephone's MPO opens as JPEG.
_FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF", "PPM", "AVIF")
_ORIENTATION = 0x0112
#: EXIF's number → what brings the picture upright (Exif 2.32, 4.6.4 A, Orientation).
_TURNS = {
    2: "FLIP_LEFT_RIGHT", 3: "ROTATE_180", 4: "FLIP_TOP_BOTTOM", 5: "TRANSPOSE", 6: "ROTATE_270",
    7: "TRANSVERSE", 8: "ROTATE_90",
}  # fmt: skip
_ON_THEIR_SIDE = frozenset({5, 6, 7, 8})
_WITH_ALPHA = frozenset({"RGBA", "LA", "PA", "La", "RGBa"})
#: Two of these at once are half a GiB: larger ones are checked one at a time.
_LARGE_PIXELS = 16_000_000
_one_large = threading.Lock()


class BadImageError(ValueError):
    """An image that cannot be read; says which, and why.

    Made of its sentence alone: a loader's worker hands it on as nothing but a text.
    """


class _BadError(Exception):
    """Why a picture cannot be had: the last word of a ``data.why.*`` key, and its fields."""

    def __init__(self, why: str, **fields: object) -> None:
        super().__init__(why)
        self.why, self.fields = why, fields

    def __str__(self) -> str:
        return say(f"data.why.{self.why}", **self.fields)


#: What Pillow's decoders raise on broken bytes: found by feeding them broken bytes.
_BROKEN = (
    OSError, ValueError, SyntaxError, TypeError, IndexError, KeyError, EOFError, OverflowError,
    AttributeError, MemoryError, ZeroDivisionError, struct.error,
)  # fmt: skip
_TROUBLE = (_BadError, *_BROKEN)


@dataclass(frozen=True, slots=True)
class Look:
    """What is known of an image once it was read through.

    Attributes:
        why: Why it cannot be used, as a sentence; empty where it can.
        sha256: Of the file's contents; empty where there are none.
        is_moving: Whether more than its first picture would be there.
    """

    why: str = ""
    sha256: str = ""
    num_bytes: int = 0
    width: int = 0
    height: int = 0
    mode: str = ""
    format: str = ""
    is_moving: bool = False


def load_image(example: Example) -> Image:
    """The picture of an example, in its own size.

    Raises:
        BadImageError: It cannot be read.
    """
    return _load(example, None)


def pixels(example: Example, size: int) -> NDArray[np.uint8]:
    """The picture as ``(H, W, 3)``, reduced so that its shorter side has ``size`` pixels.

    A smaller one stays as it is. This is what the cache keeps, and what is trained on without a
    cache: a training must not depend on how much memory is free.

    Raises:
        BadImageError: It cannot be read.
    """
    import numpy as np

    return np.array(_load(example, size), dtype=np.uint8)


def pixels_of(data: bytes, size: int) -> NDArray[np.uint8]:
    """As :func:`pixels`, of a file's bytes.

    Raises:
        BadImageError: They cannot be read.
    """
    import numpy as np

    try:
        with quietly():
            return np.array(_decoded(BytesIO(data), size), dtype=np.uint8)
    except _TROUBLE as error:
        raise BadImageError(str(error) if isinstance(error, _BadError) else _why(error)) from error


def fitted(width: int, height: int, size: int) -> tuple[int, int]:
    """Width and height once the shorter side has at most ``size`` pixels."""
    shorter = min(width, height)
    if shorter <= size:
        return width, height
    return max(1, round(width * size / shorter)), max(1, round(height * size / shorter))


def size_of(example: Example) -> tuple[int, int]:
    """Width and height as the head of the file has them: before it is turned.

    Raises:
        BadImageError: It cannot be read.
    """
    if "row" in example.inputs:
        return batch.SIDE_PX, batch.SIDE_PX
    path = example.inputs["image"]
    try:
        with quietly(), Path(path).open("rb") as file, _open(file) as image:
            return image.size
    except _TROUBLE as error:
        raise BadImageError(_sentence(path, error)) from error


def look(example: Example) -> Look:
    """Reads an image through to its end. Never raises: what is wrong stands in ``why``.

    Whoever looks at many does it :func:`quietly`, all together: threads share the switch.
    """
    if "row" in example.inputs:
        data = batch.read(example.inputs["image"]).row(int(example.inputs["row"]))
        side = batch.SIDE_PX
        return Look(
            sha256=hashlib.sha256(data).hexdigest(), num_bytes=len(data), width=side, height=side,
            mode="RGB", format="CIFAR-10",
        )  # fmt: skip
    path = example.inputs["image"]
    data = b""
    try:
        data = _read(path)
        with _open(BytesIO(data)) as image:
            found = Look(
                sha256=hashlib.sha256(data).hexdigest(), num_bytes=len(data), width=image.width,
                height=image.height, mode=image.mode, format=image.format or "",
                is_moving=image.format in {"GIF", "PNG", "WEBP"}
                and bool(getattr(image, "is_animated", False)),
            )  # fmt: skip
            if found.width * found.height > _LARGE_PIXELS:
                with _one_large:
                    _see(image)
            else:
                _see(image)
            return found
    except _TROUBLE as error:
        why = str(error) if isinstance(error, _BadError) else _why(error)
        sha256 = hashlib.sha256(data).hexdigest() if data else ""
        return Look(why=why, sha256=sha256, num_bytes=len(data))


@contextmanager
def quietly() -> Iterator[None]:
    """Without Pillow's remarks on odd headers: what matters of them is told as a reason."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module=r"PIL\.")
        yield


def _see(image: Image) -> None:
    """All that a training does with a picture; of a JPEG only an eighth of the pixels is made.

    What is read to make them is the whole file all the same.
    """
    image.draft(None, (image.width // 8 or 1, image.height // 8 or 1))
    _to_rgb(image)


def _read(path: str) -> bytes:
    with Path(path).open("rb") as file:
        num_bytes = os.fstat(file.fileno()).st_size
        if num_bytes > _MAX_BYTES:
            raise _BadError("large_file", limit="1 GiB")
        data = file.read()
    if not data:
        raise _BadError("empty")
    return data


def _open(source: IO[bytes]) -> Image:
    from PIL import Image, UnidentifiedImageError

    limit = f"{MAX_PIXELS / 1e6:.0f}"
    try:
        image = Image.open(source, formats=_FORMATS)
    except UnidentifiedImageError:
        raise _BadError("not_image") from None
    except Image.DecompressionBombError:
        raise _BadError("too_large", limit=limit) from None
    if image.width * image.height > MAX_PIXELS:
        raise _BadError("too_large", limit=limit)
    return image


def _load(example: Example, size: int | None) -> Image:
    path = example.inputs["image"]
    try:
        if "row" in example.inputs:
            return _reduced(_from_batch(path, int(example.inputs["row"])), None, size)
        with quietly(), Path(path).open("rb") as file:
            return _decoded(file, size)
    except _TROUBLE as error:
        raise BadImageError(_sentence(path, error)) from error


def _decoded(file: IO[bytes], size: int | None) -> Image:
    with _open(file) as image:
        width, height = image.size
        target = None if size is None else fitted(width, height, size)
        if target is not None and target != (width, height):
            # Twice the size that is wanted: a JPEG is decoded in a quarter of the time, and what is
            # reduced afterwards loses nothing one could see.
            image.draft(None, (2 * target[0], 2 * target[1]))
        return _reduced(image, target, size)


def _reduced(image: Image, target: tuple[int, int] | None, size: int | None) -> Image:
    import PIL.Image

    if target is None and size is not None:
        target = fitted(image.width, image.height, size)
    on_its_side = _orientation(image) in _ON_THEIR_SIDE
    rgb = _to_rgb(image)
    if target is None:
        return rgb
    wanted = (target[1], target[0]) if on_its_side else target
    return rgb if rgb.size == wanted else rgb.resize(wanted, PIL.Image.Resampling.BICUBIC)


def _orientation(image: Image) -> int:
    try:
        return int(image.getexif().get(_ORIENTATION, 1))
    except _BROKEN:
        return 1  # a broken EXIF block: the picture itself is whole, and stands as it is stored


def _to_rgb(image: Image) -> Image:
    import PIL.Image

    image.load()
    turn = _TURNS.get(_orientation(image))
    if turn is not None:
        image = image.transpose(PIL.Image.Transpose[turn])
    if image.mode.startswith("I"):
        return _upper_bits(image).convert("RGB")
    if image.mode == "F":
        raise _BadError("float")
    if image.mode in _WITH_ALPHA or "transparency" in image.info:
        picture = image.convert("RGBA")
        paper = PIL.Image.new("RGBA", picture.size, (255, 255, 255, 255))
        paper.alpha_composite(picture)
        return paper.convert("RGB")
    return image.copy() if image.mode == "RGB" else image.convert("RGB")


def _upper_bits(image: Image) -> Image:
    """Grey of 16 bits as grey of 8; ``convert`` would make everything above 255 white."""
    import numpy as np
    import PIL.Image

    grey_HW = np.asarray(image)
    return PIL.Image.fromarray((np.clip(grey_HW, 0, 65535) >> 8).astype(np.uint8))


def _from_batch(path: str, row: int) -> Image:
    import PIL.Image

    return PIL.Image.fromarray(batch.read(path).picture(row))


def _sentence(path: str, error: BaseException) -> str:
    why = str(error) if isinstance(error, _BadError) else _why(error)
    return say("data.image_bad", path=path, why=why)


def _why(error: BaseException) -> str:
    """A decoder's complaint as a person would say it."""
    text = str(error) or type(error).__name__
    if isinstance(error, FileNotFoundError):
        return say("data.why.missing")
    if isinstance(error, PermissionError):
        return say("data.why.denied")
    if "truncated" in text or "broken data stream" in text or isinstance(error, EOFError):
        return say("data.why.truncated")
    return say("data.why.broken", reason=text[:200])
