"""Did the kernel kill for want of memory? Counters read before and after an attempt.

Three files count the out-of-memory killer's victims: ``memory.events`` of the job's cgroup (v2),
``memory.oom_control`` of it (v1, since Linux 4.13) and, for the whole machine, ``/proc/vmstat``.
The first two are proof; the last says only that somebody was killed, so a cause drawn from it is
worded "probably". All are readable without root. Elsewhere than on Linux nothing is known.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass

_OCTAL = re.compile(r"\\([0-7]{3})")


@dataclass(frozen=True, slots=True)
class OomKills:
    """Processes the kernel killed for want of memory meanwhile; None: could not be counted."""

    job: int | None = None
    machine: int | None = None


@dataclass(frozen=True, slots=True)
class OomCounters:
    """The counters at one moment. ``file`` is the job's own; it outlives the job's processes."""

    file: str | None = None
    job: int | None = None
    machine: int | None = None

    @classmethod
    def read(cls, pid: int, *, proc: str = "/proc") -> OomCounters:
        """The counters that concern process ``pid``, which must still be there."""
        file = _counter_file(pid, proc)
        return cls(file, _count(file), _count(proc + "/vmstat"))

    def again(self, *, proc: str = "/proc") -> OomCounters:
        """The same counters now; needs no living process."""
        return OomCounters(self.file, _count(self.file), _count(proc + "/vmstat"))

    def since(self, earlier: OomCounters) -> OomKills:
        """What was added since ``earlier``."""
        same = self.file == earlier.file
        return OomKills(
            _rise(self.job, earlier.job) if same else None, _rise(self.machine, earlier.machine)
        )

    def to_json(self) -> dict[str, object]:
        """The counters as JSON, so that a supervisor's successor can go on with them."""
        return {"file": self.file, "job": self.job, "machine": self.machine}

    @classmethod
    def from_json(cls, data: object) -> OomCounters:
        """What ``to_json`` made; whatever does not fit counts as not known."""
        if not isinstance(data, Mapping):
            return cls()
        file = data.get("file")
        return cls(
            file if isinstance(file, str) else None, _number(data, "job"), _number(data, "machine")
        )


def _number(data: Mapping[object, object], key: str) -> int | None:
    value = data.get(key)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _rise(now: int | None, before: int | None) -> int | None:
    if now is None or before is None:
        return None
    # A cgroup made anew under the same name (or a reboot) starts counting at 0 again.
    return now - before if now >= before else now


def _text(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="surrogateescape") as file:
            return file.read()
    except (OSError, ValueError):
        return ""


def _count(path: str | None) -> int | None:
    """The number on the line ``oom_kill N`` of a counter file."""
    for line in _text(path).splitlines() if path else ():
        words = line.split()
        if len(words) == 2 and words[0] == "oom_kill" and words[1].isdecimal():
            return int(words[1])
    return None


def _counter_file(pid: int, proc: str) -> str | None:
    """The file that counts the victims among the processes of ``pid``'s cgroup."""
    for line in _text(f"{proc}/{pid}/cgroup").splitlines():
        hierarchy, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if "memory" in controllers.split(","):
            kind, name = "cgroup", "memory.oom_control"
        elif hierarchy == "0" and not controllers:
            kind, name = "cgroup2", "memory.events"
        else:
            continue
        for root, mounted_at in _mounts(proc, kind):
            # Inside a container the mount may begin below the path the kernel names.
            file = os.path.join(mounted_at, os.path.relpath(path or "/", root), name)
            file = os.path.normpath(file)
            if _count(file) is not None:
                return file
    return None


def _mounts(proc: str, kind: str) -> list[tuple[str, str]]:
    """(root, mount point) of the cgroup mounts that hold the memory controller."""
    found = []
    for line in _text(proc + "/self/mountinfo").splitlines():
        # 36 35 0:31 /root /mount/point rw,opts shared:1 - fstype source superoptions
        left, dash, right = line.partition(" - ")
        fields, of = left.split(" "), right.split(" ")
        if not dash or len(fields) < 5 or len(of) < 3 or of[0] != kind:
            continue
        if kind == "cgroup2" or "memory" in of[2].split(","):
            found.append((_unescape(fields[3]), _unescape(fields[4])))
    return found


def _unescape(path: str) -> str:
    return _OCTAL.sub(lambda match: chr(int(match[1], 8)), path)
