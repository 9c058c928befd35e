"""What the NVIDIA cards are doing, asked of ``nvidia-smi`` without ever waiting for it.

A call costs 30-100 ms of CPU and, with a driver in trouble, never returns. So it runs as a child
every half minute; the supervisor looks in on it and goes on. pynvml would cost 18 MB of memory.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import subprocess

#: A healthy answer takes under a second; a machine that swaps may need a few.
_TIMEOUT_S = 20.0
#: After a failure (no driver, no card) it is asked less and less often, down to this.
_LONGEST_WAIT_S = 600.0
#: An answer older than this many intervals says nothing about now.
_STALE_INTERVALS = 4
#: 16 cards and 1,000 processes are below 100 KB; what goes on for longer is no answer.
_ANSWER_BYTES = 1 << 20
_CARD_QUERY = (
    "--query-gpu=index,uuid,name,utilization.gpu,memory.used,memory.total,temperature.gpu",
    "--format=csv,noheader,nounits",
)
_PROCESS_QUERY = ("--query-compute-apps=gpu_uuid,pid", "--format=csv,noheader,nounits")
#: Where the driver puts it when that folder is not on PATH (WSL).
_OTHER_PLACES = ("/usr/bin", "/usr/lib/wsl/lib", "/usr/local/nvidia/bin", "/opt/bin")


@dataclass(frozen=True, slots=True)
class GpuSample:
    """One card at one moment; None where the driver does not tell (MIG, old cards)."""

    index: int
    uuid: str
    name: str
    util_percent: float | None
    memory_used_mib: float | None
    memory_total_mib: float | None
    temperature_c: float | None


def _number(text: str) -> float | None:
    """A figure of nvidia-smi; None for ``[N/A]``, ``[Not Supported]``, ``[Unknown Error]``."""
    try:
        value = float(text)
    except ValueError:
        return None
    return value if 0 <= value < 1e12 else None


def parse_cards(text: str) -> tuple[GpuSample, ...]:
    """The cards in the CSV of nvidia-smi; lines that are no card are left out."""
    cards = []
    for line in text.splitlines():
        fields = [field.strip() for field in line.split(",")]
        # Seven fields; a name with a comma would make more, and stands third.
        if len(fields) < 7 or not (fields[0].isascii() and fields[0].isdigit()):
            continue
        if len(fields[0]) > 4:
            continue
        cards.append(
            GpuSample(
                index=int(fields[0]),
                uuid=fields[1],
                name=", ".join(fields[2:-4]),
                util_percent=_number(fields[-4]),
                memory_used_mib=_number(fields[-3]),
                memory_total_mib=_number(fields[-2]),
                temperature_c=_number(fields[-1]),
            )
        )
    return tuple(cards)


def parse_processes(text: str) -> dict[str, frozenset[int]]:
    """Card's uuid → pids that compute on it, from the CSV of nvidia-smi."""
    found: dict[str, set[int]] = {}
    for line in text.splitlines():
        uuid, _, pid = (part.strip() for part in line.partition(","))
        if uuid and pid.isascii() and pid.isdigit() and len(pid) < 12:
            found.setdefault(uuid, set()).add(int(pid))
    return {uuid: frozenset(pids) for uuid, pids in found.items()}


def find_nvidia_smi() -> str | None:
    """The program's path. Written out because ``shutil`` would bring three compressors along."""
    name = "nvidia-smi.exe" if sys.platform == "win32" else "nvidia-smi"
    for folder in (*os.environ.get("PATH", "").split(os.pathsep), *_OTHER_PLACES):
        path = os.path.join(folder, name)
        if folder and os.path.isfile(path) and os.access(path, os.X_OK):
            return path
    return None


def _is_alive_here(pid: int) -> bool:
    return sys.platform == "linux" and os.path.exists(f"/proc/{pid}")


#: ``os.set_blocking``, which came to Windows (for pipes) with Python 3.12.
_set_blocking: Callable[[int, bool], None] | None = getattr(os, "set_blocking", None)


class GpuProbe:
    """Asks ``nvidia-smi`` now and then, and holds its last answer.

    Call :meth:`poll` often; it never waits. Where there is no ``nvidia-smi`` it does nothing.

    Args:
        every_s: Time between two questions.
        program: Path of nvidia-smi; looked for by default.
    """

    def __init__(self, *, every_s: float = 30.0, program: str | None = None) -> None:
        self._every_s = every_s
        self._program = find_nvidia_smi() if program is None else program
        if _set_blocking is None:
            self._program = None
        # Imported only where there is a card: 1.3 MB that most machines need not pay.
        self._subprocess = import_module("subprocess") if self._program else None
        self._child: subprocess.Popen[bytes] | None = None
        self._asks_processes = False
        self._answer = b""
        self._started_s = 0.0
        self._next_s = float("-inf")
        self._wait_s = every_s
        self._answered_s: float | None = None
        self._now_s = 0.0
        self._cards: tuple[GpuSample, ...] = ()
        self._processes: Mapping[str, frozenset[int]] = {}

    @property
    def is_present(self) -> bool:
        """Whether there is an nvidia-smi to ask."""
        return self._program is not None

    @property
    def cards(self) -> tuple[GpuSample, ...]:
        """The last answer; empty before the first one and when the last one is too old."""
        return self._cards if self._is_fresh() else ()

    def poll(self, now_s: float) -> None:
        """Ask if it is time, collect what has come, kill what takes too long.

        Args:
            now_s: A clock that goes on; one that begins anew (another attempt) is followed.
        """
        if self._program is None:
            return
        if now_s < self._now_s:
            back_s = self._now_s - now_s
            self._next_s -= back_s
            self._started_s -= back_s
            self._answered_s = None if self._answered_s is None else self._answered_s - back_s
        self._now_s = now_s
        if self._child is not None:
            self._collect(self._child, now_s)
        if self._child is None and now_s >= self._next_s:
            self._next_s = now_s + self._wait_s
            self._ask(_CARD_QUERY, now_s)

    def job_use(self, pids: Collection[int]) -> tuple[float | None, bool]:
        """How busy the cards are that these processes may be using.

        A card counts as someone else's only where the driver lists the processes on it, all of
        them are seen from here and none is ours. In a container the driver lists the host's
        numbers or none, so every card counts: it may hide a stall, never invent one.

        Returns:
            The busiest one's utilisation in percent, None where it is not known; and whether one
            of ``pids`` is known to compute on a card (which a driver that stopped answering does
            not undo).
        """
        own = set(pids)
        is_user = any(own & users for users in self._processes.values())
        utils = [
            card.util_percent
            for card in self.cards
            if self._may_be_used_by(own, self._processes.get(card.uuid, frozenset()))
        ]
        busiest = max((util for util in utils if util is not None), default=None)
        # A card that does not tell may be the busy one.
        return (None if None in utils and not busiest else busiest), is_user

    def pids(self) -> set[int]:
        """The child that is out asking, if one is: a process of ours, not of the job."""
        return set() if self._child is None else {self._child.pid}

    def close(self) -> None:
        """End the child, if one is out."""
        if self._child is not None:
            self._child.kill()
            if self._child.stdout is not None:
                self._child.stdout.close()
            if self._subprocess is not None:
                try:
                    self._child.wait(1.0)
                except self._subprocess.TimeoutExpired:
                    return  # Stuck in the driver: it dies when the driver lets go of it.
            self._child = None

    def _is_fresh(self) -> bool:
        age_limit_s = _STALE_INTERVALS * self._every_s + _TIMEOUT_S
        return self._answered_s is not None and self._now_s - self._answered_s <= age_limit_s

    @staticmethod
    def _may_be_used_by(own: set[int], users: frozenset[int]) -> bool:
        return not users or bool(own & users) or not all(map(_is_alive_here, users))

    def _ask(self, query: tuple[str, ...], now_s: float) -> None:
        assert self._program is not None
        assert self._subprocess is not None
        self._asks_processes = query is _PROCESS_QUERY
        self._answer = b""
        self._started_s = now_s
        try:
            child: subprocess.Popen[bytes] = self._subprocess.Popen(
                [self._program, *query],
                stdin=self._subprocess.DEVNULL,
                stdout=self._subprocess.PIPE,
                stderr=self._subprocess.DEVNULL,
            )
        except OSError:  # No memory or no process left just now.
            self._failed(now_s)
            return
        assert child.stdout is not None
        if _set_blocking is not None:
            _set_blocking(child.stdout.fileno(), False)
        self._child = child

    def _collect(self, child: subprocess.Popen[bytes], now_s: float) -> None:
        assert child.stdout is not None
        # Asked before reading: of a child that has ended, all it wrote lies in the pipe.
        code = child.poll()
        # A child that was killed has its pipe closed, and is waited for until the kernel is rid
        # of it: with a driver that hangs there is one such child, never a heap of them.
        while not child.stdout.closed:
            try:
                data = os.read(child.stdout.fileno(), 65536)
            except BlockingIOError:
                break
            self._answer += data
            if not data or len(self._answer) > _ANSWER_BYTES:
                child.stdout.close()
        if code is None:
            if now_s - self._started_s > _TIMEOUT_S or len(self._answer) > _ANSWER_BYTES:
                child.kill()
                child.stdout.close()
            return
        child.stdout.close()
        self._child = None
        text = self._answer.decode("utf-8", "replace")
        if self._asks_processes:
            if code == 0:
                self._processes = parse_processes(text)
        elif code == 0:
            self._cards = parse_cards(text)
            self._answered_s = now_s
            self._wait_s = self._every_s
            self._ask(_PROCESS_QUERY, now_s)
        else:
            self._failed(now_s)

    def _failed(self, now_s: float) -> None:
        self._wait_s = min(2 * self._wait_s, max(_LONGEST_WAIT_S, self._every_s))
        self._next_s = now_s + self._wait_s
