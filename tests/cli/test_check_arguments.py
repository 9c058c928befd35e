"""The command that ``overnight check`` ends with starts just what was looked at."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path

import pytest

from overnight.cli import main
from overnight.cli.check import OPTIONS
from overnight.cli.run import arrange


def _told(capsys: pytest.CaptureFixture[str]) -> list[str]:
    (line,) = (each for each in capsys.readouterr().out.splitlines() if "overnight run" in each)
    return shlex.split(line[line.index("overnight run") :])[1:]


@pytest.fixture
def script(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("COLUMNS", "400")
    (tmp_path / "train.py").write_text("print(1)\n")
    return "train.py"


def test_it_names_all_that_was_given(script: str, capsys: pytest.CaptureFixture[str]) -> None:
    given = ["--env", "A=1", "--python", sys.executable, "--root", ".", "--name", "base line",
             "--restart", "2", "--stall-after", "20m", "--label", "a", "--label", "b"]  # fmt: skip
    assert main(["check", script, "--no-trial", *given, "--lr", "0.1"]) == 0
    words = _told(capsys)
    assert words[:2] == ["run", script]
    assert words[-2:] == ["--lr", "0.1"]
    for option, value in zip(given[::2], given[1::2], strict=True):
        assert (option, value) in zip(words, words[1:], strict=False)


def test_words_of_the_job_stay_its_own(script: str, capsys: pytest.CaptureFixture[str]) -> None:
    job = ["--name", "x", "--follow"]
    assert main(["check", script, "--no-trial", "--", *job]) == 0
    assert arrange(_told(capsys)) == ["run", "--", script, *job]


def test_options_of_run_are_checked_and_not_the_jobs(
    script: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["check", script, "--no-trial", "--alert", "val_f1 >>> 0.9"]) == 2
    assert "val_f1" in capsys.readouterr().err
    assert main(["check", script, "--no-trial", "--stall-after", "soon"]) == 2


def test_all_options_of_run_are_known_here() -> None:
    from overnight.cli.run import _OPTIONS

    assert set(_OPTIONS) - set(OPTIONS) == {"--check", "--follow", "-f"}
