"""The storm: kills job, keeper and supervisor and fills the disk while jobs log, then counts.

``python -m overnight.testing.storm --kills 200 --seed 7``. What it must find: no record lost whose
write had returned, no process left, no exit code that is wrong. A code may be unknown only where
the keeper was killed, and then it must say so.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import shutil
import signal
import struct
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from overnight.ledger.files import read_json
from overnight.ledger.identity import ALIVE, Identity
from overnight.ledger.paths import RunPaths
from overnight.ledger.reader import read, stems
from overnight.ledger.state import ENDED, Unattended, exit_status, view
from overnight.start import Asked, start
from overnight.supervisor.detach import detach, holder
from overnight.supervisor.ending import settle
from overnight.supervisor.launch import Launch
from overnight.supervisor.process import of_run, send
from overnight.testing.faults import FaultUnavailableError, small_disk

assert sys.platform != "win32"

Victim = Literal["job", "keeper", "supervisor", "disk"]
_VICTIMS: tuple[Victim, ...] = ("job", "keeper", "supervisor", "disk")
#: The code a job that nobody kills ends with: not 0, not 1, so that it cannot be right by chance.
_CODE = 7
_JOB_S = 1.2
_ENDS_WITHIN_S = 60.0
#: Enough for a run's small files; a ballast file takes the rest of it.
_DISK_KIB = 96 * 1024

_JOB = """
import os, struct, sys, time
import overnight
from overnight.ledger.job import num_written

acknowledged = os.open(sys.argv[1], os.O_RDWR | os.O_CREAT)
overnight.init()
end = time.monotonic() + float(sys.argv[2])
step = 0
while time.monotonic() < end:
    overnight.log({"loss": 1 / (step + 1), "filler": step * 1.000001}, step=step)
    try:
        os.pwrite(acknowledged, struct.pack("<q", num_written()), 0)
    except OSError:  # a disk that was full before the first row
        pass
    overnight.progress(step, 10**6)
    step += 1
    time.sleep(0.0005)
raise SystemExit(int(sys.argv[3]))
"""


@dataclass(slots=True)
class Found:
    """What the storm found, added up over all runs."""

    kills: Counter[str] = field(default_factory=Counter)
    runs: int = 0
    written: int = 0
    whole: int = 0
    lost: int = 0
    broken: int = 0
    codes_known: int = 0
    codes_unknown: int = 0
    wrong: list[str] = field(default_factory=list)
    left: int = 0

    def add(self, other: Found) -> None:
        """Adds what another run found."""
        self.kills += other.kills
        self.wrong += other.wrong
        for name in ("runs", "written", "whole", "lost", "broken", "codes_known", "codes_unknown",
                     "left"):  # fmt: skip
            setattr(self, name, getattr(self, name) + getattr(other, name))

    @property
    def is_clean(self) -> bool:
        """Nothing lost, nothing left, nothing wrong."""
        return not (self.lost or self.left or self.wrong)


@dataclass(frozen=True, slots=True)
class Episode:
    """One run of the storm: who is killed in it, in order."""

    number: int
    victims: tuple[Victim, ...]


def plan(*, kills: int, seed: int, disk: bool) -> list[Episode]:
    """All episodes of a storm: the same for the same arguments, however many work them off."""
    rng = random.Random(f"{seed}/plan")
    among = _VICTIMS if disk else _VICTIMS[:3]
    episodes: list[Episode] = []
    while kills > 0:
        num_kills = min(kills, rng.choice([1, 1, 2, 3]))
        victims = tuple(rng.choice(among) for _ in range(num_kills))
        episodes.append(Episode(len(episodes), victims))
        kills -= num_kills
    return episodes


class Storm:
    """One storm.

    Args:
        folder: Where everything happens; removed by the caller.
        kills: How many in all.
        seed: Decides victims and moments.
        disk: A small disk that may be filled; None where this user may not mount one.
    """

    def __init__(self, folder: Path, *, kills: int, seed: int, disk: Path | None) -> None:
        self._folder, self._seed, self._disk = folder, seed, disk
        self._episodes = plan(kills=kills, seed=seed, disk=disk is not None)
        self._script = folder / "storm_job.py"
        self._script.write_text(_JOB, encoding="utf-8")
        self._disk_lock = threading.Lock()
        self.found = Found()

    def run(self, workers: int) -> Found:
        """Runs until all kills are done."""
        with ThreadPoolExecutor(workers) as pool:
            for found in pool.map(self._work, self._episodes):
                self.found.add(found)
        return self.found

    def _work(self, episode: Episode) -> Found:
        on_disk = "disk" in episode.victims
        # One run at a time on the small disk: filling it must not hit a run that starts.
        with self._disk_lock if on_disk else contextlib.nullcontext():
            return self._live_through(episode, on_disk)

    def _live_through(self, episode: Episode, on_disk: bool) -> Found:
        rng = random.Random(f"{self._seed}/{episode.number}")
        name = f"e{episode.number}"
        place = self._disk if on_disk and self._disk is not None else self._folder / "roots"
        root = place / name
        acknowledged = self._folder / f"{name}.acknowledged"
        asked = Asked(
            target=str(self._script),
            args=(str(acknowledged), str(_JOB_S), str(_CODE)),
            root=str(root),
        )
        root.mkdir(parents=True)
        run = start(asked).run
        found = Found(runs=1)
        ballast = root.parent / "ballast"
        for victim in episode.victims:
            time.sleep(rng.uniform(0.02, 0.5))
            if victim == "disk":
                _fill(ballast)
            else:
                for identity in _who(run, victim):
                    send(identity.pid, signal.SIGKILL)
            found.kills[victim] += 1
            # A supervisor that is gone is replaced half of the time, as `resume` would.
            if isinstance(view(run).state, Unattended) and rng.random() < 0.5:
                detach(run, "adopt", Launch.read(run).environment(os.environ))
        if on_disk:
            time.sleep(rng.uniform(0.1, 0.6))
            ballast.unlink(missing_ok=True)
        self._judge(run, name, episode.victims, acknowledged, found)
        shutil.rmtree(root, ignore_errors=True)
        return found

    def _judge(
        self, run: RunPaths, name: str, victims: Sequence[Victim], acknowledged: Path, found: Found
    ) -> None:
        until = time.monotonic() + _ENDS_WITHIN_S
        while not isinstance((seen := view(run)).state, ENDED) and time.monotonic() < until:
            time.sleep(0.02)
        supervisors = [identity for identity in (holder(run)[1],) if identity is not None]
        while any(identity.look() == ALIVE for identity in supervisors + _who(run, "keeper")):
            if time.monotonic() > until:
                break
            time.sleep(0.02)
        seen = settle(run)
        code = exit_status(seen.state)
        right = {_CODE} | ({128 + signal.SIGKILL} if "job" in victims else set())
        if code in right:
            found.codes_known += 1
        elif code == 125 and "keeper" in victims:
            found.codes_unknown += 1
        else:
            found.wrong.append(f"{name} {'+'.join(victims)}: {seen.state}, code {code}")
        self._count_records(run, name, acknowledged, found)
        left = of_run(run.dir, set())
        left |= {i.pid for i in supervisors + _who(run, "keeper") if i.look() == ALIVE}
        found.left += len(left)
        for pid in left:
            send(pid, signal.SIGKILL)

    def _count_records(self, run: RunPaths, name: str, acknowledged: Path, found: Found) -> None:
        data = acknowledged.read_bytes() if acknowledged.exists() else b""
        written = struct.unpack("<q", data)[0] if len(data) == 8 else 0
        book = read(run.dir, "metrics")
        seqs = [record["_seq"] for record in book.records]
        found.written += written
        found.whole += len(seqs)
        found.lost += len(set(range(written)) - set(seqs))
        for base in ("metrics", "job", "events", "system"):
            for stem in stems(run.dir, base):
                each = read(run.dir, stem)
                found.broken += each.broken
                if [record["_seq"] for record in each.records] != list(range(len(each.records))):
                    found.wrong.append(f"{name}: {stem} has a gap")


def _who(run: RunPaths, victim: str) -> list[Identity]:
    """The living processes behind a word."""
    if victim == "supervisor":
        found = holder(run)[1]
    else:
        found = Identity.from_json((read_json(run.keeper_json) or {}).get(victim))
    return [found] if found is not None and found.look() == ALIVE else []


def _fill(ballast: Path) -> None:
    """Takes all that is left of the disk, to the last byte; only of one made for that."""
    disk = os.statvfs(ballast.parent)
    assert disk.f_blocks * disk.f_frsize <= 2 * _DISK_KIB * 1024, "this is a real disk"
    with contextlib.suppress(OSError), ballast.open("ab", buffering=0) as file:
        for size in (1 << 20, 4096, 1):
            with contextlib.suppress(OSError):
                while file.write(b"x" * size) == size:
                    pass


def main(argv: Sequence[str] | None = None) -> int:
    """The command; 0 if the storm found nothing wrong."""
    parser = argparse.ArgumentParser(prog="storm", description=__doc__)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args(argv)
    begun = time.monotonic()
    folder = Path(tempfile.mkdtemp(prefix="overnight-storm-"))
    os.environ["XDG_STATE_HOME"] = str(folder / "state")
    try:
        with contextlib.ExitStack() as stack:
            disk: Path | None = None
            with contextlib.suppress(FaultUnavailableError):
                disk = stack.enter_context(small_disk(_DISK_KIB))
            storm = Storm(folder, kills=asked.kills, seed=asked.seed, disk=disk)
            found = storm.run(asked.workers)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    _print(found, asked.seed, disk is not None, time.monotonic() - begun, as_json=asked.json)
    return 0 if found.is_clean else 1


def _print(found: Found, seed: int, disk: bool, took_s: float, *, as_json: bool) -> None:
    kills = ", ".join(f"{number} {victim}" for victim, number in sorted(found.kills.items()))
    rows = {
        "seed": seed,
        "kills": f"{found.kills.total()} ({kills})",
        "runs": found.runs,
        "records whose write returned": found.written,
        "records whole": found.whole,
        "records lost": found.lost,
        "broken lines (no record's loss)": found.broken,
        "exit codes known": found.codes_known,
        "exit codes unknown, and said so": found.codes_unknown,
        "exit codes or records wrong": len(found.wrong),
        "processes left": found.left,
        "disk filled": "yes" if disk else "no (mounting is not permitted here)",
        "seconds": round(took_s),
    }
    if as_json:
        sys.stdout.write(json.dumps({**rows, "wrong": found.wrong}) + "\n")
        return
    width = max(len(name) for name in rows)
    for name, value in rows.items():
        sys.stdout.write(f"{name:<{width}}  {value}\n")
    for line in found.wrong:
        sys.stdout.write(f"WRONG {line}\n")
    sys.stdout.write("the storm is clean\n" if found.is_clean else "the storm found something\n")


if __name__ == "__main__":
    sys.exit(main())
