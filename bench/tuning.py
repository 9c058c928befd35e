"""What a search costs beside its trainings.

In process: trials of our trainer, one after another, torch loaded. Taken is the processor's time of
a trial from asking what to try to the line that says how it ended, without ``engine.fit``, which
any training pays. In a fresh process: the trials of a script that logs one number, beside the same
script started bare, in turn. And asking and telling alone, beside Optuna with sqlite. Run it as
``python bench/tuning.py``.
"""

from __future__ import annotations

import io
import json
import logging
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import _measure as measure

_TRIALS, _REPORTS = 40, 5
_FITS = 12
_SCRIPT_TRIALS = 5
_OPTUNA = {"lr": (1e-5, 1e-1, True), "drop": (0.0, 0.5, False), "decay": (1e-4, 0.3, True)}


def main() -> None:
    """Prints the tables."""
    machine = measure.calm()
    folder = Path(tempfile.mkdtemp(prefix="overnight-bench-tuning-"))
    try:
        beside, fits = in_process(folder / "fits")
        script = in_fresh_processes(folder / "script")
        ours_theirs = measure.in_turn(
            lambda: with_our_journal(folder), lambda: with_sqlite(folder), num_pairs=4
        )
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    inside = measure.Interval.of(beside)
    beyond = [a - b for a, b in zip(script.ours, script.theirs, strict=True)]
    fit = measure.Interval.of(fits)
    rows = [
        ["a trial in process, beside its training", f"{inside:.3f} CPU s", "≤ 0.1 s"],
        ["  its training (engine.fit, 2 short epochs)", f"{fit:.3f} CPU s", "–"],
        ["a script's trial, beyond the bare script",
         f"{measure.Interval.of(beyond):.2f} s", "≤ 2 s"],
    ]  # fmt: skip
    measure.table("What a trial costs", machine, ["what", "measured", "reach"], rows)
    ask_rows = [
        ["ours (journal)", f"{measure.Interval.of(ours_theirs.ours):.1f}", "–"],
        ["Optuna, sqlite", f"{measure.Interval.of(ours_theirs.theirs):.1f}",
         f"{ours_theirs.ratio:.1f} x"],
    ]  # fmt: skip
    title = f"Ask, {_REPORTS} reports, tell: CPU ms a trial, {_TRIALS} trials"
    measure.table(title, machine, ["storage", "ms", "ours fits"], ask_rows)
    numbers = {"beside": beside, "fits": fits, "script": script, "ask": ours_theirs}
    measure.keep("tuning", machine, numbers)


def in_process(folder: Path) -> tuple[list[float], list[float]]:
    """CPU seconds of each trial beside ``engine.fit``, and in it."""
    import torch

    from overnight import spec as specs
    from overnight.testing.tuning_proof import digits, plan_of, run_of
    from overnight.trainer import engine, search
    from overnight.trainer.console import Console
    from overnight.trainer.stop import SignalStop
    from overnight.trainer.trials import Worker, warm_up
    from overnight.tuning.study import Study

    torch.set_num_threads(1)
    run = run_of(folder / "root", digits(folder / "data"))
    asked = {"tuning.n_trials": str(_FITS), "tuning.pruner": "none", "train.epochs": "2"}
    spec = specs.read(Path(run.config_yaml), asked, os.environ)
    os.environ["OVERNIGHT_RUN_DIR"] = run.dir
    fits: list[float] = []
    fit = engine.HfEngine.fit

    def timed(self: Any, task: Any, ctx: Any) -> Any:
        begun = time.process_time()
        try:
            return fit(self, task, ctx)
        finally:
            fits.append(time.process_time() - begun)

    engine.HfEngine.fit = timed  # type: ignore[method-assign]
    study = Study(run, search.settings(spec, 2))
    worker = Worker(spec, plan_of(spec), SignalStop(), Console(io.StringIO()), study)
    warm_up()
    whole = []
    while True:
        begun = time.process_time()
        if not worker.one():
            break
        whole.append(time.process_time() - begun)
    # The first one decodes the images and loads what is loaded on first use.
    return [a - b for a, b in zip(whole, fits, strict=True)][1:], fits[1:]


def in_fresh_processes(folder: Path) -> measure.Pairs:
    """Seconds from one trial's beginning to the next one's, and of the bare script, in turn."""
    folder.mkdir()
    script = folder / "train.py"
    script.write_text(
        "import argparse\n"
        "import overnight\n"
        "asked = argparse.ArgumentParser()\n"
        "asked.add_argument('--lr', type=float)\n"
        "overnight.log({'valid_loss': asked.parse_args().lr}, epoch=1)\n"
    )
    sweep = folder / "sweep.yaml"
    sweep.write_text(
        "method: random\nmetric: {name: valid_loss, goal: minimize}\n"
        "parameters: {lr: {min: 0.001, max: 0.1}}\n"
    )
    python = sys.executable
    overnight = str(Path(python).with_name("overnight"))

    def searched() -> float:
        words = [overnight, "tune", "--script", str(script), "--sweep", str(sweep),
                 "--n-trials", str(_SCRIPT_TRIALS), "--root", str(folder / "root")]  # fmt: skip
        subprocess.run(words, check=True, capture_output=True, timeout=600)
        newest = max((folder / "root").glob("experiments/optimization/2*/*/job.jsonl"),
                     key=lambda path: path.stat().st_mtime)  # fmt: skip
        begun = [
            json.loads(line)["_t"] / 1e6
            for line in newest.read_text().splitlines()
            if '"TrialStarted"' in line
        ]
        return statistics.median(b - a for a, b in zip(begun, begun[1:], strict=False))

    def bare() -> float:
        begun = time.monotonic()
        env = {**os.environ, "OVERNIGHT_RUN_DIR": ""}
        subprocess.run([python, str(script), "--lr", "0.01"], check=True, env=env, cwd=folder)
        return time.monotonic() - begun

    return measure.in_turn(searched, bare, num_pairs=3)


def with_our_journal(folder: Path) -> float:
    """CPU milliseconds a trial, its folder and files included."""
    from overnight.ledger.paths import create_run
    from overnight.tuning.ask import Settings
    from overnight.tuning.space import Range
    from overnight.tuning.study import Study

    space = {name: Range(low, high, log=log) for name, (low, high, log) in _OPTUNA.items()}
    run = create_run(str(folder / "ours"), "optimization", "bench")
    study = Study(run, Settings(space, _TRIALS, seed=7, max_step=_REPORTS))
    begun = time.process_time()
    while (trial := study.ask()) is not None:
        value = float(trial.values["lr"])  # type: ignore[arg-type]
        for step in range(1, _REPORTS + 1):
            if not study.report(trial, step, value / step):
                study.tell(trial, "pruned", time_s=0.0)
                break
        else:
            study.tell(trial, "complete", value, time_s=0.0)
    return (time.process_time() - begun) * 1e3 / _TRIALS


def with_sqlite(folder: Path) -> float:
    """The same as Optuna's documents have it."""
    import optuna

    optuna.logging.set_verbosity(logging.WARNING)
    path = folder / f"{time.monotonic_ns()}.db"
    study = optuna.create_study(
        storage=f"sqlite:///{path}",
        direction="maximize",
        sampler=optuna.samplers.TPESampler(seed=7),
        pruner=optuna.pruners.MedianPruner(),
    )
    begun = time.process_time()
    for _ in range(_TRIALS):
        trial = study.ask()
        for name, (low, high, log) in _OPTUNA.items():
            trial.suggest_float(name, low, high, log=log)
        value = trial.params["lr"]
        for step in range(1, _REPORTS + 1):
            trial.report(value / step, step)
            if trial.should_prune():
                study.tell(trial, state=optuna.trial.TrialState.PRUNED)
                break
        else:
            study.tell(trial, value)
    return (time.process_time() - begun) * 1e3 / _TRIALS


if __name__ == "__main__":
    main()
