"""``kill -9`` of real writers, again and again: every acknowledged record is whole."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from overnight.ledger.paths import create_run
from overnight.ledger.reader import merged, read, stems

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="no SIGKILL on Windows")

#: Acknowledges through a file of its own: one byte behind each append that returned.
WRITER = """
import os, sys
from overnight.ledger.writer import Pen
folder, ack, first, segment_bytes = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
pen = Pen(folder, "metrics", attempt=0, segment_bytes=segment_bytes)
fd = os.open(ack, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
value = first
while True:
    pen.append({"v": value, "filler": "x" * (value * 7919 % 3000)})
    os.write(fd, b".")
    value += 1
"""

LOGGER = """
import os, sys
import overnight
ack = os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
for step in range(int(sys.argv[2])):
    overnight.log({"loss": 1.0 / (step + 1), "who": os.getpid()}, step=step)
    os.write(ack, b".")
"""


def size_of(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def wait_for_size(path: Path, size: int, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 60
    while size_of(path) < size:
        assert process.poll() is None, "the writer ended by itself"
        assert time.monotonic() < deadline
        time.sleep(0.001)


@pytest.mark.parametrize("segment_bytes", [64 * 1024 * 1024, 20_000])
def test_writers_killed_in_a_loop_lose_nothing_acknowledged(
    tmp_path: Path, segment_bytes: int
) -> None:
    rng = random.Random(f"kills of segments of {segment_bytes}")
    ack = tmp_path / "ack"
    expected: list[int] = []
    for life in range(15):
        base = size_of(ack)
        args = [str(tmp_path), str(ack), str(life * 1_000_000), str(segment_bytes)]
        writer = subprocess.Popen([sys.executable, "-c", WRITER, *args])
        wait_for_size(ack, base + rng.randrange(1, 300), writer)
        writer.kill()
        writer.wait()
        num_acknowledged = size_of(ack) - base
        records = read(str(tmp_path), "metrics").records
        assert [r["_seq"] for r in records] == list(range(len(records)))
        whole = [r["v"] for r in records]
        assert whole[: len(expected)] == expected
        new = whole[len(expected) :]
        assert new == [life * 1_000_000 + number for number in range(len(new))]
        # One more may have been written and not acknowledged yet.
        assert num_acknowledged <= len(new) <= num_acknowledged + 1
        expected = whole
    assert read(str(tmp_path), "metrics").broken <= 15


def environment(run_dir: str, state: Path, **more: str) -> dict[str, str]:
    return {
        **os.environ,
        "OVERNIGHT_RUN_DIR": run_dir,
        "XDG_STATE_HOME": str(state),
        **more,
    }


def test_two_processes_log_into_the_same_run(tmp_path: Path) -> None:
    run = create_run(str(tmp_path), "run", "pair")
    acks = [tmp_path / "ack 0", tmp_path / "ack 1"]
    env = environment(run.dir, tmp_path / "state")
    writers = [
        subprocess.Popen([sys.executable, "-c", LOGGER, str(ack), "400"], env=env) for ack in acks
    ]
    assert [writer.wait(60) for writer in writers] == [0, 0]
    pids = {writer.pid for writer in writers}
    names = stems(run.dir, "metrics")
    assert names[0] == "metrics"
    assert len(names) == 2
    by_file = {stem: read(run.dir, stem) for stem in names}
    assert {r["who"] for r in by_file["metrics"].records} < pids
    for stem, book in by_file.items():
        assert book.broken == 0
        assert [r["_seq"] for r in book.records] == list(range(400))
        assert stem in ("metrics", "metrics.p{}".format(book.records[0]["who"]))
    assert len(list(merged(run.dir, "metrics"))) == 800


FORKING = """
import multiprocessing, os, sys
import overnight

def worker(number):
    for step in range(50):
        overnight.log({"worker": number, "who": os.getpid()}, step=step)
    overnight.progress(1, 2)

if __name__ == "__main__":
    overnight.log({"worker": -1, "who": os.getpid()}, step=0)
    context = multiprocessing.get_context("fork")
    children = [context.Process(target=worker, args=(number,)) for number in range(4)]
    for child in children:
        child.start()
    for step in range(1, 50):
        overnight.log({"worker": -1, "who": os.getpid()}, step=step)
    for child in children:
        child.join()
"""


def test_forked_workers_write_files_of_their_own(tmp_path: Path) -> None:
    run = create_run(str(tmp_path), "run", "fork")
    subprocess.run(
        [sys.executable, "-c", FORKING], env=environment(run.dir, tmp_path / "state"), check=True
    )
    names = stems(run.dir, "metrics")
    assert len(names) == 5
    for stem in names:
        book = read(run.dir, stem)
        assert book.broken == 0
        assert [r["step"] for r in book.records] == list(range(50))
        assert len({r["who"] for r in book.records}) == 1
        assert stem in ("metrics", "metrics.p{}".format(book.records[0]["who"]))
    assert {r["worker"] for r in read(run.dir, "metrics").records} == {-1}


@pytest.mark.parametrize("variable", ["RANK", "LOCAL_RANK", "SLURM_PROCID", "OMPI_COMM_WORLD_RANK"])
@pytest.mark.parametrize(("rank", "speaks"), [("0", True), ("1", False), ("12", False)])
def test_ranks_above_0_are_silent(tmp_path: Path, variable: str, rank: str, speaks: bool) -> None:
    run = create_run(str(tmp_path), "run", "rank")
    code = (
        "import overnight; overnight.init(); overnight.checkpoint_dir(); "
        "overnight.log({'loss': 1.0}); overnight.progress(1, 1)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=environment(run.dir, tmp_path / "state", **{variable: rank}),
        check=True,
        capture_output=True,
    )
    assert done.stderr == b""
    assert bool(stems(run.dir, "metrics")) is speaks
    assert bool(stems(run.dir, "job")) is speaks
    assert bool(list(Path(run.claims).iterdir())) is speaks


def test_a_job_killed_while_it_logs_is_resumed_into_the_same_files(tmp_path: Path) -> None:
    run = create_run(str(tmp_path), "run", "resumed")
    ack = tmp_path / "ack"
    for attempt in range(3):
        env = environment(run.dir, tmp_path / "state", OVERNIGHT_ATTEMPT=str(attempt))
        base = size_of(ack)
        job = subprocess.Popen([sys.executable, "-c", LOGGER, str(ack), "10000000"], env=env)
        wait_for_size(ack, base + 50, job)
        job.send_signal(signal.SIGKILL)
        job.wait()
    assert stems(run.dir, "metrics") == ["metrics"]
    records = read(run.dir, "metrics").records
    assert [r["_seq"] for r in records] == list(range(len(records)))
    assert size_of(ack) <= len(records) <= size_of(ack) + 3
    assert sorted({r["_attempt"] for r in records}) == [0, 1, 2]
    claims = sorted(path.name for path in Path(run.claims).iterdir())
    assert claims == ["job.0", "job.1", "job.2"]
    assert json.loads((Path(run.claims) / "job.2").read_text())["pid"] == job.pid
