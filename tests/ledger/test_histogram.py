"""``overnight.histogram``: what is counted, and what is said of what cannot be."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import overnight
from overnight.ledger import job
from overnight.ledger.histogram import MOST_BINS, counted
from overnight.ledger.paths import RunPaths
from overnight.ledger.reader import read


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[RunPaths]:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("OVERNIGHT_LANG", "en")
    monkeypatch.delenv("OVERNIGHT_RUN_DIR", raising=False)
    monkeypatch.setattr("overnight.ledger.complaint._said", set())
    opened = job.open_run("spread", root=str(tmp_path / "root"))
    yield opened.run
    job.close_run(opened, {"attempt": 0, "code": 0, "signal": None})


def spread(seed: int, num: int) -> Any:
    return np.random.default_rng(seed).normal(size=num)


@pytest.mark.parametrize("bins", [1, 7, 64, MOST_BINS])
@pytest.mark.parametrize("given", ["array", "list", "matrix", "rows"])
def test_counts_are_those_of_numpy(bins: int, given: str) -> None:
    values = spread(bins, 600)
    form = {"array": values, "list": values.tolist(), "matrix": values.reshape(20, 30),
            "rows": values.reshape(20, 30).tolist()}[given]  # fmt: skip
    found = counted(form, bins)
    expected, edges = np.histogram(values, bins)
    # A number on a bound may fall to either side of it by its last bit.
    assert np.abs(np.array(found["counts"]) - expected).sum() <= 2
    assert sum(found["counts"]) == 600
    assert (found["low"], found["high"]) == (edges[0], edges[-1])
    assert "left_out" not in found


def test_tensors_of_every_float() -> None:
    torch = pytest.importorskip("torch")
    values = torch.linspace(-1, 1, 101, requires_grad=True)
    for dtype in (torch.float64, torch.float32, torch.bfloat16):
        assert sum(counted(values.to(dtype), 8)["counts"]) == 101


def test_what_is_no_finite_number_is_left_out() -> None:
    found = counted([1.0, math.nan, 3.0, math.inf, -math.inf], 2)
    assert found == {"low": 1.0, "high": 3.0, "counts": [1, 1], "left_out": 3}


def test_equal_numbers_and_huge_ones() -> None:
    assert counted([5, 5, 5], 2) == {"low": 4.5, "high": 5.5, "counts": [0, 3]}
    assert counted([-1.7e308, 1.7e308], 2)["counts"] == [1, 1]


def test_a_record(run: RunPaths) -> None:
    assert overnight.histogram(spread(0, 50), "gradients/head", bins=4, step=7, fold=1) is None
    (record,) = read(run.dir, "media").records
    assert (record["_kind"], record["key"]) == ("histogram", "gradients/head")
    assert (record["step"], record["fold"]) == (7, 1)
    assert sum(record["counts"]) == 50
    assert "path" not in record


@pytest.mark.parametrize(
    ("values", "bins", "said"),
    [
        ([], 64, "there is no finite number to count"),
        ([math.nan], 64, "there is no finite number to count"),
        ([1.0], 0, "a histogram of 0 bins cannot be kept"),
        ([1.0], MOST_BINS + 1, "give 1 to 256"),
        (["high"], 64, "could not convert string to float"),
        (None, 64, "NoneType"),
    ],
)
def test_what_cannot_be_counted_is_said_and_costs_nothing(
    run: RunPaths, capsys: pytest.CaptureFixture[str], values: Any, bins: int, said: str
) -> None:
    overnight.histogram(values, "odd", bins=bins)
    assert said in capsys.readouterr().err
    assert read(run.dir, "media").records == []
