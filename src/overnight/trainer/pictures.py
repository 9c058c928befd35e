"""What shows how good a classifier is: confusion, classes, worst mistakes, reliability.

Shapes: N examples with a prediction, K classes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from overnight.calibration import Calibration
from overnight.tasks.base import Example
from overnight.trainer.oof import OutOfFold, Whole, per_class

if TYPE_CHECKING:
    from matplotlib.figure import Figure

#: Counts can be read in the cells of a matrix of this many classes; names beside this many.
_COUNTS_UP_TO, _NAMES_UP_TO = 20, 60
_NAME_CHARS = 24
#: Of a picture's shorter side in a table.
_PREVIEW_PX = 96
#: Fonts that have Hangul, Kana and Han, by what systems call them.
_WIDE_FONTS = (
    "Noto Sans CJK KR", "Noto Sans KR", "NanumGothic", "Malgun Gothic", "Apple SD Gothic Neo",
    "AppleGothic", "UnDotum", "Noto Sans CJK JP", "Noto Sans CJK SC", "Droid Sans Fallback",
)  # fmt: skip


def confusion_picture(confusion_KK: Whole, labels: Sequence[str]) -> Figure:
    """The confusion matrix: each row's colour is its share, each cell's text its count."""
    from matplotlib.figure import Figure

    num_classes = len(confusion_KK)
    names, font = _drawable([label[:_NAME_CHARS] for label in labels])
    side_inch = min(14.0, max(4.5, 2.0 + 0.45 * num_classes))
    figure = Figure(figsize=(side_inch + 1.0, side_inch), dpi=110, layout="constrained")
    axes = figure.add_subplot()
    share_KK = confusion_KK / np.maximum(confusion_KK.sum(axis=1, keepdims=True), 1)
    drawn = axes.imshow(share_KK, cmap="Blues", vmin=0.0, vmax=1.0)
    figure.colorbar(drawn, ax=axes, label="share of the true class", shrink=0.8)
    axes.set_xlabel("prediction")
    axes.set_ylabel("truth")
    if num_classes <= _NAMES_UP_TO:
        size = 9 if num_classes <= _COUNTS_UP_TO else 6
        ticks = range(num_classes)
        rotation = 90 if num_classes > 10 or max(map(len, names)) > 4 else 0
        axes.set_xticks(ticks, names, rotation=rotation, fontsize=size, **font)
        axes.set_yticks(ticks, names, fontsize=size, **font)
    if num_classes <= _COUNTS_UP_TO:
        for truth, prediction in np.ndindex(confusion_KK.shape):
            count = int(confusion_KK[truth, prediction])
            if count:
                colour = "white" if share_KK[truth, prediction] > 0.6 else "black"
                axes.text(
                    prediction,
                    truth,
                    f"{count}",
                    ha="center",
                    va="center",
                    color=colour,
                    fontsize=8,
                )
    return figure


def reliability_picture(found: Calibration) -> Figure:
    """How often each confidence is right, before and after; below it, how many rows have it."""
    from matplotlib.figure import Figure

    panels = [("before", found.before)]
    panels += [("after", found.after)] if found.why == "fitted" else []
    figure = Figure(figsize=(4.6 * len(panels), 5.4), dpi=110, layout="constrained")
    grid = figure.add_gridspec(2, len(panels), height_ratios=(3, 1))
    most = max(each.num for _, scores in panels for each in scores.bins)
    for column, (when, scores) in enumerate(panels):
        upper = figure.add_subplot(grid[0, column])
        lower = figure.add_subplot(grid[1, column], sharex=upper)
        width = scores.bins[0].high - scores.bins[0].low
        middles = [(each.low + each.high) / 2 for each in scores.bins]
        upper.plot(
            [0, 1], [0, 1], linestyle="--", linewidth=1, color="grey", label="as it should be"
        )
        upper.bar(middles, [each.accuracy for each in scores.bins], width * 0.92, label="accuracy")
        # A bin's rows are seldom spread evenly: its mean confidence is where it should end.
        upper.plot(
            [each.confidence for each in scores.bins],
            [each.confidence for each in scores.bins],
            linestyle="",
            marker="_",
            markersize=12,
            markeredgewidth=2,
            color="tab:red",
            label="mean confidence",
        )
        at = f", T = {found.temperature:.3g}" if when == "after" else ""
        upper.set_title(
            f"{when}{at}\nECE {scores.ece:.3f}   NLL {scores.nll:.3f}   Brier {scores.brier:.3f}",
            fontsize=10,
        )
        upper.set(xlim=(0, 1), ylim=(0, 1))
        upper.tick_params(labelbottom=False)
        lower.bar(middles, [each.num for each in scores.bins], width * 0.92, color="tab:grey")
        lower.set(xlabel="confidence", ylim=(0, most * 1.05))
        if column == 0:
            upper.set_ylabel("share that is right")
            upper.legend(loc="upper left", fontsize=8)
            lower.set_ylabel("rows")
    return figure


def _drawable(names: list[str]) -> tuple[list[str], dict[str, Any]]:
    """The names, and the font that has their letters; numbers where no font does."""
    if all(name.isascii() for name in names):
        return names, {}
    from matplotlib import font_manager, ft2font

    text = {character for name in names for character in name if not character.isspace()}
    usual = font_manager.findfont("DejaVu Sans")
    if text <= set(map(chr, ft2font.FT2Font(usual).get_charmap())):
        return names, {}
    there = {each.name for each in font_manager.fontManager.ttflist}
    for name in _WIDE_FONTS:
        if name in there:
            return names, {"fontfamily": name}
    return [str(number) for number in range(len(names))], {}


def confusion_rows(confusion_KK: Whole, labels: Sequence[str]) -> list[list[Any]]:
    """``truth, prediction, count``: what trackers draw a matrix from.

    Of many classes only what occurs: a thousand would be a million rows of zeros.
    """
    whole = len(confusion_KK) <= _NAMES_UP_TO
    return [
        [labels[truth], labels[prediction], int(confusion_KK[truth, prediction])]
        for truth, prediction in np.ndindex(confusion_KK.shape)
        if whole or confusion_KK[truth, prediction]
    ]


def class_rows(confusion_KK: Whole, labels: Sequence[str]) -> list[list[Any]]:
    """``class, precision, recall, f1, num``, the worst class first."""
    rows = [
        [label, each["precision"], each["recall"], each["f1"], each["num"]]
        for label, each in zip(labels, per_class(confusion_KK), strict=True)
    ]
    return sorted(rows, key=lambda row: (row[3], str(row[0])))


def worst_first(oof: OutOfFold, temperature: float = 1.0) -> list[int]:
    """Positions in ``oof``: confident mistakes, then doubtful ones, then doubtful right answers."""
    probabilities_NK = oof.probabilities(temperature)
    at = np.arange(len(oof.targets))
    # How much more it believed in its answer than in the truth: 0 where it was right.
    margin_N = probabilities_NK.max(axis=1) - probabilities_NK[at, oof.targets]
    confidence_N = probabilities_NK.max(axis=1)
    return [int(each) for each in np.lexsort((at, confidence_N, -margin_N))]


def prediction_rows(
    oof: OutOfFold,
    order: Sequence[int],
    examples: Sequence[Example],
    labels: Sequence[str],
    temperature: float = 1.0,
) -> list[list[Any]]:
    """``id, truth, prediction, confidence, fold`` of each position in ``order``.

    The confidence is that of the logits divided by the temperature.
    """
    probabilities_NK = oof.probabilities(temperature)
    rows = []
    for position in order:
        example = examples[int(oof.rows[position])]
        chosen = int(probabilities_NK[position].argmax())
        rows.append(
            [
                example.id,
                labels[int(oof.targets[position])],
                labels[chosen],
                round(float(probabilities_NK[position, chosen]), 6),
                int(oof.folds[position]),
            ]
        )
    return rows


def preview(example: Example) -> NDArray[np.uint8] | None:
    """The example as ``(H, W, 3)``, as small as a table shows it.

    None where it is no picture, or one that has been moved away in the night: hours of training
    do not end with that.
    """
    if "image" not in example.inputs:
        return None
    from overnight.tasks.image_classification.images import BadImageError, pixels

    try:
        return pixels(example, _PREVIEW_PX)
    except BadImageError:
        return None
