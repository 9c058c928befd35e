"""submission.csv: the sample's columns, order, IDs and words; what a sample for others is told."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from overnight.errors import UserErrors
from overnight.prediction.form import Form, form_of
from overnight.prediction.submission import counts, write
from overnight.tasks.predictor import Sample

LABELS = ("고양이", "dog", "bird")
CODES = ("0", "1", "2")
ROWS_NK = np.array([[0.7, 0.2, 0.1], [0.1, 0.1, 0.8], [np.nan] * 3], dtype=np.float32)


def sample(
    columns: Sequence[str], *rows: Sequence[str], target: str | None = None, **more: object
) -> Sample:
    return Sample(Path("sample.csv"), columns, rows, 0, target, **more)  # type: ignore[arg-type]


def written(form: Form, ids: Sequence[str], folder: Path, encoding: str = "utf-8") -> str:
    path = folder / "submission.csv"
    assert write(path, form, ids, [ROWS_NK[:2], ROWS_NK[2:]]) == 1
    assert [each.name for each in folder.iterdir()] == ["submission.csv"]
    return path.read_text(encoding)


def test_without_a_sample_it_says_how_sure_it_is(tmp_path: Path) -> None:
    text = written(form_of(None, LABELS, None), ['a,"b', "b", "c"], tmp_path)
    head, *lines = csv.reader(io.StringIO(text))
    assert head == ["id", "prediction", "confidence"]
    assert lines == [['a,"b', "고양이", "0.700000"], ["b", "bird", "0.800000"], ["c", "", ""]]


def test_the_training_tables_numbers_are_written_where_it_has_numbers(tmp_path: Path) -> None:
    assert written(form_of(None, LABELS, CODES), "abc", tmp_path).splitlines()[1] == "a,0,0.700000"


@pytest.mark.parametrize(
    ("placeholders", "codes", "expected"),
    [
        (("0", "0", "0"), CODES, ("0", "2", "0")),  # numbers, as the training table has them
        (
            ("dog", "dog", "dog"),
            CODES,
            ("고양이", "bird", "dog"),
        ),  # names where the sample has them
        (("", "", ""), CODES, ("0", "2", "")),
        (("", "", ""), None, ("고양이", "bird", "")),
        (("-1", "-1", "-1"), CODES, ("0", "2", "-1")),
        (("?", "?", "?"), None, ("고양이", "bird", "?")),
    ],
)
def test_one_column_takes_the_class(
    tmp_path: Path,
    placeholders: Sequence[str],
    codes: Sequence[str] | None,
    expected: Sequence[str],
) -> None:
    rows = [[id, "kept", text] for id, text in zip("xyz", placeholders, strict=True)]
    form = form_of(sample(["ID", "Usage", "target"], *rows, target="target"), LABELS, codes)
    lines = written(form, "xyz", tmp_path).splitlines()
    assert lines[0] == "ID,Usage,target"
    assert lines[1:] == [f"{id},kept,{word}" for id, word in zip("xyz", expected, strict=True)]


def test_its_one_column_may_be_called_anything(tmp_path: Path) -> None:
    rows = [[id, "dog"] for id in "xyz"]
    form = form_of(sample(["file", "animal"], *rows, separator=";"), LABELS, None)
    assert written(form, "xyz", tmp_path).splitlines()[:2] == ["file;animal", "x;고양이"]


def test_columns_called_as_classes_take_their_probabilities(tmp_path: Path) -> None:
    columns = ["ID", "bird", "고양이", "dog"]
    form = form_of(sample(columns, *([id, "0.3", "0.3", "0.4"] for id in "xyz")), LABELS, None)
    _, first, _, lost = written(form, "xyz", tmp_path).splitlines()
    assert [np.float32(cell) for cell in first.split(",")[1:]] == ROWS_NK[0, [2, 0, 1]].tolist()
    assert lost == "z,0.3,0.3,0.4"
    assert not form.problems
    by_code = form_of(sample(["ID", *CODES]), LABELS, CODES)
    assert by_code.class_at == {1: 0, 2: 1, 3: 2}


def test_a_class_without_a_column_is_told_but_of_two_one_is_enough() -> None:
    (problem,) = form_of(sample(["ID", "dog", "bird"]), LABELS, None).problems
    assert problem.key == "predict.no_column"
    assert problem.examples == ["고양이"]
    binary = form_of(sample(["ID", "sick"], ["a", "0.5"]), ("healthy", "sick"), None)
    assert binary.class_at == {1: 1}
    assert not binary.problems


@pytest.mark.parametrize("encoding", ["cp949", "utf-8-sig", "utf-16"])
def test_its_bytes_are_as_the_samples(tmp_path: Path, encoding: str) -> None:
    rows = [[id, "dog"] for id in "xyz"]
    form = form_of(sample(["번호", "target"], *rows, encoding=encoding), LABELS, None)
    assert written(form, "xyz", tmp_path, encoding).splitlines()[1] == "x,고양이"


@pytest.mark.parametrize(
    ("given", "key"),
    [
        (sample(["ID"], ["a"]), "predict.no_target"),
        (sample(["ID", "dog", "brid"], ["a", "0", "0"]), "predict.other_columns"),
        (sample(["ID", "target"], ["a", "cat"], ["b", "cow"]), "predict.other_labels"),
        (sample(["ID", "target"], ["a", "0.5"], ["b", "0.5"]), "predict.other_labels"),
        (sample(["ID", "target"], ["a", "3"], ["b", "4"]), "predict.other_labels"),
    ],
)
def test_a_sample_for_other_classes_is_refused(given: Sample, key: str) -> None:
    with pytest.raises(UserErrors) as caught:
        form_of(given, LABELS, None)
    assert [error.key for error in caught.value.errors] == [key]


def test_a_table_of_ids_that_is_no_sample_is_none() -> None:
    unsure = sample(["ID", "width", "height"], ["a", "3", "4"], is_sure=False)
    assert form_of(unsure, LABELS, None).sample is None


def test_classes_are_counted() -> None:
    assert counts([ROWS_NK], LABELS) == {"고양이": 1, "dog": 0, "bird": 1}
