"""A whole training in this process: what it leaves, what it says, what a second attempt does."""

from __future__ import annotations

import io
import json
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from overnight.errors import OvernightError, UserError, UserErrors
from overnight.ledger.paths import RunPaths
from overnight.testing.sessions import (
    EPOCHS,
    FOLDS,
    NUM,
    Attempt,
    attempt,
    begin,
    small_config,
)
from overnight.trainer.console import Console
from overnight.trainer.stop import SignalStop, Stopped

pytest.importorskip("torch")


class StopBehind(SignalStop):
    """Asks to stop as soon as a file is there."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.path = path

    def asked(self) -> Any:
        self._asked = self._asked or self.path.exists()
        return super().asked()

    def leave_if_asked(self) -> None:
        self.asked()
        super().leave_if_asked()


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_config(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def whole(config: Path, tmp_path_factory: pytest.TempPathFactory) -> Attempt:
    """A training that nothing happened to."""
    found = attempt(begin(config, tmp_path_factory.mktemp("root")))
    assert found.error is None, found.log
    return found


# ── what a run leaves ───────────────────────────────────────────────────────────────────────


def test_every_row_is_predicted_by_the_member_that_never_saw_it(whole: Attempt) -> None:
    import torch

    from overnight.tasks.base import FitContext, Scope
    from overnight.tasks.image_classification.data import Reader
    from overnight.tasks.image_classification.task import ImageClassification
    from overnight.testing.fits import MemoryLedger, StopAt
    from overnight.trainer.spec_of_run import read_spec

    logits_NK, folds_N = whole.array("oof_logits.npy"), whole.array("oof_folds.npy")
    assert logits_NK.shape == (NUM, 3)
    assert whole.array("oof_ids.npy").tolist() == [f"{number:04d}" for number in range(NUM)]
    assert whole.array("oof_targets.npy").tolist() == [number % 3 for number in range(NUM)]
    assert sorted(folds_N.tolist()) == [0] * (NUM // 2) + [1] * (NUM // 2)
    spec, task = read_spec(whole.run), ImageClassification()
    index = Reader().scan(spec.data)
    for fold in range(FOLDS):
        own = np.flatnonzero(folds_N == fold)
        examples = [index.examples[row] for row in own]
        ctx = FitContext(
            Path(), spec, Scope(fold), [], examples, index.labels, None, MemoryLedger(),
            StopAt(), lambda _epoch, _metric: True,
        )  # fmt: skip
        dataset = task.dataset(examples, ctx, augment=False)
        batch = task.collate([dataset[i] for i in range(len(own))], seed=0, train=False)
        recomputed = []
        for trained in (fold, 1 - fold):
            model = task.load(Path(whole.run.ckpt, f"best_fold{trained}")).eval()
            with torch.no_grad():
                recomputed.append(model(**batch)["logits"].numpy())
        np.testing.assert_allclose(recomputed[0], logits_NK[own], atol=1e-4)
        assert not np.allclose(recomputed[1], logits_NK[own], atol=1e-2), "the other has seen them"
        assert f"fold{fold}, {fold + 1} of 2: 12 to train on, 12 to validate on" in whole.log


def test_its_numbers_are_scikit_learns(whole: Attempt) -> None:
    from sklearn.metrics import accuracy_score, f1_score, log_loss

    logits_NK, truth_N = whole.array("oof_logits.npy"), whole.array("oof_targets.npy")
    powers_NK = np.exp(logits_NK.astype(np.float64))
    summary, total = whole.records("metrics")[-2:]
    assert summary["_kind"] == total["_kind"] == "summary"
    guess_N = logits_NK.argmax(axis=1)
    assert summary["accuracy"] == pytest.approx(accuracy_score(truth_N, guess_N), abs=1e-6)
    expected = f1_score(truth_N, guess_N, average="macro")
    assert summary["macro_f1"] == pytest.approx(expected, abs=1e-6)
    probabilities_NK = powers_NK / powers_NK.sum(axis=1, keepdims=True)
    expected = log_loss(truth_N, probabilities_NK, labels=[0, 1, 2])
    assert summary["valid_loss"] == pytest.approx(expected, abs=1e-5)
    assert total["total_time_s"] > 0


def test_the_model_folder_says_what_it_is(whole: Attempt) -> None:
    import hashlib

    folder = Path(whole.run.at("model"))
    card = json.loads((folder / "overnight.json").read_text())
    assert card["format"] == "overnight-model/1"
    assert card["labels"] == ["class 0", "class 1", "class 2"]
    assert [each["fold"] for each in card["members"]] == [0, 1]
    assert card["input"]["size_px"] == [32, 32]
    assert card["source"]["run_id"] == whole.run.run_id
    there = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert there == {*card["files"], "overnight.json"}
    for name, said in card["files"].items():
        content = (folder / name).read_bytes()
        assert hashlib.sha256(content).hexdigest() == said["sha256"]
        assert len(content) == said["bytes"]
        assert not name.endswith((".pt", ".bin", ".pkl"))
    saved = [each for each in whole.records("job") if each["_event"] == "ModelSaved"]
    noted = [each for each in whole.records("media") if each["_kind"] == "artifact"]
    assert [each["kind"] for each in noted] == ["dataset", "model"]
    assert saved[0]["sha256"] == noted[-1]["sha256"]
    for fold in range(FOLDS):
        best = Path(whole.run.ckpt, f"best_fold{fold}")
        assert (best / "model.safetensors").is_file()
        assert not best.readlink().is_absolute()


def test_pictures_and_tables_are_kept(whole: Attempt) -> None:
    kept = {(each["_kind"], each["key"]): each for each in whole.records("media")}
    assert ("figure", "dataset/samples") in kept
    picture = Path(whole.run.at(kept["figure", "confusion_matrix"]["path"]))
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert kept["table", "confusion_matrix"]["plot"] == "confusion_matrix"
    assert kept["table", "per_class"]["num_rows"] == 3
    rows = _rows(whole.run, kept["table", "predictions"])
    assert len(rows) == NUM
    assert set(rows[0]) == {"image", "id", "truth", "prediction", "confidence", "fold"}
    assert Path(whole.run.at(rows[0]["image"]["_picture"]["path"])).is_file()
    wrong = [row["truth"] != row["prediction"] for row in rows]
    assert wrong == sorted(wrong, reverse=True), "the mistakes stand first"


def _rows(run: RunPaths, record: dict[str, Any]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in Path(run.at(record["path"])).read_text().splitlines()]


def test_its_lines_are_those_of_the_page_in_order(whole: Attempt) -> None:
    page = (Path(__file__).parents[2] / "docs" / "log-lines.md").read_text()
    tags = [re.sub(r" \d+", " n", tag) for tag in re.findall(r"^\[(.+?)\]", whole.log, re.M)]
    assert all(f"`[{tag}]" in page for tag in tags), tags
    first = list(dict.fromkeys(tags))
    assert first == [
        "BOOT", "CFG", "PATH", "DATA", "ARTIFACTS", "FOLD", "MODEL", "EPOCH n", "COPY", "DONE",
    ]  # fmt: skip
    assert "[PATH] data.train_csv" in whole.log
    assert len(re.findall(r"^\[PATH\] .+ OK$", whole.log, re.M)) == 2
    assert re.search(r"^NEW_BEST macro_f1 0\.\d{4} \(epoch 1, fold0\)$", whole.log, re.M)
    assert whole.log.splitlines()[-1].startswith("[DONE] 2 folds in ")
    parameters = re.search(r"\[MODEL\] .*: ([\d,]+) parameters \(all trainable\), input 3x32x32, "
                           r"[\d.e-]+ GFLOPs", whole.log)  # fmt: skip
    assert parameters is not None
    counted = next(each for each in whole.records("metrics") if "num_parameters" in each)
    assert f"{counted['num_parameters']:,}" == parameters[1]


def test_progress_is_that_of_the_whole_run(whole: Attempt) -> None:
    told = [each for each in whole.records("job") if each["_event"] == "Progress"]
    assert {each["total"] for each in told} == {FOLDS * EPOCHS}
    done = [each["done"] for each in told]
    assert done == sorted(done)
    assert done[-1] == FOLDS * EPOCHS
    configured = whole.records("job")[0]
    assert configured["_event"] == "Configured"
    assert (configured["epochs"], configured["folds"]) == (EPOCHS, FOLDS)


# ── a second attempt ────────────────────────────────────────────────────────────────────────


def test_a_stop_between_two_folds_costs_nothing(
    config: Path, whole: Attempt, tmp_path: Path
) -> None:
    run = begin(config, tmp_path)
    first = attempt(run, 0, StopBehind(Path(run.ckpt, "fold0", "result.json")))
    assert isinstance(first.error, Stopped), first.log
    assert not Path(run.at("model")).exists()
    second = attempt(run, 1)
    assert second.error is None, second.log
    assert "[FOLD] fold0 is over since an earlier attempt" in second.log
    assert "fold0: train_loss" not in second.log
    assert "fold1: train_loss" in second.log
    np.testing.assert_array_equal(second.array("oof_logits.npy"), whole.array("oof_logits.npy"))
    told = [each for each in second.records("job") if each["_event"] == "Progress"]
    assert {each["total"] for each in told} == {FOLDS * EPOCHS}
    # An attempt that finds all folds over leaves the same again.
    shutil.rmtree(run.at("model"))
    third = attempt(run, 2)
    assert third.error is None, third.log
    assert "[EPOCH" not in third.log
    assert Path(run.at("model", "overnight.json")).is_file()


def test_other_data_is_refused(tmp_path: Path) -> None:
    config = small_config(tmp_path)
    run = begin(config, tmp_path)
    first = attempt(run, 0, StopBehind(Path(run.at("plan.json"))))
    assert isinstance(first.error, Stopped), first.log
    table = tmp_path / "train.csv"
    table.write_text("".join(table.read_text().splitlines(keepends=True)[:-2]))
    second = attempt(run, 1)
    assert isinstance(second.error, UserError)
    assert second.error.key == "train.data_changed"


def test_a_moved_root_takes_its_data_along(tmp_path: Path) -> None:
    from overnight.trainer.spec_of_run import paths, read_spec

    before, after = tmp_path / "before", tmp_path / "after"
    before.mkdir()
    run = begin(small_config(before), before)
    inside = Path(run.dir).relative_to(before)
    before.rename(after)
    moved = dict(paths(read_spec(RunPaths(str(after / inside)))))
    assert moved["data.train_csv"] == after / "train.csv"
    assert all(path.exists() for path in moved.values())


# ── what goes wrong ─────────────────────────────────────────────────────────────────────────


def test_a_problem_that_stops_is_told_before_torch_is_asked_for(tmp_path: Path) -> None:
    config = small_config(tmp_path)
    (tmp_path / "images" / "0003.png").write_bytes(b"no picture")
    found = attempt(begin(config, tmp_path))
    assert isinstance(found.error, UserErrors)
    assert "[DATA] x " in found.log
    assert "0003" in found.log
    assert "[FOLD]" not in found.log
    kept = attempt(begin(config, tmp_path, data__unreadable="quarantine", train__epochs="1"))
    assert kept.error is None, kept.log
    assert "[DATA] 23 examples" in kept.log


def test_a_fold_that_lost_weights_says_whose_are_left(config: Path, tmp_path: Path) -> None:
    run = begin(config, tmp_path, data__valid_fold="0", train__epochs="1")
    found = attempt(run, unsaved=3)
    assert found.error is None, found.log
    [line] = [each for each in found.log.splitlines() if each.startswith("[CKPT] ! ")]
    assert "3 times the disk took no weights of fold0" in line
    assert line.endswith("of epoch 1")
    assert found.log.splitlines()[-1].startswith("[DONE] 1 fold in ")


def test_a_loss_that_is_none_ends_the_training_and_is_named(config: Path, tmp_path: Path) -> None:
    from overnight.supervisor.diagnose import Ending, diagnose

    found = attempt(begin(config, tmp_path, train__lr="1e30", train__grad_clip_norm="0"))
    assert isinstance(found.error, OvernightError), found.log
    out = io.StringIO()
    Console(out).refuse([found.error])
    assert re.search(r"at step \d+ \(learning rate [\d.]+e\+(29|30)\)", out.getvalue())
    cause = diagnose(Ending(code=found.error.exit_code, log_tail=found.log + out.getvalue()))
    assert cause.kind == "nan_loss"
