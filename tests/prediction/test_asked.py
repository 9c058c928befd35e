"""config.yaml of a prediction: read back as it was written, and moved along with its root."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from overnight.errors import UserErrors
from overnight.prediction import asked
from overnight.prediction.asked import Input, Model, Prediction

MODEL = Model(
    asked="latest-train", folder=Path("/r/model"), sha256="ab", format="overnight-model/1"
)


def prediction(**more: object) -> Prediction:
    given = {"task": "image_classification", "name": "digits", "model": MODEL}
    return Prediction.model_validate({**given, "input": Input(base=Path("/r/x")), **more})


words = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)


@given(paths=st.lists(words, max_size=3), name=words)
def test_it_is_read_back_as_it_was_written(
    tmp_path_factory: pytest.TempPathFactory, paths: list[str], name: str
) -> None:
    path = tmp_path_factory.mktemp("config") / "config.yaml"
    said = prediction(
        name=name, input=Input(base=Path("/r/x"), paths=tuple(paths)), tta="crops", batch_size=7
    )
    asked.write(said, path)
    assert asked.is_prediction(path)
    assert asked.read(path) == said


def test_a_configs_data_come_back_as_the_tasks_own(tmp_path: Path) -> None:
    data = {"train_csv": "/r/train.csv", "image_dir_train": "/r/train", "image_dir_test": "/r/007"}
    path = tmp_path / "config.yaml"
    asked.write(prediction(input=Input(base=Path("/r"), data=data)), path)
    assert asked.read(path).source.data.image_dir_test == Path("/r/007")


def test_what_lay_in_a_root_that_was_moved_is_found_there() -> None:
    said = prediction(
        input=Input(base=Path("/r/x"), paths=("test",), data={"image_dir_test": "/r/t"})
    )
    moved = asked.moved(said, Path("/r"), Path("/new home"))
    assert moved.model.folder == Path("/new home/model")
    assert moved.input.base == Path("/new home/x")
    assert moved.input.data == {"image_dir_test": "/new home/t"}
    assert moved.input.paths == ("test",)


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("task: image_classification\n", "predict.odd_config"),
        ("task: [\n", "yaml.broken"),
        ("- a\n", "predict.odd_config"),
        ("", "predict.odd_config"),
    ],
)
def test_a_config_that_somebody_has_edited_is_told(tmp_path: Path, text: str, key: str) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(text)
    with pytest.raises(UserErrors) as caught:
        asked.read(path)
    assert {error.key for error in caught.value.errors} == {key}


def test_a_trainings_config_is_no_predictions(tmp_path: Path) -> None:
    path = tmp_path / "train.yaml"
    path.write_text("task: image_classification\ndata: {image_dir_train: x}\n")
    assert not asked.is_prediction(path)
