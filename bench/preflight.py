"""What ``overnight check`` says of a training, against what it then really takes.

All its findings are shown. A training that really comes to its end must get no ✗: else this ends
with 1.

Each training is tried first, as ``overnight check`` does it, then really run, right afterwards. The
ranges are said before the truth is known. Run it as ``python bench/preflight.py --data DIR``; a
name or several behind it measure those alone. Without data it measures the demo notebook, which
brings its own.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path

import _measure as measure
from _trainings import (
    Real,
    Training,
    chosen,
    environment,
    placed,
    really,
    trainings,
)
from overnight.notebook import convert
from overnight.preflight.trial import TrialAsked, TrialResult, run

#: A range is wider than it may be if it goes further than this to each side of its middle.
_WIDEST = 0.35
_NEEDED = 5 / 6


def main() -> None:
    """Prints the table."""
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--data", type=Path, help="the folder that holds the sets")
    asked.add_argument("names", nargs="*")
    options = asked.parse_args()
    machine = measure.calm()
    numbers: dict[str, object] = {}
    rows: list[list[str]] = []
    wrong = 0
    held = {"duration": 0, "RAM": 0}
    todo = chosen(trainings(options.data), options.names)
    for training in todo:
        with tempfile.TemporaryDirectory(prefix="overnight-bench-") as folder:
            print(f"{training.name} …", file=sys.stderr, flush=True)
            load = os.getloadavg()[0]
            target = placed(training, Path(folder) / "work")
            trial = tried(training, target, Path(folder))
            middle = os.getloadavg()[0]
            real = really(training, target, Path(folder))
        for finding in trial.findings:
            print(f"  {finding.level}: {finding.title}: {finding.text}", file=sys.stderr)
            wrong += finding.level == "bad"
        rows.append(_row(training, trial, real, held, load, middle))
        print("| " + " | ".join(rows[-1]) + " |", file=sys.stderr, flush=True)
        numbers[training.name] = {
            "trial": trial.ranges.to_json() if trial.ranges else None,
            "trial_took_s": trial.took_s,
            "findings": [each.to_json() for each in trial.findings],
            "load": [load, middle, real.load],
            "real": asdict(real),
        }
    measure.table(
        "What `overnight check` says against the real run",
        machine,
        ["training", "trial, s", "duration said, s", "true", "peak RAM said, MiB", "true",
         "load before, between, after"],
        rows,
    )  # fmt: skip
    for what, num in held.items():
        enough = "Reached." if num >= _NEEDED * len(todo) else "Missed."
        print(f"\n{what}: {num} of {len(todo)} hold the truth (reach 5 of 6). {enough}")
    print(f"\nFalse ✗: {wrong}.")
    measure.keep("preflight", machine, numbers)
    if wrong:
        sys.exit(1)


def tried(training: Training, target: Path, folder: Path) -> TrialResult:
    """The trial of one training."""
    env = environment(training, folder)
    os.environ["XDG_STATE_HOME"] = env["XDG_STATE_HOME"]
    if target.suffix == ".ipynb":
        source = convert(target, overrides=training.overrides, env=env).source
        return run(
            TrialAsked(
                "notebook", [sys.executable, "", *training.args], str(target.parent), env,
                source=source,
            )
        )  # fmt: skip
    argv = [sys.executable, str(target), *training.args]
    return run(TrialAsked("script", argv, str(target.parent), env))


def _row(
    training: Training,
    trial: TrialResult,
    real: Real,
    held: dict[str, int],
    load: float,
    middle: float,
) -> list[str]:
    ranges = trial.ranges
    assert ranges is not None
    words = []
    for what, said, true in (
        ("duration", ranges.duration_s, real.duration_s),
        ("RAM", ranges.peak_ram_mib, real.peak_ram_mib),
    ):
        if said is None:
            words += [f"? ({ranges.why_unknown})", f"{true:.0f}"]
            continue
        low, high = said
        half = (high - low) / (high + low)
        holds = low <= true <= high and half <= _WIDEST
        held[what] += holds
        words += [f"{low:.0f}–{high:.0f} (± {half:.0%})", f"{true:.0f} {'✓' if holds else '✗'}"]
    name = f"{training.name}: {training.what}"
    return [name, f"{trial.took_s:.0f}", *words, f"{load:.1f}, {middle:.1f}, {real.load:.1f}"]


if __name__ == "__main__":
    main()
