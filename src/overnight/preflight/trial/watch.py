"""Looks at a trial while it runs: its memory, its log, its own reports, and the clock."""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from overnight.ledger.paths import RunPaths
from overnight.ledger.reader import Tail, stems
from overnight.preflight.trial.asked import Moment, Range
from overnight.supervisor.progress import Progress, hints_in
from overnight.supervisor.system import Sampler

#: A real run is sampled every 5 s; a trial is short, so its peaks are.
_SAMPLE_EVERY_S = 0.5
_LOOK_EVERY_S = 0.25
_LOG_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Report:
    """What one process of the trial told of its loops.

    Attributes:
        begun_s: When it began, and ``now_s`` when it told this: the machine's monotonic clock.
        saved_s: What it left out would take: least, likely, most.
        left_s: What was still to come.
        sites: Loop → kind, total, run, passes, left_out.
        vram_mib: What torch had reserved on its fullest card.
        ended: Whether it had come to its end.
    """

    begun_s: float
    now_s: float
    saved_s: tuple[float, float, float]
    left_s: tuple[float, float, float]
    sites: Mapping[str, Mapping[str, Any]]
    open: tuple[str, ...]
    vram_mib: float | None
    ended: bool
    notes: Mapping[str, Any]

    @classmethod
    def from_json(cls, said: Mapping[str, Any]) -> Report:
        """What ``inside.clock`` has written."""
        low, mid, high = said["saved_s"]
        left_low, left_mid, left_high = said["left_s"]
        return cls(
            said["begun_s"], said["now_s"], (low, mid, high), (left_low, left_mid, left_high),
            said["sites"], tuple(said["open"]), said["vram_mib"], said["ended"], said,
        )  # fmt: skip


@dataclass(slots=True)
class Seen:
    """What was seen of one trial.

    Attributes:
        elapsed_s: From its start to its end, or to the time limit.
        code: Its exit code; negative: the signal that ended it; None: it was stopped at the limit.
        peak_ram_mib: Of its processes together.
        others_percent: What everything else used of the machine meanwhile, 100 = all its cores.
        reports: Of those processes that ran loops.
        remaining_s: What its log says was left at the end of the watch.
        metrics: The last numbers it printed or logged.
    """

    elapsed_s: float = 0.0
    code: int | None = None
    peak_ram_mib: float = 0.0
    peak_gpu_mib: float = 0.0
    others_percent: float = 0.0
    reports: list[Report] = field(default_factory=list)
    remaining_s: Range | None = None
    early_stopping: bool = False
    metrics: Mapping[str, float] = field(default_factory=dict)


class Watch:
    """Watches one trial.

    Args:
        run: The trial's run folder.
        folder: Where the job's reports arrive.
        source: The script, for the number of epochs.
        argv: How the job is called.
        on_progress: Called a few times a second.
    """

    def __init__(
        self,
        run: RunPaths,
        folder: Path,
        source: str,
        argv: list[str],
        on_progress: Callable[[Moment], object],
    ) -> None:
        self._run = run
        self._folder = folder
        self._on_progress = on_progress
        self._progress = Progress([*hints_in(source), *argv])
        self._sampler = Sampler(run.dir)
        self._tails: dict[str, Tail] = {}
        self._log_at = 0
        self._gpu_before: dict[int, float] | None = None
        self._values: dict[str, float] = {}
        self._others: list[float] = []

    def until_end(self, pid: int, poll: Callable[[], int | None], time_limit_s: float) -> Seen:
        """Watches until the job ends by itself or its time is over.

        Args:
            pid: The job's process.
            poll: Its exit code, or None while it runs.
            time_limit_s: From now.
        """
        seen = Seen()
        begun_s = sampled_s = time.monotonic()
        while True:
            seen.code = poll()
            now_s = time.monotonic()
            seen.elapsed_s = now_s - begun_s
            if seen.code is not None or seen.elapsed_s >= time_limit_s:
                break
            if now_s - sampled_s >= _SAMPLE_EVERY_S:
                sampled_s = now_s
                self._sample(pid, now_s, seen)
            self._read_log(seen.elapsed_s)
            self._tell(seen.elapsed_s)
            time.sleep(_LOOK_EVERY_S)
        self._read_log(seen.elapsed_s)
        self._read_ledger(seen.elapsed_s)
        estimate = self._progress.estimate(seen.elapsed_s)
        if estimate is not None:
            seen.remaining_s = estimate.remaining_s
            seen.early_stopping = estimate.at_most
        seen.metrics = {**self._progress.last_metrics, **self._values}
        seen.reports = self.reports()
        if self._others:
            seen.others_percent = sum(self._others) / len(self._others)
        return seen

    def close(self) -> None:
        """Ends what was started to watch the job."""
        self._sampler.close()

    def reports(self) -> list[Report]:
        """What the job's processes have told so far, the earliest first."""
        found = []
        for path in self._folder.glob("clock-*.json"):
            with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
                found.append(Report.from_json(json.loads(path.read_bytes())))
        return sorted(found, key=lambda each: each.begun_s)

    def _sample(self, pid: int, now_s: float, seen: Seen) -> None:
        sample = self._sampler.sample([pid], now_s)
        seen.peak_ram_mib = max(seen.peak_ram_mib, sample.ram_mib)
        own_percent = sample.cpu_percent / (os.cpu_count() or 1)
        self._others.append(max(0.0, sample.host_cpu_percent - own_percent))
        used = {card.index: card.memory_used_mib or 0.0 for card in sample.gpus}
        if used and self._gpu_before is None:
            self._gpu_before = used
        if self._gpu_before:
            added = [mib - self._gpu_before.get(index, mib) for index, mib in used.items()]
            seen.peak_gpu_mib = max(seen.peak_gpu_mib, *added)

    def _read_log(self, now_s: float) -> None:
        try:
            with open(self._run.log, "rb") as file:
                size = file.seek(0, os.SEEK_END)
                self._log_at = max(self._log_at, size - _LOG_BYTES)
                file.seek(self._log_at)
                data = file.read(_LOG_BYTES)
        except OSError:
            return
        if data:
            self._log_at += len(data)
            self._progress.feed_log(data, now_s)

    def _read_ledger(self, now_s: float) -> None:
        for base in ("job", "metrics"):
            for stem in stems(self._run.dir, base):
                for record in self._tails.setdefault(stem, Tail(self._run.dir, stem)).read():
                    self._progress.feed_job(record, now_s)
                    if base == "metrics":
                        self._values.update(
                            (key, value)
                            for key, value in record.items()
                            if isinstance(value, float) and not key.startswith("_")
                        )

    def _tell(self, elapsed_s: float) -> None:
        reports = self.reports()
        if not reports:
            self._on_progress(Moment("starting", elapsed_s))
            return
        last = max(reports, key=lambda each: each.now_s)
        ahead = [last.saved_s[i] + last.left_s[i] for i in range(3)]
        span = (elapsed_s + ahead[0], elapsed_s + ahead[2]) if any(ahead) else None
        loop = last.open[-1] if last.open else ""
        self._on_progress(Moment("running", elapsed_s, loop, span))
