"""The split: every row in one fold, groups together, the same whatever the order of the rows."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from overnight.errors import UserError
from overnight.tasks import folds
from overnight.tasks.base import Example


def examples(*targets: int, groups: str = "") -> list[Example]:
    return [
        Example(f"{i:04}", {}, target, groups[i] if groups else None)
        for i, target in enumerate(targets)
    ]


def split(rows: list[Example], num: int = 5, **how: object) -> list[int]:
    return folds.split(rows, **{"folds": num, "seed": 1, "stratify": True, **how})  # type: ignore[arg-type]


def test_each_fold_has_its_share_of_each_class() -> None:
    rows = examples(*[0] * 50, *[1] * 20, *[2] * 30)
    found = Counter(zip(split(rows), (row.target for row in rows), strict=True))
    assert found == {
        (fold, target): num for fold in range(5) for target, num in ((0, 10), (1, 4), (2, 6))
    }


@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.integers(0, 2), min_size=30, max_size=40),
    st.randoms(use_true_random=False),
    st.booleans(),
    st.booleans(),
)
def test_the_order_of_the_rows_changes_nothing(
    targets: list[int], random: object, stratify: bool, grouped: bool
) -> None:
    rows = examples(*targets)
    if grouped:
        rows = [replace(row, group=f"g{i // 2}") for i, row in enumerate(rows)]
    shuffled = list(rows)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    one = dict(zip([r.id for r in rows], split(rows, 3, stratify=stratify), strict=True))
    other = dict(zip([r.id for r in shuffled], split(shuffled, 3, stratify=stratify), strict=True))
    assert one == other
    for group in {row.group for row in rows if row.group}:
        assert len({one[row.id] for row in rows if row.group == group}) == 1
    assert {fold for fold in one.values() if fold >= 0} == {0, 1, 2}


def test_another_seed_is_another_split() -> None:
    rows = examples(*[0, 1] * 20)
    assert split(rows, seed=1) == split(rows, seed=1)
    assert split(rows, seed=1) != split(rows, seed=2)


def test_a_class_of_one_image_is_always_trained_on() -> None:
    rows = examples(*[0] * 10, *[1] * 10, 2)
    found = split(rows)
    assert found[-1] == folds.ALWAYS_TRAINED
    assert sorted(found[:-1]) == sorted([0, 1, 2, 3, 4] * 4)
    assert folds.in_one_group(rows) == {2: [20]}


def test_a_class_in_one_group_stays_with_its_group() -> None:
    # Class 1 is in group a alone; so is an image of class 0.
    rows = examples(1, 1, 0, 0, 0, 0, 0, groups="aaabcde")
    found = split(rows, 2)
    assert found[:3] == [folds.ALWAYS_TRAINED] * 3
    assert set(found[3:]) == {0, 1}


def test_a_few_equal_files_leave_the_shares_as_they_are() -> None:
    rows = examples(*[0] * 50, *[1] * 50)
    rows[7] = replace(rows[7], group="same")
    rows[9] = replace(rows[9], group="same")
    found = split(rows)
    assert found[7] == found[9]
    assert all(19 <= num <= 21 for num in Counter(found).values())


def test_targets_that_are_no_classes_are_split_all_the_same() -> None:
    rows = [Example(str(i), {}, f"mask{i}.png") for i in range(10)]
    assert sorted(split(rows)) == sorted([0, 1, 2, 3, 4] * 2)


@pytest.mark.parametrize(
    ("rows", "key"),
    [
        (examples(0, 0, 0, 1, 1, 1, 2, 2, 2), "data.few_of_each"),
        (examples(0, 0, 1, 1), "data.few_images"),
        (examples(*[0, 1] * 6, groups="aaabbbcccddd"), "data.few_groups"),
    ],
)
def test_too_little_for_the_folds_is_said(rows: list[Example], key: str) -> None:
    with pytest.raises(UserError) as caught:
        split(rows)
    assert caught.value.key == key


def named(*numbers: int | None) -> list[Example]:
    return [Example(str(i), {}, 0, fold=fold) for i, fold in enumerate(numbers)]


@pytest.mark.parametrize(
    ("numbers", "key"),
    [
        ((0, 1, 2, 1, -1), None),
        ((-1, -1, 0), None),
        ((None, None), None),
        ((1, 2, 3), "data.fold_from_one"),
        ((0, 1, 2, 3), "data.fold_count"),
        ((0, 2, 2), "data.fold_numbers"),
        ((0, 1, 7), "data.fold_numbers"),
        ((0, 1, 2, -2), "data.fold_numbers"),
        ((0, 1, 2, None), "data.fold_missing"),
    ],
)
def test_folds_of_the_data_are_checked(numbers: tuple[int | None, ...], key: str | None) -> None:
    found = folds.check_named(named(*numbers), folds=3, column="fold")
    assert [error.key for error in found] == ([key] if key else [])


def test_folds_of_the_data_are_taken_as_they_are() -> None:
    assert split(named(1, 0, -1, 1), 2) == [1, 0, -1, 1]


def test_which_folds_are_trained() -> None:
    assert folds.to_train([0, 2, 1, -1], "all") == [0, 1, 2]
    assert folds.to_train([0, 2, 1, -1], 2) == [2]
    # A validation part of its own is one fold.
    assert folds.to_train([-1, 0], "all") == [0]
    with pytest.raises(UserError, match="no fold 3; they are numbered 0 to 2"):
        folds.to_train([0, 2, 1], 3)


# ── classes that a fold does not learn ──────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("fold_of", "to_train", "told"),
    [
        ([0, 1, 0, 1, 0, 1], [0, 1], {}),
        # Validated without a class is no gap: its rows are asked elsewhere.
        ([0, 1, 0, 1, 1, -1], [0], {}),
        ([0, 0, 0, 1, 0, 1], [0, 1], {"not_learnt": ("fold0: cat",)}),
        # The same split, and the fold that has not learnt cats is the only one.
        ([0, 0, 0, 1, 0, 1], [0], {"never_learnt": ("cat (2)",)}),
        ([0, 0, 0, 1, 0, 1], [1], {}),
        ([0, 0, 0, 0, -1, -1], [0],
         {"fold_one_class": ("fold0",), "never_learnt": ("cat (2)", "dog (2)")}),
        ([0, 0, 1, 1, 1, 1], [0, 1], {"fold_one_class": ("fold1",)}),
    ],
)  # fmt: skip
def test_a_class_that_a_fold_never_learns_is_told(
    fold_of: list[int], to_train: list[int], told: dict[str, tuple[str, ...]]
) -> None:
    found = folds.gaps(examples(0, 0, 1, 1, 2, 2), fold_of, to_train, ["cat", "dog", "owl"])
    assert {each.key.removeprefix("data."): each.examples for each in found} == told
    assert all(each.stops == (each.key != "data.not_learnt") for each in found)


def test_a_split_by_class_leaves_no_gap() -> None:
    rows = examples(*[0] * 30, *[1] * 30, 2, 2, 3)
    fold_of = split(rows)
    assert folds.gaps(rows, fold_of, folds.to_train(fold_of, "all"), list("abcd")) == []
    masks = [replace(row, target="mask.png") for row in rows]
    assert folds.gaps(masks, fold_of, [0], []) == [], "masks are no classes"


def test_many_classes_are_counted() -> None:
    rows = examples(*range(30), *range(30), 30, 30, 31, 31)
    fold_of = [0] * 60 + [1, 0, 1, 0]
    names = [f"class {number}" for number in range(32)]
    [found] = folds.gaps(rows, fold_of, [0, 1], names)
    assert found.examples == (
        "fold0: class 0, class 1, class 2, class 3, class 4 … (+25)",
    )  # fmt: skip
