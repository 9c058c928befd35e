"""A small proof; ``make mirror-proof`` is the large one."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from overnight.ledger.format import Row, Scope
from overnight.testing.mirror_proof import Proof, expected


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="real detached processes")
def test_every_number_is_there_once(tmp_path: Path) -> None:
    found = Proof(tmp_path, trackers=["mlflow", "wandb"], kills=2, seed=3).run()
    assert found.is_clean, found
    assert found.kills == 2
    assert found.superseded
    assert found.rejected["mlflow", "first"] == 2


def test_the_proof_names_numbers_by_itself() -> None:
    def row(kind: str, fold: int | None, values: dict[str, float]) -> Row:
        return Row("metrics.jsonl", 0, 7, 0, 0, kind, Scope(fold), 3, 2, values)

    rows = [
        row("epoch", 1, {"lr": 1.0}),
        row("step", 1, {"lr": 2.0}),
        row("summary", None, {"a": 3}),
    ]
    assert list(expected(rows)) == [
        ("fold1/lr", 2, "1.0"), ("fold1/step/lr", 3, "2.0"), ("a", 3, "3"),
    ]  # fmt: skip
