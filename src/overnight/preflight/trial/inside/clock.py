"""The time of the full run: what has passed, plus what was left out. And its report to the trial.

Each time is three: the least, the likely, the most. A turn of a loop that has loops in it, of which
turns were left out, so takes on this clock what it would take in the full run.
"""

from __future__ import annotations

import atexit
import json
import os
import sys
import threading
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from overnight.preflight.trial.inside.passes import Pass

assert sys.platform != "win32"

Span = tuple[float, float, float]
_EVERY_S = 0.5


class Clock:
    """One process's clock."""

    def __init__(self) -> None:
        self.begun_s = time.monotonic()
        self.saved_s = [0.0, 0.0, 0.0]
        self.open: list[Pass] = []
        """The passes under way, the outermost first."""
        self.backwards = 0
        """How often torch was asked for gradients."""
        self.notes: dict[str, Any] = {"early_stopping": False, "failed_hooks": []}
        self.sites: dict[str, dict[str, Any]] = {}
        """Loop → what is known of it: kind, total, turns run, passes, the time of a turn."""
        self._folder: str | None = None
        self._ended = False
        self._lock = threading.Lock()

    def now(self) -> Span:
        """This moment on the full run's clock."""
        t = time.monotonic()
        low, mid, high = self.saved_s
        return t + low, t + mid, t + high

    def save(self, num: int, turn: Span) -> None:
        """Note that ``num`` turns of about this length were left out."""
        for i in range(3):
            self.saved_s[i] += num * turn[i]

    def report_to(self, folder: str) -> None:
        """Begin to report, twice a second and at the end; the first pass of a loop asks for it."""
        if self._folder is None:
            self._folder = folder
            threading.Thread(target=self._keep_reporting, daemon=True).start()
            atexit.register(self._last_report)
            os.register_at_fork(after_in_child=self._be_silent)

    def _be_silent(self) -> None:
        self._folder = None

    def _keep_reporting(self) -> None:
        while not self._ended:
            with self._lock:
                self._report()
            time.sleep(_EVERY_S)

    def _last_report(self) -> None:
        self._ended = True
        with self._lock:  # the other thread may be in the middle of its own
            self._report()

    def _report(self) -> None:
        if self._folder is None:
            return
        left: Span = (0.0, 0.0, 0.0)
        for each in reversed(list(self.open)):
            left = each.left(left)
        said = {
            "pid": os.getpid(),
            "begun_s": self.begun_s,
            "now_s": time.monotonic(),
            "saved_s": self.saved_s,
            "left_s": left,
            "open": [each.site for each in self.open],
            "sites": self.sites,
            "vram_mib": _vram_mib(),
            "ended": self._ended,
            **self.notes,
        }
        path = os.path.join(self._folder, f"clock-{os.getpid()}.json")
        try:
            with open(path + ".new", "w") as file:
                json.dump(said, file)
            os.replace(path + ".new", path)
        except (OSError, ValueError, RuntimeError):
            return  # a full disk; or the job changed a table meanwhile: half a second later again


def _vram_mib() -> float | None:
    """What torch has reserved on its fullest card; the driver's own share is not in it."""
    torch = sys.modules.get("torch")
    try:
        if torch is None or not torch.cuda.is_initialized():
            return None
        cards = range(torch.cuda.device_count())
        return float(max(torch.cuda.max_memory_reserved(card) for card in cards)) / 2**20
    except Exception:  # whatever a half-imported or broken torch raises is its own affair
        return None


#: The clock of this process.
CLOCK = Clock()
