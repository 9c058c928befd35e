"""CIFAR-10's pickles: data comes in, and nothing else."""

from __future__ import annotations

import os
import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from overnight.errors import UserError, UserErrors
from overnight.tasks.base import DataIndex, Problem
from overnight.tasks.image_classification import batch
from overnight.tasks.image_classification.data import load_image


def as_python_2_wrote(data: bytes, labels: list[int]) -> bytes:
    """A batch as it is downloaded: protocol 2, numpy's old names, byte strings throughout."""

    def text(value: bytes) -> bytes:
        return b"T" + len(value).to_bytes(4, "little") + value

    rows = len(labels)
    array = (
        b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\0\x85" + text(b"b") + b"\x87R"
        b"(K\1M" + rows.to_bytes(2, "little") + b"M\0\x0c\x86cnumpy\ndtype\n" + text(b"u1")
        + b"K\0K\1\x87R(K\3" + text(b"|") + b"NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\0tb\x89"
        + text(data) + b"tb"
    )  # fmt: skip
    listed = b"](" + b"".join(b"K" + bytes([label]) for label in labels) + b"e"
    return b"\x80\x02}q\x01(" + text(b"labels") + listed + text(b"data") + array + b"u."


def rows_of(num: int) -> np.ndarray:
    return np.random.default_rng(num).integers(0, 256, (num, 3072), np.uint8)


@pytest.fixture
def batches(tmp_path: Path) -> Path:
    folder = tmp_path / "cifar-10-batches-py"
    folder.mkdir()
    names = ["airplane", "automobile"]
    (folder / "batches.meta").write_bytes(pickle.dumps({b"label_names": names}))
    for number in (1, 2):
        data = rows_of(4 + number)
        labels = [i % 2 for i in range(len(data))]
        (folder / f"data_batch_{number}").write_bytes(as_python_2_wrote(data.tobytes(), labels))
    test = {"data": rows_of(3), "labels": [0, 0, 1]}
    (folder / "test_batch").write_bytes(pickle.dumps(test, protocol=4))
    return folder


def test_the_batches_are_read_as_they_were_written(
    batches: Path, scan: Callable[..., DataIndex], problem_of: Callable[..., Problem]
) -> None:
    index = scan(image_dir_train=batches.parent)
    assert problem_of(index, "data.guessed").fields["format"] == "cifar10"
    assert index.labels == ("airplane", "automobile")
    assert [e.id for e in index.examples] == [
        f"data_batch_{n}:{i}" for n in (1, 2) for i in range(4 + n)
    ]
    assert [e.target for e in index.examples[:5]] == [0, 1, 0, 1, 0]
    assert len(index.unlabelled) == 3
    expected_CHW = rows_of(5)[3].reshape(3, 32, 32)
    assert (np.asarray(load_image(index.examples[3])) == expected_CHW.transpose(1, 2, 0)).all()
    other_CHW = rows_of(3)[2].reshape(3, 32, 32)
    assert (np.asarray(load_image(index.unlabelled[2])) == other_CHW.transpose(1, 2, 0)).all()


class Runs:
    """A pickle that runs a command when it is opened the ordinary way."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, ("touch was-run",)


class Writes:
    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        return eval, ("__import__('pathlib').Path('was-run').touch()",)


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize("attack", [Runs(), Writes(), getattr, np.array([Runs()], object)])
def test_a_pickle_that_runs_something_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, attack: object, protocol: int
) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "data_batch_1"
    path.write_bytes(pickle.dumps({"labels": [0], "data": attack}, protocol=protocol))
    with pytest.raises(UserError) as caught:
        batch.unpickle(path)
    assert caught.value.key == "data.pickle_refused"
    assert not (tmp_path / "was-run").exists()


@pytest.mark.parametrize(
    "code",
    [
        b"\x80\x02}q\x01(U\x04datacnumpy\ndtype\nU\x02O8\x85Rs.",  # objects in an array
        b"\x80\x02r\xff\xff\xff\xff.",  # a mark that costs 32 GB
        b"\x80\x05\x96\xff\xff\xff\xff\xff\x00\x00\x00.",  # a terabyte that is set aside first
        b"\x80\x02cnumpy\nndarray\n(J\xff\xff\xff\x7ftR.",  # an array of two gigabytes
        b"(cos\nsystem\nU\x04lsoR.",
        b"Ppersistent\n.",
        b"\x80\x02\x82\x01.",  # the registry of extensions
        b"cnumpy\ndtype\n}U\x01xU\x01ysb.",  # writes into what it was given
        b"",
        b"no pickle at all",
        b"\x80\x02]q\x01h\x01a.",
    ],
)
def test_whatever_else_it_asks_for_is_refused(tmp_path: Path, code: bytes) -> None:
    path = tmp_path / "data_batch_1"
    path.write_bytes(code)
    with pytest.raises(UserError):
        batch.read(str(path))


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=60), st.integers(0, 400), st.integers(0, 3))
def test_broken_batches_are_refused_and_never_crash(noise: bytes, at: int, cut: int) -> None:
    whole = as_python_2_wrote(bytes(3072), [7])
    place = at if cut else len(whole) - 40 + at % 40
    broken = whole[:place] + noise + whole[place + len(noise) * (cut % 2) :]
    path = Path(os.environ["BATCH"])
    path.write_bytes(broken)
    batch.read.cache_clear()
    try:
        found = batch.read(str(path))
    except UserError:
        return
    assert len(found.data) == 3072 * len(found.labels)


@pytest.fixture(autouse=True)
def _place(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BATCH", str(tmp_path_factory.mktemp("batch") / "data_batch_1"))


def test_all_that_is_wrong_with_the_batches_is_said_at_once(
    batches: Path, scan: Callable[..., DataIndex]
) -> None:
    (batches / "batches.meta").unlink()
    (batches / "data_batch_2").write_bytes(pickle.dumps({"data": rows_of(2), "labels": [0]}))
    with pytest.raises(UserErrors) as caught:
        scan(image_dir_train=batches, format="cifar10")
    assert [error.key for error in caught.value.errors] == ["data.cannot_read", "data.not_a_batch"]
