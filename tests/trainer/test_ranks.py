"""Two processes of a machine train one model: same rows, same bits, neither outlives the other."""

from __future__ import annotations

import json
import os
import traceback
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.metrics import accuracy_score

from overnight.errors import OvernightError, UserError
from overnight.tasks.image_classification.task import ImageClassification
from overnight.testing import fits, resume_proof
from overnight.trainer import ranks
from overnight.trainer.engine import HfEngine
from overnight.trainer.team import Group, Team

pytestmark = [
    pytest.mark.skipif(not hasattr(os, "fork"), reason="forks"),
    pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning"),
]
psutil = pytest.importorskip("psutil")  # accelerate brings it
torch.set_num_threads(1)
#: Odd, so that the two evaluate unequal parts.
NUM, NUM_VALID = 33, 13


def apart(work: Callable[[Path], None], folder: Path) -> None:
    """Does it in a process of its own: what has trained in a group is never forked again."""
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            work(folder)
            code = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(code)
    _, status = os.waitpid(pid, 0)
    assert os.waitstatus_to_exitcode(status) == 0


def test_each_has_a_part_and_together_they_have_each_item_once() -> None:
    items = list(range(13))
    assert Team().share(items) == items
    parts = [Group(rank, 4).share(items) for rank in range(4)]
    assert [each for part in parts for each in part] == items
    assert {len(part) for part in parts} == {3, 4}
    assert [list(Group(rank, 3).share([7])) for rank in range(3)] == [[], [], [7]]


def test_a_processor_takes_as_many_as_are_asked_for() -> None:
    on = torch.device("cpu")
    assert [ranks.world(asked, on) for asked in ("auto", 1, 3)] == [1, 1, 3]
    with pytest.raises(UserError, match="asks for 2 GPUs, and 1"):
        ranks.world(2, torch.device("mps"))


def test_another_number_of_devices_is_refused_before_anything_starts(tmp_path: Path) -> None:
    examples = fits.images(tmp_path / "images", NUM)
    folder = tmp_path / "ckpt" / "fold0"
    alone = fits.context(folder, examples, fits.spec(train={"epochs": 1}))
    HfEngine().fit(ImageClassification(), alone)
    asked = fits.spec(train={"epochs": 2, "devices": 2})
    with pytest.raises(UserError, match="began on 1 devices and would go on with 2"):
        HfEngine().fit(ImageClassification(), fits.context(folder, examples, asked))


def _stop_early(tmp_path: Path) -> None:
    examples = fits.images(tmp_path / "images", NUM)
    asked = fits.spec(train={"devices": 2})
    ctx = fits.context(tmp_path / "fold0", examples, asked, stop=fits.StopAt(0))
    assert HfEngine().fit(ImageClassification(), ctx).ended == "signal"
    assert not psutil.Process().children()
    assert isinstance(ctx.ledger, fits.MemoryLedger)
    assert not ctx.ledger.rows


def _fit_and_fail(tmp_path: Path) -> None:
    examples = fits.images(tmp_path / "images", NUM)
    folder = tmp_path / "ckpt" / "fold0"
    asked = fits.spec(train={"epochs": 1, "devices": 2, "batch_size": 4})
    ctx = fits.context(folder, examples, asked, num_valid=NUM_VALID)
    task, before = ImageClassification(), dict(os.environ)
    result = HfEngine().fit(task, ctx)
    assert result.ended == "finished"
    assert isinstance(ctx.ledger, fits.MemoryLedger)
    # 20 rows, 4 a batch, 2 batches a step: the last one is filled up with the epoch's first.
    assert [row["step"] for row in ctx.ledger.steps()] == [1, 2, 3]
    (epoch,) = ctx.ledger.epochs()
    losses = [row["batch_loss"] for row in ctx.ledger.steps()]
    assert epoch["train_loss"] == pytest.approx(np.mean(losses), rel=1e-6)
    assert result.logits is not None
    logits_NK = np.load(result.logits)
    items = task.dataset(ctx.valid, ctx, augment=False)
    with torch.no_grad():
        member = task.load(result.member).eval()
        own_NK = member(torch.stack([items[i][0] for i in range(NUM_VALID)])).logits.numpy()
    np.testing.assert_allclose(logits_NK, own_NK, atol=1e-5)
    truth_N = [example.target for example in ctx.valid]
    assert epoch["accuracy"] == pytest.approx(accuracy_score(truth_N, logits_NK.argmax(1)))
    state = json.loads((folder / "checkpoint-3" / "fit.json").read_text())
    assert state["world"] == 2
    assert {path.name for path in (folder / "checkpoint-3").glob("rng*")} == {
        "rng_state_0.pth", "rng_state_1.pth",
    }  # fmt: skip

    # The last one to validate on is rank 1's alone.
    Path(examples[NUM_VALID - 1].inputs["image"]).write_bytes(b"no picture")
    ctx = fits.context(tmp_path / "ckpt" / "fold1", examples, asked, num_valid=NUM_VALID)
    ctx.spec.data.__dict__["cache"] = "off"
    with pytest.raises(OvernightError, match="process 1 of the training ended: BadImage"):
        HfEngine().fit(task, ctx)
    assert not psutil.Process().children(recursive=True)
    assert dict(os.environ) == before
    assert not torch.distributed.is_initialized()


def test_a_stop_while_the_others_load_is_honoured_at_once(tmp_path: Path) -> None:
    apart(_stop_early, tmp_path)


@pytest.mark.slow
def test_two_evaluate_each_row_once_and_one_that_fails_ends_both(tmp_path: Path) -> None:
    apart(_fit_and_fail, tmp_path)


@pytest.mark.slow
def test_a_killed_pair_ends_as_if_it_had_not_been(tmp_path: Path) -> None:
    # By this seed: asked to stop after an epoch, then rank 1 is killed in its seventh batch.
    found = resume_proof.prove(tmp_path, kills=2, seed=3191, say=lambda _: None, devices=2)
    assert found.differing == []
    assert found.kills == {"stop": 1, "training": 1}
    assert found.most_repeated <= resume_proof.INTERVAL
