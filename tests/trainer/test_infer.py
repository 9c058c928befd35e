"""A prediction in this process: as a run of its own, and behind a training."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")

import torch

from overnight import model_folder
from overnight import spec as specs
from overnight.errors import UserError, UserErrors
from overnight.ledger.paths import RunPaths, create_run
from overnight.ledger.reader import read
from overnight.prediction import asked as asking
from overnight.prediction.asked import Input, Prediction
from overnight.testing import prediction_proof, served
from overnight.testing.sessions import in_run, small_config
from overnight.trainer import infer
from overnight.trainer.console import Console
from overnight.trainer.stop import SignalStop, Stopped

# More of them wait for each other where tests share the cores.
torch.set_num_threads(1)
LABELS = ["class 0", "class 1", "class 2"]
NUM_TEST = 6


class Deadline(SignalStop):
    """Its time was up before it began."""

    def asked(self) -> Any:
        return "deadline"


class Signal(SignalStop):
    """Is asked to go after some batches."""

    def __init__(self, num: int) -> None:
        super().__init__()
        self.num = num

    def asked(self) -> Any:
        self.num -= 1
        return "signal" if self.num < 0 else None


@pytest.fixture
def config(tmp_path: Path) -> Path:
    return small_config(tmp_path, num_test=NUM_TEST)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return served.make(tmp_path / "model", LABELS, codes=["7", "8", "9"])


def run_of(tmp_path: Path, model: Path, **more: Any) -> RunPaths:
    """A run of kind ``infer``, as ``overnight predict`` makes it."""
    run = create_run(str(tmp_path / "root"), "infer", "tiny-predict")
    card = model_folder.verify(model)
    given = {
        "task": "image_classification",
        "name": "tiny-predict",
        "model": asking.model_of(card, str(model)),
        "input": Input(base=tmp_path, paths=("test",)),
        "batch_size": 2,
        "num_workers": 0,
        **more,
    }
    asking.write(Prediction.model_validate(given), run.config_yaml)
    return run


def predict(run: RunPaths, stop: SignalStop | None = None) -> str:
    out = io.StringIO()
    with in_run(run, 0):
        infer.predict(run, Console(out), stop or SignalStop())
    return out.getvalue()


def after_training(
    run: RunPaths, config: Path, stop: SignalStop, *sets: str
) -> list[tuple[int, int]]:
    told: list[tuple[int, int]] = []
    spec = specs.read(config, dict(each.split("=") for each in sets))
    specs.write(spec, run.config_yaml)
    with in_run(run, 0):
        infer.after_training(
            run, Console(io.StringIO()), spec, stop, progress=lambda *each: told.append(each)
        )
    return told


def rows(run: RunPaths) -> list[list[str]]:
    with Path(run.at("submission.csv")).open(encoding="utf-8", newline="") as file:
        return list(csv.reader(file))


def predicted(run: RunPaths) -> list[dict[str, Any]]:
    return [each for each in read(run.dir, "job").records if each["_event"] == "Predicted"]


def test_unreadable_images_are_refused_until_they_are_put_right(
    tmp_path: Path, config: Path, model: Path
) -> None:
    broken = tmp_path / "test" / "0003.png"
    whole = broken.read_bytes()
    broken.write_bytes(b"")
    run = run_of(tmp_path, model)
    with pytest.raises(UserErrors) as caught:
        predict(run)
    (error,) = caught.value.errors
    assert error.key == "predict.unreadable"
    assert "1 of 6 images cannot be read: 0003.png" in error.what
    assert not Path(run.at("submission.csv")).exists()
    broken.write_bytes(whole)
    assert "goes on behind 4 that are done" in predict(run)
    assert rows(run)[0] == ["id", "prediction", "confidence"]
    assert {row[1] for row in rows(run)[1:]} <= {"7", "8", "9"}
    assert all(each.agrees for each in prediction_proof.prove(run.dir))
    assert "whole since an earlier attempt" in predict(run)
    assert len(predicted(run)) == 1


def test_by_choice_they_get_the_samples_value(tmp_path: Path, config: Path, model: Path) -> None:
    (tmp_path / "test" / "0000.png").write_bytes(b"")
    (tmp_path / "sample.csv").write_text("ID,target\n0001,7\n0000,7\n")
    wanted = Input(base=tmp_path, paths=("test",), sample=tmp_path / "sample.csv")
    run = run_of(tmp_path, model, input=wanted, unreadable="default", tta="flip")
    log = predict(run)
    assert "! cannot be read: 0000" in log
    assert rows(run)[0] == ["ID", "target"]
    assert rows(run)[2] == ["0000", "7"]
    (event,) = predicted(run)
    assert (event["num"], event["unreadable"]) == (2, 1)
    assert event["model_sha256"] == model_folder.read(model).sha256
    found_NK = np.load(run.at("probabilities.npy"), allow_pickle=False)
    assert np.isnan(found_NK).all(axis=1).tolist() == [False, True]


def test_another_model_in_its_place_is_refused(tmp_path: Path, config: Path, model: Path) -> None:
    run = run_of(tmp_path, model)
    card = model / model_folder.CARD
    card.write_text(card.read_text().replace("1.3", "1.4"))
    with pytest.raises(UserError, match="not the one"):
        predict(run)


def test_behind_a_training_a_deadline_cuts_nothing(
    tmp_path: Path, config: Path, model: Path
) -> None:
    run = create_run(str(tmp_path / "root"), "pipeline", "tiny")
    model.rename(run.at("model"))
    with pytest.raises(Stopped):
        after_training(run, config, Signal(1))
    told = after_training(run, config, Deadline())
    assert told[0] == (4, NUM_TEST)
    assert told[-1] == (NUM_TEST, NUM_TEST)
    assert [row[0] for row in rows(run)[1:]] == [f"{number:04}" for number in range(NUM_TEST)]
    assert {row[1] for row in rows(run)[1:]} <= set(LABELS)  # as the sample has them
    (proof,) = prediction_proof.prove(run.dir)
    assert proof.agrees
    # Put together anew of the same members: what is there is its own.
    card = Path(run.at("model", model_folder.CARD))
    card.write_text(card.read_text().replace("served_20261121_0700", "tiny"))
    assert after_training(run, config, SignalStop()) == [(NUM_TEST, NUM_TEST)]
    shas = [each["model_sha256"] for each in predicted(run)]
    assert shas[-1] == model_folder.read(run.at("model")).sha256 != shas[0]


def test_who_lets_images_be_left_out_gets_a_row_for_those_that_are_missing(
    tmp_path: Path, config: Path, model: Path
) -> None:
    (tmp_path / "test" / "0002.png").unlink()
    run = create_run(str(tmp_path / "root"), "pipeline", "tiny")
    model.rename(run.at("model"))
    with pytest.raises(UserErrors, match="have no image"):
        after_training(run, config, SignalStop())
    after_training(run, config, SignalStop(), "data.unreadable=quarantine")
    assert rows(run)[3] == ["0002", "class 0"]
    assert predicted(run)[0]["unreadable"] == 1
