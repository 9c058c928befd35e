"""The machine itself: disk, memory, limits, shared memory, clock, locale, git.

Every function takes what it reads (a folder, a text) as an argument and returns its findings; the
thresholds say where they come from.
"""

from __future__ import annotations

import locale
import os
import shutil
import sys
import time
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

from overnight.preflight.ask import ask
from overnight.preflight.cgroup import controller_folders, lowest_limit
from overnight.preflight.check import Check, Json, Level
from overnight.supervisor.system import parse_meminfo

_MIB = 1024 * 1024
#: A checkpoint of a small model with its optimizer is about 1 GiB; two lie there while one is
#: being replaced.
_DISK_BAD_MIB = 1024
_DISK_WARN_MIB = 5 * 1024
#: A run makes about 30 files, a virtual environment with torch 40,000.
_INODES_BAD = 1_000
_INODES_WARN = 50_000
#: `import torch` alone takes 0.5 GiB, and each DataLoader worker as much again.
_MEMORY_WARN_MIB = 2048
#: Docker's default for /dev/shm is 64 MiB; one batch of 64 float images of 224 px is 37 MiB.
_SHM_WARN_MIB = 1024
#: Each batch in flight between DataLoader workers and the job is an open file or more.
_NOFILE_WARN = 4096
#: OpenMP starts a thread for every core in every worker, and threads count.
_NPROC_WARN = 4096
_UNLIMITED = -1


def _gib(mib: float) -> str:
    return f"{mib / 1024:.1f} GiB" if mib >= 100 else f"{mib:.0f} MiB"


def check_disks(root: Path, home: Path) -> list[Check]:
    """Free space and inodes of the root and of home, once where they share a disk."""
    checks = []
    seen: set[int] = set()
    for place, folder in {"root": root, "home": home}.items():
        try:
            device = folder.stat().st_dev
            if device not in seen:
                checks.append(_check_disk(place, folder))
            seen.add(device)
        except OSError as error:
            facts: dict[str, Json] = {"place": place, "path": str(folder), "error": str(error)}
            reason = error.strerror or str(error)
            fields = {"path": folder, "reason": reason}
            checks.append(Check("disk", "bad", "unreadable", facts, fields))
    return checks


def _check_disk(place: str, folder: Path) -> Check:
    free_mib = shutil.disk_usage(folder).free / _MIB
    inodes_free, num_inodes = _inodes(folder)
    facts: dict[str, Json] = {
        "place": place,
        "path": str(folder),
        "free_mib": round(free_mib),
        "inodes_free": inodes_free,
    }
    fields = {"path": folder, "free": _gib(free_mib), "inodes": f"{inodes_free or 0:,}"}
    if not os.access(folder, os.W_OK | os.X_OK):
        return Check("disk", "bad", "not_writable", facts, fields)
    if free_mib < _DISK_WARN_MIB:
        return Check("disk", "bad" if free_mib < _DISK_BAD_MIB else "warn", "low", facts, fields)
    # Some file systems (btrfs, many network ones) have no fixed number of inodes and say 0.
    if inodes_free is not None and num_inodes and inodes_free < _INODES_WARN:
        level: Level = "bad" if inodes_free < _INODES_BAD else "warn"
        return Check("disk", level, "few_inodes", facts, fields)
    return Check("disk", "ok", "enough", facts, fields)


def _inodes(folder: Path) -> tuple[int | None, int | None]:
    """Free to this user, and all; None where the system counts none."""
    counts: tuple[int | None, int | None] = (None, None)
    if sys.platform != "win32":
        disk = os.statvfs(folder)
        counts = (disk.f_favail, disk.f_files)
    return counts


def check_memory(meminfo: bytes, proc_cgroup: str, cgroup_base: Path) -> Check:
    """What memory there is, and what this process may have of it.

    Args:
        meminfo: ``/proc/meminfo``.
        proc_cgroup: ``/proc/self/cgroup``.
        cgroup_base: ``/sys/fs/cgroup``.
    """
    memory = parse_meminfo(meminfo)
    total_mib, available_mib = memory.get("MemTotal"), memory.get("MemAvailable")
    if total_mib is None or available_mib is None:
        return Check("memory", "unknown", "unknown")
    folders = controller_folders(proc_cgroup, "memory", cgroup_base)
    limit = lowest_limit(folders, "memory.max", "memory.high", "memory.limit_in_bytes")
    limit_mib = None if limit is None else limit / _MIB
    facts: dict[str, Json] = {
        "total_mib": round(total_mib),
        "available_mib": round(available_mib),
        "swap_mib": round(memory.get("SwapTotal", 0.0)),
        "limit_mib": None if limit_mib is None else round(limit_mib),
    }
    fields = {"total": _gib(total_mib), "available": _gib(available_mib)}
    if limit_mib is not None and limit_mib < total_mib:
        fields["limit"] = _gib(limit_mib)
        level: Level = "warn" if min(limit_mib, available_mib) < _MEMORY_WARN_MIB else "ok"
        return Check("memory", level, "low_limit" if level == "warn" else "limit", facts, fields)
    if available_mib < _MEMORY_WARN_MIB:
        return Check("memory", "warn", "low", facts, fields)
    return Check("memory", "ok", "enough", facts, fields)


def read_limits() -> dict[str, tuple[int, int]]:
    """Soft and hard limits of this process by their shell names; -1 = none."""
    limits: dict[str, tuple[int, int]] = {}
    if sys.platform != "win32":
        import resource

        kinds = {
            "nofile": resource.RLIMIT_NOFILE,
            "nproc": resource.RLIMIT_NPROC,
            "core": resource.RLIMIT_CORE,
            "as": resource.RLIMIT_AS,
            "fsize": resource.RLIMIT_FSIZE,
            "cpu": resource.RLIMIT_CPU,
        }
        for name, kind in kinds.items():
            soft, hard = (
                _UNLIMITED if value == resource.RLIM_INFINITY else value
                for value in resource.getrlimit(kind)
            )
            limits[name] = (soft, hard)
    return limits


def check_limits(
    limits: Mapping[str, tuple[int, int]],
    *,
    core_pattern: str = "",
    num_tasks_limit: int | None = None,
) -> list[Check]:
    """The limits of the shell that a run inherits.

    Args:
        limits: Soft and hard by name, as :func:`read_limits` gives them.
        core_pattern: ``/proc/sys/kernel/core_pattern``; one that begins with ``|`` hands the
            image of a crashed process to a program and writes no file beside the job.
        num_tasks_limit: The ``pids`` limit of the cgroup.
    """
    if not limits:
        return [Check("limits", "unknown", "unknown")]
    problems = []
    facts: dict[str, Json] = {name: soft for name, (soft, _) in limits.items()}
    facts["cgroup_pids"] = num_tasks_limit

    def problem(level: Level, code: str, **fields: object) -> None:
        problems.append(Check("limits", level, code, facts, fields))

    nofile, nofile_hard = limits.get("nofile", (_UNLIMITED, _UNLIMITED))
    if 0 <= nofile < _NOFILE_WARN:
        reachable = 65536 if nofile_hard == _UNLIMITED else min(65536, nofile_hard)
        code = "nofile" if reachable > nofile else "nofile_hard"
        problem("warn", code, soft=nofile, reachable=reachable)
    nproc = limits.get("nproc", (_UNLIMITED, _UNLIMITED))[0]
    known = [count for count in (nproc, num_tasks_limit) if count is not None and count >= 0]
    if known and min(known) < _NPROC_WARN:
        problem("warn", "nproc", num=min(known))
    core = limits.get("core", (0, 0))[0]
    writes_file = bool(core_pattern.strip()) and not core_pattern.startswith("|")
    if writes_file and (core == _UNLIMITED or core > 1 << 30):
        problem("warn", "core")
    for name, unit, level in (("as", "MiB", "warn"), ("fsize", "MiB", "warn"), ("cpu", "s", "bad")):
        soft = limits.get(name, (_UNLIMITED, _UNLIMITED))[0]
        if soft != _UNLIMITED:
            amount = soft // _MIB if unit == "MiB" else soft
            problem("bad" if level == "bad" else "warn", name, amount=f"{amount:,} {unit}")
    if problems:
        return problems
    fields = {"nofile": _count(nofile), "nproc": _count(min(known, default=_UNLIMITED))}
    return [Check("limits", "ok", "enough", facts, fields)]


def _count(number: int) -> str:
    return "∞" if number == _UNLIMITED else f"{number:,}"


def check_shm(folder: Path) -> Check:
    """The size of ``/dev/shm``, through which DataLoader workers pass their batches."""
    if not folder.is_dir():
        return Check("shm", "unknown", "absent", {"path": str(folder)}, {"path": folder})
    usage = shutil.disk_usage(folder)
    facts: dict[str, Json] = {
        "path": str(folder),
        "total_mib": round(usage.total / _MIB),
        "free_mib": round(usage.free / _MIB),
    }
    fields = {"path": folder, "total": _gib(usage.total / _MIB), "free": _gib(usage.free / _MIB)}
    if usage.total < _SHM_WARN_MIB * _MIB:
        return Check("shm", "warn", "small", facts, fields)
    if usage.free < _SHM_WARN_MIB * _MIB:
        return Check("shm", "warn", "full", facts, fields)
    return Check("shm", "ok", "enough", facts, fields)


def check_clock(now_s: float, installed_s: float, timedatectl: str | None) -> Check:
    """Whether the clock can be believed.

    Args:
        now_s: The wall clock, seconds since 1970.
        installed_s: When this package was installed: an earlier clock is certainly wrong.
        timedatectl: What ``timedatectl show -p NTPSynchronized`` said; None where it cannot.
    """
    now = datetime.fromtimestamp(now_s).astimezone()
    zone = time.tzname[bool(now.dst())] if now.tzname() is None else str(now.tzname())
    synchronised = {"NTPSynchronized=yes": True, "NTPSynchronized=no": False}.get(
        (timedatectl or "").strip()
    )
    facts: dict[str, Json] = {"zone": zone, "synchronised": synchronised}
    fields = {"now": now.strftime("%Y-%m-%d %H:%M"), "zone": zone}
    # A day of tolerance: archives keep the times of another zone.
    if now_s < installed_s - 86400:
        return Check("clock", "bad", "behind", facts, fields)
    if synchronised is None:
        return Check("clock", "unknown", "unchecked", facts, fields)
    if not synchronised:
        return Check("clock", "warn", "unsynchronised", facts, fields)
    return Check("clock", "ok", "synchronised", facts, fields)


def ask_timedatectl() -> str | None:
    """Whether the clock is kept in time; None where systemd does not say."""
    answer = ask(["timedatectl", "show", "-p", "NTPSynchronized"], timeout_s=5)
    return answer.stdout if answer.is_good else None


def check_locale(codeset: str) -> Check:
    """Whether names and messages outside ASCII survive; ``codeset`` is the terminal's."""
    facts: dict[str, Json] = {"codeset": codeset, "lang": os.environ.get("LANG", "")}
    if codeset.upper().replace("-", "").replace("_", "") == "UTF8":
        return Check("locale", "ok", "utf8", facts, {"codeset": codeset})
    return Check("locale", "warn", "not_utf8", facts, {"codeset": codeset})


def terminal_codeset() -> str:
    """The encoding of the reader's locale, whatever UTF-8 mode Python itself is in."""
    return locale.getencoding()


def check_git(root: Path) -> Check:
    """Whether a run can note which code it ran."""
    answer = ask(["git", "--version"], timeout_s=10)
    if not answer.is_good:
        return Check("git", "warn", "missing")
    version = answer.stdout.strip().removeprefix("git version ")
    inside = ask(["git", "-C", str(root), "rev-parse", "--is-inside-work-tree"], timeout_s=10)
    is_repository = inside.is_good and inside.stdout.strip() == "true"
    facts: dict[str, Json] = {"version": version, "is_repository": is_repository}
    fields = {"version": version, "path": root}
    if "dubious ownership" in inside.stderr:
        return Check("git", "warn", "ownership", facts, fields)
    return Check("git", "ok", "repository" if is_repository else "no_repository", facts, fields)
