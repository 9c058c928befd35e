"""What people hold pictures in becomes the PNG that another library reads back to the bit."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from overnight.errors import UserError
from overnight.ledger import png
from overnight.ledger.masks import class_ids, of_classes
from overnight.ledger.pixels import Raster, is_picture, picture

GREY = np.arange(5 * 7, dtype=np.uint8).reshape(5, 7)
RGB = np.arange(5 * 7 * 3, dtype=np.uint8).reshape(5, 7, 3)
PALETTE = Image.fromarray(RGB).convert("P")
CMYK = Image.fromarray(RGB).convert("CMYK")
RGBA = np.arange(5 * 7 * 4, dtype=np.uint8).reshape(5, 7, 4)


def read_back(raster: Raster) -> Any:
    return np.asarray(Image.open(io.BytesIO(raster.png())))


@given(
    width=st.integers(1, 40),
    height=st.integers(1, 40),
    kind=st.sampled_from([(1, 8), (2, 8), (3, 8), (4, 8), (1, 16)]),
    seed=st.integers(0, 2**32 - 1),
)
def test_a_png_is_read_back_to_the_bit(
    width: int, height: int, kind: tuple[int, int], seed: int
) -> None:
    channels, depth = kind
    num = width * height * channels * depth // 8
    samples = np.random.default_rng(seed).integers(0, 256, num, dtype=np.uint8).tobytes()
    file = png.encode(width, height, channels, samples, depth=depth)
    Image.open(io.BytesIO(file)).verify()
    seen = np.asarray(Image.open(io.BytesIO(file)))
    assert (seen.astype(">u2") if depth == 16 else seen).tobytes() == samples


@pytest.mark.parametrize(
    ("given", "seen"),
    [
        (GREY, GREY),
        (GREY[:, :, None], GREY),
        (GREY[None], GREY),
        (RGB, RGB),
        (RGB[None], RGB),
        (RGBA, RGBA),
        (RGB.transpose(2, 0, 1), RGB),
        (RGB.transpose(2, 0, 1)[None], RGB),
        (RGB[::-1, ::2], RGB[::-1, ::2]),
        (np.asfortranarray(RGB), RGB),
        (RGB.astype(np.int64), RGB),
        (RGB.astype(">u2"), RGB),
        (RGB.astype(np.float64) / 255, RGB),
        (RGB.astype(np.float32), RGB),
        (RGB.astype(np.float16) / 255, RGB),
        (GREY > 9, (GREY > 9).astype(np.uint8) * 255),
        (np.array([[-0.1, 0.5], [np.nan, np.inf]]), np.array([[0, 128], [0, 255]], np.uint8)),
        (np.full((2, 2), np.nan), np.zeros((2, 2), np.uint8)),
        (np.ones((3, 4, 3), np.uint8), np.ones((3, 4, 3), np.uint8)),
        (Image.fromarray(RGB), RGB),
        (Image.fromarray(RGBA), RGBA),
        (Image.fromarray(GREY), GREY),
        (Image.fromarray(GREY > 9), (GREY > 9).astype(np.uint8) * 255),
        (PALETTE, np.asarray(PALETTE.convert("RGB"))),
        (CMYK, np.asarray(CMYK.convert("RGB"))),
        (memoryview(RGB.tobytes()).cast("B", (5, 7, 3)), RGB),
        (Image.fromarray(GREY.astype(np.int32)), GREY),
        (Image.fromarray(GREY.astype(np.uint16)), GREY),
        (Image.fromarray(GREY.astype(np.float32) / 255), GREY),
    ],
)  # fmt: skip
def test_a_picture_of_any_kind_is_kept_as_it_is(given: Any, seen: Any) -> None:
    before = given.copy() if isinstance(given, np.ndarray) else None
    assert np.array_equal(read_back(picture(given)), seen)
    if before is not None:  # the job goes on with what it gave
        assert np.array_equal(before, given, equal_nan=before.dtype.kind == "f")


#: 0, a quarter, half and all of the way from the lowest to the highest.
RAMP = np.array([[0, 64], [128, 255]], np.uint8)


@pytest.mark.parametrize(
    "given",
    [
        np.array([[-2.0, -1.0], [0.0, 2.0]]),
        np.array([[-1.0, -0.5], [0.0, 1.0]], np.float16),
        np.array([[-20, -10], [0, 20]]) * 1000,
        np.array([[0, 16384], [32768, 65535]], np.uint16),
        np.array([[0, 250.0], [500.0, 1000.0]]),
        Image.fromarray(np.array([[0, 16384], [32768, 65535]], np.uint16)),
        Image.fromarray(np.array([[0, 750], [1500, 3000]], np.int32)),
        Image.fromarray(np.array([[-1, -0.5], [0, 1]], np.float32)),
    ],
)
def test_numbers_of_any_other_range_are_drawn_whole_and_that_is_said(
    given: Any, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("overnight.ledger.complaint._said", set())
    monkeypatch.setenv("OVERNIGHT_LANG", "en")
    for _ in range(2):
        assert abs(read_back(picture(given)).astype(int) - RAMP).max() <= 1
    (said,) = capsys.readouterr().err.splitlines()
    assert "from its lowest, black, to its highest, white" in said


def test_an_array_on_the_disk_is_an_array(tmp_path: Path) -> None:
    mapped = np.memmap(tmp_path / "mapped", dtype=np.uint8, mode="w+", shape=RGB.shape)
    mapped[:] = RGB
    assert np.array_equal(read_back(picture(mapped)), RGB)


@pytest.mark.parametrize(
    ("given", "seen"),
    [
        (GREY, GREY),
        (GREY[None, None], GREY),
        (GREY.astype(np.int64), GREY),
        (GREY.astype(np.float32), GREY),
        (GREY > 9, (GREY > 9).astype(np.uint8)),
        (GREY.astype(np.int32) * 1000, GREY.astype(np.uint16) * 1000),
        (Image.fromarray(GREY), GREY),
        (Image.fromarray(GREY > 9), (GREY > 9).astype(np.uint8)),
        (Image.fromarray(GREY.astype(np.uint16) * 1000), GREY.astype(np.uint16) * 1000),
        (PALETTE, np.asarray(PALETTE)),
        (memoryview(GREY.tobytes()).cast("B", (5, 7)), GREY),
    ],
)  # fmt: skip
def test_a_mask_keeps_every_classs_number(given: Any, seen: Any) -> None:
    assert np.array_equal(read_back(class_ids(given)), seen)


@pytest.mark.parametrize(
    ("given", "key"),
    [
        (np.zeros((2, 5, 7, 3), np.uint8), "job.picture_shape"),
        (np.zeros((5, 7, 2), np.uint8), "job.picture_shape"),
        (np.zeros(5, np.uint8), "job.picture_shape"),
        (np.zeros((0, 5, 3), np.uint8), "job.picture_shape"),
        (np.zeros((5, 7), complex), "job.pixel_type"),
        (np.array([["a"]]), "job.pixel_type"),
        (memoryview(b"abc"), "job.no_pixels"),
        (None, "job.no_pixels"),
        ([[1, 2]], "job.no_pixels"),
        (3.0, "job.no_pixels"),
    ],
)
def test_what_is_no_picture_is_said(given: Any, key: str) -> None:
    with pytest.raises(UserError) as caught:
        picture(given)
    assert caught.value.key == key


@pytest.mark.parametrize(
    ("given", "key"),
    [
        (RGB, "job.mask_shape"),
        (np.zeros((0, 5), np.uint8), "job.mask_shape"),
        (np.full((5, 7), -100), "job.mask_range"),
        (np.full((5, 7), 2**16), "job.mask_range"),
        (np.full((5, 7), np.nan), "job.mask_range"),
        (np.full((5, 7), 0.5), "job.mask_fractions"),
        (Image.fromarray(RGB), "job.mask_mode"),
        ("text", "job.no_pixels"),
    ],
)
def test_what_is_no_mask_is_said(given: Any, key: str) -> None:
    with pytest.raises(UserError) as caught:
        class_ids(given)
    assert caught.value.key == key


def test_one_mask_of_a_mask_for_each_class() -> None:
    road = np.array([[1, 1, 0], [1, 0, 0]], bool)
    car = Image.fromarray(np.array([[0, 255, 0], [0, 255, 0]], np.uint8))
    merged = of_classes({"road": road, "car": car}, {"road": 1, "car": 7})
    assert read_back(merged).tolist() == [[1, 7, 0], [1, 7, 0]]
    for bad in ({"road": road, "car": road[:1]}, {}):
        with pytest.raises(UserError) as caught:
            of_classes(bad, {"road": 1, "car": 7})
        assert caught.value.key == "job.mask_shape"
    with pytest.raises(UserError) as caught:
        of_classes({"road": road}, {"road": 256})
    assert caught.value.key == "job.mask_range"


def test_a_cell_is_a_picture_where_it_can_only_be_one() -> None:
    assert is_picture(RGB)
    assert is_picture(GREY)
    assert is_picture(Image.fromarray(GREY))
    assert not is_picture(GREY.astype(float))  # a small table
    assert not is_picture(np.zeros((7, 5, 9)))
    assert not is_picture(np.zeros(3, np.uint8))
    assert not is_picture("picture.png")


@pytest.mark.parametrize("has_numpy", [True, False])
def test_tensors_channels_first_and_on_any_type(
    has_numpy: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch = pytest.importorskip("torch")
    torch.set_num_threads(1)
    if not has_numpy:

        def numpy(*args: object, **kwargs: object) -> None:
            raise RuntimeError("Numpy is not available")

        monkeypatch.setattr(torch.Tensor, "numpy", numpy)
    chw = torch.from_numpy(RGB.transpose(2, 0, 1).copy())
    for tensor in (
        chw, chw[None], chw.permute(1, 2, 0), chw.long(), chw / 255.0, (chw / 255.0).double(),
        (chw / 255.0).requires_grad_(), chw.float(), chw.half() / 255,
    ):  # fmt: skip
        assert np.array_equal(read_back(picture(tensor)), RGB), tensor.dtype
    assert np.array_equal(read_back(picture(chw.to(torch.uint16))), RGB)
    assert read_back(picture(torch.tensor([[-1.0, 1.0]]))).tolist() == [[0, 255]]
    # bfloat16 has 8 bits of its own: half a step of 1/255 is as near as it comes.
    rounded = read_back(picture((chw / 255.0).bfloat16())).astype(int)
    assert abs(rounded - RGB).max() <= 1
    # Three lines of three pixels: a tensor's channels come first.
    assert picture(torch.zeros(3, 3, 4)).width == 4
    assert picture(np.zeros((3, 3, 4))).channels == 4
    grey = torch.from_numpy(GREY)
    for tensor in (grey, grey.long(), grey[None], grey.float()):
        assert np.array_equal(read_back(class_ids(tensor)), GREY)
    assert np.array_equal(read_back(class_ids(grey > 9)), GREY > 9)
    assert np.array_equal(read_back(class_ids(grey.long() * 1000)), GREY.astype(int) * 1000)
