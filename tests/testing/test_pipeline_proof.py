"""The proof of the whole pipeline: what its run may see. The run itself takes ten minutes."""

from __future__ import annotations

import csv
import pickle
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("torch")

from overnight.testing import pipeline_proof


def written(path: Path) -> list[list[str]]:
    with path.open(newline="") as file:
        return list(csv.reader(file))


def test_what_is_to_be_predicted_stands_in_no_file_of_the_run(tmp_path: Path) -> None:
    data, work = tmp_path / "data", tmp_path / "work"
    for name, rows in (("train", [("a.png", "3"), ("b.png", "1")]), ("test", [("c.png", "2")])):
        (data / name).mkdir(parents=True)
        for id, _ in rows:
            Image.new("RGB", (4, 4)).save(data / name / id)
        table = "train.csv" if name == "train" else "test_labels.csv"
        pipeline_proof._write(data / table, rows)
    work.mkdir()
    assert pipeline_proof.lay(data, work) == {"c.png": "2"}
    assert written(work / "sample_submission.csv") == [["ID", "target"], ["c.png", "3"]]
    assert written(work / "train.csv")[1:] == [["a.png", "3"], ["b.png", "1"]]
    assert sorted(path.name for path in work.rglob("*.*")) == [
        "a.png", "b.png", "c.png", "sample_submission.csv", "train.csv",
    ]  # fmt: skip
    assert not any(path.is_symlink() for path in work.rglob("*"))


def test_cifars_own_batches_are_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pipeline_proof, "NUM_TRAIN", 2)
    monkeypatch.setattr(pipeline_proof, "NUM_TEST", 1)
    folder, work = tmp_path / "cifar-10-batches-py", tmp_path / "work"
    folder.mkdir()
    work.mkdir()
    red = np.array([[255] * 1024 + [0] * 2048] * 3, dtype=np.uint8)
    for name in ("data_batch_1", "test_batch"):
        said = {"data": red, "labels": [7, 8, 9]}
        (folder / name).write_bytes(pickle.dumps(said, protocol=4))
    assert pipeline_proof.lay(tmp_path, work) == {"te00000.png": "7"}
    assert written(work / "train.csv")[1:] == [["tr00000.png", "7"], ["tr00001.png", "8"]]
    with Image.open(work / "train" / "tr00001.png") as picture:
        assert picture.getpixel((5, 5)) == (255, 0, 0)
    with pytest.raises(SystemExit, match="no CIFAR-10"):
        pipeline_proof.lay(tmp_path / "work", tmp_path / "other")
