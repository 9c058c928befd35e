"""The file of a search: what killed writers and several writers at once do to it."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from overnight import crashpoint
from overnight.testing import faults
from overnight.tuning.journal import Journal


def ops(journal: Journal) -> list[int]:
    return [record["n"] for record in journal.read_logs(0)]


def in_a_child(act: object) -> int:
    """Runs something in a fork of this process; its end."""
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            act()  # type: ignore[operator]
            code = 0
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def test_what_is_written_is_read_from_any_number_on(tmp_path: Path) -> None:
    journal = Journal(str(tmp_path / "s"))
    journal.append_logs([{"op_code": 0, "n": n} for n in range(4)])
    other = Journal(str(tmp_path / "s"))
    assert [record["n"] for record in other.read_logs(2)] == [2, 3]
    journal.append_logs([{"op_code": 0, "n": 4}])
    assert [record["n"] for record in other.read_logs(4)] == [4]
    assert ops(other) == [0, 1, 2, 3, 4]


def test_a_reader_that_stops_in_the_middle_reads_on_where_it_was(tmp_path: Path) -> None:
    # Optuna does: its replay raises at a record that it refuses, and goes on behind it later.
    journal = Journal(str(tmp_path / "s"))
    journal.append_logs([{"op_code": 0, "n": n} for n in range(3)])
    assert next(iter(journal.read_logs(0)))["n"] == 0
    assert [record["n"] for record in journal.read_logs(1)] == [1, 2]


def test_a_line_torn_by_a_kill_stays_alone(tmp_path: Path) -> None:
    path = tmp_path / "s"
    Journal(str(path)).append_logs([{"op_code": 0, "n": 0}])

    def torn() -> None:
        faults.arm("record.torn")
        Journal(str(path)).append_logs([{"op_code": 0, "n": 1}])

    assert "record.torn" in crashpoint.POINTS
    assert in_a_child(torn) == -signal.SIGKILL
    assert not path.read_bytes().endswith(b"\n")
    journal = Journal(str(path))
    assert ops(journal) == [0]
    journal.append_logs([{"op_code": 0, "n": 2}])
    assert ops(Journal(str(path))) == ops(journal) == [0, 2]


def test_a_lock_goes_with_its_process(tmp_path: Path) -> None:
    path = tmp_path / "s"

    def dies_with_it() -> None:
        with Journal(str(path)).alone():
            os.kill(os.getpid(), signal.SIGKILL)

    assert in_a_child(dies_with_it) == -signal.SIGKILL
    Journal(str(path)).append_logs([{"op_code": 0, "n": 0}])  # would wait for ever


def test_who_holds_it_may_write(tmp_path: Path) -> None:
    journal = Journal(str(tmp_path / "s"))
    with journal.alone(), journal.alone():
        journal.append_logs([{"op_code": 0, "n": 0}])
    assert ops(journal) == [0]


@pytest.mark.parametrize("line", [b"nonsense\n", b"[1]\n", b'{"no": 1}\n', b"\xff\xfe\n", b"\n"])
def test_what_is_no_record_is_skipped(tmp_path: Path, line: bytes) -> None:
    path = tmp_path / "s"
    journal = Journal(str(path))
    journal.append_logs([{"op_code": 0, "n": 0}])
    with path.open("ab") as file:
        file.write(line)
    journal.append_logs([{"op_code": 0, "n": 1}])
    assert ops(Journal(str(path))) == [0, 1]


def test_many_writers_lose_nothing(tmp_path: Path) -> None:
    path, num = tmp_path / "s", 50
    pids = []
    for writer in range(3):
        pid = os.fork()
        if pid == 0:
            try:
                journal = Journal(str(path))
                for n in range(num):
                    with journal.alone():  # read and write are one
                        seen = len(journal.read_logs(0))
                        journal.append_logs([{"op_code": 0, "n": seen, "w": writer, "i": n}])
            finally:
                os._exit(0)
        pids.append(pid)
    for pid in pids:
        os.waitpid(pid, 0)
    assert ops(Journal(str(path))) == list(range(3 * num))
