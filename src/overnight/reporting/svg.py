"""SVG by its elements. Whatever a text holds, it is escaped; colours come from the page's style."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from markupsafe import Markup, escape

#: The style has so many colours for lines; told apart by those who see no red or no green, too.
NUM_COLOURS = 8


def tag(name: str, *inner: object, **attributes: object) -> Markup:
    """An element. ``class_`` is ``class``, ``stroke_width`` is ``stroke-width``; None: left out."""
    text = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{escape(_short(value))}"'
        for key, value in attributes.items()
        if value is not None
    )
    if not inner:
        return Markup(f"<{name}{text}/>")
    return Markup(f"<{name}{text}>{''.join(str(escape(each)) for each in inner)}</{name}>")


def together(parts: Iterable[Markup]) -> Markup:
    """Elements one behind the other."""
    return Markup("").join(parts)


def drawing(width: float, height: float, label: str, parts: Iterable[Markup]) -> Markup:
    """A whole picture, as wide as the page lets it be; ``label`` is read to those who see none."""
    return tag(
        "svg",
        tag("title", label),
        *parts,
        viewBox=f"0 0 {_short(width)} {_short(height)}",
        # Letters that grow beyond those of the page look wrong.
        style=f"max-width:{width * 1.25:.0f}px",
        role="img",
        xmlns="http://www.w3.org/2000/svg",
    )


def text(x: float, y: float, words: object, anchor: str = "start", **attributes: object) -> Markup:
    """A line of text; ``anchor``: which of its ends, or its middle, is at ``x``."""
    return tag("text", words, x=x, y=y, text_anchor=anchor, **attributes)


def path(points: Sequence[tuple[float, float]]) -> str:
    """The ``d`` of a line through these points."""
    return "M" + "L".join(f"{_short(x)} {_short(y)}" for x, y in points)


def cut(words: str, num_columns: int) -> str:
    """``words`` in at most so many columns, Hangul taking two, with an ellipsis where cut."""
    used = 0
    for at, letter in enumerate(words):
        used += 1 if letter.isascii() else 2
        if used > num_columns:
            return words[: max(0, at - 1)] + "…"
    return words


def columns(words: str) -> int:
    """How wide a text is, in columns of which Hangul takes two."""
    return sum(1 if letter.isascii() else 2 for letter in words)


def _short(value: object) -> object:
    """A place to a tenth of a pixel: nobody sees more, and a page has thousands of them."""
    return f"{value:.1f}".removesuffix(".0") if isinstance(value, float) else value
