"""What a training leaves where a temperature is asked for, and what is done when it is over.

No network is trained here: members and their out-of-fold logits are written down.
"""

from __future__ import annotations

import contextlib
import io
import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from overnight import spec as specs
from overnight.calibration import fit_mean, judge
from overnight.errors import LedgerError, UserError
from overnight.ledger import files, job
from overnight.ledger.paths import RunPaths, create_run
from overnight.ledger.reader import merged
from overnight.model_folder import verify
from overnight.tasks.base import DataIndex, Example, FitResult, Scope
from overnight.trainer import checkpoints, kept, results
from overnight.trainer.console import Console
from overnight.trainer.kept import Plan
from overnight.trainer.recalibrate import again

NUM, FOLDS, LABELS = 300, 3, ["고양이", "dog's", "<b>"]


def logits_of(times: float) -> tuple[Any, Any]:
    """Logits that are ``times`` as sure as they should be, and the truth."""
    rng = np.random.default_rng(7)
    logits_NK = rng.normal(size=(NUM, len(LABELS))) * 2
    noise_NK = rng.gumbel(size=logits_NK.shape)
    return (logits_NK * times).astype(np.float32), (logits_NK + noise_NK).argmax(axis=1)


@dataclass(slots=True)
class Left:
    """A training that is over, and what it said."""

    run: RunPaths
    log: str

    def records(self, base: str, event: str) -> list[dict[str, Any]]:
        """Those of an event, or of a kind, in the order of the ledger."""
        found = [record for _, _, record in merged(self.run.dir, base)]
        return [record for record in found if event in (record.get("_event"), record.get("_kind"))]

    def rows(self, key: str) -> list[dict[str, Any]]:
        """Those of the newest table of that name."""
        record = [each for each in self.records("media", "table") if each["key"] == key][-1]
        text = Path(self.run.at(record["path"])).read_text(encoding="utf-8")
        return [json.loads(line) for line in text.splitlines()]


@contextlib.contextmanager
def in_run(run: RunPaths) -> Iterator[None]:
    """This process is the run's job."""
    job.switch_to(job.Job(run, 0))
    try:
        yield
    finally:
        if (mine := job.current()) is not None:
            mine.close()
        job.switch_to(None)


def train(
    root: Path, *, calibration: bool, logits_NK: Any = None, valid_fold: int | str = "all"
) -> Left:
    """A training whose folds put out these logits, from its end on."""
    given_NK, targets_N = logits_of(2.0)
    logits_NK = given_NK if logits_NK is None else logits_NK
    config = root / "c.yaml"
    config.write_text(
        "task: image_classification\n"
        f"data: {{train_csv: c.yaml, image_dir_train: ., folds: {FOLDS}, valid_fold: {valid_fold}}}"
        f"\nmodel: {{pretrained: false}}\ncalibration: {str(calibration).lower()}\n"
    )
    run = create_run(str(root), "train", "한 'run")
    spec = specs.read(config)
    examples = [Example(f"{n}.png", {}, int(target)) for n, target in enumerate(targets_N)]
    fold_of = [n % FOLDS for n in range(NUM)]
    scopes = [Scope(fold) for fold in range(FOLDS) if valid_fold in ("all", fold)]
    done = []
    for scope in scopes:
        base = kept.folder(run, scope)
        write = {
            "model.safetensors": lambda path: path.write_bytes(b"weights"),
            "member.json": lambda path: path.write_text("{}"),
        }
        checkpoints.commit(base / "best", write)
        np.save(base / "valid_logits.npy", logits_NK[np.array(fold_of) == scope.fold])
        result = FitResult(base / "best", {"macro_f1": 0.5}, "finished", base / "valid_logits.npy")
        done.append(kept.keep(run, scope, result))
    out = io.StringIO()
    plan = Plan(DataIndex(examples, [], LABELS, "f", [], {}), fold_of, scopes)
    with in_run(run):
        results.leave(run, Console(out), spec, plan, done)
    files.replace(run.run_json, files.to_json({"run_id": run.run_id, "supervised": False}))
    files.replace(run.exit_json, files.to_json({"attempt": 0, "code": 0}))
    return Left(run, out.getvalue())


@pytest.fixture(scope="module")
def calibrated(tmp_path_factory: pytest.TempPathFactory) -> Left:
    return train(tmp_path_factory.mktemp("root"), calibration=True)


@pytest.fixture(scope="module")
def once(tmp_path_factory: pytest.TempPathFactory) -> Left:
    return train(tmp_path_factory.mktemp("root"), calibration=False)


@pytest.fixture
def plain(once: Left, tmp_path: Path) -> Left:
    place = tmp_path / Path(once.run.dir).relative_to(once.run.root)
    shutil.copytree(once.run.dir, place)
    return Left(RunPaths(str(place)), once.log)


# ── a training that was asked for it ────────────────────────────────────────────────────────


def test_the_model_has_its_temperature_and_how_it_was_judged(calibrated: Left) -> None:
    logits_NK, targets_N = logits_of(2.0)
    expected = judge(logits_NK, targets_N, np.arange(NUM) % FOLDS)
    assert expected.why == "fitted"
    card = verify(calibrated.run.at("model"))
    assert card.temperature == expected.temperature == pytest.approx(2.0, rel=0.15)
    said = card.said["calibration"]
    assert (said["why"], said["num"], said["num_parts"]) == ("fitted", NUM, FOLDS)
    assert said["after"]["nll"] < said["before"]["nll"]
    assert said["before"]["nll"] == pytest.approx(card.metrics["valid_loss"])
    assert said["after"]["accuracy"] == pytest.approx(card.metrics["accuracy"])
    # Of the folder as it is: the ledger heard of it when it was whole.
    assert calibrated.records("job", "ModelSaved")[-1]["sha256"] == card.sha256


def test_the_ledger_shows_before_and_after(calibrated: Left) -> None:
    [row] = [each for each in calibrated.records("metrics", "summary") if "temperature" in each]
    card = verify(calibrated.run.at("model"))
    assert row["stage"] == "calibrate"
    for name in ("ece", "mce", "nll", "brier"):
        assert row[f"{name}_before"] == card.said["calibration"]["before"][name]
        assert row[f"{name}_after"] == card.said["calibration"]["after"][name]
    [event] = calibrated.records("job", "Calibrated")
    assert event["temperature"] == row["temperature"] == card.temperature
    assert Path(calibrated.run.at(event["path"])).is_file()
    bins = calibrated.rows("reliability")
    assert list(bins[0]) == ["when", "bin_low", "bin_high", "confidence", "accuracy", "num"]
    for when in ("before", "after"):
        assert sum(each["num"] for each in bins if each["when"] == when) == NUM
        gaps = [
            abs(each["confidence"] - each["accuracy"]) * each["num"] / NUM
            for each in bins
            if each["when"] == when
        ]
        assert sum(gaps) == pytest.approx(row[f"ece_{when}"])
    [picture] = [
        each for each in calibrated.records("media", "figure") if each["key"] == "reliability"
    ]
    assert Path(calibrated.run.at(picture["path"])).read_bytes().startswith(b"\x89PNG")


def test_its_line_is_the_one_of_the_page(calibrated: Left) -> None:
    lines = [line for line in calibrated.log.splitlines() if line.startswith("[CALIB]")]
    assert len(lines) == 1
    assert lines[0].startswith("[CALIB] temperature ")
    assert ", 300 rows in 3 parts: nll " in lines[0]
    page = (Path(__file__).parents[2] / "docs" / "log-lines.md").read_text(encoding="utf-8")
    assert "`[CALIB] temperature" in page
    assert calibrated.log.index("[CALIB]") < calibrated.log.index("model/overnight.json")


def test_confidences_are_those_that_are_served(calibrated: Left, plain: Left) -> None:
    before = {each["id"]: each for each in plain.rows("predictions")}
    after = {each["id"]: each for each in calibrated.rows("predictions")}
    assert {each["prediction"] for each in before.values()} == set(LABELS)
    for id, each in after.items():
        assert each["prediction"] == before[id]["prediction"]
        assert each["confidence"] <= before[id]["confidence"]


def test_what_is_not_asked_for_is_not_done(plain: Left) -> None:
    card = verify(plain.run.at("model"))
    assert card.temperature == 1.0
    assert "calibration" not in card.said
    assert "[CALIB]" not in plain.log
    assert not plain.records("job", "Calibrated")


def test_a_night_does_not_end_with_logits_that_are_none(tmp_path: Path) -> None:
    logits_NK, _ = logits_of(2.0)
    logits_NK[5, 1] = np.inf
    with np.errstate(invalid="ignore"):
        left = train(tmp_path, calibration=True, logits_NK=logits_NK)
    assert "[CALIB] ! row 5 has a logit" in left.log
    assert verify(left.run.at("model")).temperature == 1.0


# ── a run that is over ──────────────────────────────────────────────────────────────────────


def test_it_becomes_what_the_training_would_have_left(plain: Left, calibrated: Left) -> None:
    before = verify(plain.run.at("model"))
    done = again(plain.run, 0)
    assert done.changed
    assert done.pictured
    after = verify(plain.run.at("model"))
    wanted = verify(calibrated.run.at("model"))
    assert (after.temperature, after.said["calibration"]) == (
        wanted.temperature, wanted.said["calibration"]
    )  # fmt: skip
    assert after.files == before.files
    assert plain.rows("reliability") == calibrated.rows("reliability")
    saved = plain.records("job", "ModelSaved")
    assert [each["sha256"] for each in saved] == [before.sha256, after.sha256]
    assert saved[1]["name"] == saved[0]["name"]
    [artifact] = [
        each for each in plain.records("media", "artifact") if each["sha256"] == after.sha256
    ]
    assert artifact["kind"] == "model"


def test_the_mean_of_the_members_has_a_temperature_of_its_own(plain: Left) -> None:
    """What they put out for pictures without a label lies where the training has left it."""
    given_NK, _ = logits_of(2.0)
    noise_MNK = np.random.default_rng(1).normal(size=(FOLDS, *given_NK.shape)) * 2
    logits_MNK = (given_NK + noise_MNK).astype(np.float32)
    np.save(plain.run.at("oof", "unlabelled_logits.npy"), logits_MNK)
    found = again(plain.run, 0).calibration
    card = verify(plain.run.at("model"))
    expected = fit_mean(logits_MNK, found.temperature)
    assert expected is not None
    assert expected < found.temperature
    assert card.temperature == expected
    assert card.said["calibration"]["fitted"] == found.temperature
    assert card.said["calibration"]["mean"] == {"temperature": expected, "num": NUM}
    assert not again(plain.run, 0).changed


def test_logits_of_other_members_are_refused(plain: Left) -> None:
    np.save(plain.run.at("oof", "unlabelled_logits.npy"), np.zeros((FOLDS + 1, 4, 3)))
    before = Path(plain.run.at("model", "overnight.json")).read_bytes()
    with pytest.raises(UserError, match="4 x 4 x 3"):
        again(plain.run, 0)
    assert Path(plain.run.at("model", "overnight.json")).read_bytes() == before


def test_twice_is_once(plain: Left) -> None:
    again(plain.run, 0)
    records = len([*merged(plain.run.dir, "job"), *merged(plain.run.dir, "media")])
    card = Path(plain.run.at("model", "overnight.json")).read_bytes()
    done = again(plain.run, 0)
    assert not done.changed
    assert len([*merged(plain.run.dir, "job"), *merged(plain.run.dir, "media")]) == records
    assert Path(plain.run.at("model", "overnight.json")).read_bytes() == card


def test_killed_behind_the_card_it_is_done_again(
    plain: Left, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("overnight.trainer.calibrate.show", die)
    with pytest.raises(KeyboardInterrupt):
        again(plain.run, 0)
    monkeypatch.undo()
    card = verify(plain.run.at("model"))
    assert card.temperature != 1.0, "the card is whole, the ledger knows nothing of it"
    assert plain.records("job", "Calibrated") == []
    assert again(plain.run, 0).changed
    assert plain.records("job", "ModelSaved")[-1]["sha256"] == card.sha256
    assert len(plain.records("job", "Calibrated")) == 1


def test_a_ledger_that_takes_nothing_is_told(plain: Left, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RANK", "1")  # a process that has nothing to say
    with pytest.raises(LedgerError):
        again(plain.run, 0)
    monkeypatch.undo()
    assert again(plain.run, 0).changed


def test_one_fold_is_enough(tmp_path: Path) -> None:
    left = train(tmp_path, calibration=False, valid_fold=1)
    done = again(left.run, 0)
    assert (done.calibration.num, done.calibration.num_parts) == (NUM // FOLDS, 5)
    assert len(done.card.members) == 1


@pytest.mark.parametrize(
    ("name", "content", "key"),
    [
        ("oof_logits.npy", None, "no_oof"),
        ("oof_targets.npy", None, "no_file"),
        ("oof_logits.npy", b"", "no_array"),
        ("oof_folds.npy", b"\x80\x04K\x01.", "no_array"),
        ("oof_logits.npy", np.zeros((NUM - 1, 3), np.float32), "oof_damaged"),
        ("oof_logits.npy", np.zeros((NUM, 2), np.float32), "oof_damaged"),
        ("oof_logits.npy", np.zeros((NUM, 4), np.float32), "oof_damaged"),
        ("oof_logits.npy", np.full((NUM, 3), np.nan, np.float32), "oof_damaged"),
        ("oof_folds.npy", np.zeros(3, np.int64), "oof_damaged"),
        ("oof_targets.npy", np.array([None] * NUM), "no_array"),
    ],
)
def test_damaged_predictions_are_refused(plain: Left, name: str, content: Any, key: str) -> None:
    path = Path(plain.run.at("oof", name))
    card = Path(plain.run.at("model", "overnight.json")).read_bytes()
    if content is None:
        path.unlink()
    elif isinstance(content, bytes):
        path.write_bytes(content)
    else:
        np.save(path, content, allow_pickle=True)
    with pytest.raises(UserError) as refused:
        again(plain.run, 0)
    assert refused.value.key == f"calibrate.{key}"
    assert Path(plain.run.at("model", "overnight.json")).read_bytes() == card
