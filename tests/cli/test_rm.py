"""``overnight rm``: gone is gone, and only what was meant."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from overnight.cli import main
from overnight.ledger import index
from overnight.supervisor.ending import point_latest


def there(path: str) -> bool:
    return Path(path).exists()


def test_a_run_goes_with_its_log_its_link_and_its_line_in_the_index(
    ledger: Any, finished: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    kept = ledger("kept", events=finished, log="kept\n", age_s=60)
    doomed = ledger("doomed", events=finished, log="x" * 5000)
    point_latest(doomed)
    assert main(["rm", "doomed", "--yes"]) == 0
    assert "KiB freed" in capsys.readouterr().out
    assert not there(doomed.dir)
    assert not there(doomed.log)
    assert not list(Path(doomed.root, "experiments", "run", "latest-run").iterdir())
    assert [entry.name for entry in index.entries()] == ["kept"]
    assert there(kept.log)


def test_bytes_told_are_those_of_folder_and_log(
    ledger: Any, finished: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    run = ledger("doomed", events=finished, log="x" * 100_000)
    Path(run.at("weights.bin")).write_bytes(bytes(300_000))
    os.link(run.at("weights.bin"), Path(run.root, "registered.bin"))
    main(["rm", "doomed", "--yes", "--json"])
    answer = json.loads(capsys.readouterr().out)
    # What also lies elsewhere is not freed.
    assert 100_000 < answer["freed_bytes"] < 200_000
    assert Path(run.root, "registered.bin").stat().st_size == 300_000


@pytest.mark.parametrize("made", ["running", "stalled", "unattended", "stopping", "queued"])
def test_a_run_that_is_not_over_is_refused_even_by_force(
    states: Any, made: str, capsys: pytest.CaptureFixture[str]
) -> None:
    for more in ([], ["--force"]):
        assert main(["rm", states[made].run_id, "--yes", *more]) == 2
        assert "overnight stop" in capsys.readouterr().err
        assert there(states[made].dir)


def test_one_bad_word_and_nothing_is_removed(
    states: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["rm", "finished", "nobody", "running", "--yes"]) == 2
    said = capsys.readouterr().err
    assert "nobody" in said
    assert "running" in said
    assert there(states["finished"].dir)


def test_a_run_of_another_machine_needs_force(
    states: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["rm", "far_old", "--yes"]) == 2
    assert "gpu02" in capsys.readouterr().err
    assert main(["rm", "far_old", "--yes", "--force"]) == 0
    assert not there(states["elsewhere"].dir)


def test_without_a_terminal_it_needs_yes(states: Any, shell: Any) -> None:
    assert "--yes" in shell("rm", "finished", code=2).stderr
    assert there(states["finished"].dir)


def test_by_age_those_that_ended_long_ago(
    ledger: Any, finished: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    def ended(age_s: float) -> list[dict[str, Any]]:
        import time

        return [finished[0], {**finished[1], "_t": int((time.time() - age_s) * 1e6)}]

    day = 86400
    old = ledger("old", events=ended(40 * day), age_s=41 * day)
    long_ = ledger("long", events=ended(1 * day), age_s=41 * day)
    new = ledger("new", events=ended(2), age_s=60)
    assert main(["rm", "--older-than", "30d", "--yes"]) == 0
    assert [there(run.dir) for run in (old, long_, new)] == [False, True, True]
    assert main(["rm", "--older-than", "30d", "--yes"]) == 0
    assert "nothing to remove" in capsys.readouterr().out
    assert main(["rm", "new", "--older-than", "30d"]) == 2


@pytest.mark.parametrize(("answer", "gone"), [("n\n", False), ("y\n", True), ("\x04", False)])
def test_on_a_terminal_it_shows_the_size_and_asks(
    states: Any, shell: Any, answer: str, gone: bool
) -> None:
    terminal = shell.terminal("rm", "finished")
    terminal.read_until("[y/N]")
    assert "KiB" in terminal.shown or " B" in terminal.shown
    terminal.type(answer)
    assert terminal.end() == (0 if gone else 1)
    assert there(states["finished"].dir) is not gone


def test_nothing_but_runs_can_be_removed(
    shell: Any, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "precious").mkdir()
    for word in (str(tmp_path / "precious"), str(shell.root), "..", "/", "~"):
        assert main(["rm", word, "--yes", "--force"]) == 2
    assert (tmp_path / "precious").is_dir()


def test_a_folder_that_only_looks_like_a_run_is_refused(
    tmp_path: Path, shell: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    fake = tmp_path / "home"
    fake.mkdir()
    (fake / "run.json").write_text("{}")
    (fake / "thesis.tex").touch()
    os.utime(fake / "run.json", (0, 0))
    assert main(["rm", str(fake), "--yes", "--force"]) == 2
    assert (fake / "thesis.tex").exists()
