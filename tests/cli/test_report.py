"""``overnight report``: what is written where, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from overnight.ledger.paths import RunPaths
from overnight.reporting.page import write

SCHEMA = Path(__file__).parents[2] / "docs" / "schemas" / "report.json"


def test_the_newest_run_has_its_page_in_its_folder(states: dict[str, RunPaths], shell: Any) -> None:
    answer = shell.json("report")
    jsonschema.validate(answer, json.loads(SCHEMA.read_text(encoding="utf-8")))
    path = Path(answer["path"])
    assert path.name == "report.html"
    assert path.parent.name == answer["runs"][0]
    assert answer["url"] == path.as_uri()
    assert path.stat().st_size > 1000


def test_a_run_in_any_state_has_an_honest_page(states: dict[str, RunPaths]) -> None:
    said = {
        "queued": "waits to be started", "running": "still under way (epoch 7/12)",
        "stalled": "neither written nor computed anything for 12 min", "stopping": "under way",
        "finished": "finished after", "failed": "GPU", "stopped": "Somebody stopped the run",
        "unattended": "nothing looks after it", "lost": "machine was restarted",
        "lost_unseen": "nobody saw how it ended", "elsewhere": "from here it cannot be seen",
        "restarting": "under way", "running_far": "under way",
    }  # fmt: skip
    for state, run in states.items():
        write([run], Path(run.report), "en")
        assert said[state] in Path(run.report).read_text(encoding="utf-8"), state


def test_several_are_compared_in_the_current_folder(
    states: dict[str, RunPaths], shell: Any
) -> None:
    done = shell("report", "finished", "failed", "--lang", "ko")
    page = shell.root / "report.html"
    assert str(page) in done.stdout
    text = page.read_text(encoding="utf-8")
    assert "실행 2개 비교" in text
    assert text.index("finished") < text.index("failed")


def test_a_file_of_any_name(states: dict[str, RunPaths], shell: Any) -> None:
    out = shell.root / "어젯밤 'A'.html"
    assert shell.json("report", "failed", "--out", str(out))["path"] == str(out)
    assert out.is_file()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("nobody",), "nobody"),
        (("finished", "--lang", "fr"), "--lang en or --lang ko"),
        (("finished", "--out", "no/such/r.html"), "mkdir -p"),
        (("finished", "--out", "."), "report.html"),
    ],
)
def test_what_is_refused(
    states: dict[str, RunPaths], shell: Any, words: tuple[str, ...], said: str
) -> None:
    done = shell("report", *words, code=2)
    assert said in done.stderr
    assert len(done.stderr.splitlines()) == 3
    assert not Path(states["finished"].report).exists()


def test_status_says_where_it_is(states: dict[str, RunPaths], shell: Any) -> None:
    run = states["finished"]
    assert "report.html" not in shell("status", "finished").stdout
    shell("report", "finished")
    assert run.report in shell("status", "finished").stdout
