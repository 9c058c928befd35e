"""The processes of a job: who descends from whom, and what each has used.

On Linux straight from ``/proc`` (a pass over 100 processes takes about 2 ms; psutil needs 40 ms),
elsewhere from psutil. ``os.path`` and ``os.open`` rather than pathlib: this runs every few seconds
for as long as a job lives.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from importlib import import_module
from typing import Any

if sys.platform == "win32":
    # psutil counts seconds and bytes; they are turned into the usual kernel's units.
    TICKS_PER_S = 100
    PAGE_BYTES = 4096
else:
    TICKS_PER_S = os.sysconf("SC_CLK_TCK")
    PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
#: One read takes a whole stat line: 52 numbers of at most 20 digits and a name of 15 bytes.
_STAT_BYTES = 2048
#: Pids known to be foreign are asked again after this long, in case one was given out anew.
_FULL_PASS_S = 60.0


@dataclass(frozen=True, slots=True)
class ProcessInfo:
    """One process as it was when it was read.

    Attributes:
        pid: Its number.
        ppid: Its parent's; a process whose parent died belongs to the nearest subreaper above.
        state: The kernel's letter: R S D T Z X I; ``?`` where the system does not say.
        start_ticks: When it started, in ticks since boot (off Linux: since 1970). With the pid,
            this tells a process from a later one of the same number.
        cpu_ticks: Its own user and system time, all threads.
        reaped_ticks: The same of the children that ended and were waited for; 0 off Linux.
        rss_pages: Resident memory, shared pages included.
    """

    pid: int
    ppid: int
    state: str
    start_ticks: int
    cpu_ticks: int
    reaped_ticks: int
    rss_pages: int


def parse_stat(data: bytes) -> ProcessInfo | None:
    """A line of ``/proc/PID/stat``; None where it is no such line.

    The name in parentheses may hold anything, parentheses and newlines too: it ends at the last
    closing one.
    """
    head, found, tail = data.rpartition(b")")
    fields = tail.split()
    try:
        return (
            ProcessInfo(
                pid=int(head.split(b" ", 1)[0]),
                ppid=int(fields[1]),
                state=fields[0].decode("ascii"),
                start_ticks=int(fields[19]),
                cpu_ticks=int(fields[11]) + int(fields[12]),
                reaped_ticks=int(fields[13]) + int(fields[14]),
                rss_pages=int(fields[21]),
            )
            if found
            else None
        )
    except (ValueError, IndexError):
        return None


def _read(path: str, num_bytes: int) -> bytes:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        return os.read(descriptor, num_bytes)
    finally:
        os.close(descriptor)


def _read_stats(names: Iterable[str]) -> dict[int, ProcessInfo]:
    found: dict[int, ProcessInfo] = {}
    for name in names:
        try:
            info = parse_stat(_read("/proc/" + name + "/stat", _STAT_BYTES))
        except OSError:  # It ended between the listing and the reading.
            continue
        if info is not None:
            found[info.pid] = info
    return found


def _psutil_stats() -> dict[int, ProcessInfo]:
    psutil: Any = import_module("psutil")
    found: dict[int, ProcessInfo] = {}
    for process in psutil.process_iter():
        try:
            with process.oneshot():
                times = process.cpu_times()
                found[process.pid] = ProcessInfo(
                    pid=process.pid,
                    ppid=process.ppid(),
                    state="Z" if process.status() == psutil.STATUS_ZOMBIE else "?",
                    start_ticks=int(process.create_time() * TICKS_PER_S),
                    cpu_ticks=int((times.user + times.system) * TICKS_PER_S),
                    reaped_ticks=0,
                    rss_pages=process.memory_info().rss // PAGE_BYTES,
                )
        except psutil.Error:  # It ended, or it is another user's.
            continue
    return found


def _descendants(
    roots: Collection[int], processes: dict[int, ProcessInfo]
) -> dict[int, ProcessInfo]:
    children: dict[int, list[int]] = {}
    for info in processes.values():
        children.setdefault(info.ppid, []).append(info.pid)
    tree: dict[int, ProcessInfo] = {}
    todo = [pid for pid in roots if pid in processes]
    while todo:
        pid = todo.pop()
        if pid not in tree:
            tree[pid] = processes[pid]
            todo += children.get(pid, ())
    return tree


def process_tree(root_pids: Collection[int]) -> dict[int, ProcessInfo]:
    """The processes of ``root_pids`` that are there, and all their descendants, zombies included.

    One pass over all processes of the machine. A process whose parent has died is found only
    below its subreaper: name the keeper, too, where there is one.
    """
    if sys.platform == "linux":
        names = (name for name in os.listdir("/proc") if name.isdigit())
        processes = _read_stats(names)
    else:
        processes = _psutil_stats()
    return _descendants(root_pids, processes)


class ProcessWatch:
    """:func:`process_tree` for asking again and again: it reads only what can be the job's.

    A big server has thousands of processes, and a foreign one cannot become a descendant of the
    job. So each pid is looked at once, then only the job's own and the new ones.
    """

    def __init__(self) -> None:
        self._foreign: set[str] = set()
        self._roots: frozenset[int] = frozenset()
        self._full_pass_at_s = 0.0

    def tree(self, root_pids: Collection[int], now_s: float) -> dict[int, ProcessInfo]:
        """As :func:`process_tree`; ``now_s`` is any clock that goes on."""
        if sys.platform == "linux":
            tree = self._proc_tree(root_pids, now_s)
        else:
            tree = process_tree(root_pids)
        return tree

    def _proc_tree(self, root_pids: Collection[int], now_s: float) -> dict[int, ProcessInfo]:
        roots = frozenset(root_pids)
        if roots != self._roots or not 0 <= now_s - self._full_pass_at_s < _FULL_PASS_S:
            self._foreign.clear()
            self._roots = roots
            self._full_pass_at_s = now_s
        names = {name for name in os.listdir("/proc") if name.isdigit()}
        self._foreign &= names
        tree = _descendants(roots, _read_stats(names - self._foreign))
        self._foreign = names.difference(map(str, tree))
        return tree


def processes_with_environment(name: str, value: str) -> set[int]:
    """Processes of this user that were started with ``name=value`` in their environment.

    It finds what a job left behind even where it left the tree (a daemon, a worker whose parents
    died). This process itself is never among them. Not found: one that wrote over its environment
    to change its title, and one that switched user.
    """
    if sys.platform == "linux":
        found = _proc_with_environment(os.fsencode(name + "=" + value))
    else:
        found = _psutil_with_environment(name, value)
    return found


def _proc_with_environment(entry: bytes) -> set[int]:
    found: set[int] = set()
    own_uid, own_pid = os.stat("/proc/self").st_uid, os.getpid()
    for pid in os.listdir("/proc"):
        if not pid.isdigit() or int(pid) == own_pid:
            continue
        try:
            if os.stat("/proc/" + pid).st_uid != own_uid:
                continue
            with open("/proc/" + pid + "/environ", "rb") as file:
                environment = b"\0" + file.read() + b"\0"
        except OSError:  # It ended, or it may not be looked into.
            continue
        if b"\0" + entry + b"\0" in environment:
            found.add(int(pid))
    return found


def _psutil_with_environment(name: str, value: str) -> set[int]:
    psutil: Any = import_module("psutil")
    found: set[int] = set()
    for process in psutil.process_iter():
        try:
            if process.pid != os.getpid() and process.environ().get(name) == value:
                found.add(process.pid)
        except (psutil.Error, OSError):
            continue
    return found
