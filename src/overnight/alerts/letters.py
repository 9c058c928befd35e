"""Letters made of lines and arcs, for pictures drawn without a font.

Units: capitals are 7 high, small letters 5, the baseline is 0 and y points up. A stroke ``L`` is a
line through points ``x,y``; ``E`` is an arc ``cx,cy,rx,ry,from,to`` of an ellipse, in degrees
against the clock, 0 to the right.
"""

from __future__ import annotations

import math

Point = tuple[float, float]
CAPITAL = 7.0
#: Between two letters, and in place of a blank.
_GAP, _BLANK = 1.7, 3.0
#: Points of a whole ellipse: corners are no longer seen at 20 pixels.
_ARC_POINTS = 28
_BOWL = "E1.9,2.5,1.9,2.5,0,360"
_P = "L0,0 0,7 2,7;E2,5.1,2,1.9,270,450;L2,3.2 0,3.2"
_ARCH = "E1.8,3,1.8,2,0,180;L3.6,3 3.6,0"

_STROKES = {
    "a": _BOWL + ";L3.8,5 3.8,0",
    "b": _BOWL + ";L0,7 0,0",
    "c": "E1.9,2.5,1.9,2.5,45,315",
    "d": _BOWL + ";L3.8,7 3.8,0",
    "e": "L0,2.6 3.8,2.6;E1.9,2.5,1.9,2.5,2,310",
    "f": "E2.2,5.7,1.2,1.3,60,180;L1,5.7 1,0;L0,4.7 2.4,4.7",
    "g": _BOWL + ";L3.8,5 3.8,-0.4;E1.9,-0.4,1.9,1.6,205,360",
    "h": "L0,7 0,0;" + _ARCH,
    "i": "L0.2,5 0.2,0;L0.2,6.8 0.2,6.9",
    "j": "L1,5 1,-0.8;E0,-0.8,1,1.2,270,360;L1,6.8 1,6.9",
    "k": "L0,7 0,0;L3.2,5 0,1.9;L1.2,3 3.5,0",
    "l": "L0.2,7 0.2,1.1;E1.3,1.1,1.1,1.1,180,275",
    "m": "L0,5 0,0;E1.5,3.4,1.5,1.6,0,180;L3,3.4 3,0;E4.5,3.4,1.5,1.6,0,180;L6,3.4 6,0",
    "n": "L0,5 0,0;" + _ARCH,
    "o": _BOWL,
    "p": _BOWL + ";L0,5 0,-2",
    "q": _BOWL + ";L3.8,5 3.8,-2",
    "r": "L0,5 0,0;E2,3,2,2,60,180",
    "s": "E1.6,3.75,1.5,1.25,30,270;E1.6,1.25,1.6,1.25,210,450",
    "t": "L1,6.6 1,1.3;E2.2,1.3,1.2,1.3,180,300;L0,5 2.6,5",
    "u": "L0,5 0,2;E1.8,2,1.8,2,180,360;L3.6,5 3.6,0",
    "v": "L0,5 1.8,0 3.6,5",
    "w": "L0,5 1.3,0 2.6,4.6 3.9,0 5.2,5",
    "x": "L0,5 3.4,0;L3.4,5 0,0",
    "y": "L0,5 1.9,0;L3.7,5 1.4,-1.4 0.4,-2",
    "z": "L0,5 3.3,5 0,0 3.4,0",
    "A": "L0,0 2.4,7 4.8,0;L0.8,2.4 4,2.4",
    "B": "L2,7 0,7 0,0 2.2,0;E2,5.35,1.7,1.65,270,450;L0,3.7 2.2,3.7;E2.2,1.85,1.9,1.85,270,450",
    "C": "E2.4,3.5,2.4,3.5,45,315",
    "D": "L1.6,7 0,7 0,0 1.6,0;E1.6,3.5,2.9,3.5,270,450",
    "E": "L3.6,7 0,7 0,0 3.6,0;L0,3.7 3.1,3.7",
    "F": "L3.6,7 0,7 0,0;L0,3.6 3,3.6",
    "G": "E2.5,3.5,2.5,3.5,45,335;L4.8,1.9 4.8,3.3 2.9,3.3",
    "H": "L0,7 0,0;L4.4,7 4.4,0;L0,3.6 4.4,3.6",
    "I": "L0.2,7 0.2,0",
    "J": "L2.6,7 2.6,1.6;E1.3,1.6,1.3,1.6,190,360",
    "K": "L0,7 0,0;L4,7 0,2.6;L1.5,4.2 4.2,0",
    "L": "L0,7 0,0 3.5,0",
    "M": "L0,0 0,7 2.7,1.5 5.4,7 5.4,0",
    "N": "L0,0 0,7 4.4,0 4.4,7",
    "O": "E2.6,3.5,2.6,3.5,0,360",
    "P": _P,
    "Q": "E2.6,3.5,2.6,3.5,0,360;L3.2,1.6 5.2,-0.4",
    "R": _P + ";L2,3.2 4.1,0",
    "S": "E2,5.2,1.9,1.8,30,270;E2,1.7,2.1,1.7,210,450",
    "T": "L0,7 4.6,7;L2.3,7 2.3,0",
    "U": "L0,7 0,2.2;E2.2,2.2,2.2,2.2,180,360;L4.4,2.2 4.4,7",
    "V": "L0,7 2.4,0 4.8,7",
    "W": "L0,7 1.7,0 3.4,6.4 5.1,0 6.8,7",
    "X": "L0,7 4.4,0;L4.4,7 0,0",
    "Y": "L0,7 2.3,3.3 4.6,7;L2.3,3.3 2.3,0",
    "Z": "L0,7 4.2,7 0,0 4.3,0",
    "0": "E2,3.5,2,3.5,0,360",
    "1": "L0.7,5.6 2.2,7 2.2,0;L0.8,0 3.6,0",
    "2": "E1.9,5.1,1.9,1.9,-35,165;L3.46,4.01 0,0 3.9,0",
    "3": "E1.8,5.3,1.7,1.7,-80,150;E1.8,1.8,2,1.8,-150,90",
    "4": "L3,0 3,7 0,2.1 4,2.1",
    "5": "L3.5,7 0.6,7 0.4,3.9;E1.9,2.3,2,2.3,-150,135",
    "6": "E2,2.2,2,2.2,0,360;E3.6,2.2,3.6,4.8,100,180",
    "7": "L0,7 3.9,7 1.4,0",
    "8": "E2,5.3,1.7,1.7,0,360;E2,1.8,2,1.8,0,360",
    "9": "E2,4.8,2,2.2,0,360;E0.4,4.8,3.6,4.8,280,360",
    ".": "L0.3,0.1 0.3,0.2",
    ",": "L0.6,0.3 0.2,-1",
    ":": "L0.3,0.4 0.3,0.5;L0.3,4 0.3,4.1",
    "-": "L0,2.6 2.4,2.6",
    "+": "L0,2.6 3.2,2.6;L1.6,4.2 1.6,1",
    "=": "L0,3.5 3.2,3.5;L0,1.7 3.2,1.7",
    "_": "L0,-1 4,-1",
    "/": "L0,-1 2.6,7.6",
    "(": "E2.4,3,2.4,4.6,130,230",
    ")": "E-1.2,3,2.4,4.6,310,410",
    "%": "E1.2,5.6,1.2,1.4,0,360;E4.6,1.4,1.2,1.4,0,360;L4.6,7 1.2,0",
}  # fmt: skip


def can_write(text: str) -> bool:
    """Whether every letter of a text is known here."""
    return all(char == " " or char in _STROKES for char in text)


def width(text: str, size: float) -> float:
    """How wide a text is, where capitals are ``size`` high."""
    return _laid_out(text)[1] * size / CAPITAL


def strokes(text: str, x: float, y: float, size: float) -> list[list[Point]]:
    """A text as lines to draw, on a page whose y points down.

    Args:
        text: What ``can_write`` accepts; another letter is left out.
        x: The left end.
        y: The baseline.
        size: The height of a capital.
    """
    unit = size / CAPITAL
    return [[(x + px * unit, y - py * unit) for px, py in stroke] for stroke in _laid_out(text)[0]]


def _laid_out(text: str) -> tuple[list[list[Point]], float]:
    """Strokes of a text in the letters' own units, and its width."""
    found: list[list[Point]] = []
    at = 0.0
    for char in text:
        lines = _points(_STROKES.get(char, ""))
        if not lines:
            at += _BLANK
            continue
        # Digits are equally wide, so that numbers stand below each other.
        right = 4.0 if char.isdigit() else max(x for line in lines for x, _ in line)
        found += [[(at + x, y) for x, y in line] for line in lines]
        at += right + _GAP
    return found, max(0.0, at - _GAP)


def _points(glyph: str) -> list[list[Point]]:
    return [
        _line(part[1:]) if part[0] == "L" else _arc(part[1:]) for part in glyph.split(";") if part
    ]


def _line(text: str) -> list[Point]:
    return [(float(x), float(y)) for x, y in (point.split(",") for point in text.split())]


def _arc(text: str) -> list[Point]:
    cx, cy, rx, ry, begin, end = (float(part) for part in text.split(","))
    num = max(3, math.ceil(abs(end - begin) / 360 * _ARC_POINTS))
    angles = (math.radians(begin + (end - begin) * at / num) for at in range(num + 1))
    return [(cx + rx * math.cos(angle), cy + ry * math.sin(angle)) for angle in angles]
