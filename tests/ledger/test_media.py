"""``overnight.image`` and its sisters: what they keep is what a reader of the run finds."""

from __future__ import annotations

import gzip
import hashlib
import json
import math
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import overnight
from overnight.ledger import artifact as artifacts
from overnight.ledger import job, state
from overnight.ledger.paths import RunPaths
from overnight.ledger.reader import read
from overnight.testing.faults import FaultUnavailableError, small_disk

PACKAGE = Path(state.__file__).parents[1]
PHOTO = np.arange(6 * 8 * 3, dtype=np.uint8).reshape(6, 8, 3)


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[RunPaths]:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("OVERNIGHT_LANG", "en")
    monkeypatch.delenv("OVERNIGHT_RUN_DIR", raising=False)
    monkeypatch.chdir(tmp_path)
    opened = job.open_run("media", root=str(tmp_path / "root"))
    yield opened.run
    job.close_run(opened, {"attempt": 0, "code": 0, "signal": None})


@pytest.fixture
def heard(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr("overnight.ledger.complaint._said", set())
    return lambda: capsys.readouterr().err.splitlines()


def records(run: RunPaths) -> list[dict[str, Any]]:
    book = read(run.dir, "media")
    assert book.broken == 0
    return book.records


def the_record(run: RunPaths) -> dict[str, Any]:
    (record,) = records(run)
    return {key: value for key, value in record.items() if key not in ("_seq", "_t", "_attempt")}


def check_files(run: RunPaths, value: Any) -> None:
    """Whatever in a record is a file is there, inside the run, with these bytes."""
    if isinstance(value, dict):
        if isinstance(value.get("path"), str):
            data = Path(run.dir, value["path"]).read_bytes()
            assert hashlib.sha256(data).hexdigest() == value["sha256"]
            assert len(data) == value["bytes"]
            assert ".." not in value["path"].split("/")
        for part in value.values():
            check_files(run, part)
    elif isinstance(value, list):
        for part in value:
            check_files(run, part)


def pixels(run: RunPaths, file: dict[str, Any]) -> Any:
    return np.asarray(Image.open(run.at(file["path"])))


# ── pictures ────────────────────────────────────────────────────────────────────────────────────


def test_a_picture_with_all_that_was_found_in_it(run: RunPaths, heard: Any) -> None:
    mask = np.arange(6 * 8).reshape(6, 8) % 3
    Image.fromarray(mask.astype(np.uint8)).save("truth.png")
    stored = overnight.image(
        PHOTO,
        "valid/worst",
        masks={"prediction": mask, "truth": "truth.png"},
        boxes={
            "truth": [{"box": np.array([1, 2, 3, 4]), "label": "car"}],
            "prediction": [
                {"box": (1, 2.5, 3, math.nan), "label": np.int64(1), "score": np.float32(0.5)}
            ],
        },
        labels=["road", "car", "sky"],
        caption="the worst of fold 1",
        step=np.int64(120),
        epoch=3,
        fold=1,
    )  # fmt: skip
    record = the_record(run)
    assert stored == Path(run.dir, record["path"])
    assert stored.name == "valid_worst_000000.png"
    check_files(run, record)
    assert np.array_equal(pixels(run, record), PHOTO)
    for mask_file in record["masks"].values():
        assert np.array_equal(pixels(run, mask_file), mask)
        assert mask_file["path"].startswith("media/parts/")
    for field in ("path", "sha256", "bytes", "masks"):
        record.pop(field)
    assert record == {
        "_kind": "image", "key": "valid/worst", "step": 120, "epoch": 3, "fold": 1,
        "caption": "the worst of fold 1", "unit": "pixel",
        "labels": {"0": "road", "1": "car", "2": "sky"},
        "boxes": {
            "truth": [{"box": [1, 2, 3, 4], "label": "car"}],
            "prediction": [{"box": [1, 2.5, 3, "NaN"], "label": 1, "score": 0.5}],
        },
    }  # fmt: skip
    assert heard() == []


def test_what_is_wrong_in_a_picture_is_said_and_the_rest_is_kept(run: RunPaths, heard: Any) -> None:
    overnight.image(
        PHOTO, "a", masks={"good": PHOTO[..., 0], "bad": PHOTO}, boxes=[{"box": [1, 2, 3]}]
    )
    overnight.image(PHOTO, "b", boxes=[{"box": [0, 0, 1, 1]}], unit="percent")
    overnight.image(PHOTO, "c", boxes=[{"box": [0, 0, 0.5, 1], "label": "x"}], unit="share")
    assert overnight.image(PHOTO.astype(complex), "d") is None
    first, second, third = records(run)
    assert list(first["masks"]) == ["good"]
    assert "boxes" not in first
    assert "boxes" not in second
    assert third["boxes"] == {"boxes": [{"box": [0, 0, 0.5, 1], "label": "x"}]}
    assert third["unit"] == "share"
    said = heard()
    assert len(said) == 4
    assert "'a': a mask cannot have the shape 6 x 8 x 3; give one class's number" in said[0]
    assert "this is no box: {'box': [1, 2, 3]}" in said[1]
    assert "unit 'percent'" in said[2]
    assert "'d': no picture can be made of numbers of type complex128" in said[3]


def test_paths_figures_and_names_of_any_kind(run: RunPaths, heard: Any, tmp_path: Path) -> None:
    import matplotlib as mpl
    from matplotlib.figure import Figure

    assert mpl.get_backend()
    drawing = Figure(figsize=(2, 1))
    drawing.subplots().plot([1, 2, 4])
    odd = tmp_path / "a 'photo'\nof 고양이.JPG"
    Image.fromarray(PHOTO).save(odd, "JPEG")
    stored = [
        overnight.image(drawing, "curve"),
        overnight.figure(drawing, "curve"),
        overnight.image(odd, "고양이/ " + "x" * 300),
        overnight.image(str(odd), "../../etc/passwd"),
        overnight.figure(odd, "no suffix"),
    ]
    assert all(stored)
    assert len({path.name for path in stored if path}) == 5
    for record, path in zip(records(run), stored, strict=True):
        check_files(run, record)
        assert path is not None
        assert path.parent == Path(run.media)
        Image.open(path).verify()
    os.mkfifo(tmp_path / "pipe.png")
    for bad in ("nowhere.png", tmp_path, tmp_path / "pipe.png", "zero\0byte", object(), None):
        assert overnight.image(bad, "bad") is None
        assert overnight.figure(bad, "bad") is None
        assert overnight.video(bad, "bad") is None  # type: ignore[arg-type]
        assert overnight.artifact(bad, "bad") is None or bad is tmp_path  # type: ignore[arg-type]
    assert [r["_kind"] for r in records(run)[5:]] in ([], ["artifact"])
    left = [path.name for path in Path(run.media).iterdir() if path.is_file()]
    assert len(left) == 5, left
    assert not any("Traceback" in line for line in heard())


def test_threads_and_equal_keys_never_share_a_file(run: RunPaths) -> None:
    from concurrent.futures import ThreadPoolExecutor

    colours = [np.full((4, 4), shade, np.uint8) for shade in range(64)]
    with ThreadPoolExecutor(8) as pool:
        list(
            pool.map(
                lambda picture: overnight.image(picture, "same", masks={"m": picture}), colours
            )
        )
    found = records(run)
    assert len({record["path"] for record in found}) == 64
    assert sorted(int(pixels(run, record)[0, 0]) for record in found) == list(range(64))
    for record in found:
        check_files(run, record)
        assert pixels(run, record)[0, 0] == pixels(run, record["masks"]["m"])[0, 0]


# ── tables ──────────────────────────────────────────────────────────────────────────────────────


def rows_of(run: RunPaths, record: dict[str, Any]) -> list[dict[str, Any]]:
    data = Path(run.at(record["path"])).read_bytes()
    text = gzip.decompress(data) if record["path"].endswith(".gz") else data
    return [json.loads(line) for line in text.decode().splitlines()]


def test_a_table_with_pictures_in_its_cells(run: RunPaths, heard: Any) -> None:
    Image.fromarray(PHOTO).save("cat.png")
    rows = [
        (PHOTO, "cat", 0.25, None, True, [1, np.float32(2)]),
        [Path("cat.png"), "개", math.inf, np.int64(3), False, {"a": [0, 1]}],
        [Image.fromarray(PHOTO), "half\ud800", math.nan, "no/picture.png"],
    ]
    columns = ["image", "truth", "score", "note", "right", "note"]
    overnight.table(columns, iter(rows), "valid/predictions", epoch=2, caption="worst first")
    record = the_record(run)
    check_files(run, record)
    assert record["path"] == "media/valid_predictions_000000.jsonl"
    assert record["columns"] == ["image", "truth", "score", "note", "right", "note_2"]
    assert (record["num_rows"], record["epoch"]) == (3, 2)
    first, second, third = rows_of(run, record)
    for row in (first, second, third):
        check_files(run, row["image"])
        assert list(row["image"]) == ["_picture"]
        assert np.array_equal(pixels(run, row["image"]["_picture"]), PHOTO)
    # The same picture, encoded by the same hand, lies there once.
    assert first["image"] == third["image"]
    del first["image"], second["image"], third["image"]
    assert first == {"truth": "cat", "score": 0.25, "note": None, "right": True, "note_2": [1, 2.0]}
    assert second == {
        "truth": "개", "score": "Infinity", "note": 3, "right": False, "note_2": {"a": [0, 1]},
    }  # fmt: skip
    assert third == {
        "truth": "half?", "score": "NaN", "note": "no/picture.png", "right": None, "note_2": None,
    }  # fmt: skip
    assert heard() == []


def test_a_large_table_is_compressed_and_never_held(run: RunPaths) -> None:
    text = "x" * 1000
    for _ in range(2):
        overnight.table(["n", "text"], ((n, text) for n in range(5_000)), "large")
    first, second = records(run)
    check_files(run, first)
    assert first["path"].endswith(".jsonl.gz")
    assert first["bytes"] < 100_000
    assert (
        [row["n"] for row in rows_of(run, first)]
        == list(range(5_000))
        == list(range(first["num_rows"]))
    )
    assert first["sha256"] == second["sha256"]


def test_tables_of_other_makes(run: RunPaths, heard: Any) -> None:
    pandas = pytest.importorskip("pandas")
    overnight.table(
        None, pandas.DataFrame({"a": [1, 2], "b": ["x", "y"], 3: [0.5, None]}), "pandas"
    )
    overnight.table(None, [{"a": 1, 5: 2}, {5: 3}], "dicts")
    overnight.table(["a"], [], "empty")
    overnight.table(
        ["truth", "prediction", "count"], [("a", "a", 3)], "cm", plot="confusion_matrix"
    )
    overnight.table(["truth", "count"], [("a", 3)], "no cm", plot="confusion_matrix")
    overnight.table(["a"], [], "no such", plot="pie")
    for bad in (None, 3, [3], [(1, 2)], (1 / 0 for _ in range(1))):
        assert overnight.table(["a"], bad, "bad") is None
    assert overnight.table(None, [(1, 2)], "bad") is None
    found = records(run)
    assert [(r["key"], r["columns"], r["num_rows"], r.get("plot")) for r in found] == [
        ("pandas", ["a", "b", "3"], 2, None), ("dicts", ["a", "5"], 2, None),
        ("empty", ["a"], 0, None),
        ("cm", ["truth", "prediction", "count"], 1, "confusion_matrix"),
        ("no cm", ["truth", "count"], 1, None), ("no such", ["a"], 0, None),
    ]  # fmt: skip
    assert rows_of(run, found[0])[1] == {"a": 2, "b": "y", "3": "NaN"}
    assert rows_of(run, found[1]) == [{"a": 1, "5": 2}, {"a": None, "5": 3}]
    assert len(list(Path(run.media).iterdir())) == 6
    said = heard()
    assert any("columns are missing for confusion_matrix" in line for line in said)
    assert any("row 1 has 2 cells, the table 1 columns" in line for line in said)


# ── films and artifacts ─────────────────────────────────────────────────────────────────────────


def test_a_film_is_copied(run: RunPaths) -> None:
    film = Path("sample.MP4")
    film.write_bytes(b"not really a film")
    stored = overnight.video(film, "samples", step=3)
    film.write_bytes(b"the next one")
    assert stored is not None
    assert stored.read_bytes() == b"not really a film"
    record = the_record(run)
    check_files(run, record)
    assert record["path"] == "media/samples_000000.mp4"


def test_versions_of_files_and_folders(run: RunPaths, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(artifacts, "COPIED_BYTES", 100)
    folder = Path("my model")
    (folder / "a").mkdir(parents=True)
    (folder / "a" / "weights.safetensors").write_bytes(b"w" * 101)
    (folder / "config.json").write_text("{}")
    own = Path(run.at("model"))
    own.mkdir()
    (own / "config.json").write_text("{}")
    first = overnight.artifact(
        folder, kind="model", aliases="best", metadata={"f1": np.float32(0.5)}
    )
    second = overnight.artifact(str(folder) + "/", "other", "model", ["latest", "best"])
    third = overnight.artifact(own / "config.json", "config", "config")
    one, two, three = records(run)
    assert first == second == one["sha256"] == two["sha256"]
    lines = subprocess.run(
        ["sha256sum", "a/weights.safetensors", "config.json"],
        cwd=folder,
        capture_output=True,
        check=True,
    )
    assert first == hashlib.sha256(lines.stdout).hexdigest()
    assert (one["key"], one["kind"], one["aliases"]) == ("my model", "model", ["best"])
    assert one["metadata"] == {"f1": 0.5}
    assert (two["key"], two["aliases"]) == ("other", ["latest", "best"])
    assert [file["name"] for file in one["files"]] == ["a/weights.safetensors", "config.json"]
    large, small = one["files"]
    assert large["path"] == str((folder / "a" / "weights.safetensors").absolute())
    assert small["path"].startswith("media/parts/")
    assert one["bytes"] == 103
    for record in (one, two, three):
        for file in record["files"]:
            check_files(run, file)
    assert three["files"][0]["path"] == "model/config.json"
    assert third == three["sha256"] == hashlib.sha256(b"{}").hexdigest()


def test_a_folder_of_too_many_files_is_refused(run: RunPaths, heard: Any) -> None:
    many = Path("many")
    many.mkdir()
    assert overnight.artifact(many) is None
    for number in range(artifacts.NUM_FILES_AT_MOST + 1):
        (many / str(number)).touch()
    assert overnight.artifact(many) is None
    assert records(run) == []
    assert ["no file lies in" in line or "more than 1,000" in line for line in heard()] == [
        True
    ] * 2


# ── what may happen ─────────────────────────────────────────────────────────────────────────────

HOSTILE = """
import overnight, os

class Rude:
    def __getattr__(self, name): raise RuntimeError("rude")
    def __str__(self): raise KeyError("no text")
    __repr__ = __str__
    def __fspath__(self): raise ZeroDivisionError
    def __iter__(self): raise ValueError
    __hash__ = object.__hash__

class RudeArray:
    shape, dtype, mode = (4, 4, 3), "uint8", None
    def __array__(self): raise MemoryError

for value in (Rude(), RudeArray(), None, 3, b"x", "x", [1], {"a": 1}, {Rude(): Rude()}, [Rude()]):
    for more in (Rude(), 3, "x", [Rude()], {"m": Rude()}):
        overnight.image(value, more, masks=more, boxes=more, labels=more, caption=more, step=more)
        overnight.image(memoryview(bytes(12)).cast("B", (2, 2, 3)), masks=more, boxes=value)
        overnight.table(value, more, more, plot=more)
        overnight.table(["a"], [[value], [more]], "t", epoch=more)
        overnight.video(value, more, fold=more)
        overnight.figure(value, more)
        overnight.artifact(value, more, more, more, metadata=more)
print("done")
"""


def environment(run: RunPaths | None, **more: str) -> dict[str, str]:
    env = {k: v for k, v in os.environ.items() if not k.startswith("OVERNIGHT_")}
    return {
        **env,
        "OVERNIGHT_LANG": "en",
        **({"OVERNIGHT_RUN_DIR": run.dir} if run else {}),
        **more,
    }


@pytest.mark.parametrize("speech", ["en", "ko"])
def test_nothing_a_job_gives_ends_it(run: RunPaths, tmp_path: Path, speech: str) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", HOSTILE],
        env=environment(run, OVERNIGHT_LANG=speech),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, "done\n"), done.stderr
    assert "Traceback" not in done.stderr
    assert len(done.stderr.splitlines()) <= 20
    for stem in ("media", *(p.stem for p in Path(run.dir).glob("media.p*.jsonl"))):
        assert read(run.dir, stem).broken == 0


def test_without_a_run_nothing_happens(tmp_path: Path) -> None:
    code = (
        "import overnight as o\n"
        "print(o.image('x', 'x'), o.table([], []), o.video('x'), o.figure('x'), o.artifact('x'))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=environment(None),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert (done.stdout, done.stderr) == ("None None None None None\n", "")


def test_a_full_disk_loses_the_picture_and_nothing_else(run: RunPaths, heard: Any) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (200, 200), dtype=np.uint8)
    try:
        with small_disk(64) as disk:
            Path(run.media).symlink_to(disk)
            kept = [overnight.image(noise, f"noise {n}") for n in range(3)]
            assert kept[0] is not None
            assert kept[1:] == [None, None]
            assert [path.name for path in disk.iterdir()] == ["noise_0_000000.png"]
    except FaultUnavailableError as error:
        pytest.skip(str(error))
    assert [record["key"] for record in records(run)] == ["noise 0"]
    assert sum("No space left" in line for line in heard()) == 1


OLD = """
import sys
import overnight
grey = memoryview(bytes(range(12))).cast("B", (3, 4))
colour = memoryview(bytes(range(36))).cast("B", (3, 4, 3))
assert overnight.image(
    grey, "old", masks={"m": grey, "n": {"road": grey}}, boxes=[[0, 0, 1, 1]], step=1
)
assert overnight.table(["a", "p"], [(n, colour) for n in range(9_000)], "old")
assert overnight.table({"a": [1, 2], "b": "xy"}, "odd") is None
assert overnight.table({"a": [1, 2], "b": [3, 4]}, "columns")
assert overnight.video(__file__, "old")
assert overnight.video([colour, colour], "film")
assert overnight.artifact(__file__, "old", "config")
assert not {"numpy", "PIL", "torch"} & set(sys.modules)
"""


def test_it_needs_no_library_and_no_new_python(run: RunPaths, tmp_path: Path) -> None:
    python = next(Path.home().glob(".pyenv/versions/3.9.*/bin/python3"), None)
    (tmp_path / "old.py").write_text(OLD)
    done = subprocess.run(
        [str(python or sys.executable), "-W", "error", "old.py"],
        env=environment(run, PYTHONPATH=str(PACKAGE.parent), PYTHONDONTWRITEBYTECODE="1"),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert len(done.stderr.splitlines()) == 1, done.stderr
    (stem,) = (path.name.removesuffix(".jsonl") for path in Path(run.dir).glob("media.p*.jsonl"))
    found = read(run.dir, stem).records
    kinds = ["image", "table", "table", "video", "video", "artifact"]
    assert [record["_kind"] for record in found] == kinds
    for record in found:
        check_files(run, record)
    assert found[1]["path"].endswith(".jsonl.gz")
