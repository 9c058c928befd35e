"""All that is known of one attempt: what comes in, and the estimate that follows from it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Final

from overnight.supervisor.progress.bars import Bar, Bars
from overnight.supervisor.progress.epochs import EpochCount, FoldCount
from overnight.supervisor.progress.estimate import (
    EarlyStopping,
    Estimate,
    Passes,
    of_bar,
    of_epochs,
    of_framework,
)
from overnight.supervisor.progress.framework import FrameworkEta
from overnight.supervisor.progress.hints import hinted_totals
from overnight.supervisor.progress.lines import (
    MAX_LINE_BYTES,
    EpochSeen,
    LineSeen,
    read_line,
)
from overnight.supervisor.progress.metrics import LastMetrics
from overnight.supervisor.progress.pace import Pace

# A frame without an end is taken as whole after this long: a bar ends it with its next frame only.
_SETTLED_AFTER_S = 1.0
_SCHEMA: Final = "overnight.progress/1"


class Progress:
    """What is known of one attempt. Times are monotonic seconds since the attempt's start.

    Args:
        argv: The job's command line and its overrides, for the number of epochs.
    """

    def __init__(self, argv: Sequence[str] = ()) -> None:
        self._hint_epochs, self._hint_folds = hinted_totals(argv)
        # A transformers Trainer draws one bar over all epochs, so its bar is no epoch's.
        self._hint_trainer = any("num_train_epochs" in each for each in argv)
        self._told_epochs: int | None = None
        self._told_folds: int | None = None
        self._configured_epochs: int | None = None
        self._configured_folds: int | None = None
        self._early: EarlyStopping = "off"
        self._counts: dict[str, EpochCount] = {}
        self._newest: EpochCount | None = None
        self._folds = FoldCount()
        self._bars = Bars()
        self._trainer = False
        self._job: Bar | None = None
        self._job_unit = "step"
        self._eta = FrameworkEta()
        self._until_s: float | None = None  # when the job means to be over at the latest
        self._metrics = LastMetrics()
        self._pending = bytearray()
        self._pending_s = 0.0
        self._pending_read = False

    # ── what comes in ────────────────────────────────────────────────────────────────────────

    def feed_log(self, data: bytes, now_s: float) -> None:
        """Take in the next bytes of the log, cut anywhere."""
        *ended, rest = data.replace(b"\r", b"\n").split(b"\n")
        for line in ended:
            if self._pending:
                self._pending += line[: MAX_LINE_BYTES - len(self._pending)]
                self._read(bytes(self._pending), self._pending_s)
                self._pending.clear()
                self._pending_s, self._pending_read = 0.0, False
            elif line:
                self._read(line, now_s)
        if rest:
            if not self._pending:
                self._pending_s = now_s  # a line is written at once: its first byte has its time
            self._pending += rest[: MAX_LINE_BYTES - len(self._pending)]
            self._pending_read = False

    def feed_job(self, record: Mapping[str, object], now_s: float) -> None:
        """Take in a record of the job's own: an event, or a row of metrics."""
        match record.get("_event"):
            case "Progress":
                self._see_job(record, now_s)
            case "Configured":
                self._configured_epochs = _count(record.get("epochs")) or self._configured_epochs
                self._configured_folds = _count(record.get("folds")) or self._configured_folds
                if record.get("early_stopping") and self._early == "off":
                    self._early = "on"
            case "EarlyStopped":
                self._early = "fired"
            case "Planned":
                until_us, at_us = record.get("until_us"), record.get("_t")
                if isinstance(until_us, int) and isinstance(at_us, int):
                    left_us = _finite(until_us - at_us)
                    self._until_s = None if left_us is None else now_s + left_us / 1e6
            case _ if record.get("_kind") == "epoch":
                self._see_row(record, now_s)
            case _:
                return

    def _see_job(self, record: Mapping[str, object], now_s: float) -> None:
        done, total = _finite(record.get("done")), _finite(record.get("total"))
        if done is None or total is None or total <= 0 or done < 0:
            return
        unit = record.get("unit")
        unit = unit if isinstance(unit, str) and unit else "step"
        job = self._job
        if job is None or job.total != total or self._job_unit != unit:
            job = self._job = Bar("", total, 0, now_s)
        elif done < job.done:
            job.restarts += 1
            job.pace = Pace()
        self._job_unit = unit
        job.done = min(done, total)
        job.last_s = now_s
        job.pace.add(now_s, job.done)

    def _see_row(self, record: Mapping[str, object], now_s: float) -> None:
        fold = record.get("fold")
        if isinstance(fold, int) and not isinstance(fold, bool) and fold >= 0:
            self._see_fold(fold, None, now_s)
        epoch = record.get("epoch")
        if isinstance(epoch, int) and not isinstance(epoch, bool) and 0 <= epoch < 10_000_000:
            self._see_epoch(EpochSeen("row", epoch, None, "end", None), now_s)
        self._metrics.see_row(record)

    def _read(self, line: bytes, now_s: float) -> None:
        seen = read_line(line)
        self._metrics.see_line(line, is_frame=seen is not None and seen.bar is not None)
        if seen is not None:
            self._see(seen, now_s)

    def _see(self, seen: LineSeen, now_s: float) -> None:
        self._told_epochs = seen.num_epochs or self._told_epochs
        self._told_folds = seen.num_folds or self._told_folds
        self._trainer |= seen.from_trainer
        if seen.early_stopping == "fired" or (seen.early_stopping and self._early == "off"):
            self._early = seen.early_stopping
        if seen.fold is not None:
            self._see_fold(*seen.fold, now_s)
        if seen.eta_s is not None:
            self._eta.see(seen.eta_s, seen.eta_share, now_s)
        if seen.epoch is not None:
            self._see_epoch(seen.epoch, now_s)
        bar = seen.bar
        if bar is None or bar.preparing:
            return
        if seen.epoch is not None:
            self._bars.see_inner()
            return
        if not bar.in_epoch:
            self._bars.see(bar, now_s)
            self._count_bars(now_s)
        if self._newest is not None:
            self._newest.attach(bar, now_s)

    def _see_epoch(self, epoch: EpochSeen, now_s: float) -> None:
        count = self._counts.get(epoch.form)
        if count is None:
            count = self._counts[epoch.form] = EpochCount(epoch.form)
        passes = count.passes
        count.see(epoch, now_s)
        if epoch.form not in ("row", "float", "bars"):
            self._newest = count
        if count.passes > passes and self._early == "fired":
            self._early = "on"  # that pass was stopped; this one may run longer

    def _see_fold(self, number: int, total: int | None, now_s: float) -> None:
        if self._folds.see(number, total, now_s) and self._early == "fired":
            self._early = "on"

    def _count_bars(self, now_s: float) -> None:
        """Where the number of epochs is known but none is printed, a loader's bar counts them."""
        first = self._bars.first()
        known = self._configured_epochs or self._hint_epochs or self._told_epochs
        if first is None or not known or self._trainer or self._hint_trainer:
            return
        if self._newest is None and first.total != known:
            share = first.done / first.total
            self._see_epoch(EpochSeen("bars", first.restarts, None, "inside", share), now_s)

    # ── what is known ────────────────────────────────────────────────────────────────────────

    def estimate(self, now_s: float) -> Estimate | None:
        """How far the run is, or None while nothing was said about it."""
        if self._pending and not self._pending_read and now_s - self._pending_s >= _SETTLED_AFTER_S:
            self._pending_read = True
            self._read(bytes(self._pending), self._pending_s)
        found = next(self._estimates(now_s), None)
        if found is None or found.remaining_s is None or self._until_s is None:
            return found
        left_s = max(0.0, self._until_s - now_s)
        low_s, high_s = found.remaining_s
        return replace(found, remaining_s=(min(low_s, left_s), min(high_s, left_s)))

    def _estimates(self, now_s: float) -> Iterator[Estimate]:
        """The most trusted first."""
        if self._job is not None and self._job.restarts == 0:
            yield of_bar(self._job, self._job_unit, "job", at_most=self._at_most, now_s=now_s)
        if self._eta.told:
            yield of_framework(self._eta, at_most=self._at_most, now_s=now_s)
        bar = self._bars.of_trainer() if self._trainer else self._bars.outermost()
        if bar is not None and self._trainer:
            yield of_bar(bar, "step", "framework", at_most=self._at_most, now_s=now_s)
        counts = sorted(self._counts.values(), key=self._rank, reverse=True)
        for count in counts:
            total = self._epochs_of(count)
            if total is not None:
                yield self._of_epochs(count, total, now_s)
        if bar is not None:
            yield of_bar(bar, "step", "bar", at_most=self._at_most, now_s=now_s)
        for count in counts:
            done = float(count.completed)
            yield Estimate(done, None, "epoch", None, None, self._at_most, "epochs")

    @property
    def _at_most(self) -> bool:
        return self._early != "off"

    def _rank(self, count: EpochCount) -> tuple[bool, bool, float, float]:
        return (
            count.form == "row",
            count.printed_total is not None,
            count.whole.units,
            count.changed_s,
        )

    def _epochs_of(self, count: EpochCount) -> tuple[int, int] | None:
        total = count.total(self._configured_epochs, self._hint_epochs or self._told_epochs)
        # More than was told were done: the told number was about something else.
        return None if total is None or count.completed > total[1] else total

    def _of_epochs(self, count: EpochCount, total: tuple[int, int], now_s: float) -> Estimate:
        folds = self._folds
        num_folds = self._configured_folds or folds.total or self._hint_folds or self._told_folds
        over = max(folds.completed, count.passes)
        if num_folds is not None and over >= num_folds:
            num_folds = None  # more than was told
        if num_folds is None and (folds.seen or count.passes):
            # Passes over the data follow one another, and nobody said how many.
            done = float(count.completed)
            return Estimate(done, float(total[0]), "epoch", None, None, self._at_most, "epochs")
        passes = Passes(num_folds or 1, over, folds.pace)
        return of_epochs(count, total, passes, early=self._early, now_s=now_s)

    @property
    def last_metrics(self) -> Mapping[str, float]:
        """The newest loss-like numbers, by the name they were printed under."""
        return self._metrics.values()

    # ── for a supervisor that takes over ─────────────────────────────────────────────────────

    def snapshot(self) -> dict[str, object]:
        """Everything known, ready for JSON: a few kB."""
        job = self._job
        return {
            "schema": _SCHEMA,
            "epochs": [self._hint_epochs, self._told_epochs, self._configured_epochs],
            "folds": [self._hint_folds, self._told_folds, self._configured_folds],
            "hint_trainer": self._hint_trainer,
            "trainer": self._trainer,
            "early": self._early,
            "counts": [count.dump() for count in self._counts.values()],
            "newest": None if self._newest is None else self._newest.form,
            "fold_count": self._folds.dump(),
            "bars": self._bars.dump(),
            "job": None
            if job is None
            else [self._job_unit, job.total, job.done, job.restarts, job.last_s, job.pace.dump()],
            "eta": self._eta.dump(),
            "until_s": self._until_s,
            "metrics": self._metrics.dump(),
            "pending": [bytes(self._pending).decode("latin-1"), self._pending_s],
        }

    @classmethod
    def restore(cls, data: object, argv: Sequence[str] = ()) -> Progress:
        """The state of ``snapshot``. Where it cannot be read, a fresh one that knows ``argv``."""
        progress = cls(argv)
        if not isinstance(data, Mapping) or data.get("schema") != _SCHEMA:
            return progress
        try:
            progress._load(data)
        except (TypeError, ValueError, KeyError, OverflowError):
            return cls(argv)
        return progress

    def _load(self, data: Mapping[str, object]) -> None:
        hint, self._told_epochs, self._configured_epochs = map(_count, _listed(data["epochs"], 3))
        self._hint_epochs = self._hint_epochs or hint
        hint, self._told_folds, self._configured_folds = map(_count, _listed(data["folds"], 3))
        self._hint_folds = self._hint_folds or hint
        self._hint_trainer |= data["hint_trainer"] is True
        self._trainer = data["trainer"] is True
        early = data["early"]
        if early == "on" or early == "fired":
            self._early = early
        for each in _listed(data["counts"]):
            count = EpochCount.load(_table(each))
            self._counts[count.form] = count
        self._newest = self._counts.get(str(data["newest"]))
        self._folds = FoldCount.load(_table(data["fold_count"]))
        self._bars = Bars.load(_table(data["bars"]))
        if data["job"] is not None:
            unit, total, done, restarts, last_s, pace = _listed(data["job"], 6)
            self._job_unit = str(unit)
            self._job = job = Bar("", float(str(total)), 0, float(str(last_s)))
            job.done, job.restarts = float(str(done)), int(str(restarts))
            job.last_s, job.pace = float(str(last_s)), Pace.load(pace)
        self._eta = FrameworkEta.load(_table(data["eta"]))
        self._until_s = _finite(data.get("until_s"))
        self._metrics = LastMetrics.load(_table(data["metrics"]))
        pending, pending_s = _listed(data["pending"], 2)
        self._pending = bytearray(str(pending).encode("latin-1")[:MAX_LINE_BYTES])
        self._pending_s = float(str(pending_s))


def _finite(value: object) -> float | None:
    """A finite number out of JSON, or None."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if abs(value) < 1e15 else None


def _count(value: object) -> int | None:
    """A positive whole number, or None."""
    if isinstance(value, bool) or not isinstance(value, int):
        return None
    return value if 0 < value < 10_000_000 else None


def _listed(value: object, length: int | None = None) -> list[object]:
    if not isinstance(value, list | tuple) or length not in (None, len(value)):
        raise TypeError("a list was expected")
    return list(value)


def _table(value: object) -> Mapping[str, object]:
    if not isinstance(value, Mapping):
        raise TypeError("a table was expected")
    return value
