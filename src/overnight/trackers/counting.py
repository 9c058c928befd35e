"""Which rows of a run count, and under which names: known from all of its rows, sent or not.

A newer attempt goes again over what an older one did, and its rows count from its first step on
(docs/ledger-format.md). A tracker cannot take back what it was sent: where that turns out not to
count, or to bear another name, the run has to be begun anew there.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from overnight.ledger.format import EPOCH, STEP, SUMMARY, Row, Scope
from overnight.trackers.base import Kind
from overnight.trackers.records import Record

SYSTEM: Kind = "system"
#: Of a number that a part of the run logs per step and per epoch, the epoch's has the plain name.
_RANKS = {EPOCH: 0, STEP: 1, SUMMARY: 2}
_KINDS: dict[str, Kind] = {EPOCH: "epoch", STEP: "step", SUMMARY: "summary"}


@dataclass(frozen=True, slots=True)
class Counted:
    """A row that counts, with the names it is sent under."""

    kind: Kind
    axis: int
    prefix: str
    values: Mapping[str, float]
    t_us: int


@dataclass
class Counting:
    """What is known of the rows of one run.

    Attributes:
        outdated: Something that was sent does not count any more, or has another name now.
    """

    outdated: bool = False
    #: (scope, kind) → attempt → its first step; and the last one that was sent.
    _first: dict[tuple[Scope, str], dict[int, int]] = field(default_factory=dict)
    _sent: dict[tuple[Scope, str], dict[int, int]] = field(default_factory=dict)
    #: A number, its prefix in front → the kinds of rows it stands in; those that were sent.
    _kinds: dict[str, set[str]] = field(default_factory=dict)
    _kinds_sent: dict[str, set[str]] = field(default_factory=dict)
    #: A number's own name → the kinds of rows it is known to stand in, whatever was seen.
    _expected: dict[str, frozenset[str]] = field(default_factory=dict)

    def see(self, record: Record) -> None:
        """Takes note of a row."""
        if record.base != "metrics":
            return
        each = record.row
        axis = _axis(each)
        if axis is not None:
            self._see_axis((each.scope, each.kind), each.attempt, axis)
        prefix = prefix_of(each.scope)
        for key in each.values:
            self._see_kind(prefix, key, each.kind)

    def note_sent(self, record: Record) -> None:
        """Takes note that the tracker has a row that counts, or is about to have it."""
        if record.base != "metrics":
            return
        each = record.row
        axis = _axis(each)
        if axis is not None:
            last = self._sent.setdefault((each.scope, each.kind), {})
            last[each.attempt] = max(last.get(each.attempt, axis), axis)
        prefix = prefix_of(each.scope)
        for key in each.values:
            self._kinds_sent.setdefault(prefix + key, set()).add(each.kind)

    def sent(self) -> dict[str, Any]:
        """What the tracker has, as far as it may turn out not to count."""
        return {
            "axes": [
                [scope.stage, scope.fold, scope.trial, kind, attempt, last]
                for (scope, kind), attempts in self._sent.items()
                for attempt, last in attempts.items()
            ],
            # What an epoch's row was sent of has its names for good.
            "kinds": {
                key: sorted(kinds) for key, kinds in self._kinds_sent.items() if EPOCH not in kinds
            },
        }

    def restore(self, sent: Mapping[str, Any]) -> None:
        """The way back; what is damaged of it is left out."""
        axes, kinds = sent.get("axes"), sent.get("kinds")
        for each in axes if isinstance(axes, list) else ():
            stage, fold, trial, kind, attempt, last = each
            self._sent.setdefault((Scope(fold, trial, stage), kind), {})[attempt] = last
        for key, found in (kinds if isinstance(kinds, dict) else {}).items():
            self._kinds_sent[key] = set(found)

    def _see_axis(self, group: tuple[Scope, str], attempt: int, axis: int) -> None:
        firsts = self._first.setdefault(group, {})
        if attempt in firsts and firsts[attempt] <= axis:
            return
        firsts[attempt] = axis
        sent = self._sent.get(group, {})
        if any(older < attempt and last >= axis for older, last in sent.items()):
            self.outdated = True

    def _see_kind(self, prefix: str, key: str, kind: str) -> None:
        kinds = self._kinds.get(prefix + key)
        if kinds is None:
            kinds = self._kinds[prefix + key] = set(self._expected.get(key, ()))
        if kind in kinds:
            return
        was = min(kinds, key=_RANKS.__getitem__, default=None)
        kinds.add(kind)
        renamed = was is not None and _RANKS[kind] < _RANKS[was]
        if renamed and was in self._kinds_sent.get(prefix + key, ()):
            self.outdated = True

    def _bound(self, group: tuple[Scope, str], attempt: int) -> int | None:
        firsts = self._first.get(group, {})
        return min((axis for newer, axis in firsts.items() if newer > attempt), default=None)

    def expect(self, key: str, kinds: Iterable[str]) -> None:
        """A number is known to be logged in rows of these kinds, before any of them is."""
        self._expected[key] = frozenset(kinds)

    def counted(self, record: Record) -> Counted | None:
        """A row as it is sent; None if it does not count."""
        if record.base == "system":
            return _system(record)
        each = record.row
        axis = _axis(each)
        if axis is not None:
            bound = self._bound((each.scope, each.kind), each.attempt)
            if bound is not None and axis >= bound:
                return None
        prefix = prefix_of(each.scope)
        values = {prefix + self._name(prefix, key, each.kind): v for key, v in each.values.items()}
        if not values:
            return None
        at = each.seq if axis is None else axis
        return Counted(_KINDS[each.kind], at, prefix, values, each.t_us)

    def _name(self, prefix: str, key: str, kind: str) -> str:
        first = min(self._kinds.get(prefix + key, {kind}), key=_RANKS.__getitem__)
        return key if kind == first else f"{kind}/{key}"


def prefix_of(scope: Scope) -> str:
    """What stands before the names of a part of the run: ``fold0/``, ``tune/trial3/``."""
    parts = [] if scope.stage == "train" else [scope.stage]
    parts += [f"trial{scope.trial}"] if scope.trial is not None else []
    parts += [f"fold{scope.fold}"] if scope.fold is not None else []
    return "".join(part + "/" for part in parts)


def _system(record: Record) -> Counted | None:
    each = record.row
    values = {"system/" + key: value for key, value in each.values.items()}
    return Counted(SYSTEM, each.seq, "system/", values, each.t_us) if values else None


def _axis(each: Row) -> int | None:
    if each.kind == SUMMARY:
        return None
    return each.epoch if each.kind == EPOCH else each.step


def names_of(records: Iterable[Record], counting: Counting) -> Iterator[tuple[Record, Counted]]:
    """The rows among ``records`` that count, as they are sent."""
    for record in records:
        if record.base in ("metrics", "system"):
            counted = counting.counted(record)
            if counted is not None:
                yield record, counted
