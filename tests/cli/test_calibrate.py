"""``overnight calibrate``: for a run, and for files of arrays."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest

from overnight.cli import main
from overnight.ledger import files
from overnight.ledger.identity import Identity
from overnight.ledger.paths import RunPaths

V1 = Path(__file__).parents[1] / "golden" / "v1" / "runs" / "flowers_20260101_0900"
SCHEMA = Path(__file__).parents[2] / "docs" / "schemas" / "calibrate.json"
NUM = 400


@pytest.fixture
def arrays(tmp_path: Path) -> Path:
    """Logits twice as sure as they should be, their targets and folds."""
    folder = tmp_path / "숫자 'x"
    folder.mkdir()
    rng = np.random.default_rng(3)
    logits_NK = rng.normal(size=(NUM, 3)) * 2
    np.save(folder / "targets.npy", (logits_NK + rng.gumbel(size=(NUM, 3))).argmax(axis=1))
    np.save(folder / "logits.npy", (2 * logits_NK).astype(np.float32))
    np.save(folder / "folds.npy", np.arange(NUM) % 2)
    return folder


@pytest.fixture
def run(tmp_path: Path, arrays: Path) -> RunPaths:
    """A training of version 1 that is over, with more rows than it had."""
    place = tmp_path / "root" / "experiments" / "train" / "20260101" / V1.name
    shutil.copytree(V1, place, symlinks=True)
    for name in ("logits", "targets", "folds"):
        shutil.copy(arrays / f"{name}.npy", place / "oof" / f"oof_{name}.npy")
    (place / "track.json").unlink()
    return RunPaths(str(place))


def answer(capsys: pytest.CaptureFixture[str], *words: str) -> dict[str, Any]:
    assert main(["calibrate", *words, "--json"]) == 0
    said: dict[str, Any] = json.loads(capsys.readouterr().out)
    jsonschema.validate(said, json.loads(SCHEMA.read_text(encoding="utf-8")))
    return said


# ── files of arrays ─────────────────────────────────────────────────────────────────────────


def test_files_of_arrays(
    arrays: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(arrays)
    words = ["--logits", "logits.npy", "--targets", "targets.npy"]
    there = sorted(arrays.iterdir())
    assert main(["calibrate", *words, "--folds", "folds.npy"]) == 0
    text = capsys.readouterr().out
    assert text.startswith("temperature ")
    assert "400 rows of logits.npy" in text
    assert "(2 parts)" in text
    assert sorted(arrays.iterdir()) == there, "nothing is written that was not asked for"
    said = answer(capsys, *words, "--out", "온도.json")
    assert (said["why"], said["num_parts"], said["run_id"]) == ("fitted", 5, None)
    assert said["before"]["ece"] > said["after"]["ece"]
    written = json.loads((arrays / "온도.json").read_text(encoding="utf-8"))
    assert written["temperature"] == said["temperature"]
    assert f"{said['temperature']:.4f}" in text


def test_what_is_kept_at_one_is_said(
    arrays: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(arrays)
    np.save("right.npy", np.load("logits.npy").argmax(axis=1))
    assert main(["calibrate", "--logits", "logits.npy", "--targets", "right.npy"]) == 0
    assert "temperature 1 is kept: all 400 rows are right" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--logits", "logits.npy"], "--targets is missing"),
        (["--folds", "folds.npy"], "--folds is for --logits"),
        (["baseline", "--logits", "logits.npy", "--targets", "targets.npy"], "cannot both be"),
        (["--logits", "no.npy", "--targets", "nor.npy"], "nor.npy"),
        (["--logits", "pickle.npy", "--targets", "targets.npy"], "no array"),
        (["--logits", "text.npy", "--targets", "targets.npy"], "no array"),
        (["--logits", "many.npz", "--targets", "targets.npy"], "no array"),
        (["--logits", "targets.npy", "--targets", "targets.npy"], "a row an example"),
        (["--logits", "logits.npy", "--targets", "logits.npy"], "400 rows of logits"),
    ],
)
def test_what_cannot_be_calibrated(
    arrays: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    words: list[str],
    told: str,
) -> None:
    monkeypatch.chdir(arrays)
    np.save("pickle.npy", np.array([{}], dtype=object), allow_pickle=True)
    np.savez("many.npz", np.zeros(3))
    Path("text.npy").write_text("0.1, 0.9\n")
    assert main(["calibrate", *words]) == 2
    assert told in capsys.readouterr().err


# ── a run ───────────────────────────────────────────────────────────────────────────────────


def test_a_run_that_is_over(run: RunPaths, capsys: pytest.CaptureFixture[str]) -> None:
    Path(run.at("submission.csv")).write_text("ID,target\n")
    assert main(["calibrate", run.run_id, "--root", run.root]) == 0
    text = capsys.readouterr().out
    assert f"400 rows of {run.run_id}" in text
    assert "every prediction uses it from now on" in text
    assert f"overnight predict --from {run.run_id}" in text
    said = answer(capsys, "latest-train", "--root", run.root)
    assert said["changed"] is False
    card = files.read_json(run.at("model", "overnight.json")) or {}
    assert card["postprocessing"]["temperature"] == said["temperature"]
    assert said["path"] == run.at("model", "overnight.json")


def test_a_run_that_goes_on_is_left_alone(
    run: RunPaths, capsys: pytest.CaptureFixture[str]
) -> None:
    me = Identity.of()
    assert me is not None
    for name in ("events.jsonl", "keeper.json", "lease", "exit.json"):
        Path(run.at(name)).unlink()
    files.replace(run.run_json, files.to_json({"process": me.to_json(), "supervised": False}))
    assert main(["calibrate", run.dir]) == 2
    assert "not over (running)" in capsys.readouterr().err
    assert main(["calibrate", "latest-train", "--root", run.root]) == 2
    assert "no run answers" in capsys.readouterr().err


def test_a_damaged_model_is_left_alone(run: RunPaths, capsys: pytest.CaptureFixture[str]) -> None:
    Path(run.at("model", "fold0", "model.safetensors")).write_bytes(b"other")
    assert main(["calibrate", run.dir]) == 2
    assert "not what it was when it was trained" in capsys.readouterr().err
    shutil.rmtree(run.at("model"))
    assert main(["calibrate", run.dir]) == 2
    assert f"overnight resume {run.run_id}" in capsys.readouterr().err


def test_numpy_and_scipy_are_enough(run: RunPaths) -> None:
    program = (
        "import sys\n"
        "for name in ('torch', 'transformers', 'matplotlib', 'sklearn', 'timm', 'PIL'):\n"
        "    sys.modules[name] = None\n"
        "from overnight.cli import main\n"
        "sys.exit(main(sys.argv[1:]))\n"
    )
    words = [sys.executable, "-c", program, "calibrate", run.dir]
    env = {**os.environ, "OVERNIGHT_LANG": "ko"}
    done = subprocess.run(words, capture_output=True, text=True, timeout=120, check=False, env=env)
    assert done.returncode == 0, done.stderr
    assert "온도" in done.stdout
    assert "Matplotlib이 없어" in done.stdout
    tables = Path(run.at("media")).glob("reliability*.jsonl")
    assert len(list(tables)) == 1
