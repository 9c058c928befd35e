"""What version 1 wrote is read as it was meant, for ever: ``tests/golden/v1`` and expected.json."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from overnight.ledger import index, state
from overnight.ledger.files import read_json
from overnight.ledger.format import SCHEMA_VERSION, Row
from overnight.ledger.identity import Identity
from overnight.ledger.paths import RunPaths, state_dir
from overnight.ledger.reader import current, latest_values, read, rows, stems

GOLDEN = Path(__file__).parents[1] / "golden"
V1 = GOLDEN / "v1"
EXPECTED: dict[str, Any] = json.loads((GOLDEN / "v1.expected.json").read_text(encoding="utf-8"))
RUN_IDS = sorted(path.name for path in (V1 / "runs").iterdir())
EVENTS = {
    "Queued", "Started", "Adopted", "Stalled", "Recovered", "Stopping", "Exited", "Restarting",
    "RestartRefused", "Resumed",
}  # fmt: skip
JOB_EVENTS = {
    "Configured", "DatasetUsed", "PhaseStarted", "CheckpointSaved", "NewBest", "EarlyStopped",
    "StopHonoured", "ModelSaved", "ArtifactSaved", "Progress",
}  # fmt: skip
#: Of searches, predictions and pages, which came after these runs were made: their readers' own
#: tests make them.
LATER = {
    "children", "prediction", "report.html", "script.json", "study.jsonl", "submission.csv",
    "sweep", "sweep.json", "tuned.json", "tuning.json",
}  # fmt: skip


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """The golden runs where runs lie, as they would after a backup was put back."""
    for run in (V1 / "runs").iterdir():
        info = json.loads((run / "run.json").read_text(encoding="utf-8"))
        place = tmp_path / "experiments" / info["kind"] / "20260101" / run.name
        shutil.copytree(run, place, symlinks=True)
        if (place / "lease").exists():
            os.utime(place / "lease", (0, 0))
    return tmp_path


def spelled(row: Row) -> dict[str, Any]:
    """A row as JSON has it, non-finite numbers by name."""
    values = {k: v if abs(v) < float("inf") else str(v) for k, v in row.values.items()}
    return {**asdict(row), "values": values}


def reading(run: RunPaths) -> dict[str, Any]:
    """All that today's reader finds in a run."""
    seen = state.view(run)
    all_rows = rows(run.dir)
    books = {
        stem: read(run.dir, stem)
        for base in ("events", "job", "metrics", "media", "system")
        for stem in stems(run.dir, base)
    }
    return {
        "state": state.state_to_json(seen.state) | {"seen_s": None},
        "attempt": seen.attempt,
        "started_us": seen.started_us,
        "ended_us": seen.ended_us,
        "ran_s": seen.ran_s,
        "unsettled": seen.unsettled,
        "exit_status": state.exit_status(seen.state),
        "broken": {stem: book.broken for stem, book in books.items()},
        "seqs": {stem: [r["_seq"] for r in book.records] for stem, book in books.items()},
        "events": [r["_event"] for r in books["events"].records] if "events" in books else [],
        "rows": [spelled(row) for row in all_rows],
        "current": [f"{row.file} {row.seq}" for row in current(all_rows)],
        "latest": {k: str(v) for k, v in latest_values(all_rows).items()},
    }


@pytest.mark.parametrize("run_id", RUN_IDS)
def test_a_golden_run_reads_as_it_was_meant(root: Path, run_id: str) -> None:
    (folder,) = root.glob(f"experiments/*/*/{run_id}")
    assert json.loads(json.dumps(reading(RunPaths(str(folder))))) == EXPECTED[run_id]


def test_every_golden_run_is_expected() -> None:
    assert sorted(EXPECTED) == sorted([*RUN_IDS, "index"])


def test_the_golden_index_reads_as_it_was_meant(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable in ("XDG_STATE_HOME", "HOME", "LOCALAPPDATA"):
        monkeypatch.setenv(variable, str(tmp_path))
    shutil.copytree(V1 / "index", Path(state_dir(), "index"))
    found = [
        {"dir": e.run.dir, "name": e.name, "kind": e.kind, "created_us": e.created_us,
         "ended": e.ended}
        for e in index.entries()
    ]  # fmt: skip
    assert found == EXPECTED["index"]


def test_every_kind_of_record_is_in_the_golden_ledger() -> None:
    events, job, kinds, media = set(), set(), set(), set()
    for run_id in RUN_IDS:
        folder = str(V1 / "runs" / run_id)
        events |= {record["_event"] for record in read(folder, "events").records}
        job |= {record["_event"] for record in read(folder, "job").records}
        kinds |= {record["_kind"] for record in read(folder, "metrics").records}
        media |= {record["_kind"] for record in read(folder, "media").records}
    assert events == EVENTS
    assert job == JOB_EVENTS
    assert kinds == {"step", "epoch", "summary"}
    assert media == {"figure", "image", "table", "video", "histogram", "artifact"}


def test_every_file_of_the_format_is_in_the_golden_ledger() -> None:
    page = (GOLDEN.parents[1] / "docs" / "ledger-format.md").read_text(encoding="utf-8")
    block = page.split("```")[1]
    lines = [line.split("  ") for line in block.splitlines() if line.startswith("  ")]
    # Two names of one remark stand on one line: ``oof/  model/``.
    named = {word.strip("/ ") for line in lines for word in line[1:3] if word.strip()}
    named = {word for word in named if " " not in word}
    there = {path.name for run_id in RUN_IDS for path in (V1 / "runs" / run_id).iterdir()}
    assert {"run.json", "oof", "model", "cursors", "plan.json", "media.jsonl"} <= named
    assert named >= LATER
    assert named - LATER <= there
    for name in EVENTS | JOB_EVENTS:
        assert f"`{name}`" in page


@pytest.mark.parametrize("run_id", RUN_IDS)
def test_the_small_files_hold_what_the_page_says(run_id: str) -> None:
    run = RunPaths(str(V1 / "runs" / run_id))
    info = read_json(run.run_json)
    assert info is not None
    assert info["schema_version"] == 1
    assert info["run_id"] == run_id
    for path, key in [(run.keeper_json, "job"), (run.keeper_json, "keeper"),
                      (run.lease, "supervisor")]:  # fmt: skip
        said = read_json(path)
        assert said is None or Identity.from_json(said[key]) is not None


@pytest.mark.skipif(SCHEMA_VERSION != 1, reason="made by version 1 alone")
def test_todays_pens_still_write_version_1_to_the_byte(tmp_path: Path) -> None:
    spec = importlib.util.spec_from_file_location("make_v1", GOLDEN / "make_v1.py")
    assert spec is not None
    assert spec.loader is not None
    maker = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(maker)
    maker.make(tmp_path)
    assert files_below(tmp_path) == files_below(V1)


def files_below(folder: Path) -> dict[str, bytes]:
    paths = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}
