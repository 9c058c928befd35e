"""A word becomes a class: from a row of a table of ours, or from another package's entry point.

A row is ``"word": "package.module:Name"``; nothing is imported before its word is asked for. Ours
win over entry points of the same name.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from importlib import import_module
from typing import TYPE_CHECKING, Any

from overnight.errors import UserError

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint, EntryPoints


def find(group: str, word: str, rows: Mapping[str, str]) -> Any | None:
    """What ``word`` stands for; None if nobody has it.

    Args:
        group: The entry point group of this kind, ``overnight.channels`` and the like.
        word: The name asked for.
        rows: Our own members.

    Raises:
        UserError: A plug-in has this word and cannot be imported.
    """
    row = rows.get(word)
    if row is not None:
        module, _, name = row.partition(":")
        return getattr(import_module(module), name)
    for point in _points(group).select(name=word):
        return _load(point)
    return None


def words(group: str, rows: Mapping[str, str]) -> list[str]:
    """Every word that stands for something, ours first; nothing of it is imported."""
    return list(dict.fromkeys([*rows, *(point.name for point in _points(group))]))


def _points(group: str) -> EntryPoints:
    # 20 ms to import, which the agent need not pay at its start.
    from importlib.metadata import entry_points

    return entry_points(group=group)


def _load(point: EntryPoint) -> Any:
    try:
        return point.load()
    except Exception as error:  # whatever a foreign module raises while it is imported
        package = point.dist.name if point.dist else point.value
        why = f"{type(error).__name__}: {error}"
        raise UserError("plugin.broken", where=point.value, package=package, why=why) from error


def nearest(word: str, candidates: Iterable[str]) -> str | None:
    """The candidate that ``word`` was probably meant to be, or None."""
    word, known = word.lower(), list(candidates)
    swapped = [each for each in known if sorted(each) == sorted(word)]  # modle: model, not mode
    found = [get_close_matches(word, each, n=1, cutoff=0.7) for each in (swapped, known)]
    return next((each[0] for each in found if each), None)
