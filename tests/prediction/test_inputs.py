"""What is to be predicted: folders, tables, images, a config's test images; and what is wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from overnight.errors import UserErrors
from overnight.tasks.image_classification.config import Data
from overnight.tasks.image_classification.inputs import Inputs
from overnight.tasks.predictor import Source, ToPredict


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """Three images, which nobody opens."""
    (tmp_path / "test" / "sub").mkdir(parents=True)
    for name in ("a.png", "나 다.JPG", "sub/c'.png"):
        (tmp_path / "test" / name).write_bytes(b"-")
    (tmp_path / "test" / "notes.txt").write_text("none of ours")
    return tmp_path


def find(place: Path, *paths: str, sample: str = "", data: Data | None = None) -> ToPredict:
    return Inputs().find(Source(place, paths, place / sample if sample else None, data))


def keys(place: Path, *paths: str, sample: str = "") -> list[str]:
    with pytest.raises(UserErrors) as caught:
        find(place, *paths, sample=sample)
    return [error.key for error in caught.value.errors]


def ids(found: ToPredict) -> list[str]:
    return [example.id for example in found.examples]


def files(found: ToPredict) -> list[str]:
    return [Path(example.inputs["image"]).name for example in found.examples]


def problems(found: ToPredict) -> dict[str, int]:
    return {problem.key: problem.num for problem in found.problems}


def test_a_folder_is_all_images_in_it_and_below(place: Path) -> None:
    found = find(place, "test")
    assert ids(found) == ["a.png", "sub/c'.png", "나 다.JPG"]
    assert found.examples[1].inputs == {"image": str(place / "test/sub/c'.png")}
    assert ids(found) == [example.id for example in found.examples[:]]


def test_images_are_called_as_they_were_named(place: Path) -> None:
    assert ids(find(place, "test/a.png", str(place / "test/나 다.JPG"))) == [
        "test/a.png",
        str(place / "test/나 다.JPG"),
    ]
    assert ids(find(place, "test/sub/", "test/a.png")) == ["test/sub/c'.png", "test/a.png"]


def test_a_sample_says_which_and_in_what_order(place: Path) -> None:
    (place / "sample.csv").write_text("ID;target;Usage\nsub/c';0;p\na;0;q\n")
    found = find(place, "test", sample="sample.csv")
    assert ids(found) == ["sub/c'", "a"]
    assert files(found) == ["c'.png", "a.png"]
    assert problems(found) == {"predict.not_named": 1}
    assert found.sample is not None
    assert (found.sample.target, found.sample.separator) == ("target", ";")


def test_ids_without_an_image_are_all_told(place: Path) -> None:
    lines = [f"x{number}\n" for number in range(30)]
    (place / "sample.csv").write_text("ID\na\n" + "".join(lines))
    (problem,) = (each for each in find(place, "test", sample="sample.csv").problems if each.stops)
    assert problem.key == "predict.no_image"
    assert problem.num == 30
    assert "x0, x1, " in problem.error.what
    assert "(+10)" in problem.error.what


def test_ids_that_stand_there_twice_are_both_predicted(place: Path) -> None:
    (place / "sample.csv").write_text("ID,target\na,0\na,0\n")
    found = find(place, "test", sample="sample.csv")
    assert ids(found) == ["a", "a"]
    assert problems(found)["predict.twice"] == 1


def test_the_column_of_the_ids_is_found_by_its_images(place: Path) -> None:
    (place / "test" / "list.csv").write_text("number,picture,width\n1,a.png,3\n2,나 다.JPG,4\n")
    found = find(place, "test/list.csv")
    assert ids(found) == ["a.png", "나 다.JPG"]
    assert found.sample is not None
    assert not found.sample.is_sure


def test_a_table_of_korean_windows_and_json_lines_are_tables_too(place: Path) -> None:
    (place / "sample.csv").write_bytes("ID,target\n나 다,0\n".encode("cp949"))
    found = find(place, "test", sample="sample.csv")
    assert found.sample is not None
    assert found.sample.encoding == "cp949"
    assert files(found) == ["나 다.JPG"]
    (place / "test" / "ids.jsonl").write_text('{"ID": "a"}\n')
    assert ids(find(place, "test/ids.jsonl")) == ["a"]


def test_a_config_names_its_test_images(place: Path) -> None:
    data = Data(image_dir_train=place / "train", image_dir_test=place / "test")
    assert len(find(place, data=data).examples) == 3
    assert Inputs().has_test(data)
    (place / "s.csv").write_text("img,y\na,0\n")
    named = data.model_copy(
        update={"sample_csv": place / "s.csv", "id_col": "img", "target_col": "y"}
    )
    found = find(place, data=named)
    assert ids(found) == ["a"]
    assert found.sample is not None
    assert found.sample.target == "y"
    # Its columns and its folder hold for a table that is named beside it.
    (place / "other.csv").write_text("y,img\n0,sub/c'\n")
    assert ids(find(place, "other.csv", data=named)) == ["sub/c'"]
    (place / "train" / "cat").mkdir(parents=True)
    assert not Inputs().has_test(Data(image_dir_train=place / "train"))


def test_what_cannot_be_predicted_is_told_all_at_once(place: Path) -> None:
    (place / "empty").mkdir()
    (place / "s.csv").write_text("ID\na\n")
    (place / "train.yaml").write_text("task: x\n")
    assert keys(place) == ["predict.no_input"]
    assert keys(place, "empty") == ["predict.empty"]
    assert keys(place, "tset", "gone") == ["predict.no_such_input_near", "predict.no_such_input"]
    assert keys(place, "train.yaml") == ["predict.config_as_input"]
    assert keys(place, "train.yaml", "s.csv", "nope.png") == [
        "predict.no_such_input", "predict.config_as_input", "predict.table_and_more",
    ]  # fmt: skip
    assert keys(place, "s.csv", sample="s.csv") == ["predict.two_tables"]
    assert keys(place, "test/a.png", sample="s.csv") == ["predict.sample_needs_folder"]
