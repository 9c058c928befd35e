"""The loss curve: a whole PNG of any numbers, and nothing where there are none."""

from __future__ import annotations

import json
import os
import struct
import zlib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from overnight.alerts import letters
from overnight.alerts.canvas import Canvas
from overnight.alerts.plot import loss_curve, pictures_of
from overnight.ledger.paths import RunPaths, create_run

BLUE, ORANGE = (37, 99, 235), (234, 110, 16)


@pytest.fixture
def run(tmp_path: Path) -> RunPaths:
    return create_run(str(tmp_path), "run", "digits")


def write(run: RunPaths, rows: list[dict[str, Any]]) -> None:
    lines = [
        json.dumps({"_seq": at, "_t": 1 + at, "_attempt": 0, **row}) for at, row in enumerate(rows)
    ]
    Path(run.at("metrics.jsonl")).write_text("\n".join(lines) + "\n")


def pixels(path: Path) -> tuple[int, int, bytes]:
    """Width, height and the RGB bytes of a PNG, its checksums tested on the way."""
    data, at, packed = path.read_bytes(), 8, b""
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    size = (0, 0)
    while at < len(data):
        (length,) = struct.unpack(">I", data[at : at + 4])
        body = data[at + 4 : at + 8 + length]
        assert struct.unpack(">I", data[at + 8 + length : at + 12 + length])[0] == zlib.crc32(body)
        if body[:4] == b"IHDR":
            size = struct.unpack(">II", body[4:12])
            assert body[12:] == b"\x08\x02\x00\x00\x00"
        if body[:4] == b"IDAT":
            packed += body[4:]
        at += 12 + length
    raw, stride = zlib.decompress(packed), size[0] * 3
    above, lines = bytes(stride), []
    for begin in range(0, len(raw), stride + 1):
        assert raw[begin] == 2
        above = bytes(
            (a + b) & 255 for a, b in zip(raw[begin + 1 : begin + 1 + stride], above, strict=True)
        )
        lines.append(above)
    return size[0], size[1], b"".join(lines)


def colours(path: Path) -> set[tuple[int, ...]]:
    _, _, data = pixels(path)
    return {tuple(data[at : at + 3]) for at in range(0, len(data), 3)}


def test_both_losses_are_drawn_over_the_epochs(run: RunPaths, tmp_path: Path) -> None:
    write(
        run,
        [
            {"_kind": "epoch", "epoch": at, "train_loss": 1 / at, "val_loss": 1 / at + 0.1}
            for at in range(1, 13)
        ],
    )
    target = tmp_path / "curve.png"
    assert loss_curve(run, target)
    width, height, _ = pixels(target)
    assert (width, height) == (1600, 1000)
    assert {BLUE, ORANGE} <= colours(target)
    assert target.stat().st_size < 150_000


def test_a_loss_is_drawn_over_the_steps_where_there_are_no_epochs(
    run: RunPaths, tmp_path: Path
) -> None:
    write(run, [{"_kind": "step", "step": at, "loss": 5 / (1 + at)} for at in range(3000)])
    assert loss_curve(run, tmp_path / "curve.png")
    found = colours(tmp_path / "curve.png")
    assert BLUE in found
    assert ORANGE not in found


@pytest.mark.parametrize(
    "rows",
    [
        [],
        [{"_kind": "epoch", "epoch": 1, "loss": 0.5}],
        [{"_kind": "epoch", "epoch": at, "accuracy": 0.5} for at in range(9)],
        [{"_kind": "epoch", "epoch": at, "loss": "NaN"} for at in range(9)],
        [{"_kind": "summary", "loss": 0.5}] * 3,
    ],
)
def test_nothing_to_draw_is_no_file(
    run: RunPaths, tmp_path: Path, rows: list[dict[str, Any]]
) -> None:
    write(run, rows)
    assert not loss_curve(run, tmp_path / "curve.png")
    assert not (tmp_path / "curve.png").exists()


@pytest.mark.slow
@settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    st.lists(
        st.tuples(
            st.one_of(st.integers(0, 9), st.integers()),
            st.floats(),
            st.one_of(st.floats(-1e18, 1e18), st.sampled_from([0.0, -0.0, 1e-320, 1e308])),
        ),
        min_size=2, max_size=8,
    ),
    st.sampled_from(["epoch", "step"]),
)  # fmt: skip
def test_any_numbers_are_drawn_or_left_out(
    tmp_path_factory: pytest.TempPathFactory, values: list[tuple[int, float, float]], axis: str
) -> None:
    folder = tmp_path_factory.mktemp("root")
    run = create_run(str(folder), "run", "x")
    write(
        run,
        [
            {"_kind": axis, axis: at, "loss": first, "val_loss": second}
            for at, first, second in values
        ],
    )
    target = folder / "curve.png"
    if loss_curve(run, target):
        assert pixels(target)[:2] == (1600, 1000)


def test_a_folder_that_is_gone_is_said(run: RunPaths, tmp_path: Path) -> None:
    write(run, [{"_kind": "epoch", "epoch": at, "loss": 1.0} for at in range(3)])
    with pytest.raises(OSError, match="No such file"):
        loss_curve(run, tmp_path / "gone" / "curve.png")


def test_every_letter_has_a_shape_of_its_own() -> None:
    alphabet = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.,:-+=_/()%"
    shapes = set()
    for char in alphabet:
        assert letters.can_write(char)
        drawn = letters.strokes(char, 0, 0, 7.0)
        assert drawn
        assert all(-1 <= x <= 9 and -9 <= y <= 3 for stroke in drawn for x, y in stroke)
        shapes.add(str(drawn))
    assert len(shapes) == len(alphabet)
    assert letters.width("0.91", 7.0) == letters.width("0.28", 7.0)
    assert not letters.can_write("손실")


def test_what_lies_off_the_paper_is_not_drawn() -> None:
    paper = Canvas(20, 10)
    blank = paper.png()
    paper.polyline([(-50.0, -50.0), (-10.0, -40.0)], 3.0, BLUE)
    paper.dot((500.0, 500.0), 9.0, BLUE)
    assert paper.png() == blank
    paper.polyline([(-50.0, 5.0), (500.0, 5.0)], 2.0, BLUE)
    assert paper.png() != blank


def test_the_newest_pictures_of_the_job_come_first(run: RunPaths, tmp_path: Path) -> None:
    media = Path(run.media)
    assert pictures_of(run) == []
    media.mkdir()
    for at, name in enumerate(
        ["a.png", "b.jpg", "c.PNG", "d.webp", "e.txt", "empty.png", "huge.png"]
    ):
        (media / name).write_bytes(
            b"" if name == "empty.png" else b"x" * (6 * 2**20 if name == "huge.png" else 9)
        )
        os.utime(media / name, (at, at))
    outside = tmp_path / "outside.png"
    outside.write_bytes(b"secret")
    (media / "link.png").symlink_to(outside)
    (media / "folder.png").mkdir()
    assert [os.path.basename(path) for path in pictures_of(run)] == ["d.webp", "c.PNG", "b.jpg"]  # noqa: PTH119
