"""A picture drawn and written as PNG with the standard library alone."""

from __future__ import annotations

import math
from collections.abc import Sequence

from overnight.alerts.letters import Point, strokes, width
from overnight.ledger import png

Colour = tuple[int, int, int]


class Canvas:
    """White paper. Lengths are in units of which ``scale`` pixels make one.

    Args:
        width: Of the paper.
        height: Of the paper.
        scale: Pixels of a unit; 2 is sharp on a phone.
    """

    def __init__(self, width: int, height: int, scale: int = 2) -> None:
        self._scale = scale
        self._width, self._height = width * scale, height * scale
        self._pixels = bytearray(b"\xff" * (self._width * self._height * 3))

    def polyline(
        self, points: Sequence[Point], thickness: float, colour: Colour, opacity: float = 1.0
    ) -> None:
        """A line through points, with round ends and soft edges."""
        covered: dict[int, float] = {}
        for begin, end in zip(points, [*points[1:], points[-1]]):
            self._cover(covered, begin, end, thickness)
        self._blend(covered, colour, opacity)

    def dot(self, centre: Point, diameter: float, colour: Colour) -> None:
        """A filled circle."""
        self.polyline([centre], diameter, colour)

    def text(
        self, text: str, x: float, y: float, size: float, colour: Colour, *, halo: bool = False
    ) -> None:
        """A text whose baseline begins at (x, y).

        Args:
            text: What ``letters.can_write`` accepts.
            x: The left end.
            y: The baseline.
            size: The height of a capital.
            colour: Of the letters.
            halo: Set off by white from what it stands upon.
        """
        if halo:
            self._write(text, x, y, size, (255, 255, 255), size * 0.7)
        self._write(text, x, y, size, colour, size * 0.145)

    def _write(
        self, text: str, x: float, y: float, size: float, colour: Colour, thickness: float
    ) -> None:
        covered: dict[int, float] = {}
        for stroke in strokes(text, x, y, size):
            for begin, end in zip(stroke, stroke[1:]):
                self._cover(covered, begin, end, thickness)
        self._blend(covered, colour, 1.0)

    def text_right(self, text: str, x: float, y: float, size: float, colour: Colour) -> None:
        """A text that ends at x."""
        self.text(text, x - width(text, size), y, size, colour)

    def _cover(self, covered: dict[int, float], begin: Point, end: Point, thickness: float) -> None:
        """Notes how much of each pixel lies under a line with round ends."""
        scale = self._scale
        x0, y0, x1, y1 = (value * scale for value in (*begin, *end))
        radius = thickness * scale / 2
        dx, dy = x1 - x0, y1 - y0
        length2 = dx * dx + dy * dy
        steep = abs(dy) > abs(dx)
        # Walks along the longer side; across, as far as the line reaches there.
        along0, along1 = sorted((y0, y1) if steep else (x0, x1))
        slope = (dx / dy if steep else dy / dx) if length2 else 0.0
        reach = (radius + 1) * math.sqrt(1 + slope * slope)
        size_along, size_across = (
            (self._height, self._width) if steep else (self._width, self._height)
        )
        for along in range(
            max(0, int(along0 - radius - 1)), min(size_along, int(along1 + radius + 2))
        ):
            middle = (x0 + (along - y0) * slope) if steep else (y0 + (along - x0) * slope)
            for across in range(
                max(0, int(middle - reach)), min(size_across, int(middle + reach + 2))
            ):
                x, y = (across, along) if steep else (along, across)
                px, py = x + 0.5 - x0, y + 0.5 - y0
                share = (px * dx + py * dy) / length2 if length2 else 0.0
                share = min(1.0, max(0.0, share))
                distance = math.hypot(px - share * dx, py - share * dy)
                coverage = min(1.0, radius + 0.5 - distance)
                if coverage > 0:
                    at = (y * self._width + x) * 3
                    if coverage > covered.get(at, 0.0):
                        covered[at] = coverage

    def _blend(self, covered: dict[int, float], colour: Colour, opacity: float) -> None:
        pixels = self._pixels
        for at, coverage in covered.items():
            share = coverage * opacity
            for channel in range(3):
                old = pixels[at + channel]
                pixels[at + channel] = round(old + (colour[channel] - old) * share)

    def png(self) -> bytes:
        """The picture as a file."""
        return png.encode(self._width, self._height, 3, bytes(self._pixels))
