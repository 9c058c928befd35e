"""Being asked to stop: the signal is noted, and the training ends where it can be gone on from."""

from __future__ import annotations

import signal
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal


class Stopped(Exception):  # noqa: N818  (nothing went wrong)
    """The training was asked to end, and has left all that another attempt needs."""


class SignalStop:
    """SIGTERM and SIGINT as a wish, not as an end.

    A loader's worker inherits the handlers and so outlives a signal to the whole group: a batch
    that is on its way still arrives, and the checkpoint can be written. Workers leave when their
    queue is closed or their parent is gone.
    """

    def __init__(self) -> None:
        self._asked = False

    def install(self) -> None:
        """Listens from now on; to be called in the main thread, before anything slow."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._note)

    def _note(self, _number: int, _frame: Any) -> None:
        self._asked = True

    def asked(self) -> Literal["signal", "deadline", "pruned"] | None:
        """By whom; None: go on."""
        return "signal" if self._asked else None

    def leave_if_asked(self) -> None:
        """Ends the training here, between two of its parts.

        Raises:
            Stopped: It was asked to end.
        """
        if self._asked:
            raise Stopped


@dataclass(frozen=True, slots=True)
class TimedStop:
    """A fit's: it ends by a signal, or because its time is up.

    Attributes:
        stop: The process's.
        is_time_up: Asked at each step.
    """

    stop: SignalStop
    is_time_up: Callable[[], bool]

    def asked(self) -> Literal["signal", "deadline", "pruned"] | None:
        """See tasks.base.Stop."""
        return self.stop.asked() or ("deadline" if self.is_time_up() else None)
