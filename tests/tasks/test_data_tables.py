"""Tables as people keep them: encodings, separators, odd cells, wrong columns."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from overnight.errors import UserError, UserErrors
from overnight.tasks.base import DataIndex, Problem
from overnight.tasks.image_classification import table as tables

Write = Callable[..., Path]
Scan = Callable[..., DataIndex]
ProblemOf = Callable[..., Problem]
NAMES = ("고양이", "강아지")


@pytest.fixture
def rows(pets: Mapping[str, str]) -> str:
    """The eight pets, labelled in Korean."""
    return "".join(f"{id},{NAMES[label == 'dog']}\n" for id, label in pets.items())


@pytest.mark.parametrize(
    ("encoding", "told"),
    [
        ("utf-8", None),
        ("utf-8-sig", None),
        ("cp949", "CP949 (EUC-KR)"),
        ("euc-kr", "CP949 (EUC-KR)"),
        ("utf-16", "UTF-16"),
    ],
)
@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_encodings_and_separators(
    rows: str, table: Write, scan: Scan, problem_of: ProblemOf, encoding: str, told: str | None,
    separator: str,
) -> None:  # fmt: skip
    text = "ID,target\n" + rows
    table(text.replace(",", separator).replace("\n", "\r\n"), encoding=encoding)
    index = scan()
    assert index.labels == tuple(sorted(NAMES))
    assert [index.labels[e.target] for e in index.examples[:5]] == [*[NAMES[0]] * 4, NAMES[1]]  # type: ignore[index]
    if told is None:
        assert not any(each.key == "data.read_as" for each in index.problems)
    else:
        assert problem_of(index, "data.read_as").fields["encoding"] == told


def test_ids_stay_text(pets: Mapping[str, str], scan: Scan) -> None:
    assert [example.id for example in scan().examples] == list(pets)


def test_columns_that_are_not_there_are_told_at_once(
    pets: Mapping[str, str], table: Write, scan: Scan
) -> None:
    table("image,Targets,patient\n000,cat,1\n")
    with pytest.raises(UserErrors) as caught:
        scan(group_col="patiend")
    assert [str(error) for error in caught.value.errors] == [
        "there is no column 'ID'; the columns are: image, Targets, patient",
        "there is no column 'target'; did you mean 'Targets'? the columns are: image, Targets, "
        "patient",
        "there is no column 'patiend'; did you mean 'patient'? the columns are: image, Targets, "
        "patient",
    ]


def test_a_column_in_another_case_is_found(
    pets: Mapping[str, str], table: Write, scan: Scan
) -> None:
    table("id,Target,comment\n" + "".join(f"{k},{v},x\n" for k, v in pets.items()))
    assert len(scan().examples) == 8


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("", "data.empty_table"),
        ("ID,target\n", "data.no_rows"),
        ("ID,target\n000,cat\n001,cat,brown\n", "data.ragged"),
        ("ID,ID,target\n000,000,cat\n", "data.column_twice"),
        ("ID,target\n" + "x" * 2_000_000 + ",cat\n", "data.not_csv"),
    ],
)
def test_tables_that_are_none(
    pets: Mapping[str, str], table: Write, scan: Scan, text: str, key: str
) -> None:
    table(text)
    with pytest.raises(UserErrors) as caught:
        scan()
    assert [error.key for error in caught.value.errors] == [key]


def test_an_excel_file_is_called_by_its_name(table: Write, scan: Scan, tmp_path: Path) -> None:
    (tmp_path / "train").mkdir()
    (tmp_path / "train.csv").write_bytes(b"PK\x03\x04\xff\xff\xfe\x81")
    with pytest.raises(UserErrors, match="Excel"):
        scan()


def test_what_is_neither_utf_8_nor_cp949_is_told_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "latin.csv"
    path.write_bytes("ID,target\n1,ok\n2,café\n".encode("latin-1"))
    with pytest.raises(UserError, match="neither UTF-8 nor CP949") as caught:
        tables.read(path)
    assert caught.value.where == f"{path}:3"


def test_every_missing_path_is_told_at_once(scan: Scan, tmp_path: Path) -> None:
    with pytest.raises(UserErrors) as caught:
        scan(image_dir_test=tmp_path / "test", sample_csv=tmp_path / "sample.csv")
    assert [(e.key, Path(e.where).name) for e in caught.value.errors] == [
        ("data.no_folder", "train"),
        ("data.no_folder", "test"),
        ("data.no_file", "train.csv"),
        ("data.no_file", "sample.csv"),
    ]


@pytest.mark.parametrize("missing", ["", "NaN", "nan", "NA", "null", "None", "<NA>"])
def test_rows_without_a_label_are_told_and_refused(
    pets: Mapping[str, str], table: Write, scan: Scan, problem_of: ProblemOf, missing: str
) -> None:
    table("ID,target\n" + "".join(f"{k},{missing if k == '002' else v}\n" for k, v in pets.items()))
    found = problem_of(scan(), "data.no_label")
    assert (found.num, found.stops) == (1, True)
    assert found.examples[0].startswith("002")
    index = scan(unreadable="quarantine")
    assert not problem_of(index, "data.no_label").stops
    assert "002" not in [example.id for example in index.examples]
    assert index.labels == ("cat", "dog")


def test_none_is_a_class_where_somebody_says_so(
    pets: Mapping[str, str], table: Write, scan: Scan
) -> None:
    table("ID,target\n" + "".join(f"{k},{'none' if v == 'cat' else v}\n" for k, v in pets.items()))
    assert len(scan(class_names=["none", "dog"]).examples) == 8


def test_numbers_beside_missing_ones_are_still_numbers(
    pets: Mapping[str, str], table: Write, scan: Scan
) -> None:
    # As pandas writes a column of whole numbers that has a hole.
    table(
        "ID,target\n" + "".join(f"{k},{'1.0' if v == 'cat' else '10.0'}\n" for k, v in pets.items())
    )
    index = scan()
    assert index.labels == ("1", "10")
    assert [e.target for e in index.examples] == [0] * 4 + [1] * 4


def test_ids_that_repeat(
    pets: Mapping[str, str], table: Write, scan: Scan, problem_of: ProblemOf
) -> None:
    more = "001,cat\n002,dog\n"
    table("ID,target\n" + "".join(f"{k},{v}\n" for k, v in pets.items()) + more)
    index = scan()
    assert problem_of(index, "data.repeated").examples == ("001",)
    contradictory = problem_of(index, "data.contradictory")
    assert contradictory.examples == ("002 (cat, dog)",)
    assert contradictory.stops
    assert not problem_of(scan(unreadable="quarantine"), "data.contradictory").stops
    assert len(index.examples) == 7


def test_a_fold_column_is_honoured_and_checked(
    pets: Mapping[str, str], table: Write, scan: Scan
) -> None:
    rows = [f"{k},{v}" for k, v in pets.items()]
    table("ID,target,fold\n" + "".join(f"{row},{i % 2}\n" for i, row in enumerate(rows)))
    assert [example.fold for example in scan().examples] == [0, 1] * 4
    with pytest.raises(UserErrors, match=r"names 2 folds, data\.folds is 5"):
        scan(folds=5)
    table("ID,target,fold\n" + "".join(f"{row},{i % 2 + 1}\n" for i, row in enumerate(rows)))
    with pytest.raises(UserErrors, match="named 1 to 2; they count from 0"):
        scan()
    table("ID,target,fold\n" + "".join(f"{row},train\n" for row in rows))
    with pytest.raises(UserErrors, match="whole number"):
        scan()


def test_folds_that_keep_a_class_from_being_learnt_are_told_before_an_image_is_opened(
    pets: Mapping[str, str], table: Write, tmp_path: Path
) -> None:
    from overnight.tasks.image_classification.config import Data
    from overnight.tasks.image_classification.data import Reader

    given = {"train_csv": tmp_path / "train.csv", "image_dir_train": tmp_path / "train", "folds": 2}
    rows = [f"{k},{v},{0 if v == 'dog' else i % 2}\n" for i, (k, v) in enumerate(pets.items())]
    table("ID,target,fold\n" + "".join(rows))
    found = Reader().glance(Data.model_validate({**given, "valid_fold": 0}))
    stops = {each.key: each.examples for each in found if each.stops}
    assert stops == {"data.fold_one_class": ("fold0",), "data.never_learnt": ("dog (4)",)}
    rows = [f"{k},{v},{-(i % 2)}\n" for i, (k, v) in enumerate(pets.items())]
    table("ID,target,fold\n" + "".join(rows))
    with pytest.raises(UserErrors, match="no fold 1"):
        Reader().glance(Data.model_validate({**given, "valid_fold": 1}))


def test_a_group_column_is_kept(pets: Mapping[str, str], table: Write, scan: Scan) -> None:
    table("ID,target,cage\n" + "".join(f"{k},{v},c{int(k) // 2}\n" for k, v in pets.items()))
    assert [example.group for example in scan(group_col="cage").examples][:4] == [
        "c0", "c0", "c1", "c1",
    ]  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=200), st.sampled_from([".csv", ".jsonl"]))
def test_any_bytes_are_a_table_or_a_sentence(
    tmp_path_factory: pytest.TempPathFactory, data: bytes, suffix: str
) -> None:
    path = tmp_path_factory.getbasetemp() / f"any{suffix}"
    path.write_bytes(data)
    try:
        found = tables.read(path, expected=("ID", "target"))
    except UserError:
        return
    assert all(len(row) == len(found.columns) for row in found.rows)


@settings(max_examples=100, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.text(st.characters(exclude_categories=["C", "Z"]), min_size=1, max_size=8),
            st.text(st.characters(exclude_categories=["C", "Z"]), min_size=1, max_size=8),
        ),
        min_size=1,
        max_size=6,
    )
)
def test_what_csv_writes_is_read_back(
    tmp_path_factory: pytest.TempPathFactory, cells: list[tuple[str, str]]
) -> None:
    import csv

    path = tmp_path_factory.getbasetemp() / "written.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([("ID", "target"), *cells])
    found = tables.read(path, expected=("ID", "target"))
    assert [tuple(row) for row in found.rows] == cells
