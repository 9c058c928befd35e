"""Learning rates by the spec's words."""

from __future__ import annotations

import warnings

import pytest
import torch

from overnight.tasks.config import Train
from overnight.trainer.schedule import optimizer, schedule


def rates(num_steps: int = 40, per_epoch: int = 10, **asked: object) -> list[float]:
    train = Train(lr=1.0, epochs=num_steps // per_epoch, **asked)  # type: ignore[arg-type]
    kind, arguments = optimizer(train)
    made = kind([torch.nn.Parameter(torch.zeros(1))], **arguments)
    goes = schedule(made, train, num_steps, per_epoch)
    found = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # no optimizer steps here
        for _ in range(num_steps):
            found.append(made.param_groups[0]["lr"])
            goes.step()
    return found


@pytest.mark.parametrize("kind", ["adamw", "adam", "sgd"])
@pytest.mark.parametrize("name", ["cosine", "linear", "step", "onecycle", "constant"])
def test_every_schedule_rises_to_the_rate_and_never_above(kind: str, name: str) -> None:
    found = rates(scheduler=name, optimizer=kind)
    assert max(found) == pytest.approx(1.0)
    assert min(found) >= 0
    if name != "constant":
        assert found[-1] < 0.1


def test_warm_up_is_in_epochs() -> None:
    found = rates(scheduler="constant", warmup=1.5)
    assert found[0] == 0.0
    assert found[14] == pytest.approx(14 / 15)
    assert found[15:] == [1.0] * 25
    assert rates(scheduler="constant")[5] == 1.0
    assert rates(scheduler="constant", warmup=0)[0] == 1.0


def test_a_step_is_a_tenth() -> None:
    found = rates(num_steps=30, scheduler="step", warmup=0)
    assert found[0::10] == pytest.approx([1.0, 0.1, 0.01])
    assert found[9] == 1.0
