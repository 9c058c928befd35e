"""What a framework prints as the time left of the whole run, and how far to believe it."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping

from overnight.supervisor.progress.pace import number_pair

# The last few: old ones were made while the start still weighed on them.
_KEPT = 16
# An end that runs away faster than this is no estimate; the range then spans a factor of five.
_MOST_DRIFT = 0.8


class FrameworkEta:
    """The framework's own estimates, newest last."""

    __slots__ = ("_told", "share")

    def __init__(self) -> None:
        self._told: deque[tuple[float, float]] = deque(maxlen=_KEPT)
        self.share: float | None = None  # of the whole run, where the same line tells it

    @property
    def told(self) -> bool:
        """Whether there was one."""
        return bool(self._told)

    def see(self, eta_s: float, share: float | None, now_s: float) -> None:
        """Take in what a line says."""
        self._told.append((now_s, eta_s))
        self.share = share

    def remaining(self, now_s: float) -> tuple[float, float] | None:
        """Seconds left, lowest and highest; None before a second estimate confirms the first.

        MMEngine leaves validation out, so its end moves away while it is awaited. At the rate the
        end was seen to move, what is left takes ``eta / (1 - rate)``.
        """
        first_s, first_eta_s = self._told[0]
        told_s, eta_s = self._told[-1]
        if eta_s <= 0 or told_s <= first_s:
            return None
        rate = ((told_s + eta_s) - (first_s + first_eta_s)) / (told_s - first_s)
        moved_s = eta_s / (1 - min(_MOST_DRIFT, max(-_MOST_DRIFT, rate)))
        since_s = max(0.0, now_s - told_s)
        usual_s = min(since_s, (told_s - first_s) / (len(self._told) - 1))
        low = max(0.0, 0.9 * min(eta_s, moved_s) - usual_s)
        high = max(0.0, 1.1 * max(eta_s, moved_s) - usual_s) + since_s - usual_s
        return low, max(low, high)

    def dump(self) -> dict[str, object]:
        """The state, ready for JSON."""
        return {"told": [list(each) for each in self._told], "share": self.share}

    @classmethod
    def load(cls, data: Mapping[str, object]) -> FrameworkEta:
        """The estimates ``dump`` described.

        Raises:
            TypeError, KeyError: It is not such a description.
        """
        eta = cls()
        told, share = data["told"], data["share"]
        if not isinstance(told, list) or not isinstance(share, int | float | None):
            raise TypeError("a list and a number were expected")
        for each in told:
            pair = number_pair(each)
            if pair is not None:
                eta._told.append(pair)
        eta.share = share
        return eta
