"""What a job and its machine use, sampled every few seconds: the rows of ``system.jsonl``.

Standard library only, about a millisecond a sample on Linux; psutil elsewhere.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from overnight.supervisor.gpu import GpuProbe, GpuSample
from overnight.supervisor.process_tree import (
    PAGE_BYTES,
    TICKS_PER_S,
    ProcessInfo,
    ProcessWatch,
    process_tree,
    processes_with_environment,
)

__all__ = [
    "GpuProbe",
    "GpuSample",
    "ProcessInfo",
    "Sample",
    "Sampler",
    "process_tree",
    "processes_with_environment",
]

_MIB = 1024 * 1024
_ENDED = frozenset("ZX")


@dataclass(frozen=True, slots=True)
class Sample:
    """One look at the job and the machine.

    Attributes:
        cpu_percent: Of the job's process tree since the sample before, 100 = one core; 0 in the
            first one.
        ram_mib: Resident memory of the tree, summed. Pages that forked workers share count once
            for each of them, so it is an upper bound (the exact figure costs 100 times as much).
        num_processes: Living ones; what has ended and waits for its parent does not count.
        host_cpu_percent: Of the whole machine, 100 = all cores.
        host_ram_used_mib: Total less what the kernel could give at once.
        host_ram_total_mib: Of the machine, whatever a container may be allowed of it.
        disk_free_mib: Free to this user where the run folder lies; -1 where it cannot be asked.
        gpus: All cards, the job's or not; empty where none is known.
        job_gpu_percent: The busiest card that may be the job's; None where it is not known.
        job_uses_gpu: Whether a process of the job is known to compute on a card.
    """

    cpu_percent: float
    ram_mib: float
    num_processes: int
    host_cpu_percent: float
    host_ram_used_mib: float
    host_ram_total_mib: float
    disk_free_mib: float
    gpus: tuple[GpuSample, ...]
    job_gpu_percent: float | None
    job_uses_gpu: bool

    def to_record(self) -> dict[str, float]:
        """The values of a row of ``system.jsonl``: flat, ``gpu<index>_…`` per card."""
        record: dict[str, float] = {
            "cpu_percent": round(self.cpu_percent, 1),
            "ram_mib": round(self.ram_mib, 1),
            "num_processes": self.num_processes,
            "host_cpu_percent": round(self.host_cpu_percent, 1),
            "host_ram_used_mib": round(self.host_ram_used_mib),
            "host_ram_total_mib": round(self.host_ram_total_mib),
        }
        if self.disk_free_mib >= 0:
            record["disk_free_mib"] = round(self.disk_free_mib)
        for card in self.gpus:
            values = {
                "util_percent": card.util_percent,
                "memory_mib": card.memory_used_mib,
                "memory_total_mib": card.memory_total_mib,
                "temperature_c": card.temperature_c,
            }
            record |= {
                f"gpu{card.index}_{key}": value
                for key, value in values.items()
                if value is not None
            }
        return record


class Sampler:
    """Takes the samples of one job.

    Args:
        disk_path: A folder on the disk whose free space matters: the run folder.
        gpu: The probe to use; one of its own by default.
    """

    def __init__(self, disk_path: str, *, gpu: GpuProbe | None = None) -> None:
        self.gpu = GpuProbe() if gpu is None else gpu
        self.tree: Mapping[int, ProcessInfo] = {}
        """The job's processes as the last sample found them."""
        self._disk_path = disk_path
        self._watch = ProcessWatch()
        self._sampled_s: float | None = None
        self._cpu_percent = 0.0
        self._host_ticks: tuple[float, float] | None = None

    def sample(self, pids: Collection[int], now_s: float) -> Sample:
        """Look once.

        Args:
            pids: Processes that, with all their descendants, are the job: the job itself and,
                so that orphans stay in sight, its keeper.
            now_s: A clock that goes on; where it begins anew, so does the CPU figure.
        """
        self.gpu.poll(now_s)
        tree = self._watch.tree(pids, now_s)
        elapsed_s = 0.0 if self._sampled_s is None else now_s - self._sampled_s
        if elapsed_s > 0:
            used_s = ticks_used(self.tree, tree) / TICKS_PER_S
            self._cpu_percent = 100.0 * used_s / elapsed_s
        elif elapsed_s < 0:
            self._cpu_percent = 0.0
        if elapsed_s or self._sampled_s is None:
            self._sampled_s = now_s
            self.tree = tree
        alive = [info for info in tree.values() if info.state not in _ENDED]
        used_mib, total_mib = _host_ram_mib()
        job_gpu_percent, job_uses_gpu = self.gpu.job_use(tree)
        return Sample(
            cpu_percent=self._cpu_percent,
            ram_mib=sum(info.rss_pages for info in alive) * PAGE_BYTES / _MIB,
            num_processes=len(alive),
            host_cpu_percent=self._host_cpu_percent(),
            host_ram_used_mib=used_mib,
            host_ram_total_mib=total_mib,
            disk_free_mib=disk_free_mib(self._disk_path),
            gpus=self.gpu.cards,
            job_gpu_percent=job_gpu_percent,
            job_uses_gpu=job_uses_gpu,
        )

    def close(self) -> None:
        """End what was started for it."""
        self.gpu.close()

    def _host_cpu_percent(self) -> float:
        before, self._host_ticks = self._host_ticks, _host_ticks()
        busy, total = self._host_ticks
        if before is None or total <= before[1]:
            return 0.0
        return min(100.0, max(0.0, 100.0 * (busy - before[0]) / (total - before[1])))


def ticks_used(before: Mapping[int, ProcessInfo], after: Mapping[int, ProcessInfo]) -> int:
    """CPU ticks a tree used between two looks, those of processes that came and went included.

    A process that ended hands its ticks to the parent that waits for it, as "reaped". They hold
    its whole life, so what was already counted of those that are gone is taken off again.
    """
    used = reaped = gone = 0
    for pid, info in after.items():
        old = before.get(pid)
        if old is None or old.start_ticks != info.start_ticks:
            used += info.cpu_ticks + info.reaped_ticks
        else:
            used += max(0, info.cpu_ticks - old.cpu_ticks)
            reaped += info.reaped_ticks - old.reaped_ticks
    for pid, old in before.items():
        info_now = after.get(pid)
        if info_now is None or info_now.start_ticks != old.start_ticks:
            gone += old.cpu_ticks + old.reaped_ticks
    return used + max(0, reaped - gone)


def disk_free_mib(path: str) -> float:
    """Space this user may still fill on the disk of ``path``; -1 where it cannot be asked."""
    try:
        if sys.platform == "win32":
            psutil: Any = import_module("psutil")
            free_bytes = int(psutil.disk_usage(path).free)
        else:
            disk = os.statvfs(path)
            free_bytes = disk.f_bavail * disk.f_frsize
    except OSError:
        return -1.0
    return free_bytes / _MIB


def parse_meminfo(data: bytes) -> dict[str, float]:
    """Name → MiB of the lines of ``/proc/meminfo`` that count in kB."""
    found = {}
    for line in data.splitlines():
        name, _, rest = line.partition(b":")
        fields = rest.split()
        if len(fields) == 2 and fields[1] == b"kB" and fields[0].isdigit() and len(fields[0]) < 19:
            found[name.decode("ascii", "replace")] = int(fields[0]) / 1024
    return found


def _host_ram_mib() -> tuple[float, float]:
    """Used and total."""
    if sys.platform == "linux":
        with open("/proc/meminfo", "rb") as file:
            memory = parse_meminfo(file.read(4096))
        total = memory.get("MemTotal", 0.0)
        available = memory.get("MemAvailable", memory.get("MemFree", 0.0))
    else:
        psutil: Any = import_module("psutil")
        state = psutil.virtual_memory()
        total, available = state.total / _MIB, state.available / _MIB
    return total - available, total


def _host_ticks() -> tuple[float, float]:
    """Busy and all time of the machine's cores since boot, in the same unit."""
    if sys.platform == "linux":
        with open("/proc/stat", "rb", buffering=0) as file:
            fields = [int(field) for field in file.read(256).split(b"\n", 1)[0].split()[1:9]]
        total: float = sum(fields)  # user nice system idle iowait irq softirq steal
        idle: float = fields[3] + fields[4]
    else:
        psutil: Any = import_module("psutil")
        times = psutil.cpu_times()
        total, idle = sum(times), times.idle
    return total - idle, total
