"""The rules of a run over its numbers: those it logs, those of its machine, those it prints.

What is logged and sampled is read from the ledger, and judged the same however often that is read.
What is only printed comes from ``status.json``: it counts where the job logs no such number, and
what was seen of it is kept.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from overnight.alerts import names
from overnight.alerts.condition import Condition, Point
from overnight.alerts.known import finite, whole
from overnight.alerts.outlook import News, Standing
from overnight.alerts.rule import Rule
from overnight.ledger.format import EPOCH, SUMMARY, Row, Scope, row, time_us

#: Between two rows of a ledger a clock that was set does not count for more than this.
_METRIC_GAP_S = 3600.0
#: Samples are ten seconds apart; a larger gap was a supervisor's that was gone.
_SAMPLE_GAP_S = 60.0
#: Longer than any epoch.
_LONGEST_EPOCH_S = 7 * 86400.0
#: Between two looks at a run; after more the machine slept, or the agent was gone.
_LOOK_GAP_S = 600.0


@dataclass
class _Clock:
    """Seconds that never go back, from a wall clock that may."""

    most_s: float
    now_s: float = 0.0
    _last_us: int | None = None

    def see(self, t_us: int | None) -> float:
        if t_us is not None:
            if self._last_us is not None:
                self.now_s += min(max(0.0, (t_us - self._last_us) / 1e6), self.most_s)
            self._last_us = t_us
        return self.now_s


@dataclass
class _Place:
    """Where a part of the run is: a fold, a trial, a stage."""

    attempt: int = -1
    epoch: int | None = None
    epoch_at_us: int = 0
    clock: _Clock = field(default_factory=lambda: _Clock(_METRIC_GAP_S))


class Numbers:
    """Judges the numbers of one run.

    Args:
        rules: What is asked of them.
    """

    def __init__(self, rules: Sequence[Rule]) -> None:
        # Asked for every row: sorted once.
        self._rules = [
            (rule, rule.text, names.canonical(rule.name) == "time_s")
            for rule in rules
            if not rule.is_of_system
        ]
        self._of_system = [
            (rule, system)
            for rule in rules
            if rule.is_of_system and (system := names.system_value(rule.name)) is not None
        ]
        self._logged: dict[str, None] = {}
        self._spelling: dict[str, str | None] = {}
        self._places: dict[Scope, _Place] = {}
        self._newest: Scope | None = None
        self._conditions: dict[tuple[str, str, Scope | None], Condition] = {}
        self._counts: dict[tuple[str, int], int] = {}
        self._trials_told: set[tuple[str, int]] = set()
        self._samples = _Clock(_SAMPLE_GAP_S)
        self._read_off: dict[str, Condition] = {}
        #: Epoch, when it began, and when that was last looked at: seconds of the attempt.
        self._epoch_begun: tuple[int, float, float] | None = None

    # ── logged ───────────────────────────────────────────────────────────────────────────

    def row(self, found: Row) -> list[News]:
        """Takes in a row of ``metrics.jsonl``."""
        self._newest = found.scope
        self._note_names(found)
        place = self._places.setdefault(found.scope, _Place())
        epoch_s = self._epoch_s(place, found)
        if found.attempt > place.attempt:  # of the one before nothing is known here
            place.attempt, place.epoch = found.attempt, None
        if found.epoch is not None and found.attempt == place.attempt:
            place.epoch = found.epoch
        place.clock.see(found.t_us or None)
        return self._judge(found, place, epoch_s)

    def best(self, record: Mapping[str, Any]) -> list[News]:
        """Takes in the job's own ``NewBest``: what it tells so it need not log as well."""
        name, value = record.get("metric"), finite(record.get("value"))
        if not isinstance(name, str) or value is None:
            return []
        known = {"_seq": 0, "_t": record.get("_t"), "_attempt": record.get("_attempt"), name: value}
        known.update({axis: record[axis] for axis in ("epoch", "step", "fold") if axis in record})
        known["_kind"] = EPOCH if "epoch" in known else "step"
        found = row(known, file="", segment=0)
        self._note_names(found)
        place = self._places.get(found.scope, _Place())
        return self._judge(found, place, None, only="no_new")

    def _note_names(self, found: Row) -> None:
        new = [name for name in found.values if name not in self._logged]
        if new:
            self._logged.update(dict.fromkeys(new))
            self._spelling = {}

    def _judge(
        self, found: Row, place: _Place, epoch_s: float | None, *, only: str = ""
    ) -> list[News]:
        news = []
        for rule, text, is_time in self._rules:
            if only and rule.kind != only:
                continue
            name = self._spelled(rule)
            value = None if name is None else found.values.get(name)
            if name is None and is_time:
                name, value = rule.name, epoch_s
            if name is None or (value is None and rule.kind != "no_new"):
                continue
            point = Point(
                value,
                found.epoch if found.epoch is not None else place.epoch,
                found.step,
                place.clock.now_s,
                found.attempt,
                "" if found.kind == SUMMARY else found.kind,
            )
            if self._condition(rule, text, name, found.scope).see(point):
                told = name if value is not None else ""
                news += self._fired(rule, found.scope, told, point)
        return news

    def _epoch_s(self, place: _Place, found: Row) -> float | None:
        """How long the epoch took that this row closes; None where that cannot be told."""
        if found.kind != EPOCH or found.epoch is None or not found.t_us:
            return None
        if found.attempt == place.attempt and found.epoch == place.epoch:
            return None  # another row of the same epoch
        before, place.epoch_at_us = place.epoch_at_us, found.t_us
        if found.attempt != place.attempt or place.epoch is None or found.epoch < place.epoch:
            return None
        took_s = (found.t_us - before) / 1e6 / (found.epoch - place.epoch)
        return took_s if before and 0 < took_s < _LONGEST_EPOCH_S else None

    def _spelled(self, rule: Rule) -> str | None:
        """How the job spells what a rule is about."""
        if rule.name not in self._spelling:
            logged = self._logged
            found = names.resolve(rule.name, logged) if rule.name else names.main(logged)
            self._spelling[rule.name] = found
        return self._spelling[rule.name]

    def _condition(self, rule: Rule, text: str, name: str, scope: Scope | None) -> Condition:
        key = text, name, scope
        condition = self._conditions.get(key)
        if condition is None:
            condition = self._conditions[key] = Condition(_about(rule, name))
        return condition

    def _fired(self, rule: Rule, scope: Scope, name: str, point: Point) -> list[News]:
        attempt = point.attempt
        if scope.trial is not None:
            # A search goes on for hundreds of trials: the first that gets there is the news.
            if (rule.text, attempt) in self._trials_told:
                return []
            self._trials_told.add((rule.text, attempt))
        count = self._counts[rule.text, attempt] = self._counts.get((rule.text, attempt), -1) + 1
        facts = _threshold_facts(rule, name, point)
        if scope.fold is not None:
            facts["fold"] = scope.fold
        return [News("threshold", f"threshold-{_mark(rule)}-{attempt}-{count}", facts)]

    # ── sampled ──────────────────────────────────────────────────────────────────────────

    def sample(self, record: Mapping[str, Any]) -> list[News]:
        """Takes in a row of ``system.jsonl``."""
        attempt = whole(record.get("_attempt")) or 0
        clock_s = self._samples.see(time_us(record.get("_t")))
        news = []
        for rule, system in self._of_system:
            value, all_of_it = _of_machine(system, record, as_share=rule.unit == "%")
            if value is None:
                continue
            point = Point(value, clock_s=clock_s, attempt=attempt, kind="")
            condition = self._condition(rule, rule.text, rule.name, None)
            if condition.see(point, all_of_it):
                facts = _threshold_facts(rule, rule.name, point)
                if all_of_it:
                    facts.update(value=value / all_of_it, share=True)
                key = f"threshold-{_mark(rule)}-{attempt}-{condition.num_fired}"
                news.append(News("threshold", key, facts))
        return news

    # ── printed ──────────────────────────────────────────────────────────────────────────

    def printed(self, now: Standing, metrics: Any) -> list[News]:
        """Takes in the newest numbers of the output, and how long the present epoch has taken.

        Args:
            now: How far the run is.
            metrics: Name → number, whatever ``status.json`` holds there.
        """
        counts = now.unit == "epoch" and now.done is not None
        epoch = int(now.done) if counts and now.done is not None else None
        step = int(now.done) if now.unit == "step" and now.done is not None else None
        epoch_s, running_s = self._epoch_of(now, epoch)
        printed = {
            name: value
            for name, value in (metrics.items() if isinstance(metrics, Mapping) else ())
            if isinstance(name, str) and name not in self._logged
        }
        values = row({"_seq": 0, **printed}, file="", segment=0).values
        news = []
        for rule, text, is_time in self._rules:
            if is_time and running_s is not None:
                point = Point(running_s, epoch, None, now.elapsed_s, now.attempt)
                news += self._overdue(rule, point)
            if self._spelled(rule) is not None:
                continue
            name = names.resolve(rule.name, values) if rule.name else names.main(values)
            value = values.get(name) if name is not None else None
            if name is None and is_time and not self._places:
                name, value = rule.name, epoch_s
            if name is None or value is None:
                continue
            condition = self._read_off.get(text)
            if condition is None or condition.rule != _about(rule, name):
                condition = self._read_off[text] = Condition(_about(rule, name))
            point = Point(value, epoch, step, now.elapsed_s, now.attempt)
            # What stands there still is no new value.
            if rule.kind == "median" and condition.has_reached(point):
                continue
            if condition.see(point):
                news += self._fired_off(rule, condition, name, point)
        return news

    def _fired_off(self, rule: Rule, condition: Condition, name: str, point: Point) -> list[News]:
        # Of the main number another one may become the main one: each is told for itself.
        key = f"threshold-{_mark(condition.rule)}-{point.attempt}-log{condition.num_fired}"
        return [News("threshold", key, _threshold_facts(rule, name, point))]

    def _overdue(self, rule: Rule, point: Point) -> list[News]:
        """An epoch that takes too long does so before its end, which may never come."""
        name, scope = self._spelled(rule) or rule.name, self._newest
        if scope is not None:
            condition = self._conditions.get((rule.text, name, scope))
            if condition is None or not condition.would_fire(point):
                return []
            condition.fire(point)
            return self._fired(rule, scope, name, point)
        condition = self._read_off.get(rule.text)
        if condition is None or not condition.would_fire(point):
            return []
        condition.fire(point)
        return self._fired_off(rule, condition, name, point)

    def _epoch_of(self, now: Standing, epoch: int | None) -> tuple[float | None, float | None]:
        """Seconds the last epoch took, if it is just over, and the present one so far."""
        if epoch is None:
            return None, None
        now_s = now.elapsed_s
        if (
            self._epoch_begun is None
            or epoch < self._epoch_begun[0]
            or now_s < self._epoch_begun[2]
        ):
            # The epoch one comes into began nobody knows when.
            self._epoch_begun = epoch, math.nan, now_s
            return None, None
        before, begun_s, looked_s = self._epoch_begun
        if now_s - looked_s > _LOOK_GAP_S:
            begun_s += now_s - looked_s
        if epoch > before:
            self._epoch_begun = epoch, now_s, now_s
            took_s = (now_s - begun_s) / (epoch - before)
            return (None if math.isnan(took_s) else took_s), None
        self._epoch_begun = before, begun_s, now_s
        # What follows the last epoch is none; and where the total is not known, it may be over.
        if now.total is None or epoch >= now.total or math.isnan(begun_s):
            return None, None
        return None, now_s - begun_s

    # ── kept between two lives of the agent ──────────────────────────────────────────────

    def dump(self) -> dict[str, Any]:
        """What was seen of the output, ready for JSON; the rest stands in the ledger."""
        begun = self._epoch_begun
        return {
            "read_off": {
                text: {**each.dump(), "name": each.rule.name}
                for text, each in self._read_off.items()
            },
            "epoch_begun": None if begun is None or math.isnan(begun[1]) else list(begun),
        }

    def load(self, data: Mapping[str, Any]) -> None:
        """Goes on from what ``dump`` told.

        Raises:
            TypeError, ValueError, KeyError …: It is not what ``dump`` makes; nothing was changed.
        """
        rules = {text: rule for rule, text, _ in self._rules}
        read_off = {
            text: Condition.load(_about(rules[text], str(each["name"])), each)
            for text, each in data["read_off"].items()
            if text in rules
        }
        begun = data["epoch_begun"]
        self._epoch_begun = begun and (int(begun[0]), float(begun[1]), float(begun[2]))
        self._read_off = read_off


def _about(rule: Rule, name: str) -> Rule:
    """The rule, of a number that has a name: which way is better follows from it."""
    return rule if rule.name else replace(rule, name=name)


def _threshold_facts(rule: Rule, name: str, point: Point) -> dict[str, Any]:
    facts: dict[str, Any] = {"rule": rule.text}
    if name:
        facts["metric"] = name
    if point.value is not None:
        facts["value"] = point.value
    return facts


def _mark(rule: Rule) -> str:
    return f"{zlib.crc32(rule.text.encode()):08x}"


def _of_machine(
    system: names.SystemValue, record: Mapping[str, Any], *, as_share: bool
) -> tuple[float | None, float | None]:
    """A value of the machine, the highest of all cards, and what 100 % of it is."""
    head, star, tail = system.field.partition("*")
    found: tuple[float, float | None] | None = None
    for key in [key for key in record if _fits(key, head, star, tail)]:
        value = finite(record[key])
        card = key[len(head) : len(key) - len(tail)] if star else ""
        most = finite(record.get(system.whole.replace("*", card))) if as_share else None
        if value is None or (as_share and system.whole and not most):
            continue
        if found is None or value / (most or 1) > found[0] / (found[1] or 1):
            found = value, most
    return (None, None) if found is None else found


def _fits(key: str, head: str, star: str, tail: str) -> bool:
    if not star:
        return key == head
    number = key[len(head) : len(key) - len(tail)]
    return key.startswith(head) and key.endswith(tail) and number.isdigit()
