"""The proof of the mirrors: kills them while runs go on, then reads every number back.

``python -m overnight.testing.mirror_proof --seed 7``. Two runs start at once in a fresh root, one
of them with a row that MLflow does not take; a third has five folds, is killed twice and goes on
from its checkpoint; a fourth is a search of six trials, killed in the middle of one. Meanwhile the
processes that carry the records are killed. What must be found, in each tracker: every number of
the ledgers that counts, under its name and step, once, and nothing else; and each trial below its
search. W&B is proven as files; with ``--online`` over a network, against a server that is played on
loopback and refuses connections at times; with ``--live`` against W&B itself.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from overnight.agent.mirrors import claim_of
from overnight.ledger import claims
from overnight.ledger.format import Row
from overnight.ledger.identity import ALIVE
from overnight.ledger.paths import RunPaths
from overnight.ledger.reader import current, rows
from overnight.ledger.state import ENDED, view
from overnight.outbox import track
from overnight.outbox.folder import agent_paths
from overnight.outbox.standing import standing
from overnight.outbox.summon import alive
from overnight.testing import read_back
from overnight.testing.foreign_wandb import KEY, ForeignWandb

assert sys.platform != "win32"

_ENDS_WITHIN_S = 420.0
_NO_KEY = """\
error: there is no key of W&B's
  where  WANDB_API_KEY
  fix    get one at https://wandb.ai/authorize, then: WANDB_API_KEY=... make test-live
         (three small runs go into the project WANDB_PROJECT names, else overnight-proof)
"""
#: Loading a library takes a mirror some seconds: one that is killed sooner has done nothing.
_KILL_AFTER_S = (0.5, 7.0)
_LOOK_AGAIN_S = 0.05
#: Each makes the agent wait twice as long before it tries again.
_OUTAGES = 2
#: 500 rows, one of them with names that are none.
_PLAIN = """
import math, random, sys, time
import overnight
pick = random.Random(sys.argv[1])
for step in range(500):
    if step == 250 and "poison" in sys.argv:
        overnight.log({"lr=": 0.1, "k" * 251: 1.0}, step=step)
        continue
    odd = {100: math.nan, 101: math.inf, 102: -math.inf}.get(step, pick.gauss(0, 1))
    overnight.log({"loss": odd, "lr": 0.1 / (step + 1)}, step=step)
    time.sleep(0.004)
overnight.log({"score": pick.random()}, summary=True)
"""
#: Five folds with a checkpoint each third epoch; dies where it is told, and goes on from there.
_FOLDS = """
import json, os, random, signal, sys, time
import overnight
deaths = json.loads(sys.argv[2])
attempt = int(os.environ["OVERNIGHT_ATTEMPT"])
kept = overnight.checkpoint_dir() / "kept.json"
fold0, epoch0, done = json.loads(kept.read_text()) if kept.exists() else (0, 0, 0)
step = done
for fold in range(fold0, 5):
    for epoch in range(epoch0 if fold == fold0 else 0, 8):
        for batch in range(5):
            step += 1
            if batch % 2 == 0:
                loss = random.random()
                overnight.log({"batch_loss": loss, "lr": 1 / step}, step=step, fold=fold)
            time.sleep(0.03)
        row = {"train_loss": random.random(), "macro_f1": random.random(), "lr": 1 / step}
        overnight.log(row, epoch=epoch, fold=fold)
        if attempt < len(deaths) and deaths[attempt] == [fold, epoch]:
            os.kill(os.getpid(), signal.SIGKILL)
        if epoch % 3 == 2:
            aside = kept.with_suffix(".tmp")
            aside.write_text(json.dumps([fold, epoch + 1, step]))
            aside.replace(kept)
overnight.log({"macro_f1": 0.5}, summary=True)
"""
#: Six trials as a tuner runs them, one after the other; dies in the middle of the third.
_SEARCH = """
import math, os, signal, time
from overnight.ledger import job
from overnight.ledger.paths import RunPaths
from overnight.tuning.ask import Settings
from overnight.tuning.space import Range
from overnight.tuning.study import Study
space = {"train.lr": Range(1e-4, 1e-1, log=True), "size": Range(1, 9, is_int=True)}
study = Study(RunPaths(os.environ["OVERNIGHT_RUN_DIR"]), Settings(space, 6, method="random"))
while (trial := study.ask()) is not None:
    own = job.Job(trial.run, trial.attempt)
    job.switch_to(own)
    for epoch in range(12):
        job.log({"score": math.sin(epoch) * trial.values["size"]}, epoch=epoch, fold=0)
        for step in range(4):
            job.log({"loss": 1 / (step + 1)}, step=4 * epoch + step)
        study.report(trial, epoch + 1, epoch * trial.values["train.lr"])
        if trial.number == 2 and trial.attempt == 0 and epoch == 7:
            os.kill(os.getpid(), signal.SIGKILL)
        time.sleep(0.05)
    job.switch_to(None)
    own.close()
    study.tell(trial, ["complete", "pruned", "failed"][trial.number % 3], 0.5, time_s=1.0)
"""
_NUM_TRIALS = 6


@dataclass(slots=True)
class Found:
    """What the proof found.

    Attributes:
        numbers: (tracker, run) → how many numbers should be there.
        missing: Those that are not.
        doubled: Those that are there more than once.
        strange: Those that are there and should not.
        rejected: (tracker, run) → how many the tracker would not take.
        kills: Mirrors that were killed.
        outages: How often the server was away for a while.
        begun_anew: How often a run was begun anew in a tracker.
    """

    numbers: Counter[tuple[str, str]] = field(default_factory=Counter)
    missing: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)
    strange: list[str] = field(default_factory=list)
    rejected: Counter[tuple[str, str]] = field(default_factory=Counter)
    kills: int = 0
    outages: int = 0
    begun_anew: int = 0
    superseded: int = 0
    wrong: list[str] = field(default_factory=list)

    @property
    def is_clean(self) -> bool:
        """Everything is there once, and nothing else."""
        return not (self.missing or self.doubled or self.strange or self.wrong)


class Proof:
    """One proof in a folder of its own.

    Args:
        folder: An empty folder.
        trackers: The words of those that are to be proven.
        kills: How many mirrors are killed at most.
        seed: Decides when.
        wandb: What W&B is reached by, as environment variables; without any it is files.
        server: W&B's, where it is played: it fails at times, and its runs are read.
    """

    def __init__(
        self,
        folder: Path,
        *,
        trackers: Sequence[str],
        kills: int,
        seed: int,
        wandb: Mapping[str, str] | None = None,
        server: ForeignWandb | None = None,
    ) -> None:
        self.folder, self.trackers = folder, tuple(trackers)
        self.server = server
        self.kills = kills
        self.root = folder / "root"
        self.found = Found()
        self._rng = random.Random(seed)
        self.env = {
            **{key: os.environ[key] for key in ("PATH", "LANG") if key in os.environ},
            "HOME": str(folder),
            "XDG_STATE_HOME": str(folder / "state"),
            "XDG_CONFIG_HOME": str(folder / "config"),
            **(wandb or {"WANDB_MODE": "offline"}),
        }

    def run(self) -> Found:
        """Proves it."""
        before = dict(os.environ)
        os.environ.update(self.env)
        try:
            return self._run()
        finally:
            self._send_agent_away()
            os.environ.clear()
            os.environ.update(before)

    def _run(self) -> Found:
        self.root.mkdir()
        (self.root / "overnight.yaml").touch()
        deaths = [[1, self._rng.randrange(3, 8)], [3, self._rng.randrange(1, 8)]]
        seed = str(self._rng.random())
        runs = self._start([("first", _PLAIN, [seed, "poison"]), ("second", _PLAIN, [seed + "2"])])
        # With mirrors at work already, so that what it goes over again has been sent.
        self._until(lambda: any(Path(run.cursor(self.trackers[0])).exists() for run in runs))
        runs += self._start(
            [("folds", _FOLDS, [seed, json.dumps(deaths)]), ("search", _SEARCH, [])]
        )
        self._until(lambda: all(self._is_over(run) for run in runs))
        for tracker in self.trackers:
            for run in runs:
                self._compare(run, tracker)
            self._compare_trials(runs[-1], tracker)
        return self.found

    def _compare_trials(self, search: RunPaths, tracker: str) -> None:
        trials = list(track.parts(search, tracker))
        if len(trials) != _NUM_TRIALS:
            self.found.wrong.append(f"{len(trials)} trials in the search's folder")
        for trial in trials:
            self._compare(trial, tracker, name="trials")
            if self._whole_of(trial, tracker) != self._whole_of(search, tracker, itself=True):
                self.found.wrong.append(f"{tracker}: {trial.run_id} is not below its search")

    def _whole_of(self, run: RunPaths, tracker: str, *, itself: bool = False) -> str:
        """What a tracker says that a run is a part of; for a search, what its trials should say."""
        if tracker == "mlflow":
            return (
                read_back.mlflow_id(self.root, run)
                if itself
                else read_back.mlflow_parent(self.root, run)
            )
        if itself:
            return run.run_id
        if self.env.get("WANDB_MODE") == "offline":
            return read_back.offline_group(self.root, run)
        [url] = [each.url for each in standing(run) if each.tracker == tracker]
        if self.server is None:
            return read_back.live_group(url)
        return str(self.server.runs[url.rpartition("/")[2]]["group"])

    def _start(self, jobs: Sequence[tuple[str, str, Sequence[str]]]) -> list[RunPaths]:
        """Starts runs, all at the same moment."""
        asked = []
        tracked = [word for tracker in self.trackers for word in ("--track", tracker)]
        for name, source, args in jobs:
            script = self.root / f"{name}.py"
            script.write_text(source, encoding="utf-8")
            words = [
                "run",
                "--json",
                "--name",
                name,
                "--restart",
                "2",
                *tracked,
                str(script),
                *args,
            ]
            argv = [sys.executable, "-m", "overnight", *words]
            asked.append(subprocess.Popen(argv, cwd=self.root, stdout=subprocess.PIPE, text=True))
        runs = []
        for each in asked:
            said, _ = each.communicate(timeout=_ENDS_WITHIN_S)
            runs.append(RunPaths(json.loads(said)["dir"]))
        return runs

    def _is_over(self, run: RunPaths) -> bool:
        over = isinstance(view(run).state, ENDED) and not view(run).unsettled
        return over and all(each.closed for each in standing(run))

    def _until(self, holds: Callable[[], bool]) -> None:
        until = time.monotonic() + _ENDS_WITHIN_S
        kill_at = time.monotonic() + self._rng.uniform(*_KILL_AFTER_S)
        fail_at = time.monotonic() + self._rng.uniform(*_KILL_AFTER_S)
        while not holds():
            now = time.monotonic()
            if now > until:
                self.found.wrong.append("it did not come to an end")
                return
            if now > kill_at and self.found.kills < self.kills:
                kill_at = now + self._rng.uniform(*_KILL_AFTER_S)
                self._kill_one()
            if self.server is not None and now > fail_at and self.found.outages < _OUTAGES:
                fail_at = now + self._rng.uniform(*_KILL_AFTER_S)
                self.found.outages += bool(self.server.fault)
                self.server.fail("" if self.server.fault else "refused")
            time.sleep(_LOOK_AGAIN_S)

    def _kill_one(self) -> None:
        lanes = sorted({request.lane for request in track.asked()})
        self._rng.shuffle(lanes)
        for lane in lanes:
            _, identity = claims.holder(agent_paths().claims, claim_of(lane))
            if identity is not None and identity.look() == ALIVE:
                os.kill(identity.pid, signal.SIGKILL)
                self.found.kills += 1
                return

    def _send_agent_away(self) -> None:
        until = time.monotonic() + 20.0
        while (agent := alive()) is not None and time.monotonic() < until:
            os.kill(agent.pid, signal.SIGTERM)
            time.sleep(0.2)

    # -- comparing -----------------------------------------------------------------------------

    def _numbers(self, tracker: str, run: RunPaths) -> Iterator[tuple[str, int, str]]:
        if tracker != "wandb" or self.env.get("WANDB_MODE") == "offline":
            return read_back.numbers(tracker, self.root, run)
        [url] = [each.url for each in standing(run) if each.tracker == tracker]
        if self.server is None:
            return read_back.of_history(read_back.live_history(url))
        return read_back.of_history(self.server.runs[url.rpartition("/")[2]]["history"])

    def _compare(self, run: RunPaths, tracker: str, name: str = "") -> None:
        name = name or run.run_id.partition("_")[0]
        written = rows(run.dir)
        counting = current(written)
        self.found.superseded += len(written) - len(counting)
        poison = {"lr=", "k" * 251} if tracker == "mlflow" else set()
        should = Counter(each for each in expected(counting) if each[0] not in poison)
        got = Counter(self._numbers(tracker, run))
        self.found.numbers[tracker, name] += should.total()
        for each in (should - got).elements():
            self.found.missing.append(f"{tracker} {name} {each}")
        for each in (got - should).elements():
            known = each in should
            (self.found.doubled if known else self.found.strange).append(f"{tracker} {name} {each}")
        said = json.loads(Path(run.cursor(tracker)).read_text())
        self.found.begun_anew += said["generation"]
        self.found.rejected[tracker, name] += said["rejected"]["num"]
        if set(said["rejected"]["keys"]) != (poison if name == "first" else set()):
            self.found.wrong.append(f"{tracker} {name} rejected {said['rejected']}")


def expected(counting: Sequence[Row]) -> Iterator[tuple[str, int, str]]:
    """(name, step, value) of every number that counts, as docs/tracking.md names them."""
    kinds: dict[tuple[int | None, str], set[str]] = {}
    for row in counting:
        for key in row.values:
            kinds.setdefault((row.scope.fold, key), set()).add(row.kind)
    ranks = ("epoch", "step", "summary")
    for row in counting:
        fold = "" if row.scope.fold is None else f"fold{row.scope.fold}/"
        axis = row.epoch if row.kind == "epoch" else row.step
        for key, value in row.values.items():
            first = min(kinds[row.scope.fold, key], key=ranks.index)
            own = key if row.kind == first else f"{row.kind}/{key}"
            yield fold + own, row.seq if axis is None else axis, read_back.spelled(value)


def main(argv: Sequence[str] | None = None) -> int:
    """The command; 0 if every number is there once."""
    parser = argparse.ArgumentParser(prog="mirror_proof", description=__doc__)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--kills", type=int, default=6)
    parser.add_argument("--only", action="append", choices=["mlflow", "wandb"])
    where = parser.add_mutually_exclusive_group()
    where.add_argument("--online", action="store_true", help="W&B played on loopback")
    where.add_argument("--live", action="store_true", help="W&B itself; needs WANDB_API_KEY")
    asked = parser.parse_args(argv)
    if asked.live and not os.environ.get("WANDB_API_KEY"):
        sys.stderr.write(_NO_KEY)
        return 2
    begun = time.monotonic()
    folder = Path(tempfile.mkdtemp(prefix="overnight-proof-"))
    trackers = asked.only or ["mlflow", "wandb"]
    log = ""
    try:
        proof = _proof(folder, trackers, asked)
        found = proof.run()
        for path in folder.glob("state/overnight/agent/*/agent.log"):
            log += path.read_text(errors="replace")
        if proof.server is not None:
            proof.server.close()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    _print(found, asked.seed, time.monotonic() - begun, log)
    return 0 if found.is_clean else 1


def _proof(folder: Path, trackers: Sequence[str], asked: argparse.Namespace) -> Proof:
    server, reached = None, None
    if asked.online:
        server = ForeignWandb()
        reached = {"WANDB_BASE_URL": server.address, "WANDB_API_KEY": KEY, "WANDB_MODE": "online"}
    elif asked.live:
        reached = {key: each for key, each in os.environ.items() if key.startswith("WANDB_")}
        reached |= {"WANDB_MODE": "online"}
        reached.setdefault("WANDB_PROJECT", "overnight-proof")
    return Proof(
        folder, trackers=trackers, kills=asked.kills, seed=asked.seed, wandb=reached, server=server
    )


def _print(found: Found, seed: int, took_s: float, log: str) -> None:
    by_run: Mapping[tuple[str, str], Any] = found.numbers
    table = {
        "seed": seed,
        "numbers": ", ".join(f"{n} {run} in {where}" for (where, run), n in by_run.items()),
        "missing": len(found.missing),
        "there twice": len(found.doubled),
        "there though they should not": len(found.strange),
        "set aside": ", ".join(
            f"{n} {run} in {where}" for (where, run), n in found.rejected.items() if n
        ),
        "rows that a newer attempt went over": found.superseded // len({w for w, _ in by_run}),
        "begun anew in a tracker": found.begun_anew,
        "mirrors killed": found.kills,
        "times the server was away": found.outages,
        "seconds": round(took_s),
    }
    width = max(len(name) for name in table)
    for name, value in table.items():
        sys.stdout.write(f"{name:<{width}}  {value}\n")
    for line in [*found.wrong, *found.missing, *found.doubled, *found.strange][:20]:
        sys.stdout.write(f"WRONG {line}\n")
    if not found.is_clean or log:
        sys.stdout.write(log[-4000:])
    sys.stdout.write("the proof holds\n" if found.is_clean else "the proof does not hold\n")


if __name__ == "__main__":
    sys.exit(main())
