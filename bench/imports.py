"""What ``import overnight`` and its core install cost, side by side with knockknock.

knockknock is what one would add to a script to be told when it ends. Both live in environments of
their own with nothing else in them. Run it as ``python bench/imports.py``.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import _measure as measure

_NUM_PAIRS = 15
_IMPORT = """
import time
begun = time.perf_counter()
import {name}
print((time.perf_counter() - begun) * 1e3)
"""
_FIRST_LOG = """
import time
begun = time.perf_counter()
import overnight
overnight.log({"loss": 1.0})
print((time.perf_counter() - begun) * 1e3)
"""


def _milliseconds(python: Path, code: str) -> float:
    env = {k: v for k, v in os.environ.items() if not k.startswith(("OVERNIGHT_", "PYTHON"))}
    done = subprocess.run(
        [python, "-c", code], capture_output=True, text=True, check=True, env=env, cwd="/"
    )
    return float(done.stdout)


def main() -> None:
    """Prints the table."""
    ours = measure.own_environment()
    theirs = measure.environment("knockknock", "knockknock")
    import_ours = _IMPORT.format(name="overnight")
    import_theirs = _IMPORT.format(name="knockknock")
    for python, code in ((ours, import_ours), (theirs, import_theirs), (ours, _FIRST_LOG)):
        _milliseconds(python, code)  # compiles and fills the file cache
    machine = measure.calm()
    pairs = measure.in_turn(
        lambda: _milliseconds(ours, import_ours),
        lambda: _milliseconds(theirs, import_theirs),
        num_pairs=_NUM_PAIRS,
    )
    first_log = [_milliseconds(ours, _FIRST_LOG) for _ in range(_NUM_PAIRS)]
    num_ours, mb_ours = measure.size_of(ours)
    num_theirs, mb_theirs = measure.size_of(theirs)
    measure.table(
        "Import and install",
        machine,
        ("what", "overnight", "knockknock", "knockknock / overnight"),
        [
            ("import, ms", f"{measure.Interval.of(pairs.ours):.1f}",
             f"{measure.Interval.of(pairs.theirs):.0f}", f"{pairs.ratio:.0f}"),
            ("import and first log(), ms", f"{measure.Interval.of(first_log):.1f}", "–", "–"),
            ("packages installed", str(num_ours), str(num_theirs), f"{num_theirs / num_ours:.1f}"),
            ("size, MB", f"{mb_ours:.1f}", f"{mb_theirs:.1f}", f"{mb_theirs / mb_ours:.1f}"),
        ],
    )  # fmt: skip
    measure.keep(
        "imports",
        machine,
        {
            "import_ms": pairs,
            "first_log_ms": first_log,
            "packages": [num_ours, num_theirs],
            "mb": [mb_ours, mb_theirs],
        },
    )


if __name__ == "__main__":
    main()
