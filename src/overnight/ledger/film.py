"""A film from pictures, without a codec: an animated PNG, as sharp as they are and large.

Browsers play it, and what cannot shows its first picture. Who has a codec writes an mp4 and gives
its path.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from overnight.errors import UserError
from overnight.ledger import pixels, png
from overnight.ledger.pixels import Raster

_CHANNELS = (1, 3, 4)


def writer(frames: Any, fps: float) -> Callable[[str], None]:
    """What writes a film.

    Args:
        frames: Pictures of one size and kind, or an array of them: time x height x width, or with
            channels behind or before the latter two.
        fps: Frames a second.

    Raises:
        UserError: They are none, or differ.
        Exception: Whatever the objects' own methods raise.
    """
    if not isinstance(fps, (int, float)) or not fps > 0:
        raise UserError("job.fps", fps=repr(fps)[:40])
    first: Raster | None = None
    packed: list[bytes] = []
    for frame in _frames(frames):
        found = pixels.picture(frame)
        first = first or found
        if _kind(found) != _kind(first):
            raise UserError("job.frames_differ", number=len(packed) + 1)
        packed.append(png.packed(found.samples, found.width * found.channels))
    if first is None:
        raise UserError("job.no_frames", kind=type(frames).__name__)
    parts = png.animate(*_kind(first), packed, fps)

    def write(target: str) -> None:
        with open(target, "wb") as file:
            file.writelines(parts)

    return write


def _kind(raster: Raster) -> tuple[int, int, int]:
    return raster.width, raster.height, raster.channels


def _frames(given: Any) -> Iterable[Any]:
    shape = getattr(given, "shape", None)
    if shape is None:
        if isinstance(given, (str, bytes)) or not isinstance(given, Iterable):
            raise UserError("job.no_frames", kind=type(given).__name__)
        return given
    sizes = tuple(int(size) for size in shape)
    while len(sizes) > 4 and sizes[0] == 1:  # a batch of one
        given, sizes = given[0], sizes[1:]
    if len(sizes) not in (3, 4) or (len(sizes) == 3 and sizes[2] in _CHANNELS):
        raise UserError("job.film_shape", shape=pixels.spelled(shape))
    return given  # type: ignore[no-any-return]
