"""Reading: any bytes, any chunks, any cut; the merged order; which attempt counts."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from overnight.ledger.format import MAX_LINE_BYTES, Row, decode, encode
from overnight.ledger.reader import (
    Tail,
    current,
    latest_values,
    merged,
    read,
    rows,
    stems,
)
from overnight.ledger.writer import Pen, segment_path, segments

garbage = st.binary(max_size=60)
#: Lines as files hold them after all kinds of death: whole, broken, empty.
lines = st.lists(
    st.one_of(
        st.tuples(st.integers(0, 12), st.dictionaries(st.text(max_size=5), st.integers())).map(
            lambda pair: encode({**pair[1], "_seq": pair[0]})
        ),
        garbage.map(lambda data: data + b"\n"),
        st.just(b"\n"),
    ),
    max_size=12,
)


@contextmanager
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as name:
        yield Path(name)


def put(run: Path, segment: int, data: bytes, *, stem: str = "metrics") -> None:
    with Path(segment_path(str(run), stem, segment)).open("ab") as file:
        file.write(data)


def values_of(records: Sequence[dict[str, Any]]) -> list[Any]:
    return [record["v"] for record in records]


@given(st.lists(st.binary(max_size=120), min_size=1, max_size=4))
@example([b"\n\n\n"])
@example([b"{}", b"", b'{"_seq":0}'])
@example([b'{"_seq":0}{"_seq":1}\n{"_seq":2'])
def test_any_bytes_in_any_segments_are_read_to_the_end(parts: list[bytes]) -> None:
    with folder() as run:
        for segment, data in enumerate(parts):
            put(run, segment, data)
        book = read(str(run), "metrics")
        seqs = [record["_seq"] for record in book.records]
        assert seqs == sorted(set(seqs))
        whole = [d for part in parts for line in part.split(b"\n") if (d := decode(line))]
        assert [s for s in seqs if s not in [record["_seq"] for record in whole]] == []
        wrong = sum(1 for p in parts for line in p.split(b"\n") if line and decode(line) is None)
        assert book.broken == wrong
        assert len(rows(str(run))) == len(book.records)
        current(rows(str(run)))
        latest_values(rows(str(run)))


@given(lines, st.lists(st.integers(1, 30), min_size=1, max_size=40))
def test_a_growing_file_gives_what_the_whole_file_gives(
    content: list[bytes], steps: list[int]
) -> None:
    data = b"".join(content) + b"\n"
    with folder() as run, folder() as whole:
        put(whole, 0, data)
        tail, seen, at = Tail(str(run), "metrics"), [], 0
        while at < len(data):
            step = steps[at % len(steps)]
            put(run, 0, data[at : at + step])
            at += step
            seen += list(tail.read())
        assert seen == read(str(whole), "metrics").records
        assert tail.broken == read(str(whole), "metrics").broken


def test_a_file_cut_at_every_byte_keeps_every_whole_record() -> None:
    with folder() as run:
        pen = Pen(str(run), "metrics", attempt=0)
        ends = []
        for value in range(4):
            pen.append({"v": value, "text": "é\n☃"})
            ends.append(Path(segment_path(str(run), "metrics", 0)).stat().st_size)
        pen.close()
        data = Path(segment_path(str(run), "metrics", 0)).read_bytes()
    for cut in range(len(data) + 1):
        with folder() as run:
            put(run, 0, data[:cut])
            book = read(str(run), "metrics")
            # A record is whole without its newline too.
            expected = sum(1 for end in ends if cut >= end - 1)
            assert values_of(book.records) == list(range(expected))
            assert book.broken == (cut not in (0, *ends) and cut + 1 not in ends)


@given(st.integers(0, 3), st.integers(1, 5), st.data())
def test_a_tail_follows_segments_while_they_are_written(
    records_before: int, per_segment: int, data: st.DataObject
) -> None:
    with folder() as run:
        tail, seen = Tail(str(run), "metrics"), []
        pen = Pen(str(run), "metrics", attempt=0, segment_bytes=per_segment * 60)
        for value in range(records_before + 3 * per_segment):
            pen.append({"v": value})
            if data.draw(st.booleans()):
                seen += list(tail.read())
        seen += list(tail.read())
        pen.close()
        assert values_of(seen) == list(range(records_before + 3 * per_segment))
        assert [record["_seq"] for record in seen] == values_of(seen)
        assert tail.broken == 0
        assert tail.segment == segments(str(run), "metrics")[-1]


ROLLING = """
import sys
from overnight.ledger.writer import Pen
pen = Pen(sys.argv[1], "metrics", attempt=0, segment_bytes=200)
for value in range(2000):
    pen.append({"v": value})
"""


def test_a_tail_misses_nothing_of_a_pen_that_rolls_over_beside_it(tmp_path: Path) -> None:
    tail, seen = Tail(str(tmp_path), "metrics"), []
    writer = subprocess.Popen([sys.executable, "-c", ROLLING, str(tmp_path)])
    while writer.poll() is None:
        seen += values_of(list(tail.read()))
    seen += values_of(list(tail.read()))
    assert writer.returncode == 0
    assert seen == list(range(2000))
    assert tail.broken == 0


def test_a_line_without_an_end_is_dropped_and_counted_once() -> None:
    with folder() as run:
        put(run, 0, encode({"_seq": 0, "v": 0}) + b"x" * (MAX_LINE_BYTES + 3_000_000))
        tail = Tail(str(run), "metrics")
        assert values_of(list(tail.read())) == [0]
        put(run, 0, b"y\n" + encode({"_seq": 1, "v": 1}))
        assert values_of(list(tail.read())) == [1]
        assert tail.broken == 1


def test_a_record_that_stands_there_twice_counts_once() -> None:
    with folder() as run:
        record = encode({"_seq": 0, "v": 0})
        put(run, 0, record[:-1] + b"\n" + record + encode({"_seq": 1, "v": 1}))
        assert values_of(read(str(run), "metrics").records) == [0, 1]


def test_no_file_and_no_folder_hold_no_records(tmp_path: Path) -> None:
    (tmp_path / "metrics.jsonl").mkdir()
    (tmp_path / "file").touch()
    for place in (tmp_path, tmp_path / "nowhere", tmp_path / "file"):
        assert read(str(place), "metrics").records == []
        assert list(merged(str(place), "job")) == []


@pytest.mark.parametrize(
    "name",
    [
        "metrics.jsonl.tmp",
        "metrics.pX.jsonl",
        "metrics.p٣.jsonl",
        "metrics.٠٠٠٠٠١.jsonl",
        "metrics.00001.jsonl",
        "metricsjsonl",
        "metrics.jsonl\n",
        "metrics2.jsonl",
    ],
)
def test_files_of_other_names_are_not_ours(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(encode({"_seq": 0}))
    assert stems(str(tmp_path), "metrics") == []
    assert segments(str(tmp_path), "metrics") == []


def test_files_of_several_processes_are_found(tmp_path: Path) -> None:
    for name in ("metrics.p20.jsonl", "metrics.000001.jsonl", "metrics.p3.000002.jsonl"):
        (tmp_path / name).touch()
    assert stems(str(tmp_path), "metrics") == ["metrics", "metrics.p20", "metrics.p3"]


files_of_records = st.lists(
    st.lists(st.tuples(st.integers(0, 2), st.integers(0, 50)), max_size=6), min_size=1, max_size=4
)


@given(files_of_records)
def test_merging_keeps_each_file_in_order_and_loses_nothing(
    content: list[list[tuple[int, int]]],
) -> None:
    with folder() as run:
        for number, records in enumerate(content):
            stem = "metrics" if number == 0 else f"metrics.p{number}"
            attempt = 0
            for seq, (attempt_step, t) in enumerate(records):
                attempt = max(attempt, attempt_step)
                fields = {"_seq": seq, "_t": t, "_attempt": attempt}
                put(run, 0, encode(fields), stem=stem)
        out = list(merged(str(run), "metrics"))
        assert len(out) == sum(map(len, content))
        for stem in stems(str(run), "metrics"):
            assert [r["_seq"] for s, _, r in out if s == stem] == list(
                range(sum(1 for s, _, _ in out if s == stem))
            )
        attempts = [record["_attempt"] for _, _, record in out]
        assert attempts == sorted(attempts)
        assert out == list(merged(str(run), "metrics"))


def test_a_clock_that_goes_back_does_not_turn_a_file_around(tmp_path: Path) -> None:
    for seq, t in enumerate([100, 50, 60, 200]):
        put(tmp_path, 0, encode({"_seq": seq, "_t": t, "_attempt": 0, "v": f"a{seq}"}))
    for seq, t in enumerate([90, 150]):
        put(
            tmp_path, 0, encode({"_seq": seq, "_t": t, "_attempt": 0, "v": f"b{seq}"}),
            stem="metrics.p7",
        )  # fmt: skip
    out = [record["v"] for _, _, record in merged(str(tmp_path), "metrics")]
    assert out == ["b0", "a0", "a1", "a2", "b1", "a3"]


def test_hundreds_of_files_are_merged_with_few_descriptors(tmp_path: Path) -> None:
    resource = pytest.importorskip("resource", reason="no limit on open files on Windows")
    for pid in range(1, 301):
        put(tmp_path, 0, encode({"_seq": 0, "_t": pid, "v": pid}), stem=f"metrics.p{pid}")
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    used = len(list(Path("/proc/self/fd").iterdir())) if sys.platform == "linux" else 64
    resource.setrlimit(resource.RLIMIT_NOFILE, (used + 20, hard))
    try:
        assert len(rows(str(tmp_path))) == 300
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


# ── the newest attempt wins ──────────────────────────────────────────────────────────────────────


class Ledger:
    """A metrics file written attempt by attempt."""

    def __init__(self, run: Path) -> None:
        self.run, self.seq = str(run), 0

    def step(self, attempt: int, step: int | None, **fields: Any) -> None:
        self.write(attempt, "step", **({} if step is None else {"step": step}), **fields)

    def epoch(self, attempt: int, epoch: int, **fields: Any) -> None:
        self.write(attempt, "epoch", epoch=epoch, **fields)

    def write(self, attempt: int, kind: str, **fields: Any) -> None:
        record = {"_seq": self.seq, "_attempt": attempt, "_kind": kind, "v": self.seq, **fields}
        put(Path(self.run), 0, encode(record))
        self.seq += 1

    def current(self) -> list[tuple[int, int | None, int | None]]:
        return [(row.attempt, row.step, row.epoch) for row in current(rows(self.run))]


def test_a_resumed_attempt_supersedes_from_its_first_step(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    for step in range(5):
        ledger.step(0, step)
    for step in (3, 4, 5):
        ledger.step(1, step)
    assert [(a, s) for a, s, _ in ledger.current()] == [
        (0, 0), (0, 1), (0, 2), (1, 3), (1, 4), (1, 5),
    ]  # fmt: skip


def test_an_attempt_between_two_others_is_superseded_too(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    for attempt, steps in [(0, (0, 10, 20, 30)), (1, (20, 30, 40)), (2, (10, 20))]:
        for step in steps:
            ledger.step(attempt, step)
    assert [(a, s) for a, s, _ in ledger.current()] == [(0, 0), (2, 10), (2, 20)]


def test_scopes_do_not_touch_each_other(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    for fold in (0, 1):
        for step in range(3):
            ledger.step(0, step, fold=fold)
    ledger.step(0, 1, stage="tune", trial=4)
    ledger.step(1, 1, fold=1)
    kept = current(rows(ledger.run))
    assert [(r.scope.fold, r.step, r.attempt) for r in kept if r.scope.stage == "train"] == [
        (0, 0, 0), (0, 1, 0), (0, 2, 0), (1, 0, 0), (1, 1, 1),
    ]  # fmt: skip
    assert [r.scope.trial for r in kept if r.scope.stage == "tune"] == [4]


def test_epoch_rows_go_by_their_epoch_and_step_rows_by_their_step(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    for epoch in range(3):
        ledger.step(0, epoch * 100)
        ledger.epoch(0, epoch)
    ledger.step(1, 150)
    ledger.epoch(1, 2)
    assert ledger.current() == [
        (0, 0, None), (0, None, 0), (0, 100, None), (0, None, 1), (1, 150, None), (1, None, 2),
    ]  # fmt: skip


def test_rows_without_a_step_and_summaries_stay(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    ledger.step(0, None)
    ledger.write(0, "summary", best=1.0)
    ledger.step(0, 5)
    ledger.step(1, 0)
    ledger.write(1, "summary", best=2.0)
    assert ledger.current() == [(0, None, None), (0, None, None), (1, 0, None), (1, None, None)]
    assert latest_values(rows(ledger.run))["best"] == 2.0


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 6), st.integers(0, 1)), max_size=30))
def test_each_step_of_a_scope_is_shown_by_one_attempt(written: list[tuple[int, int, int]]) -> None:
    written.sort(key=lambda each: each[0])
    with folder() as run:
        ledger = Ledger(run)
        for attempt, step, fold in written:
            ledger.step(attempt, step, fold=fold)
        kept: list[Row] = current(rows(str(run)))
        owner: dict[tuple[int | None, int | None], int] = {}
        for each in kept:
            key = (each.scope.fold, each.step)
            assert owner.setdefault(key, each.attempt) == each.attempt
        # The newest attempt of each scope is complete.
        for fold in (0, 1):
            mine = [(a, s) for a, s, f in written if f == fold]
            newest = max((a for a, _ in mine), default=None)
            shown = [r.step for r in kept if r.scope.fold == fold and r.attempt == newest]
            assert shown == [s for a, s in mine if a == newest]
