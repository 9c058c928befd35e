"""The whole examination, the command, and the sentences."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import threading
from pathlib import Path
from string import Formatter

import jsonschema
import pytest

from overnight.messages import doctor as sentences
from overnight.preflight.ask import Background, ask
from overnight.preflight.check import Check
from overnight.preflight.doctor import examine, run_probes


def test_this_machine_is_examined(tmp_path: Path) -> None:
    checks = examine(tmp_path, sys.executable)
    names = [check.name for check in checks]
    assert {"python", "disk", "filesystem", "limits", "container", "clock", "locale"} <= set(names)
    assert {"git", "gpu"} <= set(names)
    assert "probe" not in names
    for check in checks:
        assert check.title
        assert check.text
        json.dumps(check.to_json(), allow_nan=False)


def test_one_probe_cannot_hold_up_or_break_the_others() -> None:
    never = threading.Event()

    def hangs() -> list[Check]:
        never.wait()
        return []

    def breaks() -> list[Check]:
        raise RuntimeError("no such thing")

    def works() -> list[Check]:
        return [Check("locale", "ok", "utf8", fields={"codeset": "UTF-8"})]

    try:
        checks = run_probes({"a": (hangs, 0.2), "b": (breaks, 60), "c": (works, 60)})
    finally:
        never.set()
    assert [(check.level, check.code) for check in checks] == [
        ("unknown", "no_answer"),
        ("unknown", "failed"),
        ("ok", "utf8"),
    ]
    assert "no such thing" in checks[1].text


def test_a_secret_in_an_error_is_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_API_KEY", "very-secret-value")

    def breaks() -> list[Check]:
        raise RuntimeError("refused very-secret-value")

    (check,) = run_probes({"a": (breaks, 60)})
    assert "very-secret-value" not in check.text + json.dumps(check.to_json())


# ── asking ────────────────────────────────────────────────────────────────────────────────────
def test_asking_keeps_what_was_said_before_the_time_was_up() -> None:
    answer = ask(["/bin/sh", "-c", "echo before; sleep 600 & sleep 600"], timeout_s=3)
    assert (answer.outcome, answer.stdout) == ("timeout", "before\n")
    assert not answer.is_good


def test_asking_what_is_not_there_or_cannot_be_run(tmp_path: Path) -> None:
    assert ask([str(tmp_path / "no")], timeout_s=5).outcome == "missing"
    assert ask([str(tmp_path)], timeout_s=5).outcome == "missing"
    assert ask(["a\0b"], timeout_s=5).outcome == "missing"


def test_bytes_that_are_no_text_do_not_matter() -> None:
    answer = ask(["/bin/sh", "-c", r"printf '\377\n'; exit 3"], timeout_s=60)
    assert (answer.returncode, answer.stdout) == (3, "�\n")


def test_a_background_question_hands_on_its_error_and_its_value() -> None:
    assert Background(lambda: 7).result(60) == 7
    with pytest.raises(ZeroDivisionError):
        Background(lambda: 1 // 0).result(60)


# ── sentences ─────────────────────────────────────────────────────────────────────────────────
def _fields(sentence: str) -> set[str]:
    return {name for _, name, _, _ in Formatter().parse(sentence) if name}


def test_both_languages_say_the_same_things() -> None:
    assert set(sentences.EN) == set(sentences.KO)
    for key, sentence in sentences.EN.items():
        assert _fields(sentence) == _fields(sentences.KO[key]), key


def test_no_korean_particle_depends_on_a_fields_last_letter() -> None:
    particle = re.compile(r"\}(은|는|이|가|을|를|과|와|으로|로|이며)(?=[ ,.)]|$)")
    for key, sentence in sentences.KO.items():
        assert particle.search(sentence) is None, key


# ── the command ───────────────────────────────────────────────────────────────────────────────
_PROGRAM = """
import sys
import typer
from overnight.cli.doctor import register
app = typer.Typer()
app.callback()(lambda: None)
register(app)
command = typer.main.get_command(app)
sys.exit(command.main(["doctor", *sys.argv[1:]], standalone_mode=False))
"""


def _doctor(*args: str, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", _PROGRAM, *args],
        capture_output=True,
        encoding="utf-8",
        env=os.environ | {"PYTHONUTF8": "1", "COLUMNS": "100", "OVERNIGHT_LANG": "en"} | env,
        check=False,
    )


def _bare_python(folder: Path) -> str:
    """A Python without torch, so that nothing slow is imported."""
    program = folder / "python"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -I -S "$@"\n')
    program.chmod(0o755)
    return str(program)


def test_the_command_shows_every_finding_with_its_mark(tmp_path: Path) -> None:
    done = _doctor("--root", str(tmp_path), "--python", _bare_python(tmp_path))
    assert done.stderr == ""
    assert re.search(r"^✓ Python +Jobs run in Python 3", done.stdout, re.MULTILINE)
    assert re.search(r"^[✓!✗?] disk ", done.stdout, re.MULTILINE)
    assert done.returncode == int("✗" in done.stdout)


def test_the_command_fails_where_a_run_would(tmp_path: Path) -> None:
    done = _doctor("--root", str(tmp_path), "--python", str(tmp_path / "none"))
    assert done.returncode == 1
    assert "✗ Python" in done.stdout
    assert "→" in done.stdout


def test_the_command_speaks_korean_and_plain_ascii_where_it_must(tmp_path: Path) -> None:
    python = _bare_python(tmp_path)
    korean = _doctor("--root", str(tmp_path), "--python", python, OVERNIGHT_LANG="ko")
    assert "파이썬" in korean.stdout
    plain = _doctor(
        "--root",
        str(tmp_path),
        "--python",
        python,
        PYTHONUTF8="0",
        PYTHONIOENCODING="ascii",
    )
    assert plain.returncode in {0, 1}
    assert re.search(r"^\+ Python ", plain.stdout, re.MULTILINE)
    assert plain.stdout.isascii()


def test_a_command_to_copy_is_on_one_line_however_narrow_the_terminal(tmp_path: Path) -> None:
    done = _doctor("--root", str(tmp_path), "--python", _bare_python(tmp_path), COLUMNS="40")
    assert re.search(r"uv pip install .*--torch-backend=\w+$", done.stdout, re.MULTILINE)


def test_json_is_free_of_language(tmp_path: Path) -> None:
    python = _bare_python(tmp_path)
    done = {
        lang: _doctor("--json", "--root", str(tmp_path), "--python", python, OVERNIGHT_LANG=lang)
        for lang in ("en", "ko")
    }
    answer = json.loads(done["en"].stdout)
    schema = Path(__file__).parents[2] / "docs" / "schemas" / "doctor.json"
    jsonschema.validate(answer, json.loads(schema.read_text("utf-8")))
    codes = {
        lang: [(check["name"], check["code"]) for check in json.loads(run.stdout)["checks"]]
        for lang, run in done.items()
    }
    assert codes["en"] == codes["ko"]
    assert re.search(r"[가-힣]", done["ko"].stdout) is None


def test_help_shows_an_example() -> None:
    assert "overnight doctor --python" in _doctor("--help").stdout
