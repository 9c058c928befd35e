"""Pictures of every kind: one way to see them, and all the broken ones found before the start."""

from __future__ import annotations

import io
import shutil
import struct
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageOps

from overnight.tasks.base import DataIndex, Example, Problem
from overnight.tasks.image_classification import card, check
from overnight.tasks.image_classification.data import load_image, pixels
from overnight.tasks.image_classification.images import BadImageError, look, quietly, size_of

Draw = Callable[..., Path]
Scan = Callable[..., DataIndex]
ProblemOf = Callable[..., Problem]


def example(path: Path) -> Example:
    return Example(path.name, {"image": str(path)}, 0)


def seen(path: Path) -> np.ndarray:
    return np.asarray(load_image(example(path)))


def png_that_claims(width: int, height: int) -> bytes:
    """A few bytes that say they are a large picture."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        whole = kind + data
        return struct.pack(">I", len(data)) + whole + struct.pack(">I", zlib.crc32(whole))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", b"") + chunk(b"IEND", b"")


def test_every_image_that_cannot_be_used_is_listed_with_its_reason(
    pets: Mapping[str, str], scan: Scan, problem_of: ProblemOf, tmp_path: Path
) -> None:
    train = tmp_path / "train"
    (train / "000.png").write_bytes((train / "000.png").read_bytes()[:-90])
    (train / "001.png").write_bytes(b"")
    (train / "002.png").write_bytes(b"GIF? No: a text")
    (train / "003.png").write_bytes(png_that_claims(13_000, 13_000))
    (train / "004.png").write_bytes(png_that_claims(60_000, 60_000))
    # Pillow would hand it to Ghostscript, which runs what is in it.
    (train / "005.png").write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n")
    Image.fromarray(np.zeros((4, 4), np.float32)).save(train / "006.tif")
    (train / "006.png").unlink()
    index = scan()
    found = problem_of(index, "data.unreadable")
    assert found.stops
    assert (found.num, found.fields["all"]) == (7, 8)
    reasons = {Path(one.partition(": ")[0]).stem: one.partition(": ")[2] for one in found.examples}
    assert {stem: reason.split(" (")[0] for stem, reason in reasons.items()} == {
        "000": "cut off: the end of the file is missing",
        "001": "an empty file",
        "002": "no image in a format that is known",
        "003": "more than 89 megapixels",
        "004": "more than 89 megapixels",
        "005": "no image in a format that is known",
        "006": "floating point pixels, which have no fixed scale",
    }
    left = scan(unreadable="quarantine")
    assert [e.id for e in left.examples] == ["007"]
    assert not problem_of(left, "data.unreadable").stops
    with pytest.raises(BadImageError, match=r"003\.png: more than 89 megapixels"):
        load_image(example(train / "003.png"))


def test_a_check_that_is_asked_to_end_ends(draw: Draw) -> None:
    class EndedError(Exception):
        pass

    def stop(done: int, total: int) -> None:
        raise EndedError(done)

    rows = [example(draw(f"{seed}.png", seed % 3, (400, 400))) for seed in range(6)]
    with pytest.raises(EndedError):
        check.look_at(rows, stop)
    told: list[tuple[int, int]] = []
    looks = check.look_at(rows * 2, lambda done, total: told.append((done, total)))
    assert told[-1] == (6, 6)
    assert [look.sha256 for look in looks[:6]] == [look.sha256 for look in looks[6:]]


@pytest.mark.parametrize("kind", ["JPEG", "WEBP", "TIFF", "BMP", "GIF", "AVIF", "MPO"])
def test_a_file_that_is_cut_off_is_found(tmp_path: Path, kind: str) -> None:
    drawn_HW3 = np.random.default_rng(0).integers(0, 256, (64, 80, 3), np.uint8)
    path = tmp_path / f"picture.{kind.lower()}"
    Image.fromarray(drawn_HW3).save(path, kind)
    assert look(example(path)).why == ""
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])
    assert look(example(path)).why
    with pytest.raises(BadImageError):
        load_image(example(path))


@settings(max_examples=150, deadline=None)
@given(
    st.sampled_from(["PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP"]),
    st.integers(0, 600),
    st.binary(min_size=1, max_size=12),
)
def test_any_bytes_are_a_picture_or_a_reason(
    tmp_path_factory: pytest.TempPathFactory, kind: str, at: int, noise: bytes
) -> None:
    whole = io.BytesIO()
    Image.fromarray(np.arange(300, dtype=np.uint8).reshape(10, 10, 3)).save(whole, kind)
    data = whole.getvalue()
    place = at % len(data)
    path = tmp_path_factory.getbasetemp() / "any"
    path.write_bytes(data[:place] + noise + data[place + len(noise) :])
    with quietly():
        found = look(example(path))
    if found.why:
        return
    assert load_image(example(path)).mode == "RGB"


def test_a_picture_is_turned_as_it_says(tmp_path: Path) -> None:
    drawn_HW3 = np.zeros((4, 6, 3), np.uint8)
    drawn_HW3[0, 0] = 255
    corners = [(0, 0), (0, 5), (3, 5), (3, 0), (0, 0), (0, 3), (5, 3), (5, 0)]
    for orientation, corner in enumerate(corners, start=1):
        exif = Image.Exif()
        exif[0x0112] = orientation
        path = tmp_path / f"{orientation}.png"
        Image.fromarray(drawn_HW3).save(path, exif=exif)
        found = seen(path)
        assert found.shape == ((4, 6, 3) if orientation < 5 else (6, 4, 3))
        assert tuple(np.argwhere(found[:, :, 0])[0]) == corner
        with Image.open(path) as image:
            assert (np.asarray(ImageOps.exif_transpose(image)) == found).all()
        assert (pixels(example(path), 100) == found).all()
        assert pixels(example(path), 2).shape == ((2, 3, 3) if orientation < 5 else (3, 2, 3))


def test_transparent_parts_lie_on_white(tmp_path: Path) -> None:
    drawn_HW4 = np.zeros((2, 2, 4), np.uint8)
    drawn_HW4[0, 0] = (10, 20, 30, 255)
    drawn_HW4[1, 1] = (0, 0, 0, 128)
    Image.fromarray(drawn_HW4).save(tmp_path / "rgba.png")
    found = seen(tmp_path / "rgba.png")
    assert found[0, 0].tolist() == [10, 20, 30]
    assert found[0, 1].tolist() == [255, 255, 255]
    assert found[1, 1].tolist() == [127, 127, 127]
    palette = Image.fromarray(np.array([[0, 1]], np.uint8), "P")
    palette.putpalette([9, 8, 7, 50, 60, 70])
    palette.save(tmp_path / "p.png", transparency=0)
    assert seen(tmp_path / "p.png").tolist() == [[[255, 255, 255], [50, 60, 70]]]


def test_sixteen_bits_keep_their_upper_half(
    pets: Mapping[str, str], scan: Scan, problem_of: ProblemOf, tmp_path: Path
) -> None:
    deep_HW = np.array([[0, 255], [256, 65535]], np.uint16)
    for name in ("000.png", "001.tif"):
        (tmp_path / "train" / f"{name[:3]}.png").unlink()
        Image.fromarray(deep_HW).save(tmp_path / "train" / name)
        assert seen(tmp_path / "train" / name)[:, :, 0].tolist() == [[0, 0], [1, 255]]
    assert problem_of(scan(), "data.deep").num == 2


def test_other_kinds_of_pictures(
    pets: Mapping[str, str], scan: Scan, problem_of: ProblemOf, tmp_path: Path
) -> None:
    # No ink but all of it.
    Image.new("CMYK", (2, 2), (0, 0, 0, 255)).save(tmp_path / "cmyk.jpg")
    assert seen(tmp_path / "cmyk.jpg").max() < 40
    Image.new("1", (2, 2), 1).save(tmp_path / "bits.png")
    assert seen(tmp_path / "bits.png").min() == 255
    frames = [Image.new("RGB", (3, 2), colour) for colour in ("red", "blue")]
    (tmp_path / "train" / "000.png").unlink()
    frames[0].save(tmp_path / "train" / "000.gif", save_all=True, append_images=frames[1:])
    assert seen(tmp_path / "train" / "000.gif")[0, 0].tolist() == [255, 0, 0]
    assert problem_of(scan(), "data.moving").examples == ("000",)


def test_a_picture_is_reduced_and_never_enlarged(draw: Draw) -> None:
    small = example(draw("small.png", size=(30, 20)))
    assert (pixels(small, 224) == np.asarray(load_image(small))).all()
    large = example(draw("large.jpg", size=(903, 450)))
    assert size_of(large) == (903, 450)
    assert pixels(large, 100).shape == (100, 201, 3)


def test_the_card(
    pets: Mapping[str, str], draw: Draw, scan: Scan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    draw("train/000.png", 50, (40, 20))
    shutil.copy(tmp_path / "train" / "001.png", tmp_path / "train" / "002.png")
    index = scan()
    assert index.card["images"] == 8
    assert [(c["name"], c["images"]) for c in index.card["classes"]] == [("cat", 4), ("dog", 4)]  # type: ignore[union-attr, index, call-overload]
    assert index.card["width_px"] == {"min": 12, "median": 12.0, "max": 40}
    assert index.card["modes"] == {"RGB": 8}
    assert index.card["fingerprint"] == index.fingerprint
    files = card.write(index, tmp_path / "card")
    assert sorted(path.name for path in files) == [
        "card.json", "card.md", "histogram.png", "samples.png",
    ]  # fmt: skip
    page = (tmp_path / "card" / "card.md").read_text(encoding="utf-8")
    assert "| 0 | cat | 4 | 50.0% |" in page
    assert "001 = 002" in page
    size = sum(path.stat().st_size for path in (tmp_path / "train").iterdir())
    assert f"| {size / 1e3:,.1f} kB |" in page
    monkeypatch.setenv("OVERNIGHT_LANG", "ko")
    card.write(index, tmp_path / "card")
    assert "이미지" in (tmp_path / "card" / "card.md").read_text(encoding="utf-8")
