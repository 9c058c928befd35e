"""The cache: the same pixels with and without it, decoded once for all processes."""

from __future__ import annotations

import multiprocessing
import pickle
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from overnight.tasks.base import Example
from overnight.tasks.image_classification import cache
from overnight.tasks.image_classification.cache import open_cache
from overnight.tasks.image_classification.images import BadImageError, pixels

SIZES = ((40, 30), (30, 41), (33, 33), (8, 8), (400, 20))


@pytest.fixture(autouse=True)
def _empty() -> Iterator[None]:
    cache.forget()
    yield
    cache.forget()


@pytest.fixture
def examples(draw: Callable[..., Path]) -> list[Example]:
    return [
        Example(str(i), {"image": str(draw(f"{i}.{'png' if i % 2 else 'jpg'}", i, size))}, 0)
        for i, size in enumerate(SIZES)
    ]


def test_a_picture_is_the_same_with_and_without_the_cache(examples: list[Example]) -> None:
    kept = open_cache(examples, 16, asked="on")
    without = open_cache(examples, 16, asked="off")
    assert kept.is_kept
    assert not without.is_kept
    for _ in range(2):
        for i in range(len(kept)):
            assert (kept[i] == without[i]).all()
            assert (kept[i] == pixels(examples[i], 16)).all()


def test_a_picture_is_decoded_once(examples: list[Example]) -> None:
    kept = open_cache(examples, 16, asked="on")
    first = [kept[i] for i in range(len(kept))]
    for example in examples:
        Path(example.inputs["image"]).unlink()
    # Another fold, in another order; nothing is left to read.
    again = open_cache(examples[::-1], 16)
    assert all((again[i] == first[-1 - i]).all() for i in range(len(first)))


def test_what_is_given_may_be_changed(examples: list[Example]) -> None:
    kept = open_cache(examples, 16, asked="on")
    for _ in range(2):
        kept[0][:] = 0
    assert kept[0].any()


def test_forked_workers_fill_it_for_all(examples: list[Example]) -> None:
    kept = open_cache(examples, 16, asked="on")
    expected = [pixels(example, 16) for example in examples]
    worker = multiprocessing.get_context("fork").Process(
        target=lambda: [kept[i] for i in range(len(kept))]
    )
    worker.start()
    worker.join(60)
    assert worker.exitcode == 0
    for example in examples:
        Path(example.inputs["image"]).unlink()
    assert all((kept[i] == expected[i]).all() for i in range(len(kept)))


def test_a_process_of_its_own_fills_it_too(examples: list[Example], tmp_path: Path) -> None:
    kept = open_cache(examples, 16, asked="on")
    expected = [pixels(example, 16) for example in examples]
    (tmp_path / "cache.pkl").write_bytes(pickle.dumps(kept))
    code = (
        "import pathlib, pickle, sys\n"
        "kept = pickle.loads(pathlib.Path(sys.argv[1]).read_bytes())\n"
        "for i in range(len(kept)): kept[i]\n"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path / "cache.pkl")], check=True)
    for example in examples:
        Path(example.inputs["image"]).unlink()
    assert all((kept[i] == expected[i]).all() for i in range(len(kept)))


def test_it_is_used_where_all_fit_into_a_quarter_of_what_is_free(examples: list[Example]) -> None:
    num_bytes = sum(pixels(example, 16).size for example in examples) + 12 * len(examples)
    assert not open_cache(examples, 16, free_bytes=num_bytes * 3).is_kept
    assert open_cache(examples, 16, free_bytes=num_bytes * 4).is_kept
    # What another fold has put there costs nothing more; what is new does.
    assert open_cache(examples[:2], 16, free_bytes=0).is_kept
    assert not open_cache(examples, 17, free_bytes=num_bytes).is_kept
    assert open_cache(examples, 17).is_kept


def test_pictures_of_another_size_go_where_there_is_no_room_for_both(
    examples: list[Example],
) -> None:
    cache.forget()
    assert open_cache(examples, 16, asked="on").is_kept
    _, num_bytes = cache._room(examples, 24)
    assert open_cache(examples, 24, free_bytes=num_bytes * 4).is_kept
    assert 16 not in cache._STORES


def test_an_image_that_vanished_is_named(examples: list[Example]) -> None:
    kept = open_cache(examples, 16, asked="on")
    Path(examples[3].inputs["image"]).unlink()
    with pytest.raises(BadImageError, match=r"3\.png: not there"):
        kept[3]


def test_the_limit_of_a_container_counts(tmp_path: Path) -> None:
    group = tmp_path / "group"
    group.mkdir()
    assert cache._left_in(group) is None
    (group / "memory.max").write_text("1000000\n")
    (group / "memory.current").write_text("900000\n")
    (group / "memory.stat").write_text("anon 1\ninactive_file 300000\n")
    assert cache._left_in(group) == 400_000
    assert np.iinfo(np.int64).max > (cache._free_bytes() or 0) > 0
