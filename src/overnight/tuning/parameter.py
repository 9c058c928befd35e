"""The parameters of a search space as they were written, and everything that can be wrong there."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping

from overnight import plugins, yaml_tree
from overnight.errors import UserError
from overnight.tasks.base import Json
from overnight.tuning import ranges
from overnight.tuning.distributions import OWN, REFUSED, TAKES, instead, word_of
from overnight.tuning.ranges import Written, text_of
from overnight.tuning.space import Check, Choice, Distribution, Kind, num_points
from overnight.yaml_tree import Node

#: Two words for one thing: ours → W&B's.
_SAME = {"low": "min", "high": "max", "choices": "values"}
_OURS = ("low", "high", "log", "step", "choices")
_KEYS = (
    *_OURS, "min", "max", "values", "value", "distribution", "q", "mu", "sigma", "a", "b",
    "probabilities", "parameters",
)  # fmt: skip
#: What may stand behind ``--`` on a command line.
_NAME = re.compile(r"[^\s=-][^\s=]*")
#: Points of a grid: no search has so many trials.
_TOO_MANY = 100_001
#: A value and where it stands.
_Found = tuple[Json, Node]


class Reader:
    """Reads the parameters of one search space; arguments as of ``space.read``."""

    def __init__(
        self,
        file: str,
        problems: list[UserError],
        known: Mapping[str, Kind] | None,
        grid: bool,
        check: Check | None,
    ) -> None:
        self._file, self._problems = file, problems
        self._known, self._grid, self._check = known, grid, check
        self._found: dict[str, Distribution] = {}

    def space(self, node: Node, above: str) -> dict[str, Distribution]:
        """All of them, by their full keys."""
        before = len(self._problems)
        self._table(node, above, "")
        is_right = len(self._problems) == before
        if self._grid and is_right and (num_points(self._found, _TOO_MANY) or 0) >= _TOO_MANY:
            self._wrong(node, above, "sweep.grid_large", limit=f"{_TOO_MANY - 1:,}")
        return self._found

    def _wrong(self, node: Node, at: str, sentence: str, **fields: object) -> None:
        where = yaml_tree.place(self._file, node, at)
        self._problems.append(UserError(sentence, where=where, **fields))

    # ── names ────────────────────────────────────────────────────────────────────────────────

    def _table(self, node: Node, above: str, prefix: str) -> None:
        """A table of parameters: the whole, or a part of it under ``prefix``."""
        if node.kind == "null" and not prefix:
            return
        if node.kind != "map":
            self._wrong(node, above, "sweep.space_shape")
            return
        for name, value in node.pairs:
            key = name.text if name.is_scalar else "[…]"
            here = f"{above}.{key}"
            inner = value.get("parameters") if value.kind == "map" else None
            if inner is not None and self._known is not None:
                self._table(inner, f"{here}.parameters", f"{prefix}{key}.")
                continue
            full = self._full_name(name, here, prefix + key)
            found = self._parameter(name, value, here, full)
            if full is not None and found is not None:
                if full in self._found:
                    self._wrong(name, here, "sweep.twice", name=full)
                self._found[full] = found

    def _full_name(self, node: Node, above: str, key: str) -> str | None:
        """The key of the config, or the script's option, that is meant; None where none can be."""
        known = self._known
        if known is None:
            if not _NAME.fullmatch(key):
                self._wrong(node, above, "sweep.name_form")
            return key
        if key in known:
            return key
        of_name: dict[str, list[str]] = {}
        for full in known:
            of_name.setdefault(full.rpartition(".")[2], []).append(full)
        bare = of_name.get(key, [])
        if len(bare) == 1:
            return bare[0]
        near = plugins.nearest(key.rpartition(".")[2], of_name)
        if bare:
            self._wrong(node, above, "sweep.key_several", known=", ".join(bare))
        elif meant := plugins.nearest(key, known) or (near and of_name[near][0]):
            self._wrong(node, above, "sweep.key_near", near=meant)
        else:
            parts = dict.fromkeys(full.partition(".")[0] + ":" for full in known)
            self._wrong(node, above, "sweep.key_nobody", parts=", ".join(parts))
        return None

    # ── values ───────────────────────────────────────────────────────────────────────────────

    def _parameter(
        self, name: Node, value: Node, above: str, full: str | None
    ) -> Distribution | None:
        """What one parameter may be; None where that cannot be told."""
        if value.kind != "map":
            self._wrong(name, above, "sweep.parameter_shape")
            return None
        before = len(self._problems)
        values: dict[str, Node] = {}
        words: dict[str, str] = {}
        for key, each in value.pairs:
            word = key.text if key.is_scalar else "[…]"
            same = _SAME.get(word, word)
            if word not in _KEYS:
                self._unknown(key, above, word, each)
            elif same in values and words[same] != word:
                self._wrong(key, f"{above}.{word}", "sweep.same", other=words[same])
            values[same], words[same] = each, word
        if len(self._problems) > before:
            return None
        kind = "other" if self._known is None or full is None else self._known[full]
        written = Written(above, name, values, words, self._file, self._problems)
        found, outermost = self._distribution(written, kind)
        if len(self._problems) > before:
            return None
        if self._check is not None and full is not None:
            for end, at in outermost:
                self._check(full, end, at)
        return found

    def _unknown(self, key: Node, above: str, word: str, value: Node) -> None:
        """A word that describes no parameter."""
        here = f"{above}.{word}"
        if near := plugins.nearest(word, _KEYS):
            self._wrong(key, here, "sweep.word_near", near=near)
        elif value.kind == "map":  # a part of the config, written as a table
            self._wrong(key, here, "sweep.nested_table", name=f"{_last(above)}.{word}")
        else:
            self._wrong(key, here, "sweep.word_unknown", known=", ".join(_OURS))

    def _distribution(self, at: Written, kind: Kind) -> tuple[Distribution | None, list[_Found]]:
        """What it is, and the outermost of its values."""
        word = _word(at)
        if word is None:
            return None, []
        needed, optional = TAKES[word]
        before = len(self._problems)
        for key in at.values:
            if key not in (*needed, *optional, "distribution"):
                takes = ", ".join((*needed, *optional))
                at.wrong("sweep.word_unused", key, by=word, takes=takes)
        missing = [key for key in needed if key not in at.values]
        if missing:
            at.wrong("sweep.word_missing", by=word, missing=", ".join(missing))
        if len(self._problems) > before:
            return None, []
        if "min" not in needed:
            return _choice(at, needed[0])
        found = ranges.read(at, word, kind)
        if found is None:
            return None, []
        if self._grid and not found.is_int and found.step is None:
            at.wrong("sweep.grid_range")
        number = int if found.is_int else float
        ends = {"min": number(found.low), "max": number(found.high)}
        return found, [(end, at.values[key]) for key, end in ends.items()]


def _word(at: Written) -> str | None:
    """The distribution of a parameter; None where it is none that can be drawn from."""
    word = word_of(at.values)
    if "parameters" in at.values:
        # To a script W&B gives such a table as one text, which few can read.
        at.wrong("sweep.nested", name=_last(at.name))
    elif word is None:
        at.wrong("sweep.parameter_shape")
    elif word in REFUSED:
        why = "sweep.odds" if "probabilities" in word else "sweep.curve"
        at.wrong(why, name=word, instead=instead(word, at.values))
    elif word not in TAKES or (word == OWN and "distribution" in at.values):
        words = tuple(each for each in TAKES if each != OWN)
        near = plugins.nearest(word, (*words, *REFUSED))
        key = "sweep.distribution" if near is None else "sweep.distribution_near"
        at.wrong(key, "distribution", name=word[:40], near=near, known=", ".join(words))
    else:
        return word
    return None


def _choice(at: Written, key: str) -> tuple[Distribution | None, list[_Found]]:
    """A list of values, or the only one."""
    node = at.values[key]
    if key == "value":
        value = _value(at, key, node)
        return Choice((value,)), [(value, node)]
    if node.kind != "list" or not node.items:
        empty = node.kind == "list"
        at.wrong("sweep.values_none" if empty else "sweep.values_list", key, got=text_of(node))
        return None, []
    seen: list[tuple[str, Json]] = []
    has_numbers = any(item.kind in ("int", "float") for item in node.items)
    for item in node.items:
        value = _value(at, key, item)
        # 1, 1.0 and true are equal in Python, and three values in a config.
        if (item.kind, value) in seen:
            at.wrong("sweep.value_twice", key, item, got=text_of(item))
        if has_numbers and not item.plain and _is_number(item.text):
            at.wrong("sweep.value_quoted", key, item, got=text_of(item))
        seen.append((item.kind, value))
    values = [value for _, value in seen]
    return Choice(tuple(values)), list(zip(values, node.items, strict=True))


def _value(at: Written, key: str, node: Node) -> Json:
    """One value; a table, or a number that is none, is a mistake."""
    for each in node.items if node.kind == "list" else (node,):
        if not each.is_scalar:
            at.wrong("sweep.value_table", key, each)
            return None
        if each.kind == "float" and not math.isfinite(each.data()):
            at.wrong("sweep.finite", key, each, got=text_of(each))
    found: Json = node.data()
    return found


def _is_number(text: str) -> bool:
    return yaml_tree.scalar(text).kind in ("int", "float")


def _last(name: str) -> str:
    return name.rpartition(".")[2]
