"""A rule: one sentence about a number, that somebody wants to be told of when it becomes true.

::

    rule       = condition [hold]
    condition  = name operator number [unit]        val_f1 > 0.9    disk_free < 5 GiB
               | name operator number "x median"    epoch_time > 2x median
               | name "is" ["not"] special          loss is nan     loss is not finite
               | "no new" turn ["of" name] hold     no new best for 5 epochs
    operator   = ">" | ">=" | "<" | "<=" | "==" | "!="
    special    = "nan" | "inf" | "finite"
    turn       = "best" | "highest" | "lowest"
    hold       = "for" number (time | "epochs" | "steps")

A name is written as it is logged, slashes, dots and dashes included; one with spaces stands in
quotes. Words of the grammar may be written in any case. The text is read by hand, character by
character: nothing in it is ever evaluated. One file: the grammar, its spelling and what it
refuses are three sides of one thing.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Literal

from overnight.alerts import names
from overnight.errors import UserError

Kind = Literal["compare", "median", "is", "no_new"]
#: ``time`` in seconds, ``size`` in MiB.
Dimension = Literal["time", "size", "share", "temperature"]

MAX_CHARS = 200
_OPERATORS = (">=", "<=", "==", "!=", ">", "<")
_OTHER_OPERATORS = {"≥": ">=", "≤": "<=", "≠": "!="}
#: What people type for one, in the order in which it must be looked for.
_MISSPELLED = {
    "=>": ">=", "=<": "<=", "<>": "!=", "=": "==", "!": "!=",
    "above": ">", "over": ">", "greater": ">", "exceeds": ">", "gt": ">", "more": ">",
    "below": "<", "under": "<", "less": "<", "lt": "<", "equals": "==", "eq": "==",
    "초과": ">", "이상": ">=", "미만": "<", "이하": "<=",
}  # fmt: skip
_SPECIALS = ("nan", "inf", "finite")
_TURNS = ("best", "highest", "lowest")
#: Canonical unit → its dimension and how much of the dimension's own unit it is.
_UNITS: Mapping[str, tuple[Dimension, float]] = {
    "ms": ("time", 1e-3), "s": ("time", 1.0), "min": ("time", 60.0), "h": ("time", 3600.0),
    "d": ("time", 86400.0),
    "KiB": ("size", 2.0**-10), "MiB": ("size", 1.0), "GiB": ("size", 2.0**10),
    "TiB": ("size", 2.0**20),
    "KB": ("size", 1e3 / 2**20), "MB": ("size", 1e6 / 2**20), "GB": ("size", 1e9 / 2**20),
    "TB": ("size", 1e12 / 2**20),
    "%": ("share", 0.01), "°C": ("temperature", 1.0),
}  # fmt: skip
#: What people write for a unit, in lower case.
_UNIT_WORDS = {
    **{unit.lower(): unit for unit in _UNITS},
    "sec": "s", "secs": "s", "second": "s", "seconds": "s", "초": "s",
    "m": "min", "mins": "min", "minute": "min", "minutes": "min", "분": "min",
    "hr": "h", "hrs": "h", "hour": "h", "hours": "h", "시간": "h",
    "day": "d", "days": "d", "일": "d",
    "percent": "%", "c": "°C", "℃": "°C",
    "epoch": "epochs", "epochs": "epochs", "에폭": "epochs", "에포크": "epochs",
    "step": "steps", "steps": "steps", "iterations": "steps", "스텝": "steps",
}  # fmt: skip
_COUNTED = ("epochs", "steps")
#: The dimension of a number of the machine, and the units that are offered where one is wrong.
_MEASURES: Mapping[str, tuple[Dimension | None, str]] = {
    "%": ("share", "%"), "MiB": ("size", "MiB, GiB"), "°C": ("temperature", "°C"),
    "count": (None, "–"),
}  # fmt: skip
_JOINERS = ("and", "or", "&", "|", ",", ";", "그리고", "또는")
#: A training is over in a month; more epochs than this nobody waits for.
_MAX_HOLD_S = 30 * 86400.0
_MAX_HOLD_COUNT = 1e6

_SPACE = re.compile(r"\s*")
# What may stand in a name besides letters and digits of any language.
_NAME = re.compile(r"(?:\d[\w./@-]*)?[^\W\d](?:[\w./@:()\[\]-]*[\w)\]])?")
_NUMBER = re.compile(r"[-+]?(?:\d+(?:\.\d*)?|\.\d+)(?:e[-+]?\d+)?", re.IGNORECASE | re.ASCII)
_WORD = re.compile(r"[^\W\d_]+|%|°\s?[cC]|℃|[^\s\w]|\w+")
_NO_NEW = re.compile(r"no\s+new\b", re.IGNORECASE)
_CONTROL = re.compile("[\x00-\x08\x0e-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


@dataclass(frozen=True)
class Rule:
    """One condition, as it was written.

    Attributes:
        kind: ``compare`` with a number, ``median``: with a multiple of the usual, ``is`` (not) a
            number, or ``no_new`` best value.
        name: As written; empty for the run's main number.
        op: An operator; for ``is``: ``nan``, ``inf``, ``finite``, or one of them behind ``not ``;
            for ``no_new``: ``best``, ``highest`` or ``lowest``.
        number: What it is compared with, or how many times the median; in ``unit``.
        unit: Empty, or one of the units above.
        hold: How long it must have been so; 0: not at all. For ``no_new`` how long there was none.
        hold_unit: ``s``, ``min``, ``h``, ``d``, ``ms``, ``epochs``, ``steps``, or empty.
    """

    kind: Kind
    name: str
    op: str
    number: float = 0.0
    unit: str = ""
    hold: float = 0.0
    hold_unit: str = ""

    @property
    def text(self) -> str:
        """The rule in its canonical spelling: ``parse`` reads it back."""
        words = []
        if self.kind == "no_new":
            words += ["no new", self.op]
            if self.name:
                words += ["of", _quoted(self.name)]
        elif self.kind == "is":
            words += [_quoted(self.name), "is", self.op]
        elif self.kind == "median":
            words += [_quoted(self.name), self.op, _spell(self.number) + "x median"]
        else:
            unit = self.unit if self.unit in ("", "%") else " " + self.unit
            words += [_quoted(self.name), self.op, _spell(self.number) + unit]
        if self.hold_unit:
            words += ["for", _spell(self.hold), self.hold_unit]
        return " ".join(words)

    @property
    def limit(self) -> float:
        """The number it is compared with, in the dimension's own unit: s, MiB, °C, a share."""
        return self.number * _UNITS[self.unit][1] if self.unit else self.number

    @property
    def hold_s(self) -> float | None:
        """How long it must have been so, in seconds; None where that is counted or not asked."""
        if not self.hold_unit or self.hold_unit in _COUNTED:
            return None
        return self.hold * _UNITS[self.hold_unit][1]

    @property
    def is_of_system(self) -> bool:
        """Whether it is about the job's machine and not about what the job logs."""
        return names.system_value(self.name) is not None


def parse(text: str, *, where: str = "") -> Rule:
    """The rule that a text says.

    Args:
        text: The rule.
        where: The file and line, or the option, that holds it; the text itself by default.

    Raises:
        UserError: It is none: which character, what was expected there, what was meant perhaps.
    """
    return _Reader(text, where or text.strip()[:MAX_CHARS]).rule()


class _Reader:
    """Reads one rule from left to right."""

    def __init__(self, text: str, where: str) -> None:
        self.text = text
        self.where = where
        self.at = 0

    def rule(self) -> Rule:
        if not self.text.strip():
            raise self.error("rule.empty")
        if len(self.text) > MAX_CHARS:
            raise self.error("rule.too_long", limit=MAX_CHARS)
        control = _CONTROL.search(self.text)
        if control is not None:
            raise self.error("rule.control", at=control.start() + 1)
        self.skip()
        found = _NO_NEW.match(self.text, self.at)
        if found is not None:
            self.at = found.end()
            rule = self.no_new()
        else:
            rule = self.condition()
        self.skip()
        if self.at < len(self.text):
            word = self.peek()
            self.check_one_condition(word)
            near = _near(word, ["for"])
            if near:
                raise self.error("rule.near", at=self.at + 1, found=word, near=near)
            raise self.error("rule.too_much", at=self.at + 1, found=word)
        return rule

    def no_new(self) -> Rule:
        turn = self.word(_TURNS, "rule.no_new_expected")
        self.skip()
        name = ""
        if self.peek().lower() == "of":
            self.at += 2
            name = self.name()
        if names.system_value(name) is not None:
            raise self.error("rule.no_new_system", name=name)
        if turn != "best" and not name:
            raise self.error("rule.no_new_of", turn=turn)
        if turn == "best" and name and names.better(name) is None:
            raise self.error("rule.no_direction", name=_quoted(name))
        hold, hold_unit = self.hold()
        if not hold_unit:
            raise self.error("rule.no_new_hold", turn=turn)
        return Rule("no_new", name, turn, hold=hold, hold_unit=hold_unit)

    def condition(self) -> Rule:
        start = self.at
        name = self.name()
        self.skip()
        if name.lower() == "no" and self.peek().lower() == "new":  # `no "new`, and its like
            raise self.error("rule.no_new_expected", at=start + 1, found=name)
        word = self.peek()
        if word.lower() == "is":
            self.at += 2
            return self.special(name)
        op = self.operator(name, word)
        self.skip()
        number = self.number()
        self.skip()
        unit_at, word = self.at, self.peek()
        if word.lower() in ("x", "×", "*", "times"):
            self.at += len(word)
            self.word(("median",), "rule.median_expected")
            if not number > 0:
                raise self.error("rule.median_positive")
            hold, hold_unit = self.hold(name)
            return Rule("median", name, op, number, hold=hold, hold_unit=hold_unit)
        unit = ""
        if word and word.lower() != "for" and (word[0].isalpha() or word[0] in "%°℃"):
            unit = self.unit()
        self.check_unit(name, unit, unit_at)
        hold, hold_unit = self.hold(name)
        return Rule("compare", name, op, number, unit, hold, hold_unit)

    def special(self, name: str) -> Rule:
        self.skip()
        negated = self.peek().lower() == "not"
        if negated:
            self.at += 3
        word = self.word(_SPECIALS, "rule.special_expected")
        hold, hold_unit = self.hold(name)
        op = ("not " if negated else "") + word
        return Rule("is", name, op, hold=hold, hold_unit=hold_unit)

    # ── pieces ──────────────────────────────────────────────────────────────────────────

    def name(self) -> str:
        self.skip()
        quote = self.text[self.at : self.at + 1]
        if quote in ('"', "'", "`") and quote:
            end = self.text.find(quote, self.at + 1)
            if end < 0:
                raise self.error("rule.quote_open", at=self.at + 1)
            inside = self.text[self.at + 1 : end]
            name = " ".join(inside.split())
            if not name or ('"' in name and "'" in name):
                raise self.error("rule.name_expected", at=self.at + 1, found=inside or quote)
            self.at = end + 1
            return name
        found = _NAME.match(self.text, self.at)
        if found is None:
            raise self.error("rule.name_expected", at=self.at + 1, found=self.peek() or "–")
        self.at = found.end()
        return found[0]

    def operator(self, name: str, word: str) -> str:
        if not word:
            raise self.error("rule.operator_missing", name=_quoted(name))
        for misspelled, near in _MISSPELLED.items():
            # `==` begins with `=`, and `!=` with `!`: those are right.
            if self.rest().lower().startswith(misspelled) and self.rest()[:2] not in _OPERATORS:
                raise self.error("rule.near", at=self.at + 1, found=misspelled, near=near)
        for op in (*_OPERATORS, *_OTHER_OPERATORS):
            if self.rest().startswith(op):
                self.at += len(op)
                return _OTHER_OPERATORS.get(op, op)
        near = _near(word, ["is"])
        if near:
            raise self.error("rule.near", at=self.at + 1, found=word, near=near)
        raise self.error("rule.operator_expected", at=self.at + 1, found=word)

    def number(self) -> float:
        found = _NUMBER.match(self.text, self.at)
        if found is None:
            word = self.peek()
            if word.lower() in _SPECIALS:
                raise self.error("rule.near", at=self.at + 1, found=word, near="is " + word.lower())
            raise self.error("rule.number_expected", at=self.at + 1, found=word or "–")
        number = float(found[0])
        if not math.isfinite(number):
            raise self.error("rule.number_large", at=self.at + 1, found=found[0])
        self.at = found.end()
        return number or 0.0  # -0 is 0

    def unit(self) -> str:
        word = self.peek()
        unit = _UNIT_WORDS.get(word.lower().replace(" ", ""))
        if unit is None:
            self.check_one_condition(word)
            known = [*_UNITS, "median", "for", *_COUNTED]
            near = _near(word, known)
            if near:
                raise self.error("rule.near", at=self.at + 1, found=word, near=near)
            raise self.error("rule.unit_unknown", at=self.at + 1, found=word)
        self.at += len(word)
        return unit

    def hold(self, name: str = "") -> tuple[float, str]:
        """``for 10 min``; (0, "") where there is none. ``name``: what it is about."""
        self.skip()
        if self.peek().lower() != "for":
            return 0.0, ""
        self.at += 3
        self.skip()
        start = self.at
        hold = self.number()
        self.skip()
        if not self.peek():
            raise self.error("rule.hold_unit", number=_spell(hold))
        at, unit = self.at, self.unit()
        is_counted = unit in _COUNTED
        if not is_counted and _UNITS[unit][0] != "time":
            raise self.error("rule.hold_expected", at=at + 1, found=self.text[at : self.at])
        most = _MAX_HOLD_COUNT if is_counted else _MAX_HOLD_S / _UNITS[unit][1]
        if not 0 < hold <= most or (is_counted and hold != int(hold)):
            raise self.error("rule.hold_range", at=start + 1, found=_spell(hold) + " " + unit)
        if is_counted and names.system_value(name) is not None:
            raise self.error("rule.hold_time", name=name)
        return hold, unit

    def check_one_condition(self, word: str) -> None:
        if word.lower() in _JOINERS:
            raise self.error("rule.two_conditions", at=self.at + 1, found=word)

    def check_unit(self, name: str, unit: str, at: int) -> None:
        if unit in _COUNTED:
            raise self.error(
                "rule.unit_misfit", at=at + 1, name=name, unit=unit, units="min, h, GiB, %"
            )
        system = names.system_value(name)
        if system is not None:
            dimension, offered = _MEASURES[system.measure]
            # A field of system.jsonl names its unit itself.
            if not unit and dimension == "size" and not name.endswith("_mib"):
                raise self.error("rule.unit_missing", name=name)
            share = unit == "%" and bool(system.whole)
            if unit and _UNITS[unit][0] != dimension and not share:
                units = offered + (", %" if system.whole else "")
                raise self.error("rule.unit_misfit", at=at + 1, name=name, unit=unit, units=units)
            return
        own = names.unit(name)
        if unit and own and _UNITS[unit][0] != _UNITS[own][0]:
            units = "s, min, h" if own == "s" else "MiB, GiB"
            raise self.error("rule.unit_misfit", at=at + 1, name=name, unit=unit, units=units)

    def word(self, known: tuple[str, ...], key: str) -> str:
        """One of the words of the grammar; ``key`` says what is expected where it is not."""
        self.skip()
        word = self.peek()
        if word.lower() in known:
            self.at += len(word)
            return word.lower()
        near = _near(word, list(known))
        if near:
            raise self.error("rule.near", at=self.at + 1, found=word, near=near)
        raise self.error(key, at=self.at + 1, found=word or "–")

    def skip(self) -> None:
        found = _SPACE.match(self.text, self.at)
        assert found is not None
        self.at = found.end()

    def peek(self) -> str:
        """The next word, or the next sign; empty at the end."""
        found = _WORD.match(self.text, self.at)
        return found[0] if found is not None else ""

    def rest(self) -> str:
        return self.text[self.at :]

    def error(self, key: str, **fields: object) -> UserError:
        return UserError(key, where=self.where, **fields)


def _near(word: str, known: list[str]) -> str:
    """The known word that was meant perhaps, or nothing."""
    low = {each.lower(): each for each in known}
    found = get_close_matches(word.lower(), low, n=1, cutoff=0.6) if len(word) > 1 else []
    return low[found[0]] if found else ""


def _quoted(name: str) -> str:
    found = _NAME.fullmatch(name)
    if found is not None:
        return name
    return f"'{name}'" if '"' in name else f'"{name}"'


def _spell(number: float) -> str:
    # Beyond, a float no longer holds every whole number.
    return str(int(number)) if abs(number) < 1e15 and number == int(number) else repr(number)
