"""The engine's pen: rows, events and progress of one fit, into the run's ledger."""

from __future__ import annotations

import errno
import time
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

from overnight.ledger import job
from overnight.ledger.complaint import complain
from overnight.ledger.format import EPOCH, STEP, SUMMARY
from overnight.tasks.base import Json, Scope

#: The ledger takes one a second; asking it more often than that costs for nothing.
_PROGRESS_EVERY_S = 0.5
#: What a full disk did not take is kept for when there is room: a night of epochs, some MB.
_WAITING_AT_MOST = 10_000
_FULL = (errno.ENOSPC, errno.EDQUOT)
_WHOLE_RUN = Scope()


class RunLedger:
    """Writes what a fit reports (tasks.base.JobLedger). Never raises: a full disk is said.

    What the disk did not take is written before the next row it takes.

    Args:
        total_scopes: How many fits the run has.
        scopes_done: How many of them are over.
        epochs: Of each fit. Progress is then told in them: folds differ by a step, and an end that
            moved from one to the next would throw the time left over.
        before: What came before these fits, in the same unit.
        after: What follows them.
    """

    def __init__(
        self,
        *,
        total_scopes: int = 1,
        scopes_done: int = 0,
        epochs: int | None = None,
        before: float = 0,
        after: float = 0,
    ) -> None:
        self.total_scopes, self.scopes_done, self.epochs = total_scopes, scopes_done, epochs
        self.before, self.after = before, after
        self._job = job.current()
        self._progress_at = 0.0
        self._waiting: deque[Callable[[], Any]] = deque(maxlen=_WAITING_AT_MOST)

    def metrics(
        self,
        values: Mapping[str, float],
        *,
        step: int | None = None,
        epoch: int | None = None,
        scope: Scope = _WHOLE_RUN,
        summary: bool = False,
    ) -> None:
        """One row."""
        if self._job is None:
            return
        kind = SUMMARY if summary else (EPOCH if epoch is not None and step is None else STEP)
        record: dict[str, Any] = {"_kind": kind}
        if scope.stage != "train":
            record["stage"] = scope.stage
        axes = {"fold": scope.fold, "trial": scope.trial, "step": step, "epoch": epoch}
        record.update({name: value for name, value in axes.items() if value is not None})
        record.update(values)
        mine = self._job
        self._write(lambda: mine.pen("metrics").append(record))

    def event(self, name: str, **fields: Json) -> None:
        """One of the job's events."""
        if self._job is None:
            return
        mine = self._job
        self._write(lambda: mine.event(name, fields))

    def _write(self, write: Callable[[], Any]) -> None:
        self._waiting.append(write)
        while self._waiting:
            try:
                self._waiting[0]()
            except OSError as error:
                complain("job.row_unwritten", error)
                if error.errno in _FULL:
                    return
            self._waiting.popleft()

    def progress(self, done: float, total: float, *, unit: str = "step") -> None:
        """How far the fit is; written as how far the run is, its fits taken as equally long."""
        now = time.monotonic()
        if self._job is None or (now - self._progress_at < _PROGRESS_EVERY_S and done < total):
            return
        self._progress_at = now
        if self.epochs is not None:
            done, total, unit = done / total * self.epochs, self.epochs, "epoch"
        try:
            whole = self.before + self.total_scopes * total + self.after
            self._job.progress(self.before + self.scopes_done * total + done, whole, unit)
        except OSError as error:
            complain("job.row_unwritten", error)
