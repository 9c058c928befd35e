"""Streaming metrics give scikit-learn's numbers."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.metrics import accuracy_score, f1_score

from overnight.tasks.metrics import Classification


def streamed(meant: np.ndarray, said: np.ndarray, num_classes: int, batch: int) -> Classification:
    metric = Classification(num_classes)
    for at in range(0, len(meant), batch):
        logits = torch.nn.functional.one_hot(torch.from_numpy(said[at : at + batch]), num_classes)
        metric.update(
            {"logits": logits.float()}, {"labels": torch.from_numpy(meant[at : at + batch])}
        )
    return metric


@pytest.mark.parametrize("share_right", [0.2, 0.35, 0.5, 0.7, 0.9])
@pytest.mark.parametrize("num_classes", [2, 7])
def test_the_numbers_are_scikit_learns(share_right: float, num_classes: int) -> None:
    rng = np.random.default_rng(int(share_right * 100) + num_classes)
    meant = rng.choice(num_classes, 501, p=rng.dirichlet(np.ones(num_classes)))
    said = np.where(rng.random(501) < share_right, meant, (meant + 1) % num_classes)
    found = streamed(meant, said, num_classes, 32).compute()
    assert found["accuracy"] == pytest.approx(share_right, abs=0.05), "a case of its own"
    assert 0.1 < found["macro_f1"] < 0.95
    assert found["accuracy"] == pytest.approx(accuracy_score(meant, said), abs=1e-9)
    assert found["macro_f1"] == pytest.approx(f1_score(meant, said, average="macro"), abs=1e-9)


def test_a_class_nobody_meant_or_said_does_not_count() -> None:
    meant, said = np.array([0, 0, 2, 2]), np.array([0, 2, 2, 2])
    found = streamed(meant, said, 9, 2).compute()
    assert found["macro_f1"] == pytest.approx(f1_score(meant, said, average="macro"), abs=1e-9)
    assert Classification(3).compute() == {"accuracy": 0.0, "macro_f1": 0.0}


@pytest.mark.parametrize("said", [[1, 1, 1, 1, 1], [1, 1, 1, 0, 2], [0, 0, 2, 2, 2]])
@pytest.mark.filterwarnings("ignore:A single label was found")
def test_one_class_alone(said: list[int]) -> None:
    meant, told = np.ones(5, np.int64), np.array(said)
    found = streamed(meant, told, 3, 2).compute()
    assert found["accuracy"] == pytest.approx(accuracy_score(meant, told), abs=1e-9)
    assert found["macro_f1"] == pytest.approx(f1_score(meant, told, average="macro"), abs=1e-9)


def test_parts_are_merged_and_a_state_goes_on() -> None:
    rng = np.random.default_rng(1)
    meant, said = rng.integers(0, 4, 90), rng.integers(0, 4, 90)
    whole = streamed(meant, said, 4, 90).compute()
    first, rest = streamed(meant[:30], said[:30], 4, 7), streamed(meant[30:], said[30:], 4, 8)
    again = Classification(4)
    again.load(first.state())
    again.merge([rest])
    assert again.compute() == whole


def test_of_mixed_labels_the_heavier_is_meant() -> None:
    metric = Classification(3)
    labels = torch.tensor([[0.7, 0.3, 0.0], [0.1, 0.2, 0.7]])
    metric.update({"logits": torch.tensor([[9.0, 0, 0], [9.0, 0, 0]])}, {"labels": labels})
    assert metric.compute()["accuracy"] == 0.5
