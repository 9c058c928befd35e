"""What a training says while it runs, on a disk that is full too."""

from __future__ import annotations

import io
import os
from pathlib import Path

import pytest

from overnight.errors import UserError
from overnight.ledger import job
from overnight.ledger.paths import create_run
from overnight.ledger.reader import read
from overnight.tasks.base import Problem, Scope
from overnight.testing.faults import FaultUnavailableError, small_disk
from overnight.trainer.console import Console, counted
from overnight.trainer.ledger import RunLedger

FOLD = Scope(0)


def test_a_fit_says_where_it_trains() -> None:
    out = io.StringIO()
    Console(out).begin(FOLD, {"device": "cuda:0", "precision": "bf16", "steps": 9, "epochs": 3})
    assert out.getvalue() == "[MODEL] fold0 on cuda:0: precision bf16  steps 9  epochs 3\n"
    assert (counted(1, "fold"), counted(1200, "fold")) == ("1 fold", "1,200 folds")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_a_log_that_takes_no_line_ends_no_training(tmp_path: Path) -> None:
    path = tmp_path / "log"
    with path.open("w") as room, Path("/dev/full").open("w", buffering=1) as full:
        console = Console(room)
        console.line("EPOCH 1", "of 3")
        console._out = full
        console.line("EPOCH 2", "of 3")
        with pytest.raises(OSError, match="No space left"):
            full.flush()
        os.dup2(room.fileno(), full.fileno())  # there is room again
        console._out = room
        console.line("EPOCH 3", "of 3")
    lines = [line for line in path.read_text().splitlines() if line]
    assert lines[0] == "[EPOCH 1] of 3"
    assert "[EPOCH 3] of 3" in lines, "on a line of its own"


def test_its_lines_are_read_as_the_numbers_they_name() -> None:
    from overnight.supervisor.progress.metrics import LastMetrics

    out = io.StringIO()
    console = Console(out)
    console.epoch(FOLD, 3, 9, {"train_loss": 0.5, "macro_f1": 0.9533})
    console.new_best(FOLD, "macro_f1", 0.9533, 3)
    found = LastMetrics()
    for line in out.getvalue().splitlines():
        found.see_line(line.encode(), is_frame=False)
    assert found.values() == {"train_loss": 0.5, "macro_f1": 0.9533}


def test_what_the_disk_did_not_take_is_counted() -> None:
    out = io.StringIO()
    console = Console(out)
    for _ in range(2):
        console.checkpoint_failed(FOLD, OSError(28, "No space left on device"))
    assert out.getvalue().count("[CKPT] ! ") == 2
    assert console.num_unsaved == {"fold0": 2}


def test_the_last_line_names_files_and_not_their_folders() -> None:
    def last(where: str) -> str:
        out = io.StringIO()
        errors = [UserError("data.unreadable", where=where, num=2, all=24)]
        Console(out).refuse(errors)
        lines = out.getvalue().splitlines()
        assert any(where in line for line in lines[:-1]), "the lines above have all of it"
        return lines[-1]

    folder = "/home/somebody/a long way/down/to/the pictures/of/this/competition/as/downloaded"
    found = last(f"{folder}/0005.png: truncated, is not there: {folder}/0006.png")
    assert found.endswith("(0005.png: truncated, is not there: 0006.png)")
    assert last("/data/0005.png").endswith("(/data/0005.png)"), "a short one stays as it is"


def test_a_problem_shows_its_first_examples() -> None:
    out = io.StringIO()
    names = tuple(f"{number}.png" for number in range(20))
    Console(out).problem(Problem("data.unreadable", {"num": 99, "all": 100}, names, 99, True))
    lines = out.getvalue().splitlines()
    assert lines[0].startswith("[DATA] x ")
    assert len(lines) == 1 + 5 + 1
    assert lines[-1] == "[DATA]     … +94"


def test_rows_that_found_no_room_are_written_once_there_is(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    try:
        with small_disk(1024) as disk:
            run = create_run(str(disk), "train", "x")
            monkeypatch.setattr(job, "_job", None)
            monkeypatch.setattr(job, "_jobs", {})
            monkeypatch.setenv("OVERNIGHT_RUN_DIR", run.dir)
            monkeypatch.setenv("OVERNIGHT_ATTEMPT", "0")
            ledger = RunLedger()
            ledger.metrics({"loss": 1.0, "long": 1.5}, epoch=1, scope=FOLD)
            ballast = disk / "ballast"
            free = os.statvfs(disk)
            with ballast.open("wb") as file:
                os.posix_fallocate(file.fileno(), 0, free.f_bavail * free.f_frsize)
            for epoch in range(2, 200):  # more than what is left of a block
                ledger.metrics({"loss": float(epoch)}, epoch=epoch, scope=FOLD)
            ledger.event("NewBest", epoch=150)
            written = read(run.dir, "metrics").records
            assert len(written) < 150, "the disk is full"
            ballast.unlink()
            ledger.metrics({"loss": 200.0}, epoch=200, scope=FOLD)
            found = read(run.dir, "metrics")
            assert [each["epoch"] for each in found.records] == list(range(1, 201))
            assert [each["_seq"] for each in found.records] == list(range(200))
            assert [each["_event"] for each in read(run.dir, "job").records] == ["NewBest"]
            mine = job.current()
            assert mine is not None
            mine.close()
    except FaultUnavailableError as error:
        pytest.skip(str(error))
    assert "a row could not be written" in capsys.readouterr().err
