"""The data set's card: what it holds, for people (Markdown, two pictures) and programs (JSON).

Pictures are drawn with Pillow alone. Where no font of the machine has Hangul, a Korean class shows
its number instead of empty boxes.
"""

from __future__ import annotations

import functools
import hashlib
import json
import statistics
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from overnight.messages import say
from overnight.tasks.base import DataIndex, Example, Json
from overnight.tasks.image_classification.images import Look, pixels

if TYPE_CHECKING:
    from PIL.Image import Image
    from PIL.ImageFont import FreeTypeFont, ImageFont

#: More of them nobody looks at; the card's JSON has all.
_MAX_SHOWN_CLASSES = 60
_MAX_SAMPLED_CLASSES = 20
_SAMPLES = 8
_TILE_PX = 96
_GAP_PX = 6
_LABEL_PX = 150
_TEXT_PX = 14
_BAR_PX, _BAR_ROW_PX = 420, 22
_INK, _PAPER, _BAR, _GREY = (33, 37, 41), (255, 255, 255), (66, 99, 235), (222, 226, 230)
_HANGUL_FONTS = (
    "NotoSansCJK-Regular.ttc", "NotoSansKR-Regular.otf", "NotoSansKR-Regular.ttf",
    "NanumGothic.ttf", "NanumBarunGothic.ttf", "malgun.ttf", "AppleSDGothicNeo.ttc", "UnDotum.ttf",
)  # fmt: skip


def make(
    index: DataIndex, word: str, looks: Sequence[Look], left_out: Sequence[tuple[str, str]]
) -> dict[str, Json]:
    """The card of an index.

    Args:
        index: Its own card is not looked at.
        word: The format it was read as.
        looks: What is known of each of its examples' images.
        left_out: ID and reason of each that cannot be used.
    """
    counts = Counter(example.target for example in index.examples)
    num = len(index.examples)
    classes: list[Json] = [
        {"index": i, "name": name, "images": counts[i], "share": round(counts[i] / max(1, num), 6)}
        for i, name in enumerate(index.labels)
    ]
    problems: list[Json] = [
        {
            "key": each.key, "num": each.num, "stops": each.stops, "examples": list(each.examples),
            "text": say(each.key, **each.fields),
        }
        for each in index.problems
    ]  # fmt: skip
    return {
        "schema": 1,
        "format": word,
        "fingerprint": index.fingerprint,
        "images": num,
        "to_predict": len(index.unlabelled),
        "bytes": sum(look.num_bytes for look in looks),
        "classes": classes,
        "width_px": _spread([look.width for look in looks]),
        "height_px": _spread([look.height for look in looks]),
        "aspect": _spread([round(look.width / look.height, 4) for look in looks]),
        "modes": _counted(look.mode for look in looks),
        "file_formats": _counted(look.format for look in looks),
        "groups": len({e.group for e in index.examples if e.group is not None}),
        "problems": problems,
        "left_out": [{"id": id, "why": why} for id, why in left_out],
    }


def write(index: DataIndex, folder: Path) -> list[Path]:
    """Writes ``card.json``, ``card.md``, ``histogram.png`` and ``samples.png``.

    Returns:
        The files.

    Raises:
        BadImageError: A sample vanished since it was checked.
    """
    folder.mkdir(parents=True, exist_ok=True)
    files = {
        name: folder / name for name in ("card.json", "card.md", "histogram.png", "samples.png")
    }
    files["card.json"].write_text(json.dumps(index.card, indent=1) + "\n", encoding="utf-8")
    files["card.md"].write_text(as_markdown(index.card), encoding="utf-8", errors="replace")
    draw_histogram(index).save(files["histogram.png"])
    draw_samples(index).save(files["samples.png"])
    return list(files.values())


def as_markdown(card: Mapping[str, Json]) -> str:
    """The card as a page for people."""
    facts = [
        ("data.card.images", f"{card['images']:,}"),
        ("data.card.to_predict", f"{card['to_predict']:,}"),
        ("data.card.classes", str(len(_list(card["classes"])))),
        ("data.card.format", str(card["format"])),
        ("data.card.size", _size_text(card)),
        ("data.card.aspect", _spread_text(card["aspect"])),
        ("data.card.modes", _counted_text(card["modes"])),
        ("data.card.file_formats", _counted_text(card["file_formats"])),
        ("data.card.bytes", _bytes_text(int(str(card["bytes"])))),
        ("data.card.fingerprint", f"`{card['fingerprint']}`"),
    ]
    lines = [f"# {say('data.card.title')}", "", "| | |", "|---|---|"]
    lines += [f"| {say(key)} | {_cell(value)} |" for key, value in facts]
    lines += ["", f"## {say('data.card.classes')}", ""]
    lines += [f"| | {say('data.card.class')} | {say('data.card.images')} | |", "|---|---|---|---|"]
    for each in _list(card["classes"]):
        assert isinstance(each, dict)
        share = float(str(each["share"]))
        lines.append(
            f"| {each['index']} | {_cell(str(each['name']))} | {each['images']:,} | {share:.1%} |"
        )
    lines += ["", "![](histogram.png)", "", "![](samples.png)"]
    if problems := _list(card["problems"]):
        lines += ["", f"## {say('data.card.problems')}", ""]
        for found in problems:
            assert isinstance(found, dict)
            lines.append(f"- {found['text']}")
            lines += [f"  - `{str(one).replace('`', chr(39))}`" for one in _list(found["examples"])]
    return "\n".join(lines) + "\n"


def draw_histogram(index: DataIndex) -> Image:
    """How many images each class has."""
    from PIL import Image, ImageDraw

    counts = Counter(example.target for example in index.examples)
    rows = list(enumerate(index.labels))
    left_out = max(0, len(rows) - _MAX_SHOWN_CLASSES)
    if left_out:
        # The largest and the smallest are what one looks for.
        rows.sort(key=lambda row: -counts[row[0]])
        half = _MAX_SHOWN_CLASSES // 2
        rows = [*rows[:half], *rows[-half:]]
    most = max(counts.values(), default=1)
    height = _GAP_PX * 2 + _BAR_ROW_PX * (len(rows) + bool(left_out))
    picture = Image.new("RGB", (_LABEL_PX + _BAR_PX + 90, height), _PAPER)
    draw = ImageDraw.Draw(picture)
    top = _GAP_PX
    for place, (i, name) in enumerate(rows):
        if left_out and place == len(rows) // 2:
            draw.text((_LABEL_PX, top + 2), f"… +{left_out} …", _INK, _font())
            top += _BAR_ROW_PX
        width = round(_BAR_PX * counts[i] / most)
        _write(draw, (_GAP_PX, top + 2), name, i, _LABEL_PX - 2 * _GAP_PX)
        draw.rectangle((_LABEL_PX, top + 3, _LABEL_PX + _BAR_PX, top + _BAR_ROW_PX - 4), _GREY)
        if width:
            draw.rectangle((_LABEL_PX, top + 3, _LABEL_PX + width, top + _BAR_ROW_PX - 4), _BAR)
        draw.text((_LABEL_PX + _BAR_PX + 8, top + 2), f"{counts[i]:,}", _INK, _font())
        top += _BAR_ROW_PX
    return picture


def draw_samples(index: DataIndex) -> Image:
    """Some images of each class, always the same ones of the same data."""
    from PIL import Image, ImageDraw

    of_class: dict[int, list[Example]] = {i: [] for i in range(len(index.labels))}
    for example in index.examples:
        assert isinstance(example.target, int)
        of_class[example.target].append(example)
    shown = [i for i, examples in of_class.items() if examples][:_MAX_SAMPLED_CLASSES]
    row_px = _TILE_PX + _GAP_PX
    size = (_LABEL_PX + _SAMPLES * row_px, _GAP_PX + row_px * len(shown))
    picture = Image.new("RGB", size, _PAPER)
    draw = ImageDraw.Draw(picture)
    for row, i in enumerate(shown):
        top = _GAP_PX + row * row_px
        _write(
            draw, (_GAP_PX, top + _TILE_PX // 2 - 8), index.labels[i], i, _LABEL_PX - 2 * _GAP_PX
        )
        for column, example in enumerate(sorted(of_class[i], key=_drawn)[:_SAMPLES]):
            tile = Image.fromarray(pixels(example, _TILE_PX))
            # Small ones are shown enlarged as they are, pixel by pixel.
            scale = _TILE_PX / max(tile.size)
            wanted = (max(1, round(tile.width * scale)), max(1, round(tile.height * scale)))
            how = Image.Resampling.NEAREST if scale > 1 else Image.Resampling.BICUBIC
            tile = tile.resize(wanted, how)
            left = _LABEL_PX + column * row_px
            picture.paste(
                tile, (left + (_TILE_PX - wanted[0]) // 2, top + (_TILE_PX - wanted[1]) // 2)
            )
    return picture


def _drawn(example: Example) -> bytes:
    """An order that has nothing to do with the files' names, and stays."""
    return hashlib.sha256(example.id.encode("utf-8", "surrogatepass")).digest()


def _write(draw: object, at: tuple[int, int], name: str, index: int, width: int) -> None:
    """A class's name in one line, cut where it is too long, its number where no font has it."""
    from PIL.ImageDraw import ImageDraw

    assert isinstance(draw, ImageDraw)
    font = _font()
    text = name if name.isascii() or _hangul_font() is not None else f"#{index}"
    while text and draw.textlength(text, font) > width:
        text = text[:-2].rstrip() + "…" if len(text) > 2 else ""
    draw.text(at, text, _INK, font)


@functools.cache
def _font() -> FreeTypeFont | ImageFont:
    from PIL import ImageFont

    hangul = _hangul_font()
    return ImageFont.truetype(hangul, _TEXT_PX) if hangul else ImageFont.load_default(_TEXT_PX)


@functools.cache
def _hangul_font() -> str | None:
    from PIL import ImageFont

    for name in _HANGUL_FONTS:
        try:
            # Pillow looks through the system's folders of fonts by itself.
            ImageFont.truetype(name, _TEXT_PX)
        except OSError:
            continue
        return name
    return None


def _spread(values: Sequence[float]) -> Json:
    if not values:
        return None
    return {"min": min(values), "median": statistics.median(values), "max": max(values)}


def _counted(values: object) -> dict[str, Json]:
    assert hasattr(values, "__iter__")
    return dict(Counter(map(str, values)).most_common())


def _spread_text(spread: Json) -> str:
    if not isinstance(spread, dict):
        return "–"
    low, middle, high = (f"{float(str(spread[key])):,.4g}" for key in ("min", "median", "max"))
    return low if low == high else f"{low} · {middle} · {high}"


def _size_text(card: Mapping[str, Json]) -> str:
    return f"{_spread_text(card['width_px'])} × {_spread_text(card['height_px'])} px"


def _bytes_text(num_bytes: int) -> str:
    return f"{num_bytes / 1e6:,.1f} MB" if num_bytes >= 1e5 else f"{num_bytes / 1e3:,.1f} kB"


def _counted_text(counted: Json) -> str:
    assert isinstance(counted, dict)
    return ", ".join(f"{key} {num:,}" for key, num in counted.items()) or "–"


def _list(value: Json) -> list[Json]:
    assert isinstance(value, list)
    return value


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
