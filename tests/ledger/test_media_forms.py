"""What people have at hand when they call is kept as it was meant, or said.

Boxes of three conventions, frames of any library, films of arrays, encoded pictures, links.
"""

from __future__ import annotations

import io
import json
import os
import sys
from collections import namedtuple
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image

import overnight
from overnight.ledger import job
from overnight.ledger.paths import RunPaths
from overnight.ledger.reader import read

PHOTO = np.arange(6 * 8 * 3, dtype=np.uint8).reshape(6, 8, 3)


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[RunPaths]:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("OVERNIGHT_LANG", "en")
    monkeypatch.delenv("OVERNIGHT_RUN_DIR", raising=False)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("overnight.ledger.complaint._said", set())
    opened = job.open_run("forms", root=str(tmp_path / "root"))
    yield opened.run
    job.close_run(opened, {"attempt": 0, "code": 0, "signal": None})


def newest(run: RunPaths) -> dict[str, Any]:
    return read(run.dir, "media").records[-1]


def rows(run: RunPaths) -> list[dict[str, Any]]:
    text = Path(run.at(newest(run)["path"])).read_text(encoding="utf-8")
    return [json.loads(line) for line in text.splitlines()]


# ── boxes, masks, names ─────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("form", "corners"),
    [("xyxy", [2, 1, 6, 5]), ("xywh", [2, 1, 4, 4]), ("cxcywh", [4, 3, 4, 4])],
)
def test_a_box_is_two_corners_whatever_it_was_given_as(
    run: RunPaths, form: str, corners: list[int], capsys: pytest.CaptureFixture[str]
) -> None:
    overnight.image(PHOTO, boxes=np.array([corners], np.float32), box_format=form)
    assert newest(run)["boxes"] == {"boxes": [{"box": [2, 1, 6, 5]}]}
    assert capsys.readouterr().err == ""


def test_what_a_detector_answers_is_taken_as_it_is(run: RunPaths) -> None:
    answer = {
        "boxes": np.array([[0, 0, 2, 2], [1, 1, 3, 3]]),
        "labels": np.array([1, 2]),
        "scores": np.array([0.75, 0.5], np.float32),
    }
    expected = [
        {"box": [0, 0, 2, 2], "label": 1, "score": 0.75},
        {"box": [1, 1, 3, 3], "label": 2, "score": 0.5},
    ]
    overnight.image(PHOTO, boxes=answer)
    assert newest(run)["boxes"] == {"boxes": expected}
    truth = {"boxes": answer["boxes"][:1], "labels": ["car"]}
    overnight.image(PHOTO, boxes={"truth": truth, "prediction": answer})
    assert newest(run)["boxes"] == {
        "truth": [{"box": [0, 0, 2, 2], "label": "car"}],
        "prediction": expected,
    }


def test_boxes_that_can_hardly_be_meant_are_kept_and_told(
    run: RunPaths, capsys: pytest.CaptureFixture[str]
) -> None:
    overnight.image(PHOTO, "a", boxes=[[5, 5, 2, 2]])
    overnight.image(PHOTO, "b", boxes=[[12, 30, 96, 80]], unit="share")
    overnight.image(PHOTO, "c", boxes=[[1, 1, 2, 2]], box_format="yolo")
    overnight.image(PHOTO, "d", boxes={"p": {"boxes": [[1, 1, 2, 2]], "labels": [1, 2]}})
    reversed_, far, unknown, uneven = capsys.readouterr().err.splitlines()
    assert "box_format='xywh'" in reversed_
    assert "unit='pixel'" in far
    assert "'c': there is no box_format 'yolo'" in unknown
    assert "'d': this is no box" in uneven
    assert ["boxes" in record for record in read(run.dir, "media").records] == [
        True, True, False, False,
    ]  # fmt: skip


def test_masks_by_the_classes_names(run: RunPaths) -> None:
    road, car = PHOTO[..., 0] % 2 == 0, PHOTO[..., 0] > 100
    overnight.image(
        PHOTO,
        masks={"truth": {"도로": road, "차": car}, "prediction": {"차": car, "하늘": ~road & ~car}},
        labels={0: "없음", 7: "차"},
    )
    record = newest(run)
    assert record["labels"] == {"0": "없음", "7": "차", "8": "도로", "9": "하늘"}

    def seen(name: str) -> Any:
        return np.asarray(Image.open(run.at(record["masks"][name]["path"])))

    assert np.array_equal(seen("truth"), np.where(car, 7, np.where(road, 8, 0)))
    assert np.array_equal(seen("prediction"), np.where(car, 7, np.where(~road & ~car, 9, 0)))


def test_a_single_mask_needs_no_name(run: RunPaths) -> None:
    overnight.image(PHOTO, masks=PHOTO[..., 0])
    (path,) = (mask["path"] for mask in newest(run)["masks"].values())
    with Image.open(run.at(path)) as found:
        assert np.array_equal(np.asarray(found), PHOTO[..., 0])


def test_a_mask_of_another_size_and_names_that_are_none_are_told(
    run: RunPaths, capsys: pytest.CaptureFixture[str]
) -> None:
    overnight.image(PHOTO, masks={"small": np.zeros((3, 4), np.uint8)}, labels={"car": 1})  # type: ignore[dict-item]
    overnight.image(PHOTO, labels=5)  # type: ignore[arg-type]
    first, second = read(run.dir, "media").records
    assert "small" in first["masks"]
    assert "labels" not in first
    assert "labels" not in second
    names, size, number = capsys.readouterr().err.splitlines()
    assert "no names of classes: {'car': 1}" in names
    assert "a mask of 4 x 3 pixels lies on a picture of 8 x 6" in size
    assert "no names of classes: 5" in number


# ── pictures and films ──────────────────────────────────────────────────────────────────────────


def test_encoded_pictures_and_axes(run: RunPaths, capsys: pytest.CaptureFixture[str]) -> None:
    from matplotlib.figure import Figure

    buffer = io.BytesIO()
    Image.fromarray(PHOTO).save(buffer, "JPEG")
    axes = Figure(figsize=(1, 1)).subplots()
    Path("without suffix").write_bytes(buffer.getvalue())
    stored = [
        overnight.image(buffer),
        overnight.figure(buffer.getvalue()),
        overnight.image(axes),
        overnight.figure(axes),
        overnight.image("without suffix"),
    ]
    for path, kind in zip(stored, ("JPEG", "JPEG", "PNG", "PNG", "JPEG"), strict=True):
        assert path is not None
        with Image.open(path) as found:
            assert found.format == kind
        assert path.suffix == {"JPEG": ".jpg", "PNG": ".png"}[kind]
    Path("script.py").write_text("print()")
    Path("empty.png").touch()
    assert overnight.image("script.py") is None
    assert overnight.image("empty.png") is None
    assert overnight.image(b"") is None
    assert capsys.readouterr().err.count("is no picture") == 3


FILM = np.random.default_rng(0).integers(0, 256, (5, 6, 8, 3), dtype=np.uint8)


@pytest.mark.parametrize(
    ("frames", "seen"),
    [
        (FILM, FILM),
        (FILM[None], FILM),
        (FILM.transpose(0, 3, 1, 2), FILM),
        (FILM[..., 0], FILM[..., 0]),
        ([Image.fromarray(frame) for frame in FILM], FILM),
        ((frame / 255 for frame in FILM), FILM),
        (FILM[:1], FILM[:1]),
    ],
)
def test_a_film_of_pictures_plays_without_a_codec(run: RunPaths, frames: Any, seen: Any) -> None:
    stored = overnight.video(frames, "검증/샘플", fps=4, epoch=2)
    assert stored == Path(run.dir, newest(run)["path"])
    assert (newest(run)["_kind"], newest(run)["epoch"]) == ("video", 2)
    with Image.open(stored) as film:
        assert getattr(film, "n_frames", 1) == len(seen)
        for number, frame in enumerate(seen):
            film.seek(number)
            assert np.array_equal(np.asarray(film), frame)
            assert film.info.get("duration") == 250


@pytest.mark.slow
# W&B lets go of a picture of several frames without closing it.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_a_film_of_pictures_is_still_one_in_wandb(run: RunPaths) -> None:
    from overnight.trackers.base import Item
    from overnight.trackers.wandb_media import shown

    stored = overnight.video(FILM)
    assert stored is not None
    item = Item("video", "video", stored, None, 0, 1, newest(run))
    sent = shown(item, Path(run.dir))
    with Image.open(sent._path) as film:
        assert getattr(film, "n_frames", 1) == len(FILM)


def test_what_is_no_film_is_said(run: RunPaths, capsys: pytest.CaptureFixture[str]) -> None:
    mixed = [FILM[0], FILM[0][:2]]
    for bad in (PHOTO, mixed, [], 3, np.zeros((2, 3, 4, 5, 6)), ["a.png"]):
        assert overnight.video(bad) is None
    assert overnight.video(FILM, fps=0) is None
    said = capsys.readouterr().err
    assert "a film cannot have the shape 6 x 8 x 3" in said
    assert "frame 2 is of another size" in said
    assert "no film can be made of int" in said
    assert "0 frames a second" in said
    assert not Path(run.media).exists()


# ── tables ──────────────────────────────────────────────────────────────────────────────────────

Row = namedtuple("Row", "a b")


def test_what_knows_its_columns_is_given_alone(run: RunPaths) -> None:
    expected = [{"a": 1, "b": "x"}, {"a": 2, "b": None}]
    polars = SimpleNamespace(columns=["a", "b"], iter_rows=lambda: iter([(1, "x"), (2, None)]))
    arrow = SimpleNamespace(column_names=["a", "b"], to_pylist=lambda: expected)
    for given in (
        {"a": [1, 2], "b": ["x", None]},
        {"a": np.array([1, 2]), "b": ("x", None)},
        expected,
        [Row(1, "x"), Row(2, None)],
        polars,
        arrow,
    ):
        assert overnight.table(given, "예측") is not None
        assert rows(run) == expected
        assert newest(run)["key"] == "예측"
        assert overnight.table(given, key="other") is not None
        assert overnight.table(None, given, "third") is not None
        assert rows(run) == expected
    overnight.table({"accuracy": 0.5, "name": "single"})
    assert rows(run) == [{"accuracy": 0.5, "name": "single"}]


def test_what_is_missing_in_a_frame_is_missing(run: RunPaths) -> None:
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(
        {
            "text": ["x", None], "score": [0.5, None], "when": pandas.to_datetime([None, None]),
            "count": pandas.array([1, None], dtype="Int64"), "right": [True, False],
        }
    )  # fmt: skip
    overnight.table(frame)
    assert rows(run) == [
        {"text": "x", "score": 0.5, "when": None, "count": 1, "right": True},
        {"text": None, "score": "NaN", "when": None, "count": None, "right": False},
    ]
    overnight.table(frame.groupby("right")[["score"]].max())
    assert rows(run) == [{"right": False, "score": "NaN"}, {"right": True, "score": 0.5}]


def test_one_picture_that_cannot_be_kept_costs_its_cell(
    run: RunPaths, capsys: pytest.CaptureFixture[str]
) -> None:
    pictures = [Path("gone.png"), PHOTO, Path("gone, too.png"), PHOTO.astype(complex)]
    overnight.table(["n", "image"], list(enumerate(pictures)), "predictions")
    assert [row["n"] for row in rows(run)] == [0, 1, 2, 3]
    assert [row["image"] is not None for row in rows(run)] == [False, True, False, False]
    (said,) = capsys.readouterr().err.splitlines()
    assert "'predictions': there is no file gone.png" in said


def test_a_table_that_is_none_says_which_row(
    run: RunPaths, capsys: pytest.CaptureFixture[str]
) -> None:
    for given in (
        (["a"], [[1], "hello"]), (["a"], [1]), ("predictions", ["a"], [[1]]),
        ({"a": [1], "b": [1, 2]},), ({"a": [1], "b": 2},),
    ):  # fmt: skip
        assert overnight.table(*given) is None
    said = capsys.readouterr().err
    assert "row 2 is no list of cells: 'hello'" in said
    assert "row 1 is no list of cells: 1" in said
    assert "the columns are a text: 'predictions'" in said
    assert said.count("the columns are not of the same length") == 1


# ── artifacts ───────────────────────────────────────────────────────────────────────────────────


@pytest.mark.skipif(sys.platform == "win32", reason="links need a right there")
def test_a_folder_with_links_is_taken_whole(
    run: RunPaths, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("blobs").mkdir()
    Path("blobs/weights").write_bytes(b"weights")
    Path("model").mkdir()
    Path("model/fold0").symlink_to("../blobs")
    Path("model/config.json").symlink_to("../blobs/weights")
    Path("model/itself").symlink_to(".")
    os.chdir("model")
    assert overnight.artifact(".", aliases=None, metadata=[1]) is not None  # type: ignore[arg-type]
    record = newest(run)
    assert record["key"] == "model"
    assert [file["name"] for file in record["files"]] == ["config.json", "fold0/weights"]
    assert "metadata" not in record
    Path("gone").symlink_to("nowhere")
    assert overnight.artifact(Path.cwd()) is None
    assert overnight.artifact(["config.json"]) is None  # type: ignore[arg-type]
    said = capsys.readouterr().err
    assert "metadata could not be kept" in said
    assert "model/gone" in said
    assert "list is no path" in said
