"""A training of version 1, as all that reads trainings reads it: trackers, folds, predictions.

The run was killed in its second fold and went on; its mirror was killed in the middle of a batch.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from overnight import model_folder
from overnight.errors import UserError
from overnight.ledger import files
from overnight.ledger.format import Scope
from overnight.ledger.paths import RunPaths
from overnight.outbox import track
from overnight.outbox.standing import standing
from overnight.tasks.base import Scope as Fit
from overnight.trackers import cursor as cursors
from overnight.trackers.base import Item
from overnight.trackers.counting import Counting, names_of
from overnight.trackers.files import parts_of, picture_of, rows_of, spread_of
from overnight.trackers.records import Record, Records
from overnight.trainer import kept, oof
from overnight.trainer.spec_of_run import read_spec

V1 = Path(__file__).parents[1] / "golden" / "v1"
LANE = "0123456789abcdef01234567"


@pytest.fixture
def run(tmp_path: Path) -> RunPaths:
    place = tmp_path / "experiments" / "train" / "20260101" / "flowers_20260101_0900"
    shutil.copytree(V1 / "runs" / place.name, place, symlinks=True)
    return RunPaths(str(place))


def everything(run: RunPaths) -> list[Record]:
    return Records(run.dir, {}).take(1000)


def media(run: RunPaths) -> dict[str, Record]:
    return {f"{r.data['_kind']} {r.data['key']}": r for r in everything(run) if r.base == "media"}


def test_how_far_its_trackers_are(run: RunPaths) -> None:
    mlflow, wandb = standing(run)
    assert (mlflow.tracker, mlflow.url) == ("mlflow", "mlflow.db#/experiments/1/runs/0a1b2c")
    assert (mlflow.sent, mlflow.left, mlflow.closed) == (14, len(everything(run)) - 14, False)
    assert (mlflow.num_rejected, mlflow.rejected) == (1, {"fold0/batch_loss": "no such name"})
    assert (wandb.tracker, wandb.sent, wandb.left) == ("wandb", 0, len(everything(run)))
    first, second = track.wanted(run)
    assert (first.options["project"], second.options["mode"]) == ("꽃", "offline")


def test_a_mirror_of_today_goes_on_where_that_one_was(run: RunPaths) -> None:
    cursor = cursors.read(run, "mlflow", LANE)
    assert cursor.files == {"job": (0, 6), "metrics": (0, 6)}
    assert (cursor.number, cursor.num_records, cursor.generation) == (14, 14, 0)
    begun = Records(run.dir, cursor.files).take(1000, cursor.sending)
    assert [(record.stem, record.seq) for record in begun] == [("metrics", 7), ("job", 7)]
    counting = Counting()
    counting.restore(cursor.sent)
    for record in everything(run):
        counting.see(record)
    # What the second attempt went over again was never sent: nothing has to be begun anew.
    assert not counting.outdated
    assert cursors.read(run, "mlflow", "another key") == cursors.Cursor("another key")


def test_what_counts_of_it_and_under_which_names(run: RunPaths) -> None:
    records, counting = everything(run), Counting()
    for record in records:
        counting.see(record)
    told = [(each.kind, each.axis, key, value) for _, each in names_of(records, counting)
            for key, value in each.values.items()]  # fmt: skip
    losses = [(axis, key, value) for kind, axis, key, value in told if key.endswith("batch_loss")]
    assert losses == [
        (step, f"fold{fold}/batch_loss", 4 / step) for fold in range(2) for step in (1, 2, 3, 4)
    ]
    scores = [(axis, key, value) for kind, axis, key, value in told
              if key.endswith("/macro_f1") and kind == "epoch"]  # fmt: skip
    assert scores == [
        (1, "fold0/macro_f1", 0.25), (2, "fold0/macro_f1", 1.0),
        (1, "fold1/macro_f1", 0.125), (2, "fold1/macro_f1", 0.625),
    ]  # fmt: skip
    # Per step and per epoch: the epoch's has the plain name.
    assert {key for _, _, key, _ in told if key.endswith("/lr")} == {
        "fold0/lr", "fold1/lr", "fold0/step/lr", "fold1/step/lr",
    }  # fmt: skip
    assert {record.row.scope for record in records if record.base == "metrics"} == {
        Scope(None, None, "train"), Scope(0, None, "train"), Scope(1, None, "train"),
    }  # fmt: skip


def test_its_folds_are_over_and_its_data_is_known(run: RunPaths) -> None:
    for fold, accuracy in ((0, 1.0), (1, 0.75)):
        found = kept.kept(run, Fit(fold))
        assert found is not None
        assert found.ended == "finished"
        assert found.metrics["accuracy"] == accuracy
        best = Path(run.ckpt, f"best_fold{fold}", "model.safetensors")
        assert best.read_bytes() == (found.member / "model.safetensors").read_bytes()
    assert kept.kept(run, Fit(2)) is None
    kept.check_plan(run, "f" * 64, [0, 1, 0, 1])
    with pytest.raises(UserError, match="are not what this run began with"):
        kept.check_plan(run, "f" * 64, [0, 1, 1, 0])


def test_its_predictions_are_those_of_the_folds(run: RunPaths) -> None:
    folds = [kept.kept(run, Fit(fold)) for fold in range(2)]
    logits = {at: fold.logits for at, fold in enumerate(folds) if fold and fold.logits}
    found = oof.gather(logits, [0, 1, 0, 1], [0, 1, 2, 0])
    stored = {name: np.load(run.at("oof", f"oof_{name}.npy"), allow_pickle=False)
              for name in ("logits", "targets", "folds", "ids")}  # fmt: skip
    assert np.array_equal(stored["logits"], found.logits)
    assert stored["logits"].dtype == np.float32
    assert stored["targets"].tolist() == found.targets.tolist() == [0, 1, 2, 0]
    assert stored["folds"].tolist() == [0, 1, 0, 1]
    assert stored["ids"].tolist() == ["꽃 1.jpg", "꽃 2.jpg", "꽃 3.jpg", "꽃 4.jpg"]
    card = json.loads(Path(run.at("model", "overnight.json")).read_text(encoding="utf-8"))
    assert found.metrics() == pytest.approx(card["metrics"], abs=1e-6)


def test_its_model_is_whole(run: RunPaths) -> None:
    card = files.read_json(run.at("model", model_folder.CARD)) or {}
    assert card["format"] == model_folder.FORMAT
    assert card["labels"] == ["장미", "백합", "국화"]
    assert [member["folder"] for member in card["members"]] == ["fold0", "fold1"]
    assert card["base_model"] == {"name": "resnet10t"}
    assert card["files"] == model_folder.listing(Path(run.at("model")))


def test_its_config_can_be_asked_for_again(run: RunPaths) -> None:
    spec: Any = read_spec(run)
    assert (spec.task, spec.project.name, spec.data.folds) == ("image_classification", "flowers", 2)
    assert (spec.model.name, spec.train.epochs, spec.train.lr) == ("resnet10t", 2, 0.003)


def test_its_files_as_trackers_take_them(run: RunPaths) -> None:
    found = media(run)
    assert set(found) == {
        "artifact flowers-data", "figure confusion_matrix", "table confusion_matrix",
        "table predictions", "image valid/worst", "video epochs", "histogram gradients/fc",
        "artifact flowers-model",
    }  # fmt: skip

    def item(name: str) -> Item:
        data = found[name].data
        path = Path(run.dir, str(data.get("path") or ""))
        return Item(str(data["_kind"]), str(data["key"]), path, None, 0, 1, data)

    first, *_ = rows_of(item("table confusion_matrix").path)
    assert first == {"truth": "장미", "prediction": "장미", "count": 1}
    assert found["table confusion_matrix"].data["plot"] == "confusion_matrix"
    worst_row, other = rows_of(item("table predictions").path)
    assert picture_of(worst_row.pop("image")["_picture"], Path(run.dir)).is_file()
    assert list(worst_row.values()) == ["꽃 2.jpg", "백합", "국화", 0.875, 1]
    assert list(other.values()) == [None, "꽃 1.jpg", "장미", "장미", "NaN", 0]
    worst = found["image valid/worst"].data
    assert picture_of(worst["masks"]["truth"], Path(run.dir)).is_file()
    assert worst["boxes"] == {"boxes": [{"box": [0, 0, 0.5, 1]}]}
    assert spread_of(item("histogram gradients/fc")) == (-0.5, 0.5, [1, 0, 0, 3])
    assert found["histogram gradients/fc"].data["left_out"] == 1
    model = [part.name for part in parts_of(item("artifact flowers-model"), Path(run.dir))]
    card = files.read_json(run.at("model", model_folder.CARD)) or {}
    assert model == sorted([model_folder.CARD, *card["files"]])
    for record in found.values():
        for said in (record.data, *record.data.get("files", ())):
            if "path" in said:
                assert Path(run.dir, said["path"]).stat().st_size == said["bytes"]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_all_of_it_reaches_mlflow(
    run: RunPaths, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """That machine's database is not here: today's mirror sends what counts, from the start."""
    from mlflow import MlflowClient

    from overnight.trackers.copy import Copy
    from overnight.trackers.mlflow import Mlflow, database

    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    copy = Copy(track.Asked(run, "mlflow", LANE, again=True), Mlflow("", tmp_path, {}))
    while not copy.is_closed:
        copy.look()
    client = MlflowClient(tracking_uri=database(tmp_path))
    (experiment,) = client.search_experiments(filter_string="name = '꽃'")
    (there,) = client.search_runs([experiment.experiment_id])
    assert there.info.status == "FINISHED"
    for fold in range(2):
        history = client.get_metric_history(there.info.run_id, f"fold{fold}/batch_loss")
        assert sorted((each.step, each.value) for each in history) == [
            (step, 4 / step) for step in (1, 2, 3, 4)
        ]
    names = {each.path for each in client.list_artifacts(there.info.run_id)}
    assert {"config", "media"} <= names
