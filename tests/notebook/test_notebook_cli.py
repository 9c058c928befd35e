"""``overnight convert`` at the terminal."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from overnight.cli import main
from overnight.messages import notebook as messages

Make = Callable[..., Path]


@pytest.fixture(autouse=True)
def english(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OVERNIGHT_LANG", "en")


def test_beside_the_notebook_and_again(
    make: Make, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    path = make("N = 1\nN", name="a b [1] 노트.ipynb")
    for _ in range(2):
        assert main(["convert", str(path), "--set", "N=5"]) == 0
    assert "# %% cell 1\nN = 5\n" in (tmp_path / "a b [1] 노트.py").read_text("utf-8")
    out = capsys.readouterr().out
    assert "-N = 1" in out
    assert "+N = 5" in out
    assert "overnight run '" in out
    assert [p.name for p in tmp_path.iterdir() if p.suffix == ".tmp"] == []


def test_what_blocks_is_told_and_the_script_written(
    make: Make, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    path = make("x = 1\nname = input()", "!pip install no-such-distribution-here")
    assert main(["convert", str(path), "-o", str(tmp_path / "out.py")]) == 2
    out = capsys.readouterr().out
    assert "cell 1, line 2: input() waits" in out
    assert "Installs, not run: no-such-distribution-here" in out
    assert (tmp_path / "out.py").exists()


def test_a_file_of_somebody_else_is_left_alone(
    make: Make, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    path = make("x = 1")
    (tmp_path / "it.py").write_text("mine")
    assert main(["convert", str(path)]) == 2
    assert (tmp_path / "it.py").read_text() == "mine"
    assert "--force" in capsys.readouterr().err
    assert main(["convert", str(path), "--force"]) == 0
    assert "# %% cell 1" in (tmp_path / "it.py").read_text("utf-8")
    assert main(["convert", str(path), "-o", str(path), "--force"]) == 2
    assert path.read_text("utf-8").startswith("{")


@pytest.mark.parametrize(
    "arguments",
    [["none.ipynb"], ["it.ipynb", "--set", "x"], ["it.ipynb", "--map", "/a"], ["it.ipynb",
     "--set", "zz=1"],
     ["it.ipynb", "-o", "no/such/folder/x.py"], ["it.ipynb", "-o", "."]],
)  # fmt: skip
def test_mistakes_take_three_lines(
    make: Make, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
) -> None:  # fmt: skip
    monkeypatch.chdir(make("x = 1").parent)
    assert main(["convert", *arguments]) == 2
    err = capsys.readouterr().err
    assert "error: " in err
    assert "fix: " in err
    assert "Traceback" not in err
    assert not Path("it.py").exists()


def test_json(make: Make, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    path = make(
        "import pandas\nN = 1", "!pip install pytest\n!apt install x", "open('/kaggle/input/x')"
    )
    code = main(
        ["convert", str(path), "--json", "--set", "N=2", "--map", f"/kaggle/input={tmp_path}"]
    )
    answer = json.loads(capsys.readouterr().out)
    assert code == 2
    assert answer["schema"] == "overnight.convert/1"
    assert answer["num_cells"] == 3
    assert answer["mapped"] == {"/kaggle/input": str(tmp_path)}
    assert [item["requirement"] for item in answer["installs"]] == ["pytest", "x"]
    assert "notebook.input_missing" in [finding["key"] for finding in answer["findings"]]


def test_secrets_are_not_printed(
    make: Make, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    secret = "correct-horse-battery-9"
    monkeypatch.setenv("MY_TOKEN", secret)
    path = make(f"K = '{secret}'\n%nope {secret}\n!pip install git+https://{secret}@x.y/z", "N = 1")
    for arguments in ([], ["--json"], ["--set", f"N={secret}"], ["--set", f"X={secret}"]):
        main(["convert", str(path), *arguments])
    captured = capsys.readouterr()
    assert secret not in captured.out + captured.err
    assert secret not in (tmp_path / "it.py").read_text("utf-8")


def test_korean(
    make: Make, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OVERNIGHT_LANG", "ko")
    assert main(["convert", str(make("x = input()"))]) == 2
    assert "사람의 입력을 기다리는 코드입니다: input()" in capsys.readouterr().out


def test_every_finding_has_a_sentence_and_a_fix() -> None:
    """Sentences of the listing and of --help stand alone; all others say how to fix it."""
    listing = {"done", "installs", "mapped", "parameters", "blocked", "next"}
    for table in (messages.EN, messages.KO):
        for key in table:
            name = key.removeprefix("notebook.")
            is_part = name.startswith(("help", "level", "place", "override_"))
            if not (is_part or name in listing or name.endswith(".fix")):
                assert key + ".fix" in table, key


def test_help_shows_an_example(capsys: pytest.CaptureFixture[str]) -> None:
    os.environ.pop("COLUMNS", None)
    assert main(["convert", "--help"]) == 0
    assert "overnight convert" in capsys.readouterr().out
