"""Fitting a text of several parts into a length: the least important parts fall away whole."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from overnight.alerts.trim import cut


@dataclass(frozen=True)
class Part:
    """A piece of a message.

    Attributes:
        text: The piece; an empty one is left out.
        rank: 0 stays; of the others the highest falls away first.
        shorten: How it is shortened; None: whole or not at all.
    """

    text: str
    rank: int = 0
    shorten: Callable[[str, int], str] | None = None


def fitted(parts: Sequence[Part], glue: str, most: int, least: int) -> str:
    """The parts joined, in at most ``most`` code points.

    Args:
        parts: In the order they are read.
        glue: What stands between two of them.
        most: The length. Above all, nothing is longer.
        least: What is left at the least of a part that can be shortened, before others fall away.
    """
    whole = [part for part in parts if part.text]
    kept = [_shortened(part, least) for part in whole]
    while len(glue.join(part.text for part in kept)) > most:
        last = max(range(len(kept)), key=lambda at: (kept[at].rank, at), default=0)
        if not kept or kept[last].rank == 0:
            break
        del kept[last], whole[last]
    for at, part in enumerate(whole):
        spare = most - len(glue.join(each.text for each in kept))
        if spare > 0:
            kept[at] = _shortened(part, len(kept[at].text) + spare)
    return cut(glue.join(part.text for part in kept), most)


def _shortened(part: Part, limit: int) -> Part:
    if part.shorten is None or len(part.text) <= limit:
        return part
    return replace(part, text=part.shorten(part.text, limit))
