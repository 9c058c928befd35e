"""What people hold masks in, as one class's number a pixel."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import Any

from overnight.errors import UserError
from overnight.ledger.pixels import (
    Raster,
    as_array,
    as_uint8,
    is_float,
    is_pil,
    spelled,
    to_bytes,
)

_MAX_ID = 2**16 - 1
#: Any number but 0 → all bits set.
_SET = bytes([0]) + b"\xff" * 255


def class_ids(value: Any) -> Raster:
    """A mask: one class's number a pixel, in 8 bits, or in 16 where a number is above 255.

    Raises:
        UserError: It is none.
        Exception: Whatever the object's own methods raise.
    """
    if is_pil(value):
        return _of_pil(value)
    array = as_array(value)
    shape = tuple(int(size) for size in array.shape)
    while len(shape) > 2 and shape[0] == 1:
        array, shape = array[0], shape[1:]
    if len(shape) != 2 or 0 in shape:
        raise UserError("job.mask_shape", shape=spelled(array.shape))
    low, high = float(array.min()), float(array.max())
    if not (low >= 0 and high <= _MAX_ID):
        raise UserError("job.mask_range", low=f"{low:g}", high=f"{high:g}")
    if is_float(array) and not bool((array == array.round()).all()):
        raise UserError("job.mask_fractions")
    if high <= 255:
        return Raster(shape[1], shape[0], 1, to_bytes(as_uint8(array)))
    numbers = [int(number) for line in array.tolist() for number in line]
    samples = struct.pack(f">{len(numbers)}H", *numbers)
    return Raster(shape[1], shape[0], 1, samples, depth=16)


def of_classes(masks: Mapping[str, Any], numbers: Mapping[str, int]) -> Raster:
    """One mask of several, each of which says where one class is; 0 where none is.

    Args:
        masks: A class's name → its mask. Where two say the same pixel, the later one has it.
        numbers: A class's name → its number, 1 to 255.

    Raises:
        UserError: One is no mask, or of another size than the first.
        Exception: Whatever the objects' own methods raise.
    """
    merged, first = 0, None
    for name, value in masks.items():
        if numbers[name] > 255:
            raise UserError("job.mask_range", low=numbers[name], high=numbers[name])
        found = class_ids(value)
        first = first or found
        if (found.width, found.height, found.depth) != (first.width, first.height, 8):
            raise UserError("job.mask_shape", shape=spelled((found.height, found.width)))
        # All pixels at once, as in png.py: a loop over them takes 100 times as long.
        here = int.from_bytes(found.samples.translate(_SET), "big")
        own = int.from_bytes(bytes([numbers[name]]) * len(found.samples), "big")
        merged = (merged & ~here) | (own & here)
    if first is None:
        raise UserError("job.mask_shape", shape="0")
    return Raster(first.width, first.height, 1, merged.to_bytes(len(first.samples), "big"))


def _of_pil(image: Any) -> Raster:
    width, height = image.size
    if image.mode == "1":
        return Raster(width, height, 1, image.convert("L").tobytes().replace(b"\xff", b"\1"))
    if image.mode in ("L", "P"):  # a palette only colours the numbers
        return Raster(width, height, 1, image.tobytes())
    if image.mode == "I;16":
        numbers = struct.unpack(f"<{width * height}H", image.tobytes())
        return Raster(width, height, 1, struct.pack(f">{len(numbers)}H", *numbers), depth=16)
    raise UserError("job.mask_mode", mode=image.mode)
