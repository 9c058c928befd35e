"""``overnight logs``: the end of a log of any size, and nothing a terminal could be harmed by."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from overnight.cli import main
from overnight.cli.logs import last_lines, whole


def test_the_last_lines(ledger: Any, finished: Any, capsys: pytest.CaptureFixture[str]) -> None:
    text = "".join(f"line {number}\n" for number in range(200))
    ledger("talker", events=finished, log=text + "\r 10%\r100%\n\x1b]0;evil\x07end\n")
    assert main(["logs", "talker", "-n", "3"]) == 0
    assert capsys.readouterr().out == "line 199\n100%\nend\n"
    assert main(["logs", "-n", "0"]) == 0
    assert capsys.readouterr().out == ""


def test_into_a_pipe_goes_the_whole_log(
    ledger: Any, finished: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    ledger("talker", events=finished, log="".join(f"{number}\n" for number in range(200)))
    main(["logs"])
    assert capsys.readouterr().out.split() == [str(number) for number in range(200)]
    main(["logs", "--all"])
    assert len(capsys.readouterr().out.split()) == 200


def test_where_the_log_lies(ledger: Any, finished: Any, capsys: pytest.CaptureFixture[str]) -> None:
    run = ledger("talker", events=finished, log="x\n")
    main(["logs", "--path"])
    assert capsys.readouterr().out == run.log + "\n"


def test_a_run_without_a_log(
    ledger: Any, finished: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    ledger("silent", events=finished)
    assert main(["logs"]) == 2
    assert "no log" in capsys.readouterr().err


def test_a_huge_log_is_read_from_its_end(tmp_path: Path) -> None:
    path = tmp_path / "huge.log"
    with path.open("wb") as file:
        file.seek(20 * 2**30)  # sparse: read from its beginning this would take minutes
        file.write(b"\nfirst\nlast but one\nlast\n")
    assert last_lines(str(path), 2) == ["last but one", "last"]


def test_a_bar_that_was_redrawn_all_night_hides_nothing(tmp_path: Path) -> None:
    path = tmp_path / "bar.log"
    frames = b"".join(b"\r%6d/99999 [loss=0.5]" % number for number in range(99999))
    path.write_bytes(b"one\ntwo\n" + frames + b"\nthree\n")
    assert last_lines(str(path), 3) == ["two", " 99998/99999 [loss=0.5]", "three"]


@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60, deadline=None
)
@given(data=st.binary(max_size=2000), num=st.integers(1, 20))
def test_the_end_of_any_log_is_the_end_of_the_whole(tmp_path: Path, data: bytes, num: int) -> None:
    path = tmp_path / "any.log"
    # Bars that go back up may show a stale frame when a log is read once from its beginning.
    data = data.replace(b"\x1b", b"")
    path.write_bytes(data)
    assert last_lines(str(path), num) == list(whole(str(path)))[-num:]
