"""What is no line over an axis: a confusion matrix, bars, reliability, a search's trials."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from overnight.alerts.scale import Scale, tick
from overnight.alerts.spoken import number
from overnight.messages import say
from overnight.reporting import svg
from overnight.reporting.charts import is_number
from overnight.reporting.svg import tag, text

#: Counts stand in the cells of a matrix of this many classes, names beside this many.
_COUNTS_UP_TO, _NAMES_UP_TO = 16, 60
_NAME_COLUMNS = 16
_COLUMN = 6.6


@dataclass(frozen=True, slots=True)
class Bin:
    """One bin of a reliability diagram; ``num`` examples that were that sure."""

    low: float
    high: float
    confidence: float
    accuracy: float
    num: int


def matrix(names: Sequence[str], counts: Mapping[tuple[str, str], float], label: str) -> Markup:
    """A confusion matrix: each row's colour is its share of the row, each cell's text its count.

    Args:
        names: The classes, in the order of both axes.
        counts: (truth, prediction) → how many.
        label: What it shows, for those who cannot see it.
    """
    num = len(names)
    if not num:
        return Markup("")
    with_names = num <= _NAMES_UP_TO
    shown = [svg.cut(name, _NAME_COLUMNS) for name in names] if with_names else []
    size = max(4.0, min(44.0, 420.0 / num))
    room = max((svg.columns(name) for name in shown), default=0) * _COLUMN * min(1.0, size / 16)
    left, top = 26.0 + room + 6, 12.0
    end = left + size * num
    parts = []
    for row, truth in enumerate(names):
        total = sum(counts.get((truth, prediction), 0.0) for prediction in names) or 1.0
        for column, prediction in enumerate(names):
            count = counts.get((truth, prediction), 0.0)
            share = count / total
            x, y = left + size * column, top + size * row
            if not count and num > _COUNTS_UP_TO:
                continue
            said = f"{truth} → {prediction}: {number(count)} ({share:.0%})"
            kind = "cell right" if row == column else "cell wrong"
            parts.append(
                tag("rect", tag("title", said), x=x, y=y, width=size - 0.8, height=size - 0.8,
                    class_=kind, fill_opacity=f"{0.08 + 0.92 * share if count else 0.03:.2f}")
            )  # fmt: skip
            if count and num <= _COUNTS_UP_TO:
                kind = "count strong" if share > 0.55 else "count"
                middle = (x + size / 2 - 0.4, y + size / 2 + 4)
                parts.append(text(*middle, number(count), "middle", class_=kind))
    frame = tag("rect", x=left - 0.5, y=top - 0.5, width=size * num, height=size * num,
                class_="frame")  # fmt: skip
    parts.append(frame)
    height = top + size * num + 24
    if shown:
        font = "" if size >= 14 else f"font-size:{max(4.0, size * 0.75):.1f}px"
        for at, name in enumerate(shown):
            y = top + size * (at + 0.5) + 4
            parts.append(text(left - 6, y, name, "end", class_="tick", style=font or None))
        upright = max(svg.columns(name) for name in shown) * _COLUMN > size - 4
        for at, name in enumerate(shown):
            x, y = left + size * (at + 0.5), top + size * num + 14
            turned = f"rotate(-90 {x:.1f} {y:.1f})" if upright else None
            place = (x + 4, y) if upright else (x, y)
            anchor = "end" if upright else "middle"
            parts.append(
                text(*place, name, anchor, class_="tick", transform=turned, style=font or None)
            )
        height += room - 8 if upright else 4
    x, y = 12.0, top + size * num / 2
    turned = f"rotate(-90 {x:.1f} {y:.1f})"
    parts.append(text(x, y, say("report.truth"), "middle", class_="tick", transform=turned))
    parts.append(text((left + end) / 2, height, say("report.prediction"), "middle", class_="tick"))
    return svg.drawing(max(end + 8, 240.0), height + 8, label, parts)


def bars(
    rows: Sequence[tuple[str, float]], label: str, *, most: float | None = None, at_most: int = 24
) -> Markup:
    """Bars that lie, each with its name before it and its value behind it.

    Args:
        rows: Name and value, at least 0.
        label: What it shows, for those who cannot see it.
        most: What fills the whole width; None: the highest value.
        at_most: Further rows are left out.
    """
    rows = [(name, value) for name, value in rows if is_number(value)][:at_most]
    if not rows:
        return Markup("")
    most = max(value for _, value in rows) if most is None else most
    names = [svg.cut(name, 28) for name, _ in rows]
    left = max(svg.columns(name) for name in names) * _COLUMN + 10
    across = Scale(0.0, most or 1.0, left, 424.0)
    parts = []
    for at, ((name, value), shown) in enumerate(zip(rows, names, strict=True)):
        y = 6.0 + 22 * at
        width = max(1.0, across(max(0.0, value)) - left)
        parts.append(text(left - 8, y + 13, shown, "end", class_="tick"))
        parts.append(
            tag("rect", tag("title", f"{name}: {number(value)}"), x=left, y=y, width=width,
                height=16.0, rx=2, class_="bar")
        )  # fmt: skip
        parts.append(text(left + width + 6, y + 13, number(value), class_="legend"))
    return svg.drawing(480.0, 22.0 * len(rows) + 10, label, parts)


def columns(low: float, high: float, counts: Sequence[float], label: str) -> Markup:
    """A histogram: how many numbers lie in each of some bins of one width."""
    most = max(counts, default=0)
    if not most:
        return Markup("")
    up = Scale(0.0, float(most), 130.0, 8.0)
    width = 440.0 / len(counts)
    parts = [
        tag("rect", tag("title", number(count)), x=20 + width * at, y=up(count),
            width=max(0.5, width - 0.6), height=130.0 - up(count), class_="bar")
        for at, count in enumerate(counts)
        if count
    ]  # fmt: skip
    parts.append(tag("path", d=svg.path([(20.0, 130.0), (460.0, 130.0)]), class_="axis"))
    parts.append(text(20.0, 148.0, tick(low), class_="tick"))
    parts.append(text(460.0, 148.0, tick(high), "end", class_="tick"))
    return svg.drawing(480.0, 154.0, label, parts)


def reliability(bins: Sequence[Bin], label: str) -> Markup:
    """How often answers of each confidence are right, beside what they claim; below: how many."""
    bins = [each for each in bins if each.num]
    if not bins:
        return Markup("")
    left, right, top, bottom, foot = 44.0, 292.0, 10.0, 250.0, 300.0
    across, up = Scale(0.0, 1.0, left, right), Scale(0.0, 1.0, bottom, top)
    most = max(each.num for each in bins)
    parts = []
    for at in range(6):
        value = at / 5
        parts.append(
            tag("path", d=svg.path([(left, up(value)), (right, up(value))]), class_="grid")
        )
        parts.append(text(left - 6, up(value) + 4, f"{value:.1f}", "end", class_="tick"))
        parts.append(text(across(value), foot + 16, f"{value:.1f}", "middle", class_="tick"))
    for each in bins:
        x, width = across(each.low), max(1.0, across(each.high) - across(each.low) - 1)
        said = say("report.bin", confidence=f"{each.confidence:.3f}",
                   accuracy=f"{each.accuracy:.3f}", num=f"{each.num:,}")  # fmt: skip
        title = tag("title", said)
        parts.append(
            tag("rect", title, x=x, y=up(each.accuracy), width=width,
                height=bottom - up(each.accuracy), class_="bar")
        )  # fmt: skip
        # What lies between the bar and its claim: red where it is surer than right.
        high, low = max(each.accuracy, each.confidence), min(each.accuracy, each.confidence)
        kind = "gap over" if each.confidence > each.accuracy else "gap under"
        parts.append(
            tag("rect", title, x=x, y=up(high), width=width, height=up(low) - up(high), class_=kind)
        )
        tall = 34.0 * each.num / most
        parts.append(tag("rect", x=x, y=foot - tall, width=width, height=tall, class_="bar quiet"))
    parts.append(
        tag("path", d=svg.path([(left, bottom), (right, top)]), class_="line ideal dashed")
    )
    for y in (bottom, foot):
        parts.append(tag("path", d=svg.path([(left, y), (right, y)]), class_="axis"))
    middle = (left + right) / 2
    parts.append(text(middle, foot + 34, say("report.confidence"), "middle", class_="tick"))
    turned = f"rotate(-90 12 {(top + bottom) / 2:.1f})"
    parts.append(
        text(12.0, (top + bottom) / 2, say("report.accuracy"), "middle", class_="tick",
             transform=turned)
    )  # fmt: skip
    return svg.drawing(302.0, foot + 42, label, parts)


@dataclass(frozen=True, slots=True)
class Thread:
    """One trial across the axes of a parallel plot; ``rank``: 0 worst .. 1 best."""

    name: str
    values: Mapping[str, Any]
    rank: float
    best: bool = False


def parallel(axes: Sequence[str], threads: Sequence[Thread], label: str) -> Markup:
    """Each trial a line from axis to axis; the better, the darker."""
    if len(axes) < 2 or not threads:
        return Markup("")
    width, top, bottom = max(480.0, 120.0 * len(axes)), 34.0, 244.0
    left, right = 60.0, width - 60.0
    step = (right - left) / (len(axes) - 1)
    scales = [_axis([each.values.get(axis) for each in threads], bottom, top) for axis in axes]
    parts = []
    for at, (axis, scale) in enumerate(zip(axes, scales, strict=True)):
        x = left + step * at
        parts.append(tag("path", d=svg.path([(x, top), (x, bottom)]), class_="axis"))
        title = tag("title", axis)
        shown = svg.cut(axis, int(step / 7.2))
        parts.append(tag("text", title, shown, x=x, y=18.0, text_anchor="middle", class_="legend"))
        for y, words in scale.marks:
            parts.append(text(x + 5, y + 4, svg.cut(words, 12), class_="tick halo"))
    for each in sorted(threads, key=lambda thread: (thread.best, thread.rank)):
        places = (
            (left + step * at, scale.place(each.values.get(axis)))
            for at, (axis, scale) in enumerate(zip(axes, scales, strict=True))
        )
        points = [(x, place) for x, place in places if place is not None]
        if len(points) < 2:
            continue
        kind = "thread winner" if each.best else "thread"
        shade = None if each.best else f"{0.12 + 0.6 * each.rank:.2f}"
        line = tag("path", tag("title", each.name), d=svg.path(points), class_=kind,
                   stroke_opacity=shade)  # fmt: skip
        parts.append(line)
    return svg.drawing(width, bottom + 16, label, parts)


@dataclass(frozen=True, slots=True)
class _Axis:
    scale: Scale | None
    places: Mapping[str, float]
    marks: Sequence[tuple[float, str]]

    def place(self, value: object) -> float | None:
        if self.scale is not None:
            return self.scale(float(value)) if is_number(value) else None  # type: ignore[arg-type]
        return self.places.get(_spelled(value)) if value is not None else None


def _axis(values: Sequence[object], bottom: float, top: float) -> _Axis:
    """An axis of numbers, by their logarithm where they span decades; or one of words."""
    there = [value for value in values if value is not None]
    numbers = [float(value) for value in there if is_number(value)]  # type: ignore[arg-type]
    if numbers and len(numbers) == len(there):
        low, high = min(numbers), max(numbers)
        if low == high:
            return _Axis(Scale(low, high, bottom, top), {}, [((top + bottom) / 2, number(low))])
        scale = Scale(low, high, bottom, top, log=low > 0 and high / low >= 20)
        middle = (low * high) ** 0.5 if scale.log else (low + high) / 2
        marks = [(scale(value), number(value)) for value in (low, middle, high)]
        return _Axis(scale, {}, marks)
    words = sorted({_spelled(value) for value in there})
    step = (bottom - top) / max(1, len(words) - 1)
    places = {word: bottom - step * at for at, word in enumerate(words)}
    if len(words) == 1:
        places = {words[0]: (top + bottom) / 2}
    every = max(1, len(words) // 12)
    return _Axis(None, places, [(places[word], word) for word in words[::every]])


def _spelled(value: object) -> str:
    return number(float(value)) if is_number(value) else str(value)  # type: ignore[arg-type]
