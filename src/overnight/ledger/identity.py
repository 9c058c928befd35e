"""Which process is which, across reboots, machines, containers and reused process numbers."""

from __future__ import annotations

import os
import socket
import sys
from dataclasses import asdict, dataclass
from functools import lru_cache
from typing import Any, Dict, Mapping, Optional

ALIVE, GONE, CANNOT_TELL = "alive", "gone", "cannot tell"


@dataclass(frozen=True)
class Identity:
    """A process, named so that no other process is ever taken for it."""

    machine: str
    boot: str
    pidns: str
    pid: int
    start_ticks: int
    host: str

    @classmethod
    def of(cls, pid: Optional[int] = None) -> Optional[Identity]:
        """The identity of a process of this machine (this one by default); None if it is gone."""
        pid = os.getpid() if pid is None else pid
        ticks = start_ticks(pid)
        if ticks is None:
            return None
        machine, boot, pidns, host = here()
        return cls(machine, boot, pidns, pid, ticks, host)

    @classmethod
    def from_json(cls, value: Any) -> Optional[Identity]:
        """The identity in a JSON object; None if it does not hold one."""
        if not isinstance(value, Mapping):
            return None
        try:
            return cls(
                str(value["machine"]),
                str(value["boot"]),
                str(value["pidns"]),
                int(value["pid"]),
                int(value["start_ticks"]),
                str(value["host"]),
            )
        except (KeyError, TypeError, ValueError):
            return None

    def to_json(self) -> Dict[str, Any]:
        """The identity as JSON values."""
        return asdict(self)

    def look(self) -> str:
        """``alive``, ``gone`` or, from another machine or pid namespace, ``cannot tell``.

        A process that has ended but was not waited for yet (a zombie) is gone.
        """
        machine, boot, pidns, _ = here()
        if self.machine != machine:
            return CANNOT_TELL
        if self.boot != boot:
            return GONE  # the machine was started anew
        if self.pidns != pidns:
            return CANNOT_TELL
        return ALIVE if start_ticks(self.pid) == self.start_ticks else GONE

    @property
    def rebooted(self) -> bool:
        """Whether this machine was started anew since the process lived on it."""
        machine, boot, _, _ = here()
        return self.machine == machine and self.boot != boot


def start_ticks(pid: int) -> Optional[int]:
    """When a process started, in clock ticks since boot; None if it is gone or a zombie."""
    if sys.platform == "linux":
        try:
            with open("/proc/%d/stat" % pid, "rb") as file:
                text = file.read()
        except (FileNotFoundError, ProcessLookupError):
            return None
        # The command's name stands in brackets and may hold brackets and spaces itself.
        fields = text[text.rindex(b")") + 2 :].split()
        return None if fields[0] in (b"Z", b"X") else int(fields[19])
    import psutil

    try:
        process = psutil.Process(pid)
        if process.status() == psutil.STATUS_ZOMBIE:
            return None
        return int(process.create_time() * 1000)
    except psutil.NoSuchProcess:
        return None


@lru_cache(maxsize=1)
def here() -> "tuple[str, str, str, str]":
    """This machine's id, its boot's id, this process's pid namespace, and the host's name."""
    host = socket.gethostname()
    if sys.platform == "linux":
        machine = _first_line("/etc/machine-id") or _first_line("/var/lib/dbus/machine-id") or host
        boot = _first_line("/proc/sys/kernel/random/boot_id") or ""
        try:
            pidns = os.readlink("/proc/self/ns/pid")
        except OSError:
            pidns = ""
        return machine, boot, pidns, host
    import uuid

    import psutil

    # Boot time is only known to about a second: rounded, so that it compares equal.
    return "%x" % uuid.getnode(), str(round(psutil.boot_time() / 10)), "", host


def _first_line(path: str) -> str:
    try:
        with open(path, encoding="ascii", errors="replace") as file:
            return file.readline().strip()
    except OSError:
        return ""
