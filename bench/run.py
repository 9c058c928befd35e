"""How long ``overnight run`` takes until the job's first line runs, against ``nohup … &``.

The job notes the clock in its first line; nohup's knows nothing more than that it was started.
Both in turn, and the same Python for both. Run it as ``python bench/run.py``.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import _measure as measure

_NUM_PAIRS = 20
_TARGET_S = 0.3
_PATIENCE_S = 30.0
#: Written aside and renamed: whoever sees the file sees all of it.
_JOB = """
import time; now = time.monotonic()
import os, sys
with open(sys.argv[1] + ".part", "w") as file:
    file.write(repr(now))
os.rename(sys.argv[1] + ".part", sys.argv[1])
"""


class _Starts:
    """Starts the job one way or another and reads the clocks."""

    def __init__(self, folder: Path, overnight: Path) -> None:
        self._folder = folder
        self._job = folder / "job.py"
        self._job.write_text(_JOB)
        self._overnight = overnight
        self._python = overnight.with_name("python")
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("OVERNIGHT_", "PYTHON"))}
        self._env = {**kept, "XDG_STATE_HOME": str(folder / "state")}
        self._number = 0
        #: Until the command gave the terminal back, in the order of the measurements.
        self.returned: dict[str, list[float]] = {"overnight": [], "nohup": []}

    def overnight(self) -> float:
        """Seconds from asking until the job's first line."""
        return self._measure("overnight", [str(self._overnight), "run", str(self._job)])

    def nohup(self) -> float:
        """The same by hand."""
        line = 'nohup "$0" "$@" > out.log 2>&1 < /dev/null &'
        return self._measure("nohup", ["sh", "-c", line, str(self._python), str(self._job)])

    def _measure(self, way: str, argv: Sequence[str]) -> float:
        self._number += 1
        noted = self._folder / f"noted{self._number}"
        begun = time.monotonic()
        subprocess.run(
            [*argv, str(noted)], check=True, env=self._env, cwd=self._folder,
            stdout=subprocess.DEVNULL,
        )  # fmt: skip
        self.returned[way].append(time.monotonic() - begun)
        while not noted.exists():
            if time.monotonic() - begun > _PATIENCE_S:
                raise SystemExit("the job never ran")
            time.sleep(0.001)
        first_line_s = float(noted.read_text()) - begun
        self._settle()
        return first_line_s

    def _settle(self) -> None:
        """Waits until the supervisor has left: the next measurement begins with a quiet machine."""
        until = time.monotonic() + _PATIENCE_S
        while time.monotonic() < until and any(
            str(self._folder).encode() in _command(pid) for pid in _pids()
        ):
            time.sleep(0.02)
        # A run's end flushes its files to the disk, which would slow whoever comes next.
        os.sync()


def _pids() -> list[str]:
    return [path.name for path in Path("/proc").glob("[0-9]*") if path.name != str(os.getpid())]


def _command(pid: str) -> bytes:
    try:
        return (Path("/proc") / pid / "cmdline").read_bytes()
    except OSError:
        return b""


def main() -> None:
    """Prints the table."""
    overnight = measure.own_environment().with_name("overnight")
    with tempfile.TemporaryDirectory(prefix="overnight-bench-") as folder:
        starts = _Starts(Path(folder), overnight)
        for _ in range(2):  # the interpreter's files are read, bytecode is written
            starts.overnight()
            starts.nohup()
        for noted in starts.returned.values():
            noted.clear()
        machine = measure.calm()
        pairs = measure.in_turn(starts.overnight, starts.nohup, num_pairs=_NUM_PAIRS)
    ours, theirs = measure.Interval.of(pairs.ours), measure.Interval.of(pairs.theirs)
    returned = {way: measure.Interval.of(noted) for way, noted in starts.returned.items()}
    extra = [a - b for a, b in zip(pairs.ours, pairs.theirs, strict=True)]
    measure.table(
        f"A job started, {_NUM_PAIRS} pairs",
        machine,
        ["what", "overnight run, s", "nohup … &, s", "reach"],
        [
            ["until the job's first line runs", f"{ours:.3f}", f"{theirs:.3f}",
             f"≤ {_TARGET_S} s"],
            ["until the terminal is back", f"{returned['overnight']:.3f}",
             f"{returned['nohup']:.3f}", "–"],
        ],
    )  # fmt: skip
    inverse = measure.Interval.of([a / b for a, b in zip(pairs.ours, pairs.theirs, strict=True)])
    print(
        f"\nPair by pair `overnight run` needs {inverse:.1f} times as long, "
        f"{measure.Interval.of(extra):.3f} s more. "
        f"{'Reached.' if ours.median <= _TARGET_S else 'Missed.'}"
    )
    measure.keep("run", machine, {"first_line_s": pairs, "returned_s": starts.returned})


if __name__ == "__main__":
    sys.exit(main())
