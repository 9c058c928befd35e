"""The time left that a run's status tells, against when it really ended; and false alarms.

Without ``--data`` it judges the real runs that ``bench/preflight.py`` last recorded; with it, it
runs them anew. Either way their logs are played to the present code as they grew. A silent epoch of
20 minutes is replayed on a clock of its own: the CPU samples of each training, over and over, while
nothing is written.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from dataclasses import asdict
from itertools import cycle
from pathlib import Path
from typing import Any

import _measure as measure
from _trainings import chosen, placed, really, trainings
from overnight.supervisor.progress import Progress
from overnight.supervisor.stall import StallWatch

_SHARES = 0.10, 0.25, 0.50
_NEEDED = 0.8
_SILENT_S, _LOOK_S = 1200.0, 5.0


def main() -> None:
    """Prints the table."""
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--data", type=Path, help="the folder that holds the sets")
    asked.add_argument("names", nargs="*")
    options = asked.parse_args()
    machine = measure.calm()
    runs = _run(options.data, options.names) if options.data else _recorded()
    rows: list[list[str]] = []
    num_held = num_told = num_silent = alarms = 0
    for name, real in runs.items():
        row = [name, f"{real['duration_s']:.0f}"]
        for share in _SHARES:
            at_s = share * real["duration_s"]
            said = _said_at(real, at_s)
            if said is None:
                num_silent += 1
                row.append("–")
                continue
            num_told += 1
            low, high = said
            true = real["duration_s"] - at_s
            holds = low <= true <= high
            num_held += holds
            row.append(f"{low:.0f}–{high:.0f}, true {true:.0f} {'✓' if holds else '✗'}")
        wrong = [e for e in real["events"] if e == "Stalled"]
        wrong += [] if real["cause"] == "finished" else [real["cause"]]
        wrong += ["stalled in silence"] if _stalls_in_silence(real["cpu_percent"]) else []
        alarms += len(wrong)
        rows.append([*row, ", ".join(wrong) or "none"])
    measure.table(
        "Time left as told on the way, s",
        machine,
        ["training", "took, s", *(f"at {share:.0%}" for share in _SHARES), "false alarms"],
        rows,
    )
    share = num_held / max(1, num_told)
    print(
        f"\n{num_held} of {num_told} ranges hold the true end ({share:.0%}, reach 80 %). "
        f"{'Reached.' if share >= _NEEDED else 'Missed.'} At {num_silent} other moments "
        f"nothing was told yet (–): they do not count. False alarms: "
        f"{alarms} (reach 0), a silent epoch of {_SILENT_S / 60:.0f} minutes in each training "
        "among them."
    )
    numbers = {"held": num_held, "told": num_told, "silent": num_silent, "alarms": alarms}
    measure.keep("eta", machine, {"rows": rows, **numbers})


def _run(data: Path, names: list[str]) -> dict[str, Any]:
    found = {}
    for training in chosen(trainings(data), names):
        with tempfile.TemporaryDirectory(prefix="overnight-bench-") as folder:
            target = placed(training, Path(folder) / "work")
            real = really(training, target, Path(folder))
        found[training.name] = asdict(real)
    return found


def _recorded() -> dict[str, Any]:
    """Of each training the newest real run that was recorded."""
    found: dict[str, Any] = {}
    for path in sorted((measure.BENCH / "results").glob("preflight-*.json")):
        for name, numbers in json.loads(path.read_text()).items():
            # Runs recorded before their logs were cannot be played.
            if isinstance(numbers, dict) and "looks" in numbers.get("real", ()):
                found[name] = numbers["real"]
    if not found:
        print("nothing is recorded yet: python bench/preflight.py --data DIR")
        sys.exit()
    return found


def _said_at(real: Any, at_s: float) -> tuple[float, float] | None:
    """The time left as told at ``at_s``, of the log as it was read until then."""
    progress = Progress(real["hints"])
    log = real["log"].encode("utf-8", "surrogateescape")
    read = 0
    for when_s, num_bytes in real["looks"]:
        if when_s > at_s:
            break
        progress.feed_log(log[read:num_bytes], when_s)
        read = num_bytes
    estimate = progress.estimate(at_s)
    return estimate.remaining_s if estimate else None


def _stalls_in_silence(cpu_percent: list[float]) -> bool:
    watch = StallWatch()
    samples = cycle(cpu_percent)
    now_s = 0.0
    # As it began: a log that grew for a while, then 20 minutes without a word.
    for _ in range(int(1200 / _LOOK_S)):
        now_s += _LOOK_S
        watch.observe(now_s, log_bytes=int(now_s), cpu_percent=next(samples))
    silent = int(now_s)
    while now_s < silent + _SILENT_S:
        now_s += _LOOK_S
        if watch.observe(now_s, log_bytes=silent, cpu_percent=next(samples)) == "stalled":
            return True
    return False


if __name__ == "__main__":
    main()
