"""Pictures that go with a message: the loss curve, drawn here, and what the job itself kept.

Nothing but the standard library: whoever sends messages needs no plotting library installed.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from overnight.alerts import names
from overnight.alerts.canvas import Canvas, Colour
from overnight.alerts.history import all_rows, epoch_rows
from overnight.alerts.letters import Point, can_write, width
from overnight.alerts.scale import MAX, Scale, num_decimals_of, tick, ticks, upright
from overnight.alerts.spoken import number
from overnight.ledger import files
from overnight.ledger.format import Row
from overnight.ledger.paths import RunPaths

_WIDTH, _HEIGHT = 800, 500
_LEFT, _RIGHT, _TOP, _BOTTOM = 62, 776, 52, 452
_SMALL, _LABEL = 7.6, 8.4
_INK: Colour = (31, 41, 55)
_GREY: Colour = (107, 114, 128)
_GRID: Colour = (232, 235, 239)
_AXIS: Colour = (176, 183, 193)
#: Told apart by those who see no red or no green as well.
_TRAIN: Colour = (37, 99, 235)
_VALID: Colour = (234, 110, 16)
_OTHERS: Sequence[Colour] = (_TRAIN, _VALID, (13, 148, 136))
#: More points than this are averaged: a pixel shows no more.
_POINTS_AT_MOST = 360
_PICTURE_SUFFIXES = (".png", ".jpg", ".jpeg", ".gif", ".webp")
_PICTURES_AT_MOST = 3
#: What mail servers and chats take without a word.
_PICTURE_BYTES = 5 * 1024 * 1024


@dataclass(frozen=True)
class _Curve:
    """One line of the picture. ``points``: x and a finite y, x rising; ``noisy``: of batches."""

    name: str
    colour: Colour
    points: Sequence[Point]
    noisy: bool = False


def loss_curve(run: RunPaths, path: str | os.PathLike[str]) -> bool:
    """Draws training and validation loss over the epochs, or the steps, as a PNG of 1600 x 1000.

    Args:
        run: The run.
        path: The file to write.

    Returns:
        Whether there was anything to draw; if not, no file is written.

    Raises:
        OSError: The file cannot be written.
    """
    curves, unit = _by_epoch(run), "epoch"
    if not curves:
        curves, unit = _by_step(run), "step"
    if not curves:
        return False
    files.replace(os.fspath(path), _drawn(curves, unit, run.run_id), sync=False)
    return True


def pictures_of(run: RunPaths) -> list[str]:
    """The newest pictures the job kept, at most three and none above 5 MiB; newest first."""
    found: list[tuple[int, str]] = []
    try:
        with os.scandir(run.media) as entries:
            for entry in entries:
                if not entry.name.lower().endswith(_PICTURE_SUFFIXES):
                    continue
                info = entry.stat(follow_symlinks=False)
                if stat.S_ISREG(info.st_mode) and 0 < info.st_size <= _PICTURE_BYTES:
                    found.append((info.st_mtime_ns, entry.path))
    except OSError:
        return []
    return [path for _, path in sorted(found, reverse=True)[:_PICTURES_AT_MOST]]


# ── what is drawn ───────────────────────────────────────────────────────────────────────────


def _by_epoch(run: RunPaths) -> list[_Curve]:
    rows, _ = epoch_rows(run)
    rows = [each for each in rows if each.scope == rows[-1].scope and each.epoch is not None]
    # People count from 1, some programs from 0.
    shift = int(any(each.epoch == 0 for each in rows))
    return _curves(rows, lambda each: None if each.epoch is None else each.epoch + shift)


def _by_step(run: RunPaths) -> list[_Curve]:
    rows, _ = all_rows(run)
    rows = [each for each in rows if each.scope == rows[-1].scope]
    return _curves(rows, lambda each: each.step)


def _curves(rows: Sequence[Row], axis: Callable[[Row], int | None]) -> list[_Curve]:
    """The losses among the numbers of some rows, each as a line; none of fewer than two points."""
    logged = list(dict.fromkeys(name for each in rows for name in each.values))
    train = names.resolve("train_loss", logged) or names.resolve("batch_loss", logged)
    valid = names.resolve("valid_loss", logged)
    chosen = [(name, colour) for name, colour in ((train, _TRAIN), (valid, _VALID)) if name]
    if not chosen:
        others = [name for name in logged if "loss" in name.lower()]
        chosen = list(zip(others, _OTHERS))
    found = []
    for name, colour in chosen:
        at = ((axis(each), each.values[name]) for each in rows if name in each.values)
        points = {float(x): y for x, y in at if x is not None and abs(x) < MAX and abs(y) < MAX}
        if len(points) > 1:
            noisy = len(points) > _POINTS_AT_MOST / 3
            found.append(_Curve(name, colour, _thinned(sorted(points.items())), noisy))
    return found


def _thinned(points: Sequence[Point]) -> Sequence[Point]:
    """At most so many points as a line can show, each the mean of its neighbours."""
    if len(points) <= _POINTS_AT_MOST:
        return points
    size = len(points) / _POINTS_AT_MOST
    groups = (points[int(at * size) : int((at + 1) * size)] for at in range(_POINTS_AT_MOST))
    return [_mean(group) for group in groups]


def _mean(points: Sequence[Point]) -> Point:
    return sum(x for x, _ in points) / len(points), sum(y for _, y in points) / len(points)


def _smooth(points: Sequence[Point]) -> Sequence[Point]:
    """Each point as the mean of a twentieth of the line around it."""
    most, last = max(1, len(points) // 40), len(points) - 1
    # As far to the one side as to the other: else the ends would be drawn inwards.
    reaches = [min(most, at, last - at) for at in range(len(points))]
    return [
        (x, _mean(points[at - reach : at + reach + 1])[1])
        for at, ((x, _), reach) in enumerate(zip(points, reaches))
    ]


# ── drawing ─────────────────────────────────────────────────────────────────────────────────


def _drawn(curves: Sequence[_Curve], unit: str, run_id: str) -> bytes:
    paper = Canvas(_WIDTH, _HEIGHT)
    xs = [x for curve in curves for x, _ in curve.points]
    ys = [y for curve in curves for _, y in curve.points]
    across = Scale(min(xs), max(xs), _LEFT + 8, _RIGHT - 10)
    up, marks = upright(min(ys), max(ys), _BOTTOM, _TOP)
    num_decimals = 0 if up.log else max((num_decimals_of(value) for value in marks), default=0)
    for value in marks:
        y = up(value)
        paper.polyline([(_LEFT, y), (_RIGHT, y)], 1.0, _GRID)
        paper.text_right(tick(value, num_decimals), _LEFT - 9, y + _SMALL / 2, _SMALL, _GREY)
    for value in ticks(across.low, across.high, 9, whole=True):
        x = across(value)
        paper.polyline([(x, _BOTTOM), (x, _BOTTOM + 4)], 1.0, _AXIS)
        text = tick(value, largest=across.high)
        paper.text(text, x - width(text, _SMALL) / 2, _BOTTOM + 18, _SMALL, _GREY)
    paper.polyline([(_LEFT, _BOTTOM), (_RIGHT, _BOTTOM)], 1.2, _AXIS)
    paper.text_right(unit, _RIGHT, _BOTTOM + 36, _LABEL, _GREY)
    lines = []
    for curve in curves:
        line = [(across(x), up(y)) for x, y in curve.points]
        if curve.noisy:
            paper.polyline(line, 1.0, curve.colour, 0.28)
            line = list(_smooth(line))
        lines.append(line)
        paper.polyline(line, 2.4, curve.colour)
        if len(line) <= 40:
            for point in line:
                paper.dot(point, 5.0, curve.colour)
    _mark_best(paper, curves, lines)
    _legend(paper, curves, run_id, "log scale" if up.log else "")
    return paper.png()


def _mark_best(paper: Canvas, curves: Sequence[_Curve], lines: Sequence[Sequence[Point]]) -> None:
    """A ring around the lowest validation loss, and its value where it hides least."""
    for curve, line in zip(curves, lines):
        if curve.colour != _VALID or curve.noisy:
            continue
        (x, y), (at, value) = max(zip(line, curve.points), key=lambda each: each[0][1])
        paper.dot((x, y), 12.0, curve.colour)
        paper.dot((x, y), 7.6, (255, 255, 255))
        text = f"best {number(value)} at {at:,.0f}"
        half = width(text, _SMALL) / 2
        middle = min(max(x, _LEFT + half + 4), _RIGHT - half)
        # Its baseline above the ring, or below it.
        baselines = [max(_TOP + 10.0, y - 15), y + 15 + _SMALL]
        if baselines[1] > _BOTTOM - 6:
            del baselines[1]
        baseline = min(
            baselines, key=lambda base: _num_hidden(lines, middle, half, base - _SMALL / 2)
        )
        paper.text(text, middle - half, baseline, _SMALL, _INK, halo=True)


def _num_hidden(lines: Sequence[Sequence[Point]], x: float, half: float, y: float) -> int:
    """How much of the curves a text of this middle and width would stand on."""
    count = 0
    for line in lines:
        for (x0, y0), (x1, y1) in zip(line, line[1:]):
            for part in range(9):
                px, py = x0 + (x1 - x0) * part / 8, y0 + (y1 - y0) * part / 8
                count += abs(px - x) < half + 4 and abs(py - y) < _SMALL + 3
    return count


def _legend(paper: Canvas, curves: Sequence[_Curve], run_id: str, remark: str) -> None:
    x = _LEFT + 2.0
    for curve, role in zip(curves, ("train", "valid", "third")):
        name = curve.name if can_write(curve.name) and len(curve.name) <= 24 else role
        paper.polyline([(x, 28), (x + 20, 28)], 2.8, curve.colour)
        paper.text(name, x + 28, 32, _LABEL, _INK)
        last = number(curve.points[-1][1])
        paper.text(last, x + 36 + width(name, _LABEL), 32, _LABEL, _GREY)
        x += 66 + width(name, _LABEL) + width(last, _LABEL)
    if can_write(run_id) and x + width(run_id, _SMALL) < _RIGHT:
        paper.text_right(run_id, _RIGHT, 32, _SMALL, _GREY)
    if remark:
        paper.text(remark, _LEFT, _BOTTOM + 36, _SMALL, _GREY)
