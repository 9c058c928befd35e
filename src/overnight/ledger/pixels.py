"""What people hold pictures and masks in, as bytes: arrays, tensors and images of any library.

Nothing is imported for it: each object is asked by its own methods.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Any

from overnight.errors import UserError
from overnight.ledger import png

#: Floats are taken for 0 to 1. Above this, and with none below 0, they can only mean 0 to 255.
_ABOVE_ONE = 2.0
_MAX_ID = 2**16 - 1
_CHANNELS = (1, 3, 4)


@dataclass(frozen=True)
class Raster:
    """A picture, line by line, pixel by pixel; samples of 16 bits have the high byte first."""

    width: int
    height: int
    channels: int
    samples: bytes
    depth: int = 8

    def png(self) -> bytes:
        """The picture as a PNG file."""
        return png.encode(self.width, self.height, self.channels, self.samples, depth=self.depth)


def is_picture(value: Any) -> bool:
    """Whether a table's cell shows this as a picture: an image, three axes, or two of bytes."""
    if _is_pil(value) or callable(getattr(value, "savefig", None)):
        return True
    shape = getattr(value, "shape", None)
    if not isinstance(shape, tuple) or 0 in shape:
        return False
    if len(shape) == 3:
        return shape[0] in _CHANNELS or shape[2] in _CHANNELS
    return len(shape) == 2 and str(getattr(value, "dtype", "")).endswith("uint8")


def picture(value: Any) -> Raster:
    """A picture from an image of Pillow's, an array or a tensor.

    Args:
        value: Height x width, or these with 1, 3 or 4 channels behind them or before them. Integers
            are 0 to 255, floats 0 to 1 (or 0 to 255), booleans black and white.

    Raises:
        UserError: It is none.
        Exception: Whatever the object's own methods raise.
    """
    if _is_pil(value):
        return _of_pil(value)
    array = _array(value)
    shape, channels_first = _layout(array.shape, prefer_first=_is_torch(array))
    samples = _bytes(_to_bytes(array))
    height, width, channels = shape
    if channels_first:
        planes, size = samples, height * width
        mixed = bytearray(len(planes))
        for channel in range(channels):
            mixed[channel::channels] = planes[channel * size : (channel + 1) * size]
        samples = bytes(mixed)
    return Raster(width, height, channels, samples)


def class_ids(value: Any) -> Raster:
    """A mask: one class's number a pixel, in 8 bits, or in 16 where a number is above 255.

    Raises:
        UserError: It is none.
        Exception: Whatever the object's own methods raise.
    """
    if _is_pil(value):
        return _ids_of_pil(value)
    array = _array(value)
    shape = tuple(int(size) for size in array.shape)
    while len(shape) > 2 and shape[0] == 1:
        array, shape = array[0], shape[1:]
    if len(shape) != 2 or 0 in shape:
        raise UserError("job.mask_shape", shape=_spelled(array.shape))
    low, high = float(array.min()), float(array.max())
    if not (low >= 0 and high <= _MAX_ID):
        raise UserError("job.mask_range", low=f"{low:g}", high=f"{high:g}")
    if _is_float(array) and not bool((array == array.round()).all()):
        raise UserError("job.mask_fractions")
    if high <= 255:
        return Raster(shape[1], shape[0], 1, _bytes(_as_uint8(array)))
    numbers = [int(number) for line in array.tolist() for number in line]
    samples = struct.pack(f">{len(numbers)}H", *numbers)
    return Raster(shape[1], shape[0], 1, samples, depth=16)


# ── Pillow's ────────────────────────────────────────────────────────────────────────────────────


def _is_pil(value: Any) -> bool:
    return isinstance(getattr(value, "mode", None), str) and hasattr(value, "tobytes")


def _of_pil(image: Any) -> Raster:
    channels = {"L": 1, "LA": 2, "RGB": 3, "RGBA": 4}
    if image.mode not in channels:
        see_through = image.mode in ("PA", "La", "RGBa") or "transparency" in image.info
        grey = image.mode in ("1", "I;16", "I", "F")
        image = image.convert("L" if grey else "RGBA" if see_through else "RGB")
    width, height = image.size
    if not width or not height:
        raise UserError("job.picture_shape", shape=_spelled((height, width)))
    return Raster(width, height, channels[image.mode], image.tobytes())


def _ids_of_pil(image: Any) -> Raster:
    width, height = image.size
    if image.mode == "1":
        return Raster(width, height, 1, image.convert("L").tobytes().replace(b"\xff", b"\1"))
    if image.mode in ("L", "P"):  # a palette only colours the numbers
        return Raster(width, height, 1, image.tobytes())
    if image.mode == "I;16":
        numbers = struct.unpack(f"<{width * height}H", image.tobytes())
        return Raster(width, height, 1, struct.pack(f">{len(numbers)}H", *numbers), depth=16)
    raise UserError("job.mask_mode", mode=image.mode)


# ── arrays and tensors ──────────────────────────────────────────────────────────────────────────


class _Plain:
    """A buffer of bytes that no library stands behind, seen as an array."""

    dtype = "uint8"

    def __init__(self, view: memoryview) -> None:
        self.shape = tuple(view.shape or ())
        self._samples = view.tobytes()

    def min(self) -> int:
        return min(self._samples)

    def max(self) -> int:
        return max(self._samples)

    def tobytes(self) -> bytes:
        return self._samples


def _array(value: Any) -> Any:
    """A torch tensor in the processor's memory, an array of NumPy's, or a plain buffer."""
    if _is_torch(value):
        array = value.detach().cpu()
        return array.float() if array.is_floating_point() else array
    convert = getattr(value, "__array__", None)  # NumPy's own have it too
    if callable(convert):
        array = convert()
        if array.dtype.kind not in "buif":
            raise UserError("job.pixel_type", dtype=str(array.dtype))
        return array
    try:
        view = memoryview(value)
    except TypeError:
        raise UserError("job.no_pixels", kind=type(value).__name__) from None
    if view.format != "B" or view.ndim < 2:
        raise UserError("job.no_pixels", kind=type(value).__name__)
    return _Plain(view)


def _is_torch(value: Any) -> bool:
    return callable(getattr(value, "detach", None)) and hasattr(value, "is_floating_point")


def _is_float(array: Any) -> bool:
    if _is_torch(array):
        return bool(array.is_floating_point())
    return getattr(array.dtype, "kind", "u") == "f"


def _layout(shape: Any, *, prefer_first: bool) -> tuple[tuple[int, int, int], bool]:
    """(height, width, channels), and whether the channels come before the lines."""
    sizes = tuple(int(size) for size in shape)
    while len(sizes) > 3 and sizes[0] == 1:  # a batch of one
        sizes = sizes[1:]
    if len(sizes) == 2:
        sizes = (*sizes, 1)
    if len(sizes) != 3 or 0 in sizes:
        raise UserError("job.picture_shape", shape=_spelled(shape))
    first, last = sizes[0] in _CHANNELS, sizes[2] in _CHANNELS
    if first and (prefer_first or not last) and len(shape) > 2:
        return (sizes[1], sizes[2], sizes[0]), True
    if last:
        return (sizes[0], sizes[1], sizes[2]), False
    raise UserError("job.picture_shape", shape=_spelled(shape))


def _to_bytes(array: Any) -> Any:
    """Samples of 0 to 255, in the object's own kind of array."""
    name = str(array.dtype)
    if name.endswith("uint8"):
        return array
    if name.endswith("bool"):
        return _as_uint8(array) * 255
    if not _is_float(array):
        low, high = int(array.min()), int(array.max())
        if low < 0 or high > 255:
            raise UserError("job.pixel_range", low=low, high=high)
        return _as_uint8(array)
    array = array + 0.0  # a copy: what is no number is drawn black, in the copy
    array[array != array] = 0.0
    if float(array.min()) >= 0 and _ABOVE_ONE < float(array.max()) <= 255:
        return _as_uint8(array.round())
    return _as_uint8((array.clip(0.0, 1.0) * 255.0).round())


def _as_uint8(array: Any) -> Any:
    if isinstance(array, _Plain):
        return array
    return array.byte() if _is_torch(array) else array.astype("uint8")


def _bytes(array: Any) -> bytes:
    if _is_torch(array):
        try:
            array = array.numpy()
        except RuntimeError:  # a torch without NumPy
            return bytes(array.flatten().tolist())
    return bytes(array.tobytes())


def _spelled(shape: Any) -> str:
    return " x ".join(str(int(size)) for size in shape) or "0"
