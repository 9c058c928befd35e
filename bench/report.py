"""What a report takes: a night with 5 folds x 100 epochs, 50,000 step rows, 40 trials, 60 pictures.

CPU time and wall time of the process that a run's end starts, and the size of its page; beside it
the same for a run that left nothing but its output. Run it as ``python bench/report.py``.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import _measure as measure
import overnight
from overnight.ledger.paths import RunPaths
from overnight.testing.long_run import Size, make

_NUM_ROUNDS = 7
_REACH_S, _REACH_BYTES = 3.0, 1_000_000
_REPORTING = Path(overnight.__file__).parent / "reporting"
_NIGHT = Size(
    folds=5, epochs=100, steps=50_000, trials=40, pictures=60, classes=10, picture_px=96,
    samples=3000,
)  # fmt: skip
_NOTHING = Size(folds=0, epochs=0, steps=0, trials=0, pictures=0, classes=0, samples=0)


def _once(run: RunPaths) -> tuple[float, float]:
    """CPU and wall seconds of one page."""
    before, begun = os.times(), time.perf_counter()
    subprocess.run([sys.executable, "-I", str(_REPORTING), run.dir], check=True)
    wall_s, after = time.perf_counter() - begun, os.times()
    user_s = after.children_user - before.children_user
    return user_s + after.children_system - before.children_system, wall_s


def main() -> None:
    """Makes the ledgers, then the pages, in turn."""
    machine = measure.calm()
    rows, kept = [], {}
    with tempfile.TemporaryDirectory() as root:
        runs = {
            "a night": make(Path(root), _NIGHT, name="night"),
            "nothing logged": make(Path(root), _NOTHING, name="nothing"),
        }
        found: dict[str, list[tuple[float, float]]] = {name: [] for name in runs}
        for _ in range(_NUM_ROUNDS):
            for name, run in runs.items():
                found[name].append(_once(run))
        for name, run in runs.items():
            cpu_s, wall_s = (measure.Interval.of(each) for each in zip(*found[name], strict=True))
            size = Path(run.report).stat().st_size
            rows.append([name, f"{cpu_s:.2f}", f"{wall_s:.2f}", f"{size / 1000:.0f}"])
            kept[name] = {"seconds": found[name], "bytes": size}
    rows.append(["to reach", "", f"{_REACH_S:g}", f"{_REACH_BYTES / 1000:.0f}"])
    measure.table("A run's page", machine, ["a run with", "CPU s", "wall s", "KB"], rows)
    measure.keep("report", machine, kept)


if __name__ == "__main__":
    main()
