"""A range as it was written: its ends, its steps, and everything that can be wrong with them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from overnight import yaml_tree
from overnight.errors import UserError
from overnight.tuning.distributions import OWN
from overnight.tuning.space import Kind, Range, multiples, tidy
from overnight.yaml_tree import Node

#: e to the power of more is no float.
_MAX_EXPONENT = 690
#: Larger whole numbers are none of a float's.
_MAX_WHOLE = 2**53
_SHOWN_CHARS = 40


@dataclass(frozen=True, slots=True)
class Written:
    """A parameter's description.

    Attributes:
        name: Its full name, for errors.
        at: Where it stands.
        values: Its keys by W&B's words (``min`` for ``low``), and what they hold.
        words: The same keys → what the person wrote for them.
        file: What errors name.
        problems: Where they go.
    """

    name: str
    at: Node
    values: Mapping[str, Node]
    words: Mapping[str, str]
    file: str
    problems: list[UserError]

    def wrong(
        self, sentence: str, key: str = "", node: Node | None = None, **fields: object
    ) -> None:
        """Notes a mistake: of the whole, or at one of its keys."""
        name = f"{self.name}.{self.words.get(key, key)}" if key else self.name
        at = node or self.values.get(key, self.at)
        self.problems.append(
            UserError(sentence, where=yaml_tree.place(self.file, at, name), **fields)
        )


def read(at: Written, word: str, kind: Kind) -> Range | None:
    """The range; None where it has mistakes.

    Args:
        at: Its description, which has all keys that the distribution needs and no others.
        word: The distribution.
        kind: What the key's values are.
    """
    before = len(at.problems)
    low, high, step, q = (_number(at, key) for key in ("min", "max", "step", "q"))
    log = _switch(at, "log") if word == OWN else "log_uniform" in word
    if len(at.problems) > before:
        return None
    assert low is not None
    assert high is not None
    if low >= high:
        at.wrong("sweep.range_empty", low=shown(low), high=shown(high))
        return None
    if word.startswith("q_"):
        q = 1 if q is None else q
        is_int = kind == "int" or (kind == "other" and isinstance(q, int))
    elif word == OWN:
        # As in W&B's: what is written without a point is whole.
        whole = all(isinstance(each, int) for each in (low, high, step) if each is not None)
        is_int = kind == "int" or (kind == "other" and whole)
    else:
        is_int = kind == "int" or word == "int_uniform"
    if "log_uniform" in word and not word.endswith("values"):
        ends = _of_exponents(at, word, low, high)
        if ends is None:
            return None
        low, high = (math.ceil(ends[0]), math.floor(ends[1])) if is_int else ends
    if log and low <= 0:
        at.wrong("sweep.log_zero", "min", low=shown(low))
    elif q is not None:
        return _by_q(at, low, high, q, log, is_int)
    elif is_int and not (_is_whole(low) and _is_whole(high)):
        at.wrong("sweep.whole", low=shown(low), high=shown(high))
    elif step is None or _steps_fit(at, low, high, step, log, is_int):
        number = int if is_int else float
        return Range(number(low), number(high), log, step, is_int)
    return None


def _of_exponents(at: Written, word: str, low: float, high: float) -> tuple[float, float] | None:
    """The ends of a range that is given by its exponents, to base e."""
    if low >= 0 and high <= 1:
        # Whoever writes 0.0001 to 0.1 means these values, and would search 1.0001 to 1.105.
        at.wrong("sweep.exponents", low=shown(low), high=shown(high),
                 first=f"{math.exp(low):.4g}", last=f"{math.exp(high):.4g}")  # fmt: skip
        return None
    if max(abs(low), abs(high)) > _MAX_EXPONENT:
        at.wrong("sweep.exponent_large", low=shown(low), high=shown(high))
        return None
    if word.startswith("inv_"):  # log(1/X) = -log(X)
        low, high = -high, -low
    return tidy(math.exp(low)), tidy(math.exp(high))


def _by_q(at: Written, low: float, high: float, q: float, log: bool, is_int: bool) -> Range | None:
    """The multiples of ``q`` within a range."""
    if not _is_step(at, "q", q, is_int):
        return None
    first, last = multiples(low, high, q)
    if first >= last:
        at.wrong("sweep.step_large", "q", step=shown(q), low=shown(low), high=shown(high))
        return None
    return Range(tidy(first * q), tidy(last * q), log, q, is_int)


def _steps_fit(at: Written, low: float, high: float, step: float, log: bool, is_int: bool) -> bool:
    """Whether steps lead from one end of a range to the other."""
    if not _is_step(at, "step", step, is_int):
        return False
    if log:
        at.wrong("sweep.log_step", "step", step=shown(step))
        return False
    _, num = multiples(0, high - low, step)
    reached = tidy(low + num * step)
    if num < 1:
        at.wrong("sweep.step_large", "step", step=shown(step), low=shown(low), high=shown(high))
    elif not math.isclose(reached, high, rel_tol=1e-9, abs_tol=step * 1e-9):
        at.wrong("sweep.step_apart", "step", step=shown(step), high=shown(high),
                 reached=shown(reached))  # fmt: skip
    else:
        return True
    return False


def _is_step(at: Written, key: str, step: float, is_int: bool) -> bool:
    if step <= 0:
        at.wrong("sweep.step_positive", key, step=shown(step))
    elif is_int and not _is_whole(step):
        at.wrong("sweep.step_whole", key, step=shown(step))
    else:
        return True
    return False


def _number(at: Written, key: str) -> int | float | None:
    node = at.values.get(key)
    if node is None:
        return None
    value = node.data() if node.kind in ("int", "float") else None
    if isinstance(value, int) and abs(value) <= _MAX_WHOLE:
        return value
    if isinstance(value, float) and math.isfinite(value):
        return value
    at.wrong("sweep.number" if value is None else "sweep.finite", key, got=text_of(node))
    return None


def _switch(at: Written, key: str) -> bool:
    node = at.values.get(key)
    if node is not None and node.kind != "bool":
        at.wrong("sweep.switch", key, got=text_of(node))
    return node is not None and node.kind == "bool" and node.data() is True


def _is_whole(value: float) -> bool:
    return float(value).is_integer()


def shown(value: float) -> str:
    """A number as a person writes it."""
    return f"{value:g}" if isinstance(value, float) else str(value)


def text_of(node: Node) -> str:
    """What stands there, for an error about it."""
    return node.text[:_SHOWN_CHARS] if node.is_scalar else f"[{node.kind}]"
