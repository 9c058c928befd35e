"""A fit on real pictures: what it reports, what it leaves, how it ends."""

from __future__ import annotations

import dataclasses
import math
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.metrics import f1_score

from overnight.errors import OvernightError, UserError
from overnight.ledger import job
from overnight.ledger.reader import read, rows
from overnight.tasks.base import Example, FitResult, Scope
from overnight.tasks.image_classification.model import Classifier
from overnight.tasks.image_classification.task import ImageClassification
from overnight.testing import faults, fits, parity, resume_proof
from overnight.trainer import checkpoints
from overnight.trainer.engine import HfEngine
from overnight.trainer.ledger import RunLedger
from overnight.trainer.narrator import Silent

torch.set_num_threads(1)
#: By their names in docs/metrics.md.
NUMBERS = {
    "train_loss", "valid_loss", "train_accuracy", "accuracy", "train_macro_f1", "macro_f1",
    "best_macro_f1", "lr", "time_s", "mem_MiB",
}  # fmt: skip


class Listener(Silent):
    """Remembers what it was told."""

    def __init__(self) -> None:
        self.said: list[tuple[str, Any]] = []

    def begin(self, scope: Scope, facts: Mapping[str, object]) -> None:
        self.said.append(("begin", facts))

    def checkpoint_failed(self, scope: Scope, error: Exception) -> None:
        self.said.append(("checkpoint_failed", error))

    def stopped(self, scope: Scope, why: Any, epoch: int, step: int) -> None:
        self.said.append(("stopped", (why, epoch, step)))

    def new_best(self, scope: Scope, metric: str, value: float, epoch: int) -> None:
        self.said.append(("new_best", (metric, epoch)))


@dataclasses.dataclass
class Done:
    """A fit that is over."""

    result: FitResult
    ledger: fits.MemoryLedger
    folder: Path
    told: Listener

    def events(self, name: str) -> list[dict[str, Any]]:
        return [fields for each, fields in self.ledger.events if each == name]


@pytest.fixture(scope="session")
def examples(tmp_path_factory: pytest.TempPathFactory) -> list[Example]:
    return fits.images(tmp_path_factory.mktemp("images"), 36)


Fitted = Callable[..., Done]


@pytest.fixture
def fitted(tmp_path: Path, examples: list[Example]) -> Fitted:
    def run(
        train: Mapping[str, Any] | None = None,
        model: Mapping[str, Any] | None = None,
        folder: Path = tmp_path / "ckpt" / "fold0",
        steps: int | None = None,
        **changes: Any,
    ) -> Done:
        told = Listener()
        ctx = fits.context(folder, examples, fits.spec(train=train, model=model), **changes)
        engine = HfEngine(told, checkpoint_every_steps=steps)
        result = engine.fit(ImageClassification(), ctx)
        assert isinstance(ctx.ledger, fits.MemoryLedger)
        return Done(result, ctx.ledger, folder, told)

    return run


def test_a_fit_reports_and_leaves_what_it_should(fitted: Fitted, examples: list[Example]) -> None:
    done = fitted({"ema": 0.9, "log_interval": 2, "optimizer": "sgd", "scheduler": "onecycle"})
    epochs, steps = done.ledger.epochs(), done.ledger.steps()
    assert [row["epoch"] for row in epochs] == [1, 2]
    assert all(set(row) == NUMBERS | {"epoch", "fold"} for row in epochs)
    assert [row["step"] for row in steps] == [2, 4, 6]
    assert all(set(row) == {"step", "fold", "batch_loss", "lr"} for row in steps)
    assert done.ledger.done[-1] == (6, 6)
    assert done.result.ended == "finished"
    assert [fields["path"] for fields in done.events("CheckpointSaved")] == [
        "ckpt/fold0/checkpoint-3",
        "ckpt/fold0/checkpoint-6",
    ]
    assert done.events("NewBest")[0]["epoch"] == 1
    # The logits are the best epoch's, and the member gives them again.
    best = done.result.metrics
    assert done.result.logits is not None
    logits = np.load(done.result.logits)
    assert (logits.shape, logits.dtype) == ((12, 3), np.float32)
    meant = [example.target for example in examples[:12]]
    ours = f1_score(meant, logits.argmax(1), average="macro")
    assert best["macro_f1"] == pytest.approx(ours, abs=1e-6)
    assert best["macro_f1"] == max(row["macro_f1"] for row in epochs)
    task = ImageClassification()
    ctx = fits.context(done.folder, examples, fits.spec())
    items = task.dataset(examples[:12], ctx, augment=False)
    with torch.no_grad():
        fresh = task.load(done.result.member)(torch.stack([items[i][0] for i in range(12)]))
    assert np.allclose(fresh.logits.numpy(), logits, atol=1e-5)
    again = HfEngine().evaluate(task, done.result.member, ctx)
    assert again["macro_f1"] == pytest.approx(best["macro_f1"])
    assert again["valid_loss"] == pytest.approx(best["valid_loss"], rel=1e-5)
    assert done.told.said[0][1]["device"] == "cpu"  # type: ignore[index]


def test_the_training_numbers_are_of_the_trainings_logits(fitted: Fitted) -> None:
    done = fitted({"epochs": 1})
    (epoch,) = done.ledger.epochs()
    losses = [row["batch_loss"] for row in done.ledger.steps()]
    assert epoch["train_loss"] == pytest.approx(np.mean(losses), rel=1e-6)
    assert 0 < epoch["train_accuracy"] <= 1


def test_gradients_are_spread_out_where_that_is_asked(
    fitted: Fitted, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    run = job.open_run("gradients", root=str(tmp_path / "root"))
    try:
        done = fitted({"epochs": 2, "log_gradients": True, "grad_clip_norm": 0.01})
    finally:
        job.close_run(run, {"attempt": 0, "code": 0, "signal": None})
    kept = [each for each in read(run.run.dir, "media").records if each["_kind"] == "histogram"]
    assert {each["step"] for each in kept} == {3, 6}  # each epoch's last step
    assert all(each["key"].startswith("gradients/") for each in kept)
    assert all(each["low"] < 0 < each["high"] and sum(each["counts"]) for each in kept)
    row = next(row for row in done.ledger.steps() if "grad_norm" in row)
    assert row["grad_norm"] == pytest.approx(0.01, rel=0.01)
    assert any(name.endswith("_p95") for name in row)


def test_a_signal_saves_and_the_next_attempt_ends_as_if_it_had_not_come(fitted: Fitted) -> None:
    train = {"ema": 0.9, "mixup": 0.3, "augmentation": "basic"}
    whole = fitted(train)
    weights = fits.sha256(whole.folder / "checkpoint-6" / "model.safetensors")
    member = fits.sha256(whole.result.member / "model.safetensors")
    # 3 steps and 2 batches of evaluation an epoch: in the middle, before and in an evaluation.
    for turn, step, unevaluated in ((1, 2, False), (2, 3, True), (4, 3, True)):
        folder = whole.folder.with_name(f"stopped{turn}")
        stopped = fitted(train, folder=folder, stop=fits.StopAt(turn))
        assert stopped.result.ended == "signal"
        (honoured,) = stopped.events("StopHonoured")
        assert honoured["checkpoint"].endswith(f"checkpoint-{step}")
        state = (folder / f"checkpoint-{step}" / "fit.json").read_text()
        assert f'"unevaluated": {str(unevaluated).lower()}' in state
        # Moved meanwhile, as a root may be.
        folder = folder.rename(folder.with_name(f"moved to {turn}"))
        resumed = fitted(train, folder=folder)
        assert resumed.result.ended == "finished"
        assert fits.sha256(folder / "checkpoint-6" / "model.safetensors") == weights
        assert fits.sha256(resumed.result.member / "model.safetensors") == member


def test_a_last_batch_of_one_is_left_out(tmp_path: Path, examples: list[Example]) -> None:
    ctx = fits.context(tmp_path, examples, fits.spec(train={"epochs": 1}), train=examples[12:29])
    HfEngine().fit(ImageClassification(), ctx)
    assert isinstance(ctx.ledger, fits.MemoryLedger)
    assert [row["step"] for row in ctx.ledger.steps()] == [1, 2]


def test_a_deadline_leaves_what_was_learnt(fitted: Fitted) -> None:
    done = fitted(stop=fits.StopAt(1, "deadline"))
    assert done.result.ended == "deadline"
    assert done.ledger.epochs() == []
    assert (done.result.member / "model.safetensors").exists()
    assert done.told.said[-1] == ("stopped", ("deadline", 0, 2))


def test_early_stopping_and_pruning_end_it_and_stay_ended(fitted: Fitted) -> None:
    early = {"epochs": 9, "lr": 1e-12, "early_stopping": {"patience": 2}}
    done = fitted(early)
    (event,) = done.events("EarlyStopped")
    assert done.result.ended == "early_stopped"
    assert (event["epoch"], event["total"]) == (3, 9)
    assert len(done.ledger.epochs()) == 3
    # Killed after the decision: the next attempt does not train on.
    again = fitted(early)
    assert again.result == done.result
    assert again.ledger.rows == []
    folder = done.folder.with_name("pruned")
    pruned = fitted({"epochs": 5}, folder=folder, report=lambda epoch, _: epoch < 2)
    assert pruned.result.ended == "pruned"
    assert len(pruned.ledger.epochs()) == 2


def test_a_loss_that_is_no_number_ends_it_and_names_step_and_rate(fitted: Fitted) -> None:
    with pytest.raises(OvernightError) as failed:
        fitted({"optimizer": "sgd", "lr": 1e30, "grad_clip_norm": 0, "epochs": 4, "warmup": 0})
    assert "at step" in failed.value.what
    assert "1e+30" in failed.value.what or "e+29" in failed.value.what
    assert "train.lr" in failed.value.fix


class Loose(Classifier):
    """Takes any keyword, as most models of transformers do."""

    def forward(self, pixel_values: Any, labels: Any = None, **_: Any) -> Any:
        return super().forward(pixel_values, labels)


class Other(ImageClassification):
    """Image classification as another task would have it."""

    def model(self, ctx: Any) -> Any:
        made = super().model(ctx)
        made.__class__ = Loose
        return made


def test_accumulated_losses_are_averaged_whatever_the_model_takes(
    tmp_path: Path, examples: list[Example]
) -> None:
    asked = fits.spec(train={
        "epochs": 1, "accumulate": 2, "batch_size": 4, "optimizer": "sgd", "grad_clip_norm": 0,
    })  # fmt: skip
    weights = set()
    for task in (ImageClassification(), Other()):
        folder = tmp_path / type(task).__name__
        result = HfEngine().fit(task, fits.context(folder, examples, asked))
        weights.add(fits.sha256(result.member / "model.safetensors"))
    assert len(weights) == 1


def test_a_task_may_have_no_number_but_its_loss_and_no_logits(
    tmp_path: Path, examples: list[Example]
) -> None:
    task = ImageClassification()
    task.info = dataclasses.replace(
        task.info, main_metric="valid_loss", greater_is_better=False, can=frozenset({"folds"})
    )
    ctx = fits.context(tmp_path / "fold0", examples, fits.spec(train={"epochs": 3}))
    result = HfEngine().fit(task, ctx)
    assert isinstance(ctx.ledger, fits.MemoryLedger)
    losses = [row["valid_loss"] for row in ctx.ledger.epochs()]
    assert result.metrics["valid_loss"] == min(losses)
    assert ctx.ledger.epochs()[-1]["best_valid_loss"] == min(losses)
    assert "train_accuracy" not in ctx.ledger.epochs()[-1]
    assert result.logits is None


def test_an_operation_that_is_not_deterministic_is_named(
    tmp_path: Path, examples: list[Example]
) -> None:
    class Drawn(ImageClassification):
        def model(self, ctx: Any) -> Any:
            made = super().model(ctx)
            place, value = torch.tensor([0]), torch.ones(1)
            made.register_forward_pre_hook(lambda *_: torch.zeros(1).put_(place, value) and None)
            return made

    asked = fits.spec(train={"epochs": 1, "deterministic": True})
    with pytest.warns(UserWarning, match="put_ does not have a deterministic implementation"):
        HfEngine().fit(Drawn(), fits.context(tmp_path / "fold0", examples, asked))


def test_fp16_on_a_processor_is_refused(fitted: Fitted) -> None:
    with pytest.raises(UserError, match="fp16 needs a GPU"):
        fitted({"amp": "fp16"})


def test_bf16_trains_on_a_processor_too(fitted: Fitted) -> None:
    assert math.isfinite(fitted({"amp": "bf16", "epochs": 1}).result.metrics["valid_loss"])


def test_a_full_disk_keeps_the_checkpoint_before(fitted: Fitted, tmp_path: Path) -> None:
    first = fitted({"epochs": 1})
    size = sum(path.stat().st_size for path in first.folder.rglob("*")) // 1024
    try:
        with faults.small_disk(int(size * 1.6)) as disk:
            done = fitted({"epochs": 3}, folder=disk / "run" / "ckpt" / "fold0")
            assert [word for word, _ in done.told.said].count("checkpoint_failed") >= 1
            assert done.result.ended == "finished"
            assert checkpoints.whole(done.folder)
            assert checkpoints.is_whole(done.result.member)
    except faults.FaultUnavailableError as error:
        pytest.skip(str(error))


def test_rows_reach_the_runs_ledger_and_progress_is_of_the_whole_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "claims").mkdir()
    monkeypatch.setenv("OVERNIGHT_RUN_DIR", str(tmp_path))
    ledger = RunLedger(total_scopes=5, scopes_done=2)
    ledger.metrics({"macro_f1": 0.5, "lr": math.nan}, epoch=3, scope=Scope(fold=2))
    ledger.metrics({"batch_loss": 1.0}, step=7, scope=Scope(fold=2, trial=1, stage="tune"))
    ledger.progress(10, 40)
    ledger.event("NewBest", metric="macro_f1", value=0.5)
    epoch, step = rows(str(tmp_path))
    assert (epoch.kind, epoch.epoch, epoch.scope.fold) == ("epoch", 3, 2)
    assert math.isnan(epoch.values["lr"])
    assert (step.kind, step.step, step.scope.trial, step.scope.stage) == ("step", 7, 1, "tune")
    told = (tmp_path / "job.jsonl").read_text()
    assert '"done":90,"total":200' in told


def test_the_losses_are_those_of_a_plain_script(tmp_path: Path) -> None:
    assert parity.worst(parity.compare(tmp_path)) <= parity.TOLERANCE


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="forks")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_killed_training_ends_as_if_it_had_not_been(tmp_path: Path) -> None:
    found = resume_proof.prove(tmp_path, kills=3, seed=11, say=lambda _: None)
    assert found.differing == []
    assert found.most_repeated <= resume_proof.INTERVAL
