"""What people hold pictures in, as bytes: arrays, tensors and images of any library.

Nothing is imported for it: each object is asked by its own methods.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite
from typing import Any

from overnight.errors import UserError
from overnight.ledger import png
from overnight.ledger.complaint import complain

#: Floats are taken for 0 to 1, a little more or less being the work of whatever resized them.
_OVERSHOOT = 0.1
#: Above this, and with none below 0, they can only mean 0 to 255.
_ABOVE_ONE = 2.0
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
    if is_pil(value) or callable(getattr(value, "savefig", None)):
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
            are 0 to 255, floats 0 to 1 (or 0 to 255), booleans black and white. Any others are
            drawn from their lowest to their highest, and that is said once.

    Raises:
        UserError: It is none.
        Exception: Whatever the object's own methods raise.
    """
    if is_pil(value):
        return _of_pil(value)
    array = as_array(value)
    shape, channels_first = _layout(array.shape, prefer_first=_is_torch(array))
    samples = to_bytes(_levels(array))
    height, width, channels = shape
    if channels_first:
        planes, size = samples, height * width
        mixed = bytearray(len(planes))
        for channel in range(channels):
            mixed[channel::channels] = planes[channel * size : (channel + 1) * size]
        samples = bytes(mixed)
    return Raster(width, height, channels, samples)


# ── Pillow's ────────────────────────────────────────────────────────────────────────────────────


def is_pil(value: Any) -> bool:
    """Whether it is an image of Pillow's; a mapped array has a ``mode`` as well."""
    return isinstance(getattr(value, "mode", None), str) and hasattr(value, "getbands")


def _of_pil(image: Any) -> Raster:
    channels = {"L": 1, "LA": 2, "RGB": 3, "RGBA": 4}
    width, height = image.size
    if not width or not height:
        raise UserError("job.picture_shape", shape=spelled((height, width)))
    if image.mode.startswith(("I", "F")):  # numbers, not levels of grey
        low, high = image.getextrema()
        floor, ceiling = _range_of(low, high, whole=image.mode != "F")
        scale = 255 / (ceiling - floor)
        image = image.convert("F").point(lambda level: level * scale + (0.5 - floor * scale))
        image = image.convert("L")
    elif image.mode not in channels:
        see_through = image.mode in ("PA", "La", "RGBa") or "transparency" in image.info
        image = image.convert("L" if image.mode == "1" else "RGBA" if see_through else "RGB")
    return Raster(width, height, channels[image.mode], image.tobytes())


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


def as_array(value: Any) -> Any:
    """A torch tensor in the processor's memory, an array of NumPy's, or a plain buffer."""
    if _is_torch(value):
        array = value.detach().cpu()
        if str(array.dtype).startswith("torch.uint") and array.element_size() > 1:
            return array.long()  # torch can do next to nothing with them
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


def is_float(array: Any) -> bool:
    """Whether it holds fractions."""
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
        raise UserError("job.picture_shape", shape=spelled(shape))
    first, last = sizes[0] in _CHANNELS, sizes[2] in _CHANNELS
    if first and (prefer_first or not last) and len(shape) > 2:
        return (sizes[1], sizes[2], sizes[0]), True
    if last:
        return (sizes[0], sizes[1], sizes[2]), False
    raise UserError("job.picture_shape", shape=spelled(shape))


def _levels(array: Any) -> Any:
    """Samples of 0 to 255, in the object's own kind of array."""
    name = str(array.dtype)
    if name.endswith("uint8"):
        return array
    if name.endswith("bool"):
        return as_uint8(array) * 255
    whole = not is_float(array)
    low, high = float(array.min()), float(array.max())
    if isfinite(low) and isfinite(high):
        floor, ceiling = _range_of(low, high, whole=whole)
        if whole and (floor, ceiling) == (0, 255):
            return as_uint8(array)
        array = _floats(array)
    else:
        array = _floats(array)
        finite = array[abs(array) < float("inf")]  # neither is a NaN less
        low, high = (float(finite.min()), float(finite.max())) if len(finite) else (0.0, 0.0)
        floor, ceiling = _range_of(low, high, whole=whole)
        array[array != array] = floor  # what is no number is drawn black
    return as_uint8(((array.clip(floor, ceiling) - floor) * (255 / (ceiling - floor))).round())


def _range_of(low: float, high: float, *, whole: bool) -> tuple[float, float]:
    """Which numbers mean black and white, where these are the lowest and the highest."""
    if low >= 0 and (whole or high > _ABOVE_ONE) and high <= 255:
        return 0, 255
    if not whole and low >= -_OVERSHOOT and high <= 1 + _OVERSHOOT:
        return 0, 1
    complain("job.stretched")
    return low, (high if high > low else low + 1)


def _floats(array: Any) -> Any:
    """A copy in floats that a difference of two fits in."""
    if not _is_torch(array) and array.dtype.itemsize < 4:
        return array.astype("float32")
    return array + 0.0


def as_uint8(array: Any) -> Any:
    """An array whose numbers are 0 to 255, in a byte each."""
    if isinstance(array, _Plain):
        return array
    return array.byte() if _is_torch(array) else array.astype("uint8")


def to_bytes(array: Any) -> bytes:
    """The bytes of an array of bytes, line by line."""
    if _is_torch(array):
        try:
            array = array.numpy()
        except RuntimeError:  # a torch without NumPy
            return bytes(array.flatten().tolist())
    return bytes(array.tobytes())


def spelled(shape: Any) -> str:
    """A shape as people write it."""
    return " x ".join(str(int(size)) for size in shape) or "0"
