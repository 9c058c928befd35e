"""What an expression can be worth before a script runs, and what is done with such values.

What cannot be known is said to be: :data:`UNKNOWN`, or a text with :data:`HOLE` in the places that
stay open (``f"fold_{i}.pt"``).
"""

from __future__ import annotations

import ast
import glob
import os
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from overnight.preflight.target.scope import Scope

#: Stands in a text for what only the running script knows. No path and no source holds it.
HOLE = "\ue000"
#: More than this many values for one name say nothing any more.
MAX_VALUES = 8
MAX_CHARS = 4096
_MAX_NUMBER = 1e18
#: A width in a format that would fill the memory.
HUGE = re.compile(r"\d{5}")


class _Unknown:
    """The one value that stands for none."""

    def __repr__(self) -> str:
        return "UNKNOWN"


UNKNOWN = _Unknown()


class PathText(str):
    """The text of a ``pathlib.Path``."""

    __slots__ = ()


@dataclass(frozen=True)
class Known:
    """A class of the script, as a value."""

    node: ast.ClassDef
    scope: Scope


@dataclass(frozen=True)
class Instance:
    """An object of a class of the script; ``given`` are the attributes its call named."""

    of: Known
    given: Mapping[str, Any] = field(default_factory=dict, hash=False, compare=False)


@dataclass(frozen=True)
class Options:
    """What ``parse_args`` gives: the script's options with the values of this run."""

    values: Mapping[str, Any] = field(hash=False)
    is_whole: bool = True


@dataclass(frozen=True)
class Values:
    """What an expression may be worth.

    Attributes:
        items: One value, or several where the way is not known.
        each: Whether every one of them will come up (a function called several times), rather
            than any one.
    """

    items: tuple[Any, ...] = (UNKNOWN,)
    each: bool = False

    @property
    def one(self) -> Any:
        """The value, where it is the only one and known."""
        return self.items[0] if len(self.items) == 1 else UNKNOWN

    @property
    def texts(self) -> tuple[str, ...]:
        """The texts among them."""
        return tuple(item for item in self.items if isinstance(item, str))

    @property
    def is_known(self) -> bool:
        """Whether none of them is unknown."""
        return UNKNOWN not in self.items


NOTHING = Values()


PATH_CLASSES = frozenset({
    "pathlib.Path", "pathlib.PurePath", "pathlib.PosixPath", "pathlib.WindowsPath",
})  # fmt: skip
CONSTANTS: dict[str, Any] = {
    "os.sep": os.sep,
    "os.path.sep": os.sep,
    "os.curdir": ".",
    "os.pardir": "..",
    "os.name": os.name,
    "sys.platform": sys.platform,
    "typing.TYPE_CHECKING": False,
}


def _join(*parts: Any) -> Any:
    texts = [part if isinstance(part, str) else HOLE for part in parts]
    return os.path.join(*texts) if texts and texts != [HOLE] else UNKNOWN


def _of_path(function: Callable[[str], Any]) -> Callable[[Any], Any]:
    return lambda path: function(path) if isinstance(path, str) else UNKNOWN


FUNCTIONS: dict[str, Callable[..., Any]] = {
    "os.path.join": _join,
    "os.path.dirname": _of_path(os.path.dirname),
    "os.path.basename": _of_path(os.path.basename),
    "os.path.normpath": _of_path(os.path.normpath),
    "os.path.splitext": _of_path(os.path.splitext),
    "os.fspath": _of_path(str),
    "str": lambda *parts: shown(parts[0]) if len(parts) == 1 else UNKNOWN,
    "int": lambda item: int(item) if isinstance(item, int | float | str) else UNKNOWN,
    "float": lambda item: float(item) if isinstance(item, int | float | str) else UNKNOWN,
    "bool": lambda item: UNKNOWN if truth_of(item) is None else truth_of(item),
    "torch.device": lambda *parts: ":".join(map(str, parts))
    if parts and all(isinstance(part, str | int) for part in parts) else UNKNOWN,
}  # fmt: skip


def path_member(path: PathText, name: str) -> Values:
    """An attribute of a path."""
    match name:
        case "parent":
            return Values((PathText(os.path.dirname(path) or "."),))
        case "name":
            return Values((os.path.basename(path),))
        case "stem":
            return Values((os.path.splitext(os.path.basename(path))[0],))
        case "suffix":
            return Values((os.path.splitext(path)[1],))
        case "parents":
            found, here = [], str(path)
            while (up := os.path.dirname(here)) not in (here, ""):
                found.append(PathText(up))
                here = up
            return Values((tuple(found),))
        case _:
            return NOTHING


def operate(operator: ast.operator, left: Any, right: Any) -> Any:
    """What an operator gives for two known or unknown values."""
    if isinstance(operator, ast.Div) and (
        isinstance(left, PathText) or isinstance(right, PathText)
    ):
        texts = [item if isinstance(item, str) else HOLE for item in (left, right)]
        return PathText(os.path.normpath(os.path.join(*texts)))
    if isinstance(operator, ast.Add):
        if isinstance(left, str) or isinstance(right, str):
            texts = [item if isinstance(item, str) else HOLE for item in (left, right)]
            joined = "".join(texts)
            return joined if len(joined) <= MAX_CHARS else UNKNOWN
        if isinstance(left, tuple) and isinstance(right, tuple) and len(left) + len(right) < 64:
            return left + right
    if isinstance(operator, ast.Mod) and isinstance(left, str) and not isinstance(right, PathText):
        try:
            is_known = isinstance(right, str | int | float | tuple) and not any(
                part is UNKNOWN for part in _flat(right)
            )
            if is_known and not HUGE.search(left):
                return left % right
        except (TypeError, ValueError, OverflowError):
            pass
        return UNKNOWN
    if isinstance(left, int | float) and isinstance(right, int | float):
        return _calculate(operator, left, right)
    return UNKNOWN


def _calculate(operator: ast.operator, left: float, right: float) -> Any:
    if max(abs(left), abs(right)) > _MAX_NUMBER:
        return UNKNOWN
    try:
        match operator:
            case ast.Add():
                return left + right
            case ast.Sub():
                return left - right
            case ast.Mult():
                return left * right
            case ast.FloorDiv():
                return left // right
            case ast.Div():
                return left / right
            case _:
                return UNKNOWN
    except (ZeroDivisionError, OverflowError):
        return UNKNOWN


def _flat(item: Any) -> tuple[Any, ...]:
    return item if isinstance(item, tuple) else (item,)


def either(*results: Values) -> Values:
    """All that any of these may be."""
    items = unique([item for result in results for item in result.items])
    if len(items) > MAX_VALUES:
        return NOTHING
    return Values(tuple(items), any(result.each for result in results))


def unique(items: Sequence[Any]) -> list[Any]:
    """The items, each once; ``1`` and ``True`` are two."""
    found: list[Any] = []
    for item in items:
        if not any(item is other or (type(item) is type(other) and item == other)
                   for other in found):  # fmt: skip
            found.append(item)
    return found


def truth_of(item: Any) -> bool | None:
    """Whether a value counts as true; None where that is open."""
    if isinstance(item, Known | Instance | Options):
        return True
    if item is UNKNOWN or (isinstance(item, str) and HOLE in item and not item.strip(HOLE)):
        return None
    return bool(item)


def shown(item: Any) -> str:
    """An item inside an f-string."""
    if isinstance(item, str):
        return str(item)
    return str(item) if isinstance(item, int | float) else HOLE


def formatted(item: Any, spec: str) -> str:
    """An item inside an f-string, by its format."""
    try:
        is_fine = isinstance(item, str | int | float) and not HUGE.search(spec)
        return format(item, spec) if is_fine else HOLE
    except (ValueError, OverflowError):
        return HOLE


def is_plain_value(item: Any) -> bool:
    """Whether a value is wholly known and can be compared."""
    if isinstance(item, tuple):
        return all(is_plain_value(part) for part in item)
    if isinstance(item, str):
        return HOLE not in item
    return item is None or isinstance(item, int | float | bool)


def has(whole: Any, index: Any) -> bool:
    """Whether a sequence has an item of this index."""
    return (
        isinstance(whole, tuple | str)
        and isinstance(index, int)
        and -len(whole) <= index < len(whole)
    )


def holes_as_pattern(text: str) -> str:
    """A text with holes as a file pattern."""
    return "*".join(glob.escape(part) for part in text.split(HOLE))
