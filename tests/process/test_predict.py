"""Predictions as people start them: supervised, killed, moved, resumed, done again."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest

from overnight.ledger.paths import RunPaths
from overnight.ledger.reader import read
from overnight.ledger.state import Failed, Finished

pytest.importorskip("torch")
NUM, BATCH = 90, 2
SCHEMA = Path(__file__).parents[2] / "docs" / "schemas" / "predict.json"


@pytest.fixture
def place(workplace: Any) -> Path:
    """A model and test images; their sample names them in another order."""
    from overnight.testing import fits, served

    folder: Path = workplace.root
    workplace.env["OMP_NUM_THREADS"] = "1"  # more of them wait for each other on a busy machine
    served.make(folder / "my model", ["cat", "dog", "새"], codes=["0", "1", "2"])
    fits.images(folder / "test", NUM)
    ids = [f"{number:04}" for number in reversed(range(NUM))]
    (folder / "sample.csv").write_text("ID,target\n" + "".join(f"{id},0\n" for id in ids))
    return folder


def predict(workplace: Any, *words: str) -> RunPaths:
    done = workplace.overnight(
        "predict", "--from", "./my model", "--sample", "sample.csv", "--batch-size", BATCH,
        "--json", *words, "test",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    jsonschema.validate(answer, json.loads(SCHEMA.read_text()))
    return RunPaths(answer["dir"])


def num_done(run: RunPaths) -> int:
    """Batches that are there."""
    try:
        return Path(run.at("prediction", "batches")).read_bytes().count(1)
    except FileNotFoundError:
        return 0


@pytest.mark.slow
def test_killed_and_moved_it_goes_on_and_ends_with_the_same_bytes(
    workplace: Any, place: Path, tmp_path: Path
) -> None:
    run = predict(workplace)
    workplace.until(lambda: num_done(run) > 3, timeout_s=240)
    workplace.kill(workplace.job(run))
    assert isinstance(workplace.ended(run), Failed)
    assert num_done(run) < NUM // BATCH
    assert not Path(run.at("submission.csv")).exists()

    moved = tmp_path / "else where"
    place.rename(moved)
    again = RunPaths(run.dir.replace(str(place), str(moved)))
    resume = ("resume", again.run_id, "--root", moved, "--follow")
    done = workplace.overnight(*resume, cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert isinstance(workplace.ended(again), Finished)
    assert "[PREDICT] goes on behind" in done.stdout
    lines = Path(again.at("submission.csv")).read_text().splitlines()
    assert lines[0] == "ID,target"
    assert [line.split(",")[0] for line in lines[1:]] == [
        f"{number:04}" for number in reversed(range(NUM))
    ]
    assert {line.split(",")[1] for line in lines[1:]} <= {"0", "1", "2"}
    assert sorted(path.name for path in Path(again.dir).glob("*.npy")) == ["probabilities.npy"]
    assert not Path(again.at("prediction")).exists()
    (said,) = (each for each in read(again.dir, "job").records if each["_event"] == "Predicted")
    assert (said["num"], said["unreadable"], said["path"]) == (NUM, 0, "submission.csv")

    # Once more, by its own config and in one go: byte for byte the same.
    done = workplace.overnight(
        "predict", "--config", again.config_yaml, "--root", moved, cwd=tmp_path
    )
    assert done.returncode == 0, done.stdout + done.stderr
    (other,) = (
        each.parent
        for each in moved.glob("experiments/infer/2*/*/submission.csv")
        if str(each.parent) != again.dir
    )
    for name in ("submission.csv", "probabilities.npy"):
        assert (other / name).read_bytes() == Path(again.at(name)).read_bytes()
    assert str(other / "submission.csv") in done.stdout
    found_NK = np.load(other / "probabilities.npy", allow_pickle=False)
    assert np.allclose(found_NK.sum(axis=1), 1)
