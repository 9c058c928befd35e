"""Faults on demand: deaths at named places, disks that fill, a clock that is told the time.

::

    with small_disk(64) as folder:          # a real disk of 64 KiB
        ...
    subprocess.run(job, env={**os.environ, **armed("record.torn", 3)})
    with FakeClock(1_767_225_600).installed() as clock:
        clock.advance(3_600)
"""

from __future__ import annotations

import platform
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from unittest import mock

from overnight import crashpoint
from overnight.crashpoint import arm as arm
from overnight.crashpoint import disarm as disarm


class FaultUnavailableError(RuntimeError):
    """This machine cannot make the fault; the text says why. A reason to skip a test."""


def points() -> Mapping[str, str]:
    """Every crash point there is → what stands on the disk after a death there."""
    return dict(crashpoint.POINTS)


def armed(name: str, nth: int = 1) -> dict[str, str]:
    """The environment in which a process dies the ``nth`` time it reaches ``name``.

    Raises:
        ValueError: There is no such crash point.
    """
    if name not in crashpoint.POINTS:
        raise ValueError(f"no crash point is called {name!r}")
    return {crashpoint.VARIABLE: f"{name}:{nth}"}


@contextmanager
def small_disk(size_kib: int) -> Iterator[Path]:
    """A folder on a disk of its own of ``size_kib``: a real ENOSPC, and real room when files go.

    Raises:
        FaultUnavailableError: Not on Linux, or no right to mount; see ``small_files``.
    """
    program = shutil.which("mount")
    if platform.system() != "Linux" or program is None:
        raise FaultUnavailableError("a small disk needs Linux and its mount command")
    folder = Path(tempfile.mkdtemp(prefix="overnight-disk-"))
    options = f"size={size_kib}k,mode=700"
    mounted = subprocess.run(
        [program, "-t", "tmpfs", "-o", options, "overnight-test", str(folder)],
        check=False,
        capture_output=True,
        text=True,
    )
    if mounted.returncode:
        folder.rmdir()
        raise FaultUnavailableError("a small disk cannot be mounted: " + mounted.stderr.strip())
    try:
        yield folder
    finally:
        # Lazily: a process that a test left behind must not keep the disk.
        subprocess.run(["umount", "-l", str(folder)], check=True)
        folder.rmdir()


@contextmanager
def small_files(size_bytes: int) -> Iterator[None]:
    """No file of this process can grow beyond ``size_bytes``: short writes, then EFBIG.

    Raises:
        FaultUnavailableError: On Windows.
    """
    if sys.platform == "win32":
        raise FaultUnavailableError("the size of files can be limited on POSIX systems only")
    else:
        import resource

        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (size_bytes, hard))
        try:
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


#: Long enough for another process to get its turn.
_MOMENT_S = 0.01


class FakeClock:
    """A clock that stands until it is moved.

    Args:
        now_s: The wall clock at the start, in seconds since 1970 UTC.
        tick_s: How far each look at it moves it on: 0 where equal times must be met.
    """

    def __init__(self, now_s: float = 1_767_225_600.0, *, tick_s: float = 0.0) -> None:
        self._wall_ns = round(now_s * 1e9)
        self._steady_ns = 0
        self._tick_ns = round(tick_s * 1e9)

    def advance(self, seconds: float) -> None:
        """Lets time pass, on both the wall clock and the monotonic one."""
        self._wall_ns += round(seconds * 1e9)
        self._steady_ns += round(seconds * 1e9)

    def set_wall(self, now_s: float) -> None:
        """Puts the wall clock right, or wrong; the monotonic one does not notice."""
        self._wall_ns = round(now_s * 1e9)

    def time_ns(self) -> int:
        """As ``time.time_ns``."""
        self.advance(self._tick_ns / 1e9)
        return self._wall_ns

    def monotonic_ns(self) -> int:
        """As ``time.monotonic_ns``."""
        self.advance(self._tick_ns / 1e9)
        return self._steady_ns

    def time(self) -> float:
        """As ``time.time``."""
        return self.time_ns() / 1e9

    def monotonic(self) -> float:
        """As ``time.monotonic``."""
        return self.monotonic_ns() / 1e9

    @contextmanager
    def installed(self) -> Iterator[FakeClock]:
        """Whoever in this process asks ``time`` is told by this clock; a sleep advances it.

        A sleep takes a moment of real time too: what is waited for may be another process's.
        """
        really_sleep = time.sleep

        def sleep(seconds: float) -> None:
            self.advance(seconds)
            really_sleep(min(seconds, _MOMENT_S))

        with (
            mock.patch.object(time, "time", self.time),
            mock.patch.object(time, "time_ns", self.time_ns),
            mock.patch.object(time, "monotonic", self.monotonic),
            mock.patch.object(time, "monotonic_ns", self.monotonic_ns),
            mock.patch.object(time, "sleep", sleep),
        ):
            yield self
