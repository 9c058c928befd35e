"""A search in pictures: how it went, what mattered, which values go with a good result.

Drawn with matplotlib from what the search's own ledger says, so that they show the same trials as
the report does; Optuna's own know nothing of trials that failed, nor of Korean names.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from overnight.tasks.base import Json
from overnight.tuning.ask import Settings
from overnight.tuning.space import Choice, Range
from overnight.tuning.study import Told

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_COLOURS = {"complete": "#2563eb", "pruned": "#d97706", "failed": "#dc2626"}
_GREY = "#94a3b8"
#: Of a scale of colours, from its dark end; its last ones are too light for white paper.
_SHADES = 0.85
#: Beside these many axes names still fit.
_MOST_AXES = 10
_NAME_CHARS = 28
#: Fonts that have Hangul, Kana and Han, by what systems call them.
_WIDE_FONTS = (
    "Noto Sans CJK KR", "Noto Sans KR", "NanumGothic", "Malgun Gothic", "Apple SD Gothic Neo",
    "AppleGothic", "UnDotum", "Noto Sans CJK JP", "Noto Sans CJK SC", "Droid Sans Fallback",
)  # fmt: skip


def drawn(
    trials: Sequence[Told], settings: Settings, metric: str, importance: Mapping[str, float]
) -> Iterator[tuple[str, Figure]]:
    """The pictures, each with its key; one that would be empty is left out."""
    if any(each.value is not None for each in trials):
        yield "tuning/history", history(trials, settings, metric)
    if importance:
        yield "tuning/importance", importances(importance, metric)
    done = [each for each in trials if each.state == "complete"]
    if len(done) > 1:
        yield "tuning/parallel", parallel(done, settings, metric, importance)


def history(trials: Sequence[Told], settings: Settings, metric: str) -> Figure:
    """Each trial's value by its number, and the best so far."""
    from matplotlib.ticker import MaxNLocator

    figure, axes = _canvas(8.0, 4.2)
    for state, label in (("complete", "complete"), ("pruned", "pruned, when it was cut")):
        found = [(e.number, e.value) for e in trials if e.state == state and e.value is not None]
        if found:
            marker = "o" if state == "complete" else "v"
            axes.scatter(
                [number for number, _ in found], [value for _, value in found],
                color=_COLOURS[state], marker=marker, s=34, label=label, zorder=3,
            )  # fmt: skip
    best: list[float] = []
    numbers: list[int] = []
    better = max if settings.goal == "maximize" else min
    for each in trials:
        if each.state == "complete" and each.value is not None:
            numbers.append(each.number)
            best.append(better([each.value, *best[-1:]]))
    if best:
        axes.step([*numbers, trials[-1].number], [*best, best[-1]], where="post", color=_GREY,
                  label="best so far")  # fmt: skip
    low, _ = axes.get_ylim()
    failed = [each.number for each in trials if each.state == "failed"]
    if failed:
        axes.scatter(failed, [low] * len(failed), color=_COLOURS["failed"], marker="x", s=34,
                     label="failed", clip_on=False, zorder=3)  # fmt: skip
        axes.set_ylim(bottom=low)
    axes.set_xlabel("trial")
    (name,), font = _drawable([metric])
    axes.set_ylabel(name, **font)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.grid(axis="y", alpha=0.3)
    figure.legend(loc="outside upper right", ncols=4, fontsize=9, frameon=False)
    return figure


def importances(importance: Mapping[str, float], metric: str) -> Figure:
    """How much of the value each parameter decides, the first one on top."""
    names = [_short(name) for name in importance][:_MOST_AXES][::-1]
    shares = list(importance.values())[:_MOST_AXES][::-1]
    figure, axes = _canvas(8.0, 1.4 + 0.42 * len(names))
    bars = axes.barh(range(len(names)), shares, color=_COLOURS["complete"], height=0.6)
    axes.bar_label(bars, [f"{share:.0%}" for share in shares], padding=4, fontsize=9)
    (name,), font = _drawable([metric])
    axes.set_xlabel(f"importance for {name}", **font)
    names, font = _drawable(names)
    axes.set_yticks(range(len(names)), names, **font)
    axes.set_xlim(0, max(*shares, 0.01) * 1.12)
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
    axes.spines[["top", "right"]].set_visible(False)
    return figure


def parallel(
    done: Sequence[Told], settings: Settings, metric: str, importance: Mapping[str, float]
) -> Figure:
    """Each complete trial as a line through its values, the more important ones first."""
    order = [*importance, *(name for name in settings.space if name not in importance)]
    names = [name for name in order if not _is_one(settings.space[name])][:_MOST_AXES]
    figure, axes = _canvas(2.2 + 1.5 * (len(names) + 1), 4.6)
    values = [each.value or 0.0 for each in done]
    low, high = min(values), max(values)
    from matplotlib import colormaps

    shade = colormaps["viridis"]
    columns = [[_place(settings.space[name], each.values[name]) for each in done] for name in names]
    columns.append([(value - low) / ((high - low) or 1.0) for value in values])
    good = columns[-1] if settings.goal == "maximize" else [1.0 - each for each in columns[-1]]
    best = values.index(max(values) if settings.goal == "maximize" else min(values))
    for at in sorted(range(len(done)), key=lambda at: (at == best, values[at])):
        axes.plot(
            range(len(columns)), [column[at] for column in columns],
            color=shade(_SHADES * good[at]), linewidth=2.6 if at == best else 1.2,
            alpha=1.0 if at == best else 0.7,
        )  # fmt: skip
    for at, name in enumerate(names):
        _axis(axes, at, _ticks(settings.space[name]))
    _axis(axes, len(names), [(0.0, f"{low:.4g}"), (1.0, f"{high:.4g}")] if high > low else
          [(0.0, f"{low:.4g}")])  # fmt: skip
    labels, font = _drawable([_short(name) for name in [*names, metric]])
    axes.set_xticks(range(len(labels)), labels, rotation=20, ha="right", **font)
    axes.set_yticks([])
    axes.set_ylim(-0.06, 1.06)
    axes.set_xlim(-0.3, len(names) + 0.6)
    axes.spines[:].set_visible(False)
    title = f"best: trial {done[best].number}, {labels[-1]} {values[best]:.4g}"
    axes.set_title(title, fontsize=10, loc="left", **font)
    return figure


def _canvas(width_inch: float, height_inch: float) -> tuple[Figure, Axes]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width_inch, height_inch), dpi=110, layout="constrained")
    return figure, figure.add_subplot()


def _axis(axes: Axes, at: int, ticks: Sequence[tuple[float, str]]) -> None:
    axes.axvline(at, color=_GREY, linewidth=0.8, zorder=0)
    texts, font = _drawable([_short(text) for _, text in ticks])
    for (height, _), text in zip(ticks, texts, strict=True):
        axes.annotate(
            text, (at, height), xytext=(4, 0), textcoords="offset points", fontsize=8,
            va="center", bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.75, "pad": 1},
            **font,
        )  # fmt: skip


def _is_one(each: Range | Choice) -> bool:
    return isinstance(each, Choice) and len(each.values) < 2


def _place(each: Range | Choice, value: Json) -> float:
    """Where a value stands on its axis, 0 to 1."""
    if isinstance(each, Choice):
        return each.values.index(value) / max(1, len(each.values) - 1)
    assert isinstance(value, (int, float))
    low, high, at = each.low, each.high, float(value)
    if each.log:
        low, high, at = math.log(low), math.log(high), math.log(at)
    return (at - low) / ((high - low) or 1.0)


def _ticks(each: Range | Choice) -> list[tuple[float, str]]:
    if isinstance(each, Choice):
        return [(_place(each, value), _text(value)) for value in each.values]
    middle = math.sqrt(each.low * each.high) if each.log else (each.low + each.high) / 2
    middle = round(middle) if each.is_int else middle
    found = {
        value: (_place(each, value), f"{value:.3g}") for value in (each.low, middle, each.high)
    }
    return list(found.values())


def _text(value: Json) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _short(name: str) -> str:
    return name if len(name) <= _NAME_CHARS else name[: _NAME_CHARS - 1] + "…"


def _drawable(texts: Sequence[str]) -> tuple[list[str], dict[str, Any]]:
    """The texts, and the fonts that have their letters; their numbers where no font does."""
    if all(text.isascii() for text in texts):
        return list(texts), {}
    from matplotlib import font_manager, ft2font

    letters = {letter for text in texts for letter in text if not letter.isspace()}
    usual = font_manager.findfont("DejaVu Sans")
    if letters <= set(map(chr, ft2font.FT2Font(usual).get_charmap())):
        return list(texts), {}
    there = {each.name for each in font_manager.fontManager.ttflist}
    wide = [name for name in _WIDE_FONTS if name in there]
    if wide:  # matplotlib takes a letter from the first one that has it
        return list(texts), {"fontfamily": ["DejaVu Sans", *wide]}
    return [text if text.isascii() else f"#{at}" for at, text in enumerate(texts, 1)], {}
