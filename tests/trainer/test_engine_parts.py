"""The engine's small parts, each by itself."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from torch import nn

from overnight.errors import OvernightError, UserError
from overnight.trainer import precision
from overnight.trainer.ema import Ema
from overnight.trainer.fit_state import FitState
from overnight.trainer.loader import size_of, to_device
from overnight.trainer.losses import Losses
from overnight.trainer.team import Team

torch.set_num_threads(1)


def test_losses_that_wait_are_told_by_step_and_weighed_by_size() -> None:
    losses = Losses("fold0", Team())
    for step, (value, size) in enumerate([(1.0, 8), (2.0, 8), (4.0, 2)], 1):
        losses.add(torch.tensor(value), size, step=step, lr=0.1)
    losses.add(torch.tensor(5.0), 2, step=3, lr=0.1)
    losses.settle()
    assert losses.newest() == 4.5
    assert losses.mean() == pytest.approx((8 + 16 + 8 + 10) / 20)
    losses.begin_epoch()
    assert losses.num == 0


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_the_first_step_that_was_no_number_is_named(value: float) -> None:
    losses = Losses("fold3", Team())
    for step in range(1, 20):
        losses.add(torch.tensor(value if step > 6 else 1.0), 4, step=step, lr=step / 1000)
    with pytest.raises(OvernightError, match=rf"the loss is {value}, .* at step 7 .*0\.007"):
        losses.settle()


def test_the_average_follows_and_comes_back(tmp_path: Path) -> None:
    net = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))
    ema = Ema(net, 0.5)
    first = net[0].weight.detach().clone()
    with torch.no_grad():
        net[0].weight += 1
    net(torch.randn(4, 2))
    ema.update(1000)
    with ema.applied():
        assert torch.allclose(net[0].weight, first + 0.5)
        assert net[1].num_batches_tracked == 1
    assert torch.allclose(net[0].weight, first + 1)
    ema.save(tmp_path / "ema")
    again = Ema(net, 0.5)
    again.load(tmp_path / "ema")
    with again.applied():
        assert torch.allclose(net[0].weight, first + 0.5)


def test_early_stopping_counts_epochs_without_a_gain() -> None:
    state = FitState()
    values = [0.5, 0.6, 0.605, math.nan, 0.7, 0.7, 0.7]
    goes_on = [state.is_worth_going_on(v, True, 0.01, 2) for v in values]
    assert goes_on == [True, True, True, False, True, True, False]
    state = FitState()
    assert [state.is_worth_going_on(v, False, 0.0, 1) for v in (2.0, 1.0, 1.5)] == [
        True, True, False,
    ]  # fmt: skip


def test_anything_beats_nothing_and_no_number_beats_a_number() -> None:
    state = FitState()
    assert state.is_better(math.nan, True)
    state.best = {"value": math.nan, "epoch": 1}
    assert state.is_better(0.1, True)
    assert not state.is_better(math.nan, True)
    state.best = {"value": 0.5, "epoch": 2}
    assert [state.is_better(v, True) for v in (0.4, 0.5, 0.6)] == [False, False, True]
    assert state.is_better(0.4, False)
    assert state.best_numbers() == {"epoch": 2}


def test_a_state_survives_to_the_last_bit(tmp_path: Path) -> None:
    state = FitState(loss_sum=0.1 + 0.2, best={"value": 1 / 3}, train_metric={"counts": [[1]]})
    state.write(tmp_path / "fit.json")
    assert FitState.read(tmp_path / "fit.json") == state


def test_a_batch_goes_to_the_card_with_all_that_is_in_it() -> None:
    there = torch.device("meta")
    batch = {"pixel_values": torch.zeros(2, 3, 4, 4), "labels": [{"boxes": torch.zeros(1, 4)}, {}],
             "names": ["a", "b"]}  # fmt: skip
    moved = to_device(batch, there, channels_last=True)
    assert moved["pixel_values"].device == moved["labels"][0]["boxes"].device == there
    assert moved["pixel_values"].is_contiguous(memory_format=torch.channels_last)
    assert (moved["labels"][1], moved["names"]) == ({}, ["a", "b"])
    assert size_of(batch) == 2


def test_precision_is_what_the_device_can() -> None:
    cpu = torch.device("cpu")
    assert [precision.precision(asked, cpu) for asked in ("auto", "off", "bf16")] == [
        "fp32", "fp32", "bf16",
    ]  # fmt: skip
    with pytest.raises(UserError, match="needs a GPU"):
        precision.precision("fp16", cpu)
    assert precision.num_workers(3) == 3
    assert 0 <= precision.num_workers("auto") <= 8
    assert precision.num_workers("auto", 1000) == 0


def test_deterministic_is_given_back() -> None:
    with precision.deterministic(True):
        assert torch.are_deterministic_algorithms_enabled()
    assert not torch.are_deterministic_algorithms_enabled()
