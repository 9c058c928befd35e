"""The pen: opened again after any cut, at any crash point, by threads and under signals."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from overnight.ledger.format import MAX_LINE_BYTES, decode
from overnight.ledger.reader import read
from overnight.ledger.writer import Pen, segment_path, segments
from overnight.testing import faults

RECORD_POINTS = ["record.before", "record.torn", "record.after", "segment.opened"]


@contextmanager
def folder() -> Iterator[str]:
    with tempfile.TemporaryDirectory() as name:
        yield name


def write(run: str, values: range, **options: Any) -> None:
    pen = Pen(run, "metrics", attempt=0, **options)
    for value in values:
        pen.append({"v": value})
    pen.close()


def assert_gapless(run: str, *, at_least: int = 0) -> list[dict[str, Any]]:
    records = read(run, "metrics").records
    assert [record["_seq"] for record in records] == list(range(len(records)))
    assert len(records) >= at_least
    return records


def test_a_record_carries_what_the_format_says(tmp_path: Path) -> None:
    pen = Pen(str(tmp_path), "metrics", attempt=3)
    assert [pen.append({"_kind": "step", "loss": 0.5}), pen.append({})] == [0, 1]
    first = decode((tmp_path / "metrics.jsonl").read_bytes().splitlines()[0])
    assert first is not None
    assert list(first) == ["_seq", "_t", "_attempt", "_kind", "loss"]
    assert (tmp_path / "metrics.jsonl").stat().st_mode & 0o777 == 0o600
    pen.close()


def test_opened_again_after_a_cut_at_every_byte_it_goes_on_gapless() -> None:
    with folder() as run:
        write(run, range(3))
        data = Path(segment_path(run, "metrics", 0)).read_bytes()
    for cut in range(len(data) + 1):
        with folder() as run:
            Path(segment_path(run, "metrics", 0)).write_bytes(data[:cut])
            before = read(run, "metrics").records
            write(run, range(100, 102))
            after = assert_gapless(run)
            assert after[: len(before)] == before
            assert [record["v"] for record in after[len(before) :]] == [100, 101]
            assert read(run, "metrics").broken <= 1


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 70)), max_size=6), st.integers(1, 300))
def test_death_after_death_nothing_whole_is_lost(
    lives: list[tuple[int, int]], segment_bytes: int
) -> None:
    with folder() as run:
        kept: list[int] = []
        value = 0
        for num_records, cut in lives:
            write(run, range(value, value + num_records), segment_bytes=segment_bytes)
            kept += range(value, value + num_records)
            value += num_records
            # The last write of this life was only half done.
            pen = Pen(run, "metrics", attempt=0, segment_bytes=segment_bytes)
            pen.append({"v": value})
            pen.close()
            path = Path(segment_path(run, "metrics", segments(run, "metrics")[-1]))
            size = path.stat().st_size
            torn = len(path.read_bytes().split(b"\n")[-2]) + 1
            os.truncate(path, size - min(cut, torn))
            if min(cut, torn) <= 1:
                kept.append(value)
            value += 1
        write(run, range(value, value + 1), segment_bytes=segment_bytes)
        assert [r["v"] for r in assert_gapless(run)] == [*kept, value]


@given(st.lists(st.binary(max_size=200), min_size=1, max_size=3))
def test_after_any_bytes_a_new_record_is_whole(parts: list[bytes]) -> None:
    with folder() as run:
        for segment, data in enumerate(parts):
            Path(segment_path(run, "metrics", segment)).write_bytes(data)
        before = read(run, "metrics").records
        write(run, range(7, 8))
        after = read(run, "metrics").records
        assert after[:-1] == before
        assert after[-1]["v"] == 7


def test_the_last_number_is_found_behind_a_long_broken_tail(tmp_path: Path) -> None:
    write(str(tmp_path), range(5))
    with (tmp_path / "metrics.jsonl").open("ab") as file:
        file.write(b"x" * 200_000 + b"\n" + b"y" * 700_000)
    write(str(tmp_path), range(5, 6))
    assert [r["v"] for r in assert_gapless(str(tmp_path))] == list(range(6))


def test_the_last_number_is_found_before_an_empty_segment(tmp_path: Path) -> None:
    write(str(tmp_path), range(5))
    (tmp_path / "metrics.000001.jsonl").touch()
    write(str(tmp_path), range(5, 6))
    assert [r["v"] for r in assert_gapless(str(tmp_path))] == list(range(6))
    assert (tmp_path / "metrics.000001.jsonl").stat().st_size > 0


def test_a_full_segment_is_left_alone(tmp_path: Path) -> None:
    write(str(tmp_path), range(50), segment_bytes=300)
    sizes = [
        Path(segment_path(str(tmp_path), "metrics", s)).stat().st_size
        for s in segments(str(tmp_path), "metrics")
    ]
    assert all(300 <= size < 400 for size in sizes[:-1])
    assert len(sizes) > 5
    assert [r["v"] for r in assert_gapless(str(tmp_path))] == list(range(50))
    assert read(str(tmp_path), "metrics").broken == 0


def test_a_record_no_reader_would_take_is_refused(tmp_path: Path) -> None:
    pen = Pen(str(tmp_path), "metrics", attempt=0)
    with pytest.raises(OSError, match="too long"):
        pen.append({"text": "x" * MAX_LINE_BYTES})
    pen.append({"v": 1})
    pen.close()
    assert [r["v"] for r in assert_gapless(str(tmp_path))] == [1]
    assert read(str(tmp_path), "metrics").broken == 0


def test_threads_share_a_pen(tmp_path: Path) -> None:
    pen = Pen(str(tmp_path), "metrics", attempt=0, segment_bytes=4096)
    acknowledged: list[tuple[int, int]] = []

    def work(worker: int) -> None:
        for turn in range(200):
            value = worker * 1000 + turn
            acknowledged.append((pen.append({"v": value}), value))

    threads = [threading.Thread(target=work, args=(worker,)) for worker in range(8)]
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(interval)
    pen.close()
    records = assert_gapless(str(tmp_path))
    assert sorted(acknowledged) == [(r["_seq"], r["v"]) for r in records]
    assert len(records) == 1600


# As in a training that logs "saved" when it is interrupted, at any point of a log call.
INTERRUPTED = """
import gc, json, signal, sys
from overnight.ledger.writer import Pen
pen = Pen(sys.argv[1], "metrics", attempt=0)
acknowledged = []
num_calls = 0
gc.disable()

def handler(*_):
    global num_calls
    num_calls += 1
    acknowledged.append((pen.append({"v": -num_calls}), -num_calls))
    if num_calls % 2 and num_calls < 600:
        raise TimeoutError  # an OSError, as a disk's would be

signal.signal(signal.SIGALRM, handler)
value = 0
while num_calls < 600:
    try:
        while num_calls < 600:
            signal.setitimer(signal.ITIMER_REAL, 1e-5 + (value % 50) * 1e-6)
            for _ in range(5):
                value += 1
                acknowledged.append((pen.append({"v": value}), value))
    except TimeoutError:
        pass
signal.signal(signal.SIGALRM, signal.SIG_IGN)
print(json.dumps(acknowledged))
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no interval timer")
def test_a_signal_handler_may_write_and_raise_in_the_middle_of_a_write(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", INTERRUPTED, str(tmp_path)], check=True, stdout=subprocess.PIPE
    )
    acknowledged = [tuple(each) for each in json.loads(done.stdout)]
    whole = {(r["_seq"], r["v"]) for r in read(str(tmp_path), "metrics").records}
    assert len(acknowledged) > 600
    assert [each for each in acknowledged if each not in whole] == []


WRITER = """
import sys
from overnight.ledger.writer import Pen
pen = Pen(sys.argv[1], "metrics", attempt=0, segment_bytes=100)
for value in range(int(sys.argv[2]), 12):
    pen.append({"v": value})
    sys.stdout.buffer.write(b"%d\\n" % value)
    sys.stdout.buffer.flush()
"""


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGKILL on Windows")
@pytest.mark.parametrize("point", RECORD_POINTS)
@pytest.mark.parametrize("nth", [1, 3])
def test_a_pen_that_dies_at_a_crash_point_loses_nothing_acknowledged(
    tmp_path: Path, point: str, nth: int
) -> None:
    run = str(tmp_path)
    dead = subprocess.run(
        [sys.executable, "-c", WRITER, run, "0"],
        env={**os.environ, **faults.armed(point, nth)},
        stdout=subprocess.PIPE,
        check=False,
    )
    assert dead.returncode == -signal.SIGKILL
    acknowledged = [int(line) for line in dead.stdout.split()]
    whole = [r["v"] for r in assert_gapless(run)]
    assert whole[: len(acknowledged)] == acknowledged
    assert len(whole) - len(acknowledged) == (point == "record.after")
    again = subprocess.run(
        [sys.executable, "-c", WRITER, run, str(len(whole))], check=True, stdout=subprocess.PIPE
    )
    assert len(again.stdout.split()) == 12 - len(whole)
    assert [r["v"] for r in assert_gapless(run)] == list(range(12))
    assert read(run, "metrics").broken == (point == "record.torn")
