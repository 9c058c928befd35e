"""What a search varies: a range or a list of values for each parameter.

Free of torch, Optuna and of any task. Two vocabularies are read, and may be mixed: ours
(``{low, high, log, step}``, ``{choices: [...]}``) and that of W&B's sweeps (``{min, max,
distribution}``, ``{values: [...]}``, ``{value}``; tuning/distributions.py has its words).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, get_args

from overnight import yaml_tree
from overnight.errors import UserError, UserErrors
from overnight.tasks.base import Json
from overnight.yaml_tree import Node

if TYPE_CHECKING:
    from pydantic import BaseModel

#: What the values of a key are. ``other``: texts, switches, or several kinds.
Kind = Literal["int", "float", "other"]
#: Told of each value that a parameter may take at its ends: full key, value, and where it stands.
Check: TypeAlias = Callable[[str, Json, Node], None]
#: A float's own width; behind it are only the traces of a division.
_DIGITS = 12


@dataclass(frozen=True, slots=True)
class Range:
    """Numbers from ``low`` to ``high``, both included.

    Attributes:
        log: Drawn evenly over the exponent.
        step: Between two of them, counted from ``low``; None: any. With ``log`` what is drawn is
            rounded to one of them (:func:`rounded`).
        is_int: Whole numbers.
    """

    low: float
    high: float
    log: bool = False
    step: float | None = None
    is_int: bool = False


@dataclass(frozen=True, slots=True)
class Choice:
    """One of some values."""

    values: tuple[Json, ...]


Distribution: TypeAlias = Range | Choice


def read(
    node: Node,
    file: str,
    problems: list[UserError],
    *,
    above: str = "tuning.search_space",
    known: Mapping[str, Kind] | None = None,
    grid: bool = False,
    check: Check | None = None,
) -> dict[str, Distribution]:
    """A search space as a person wrote it; what is wrong with it is left out.

    Args:
        node: The table of the parameters.
        file: What errors name.
        problems: Every mistake is added here, by its line.
        above: The table's own key.
        known: Keys of the config that may be searched → what their values are. A bare key that
            occurs once is read as its full one. None: a script's, by whatever name.
        grid: Whether every point of it is to be tried: then each parameter needs its points.
        check: Told of both ends of each range, and of each choice.
    """
    from overnight.tuning.parameter import Reader

    return Reader(file, problems, known, grid, check).space(node, above)


def of(
    space: Mapping[str, Any], known: Mapping[str, Kind] | None = None
) -> dict[str, Distribution]:
    """A search space of Python's own values.

    Raises:
        UserErrors: Everything that is wrong with it.
    """
    problems: list[UserError] = []
    found = read(yaml_tree.of(space), "search_space", problems, above="search_space", known=known)
    if problems:
        raise UserErrors(problems)
    return found


def plain(space: Mapping[str, Distribution]) -> dict[str, Json]:
    """The way back: as :func:`read` takes it, and as it stands in a YAML file."""
    return {name: _plain(each) for name, each in space.items()}


def _plain(each: Distribution) -> Json:
    if isinstance(each, Choice):
        return {"choices": list(each.values)}
    number = int if each.is_int else float
    low, high = number(each.low), number(each.high)
    step = None if each.step is None else number(each.step)
    if each.log and step is not None:
        return {"min": low, "max": high, "q": step, "distribution": "q_log_uniform_values"}
    found: dict[str, Json] = {"low": low, "high": high}
    if each.log:
        found["log"] = True
    if step is not None:
        found["step"] = step
    return found


def rounded(each: Range, value: float) -> float:
    """The step of a logarithmic range that is nearest to what was drawn."""
    assert each.step is not None
    first, last = multiples(each.low, each.high, each.step)
    found = tidy(min(max(round(value / each.step), first), last) * each.step)
    return int(found) if each.is_int else found


def multiples(low: float, high: float, step: float) -> tuple[int, int]:
    """The first and the last multiple of ``step`` from ``low`` to ``high``."""
    slack = 10.0**-_DIGITS
    first, last = low / step, high / step
    return math.ceil(first - abs(first) * slack), math.floor(last + abs(last) * slack)


def tidy(value: float) -> float:
    """A number without the trace of a division: 0.30000000000000004 is 0.3."""
    return float(f"{value:.{_DIGITS}g}")


def points(each: Distribution, limit: int) -> list[Json] | None:
    """Its values in their order, ``limit`` at most; None where any number is one of them."""
    if isinstance(each, Choice):
        return list(each.values[:limit])
    num = _num_points(each)
    if num is None:
        return None
    values = (tidy(each.low + at * (each.step or 1)) for at in range(min(num, limit)))
    return [int(value) if each.is_int else value for value in values]


def num_points(space: Mapping[str, Distribution], limit: int) -> int | None:
    """The points of its grid, ``limit`` at most; None where it has none."""
    num = 1
    for each in space.values():
        of_each = len(each.values) if isinstance(each, Choice) else _num_points(each)
        if of_each is None:
            return None
        num *= of_each
    return min(num, limit)


def _num_points(each: Range) -> int | None:
    if not each.is_int and each.step is None:
        return None
    return math.floor((each.high - each.low) / (each.step or 1) + 1e-9) + 1


def kinds(parts: Mapping[str, type[BaseModel]]) -> dict[str, Kind]:
    """The keys of a config's parts, by their full names, and what their values are.

    Args:
        parts: ``{"train": ImageTrain}`` → ``{"train.lr": "float", "train.epochs": "int", …}``.
    """
    found: dict[str, Kind] = {}
    for part, schema in parts.items():
        for name, field in schema.model_fields.items():
            key = f"{part}.{name}"
            types = set(_types(field.annotation))
            inner = {each.__name__: each for each in types if hasattr(each, "model_fields")}
            for each in inner.values():
                found |= kinds({key: each})
            types -= {type(None), *inner.values()}
            if types <= {int, float} and types and not inner:
                found[key] = "float" if float in types else "int"
            else:
                found[key] = "other"
    return found


def _types(annotation: Any) -> Iterator[Any]:
    """The types of a union; of ``Literal["a"]`` the value itself, which is no type."""
    inner = get_args(annotation)
    if not inner or isinstance(annotation, type):
        yield annotation
    for each in inner:
        yield from _types(each)
