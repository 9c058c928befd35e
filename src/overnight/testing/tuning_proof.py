"""The proof that a killed search is the search that was not killed, and that several are one.

``python -m overnight.testing.tuning_proof --kills 10 --seed 7``. A seeded search of short trials on
handwritten digits runs once undisturbed. Then the same search is killed, session and worker at once
and at random moments, and resumed, until it has been killed so often and is over. Counted: trials
that are missing, doubled, or differ in a value, a state, a result or in any number of any epoch.
Then four processes share a search, and its trials are counted again.
"""

from __future__ import annotations

import argparse
import csv
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from overnight import spec as specs
from overnight.ledger import files
from overnight.ledger.paths import RunPaths, create_run
from overnight.ledger.reader import current, read, rows
from overnight.tasks import folds
from overnight.tasks.base import Scope
from overnight.trainer import search
from overnight.trainer.kept import Plan
from overnight.tuning.study import Study

assert sys.platform != "win32"

NUM_TRIALS, WORKERS = 12, 4
_NUM_IMAGES, _EPOCHS = 240, 3
#: What no two runs share.
_CLOCKS = ("time_s", "mem_MiB")
#: A kill comes at most so many trials' time after an attempt has begun to train; each fifth comes
#: before that, while it starts.
_WITHIN_TRIALS, _EARLY = 1.5, 0.2
#: For an attempt on a busy machine, torch's import and all.
_AT_MOST_S = 300.0
_LOOK_S = 0.02
#: The code of a process that something else was wrong with.
_BROKEN = 70


@dataclass(slots=True)
class Found:
    """What the proof found.

    Attributes:
        kills: That hit a search which was not over.
        searches: That were killed and resumed.
        trials: Of the undisturbed one, by their state.
        lost: Trials of killed searches that are missing.
        doubled: Trials that exist or were told of twice.
        differing: What is not as in the undisturbed search.
        repeated: How often a trial was taken up again.
        shared: Trials of the search that several processes shared.
        sharers: How many of the processes ran at least one.
    """

    kills: int = 0
    searches: int = 0
    trials: Counter[str] = field(default_factory=Counter)
    lost: int = 0
    doubled: int = 0
    differing: list[str] = field(default_factory=list)
    repeated: int = 0
    shared: int | None = None
    sharers: int = 0

    @property
    def holds(self) -> bool:
        """Whether nothing is lost, doubled or different."""
        counts = self.shared in (None, NUM_TRIALS)
        return counts and not (self.lost or self.doubled or self.differing)


def digits(folder: Path, num: int = _NUM_IMAGES) -> Path:
    """The first of scikit-learn's digits as images with a table; a config of a search beside it."""
    import numpy as np
    from PIL import Image
    from sklearn.datasets import load_digits  # type: ignore[import-untyped]

    scans = load_digits()
    (folder / "images").mkdir(parents=True)
    with (folder / "train.csv").open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(["ID", "target"])
        for number in range(num):
            pixels = (scans.images[number] * 15.9).astype(np.uint8)
            Image.fromarray(pixels).resize((32, 32)).save(folder / "images" / f"{number:04d}.png")
            table.writerow([f"{number:04d}", f"digit {scans.target[number]}"])
    config = folder / "search.yaml"
    config.write_text(
        f"""task: image_classification
project: {{name: search, seed: 7}}
data: {{format: csv, train_csv: train.csv, image_dir_train: images, folds: 2}}
model: {{name: test_vit, pretrained: false}}
train: {{img_size: 32, batch_size: 16, epochs: {_EPOCHS}, warmup: 0, augmentation: basic,
  num_workers: 0, log_interval: 2}}
output: {{checkpoint_minutes: 0.01}}
tuning:
  n_trials: {NUM_TRIALS}
  search_space:
    train.lr: {{low: 1e-4, high: 3e-2, log: true}}
    train.label_smoothing: {{low: 0.0, high: 0.2}}
    train.optimizer: {{choices: [adamw, sgd]}}
""",
        encoding="utf-8",
    )
    return config


def run_of(root: Path, config: Path, *, workers: int = 1, num_trials: int = NUM_TRIALS) -> RunPaths:
    """A run's folder with what the trainer reads, as ``overnight train --optimize`` makes it."""
    asked = {"tuning.workers": str(workers), "tuning.n_trials": str(num_trials)}
    spec = specs.read(config, asked, os.environ)
    run = create_run(str(root), "optimization", spec.project.name)
    specs.write(spec, run.config_yaml)
    info = {"schema_version": 1, "run_id": run.run_id, "name": spec.project.name,
            "kind": run.kind, "root": run.root, "target": run.config_yaml}  # fmt: skip
    files.replace(run.run_json, files.to_json(info))
    return run


# ── attempts ─────────────────────────────────────────────────────────────────────────────────


def whole_tree(run: RunPaths, attempt: int) -> int:
    """Starts an attempt as the keeper does: the session, and below it its workers; gives its pid.

    A group of its own, so that all of it is killed at once.
    """
    with Path(run.at("output.txt")).open("ab") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "overnight.trainer", run.dir],
            stdout=log, stderr=log, start_new_session=True,
            env={**os.environ, "OVERNIGHT_ATTEMPT": str(attempt), "OMP_NUM_THREADS": "1",
                 "OVERNIGHT_RUN_DIR": run.dir},
        ).pid  # fmt: skip


def worker_alone(run: RunPaths, attempt: int) -> int:
    """The same without a session: a fork of this process, which has torch already."""
    pid = os.fork()
    if pid:
        return pid
    code = _BROKEN
    try:
        os.setsid()
        os.environ["OVERNIGHT_RUN_DIR"], os.environ["OVERNIGHT_ATTEMPT"] = run.dir, str(attempt)
        from overnight.trainer.console import Console
        from overnight.trainer.stop import SignalStop
        from overnight.trainer.trials import Worker

        spec = specs.read(Path(run.config_yaml), {}, os.environ)
        study = Study(run, search.settings(spec, 2))
        with Path(run.at("output.txt")).open("a", encoding="utf-8") as log:
            Worker(spec, plan_of(spec), SignalStop(), Console(log), study).work()
        code = 0
    except BaseException:
        traceback.print_exc()
    finally:
        # Neither the parent's exit handlers nor its buffers are this process's.
        os._exit(code)


def plan_of(spec: Any) -> Plan:
    """The data of a search and its folds, as the session finds them."""
    from overnight.tasks.image_classification.data import Reader

    index = Reader().scan(spec.data)
    fold_of = folds.split(
        index.examples, folds=spec.data.folds, seed=spec.project.seed, stratify=True
    )
    return Plan(index, fold_of, [Scope(0), Scope(1)])


def _until_over(begin: Callable[[RunPaths, int], int], run: RunPaths, attempt: int) -> None:
    """An attempt that nobody kills.

    Raises:
        RuntimeError: It ends badly, or not at all.
    """
    pid = begin(run, attempt)
    if _ended(pid, _AT_MOST_S) != 0:
        _kill(pid)
        log = Path(run.at("output.txt"))
        raise RuntimeError(f"an attempt ended badly:\n{log.read_text(errors='replace')[-4000:]}")


def _killed(
    begin: Callable[[RunPaths, int], int],
    run: RunPaths,
    attempt: int,
    *,
    is_early: bool,
    after_s: float,
) -> bool:
    """An attempt that is killed a while after it has begun to train; False: it was over before.

    Args:
        begin: How it is begun.
        run: Whose.
        attempt: Its number.
        is_early: Do not wait until it trains.
        after_s: From then on.
    """
    before = _trained(run)
    pid = begin(run, attempt)
    until = time.monotonic() + (0.0 if is_early else _AT_MOST_S)
    while time.monotonic() < until and _ended(pid, 0.0) is None and _trained(run) == before:
        time.sleep(_LOOK_S)
    if _ended(pid, after_s) is not None:
        return False
    _kill(pid)
    return True


def _trained(run: RunPaths) -> int:
    """Grows with each step of any trial."""
    return sum(path.stat().st_size for path in Path(run.dir).glob("children/*/metrics.jsonl"))


#: Of processes that were waited for.
_codes: dict[int, int] = {}


def _ended(pid: int, within_s: float) -> int | None:
    until = time.monotonic() + within_s
    while pid not in _codes:
        found, status = os.waitpid(pid, os.WNOHANG)
        if found:
            _codes[pid] = os.waitstatus_to_exitcode(status)
        elif time.monotonic() >= until:
            return None
        else:
            time.sleep(_LOOK_S)
    return _codes[pid]


def _kill(pid: int) -> None:
    """All of an attempt at once, and returns when none of it is left."""
    if pid not in _codes:
        os.killpg(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    while True:  # its workers become init's, which buries them in its own time
        try:
            os.killpg(pid, 0)
        except ProcessLookupError:
            return
        if not _has_living(pid):
            return
        time.sleep(_LOOK_S)


def _has_living(group: int) -> bool:
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                state, _, of = (folder / "stat").read_text().rpartition(")")[2].split()[:3]
            except (OSError, ValueError):
                continue
            if of == str(group) and state not in ("Z", "X"):
                return True
    return False


# ── what is compared ─────────────────────────────────────────────────────────────────────────


def prove(
    folder: Path,
    *,
    kills: int,
    seed: int,
    say: Callable[[str], None],
    num_trials: int = NUM_TRIALS,
    begin: Callable[[RunPaths, int], int] = whole_tree,
    share: bool = True,
) -> Found:
    """Kills ``kills`` times.

    Args:
        folder: Where the searches lie; empty.
        kills: How many.
        seed: Of the moments.
        say: Told of each search.
        num_trials: Of the search that is killed.
        begin: How an attempt is begun.
        share: Whether several processes share a search, too.
    """
    rng, found = random.Random(seed), Found()
    config = digits(folder / "data")
    undisturbed = run_of(folder / "undisturbed", config, num_trials=num_trials)
    _until_over(begin, undisturbed, 0)
    reference = _all_of(undisturbed)
    took = [each.pop("time_s") for each in reference.values()]
    within_s = _WITHIN_TRIALS * sum(took) / len(took)
    found.trials = Counter(each["state"] for each in reference.values())
    say(f"undisturbed: {', '.join(f'{num} {state}' for state, num in found.trials.items())}")
    while found.kills < kills:
        found.searches += 1
        run = run_of(folder / f"killed-{found.searches}", config, num_trials=num_trials)
        attempt = 0
        while found.kills < kills:
            is_early, after_s = rng.random() < _EARLY, rng.uniform(0, within_s)
            if not _killed(begin, run, attempt, is_early=is_early, after_s=after_s):
                break
            attempt, found.kills = attempt + 1, found.kills + 1
        _until_over(begin, run, attempt)
        _compare(run, reference, found)
        if begin is whole_tree:  # a worker alone tells nobody
            _count_events(run, found, num_trials)
        say(f"search {found.searches}: killed {attempt} times")
    if share:
        run = run_of(folder / "shared", config, workers=WORKERS)
        _until_over(begin, run, 0)
        _count_shared(run, found)
        say(f"shared: {found.shared} trials, {found.sharers} of {WORKERS} processes had some")
    return found


def _all_of(run: RunPaths) -> dict[int, dict[str, Any]]:
    """Number → all that must be the same of a trial."""
    spec = specs.read(Path(run.config_yaml), {}, os.environ)
    found: dict[int, dict[str, Any]] = {}
    for told in Study(run, search.settings(spec, 2)).trials():
        child = run.child(f"trial{told.number:04d}")
        end = files.read_json(child.exit_json) or {}
        numbers: dict[str, Any] = {}
        for row in current(rows(child.dir)):
            axis = row.step if row.epoch is None else row.epoch
            numbers[f"{row.kind} {row.scope.fold} {axis}"] = {
                name: value for name, value in row.values.items() if name not in _CLOCKS
            }
        found[told.number] = {
            "state": told.state, "value": told.value, "values": dict(told.values),
            "steps": dict(told.steps), "epochs": told.epochs, "why": told.why,
            "exit": {name: end.get(name) for name in ("state", "value", "outcome", "epochs")},
            "time_s": told.time_s or 0.0, "rows": numbers,
            "left": sorted(path.name for path in Path(child.ckpt).glob("*")),
        }  # fmt: skip
    return found


def _compare(run: RunPaths, reference: dict[int, dict[str, Any]], found: Found) -> None:
    ours = _all_of(run)
    found.lost += len(reference.keys() - ours.keys())
    found.doubled += len(ours.keys() - reference.keys())
    for number in reference.keys() & ours.keys():
        found.differing += [
            f"{run.root}: trial {number}: {name}: {ours[number][name]!r:.200} and not"
            f" {reference[number][name]!r:.200}"
            for name in reference[number]
            if ours[number][name] != reference[number][name]
        ]
        claims = list(Path(run.child(f"trial{number:04d}").claims).glob("trial.*"))
        found.repeated += len(claims) - 1


def _count_events(run: RunPaths, found: Found, num_trials: int) -> None:
    """Each trial is told of once, as begun and as ended."""
    told = Counter(
        (record["_event"], record["trial"])
        for record in read(run.dir, "job").records
        if record.get("_event") in ("TrialStarted", "TrialEnded")
    )
    found.lost += 2 * num_trials - len(told)
    found.doubled += sum(num - 1 for num in told.values())


def _count_shared(run: RunPaths, found: Found) -> None:
    trials = _all_of(run)
    found.shared = len(trials)
    pids = Counter()  # type: Counter[int]
    for number, each in trials.items():
        child = run.child(f"trial{number:04d}")
        claims = list(Path(child.claims).glob("trial.*"))
        found.doubled += len(claims) - 1
        found.lost += each["exit"]["state"] is None
        pids[(files.read_json(child.run_json) or {}).get("process", {}).get("pid", 0)] += 1
    found.sharers = len(pids)
    _count_events(run, found, NUM_TRIALS)


def main(arguments: Sequence[str] | None = None) -> int:
    """Prints what was found; 1 where it does not hold."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--seed", type=int, default=7)
    options = parser.parse_args(arguments)
    folder = Path(tempfile.mkdtemp(prefix="overnight-tuning-"))
    begun = time.monotonic()
    try:
        found = prove(folder, kills=options.kills, seed=options.seed, say=_say)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    _say(f"kills                         {found.kills} in {found.searches} searches")
    _say(f"trials taken up again         {found.repeated}")
    _say(f"trials lost                   {found.lost}")
    _say(f"trials doubled                {found.doubled}")
    _say(f"trials or numbers that differ {len(found.differing)}")
    _say(f"shared by {WORKERS} processes        {found.shared} of {NUM_TRIALS} trials")
    _say(f"took                          {time.monotonic() - begun:.0f} s")
    for line in found.differing[:20]:
        _say("  " + line)
    _say("holds" if found.holds else "DOES NOT HOLD")
    return 0 if found.holds else 1


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    raise SystemExit(main())
