"""Parts of a training that need no torch: out-of-fold numbers, model folder, pictures."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from overnight.errors import UserError
from overnight.ledger.paths import RunPaths, create_run
from overnight.tasks.base import FitResult, Scope
from overnight.tasks.image_classification.config import INFO
from overnight.trainer import kept, members, oof, pictures
from overnight.trainer.console import Console


@settings(max_examples=60, deadline=None)
@given(st.integers(2, 6), st.integers(8, 60), st.integers(0, 10_000))
def test_numbers_agree_with_scikit_learn(num_classes: int, num: int, seed: int) -> None:
    from sklearn.metrics import f1_score, log_loss, precision_recall_fscore_support

    rng = np.random.default_rng(seed)
    targets_N = rng.integers(0, num_classes, num)
    # Half of them right: F1 in the middle, where mistakes show.
    logits_NK = rng.normal(size=(num, num_classes)).astype(np.float32)
    logits_NK[np.arange(num), targets_N] += rng.integers(0, 2, num) * 2
    rows_N = np.arange(num)
    found = oof.OutOfFold(rows_N, logits_NK, targets_N, rows_N % 2)
    guess_N = logits_NK.argmax(axis=1)
    numbers = found.metrics()
    assert numbers["macro_f1"] == pytest.approx(
        f1_score(targets_N, guess_N, average="macro", zero_division=0), abs=1e-9
    )
    all_classes = list(range(num_classes))
    expected = log_loss(targets_N, found.probabilities(), labels=all_classes)
    assert numbers["valid_loss"] == pytest.approx(expected, abs=1e-6)
    table = oof.per_class(found.confusion())
    precision_K, recall_K, f1_K, support_K = precision_recall_fscore_support(
        targets_N, guess_N, labels=all_classes, zero_division=0
    )
    for k in all_classes:
        assert table[k]["precision"] == pytest.approx(precision_K[k])
        assert table[k]["recall"] == pytest.approx(recall_K[k])
        assert table[k]["f1"] == pytest.approx(f1_K[k])
        assert table[k]["num"] == support_K[k]


def test_folds_are_laid_in_the_order_of_the_data(tmp_path: Path) -> None:
    fold_of = [1, 0, -1, 1, 0]
    for fold, rows in ((0, [1, 4]), (1, [0, 3])):
        np.save(tmp_path / f"{fold}.npy", np.array([[row, -row] for row in rows], np.float32))
    logits = {fold: tmp_path / f"{fold}.npy" for fold in (0, 1)}
    found = oof.gather(logits, fold_of, [0, 1, 0, 1, 0])
    assert found.rows.tolist() == [0, 1, 3, 4], "what is always trained on has no prediction"
    assert found.logits[:, 0].tolist() == [0, 1, 3, 4]
    assert found.targets.tolist() == [0, 1, 1, 0]
    assert found.folds.tolist() == [1, 0, 1, 0]
    found.save(tmp_path / "oof", ["a", "b", "c", "d", "이름"])
    ids = np.load(tmp_path / "oof" / "oof_ids.npy", allow_pickle=False)
    assert ids.tolist() == ["a", "b", "d", "이름"]


def _fold(run: RunPaths, number: int, content: bytes) -> kept.Fold:
    scope = Scope(number)
    best = kept.folder(run, scope) / "best"
    best.mkdir(parents=True)
    (best / "model.safetensors").write_bytes(content)
    (best / "member.json").write_text(json.dumps({"input": {"size_px": [8, 8]}}))
    sizes = {"model.safetensors": len(content)}
    (best / "whole.json").write_text(json.dumps({"files": sizes}))
    result = FitResult(best, {"macro_f1": 0.5, "epoch": 3}, "finished", None)
    return kept.keep(run, scope, result)


def test_a_model_folder_is_replaced_whole_or_not_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = create_run(str(tmp_path), "train", "x")
    folds = [_fold(run, 0, b"zero"), _fold(run, 1, b"one")]

    def build(labels: list[str]) -> Path:
        return members.build(
            run, INFO, folds, labels=labels, metrics={"macro_f1": 0.5}, data_fingerprint="f"
        )

    folder = build(["a", "b"])
    card = json.loads((folder / "overnight.json").read_text())
    assert card["input"] == {"size_px": [8, 8]}
    assert "fold0/whole.json" not in card["files"]
    assert (folder / "fold1" / "model.safetensors").stat().st_nlink > 1, "no second copy"

    def full(_folder: Path) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(members, "listing", full)
    with pytest.raises(OSError, match="No space"):
        build(["c", "d"])
    assert json.loads((folder / "overnight.json").read_text())["labels"] == ["a", "b"]
    monkeypatch.undo()
    (Path(run.dir) / "model.123.tmp").mkdir()  # of an attempt that was killed
    build(["c", "d"])
    assert json.loads((folder / "overnight.json").read_text())["labels"] == ["c", "d"]
    assert [path.name for path in Path(run.dir).glob("model*")] == ["model"]


def test_a_fold_that_is_over_stays_over_where_the_root_is_moved(tmp_path: Path) -> None:
    run = create_run(str(tmp_path / "before"), "train", "x")
    _fold(run, 0, b"zero")
    (tmp_path / "before").rename(tmp_path / "after")
    moved = RunPaths(run.dir.replace("before", "after"))
    found = kept.kept(moved, Scope(0))
    assert found is not None
    assert found.member.is_relative_to(tmp_path / "after")
    assert kept.kept(moved, Scope(1)) is None
    (found.member / "model.safetensors").write_bytes(b"z")
    assert kept.kept(moved, Scope(0)) is None, "a member that is not whole is trained again"


@pytest.mark.parametrize("num_classes", [2, 10, 30, 80])
def test_a_confusion_matrix_is_drawn_for_any_number_of_classes(
    tmp_path: Path, num_classes: int
) -> None:
    rng = np.random.default_rng(0)
    confusion_KK = rng.integers(0, 9, (num_classes, num_classes)) + 40 * np.eye(
        num_classes, dtype=int
    )
    labels = [f"고양이 {k}" if k % 2 else f"class {k}" for k in range(num_classes)]
    figure = pictures.confusion_picture(confusion_KK, labels)
    figure.savefig(tmp_path / "matrix.png")  # a missing letter would warn, which is an error here
    assert (tmp_path / "matrix.png").read_bytes().startswith(b"\x89PNG")


def test_the_last_line_of_a_refusal_says_it_in_one() -> None:
    out = io.StringIO()
    errors = [
        UserError("train.no_such_path", where="data.train_csv", path="/x.csv"),
        UserError("train.args", where="--lr"),
    ]
    Console(out).refuse(errors)
    lines = out.getvalue().splitlines()
    assert lines[-1] == "[ERROR] /x.csv does not exist (data.train_csv) (+1)"
    assert len(lines) == 7
