"""Names of numbers: one table, the documentation's, and spellings that mean the same."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from overnight.alerts import names

PAGE = Path(__file__).parents[2] / "docs" / "metrics.md"


def table(heading: str) -> list[list[str]]:
    """The rows of the first table behind a heading, cell by cell."""
    text = PAGE.read_text(encoding="utf-8").partition(f"# {heading}\n")[2] if heading else (
        PAGE.read_text(encoding="utf-8")
    )  # fmt: skip
    rows = []
    for line in text.partition("|---")[2].splitlines()[1:]:
        if not line.startswith("|"):
            break
        rows.append([cell.strip() for cell in line.strip("|").split(" | ")])
    return rows


def code(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


def test_the_page_names_the_same_numbers() -> None:
    told = {}
    for cells in table(""):
        for name in code(cells[0]):
            told[name] = (cells[3], cells[2])
    assert sorted(told) == sorted(metric.name for metric in names.METRICS)
    for metric in names.METRICS:
        better, unit = told[metric.name]
        assert better == (metric.better or "–"), metric.name
        assert (unit if unit in ("s", "MiB") else "") == metric.unit, metric.name


def test_the_page_names_the_same_numbers_of_the_machine() -> None:
    told = {code(cells[0])[0]: code(cells[1])[0] for cells in table("In rules")}
    assert told == {value.name: value.field.replace("*", "<n>") for value in names.SYSTEM_VALUES}


def test_every_spelling_of_the_page_leads_to_its_name() -> None:
    spellings = {code(cells[0])[0]: code(cells[1]) for cells in table("Other spellings")}
    assert spellings.keys() <= {metric.name for metric in names.METRICS}
    for metric in names.METRICS:
        for name in (metric.name, *spellings.get(metric.name, ())):
            assert names.canonical(name) == metric.name
            assert names.better(name) == metric.better


def test_a_number_beside_the_validations_own_is_the_trainings() -> None:
    keras = ["loss", "accuracy", "val_loss", "val_accuracy"]
    assert names.canonical("accuracy", keras) == "train_accuracy"
    assert names.canonical("val_accuracy", keras) == "accuracy"
    assert names.canonical("accuracy", ["loss", "accuracy"]) == "accuracy"


@pytest.mark.parametrize(
    ("name", "canonical"),
    [
        ("Val_Acc", "accuracy"),
        ("validation.accuracy", "accuracy"),
        ("accuracy/val", "accuracy"),
        ("valAccuracy", "accuracy"),
        ("검증 손실", "valid_loss"),
        ("train_loss_epoch", "train_loss"),
        ("train/learning_rate", "lr"),
        ("my_score", "my_score"),
        ("test_loss", "test_loss"),
        ("", ""),
    ],
)
def test_other_writings_of_a_name(name: str, canonical: str) -> None:
    assert names.canonical(name) == canonical


@pytest.mark.parametrize(
    ("name", "better"),
    [
        ("val/mIoU", "higher"), ("metrics/mAP50(B)", "higher"), ("eval_rouge-1", "higher"),
        ("hits@10", "higher"), ("정확도", "higher"), ("reward", "higher"),
        ("val_rmse", "lower"), ("box_loss", "lower"), ("eval_perplexity", "lower"),
        ("accuracy_error", "lower"), ("검증 손실", "lower"),
        ("lr", None), ("grad_norm", None), ("epoch", None), ("", None),
    ],
)  # fmt: skip
def test_which_way_is_better(name: str, better: str | None) -> None:
    assert names.better(name) == better


@pytest.mark.parametrize(
    ("asked", "logged", "found"),
    [
        ("val_f1", ["macro_f1", "loss"], "macro_f1"),
        ("macro_f1", ["val/f1", "train/f1"], "val/f1"),
        ("val_f1", ["val_f1", "macro_f1"], "val_f1"),  # the exact spelling wins
        ("Val_F1", ["macro_f1", "val_f1"], "val_f1"),
        ("val_acc", ["accuracy", "val_accuracy"], "val_accuracy"),  # Keras: `accuracy` is training
        ("acc", ["accuracy", "val_accuracy"], "val_accuracy"),
        ("accuracy", ["acc", "val_acc"], "val_acc"),
        ("accuracy", ["accuracy", "val_accuracy"], "accuracy"),  # as it is written
        ("train_acc", ["accuracy", "val_accuracy"], "accuracy"),
        ("val_acc", ["accuracy"], "accuracy"),
        ("loss", ["val_loss", "train_loss_step", "train_loss_epoch"], "train_loss_epoch"),
        ("loss", ["val_loss"], None),
        ("val_iou", ["eval/IoU"], "eval/IoU"),
        ("val_f1", [], None),
        ("weighted_f1", ["macro_f1"], None),
    ],
)
def test_a_name_finds_the_number_that_is_meant(
    asked: str, logged: list[str], found: str | None
) -> None:
    assert names.resolve(asked, logged) == found


@pytest.mark.parametrize(
    ("logged", "found"),
    [
        (["loss", "val_loss", "val_acc", "val_f1"], "val_f1"),
        (["loss", "val_loss", "val_acc"], "val_acc"),
        (["loss", "val_loss", "val_iou"], "val_iou"),
        (["loss", "accuracy", "val_loss", "val_accuracy"], "val_accuracy"),
        (["iou", "val_iou"], "val_iou"),
        (["accuracy", "train_accuracy", "loss"], "accuracy"),
        (["loss", "train_acc", "eval_loss"], "eval_loss"),
        (["loss", "lr"], "loss"),
        (["lr", "grad_norm"], None),
        ([], None),
    ],
)
def test_the_number_people_watch_first(logged: list[str], found: str | None) -> None:
    assert names.main(logged) == found


def test_numbers_of_the_machine() -> None:
    temp = names.system_value("gpu_temp")
    assert temp is not None
    assert (temp.field, temp.measure) == ("gpu*_temperature_c", "°C")
    one = names.system_value("gpu1_memory")
    assert one is not None
    assert (one.field, one.whole) == ("gpu1_memory_mib", "gpu1_memory_total_mib")
    field = names.system_value("gpu0_util_percent")
    assert field is not None
    assert field.field == "gpu0_util_percent"
    for other in ("val_f1", "gpu", "gpu_", "gpux_temp", "gpu1_loss", "cpu_", ""):
        assert names.system_value(other) is None


@given(st.text(max_size=30), st.lists(st.text(max_size=12), max_size=5))
def test_any_text_is_a_name(name: str, logged: list[str]) -> None:
    assert names.resolve(name, logged) in (None, *logged)
    assert names.main(logged) in (None, *logged)
    assert names.better(name) in (None, "lower", "higher")
    assert names.canonical(names.canonical(name)) == names.canonical(name)
    names.system_value(name)
