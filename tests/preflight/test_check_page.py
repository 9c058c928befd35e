"""``overnight check`` as it is typed: the page, the JSON, the exit code, in both languages."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from overnight.messages import say

SCHEMA = Path(__file__).parents[2] / "docs" / "schemas" / "check.json"
BROKEN = """\
import pandas as pd
import no_such_module

data = pd.read_csv("data/train.csv")
input("go on? ")
data.to_csv("out/pred.csv")
"""


def check(
    folder: Path, *words: str, lang: str = "en", env: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Types ``overnight check …``."""
    clean = {
        "PATH": os.environ["PATH"], "HOME": str(folder), "OVERNIGHT_LANG": lang,
        "PYTHONUTF8": "1", **(env or {}),
    }  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-m", "overnight", "check", *words],
        cwd=folder, env=clean, stdin=subprocess.DEVNULL, capture_output=True, text=True,
        timeout=120, check=False,
    )  # fmt: skip
    assert "Traceback" not in done.stderr, done.stderr
    return done


def test_all_that_is_wrong_on_one_page(tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text(BROKEN, "utf-8")
    done = check(tmp_path, "train.py", "--python", sys.executable)
    assert done.returncode == 1
    page = done.stdout
    for line, what in (
        (2, "no_such_module is not installed"),
        (4, "data/train.csv, which does not exist"),
        (5, "input() asks a person"),
        (6, "the folder out, which does not exist"),
    ):
        assert f"train.py:{line}: " in page
        assert what in page
    assert page.count("✗") >= 5
    assert "→ mkdir -p out" in page
    assert f"→ {sys.executable} -m pip install no_such_module" in page
    assert "Start it" not in page
    assert list(tmp_path.iterdir()) == [tmp_path / "train.py"], "it leaves nothing"


def test_a_job_in_order(tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text("import json\nprint(json.dumps({}))\n", "utf-8")
    done = check(tmp_path, "train.py", "--no-trial", "--epochs", "3")
    assert done.returncode == 0, done.stdout
    assert "✗" not in done.stdout
    assert "overnight run train.py --epochs 3" in done.stdout


def test_korean(tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text(BROKEN, "utf-8")
    done = check(tmp_path, "train.py", lang="ko")
    assert done.returncode == 1
    assert "설치되지 않은 모듈입니다: no_such_module" in done.stdout
    assert "사람에게 묻는 코드입니다: input()" in done.stdout


def test_json_keeps_to_its_schema_and_has_no_language(tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text(BROKEN, "utf-8")
    answers: list[dict[str, Any]] = []
    for lang in ("en", "ko"):
        done = check(tmp_path, "train.py", "--json", lang=lang)
        answers.append(json.loads(done.stdout))
        jsonschema.validate(answers[-1], json.loads(SCHEMA.read_text("utf-8")))
        assert done.returncode == 1
    moving = {"memory", "disk"}
    first, second = (
        [item for item in answer["findings"] if item["name"] not in moving] for answer in answers
    )
    assert first == second
    places = {item["where"] for item in first if item["level"] == "bad"}
    assert places >= {"train.py:2", "train.py:4", "train.py:5", "train.py:6"}


@pytest.mark.parametrize(
    "words",
    [
        ("nothing.py",),
        ("--time-limit", "soon", "train.py"),
        ("--python", "/no/such/python", "train.py"),
        ("--set", "EPOCHS", "train.py"),
        ("--", "no-such-command-here"),
        ("--frobnicate", "train.py"),
    ],
)
def test_bad_usage(tmp_path: Path, words: tuple[str, ...]) -> None:
    (tmp_path / "train.py").write_text("print(1)\n", "utf-8")
    done = check(tmp_path, *words)
    assert done.returncode == 2
    assert done.stdout == ""
    assert "fix" in done.stderr


def test_options_behind_the_target_are_the_jobs(tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text(
        "import argparse\nparser = argparse.ArgumentParser()\n"
        'parser.add_argument("--lr", type=float)\nparser.parse_args()\n', "utf-8",
    )  # fmt: skip
    assert check(tmp_path, "train.py", "--lr", "0.1", "--no-trial").returncode == 0
    done = check(tmp_path, "train.py", "--learning-rate", "0.1", "--no-trial")
    assert done.returncode == 1
    assert "unrecognized arguments: --learning-rate 0.1" in done.stdout


def test_a_notebook_by_cell_and_line(tmp_path: Path) -> None:
    cells = ["EPOCHS = 2\nprint(EPOCHS)", "%matplotlib inline\nopen('a/b.txt')"]
    made = [
        {"cell_type": "code", "metadata": {}, "outputs": [], "execution_count": None,
         "source": text} for text in cells
    ]  # fmt: skip
    notebook = {"cells": made, "metadata": {}, "nbformat": 4, "nbformat_minor": 4}
    (tmp_path / "nb.ipynb").write_text(json.dumps(notebook), "utf-8")
    done = check(tmp_path, "nb.ipynb", "--set", "EPOCHS=3")
    assert done.returncode == 1
    assert "cell 2, line 2: It reads a/b.txt" in done.stdout
    assert "셀 2, 2번째 줄" in check(tmp_path, "nb.ipynb", lang="ko").stdout


def test_secrets_are_not_shown(tmp_path: Path) -> None:
    secret = "0123456789abcdef0123"
    text = f'import argparse, os\nos.system("sudo x {secret}")\nopen("data/{secret}/x.csv")\n'
    text += "argparse.ArgumentParser()\np = argparse.ArgumentParser()\np.parse_args()\n"
    (tmp_path / "train.py").write_text(text, "utf-8")
    for words in (("--token", secret), ("--json", "--token", secret)):
        done = check(tmp_path, "train.py", *words, env={"MY_API_KEY": secret})
        assert done.returncode == 1
        assert secret not in done.stdout + done.stderr


@pytest.mark.parametrize("lang", ["en", "ko"])
def test_the_help_page_has_an_example(
    tmp_path: Path, lang: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OVERNIGHT_LANG", lang)
    shown = check(tmp_path, "--help", lang=lang, env={"COLUMNS": "100"}).stdout
    assert "overnight check train.py --data ./data --epochs 20" in shown
    assert say("check.help.no_trial")[:20] in shown
