"""Kept pictures inside the page: as small as they may be, and no more than it can bear."""

from __future__ import annotations

import base64
import io
from pathlib import Path, PurePosixPath

from overnight.ledger.paths import RunPaths

#: Of all pictures together, before they are written as text, which takes a third more.
_TOTAL_BYTES = 480 * 1024
#: What is smaller stays as it is.
_SMALL_BYTES = 3 * 1024
#: Not even looked at: it would take seconds, and memory.
_LARGE_BYTES = 32 * 1024 * 1024
_QUALITY = 72
_TYPES = {
    ".png": "png", ".jpg": "jpeg", ".jpeg": "jpeg", ".gif": "gif", ".webp": "webp",
    ".svg": "svg+xml", ".bmp": "bmp",
}  # fmt: skip


class Pictures:
    """Takes pictures into one page until there is no room left.

    Where Pillow is installed they are shrunk to what is shown of them; without it they are taken
    as they are, and the large ones are left out.

    Args:
        run: Whose pictures.
        room: Bytes that may be used up.
    """

    def __init__(self, run: RunPaths, room: int = _TOTAL_BYTES) -> None:
        self.run = run
        self.room = room
        #: Pictures for which there was no room, or that could not be read.
        self.num_left_out = 0
        self._taken: dict[tuple[str, int], str] = {}

    def take(self, path: object, most_px: int) -> str:
        """A picture as ``data:image/…``; empty where there is no room, or no picture.

        Args:
            path: As the ledger has it, relative to the run.
            most_px: Of its longer side.
        """
        if not isinstance(path, str) or not path:
            return ""
        key = (path, most_px)
        if key not in self._taken:
            found = self._taken[key] = self._made(path, most_px)
            self.num_left_out += not found
        return self._taken[key]

    def _made(self, path: str, most_px: int) -> str:
        place = PurePosixPath(path)
        kind = _TYPES.get(place.suffix.lower(), "")
        if not kind or place.is_absolute() or ".." in place.parts:
            return ""
        file = Path(self.run.dir, *place.parts)
        try:
            size = file.stat().st_size
            if not 0 < size <= _LARGE_BYTES:
                return ""
            data = file.read_bytes()
        except OSError:
            return ""
        if size > _SMALL_BYTES and kind != "svg+xml":
            smaller = _shrunk(data, most_px)
            if smaller and len(smaller) < len(data):
                data, kind = smaller, "webp"
        if len(data) > self.room:
            return ""
        self.room -= len(data)
        return f"data:image/{kind};base64,{base64.b64encode(data).decode()}"


def _shrunk(data: bytes, most_px: int) -> bytes:
    """The picture as WebP, its longer side at most so long; empty where that cannot be done."""
    try:
        from PIL import Image
    except ImportError:
        return b""
    try:
        with Image.open(io.BytesIO(data)) as picture:
            has_alpha = picture.mode in ("RGBA", "LA", "PA") or "transparency" in picture.info
            picture.draft("RGB", (most_px, most_px))
            shown = picture.convert("RGBA" if has_alpha else "RGB")
            shown.thumbnail((most_px, most_px))
            out = io.BytesIO()
            shown.save(out, "WEBP", quality=_QUALITY, method=4)
    # A picture may be cut off, a bomb, or of a kind this build cannot read.
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return b""
    return out.getvalue()
