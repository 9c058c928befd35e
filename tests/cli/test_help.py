"""Help pages and shell completion."""

from __future__ import annotations

import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from overnight.cli.output import cells
from overnight.messages import say

SHOWING = ("ls", "status", "logs", "top", "wait", "rm")


@pytest.mark.parametrize("lang", ["en", "ko"])
@pytest.mark.parametrize("verb", SHOWING)
def test_each_help_page_has_an_example(
    shell: Any, verb: str, lang: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OVERNIGHT_LANG", lang)
    shown = shell(verb, "--help", lang=lang, env={"COLUMNS": "200"}).stdout
    example = say(f"show.{verb}_help").rpartition("\n")[2]
    assert example in shown
    assert ("Example: " if lang == "en" else "예: ") in example


def test_bash_completes_verbs_and_runs(ledger: Any, finished: Any, shell: Any) -> None:
    run = ledger("baseline", events=finished)

    def completed(words: str, place: int) -> list[str]:
        env = {
            "_OVERNIGHT_COMPLETE": "complete_bash",
            "COMP_WORDS": words,
            "COMP_CWORD": str(place),
        }
        return list(shell(env=env, code=None).stdout.split())

    assert "status" in completed("overnight sta", 1)
    assert completed("overnight status ba", 2) == ["baseline", run.run_id]
    assert completed("overnight logs base", 2) == ["baseline", run.run_id]
    assert completed("overnight rm ba", 2) == ["baseline", run.run_id]


def test_completion_can_be_installed(shell: Any, tmp_path: Path) -> None:
    # From a real bash, by which the shell is recognised.
    command = shlex.join([sys.executable, "-m", "overnight", "--install-completion"])
    done = subprocess.run(
        ["bash", "-c", command + "; exit $?"],
        env={**shell.env, "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "_OVERNIGHT_COMPLETE" in (tmp_path / ".bash_completions" / "overnight.sh").read_text()


@pytest.mark.parametrize("lang", ["en", "ko"])
@pytest.mark.parametrize("width", [60, 100])
@pytest.mark.parametrize("words", [("run",), ("notify",), ("notify", "add"), ("agent",)])
def test_examples_can_be_copied_at_any_width(
    shell: Any, words: tuple[str, ...], width: int, lang: str
) -> None:
    terminal = shell.terminal(*words, "--help", columns=width, lang=lang)
    terminal.end()
    lines = terminal.shown.splitlines()
    examples = [line for line in lines if line.startswith("  overnight ")]
    assert len(examples) >= 3
    for line in lines:
        assert cells(line) <= width or line in examples, line
