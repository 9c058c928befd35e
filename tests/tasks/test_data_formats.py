"""From what lies on the disk to examples: IDs to files, labels to classes, folders to parts."""

from __future__ import annotations

import csv
import json
import shutil
import subprocess
import sys
import unicodedata
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from overnight.errors import UserErrors
from overnight.messages import say
from overnight.tasks import folds
from overnight.tasks.base import DataIndex, Problem
from overnight.tasks.image_classification import card

Draw = Callable[..., Path]
Write = Callable[..., Path]
Scan = Callable[..., DataIndex]
ProblemOf = Callable[..., Problem]


def found_files(index: DataIndex) -> list[str]:
    return [Path(example.inputs["image"]).name for example in index.examples]


def keys(index: DataIndex) -> list[str]:
    return [each.key for each in index.problems]


def test_an_id_finds_its_file_with_and_without_extension(
    draw: Draw, table: Write, scan: Scan
) -> None:
    on_disk = [
        "a.jpg",
        "b.JPG",
        "c.png",
        "sub/d.webp",
        "e.v2.png",
        "F.png",
        "001.jpeg",
        "g.jpg.jpg",
    ]
    for seed, name in enumerate(on_disk):
        draw(f"train/{name}", seed)
    ids = ["a.jpg", "b", "c.jpg", "sub\\d", "e.v2", "f.png", "001", "g.jpg"]
    table("ID,target\n" + "".join(f"{id},{i % 2}\n" for i, id in enumerate(ids)))
    assert found_files(scan()) == [Path(name).name for name in on_disk]


@pytest.mark.parametrize("extension", ["png", ".png", ".PNG"])
def test_of_several_files_the_asked_for_extension_is_taken(
    pets: Mapping[str, str], draw: Draw, scan: Scan, problem_of: ProblemOf, extension: str
) -> None:
    draw("train/000.jpg", 90)
    index = scan(image_ext=extension)
    assert found_files(index)[0] == "000.png"
    assert problem_of(index, "data.several_files").examples == ("000: 000.png (000.jpg)",)
    assert found_files(scan())[0] == "000.jpg"


def test_a_name_that_macos_took_apart_is_found(draw: Draw, table: Write, scan: Scan) -> None:
    for seed, name in enumerate(("강아지", "고양이")):
        draw(f"train/{unicodedata.normalize('NFD', name)}.png", seed)
    table("ID,target\n강아지,개\n고양이,고양이\n")
    assert len(scan().examples) == 2


def test_images_that_are_not_there(
    pets: Mapping[str, str], tmp_path: Path, scan: Scan, problem_of: ProblemOf
) -> None:
    (tmp_path / "train" / "003.png").unlink()
    # A folder of that name is no image.
    (tmp_path / "train" / "003").mkdir()
    index = scan()
    found = problem_of(index, "data.missing")
    assert found.examples == (str(tmp_path / "train" / "003"),)
    assert (found.fields["num"], found.fields["all"], found.stops) == (1, 8, True)
    assert len(index.examples) == 7
    left = scan(unreadable="quarantine")
    assert not problem_of(left, "data.missing").stops
    why = f"not there: {tmp_path / 'train' / '003'}"
    assert left.card["left_out"] == [{"id": "003", "why": why}]


def test_labels_are_names_or_numbers(
    pets: Mapping[str, str], table: Write, scan: Scan, problem_of: ProblemOf
) -> None:
    # Not in the alphabet's order, and one more than there are images of.
    index = scan(class_names=["fish", "dog", "cat"])
    assert [example.target for example in index.examples] == [2] * 4 + [1] * 4
    assert problem_of(index, "data.empty_classes").examples == ("fish",)
    numbers = "".join(f"{k},{1 if v == 'dog' else 2}\n" for k, v in pets.items())
    table("ID,target\n" + numbers)
    assert scan(class_names=["fish", "dog", "cat"]).examples == index.examples
    # From 1, as some tables count; the other table says what for.
    meta = table("target,class_name\n2,cat\n1,dog\n", "meta.csv")
    index = scan(meta_csv=meta)
    assert index.labels == ("dog", "cat")
    assert [example.target for example in index.examples] == [1] * 4 + [0] * 4


def test_labels_that_nobody_knows_stop(
    pets: Mapping[str, str], table: Write, scan: Scan, problem_of: ProblemOf
) -> None:
    table(
        "ID,target\n" + "".join(f"{k},{v}\n" for k, v in pets.items() if k != "000") + "000,catt\n"
    )
    found = problem_of(scan(class_names=["cat", "dog"]), "data.unknown_labels")
    assert found.stops
    assert found.examples == ("catt (1) did you mean 'cat'? ",)
    table("ID,target\n" + "".join(f"{k},{9 if v == 'cat' else 1}\n" for k, v in pets.items()))
    assert problem_of(scan(class_names=["cat", "dog"]), "data.unknown_labels").examples == (
        "9 (4)",
    )


def test_names_that_contradict_each_other(
    pets: Mapping[str, str], table: Write, scan: Scan
) -> None:
    meta = table("target,class_name\n0,cat\n1,dog\n", "meta.csv")
    with pytest.raises(UserErrors) as caught:
        scan(meta_csv=meta, class_names=["dog", "cat"])
    assert [e.key for e in caught.value.errors] == ["data.names_differ"]
    table("target,class_name\n0,cat\n1,dog\n0,cat\n", "meta.csv")
    with pytest.raises(UserErrors) as caught:
        scan(meta_csv=meta)
    assert [e.key for e in caught.value.errors] == ["data.names_twice"] * 2


def test_the_rows_to_predict_keep_their_order(
    pets: Mapping[str, str], draw: Draw, table: Write, scan: Scan, problem_of: ProblemOf,
    tmp_path: Path,
) -> None:  # fmt: skip
    for seed in (50, 51):
        draw(f"test/{seed}.png", seed)
    shutil.copy(tmp_path / "train" / "005.png", tmp_path / "test" / "49.png")
    sample = table("ID,target\n51,0\n49,0\n50,0\n", "sample.csv")
    index = scan(sample_csv=sample, image_dir_test=tmp_path / "test")
    assert [example.id for example in index.unlabelled] == ["51", "49", "50"]
    assert {example.target for example in index.unlabelled} == {None}
    assert problem_of(index, "data.equal_in_test").examples == ("49 = 005",)
    # Without a table: all that are there.
    assert [e.id for e in scan(image_dir_test=tmp_path / "test").unlabelled] == [
        "49.png", "50.png", "51.png",
    ]  # fmt: skip


def test_a_folder_for_each_class(draw: Draw, scan: Scan, tmp_path: Path) -> None:
    for seed in range(4):
        draw(f"train/{'ab'[seed % 2]}/deep/{seed}.png", seed)
    draw("train/loose.png", 9)
    (tmp_path / "train" / "empty").mkdir()
    (tmp_path / "train" / ".cache").mkdir()
    index = scan(format=None, image_dir_train=tmp_path / "train")
    assert index.labels == ("a", "b", "empty")
    assert [e.id for e in index.examples] == [
        "a/deep/0.png", "a/deep/2.png", "b/deep/1.png", "b/deep/3.png",
    ]  # fmt: skip
    assert {"data.guessed", "data.loose_images", "data.empty_classes"} == set(keys(index))
    assert index.card["format"] == "folders"


@pytest.mark.parametrize("kind", ["csv", "jsonl"])
def test_imagefolder_with_a_table_and_its_own_parts(
    draw: Draw, scan: Scan, problem_of: ProblemOf, tmp_path: Path, kind: str
) -> None:
    for part, seeds in (("train", range(6)), ("validation", range(6, 8)), ("test", range(8, 9))):
        rows = []
        for seed in seeds:
            draw(f"set/{part}/{seed}.png", seed)
            rows.append({"file_name": f"{seed}.png", "label": seed % 2})
        text = "\n".join(
            map(json.dumps, rows)
            if kind == "jsonl"
            else ["file_name,label", *(f"{r['file_name']},{r['label']}" for r in rows)]
        )
        (tmp_path / "set" / part / f"metadata.{kind}").write_text(text + "\n", encoding="utf-8")
    draw("set/train/extra.png", 99)
    index = scan(format=None, image_dir_train=tmp_path / "set")
    assert index.card["format"] == "imagefolder"
    assert [e.id for e in index.unlabelled] == ["test/8.png"]
    assert problem_of(index, "data.own_validation").fields["images"] == 2
    assert problem_of(index, "data.not_in_table").examples == ("extra.png",)
    assert "data.label_column" in keys(index)
    fold_of = folds.split(index.examples, folds=5, seed=0, stratify=True)
    assert fold_of == [folds.ALWAYS_TRAINED] * 6 + [0, 0]
    assert folds.to_train(fold_of, "all") == [0]


def test_imagefolder_without_a_table_goes_by_folders(
    draw: Draw, scan: Scan, tmp_path: Path
) -> None:
    for seed in range(8):
        part = "train" if seed < 6 else "val"
        draw(f"set/{part}/{'ab'[seed % 2]}/{seed}.png", seed)
    index = scan(image_dir_train=tmp_path / "set", format="imagefolder")
    assert index.labels == ("a", "b")
    assert [e.fold for e in index.examples] == [-1] * 6 + [0, 0]


def test_a_folder_that_is_no_data_set(scan: Scan, tmp_path: Path) -> None:
    (tmp_path / "train").mkdir()
    (tmp_path / "train" / "readme.txt").write_text("hello", encoding="utf-8")
    with pytest.raises(UserErrors, match=r"no data set; in it: readme\.txt"):
        scan(format=None, image_dir_train=tmp_path / "train")


def test_equal_files_stay_together_and_are_told(
    pets: Mapping[str, str], draw: Draw, table: Write, scan: Scan, problem_of: ProblemOf,
    tmp_path: Path,
) -> None:  # fmt: skip
    for old, new in (("000", "001"), ("003", "004")):
        shutil.copy(tmp_path / "train" / f"{old}.png", tmp_path / "train" / f"{new}.png")
    index = scan()
    assert problem_of(index, "data.equal_files").fields["images"] == 2
    assert problem_of(index, "data.equal_labels_differ").examples == ("003 (cat) = 004 (dog)",)
    for seed in range(5):
        fold_of = folds.split(index.examples, folds=2, seed=seed, stratify=True)
        assert fold_of[0] == fold_of[1]
        assert fold_of[3] == fold_of[4]
    # Groups that share a file become one.
    rows = [f"{k},{v},{'xyxyzwuv'[int(k)]}\n" for k, v in pets.items()]
    table("ID,target,cage\n" + "".join(rows))
    groups = [e.group for e in scan(group_col="cage").examples]
    assert len({groups[i] for i in (0, 1, 2, 3, 4)}) == 1
    assert len(set(groups)) == 4
    # Where the data names the folds, they stay, and it is told.
    table("ID,target,fold\n" + "".join(f"{k},{v},{int(k) % 2}\n" for k, v in pets.items()))
    assert problem_of(scan(), "data.equal_in_folds").examples == ("000 = 001", "003 = 004")


def test_small_classes_are_told(
    pets: Mapping[str, str], draw: Draw, table: Write, scan: Scan, problem_of: ProblemOf
) -> None:
    draw("train/100.png", 100)
    table("ID,target\n" + "".join(f"{k},{v}\n" for k, v in pets.items()) + "100,fish\n")
    index = scan(folds=3)
    assert problem_of(index, "data.alone").examples == ("fish (1)",)
    index = scan(folds=5)
    assert problem_of(index, "data.small_classes").examples == ("cat (4)", "dog (4)")


def test_one_class_and_no_image_stop(
    pets: Mapping[str, str], table: Write, scan: Scan, problem_of: ProblemOf
) -> None:
    table("ID,target\n" + "".join(f"{k},cat\n" for k in pets))
    assert problem_of(scan(), "data.one_class").stops
    table("ID,target\nx,cat\ny,dog\n")
    assert problem_of(scan(unreadable="quarantine"), "data.no_images").stops


def test_a_measurement_is_no_class(
    draw: Draw, table: Write, scan: Scan, problem_of: ProblemOf
) -> None:
    ids = [f"{i}" for i in range(24)]
    for seed, id in enumerate(ids):
        draw(f"train/{id}.png", seed)
    table("ID,target\n" + "".join(f"{id},{i / 7:.3f}\n" for i, id in enumerate(ids)))
    assert problem_of(scan(), "data.too_many_labels").num == 24


def test_the_fingerprint_is_of_the_contents(
    pets: Mapping[str, str], draw: Draw, table: Write, scan: Scan, tmp_path: Path
) -> None:
    before = scan().fingerprint
    table("ID,target\n" + "".join(f"{k},{v}\n" for k, v in reversed(pets.items())))
    shutil.move(tmp_path / "train", tmp_path / "moved")
    moved = {"image_dir_train": tmp_path / "moved", "train_csv": tmp_path / "train.csv"}
    assert scan(**moved).fingerprint == before
    draw("moved/000.png", 77)
    assert scan(**moved).fingerprint != before


CELLS = st.one_of(
    st.sampled_from(["000", "001.png", "../train/002", "003.jpg", "cat", "dog", "0", "1.0", ""]),
    st.text(max_size=6),
)


@settings(
    max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    rows=st.lists(st.tuples(CELLS, CELLS, CELLS), min_size=1, max_size=8),
    jsonl=st.booleans(),
    named=st.booleans(),
    kind=st.sampled_from(["refuse", "quarantine"]),
)
def test_any_cells_are_a_data_set_or_sentences(
    pets: Mapping[str, str], tmp_path: Path, scan: Scan, kind: str, jsonl: bool, named: bool,
    rows: list[tuple[str, str, str]],
) -> None:  # fmt: skip
    columns = ("file_name" if jsonl else "ID", "target", "fold" if named else "comment")
    how: dict[str, object] = {"unreadable": kind, "format": "imagefolder" if jsonl else "csv"}
    folder = tmp_path / "train"
    if jsonl:
        text = "".join(json.dumps(dict(zip(columns, row, strict=True))) + "\n" for row in rows)
        (folder / "metadata.jsonl").write_text(text, encoding="utf-8")
    else:
        (folder / "metadata.jsonl").unlink(missing_ok=True)
        how["train_csv"] = tmp_path / "any.csv"
        with (tmp_path / "any.csv").open("w", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows([columns, *rows])
    try:
        index = scan(**how)
    except UserErrors:
        return
    for found in index.problems:
        assert say(found.key, **found.fields)
        assert say(found.key + ".fix", **found.fields)
    assert len({example.id for example in index.examples}) == len(index.examples)
    assert {type(example.target) for example in index.examples} <= {int}
    assert card.as_markdown(index.card)


def test_reading_a_data_set_needs_no_framework(pets: Mapping[str, str], tmp_path: Path) -> None:
    code = f"""
import sys, pathlib
from overnight.tasks.image_classification.data import Reader
assert not {{"numpy", "PIL", "sklearn", "torch", "pydantic"}} & set(sys.modules)
from overnight.tasks.image_classification.config import Data
folder = pathlib.Path({str(tmp_path)!r})
data = Data(train_csv=folder / "train.csv", image_dir_train=folder / "train")
assert len(Reader().scan(data).examples) == 8
assert not {{"sklearn", "torch", "matplotlib"}} & set(sys.modules)
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_every_problem_says_what_to_do_in_both_languages() -> None:
    import re

    from overnight.messages import data

    sources = Path(folds.__file__).parent.rglob("*.py")
    told = {
        key
        for path in sources
        for key in re.findall(r'problem\(\s*"(data\.[a-z_]+)"', path.read_text(encoding="utf-8"))
    }
    assert len(told) > 20
    for key in told:
        for sentences in (data.EN, data.KO):
            assert sentences[key + ".fix"]
