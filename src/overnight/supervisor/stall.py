"""Has the job stopped moving? Silence alone says nothing: an epoch may take an hour.

A job is stalled when three things hold together for long enough: its log is silent, its processes
use no CPU, its cards are idle. A false alarm at night is worse than a late one, so whatever is not
known counts as movement, and time nobody watched counts as nothing.

What it cannot see: a job that hangs at full load (a collective operation whose peer has died spins
on CPU and GPU).
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping
from statistics import median
from typing import Literal

#: Below this, a tree of processes is idle: heartbeat threads of trackers take 1-2 % of a core.
IDLE_PERCENT = 5.0
#: Silence that is ordinary for any job.
DEFAULT_STALL_AFTER_S = 600.0
#: A job that writes every T seconds has not stalled before 5 T.
_GAPS = 5.0
#: At the start there are downloads: no alarm before 15 minutes where one comes after 10.
_GRACE = 1.5
#: The supervisor looks every 5 s. More than this between two looks: the machine slept, or the
#: supervisor was gone.
_LONGEST_LOOK_S = 60.0
#: CPU is a running mean over this time, so that a heartbeat of 0.3 s is not taken for work.
_MEAN_S = 30.0
#: Gaps remembered; the median follows a job whose rhythm changes.
_NUM_GAPS = 101

Change = Literal["stalled", "recovered"]


class StallWatch:
    """Watches one job's signs of life.

    Args:
        stall_after_s: The shortest quiet time that counts as a stall. Jobs that write rarely get
            five times their usual gap, and every job 1.5 times this at its start.
    """

    def __init__(self, *, stall_after_s: float = DEFAULT_STALL_AFTER_S) -> None:
        assert stall_after_s > 0
        self._stall_after_s = stall_after_s
        self._mean_s = min(_MEAN_S, stall_after_s / 20)
        self._looked_s: float | None = None
        self._watched_s = 0.0
        self._quiet_s = 0.0
        self._log_bytes: int | None = None
        self._gap_s: float | None = None
        self._gaps_s: deque[float] = deque(maxlen=_NUM_GAPS)
        self._cpu_percent = 0.0
        self._is_stalled = False

    @property
    def is_stalled(self) -> bool:
        """Whether the job counts as stalled now."""
        return self._is_stalled

    @property
    def quiet_s(self) -> float:
        """How long nothing has moved, as far as it was watched."""
        return self._quiet_s

    @property
    def threshold_s(self) -> float:
        """The quiet time from which this job counts as stalled."""
        if not self._gaps_s:
            return self._stall_after_s
        return max(self._stall_after_s, _GAPS * median(self._gaps_s))

    def observe(
        self,
        now_s: float,
        *,
        log_bytes: int,
        cpu_percent: float,
        gpu_percent: float | None = None,
        uses_gpu: bool = False,
    ) -> Change | None:
        """Take one look, at least every half minute.

        Args:
            now_s: A monotonic clock; a jump (the machine slept) begins the quiet time anew.
            log_bytes: Size of the job's log.
            cpu_percent: Of the job's tree since the last look, 100 = one core.
            gpu_percent: Of the busiest card that may be the job's; None = not known.
            uses_gpu: Whether the job is known to compute on a card; then a card that does not
                answer counts as busy.

        Returns:
            What has changed with this look; None if nothing.
        """
        passed_s = None if self._looked_s is None else now_s - self._looked_s
        self._looked_s = now_s
        if passed_s is None or not 0 <= passed_s <= _LONGEST_LOOK_S:
            passed_s = self._quiet_s = 0.0
            self._gap_s = None
        self._watched_s += passed_s
        has_written = self._note_log(log_bytes, passed_s)
        weight = -math.expm1(-passed_s / self._mean_s)
        if math.isfinite(cpu_percent):
            self._cpu_percent += weight * (cpu_percent - self._cpu_percent)
        is_gpu_busy = uses_gpu if gpu_percent is None else gpu_percent >= IDLE_PERCENT
        if has_written or is_gpu_busy or self._cpu_percent >= IDLE_PERCENT:
            self._quiet_s = 0.0
            if self._is_stalled:
                self._is_stalled = False
                return "recovered"
            return None
        self._quiet_s += passed_s
        if self._is_stalled or self._quiet_s < self._stall_after_s:
            return None
        if self._watched_s >= _GRACE * self._stall_after_s and self._quiet_s >= self.threshold_s:
            self._is_stalled = True
            return "stalled"
        return None

    def _note_log(self, log_bytes: int, passed_s: float) -> bool:
        before, self._log_bytes = self._log_bytes, log_bytes
        if self._gap_s is not None:
            self._gap_s += passed_s
        if before is None or log_bytes == before:
            return False
        # The first growth after a start or a jump only opens a gap: what was before it is not
        # the job's rhythm.
        if self._gap_s is not None:
            self._gaps_s.append(self._gap_s)
        self._gap_s = 0.0
        return True

    def snapshot(self) -> dict[str, object]:
        """What a supervisor that takes over needs: JSON-able, below 1 KB."""
        return {
            "watched_s": round(self._watched_s, 1),
            "quiet_s": round(self._quiet_s, 1),
            "log_bytes": self._log_bytes,
            "gaps_s": [round(gap_s, 1) for gap_s in self._gaps_s],
            "is_stalled": self._is_stalled,
        }

    @classmethod
    def restore(
        cls, data: Mapping[str, object], *, stall_after_s: float = DEFAULT_STALL_AFTER_S
    ) -> StallWatch:
        """Go on from a snapshot; what it does not hold, or holds wrongly, begins anew.

        The quiet time begins anew too: nobody watched in between.
        """
        watch = cls(stall_after_s=stall_after_s)
        watch._watched_s = _seconds(data.get("watched_s")) or 0.0
        log_bytes = data.get("log_bytes")
        if isinstance(log_bytes, int) and not isinstance(log_bytes, bool) and log_bytes >= 0:
            watch._log_bytes = log_bytes
        gaps = data.get("gaps_s")
        if isinstance(gaps, list):
            known = (_seconds(gap) for gap in gaps)
            watch._gaps_s.extend(gap for gap in known if gap is not None)
        watch._is_stalled = data.get("is_stalled") is True
        return watch


def _seconds(value: object) -> float | None:
    if isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value < 1e12:
        return float(value)
    return None
