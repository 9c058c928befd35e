"""Progress bars: which of them spans the run.

An evaluation draws its bars between two frames of the training's, and a loader's bar begins anew in
every epoch. The bar that spans the run never begins anew, and was there before the others.
"""

from __future__ import annotations

from collections.abc import Mapping

from overnight.supervisor.progress.lines import BarSeen
from overnight.supervisor.progress.pace import Pace

# Kinds of bars kept. Nested bars, validation and a test are four.
_MAX_BARS = 8
# Others that ended or began anew since a bar's last frame: by then it was left for good. Two a turn
# (training, validation) is usual, so this is three turns.
_LEFT_AFTER = 6


class Bar:
    """One kind of bar: the words before it and its total."""

    __slots__ = (
        "done",
        "first_s",
        "label",
        "last_s",
        "missed",
        "order",
        "pace",
        "restarts",
        "total",
    )

    def __init__(self, label: str, total: float, order: int, now_s: float) -> None:
        self.label = label
        self.total = total
        self.order = order
        self.done = 0.0
        self.first_s = self.last_s = now_s
        self.restarts = 0
        self.missed = 0
        self.pace = Pace()

    @property
    def is_open(self) -> bool:
        """Whether it began once, is not full, and was not left."""
        return self.restarts == 0 and self.done < self.total and self.missed < _LEFT_AFTER


class Bars:
    """The bars seen so far, the most telling one found by ``outermost``."""

    __slots__ = ("_bars", "_num_seen", "_outer")

    def __init__(self) -> None:
        self._bars: dict[tuple[str, float], Bar] = {}
        self._num_seen = 0
        self._outer: set[int] = set()  # orders of bars that had others inside them

    def see(self, seen: BarSeen, now_s: float) -> Bar:
        """Take in one frame."""
        key = seen.label, seen.total
        bar = self._bars.get(key)
        if bar is None:
            bar = Bar(seen.label, seen.total, self._num_seen, now_s)
            self._num_seen += 1
            if len(self._bars) >= _MAX_BARS:
                oldest = min(self._bars, key=lambda each: self._bars[each].last_s)
                del self._bars[oldest]
            self._bars[key] = bar
        elif seen.done < bar.done:
            bar.restarts += 1
            bar.pace = Pace()
            self._others_missed(bar)
        elif seen.done > bar.done and self._num_seen > bar.order + 1 and bar.done > 0:
            self._outer.add(bar.order)  # it moved on after a later bar had begun
        if seen.done >= bar.total > bar.done:
            self._others_missed(bar)
        bar.done = seen.done
        bar.last_s = now_s
        bar.missed = 0
        bar.pace.add(now_s, seen.done)
        return bar

    def first(self) -> Bar | None:
        """The kind that was seen first, while it is remembered."""
        return next((bar for bar in self._bars.values() if bar.order == 0), None)

    def outermost(self) -> Bar | None:
        """The bar that spans the run as far as can be told, or None.

        A bar that follows a finished one may be any step of the program; it counts only once
        others ran inside it.
        """
        spanning = [
            bar
            for bar in self._bars.values()
            if bar.restarts == 0 and (bar.order == 0 or bar.order in self._outer)
        ]
        running = [bar for bar in spanning if bar.is_open]
        if running:
            return min(running, key=lambda bar: bar.order)
        return next((bar for bar in spanning if bar.order in self._outer), None)

    def see_inner(self) -> None:
        """A bar of an epoch was drawn: none that is yet to come was there before the others."""
        self._num_seen = max(1, self._num_seen)

    def of_trainer(self) -> Bar | None:
        """The bar of a transformers Trainer: without words, and drawn once for the whole run."""
        once = [bar for bar in self._bars.values() if not bar.label and bar.restarts == 0]
        running = [bar for bar in once if bar.is_open]
        if running:
            return min(running, key=lambda bar: bar.order)
        return max(once, key=lambda bar: bar.total, default=None)

    def _others_missed(self, moved: Bar) -> None:
        for bar in self._bars.values():
            if bar is not moved:
                bar.missed += 1

    def dump(self) -> dict[str, object]:
        """The state, ready for JSON."""
        return {
            "num_seen": self._num_seen,
            "outer": sorted(self._outer)[-_MAX_BARS:],
            "bars": [
                {
                    "label": bar.label,
                    "total": bar.total,
                    "order": bar.order,
                    "done": bar.done,
                    "first_s": bar.first_s,
                    "last_s": bar.last_s,
                    "restarts": bar.restarts,
                    "missed": bar.missed,
                    "pace": bar.pace.dump(),
                }
                for bar in self._bars.values()
            ],
        }

    @classmethod
    def load(cls, data: Mapping[str, object]) -> Bars:
        """The bars ``dump`` described.

        Raises:
            TypeError, ValueError, KeyError: It is not such a description.
        """
        bars = cls()
        bars._num_seen = int(str(data["num_seen"]))
        outer, kept = data["outer"], data["bars"]
        if not isinstance(outer, list) or not isinstance(kept, list):
            raise TypeError("lists were expected")
        bars._outer = {int(each) for each in outer}
        for each in kept[:_MAX_BARS]:
            bar = Bar(
                str(each["label"]), float(each["total"]), int(each["order"]), float(each["first_s"])
            )
            bar.done = float(each["done"])
            bar.last_s = float(each["last_s"])
            bar.restarts = int(each["restarts"])
            bar.missed = int(each["missed"])
            bar.pace = Pace.load(each["pace"])
            bars._bars[bar.label, bar.total] = bar
        return bars
