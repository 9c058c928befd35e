"""probabilities.npy while it is made: what counts after a kill, a power cut, a change of mind."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from overnight.prediction.rows import RowsFile, unreadable

N, K, B = 10, 3, 4


def rows(num: int, seed: int = 0) -> np.ndarray:
    powers_NK = np.random.default_rng(seed).random((num, K))
    return (powers_NK / powers_NK.sum(axis=1, keepdims=True)).astype(np.float32)


def opened(folder: Path, fingerprint: str = "one", batch_size: int = B) -> RowsFile:
    return RowsFile(folder, N, K, batch_size, fingerprint)


def left(folder: Path, **other: Any) -> list[int]:
    with opened(folder, **other) as file:
        return file.begins()


def put(folder: Path, begin: int, rows_BK: np.ndarray) -> None:
    with opened(folder) as file:
        file.put(begin, rows_BK)


def test_it_is_an_ordinary_npy_once_each_batch_is_there(tmp_path: Path) -> None:
    whole_NK = rows(N)
    with opened(tmp_path / "predict") as file:
        assert file.begins() == [0, 4, 8]
        for begin in (8, 0, 4):  # whatever their order
            file.put(begin, whole_NK[begin : begin + B])
        assert file.begins() == []
        assert np.array_equal(np.concatenate(list(file.blocks())), whole_NK)
    assert np.array_equal(np.load(file.path, allow_pickle=False), whole_NK)


def test_a_batch_that_is_there_is_not_done_again(tmp_path: Path) -> None:
    put(tmp_path, 4, rows(B))
    assert left(tmp_path) == [0, 8]


def test_its_room_is_set_aside_at_the_start(tmp_path: Path) -> None:
    with opened(tmp_path) as file:
        assert file.path.stat().st_blocks * 512 >= N * K * 4
    assert np.load(file.path, allow_pickle=False).shape == (N, K)


@pytest.mark.parametrize("other", [{"fingerprint": "two"}, {"batch_size": 5}])
def test_rows_of_other_inputs_or_batches_are_begun_anew(
    tmp_path: Path, other: dict[str, Any]
) -> None:
    put(tmp_path, 4, rows(B))
    assert left(tmp_path, **other) == list(range(0, N, other.get("batch_size", B)))


def test_what_a_power_cut_has_left_as_zeros_is_done_again(tmp_path: Path) -> None:
    for begin in (0, 4, 8):
        put(tmp_path, begin, rows(min(B, N - begin)))
    assert left(tmp_path) == []
    with (tmp_path / "probabilities.npy").open("r+b") as raw:
        raw.seek(-4 * K, 2)
        raw.write(bytes(4 * K))
    assert left(tmp_path) == [8]


def test_an_input_that_could_not_be_read_is_looked_at_again(tmp_path: Path) -> None:
    found_BK = rows(B)
    found_BK[2] = np.nan
    put(tmp_path, 0, found_BK)
    assert unreadable(found_BK).tolist() == [2]
    assert left(tmp_path) == [0, 4, 8]
