"""What writing down three numbers costs a training, side by side with tensorboard's SummaryWriter.

One row is ``overnight.log`` of three scalars against three ``add_scalar`` (tensorboardX: the same
writer as torch's, without torch). "Lost" is what is not in the file after ``kill -9``, counted in
scalars whose call had returned, over writers killed while they log a hundred rows a second. Run it
as ``python bench/ledger.py``.
"""

from __future__ import annotations

import json
import os
import random
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import _measure as measure
from overnight.ledger.paths import RunPaths, create_run
from overnight.ledger.reader import rows

_NUM_PAIRS = 10
_NUM_ROWS = 10_000
_NUM_KILLS = 10

_LOG_OURS = """
import overnight
def write(step):
    overnight.log({"loss": 1 / (step + 1), "accuracy": 0.5, "lr": 3e-4}, step=step)
"""
_LOG_THEIRS = """
import sys
from tensorboardX import SummaryWriter
writer = SummaryWriter(sys.argv[1])
def write(step):
    writer.add_scalar("loss", 1 / (step + 1), step)
    writer.add_scalar("accuracy", 0.5, step)
    writer.add_scalar("lr", 3e-4, step)
"""
#: Each call timed by itself, a millisecond of other work between two of them as a step would be.
_TIMED = """
import json, time
for step in range(500):
    write(step)
took = []
for step in range(500, 500 + {num_rows}):
    begun = time.perf_counter_ns()
    write(step)
    took.append(time.perf_counter_ns() - begun)
    until = time.perf_counter_ns() + 100_000
    while time.perf_counter_ns() < until:
        pass
took.sort()
print(json.dumps([took[len(took) // 2] / 1e3, took[len(took) * 99 // 100] / 1e3]), flush=True)
import os
os._exit(0)
"""
_ACKNOWLEDGED = """
import os, struct, sys, time
acknowledged = os.open(sys.argv[2], os.O_RDWR | os.O_CREAT)
step = 0
while True:
    write(step)
    step += 1
    os.pwrite(acknowledged, struct.pack("<q", step), 0)
    time.sleep(0.01)
"""


def _run_ours(folder: Path) -> tuple[list[str], dict[str, str], RunPaths]:
    run = create_run(str(folder), "run", "bench")
    env = {**os.environ, "OVERNIGHT_RUN_DIR": run.dir, "XDG_STATE_HOME": str(folder / "state")}
    return [sys.executable, "-c"], env, run


def _cost_ours() -> list[float]:
    with tempfile.TemporaryDirectory() as folder:
        command, env, run = _run_ours(Path(folder))
        code = _LOG_OURS + _TIMED.format(num_rows=_NUM_ROWS)
        done = subprocess.run([*command, code], env=env, stdout=subprocess.PIPE, check=True)
        assert len(rows(run.dir)) == 500 + _NUM_ROWS, "what was timed is not what was written"
    return list(json.loads(done.stdout))


def _cost_theirs(python: Path) -> list[float]:
    with tempfile.TemporaryDirectory() as folder:
        code = _LOG_THEIRS + _TIMED.format(num_rows=_NUM_ROWS)
        done = subprocess.run([python, "-c", code, folder], stdout=subprocess.PIPE, check=True)
    return list(json.loads(done.stdout))


def _killed(command: list[str], env: dict[str, str], folder: Path, rng: random.Random) -> int:
    """Kills a writer after one to three seconds; returns how many rows it had acknowledged."""
    ack = folder / "ack"
    writer = subprocess.Popen([*command, str(folder), str(ack)], env=env)
    while not ack.exists() or ack.stat().st_size < 8:
        time.sleep(0.01)
    time.sleep(rng.uniform(1, 3))
    writer.kill()
    writer.wait()
    return int(struct.unpack("<q", ack.read_bytes()[:8])[0])


def _lost_ours(rng: random.Random) -> tuple[int, int]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        command, env, run = _run_ours(folder)
        num = _killed([*command, _LOG_OURS + _ACKNOWLEDGED], env, folder, rng)
        whole = {row.step for row in rows(run.dir)}
    return 3 * sum(1 for step in range(num) if step not in whole), 3 * num


def _lost_theirs(python: Path, rng: random.Random) -> tuple[int, int]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        command = [str(python), "-c", _LOG_THEIRS + _ACKNOWLEDGED]
        num = _killed(command, dict(os.environ), folder, rng)
        whole = sum(_num_records(path) - 1 for path in folder.glob("events.out.tfevents.*"))
    return max(0, 3 * num - max(0, whole)), 3 * num


def _num_records(path: Path) -> int:
    """Whole records of an event file: length (8 bytes), check (4), data, check (4)."""
    data, at, num = path.read_bytes(), 0, 0
    while at + 12 <= len(data):
        at += 16 + int(struct.unpack_from("<Q", data, at)[0])
        num += at <= len(data)
    return num


def _share(results: list[tuple[int, int]]) -> str:
    lost, all_ = (sum(column) for column in zip(*results, strict=True))
    return f"{lost:,} of {all_:,}"


def main() -> None:
    """Prints the table."""
    python = measure.environment("tensorboard", "tensorboardX")
    _cost_ours()
    _cost_theirs(python)
    machine = measure.calm()
    ours: list[list[float]] = []
    theirs: list[list[float]] = []

    def note(into: list[list[float]], cost: Callable[[], list[float]]) -> float:
        into.append(cost())
        return into[-1][0]

    medians = measure.in_turn(
        lambda: note(ours, _cost_ours),
        lambda: note(theirs, lambda: _cost_theirs(python)),
        num_pairs=_NUM_PAIRS,
    )
    p99 = measure.Pairs(tuple(each[1] for each in ours), tuple(each[1] for each in theirs))
    rng = random.Random(7)
    lost_ours = [_lost_ours(rng) for _ in range(_NUM_KILLS)]
    lost_theirs = [_lost_theirs(python, rng) for _ in range(_NUM_KILLS)]
    shown = [
        (name, f"{measure.Interval.of(pairs.ours):.1f}", f"{measure.Interval.of(pairs.theirs):.1f}",
         f"{pairs.ratio:.1f}")
        for name, pairs in (("three scalars, µs, median", medians), ("the same, 99th of 100", p99))
    ]  # fmt: skip
    measure.table(
        "Writing numbers down",
        machine,
        ("what", "overnight.log", "SummaryWriter", "SummaryWriter / overnight"),
        [
            *shown,
            (f"scalars lost at {_NUM_KILLS} kills", _share(lost_ours), _share(lost_theirs), "–"),
        ],
    )
    measure.keep(
        "ledger",
        machine,
        {"median_us": medians, "p99_us": p99, "lost_ours": lost_ours, "lost_theirs": lost_theirs},
    )


if __name__ == "__main__":
    main()
