"""The page that each run leaves: made at its end, of every end, and never in anybody's way."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from overnight.ledger.paths import RunPaths
from overnight.ledger.state import Failed, Finished, Stopped
from overnight.supervisor import report


def page_of(workplace, run: RunPaths) -> str:
    """The page, once it is there and whole."""
    workplace.until(lambda: report.is_there(run))
    return Path(run.report).read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("source", "state", "said"),
    [
        ("import overnight\nfor i in range(3): overnight.log({'loss': 1 / (i + 1)}, step=i)",
         Finished, "The run finished after"),
        ("raise KeyError('label')", Failed, "KeyError"),
    ],
)  # fmt: skip
def test_every_end_has_its_page(workplace, source: str, state: type, said: str) -> None:
    run = workplace.run(workplace.script(source), "--name", "밤 '1'")
    assert isinstance(workplace.ended(run), state)
    page = page_of(workplace, run)
    assert said in page
    assert "밤" in page
    workplace.until(lambda: workplace.processes() == set())
    assert Path(run.supervisor_log).read_text() == ""
    assert not list(Path(run.dir).glob("report.html.*"))


def test_a_stopped_run_has_one_in_its_starters_language(workplace) -> None:
    source = "import time; print('up', flush=True); time.sleep(600)"
    done = workplace.overnight(
        "run", "--json", workplace.script(source), env={"OVERNIGHT_LANG": "ko"}
    )
    run = RunPaths(json.loads(done.stdout)["dir"])
    workplace.until(lambda: workplace.log(run))
    stopped = workplace.overnight("stop", run.run_id, "--json")
    assert stopped.returncode == 0, stopped.stderr
    assert isinstance(workplace.ended(run), Stopped)
    # `stop` returns once nothing of the run is there: its page is.
    assert 'lang="ko"' in Path(run.report).read_text(encoding="utf-8")


def test_a_page_that_fails_is_one_line_and_changes_nothing(workplace) -> None:
    script = workplace.script("import time; print('up', flush=True); time.sleep(0.5)")
    run = workplace.run(script)
    Path(run.report).mkdir()  # where the page belongs nothing can be written
    assert workplace.ended(run) == Finished()
    workplace.until(lambda: workplace.processes() == set())
    (line,) = Path(run.supervisor_log).read_text().splitlines()
    assert "the report could not be written: IsADirectoryError" in line
    assert workplace.overnight("wait", run.run_id).returncode == 0


def test_a_run_is_resumed_while_its_page_is_made(workplace) -> None:
    script = workplace.script("raise SystemExit(3)")
    run = workplace.run(script)
    for attempt in range(1, 4):
        workplace.ended(run)
        done = workplace.overnight("resume", run.run_id)
        assert done.returncode == 0, done.stderr
        workplace.until(
            lambda attempt=attempt: workplace.event_names(run).count("Exited") > attempt
        )
    workplace.until(lambda: workplace.processes() == set())
    assert "It took 4 attempts." in Path(run.report).read_text(encoding="utf-8")


def test_a_block_that_is_watched_has_one_too(workplace) -> None:
    script = workplace.script(
        """
        import overnight
        with overnight.watch("block"):
            overnight.log({"loss": 0.5}, step=1)
        """
    )
    done = subprocess.run(
        [sys.executable, str(script)], env=workplace.env, cwd=workplace.root,
        capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    (folder,) = workplace.runs()
    assert "block" in page_of(workplace, workplace.run_at(folder))
