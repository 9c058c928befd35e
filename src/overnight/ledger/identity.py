"""Which process is which, across reboots, machines, containers and reused process numbers."""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import lru_cache
from typing import Any

#: The largest number a process can have anywhere (Linux: 2^22; Windows: 32 bits).
_MAX_PID = 2**32 - 1

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
    def of(cls, pid: int | None = None) -> Identity | None:
        """The identity of a process of this machine (this one by default); None if it is gone."""
        pid = os.getpid() if pid is None else pid
        ticks = start_ticks(pid)
        if ticks is None:
            return None
        machine, boot, pidns, host = here()
        return cls(machine, boot, pidns, pid, ticks, host)

    @classmethod
    def from_json(cls, value: Any) -> Identity | None:
        """The identity in a JSON object; None if it does not hold one."""
        if not isinstance(value, Mapping):
            return None
        pid, ticks = value.get("pid"), value.get("start_ticks")
        texts = [value.get(key) for key in ("machine", "boot", "pidns", "host")]
        if type(pid) is not int or type(ticks) is not int or not 0 < pid <= _MAX_PID:
            return None
        if not all(isinstance(text, str) for text in texts):
            return None
        machine, boot, pidns, host = map(str, texts)
        return cls(machine, boot, pidns, pid, ticks, host)

    def to_json(self) -> dict[str, Any]:
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


def start_ticks(pid: int) -> int | None:
    """When a process started, in clock ticks since boot; None if it is gone or a zombie."""
    return _ticks_from_proc(pid) if sys.platform == "linux" else _ticks_from_psutil(pid)


def _ticks_from_proc(pid: int) -> int | None:
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            text = file.read()
    except (FileNotFoundError, ProcessLookupError):
        return None
    # The command's name stands in brackets and may hold brackets and spaces itself.
    fields = text[text.rindex(b")") + 2 :].split()
    return None if fields[0] in (b"Z", b"X") else int(fields[19])


def _ticks_from_psutil(pid: int) -> int | None:
    import psutil

    try:
        process = psutil.Process(pid)
        if process.status() == psutil.STATUS_ZOMBIE:
            return None
        return int(process.create_time() * 1000)
    except psutil.NoSuchProcess:
        return None


@lru_cache(maxsize=1)
def here() -> tuple[str, str, str, str]:
    """This machine's id, its boot's id, this process's pid namespace, and the host's name."""
    machine, boot, pidns = _here_from_proc() if sys.platform == "linux" else _here_from_psutil()
    host = socket.gethostname()
    return machine or host, boot, pidns, host


def _here_from_proc() -> tuple[str, str, str]:
    try:
        pidns = os.readlink("/proc/self/ns/pid")
    except OSError:
        pidns = ""
    machine = _first_line("/etc/machine-id") or _first_line("/var/lib/dbus/machine-id")
    return machine, _first_line("/proc/sys/kernel/random/boot_id"), pidns


def _here_from_psutil() -> tuple[str, str, str]:
    import uuid

    import psutil

    # Boot time is only known to about a second: rounded, so that it compares equal.
    return f"{uuid.getnode():x}", str(round(psutil.boot_time() / 10)), ""


def _first_line(path: str) -> str:
    try:
        with open(path, encoding="ascii", errors="replace") as file:
            return file.readline().strip()
    except OSError:
        return ""
