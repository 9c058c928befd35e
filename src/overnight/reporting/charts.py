"""Lines over an axis, as SVG: curves, history, what a machine had to do."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from markupsafe import Markup

from overnight.alerts.scale import MAX, Scale, num_decimals_of, tick, ticks, upright
from overnight.alerts.spoken import number
from overnight.reporting import svg
from overnight.reporting.svg import tag, text

Point = tuple[float, float]
#: One that is drawn in half of a page's width, and in all of a telephone's.
_WIDTH, _HEIGHT = 480.0, 264.0
_LEFT, _RIGHT, _TOP, _BOTTOM = 52.0, 470.0, 12.0, 224.0
#: Of one line; two a pixel show nothing more.
_POINTS_AT_MOST = 320
#: So many points are dots, too, which say their values.
_DOTS_AT_MOST = 40
_LEGEND_AT_MOST = 8
_LEGEND_COLUMNS = 26


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a chart.

    Attributes:
        points: x rising. A y that is no number is a gap.
        colour: Which of the style's.
        style: ``dots``: no line between them.
        best: The place in ``points`` to be marked; None: none.
    """

    name: str
    points: Sequence[Point]
    colour: int = 0
    style: Literal["solid", "dashed", "faint", "dots", "steps"] = "solid"
    best: int | None = None


def lines(
    drawn: Sequence[Line],
    *,
    label: str,
    x_label: str = "",
    whole_x: bool = True,
    share: bool = False,
    from_zero: bool = False,
) -> Markup:
    """A chart of several lines, with a legend where there is more than one.

    Args:
        drawn: The lines; those without a finite point are left out.
        label: What it shows, for those who cannot see it.
        x_label: What the axis below counts.
        whole_x: It counts in whole numbers.
        share: The values lie in 0..1 and the axis shows no more than that.
        from_zero: The axis begins at 0.
    """
    drawn = [each for each in drawn if _finite(each.points)]
    if not drawn:
        return Markup("")
    seen = [point for each in drawn for point in _finite(each.points)]
    xs, ys = [x for x, _ in seen], [y for _, y in seen]
    low, high = min(ys), max(ys)
    up, marks = upright(min(0.0, low) if from_zero else low, high, _BOTTOM, _TOP)
    if share and low >= 0 and high <= 1:
        margin = (high - low) * 0.06 or 0.02
        up = Scale(max(0.0, low - margin), min(1.0, high + margin), _BOTTOM, _TOP)
        marks = ticks(up.low, up.high, 6)
    elif from_zero and not up.log:
        up = Scale(min(0.0, low), up.high, _BOTTOM, _TOP)
        marks = [mark for mark in marks if mark >= up.low]
    across = Scale(min(xs), max(xs), _LEFT + 8, _RIGHT - 8)
    parts = [*_axes(across, up, marks, x_label, whole_x=whole_x)]
    for each in drawn:
        parts += _line(each, across, up)
    legend = [each for each in drawn if each.name]
    height = _HEIGHT
    if len(drawn) > 1 and legend:
        more, rows = _legend(legend)
        parts += more
        height += 18 * rows
    return svg.drawing(_WIDTH, height, label, parts)


def _finite(points: Sequence[Point]) -> list[Point]:
    return [(x, y) for x, y in points if abs(x) < MAX and abs(y) < MAX]


def _axes(
    across: Scale, up: Scale, marks: Sequence[float], x_label: str, *, whole_x: bool
) -> Iterator[Markup]:
    num_decimals = 0 if up.log else max((num_decimals_of(value) for value in marks), default=0)
    for value in marks:
        y = up(value)
        yield tag("path", d=svg.path([(_LEFT, y), (_RIGHT, y)]), class_="grid")
        yield text(_LEFT - 6, y + 4, tick(value, num_decimals), "end", class_="tick")
    found = ticks(across.low, across.high, 7, whole=whole_x) or [across.low]
    for value in found:
        x = across(value)
        yield tag("path", d=svg.path([(x, _BOTTOM), (x, _BOTTOM + 4)]), class_="axis")
        yield text(x, _BOTTOM + 17, tick(value, largest=across.high), "middle", class_="tick")
    yield tag("path", d=svg.path([(_LEFT, _BOTTOM), (_RIGHT, _BOTTOM)]), class_="axis")
    if x_label:
        yield text(_RIGHT, _BOTTOM + 33, x_label, "end", class_="tick")


def _line(line: Line, across: Scale, up: Scale) -> Iterator[Markup]:
    points = thinned(line.points)
    kind = f"line c{line.colour % svg.NUM_COLOURS} {line.style}"
    pieces = [[(across(x), up(y)) for x, y in piece] for piece in _pieces(points)]
    if line.style == "steps":
        pieces = [_stepped(piece) for piece in pieces]
    if line.style != "dots":
        for piece in pieces:
            if len(piece) > 1:
                yield tag("path", d=svg.path(piece), class_=kind)
    num_points = len(points)
    if line.style == "dots" or num_points <= _DOTS_AT_MOST:
        for x, y in _finite(points):
            said = " ".join(filter(None, (line.name, f"{number(x)}: {number(y)}")))
            radius = 3.2 if line.style == "dots" else 2.2
            yield tag("circle", tag("title", said), cx=across(x), cy=up(y), r=radius,
                      class_=f"dot c{line.colour % svg.NUM_COLOURS} {line.style}")  # fmt: skip
    else:  # a value that stands alone between two gaps has no line
        for piece in pieces:
            if len(piece) == 1:
                yield tag("circle", cx=piece[0][0], cy=piece[0][1], r=1.6,
                          class_=f"dot c{line.colour % svg.NUM_COLOURS}")  # fmt: skip
    if line.best is not None:
        x, y = line.points[line.best]
        said = " ".join(filter(None, (line.name, f"{number(x)}: {number(y)}")))
        yield tag("circle", tag("title", said), cx=across(x), cy=up(y), r=5.0,
                  class_=f"best c{line.colour % svg.NUM_COLOURS}")  # fmt: skip


def _pieces(points: Sequence[Point]) -> Iterator[list[Point]]:
    """What lies between two gaps."""
    piece: list[Point] = []
    for x, y in points:
        if abs(y) < MAX and abs(x) < MAX:
            piece.append((x, y))
        elif piece:
            yield piece
            piece = []
    if piece:
        yield piece


def _stepped(points: Sequence[Point]) -> list[Point]:
    found = list(points[:1])
    for (_, y), (x, after) in zip(points, points[1:], strict=False):
        found += [(x, y), (x, after)]
    return found


def thinned(points: Sequence[Point], at_most: int = _POINTS_AT_MOST) -> Sequence[Point]:
    """At most so many points, in their order: of each group its lowest, its highest, and a gap."""
    if len(points) <= at_most:
        return points
    num_groups = max(1, at_most // 2)
    size = len(points) / num_groups
    found: list[Point] = []
    for at in range(num_groups):
        group = points[int(at * size) : int((at + 1) * size)]
        whole = [place for place, (_, y) in enumerate(group) if abs(y) < MAX]
        kept: set[int] = set()
        if whole:
            kept = {min(whole, key=lambda p: group[p][1]), max(whole, key=lambda p: group[p][1])}
        if len(whole) < len(group):
            kept.add(next(place for place in range(len(group)) if not abs(group[place][1]) < MAX))
        found += [group[place] for place in sorted(kept)]
    return found


def _legend(drawn: Sequence[Line]) -> tuple[list[Markup], int]:
    parts: list[Markup] = []
    x, row = _LEFT, 0
    shown = drawn[:_LEGEND_AT_MOST]
    names = [svg.cut(each.name, _LEGEND_COLUMNS) for each in shown]
    if len(drawn) > len(shown):
        names[-1] += f" … (+{len(drawn) - len(shown)})"
    for each, name in zip(shown, names, strict=True):
        width = 26 + 6.8 * svg.columns(name) + 12
        if x + width > _RIGHT and x > _LEFT:
            x, row = _LEFT, row + 1
        y = _HEIGHT + 10 + 18 * row
        kind = f"c{each.colour % svg.NUM_COLOURS} {each.style}"
        if each.style == "dots":
            parts.append(tag("circle", cx=x + 10, cy=y - 4, r=3.2, class_="dot " + kind))
        else:
            d = svg.path([(x, y - 4), (x + 20, y - 4)])
            parts.append(tag("path", d=d, class_="line " + kind))
        parts.append(text(x + 26, y, name, class_="legend"))
        x += width
    return parts, row + 1


def is_number(value: object) -> bool:
    """Whether it can be drawn."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
