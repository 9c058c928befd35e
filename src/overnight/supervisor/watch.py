"""What the supervisor sees of a living job: log, progress, samples, stall, and status.json."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from dataclasses import asdict
from typing import Any

from overnight.ledger import files
from overnight.ledger.format import row
from overnight.ledger.identity import ALIVE
from overnight.ledger.paths import RunPaths
from overnight.ledger.reader import Tail, stems
from overnight.ledger.writer import Pen
from overnight.supervisor.keeper import Kept
from overnight.supervisor.launch import Launch
from overnight.supervisor.process_tree import TICKS_PER_S
from overnight.supervisor.progress import Progress, hints_in
from overnight.supervisor.stall import DEFAULT_STALL_AFTER_S, StallWatch
from overnight.supervisor.system import Sampler

assert sys.platform != "win32"

_SAMPLE_EVERY_S = 5.0
_RECORD_EVERY_S = 10.0
#: A log that grew by more than this between two looks is read from its end.
_LOG_BYTES = 1024 * 1024
#: Enough of a script to see how many epochs it asks for.
_SOURCE_BYTES = 256 * 1024


class Watch:
    """Follows one run, attempt after attempt. Never raises for a full disk.

    Args:
        run: The run.
        launch: How it was started: argv and overrides may name the number of epochs.
    """

    def __init__(self, run: RunPaths, launch: Launch) -> None:
        self._run = run
        self._launch = launch
        self._stall_after_s = launch.stall_after_s or DEFAULT_STALL_AFTER_S
        self._sampler = Sampler(run.dir)
        self._sample: dict[str, float] = {}
        self._system: Pen | None = None
        self._written: dict[str, Any] = {}
        self._tails: dict[str, Tail] = {}
        self._values: dict[str, float] = {}

    def begin(self, kept: Kept, attempt: int) -> None:
        """Begins to watch a new attempt."""
        self._kept = kept
        self._attempt = attempt
        #: Whether any step, epoch or bar was seen in this attempt.
        self.steps_seen = False
        self._progress = Progress(self._hints())
        self._stall = StallWatch(stall_after_s=self._stall_after_s)
        self._log_at = _size(self._run.log)
        #: Records of the job's read so far: what writes them is alive, whatever its log does.
        self._num_records = 0
        self._sampled_at = self._recorded_at = -_RECORD_EVERY_S
        # What earlier attempts wrote says nothing about this one's pace.
        for base in ("job", "metrics"):
            for stem in stems(self._run.dir, base):
                for _ in self._tail(stem).read():
                    pass

    def resume(self, kept: Kept, attempt: int) -> None:
        """Begins to watch an attempt that another supervisor watched until it died."""
        self.begin(kept, attempt)
        said = files.read_json(self._run.status_json) or {}
        if said.get("attempt") == attempt:
            self._progress = Progress.restore(said.get("progress"), self._hints())
            stall = said.get("stall")
            if isinstance(stall, dict):
                self._stall = StallWatch.restore(stall, stall_after_s=self._stall_after_s)
            offset = said.get("log_bytes")
            if isinstance(offset, int) and 0 <= offset <= self._log_at:
                self._log_at = offset

    def _hints(self) -> list[str]:
        """What names the number of epochs, the most trusted last: code, options, overrides."""
        source = ""
        with contextlib.suppress(OSError), open(self._launch.entry, "rb") as file:
            source = file.read(_SOURCE_BYTES).decode("utf-8", "replace")
        overrides = (f"{key}={value}" for key, value in self._launch.overrides.items())
        return [*hints_in(source), *self._launch.argv, *overrides]

    def elapsed_s(self) -> float:
        """Seconds since the job of this attempt started, whoever started it."""
        # start_ticks counts from the boot on Linux, milliseconds since 1970 elsewhere.
        clock = getattr(time, "CLOCK_BOOTTIME", None)
        if clock is None:
            return time.time() - self._kept.job.start_ticks / 1000
        return time.clock_gettime(clock) - self._kept.job.start_ticks / TICKS_PER_S

    @property
    def quiet_s(self) -> float:
        """How long nothing has moved."""
        return self._stall.quiet_s

    def own_children(self) -> set[int]:
        """Processes of this supervisor that are not the job's."""
        return self._sampler.gpu.pids()

    def look(self) -> str | None:
        """One look at everything; ``Stalled`` or ``Recovered`` if that has just become so."""
        now_s = self.elapsed_s()
        self._read_log(now_s)
        self._read_ledger(now_s)
        change = None
        if now_s - self._sampled_at >= _SAMPLE_EVERY_S:
            self._sampled_at = now_s
            change = self._take_sample(now_s)
        self._write_status(now_s)
        return change

    def _read_log(self, now_s: float) -> None:
        try:
            with open(self._run.log, "rb") as file:
                size = file.seek(0, os.SEEK_END)
                if size - self._log_at > _LOG_BYTES:
                    self._log_at = size - _LOG_BYTES
                file.seek(self._log_at)
                data = file.read(_LOG_BYTES)
        except OSError:
            return
        if data:
            self._log_at += len(data)
            self._progress.feed_log(data, now_s)

    def _tail(self, stem: str) -> Tail:
        return self._tails.setdefault(stem, Tail(self._run.dir, stem))

    def _read_ledger(self, now_s: float) -> None:
        for base in ("job", "metrics"):
            for stem in stems(self._run.dir, base):
                for record in self._tail(stem).read():
                    self._num_records += 1
                    self._progress.feed_job(record, now_s)
                    if base == "metrics":
                        for key, value in row(record, file=stem, segment=0).values.items():
                            self._values.pop(key, None)  # the newest stand last
                            self._values[key] = value

    def _take_sample(self, now_s: float) -> str | None:
        roots = [
            identity.pid
            for identity in (self._kept.job, self._kept.keeper)
            if identity.look() == ALIVE
        ]
        sample = self._sampler.sample(roots, now_s)
        self._sample = sample.to_record()
        if now_s - self._recorded_at >= _RECORD_EVERY_S:
            self._recorded_at = now_s
            with contextlib.suppress(OSError):  # a full disk costs samples, nothing else
                if self._system is None:
                    self._system = Pen(self._run.dir, "system", attempt=self._attempt)
                self._system.attempt = self._attempt
                self._system.append(self._sample)
        change = self._stall.observe(
            now_s,
            log_bytes=self._log_at + self._num_records,
            cpu_percent=sample.cpu_percent,
            gpu_percent=sample.job_gpu_percent,
            uses_gpu=sample.job_uses_gpu,
        )
        return None if change is None else change.capitalize()

    def _write_status(self, now_s: float) -> None:
        """Writes what was worked out, for readers and for a supervisor that comes after this."""
        estimate = self._progress.estimate(now_s)
        if estimate is not None or self._values:
            self.steps_seen = True
        last = self._progress.last_metrics
        values = {k: v for k, v in last.items() if k not in self._values} | self._values
        said = {
            "attempt": self._attempt,
            "estimate": None if estimate is None else asdict(estimate),
            "metrics": values,
            "sample": self._sample,
            "log_bytes": self._log_at,
            "stall": self._stall.snapshot(),
        }
        if said == self._written:
            return
        self._written = said
        whole = {
            **said,
            "progress": self._progress.snapshot(),
            "elapsed_s": round(now_s, 1),
            "updated_us": time.time_ns() // 1000,
        }
        with contextlib.suppress(OSError):  # a cache; the next look writes it
            files.replace(self._run.status_json, files.to_json(whole), sync=False)

    def close(self) -> None:
        """Ends what was started to watch the job."""
        self._sampler.close()


def _size(path: str) -> int:
    try:
        return os.stat(path).st_size
    except OSError:
        return 0
