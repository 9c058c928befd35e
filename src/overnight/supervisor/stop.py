"""A stop under way: which signal the job gets, and when."""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from overnight.supervisor import process

assert sys.platform != "win32"

#: From SIGTERM to SIGKILL.
_TERM_GRACE_S = 15.0
#: What a person's stop waits for after SIGINT, if the request does not say.
DEFAULT_GRACE_S = 30.0
#: What SIGKILL has not ended yet is told again this soon.
_KILL_AGAIN_S = 0.2


@dataclass(slots=True)
class Stop:
    """A stop under way: the signals sent so far and when the next one is due."""

    by: str
    now: bool
    grace_s: float
    step: int = 0
    next_at: float = 0.0

    @classmethod
    def from_json(cls, said: Mapping[str, Any]) -> Stop:
        """The stop that a request, or its event, asks for."""
        grace = said.get("grace_s")
        return cls(
            by=str(said.get("by", "")),
            now=said.get("now") is True,
            grace_s=float(grace) if isinstance(grace, (int, float)) else DEFAULT_GRACE_S,
        )

    def climb(self, job_pid: int, everyone: Callable[[], set[int]]) -> None:
        """SIGINT as Ctrl-C would send it, later SIGTERM, at last SIGKILL to the whole tree.

        Args:
            job_pid: The job, which leads its process group.
            everyone: All living processes of the job; asked only when they are to be told.
        """
        now = time.monotonic()
        if now < self.next_at:
            return
        if self.now or self.step == 2:
            process.kill_all(everyone())
            self.step, self.next_at = 2, now + _KILL_AGAIN_S
        elif self.step == 0:
            process.send_group(job_pid, signal.SIGINT)
            process.send_group(job_pid, signal.SIGCONT)  # a suspended one would not hear of it
            self.step, self.next_at = 1, now + self.grace_s
        else:
            # Each of them once: a second one would end what is saving because of the first.
            for pid in everyone():
                process.send(pid, signal.SIGTERM)
            self.step, self.next_at = 2, now + _TERM_GRACE_S
