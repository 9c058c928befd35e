"""Rules: the grammar, its canonical spelling, and errors that say what was expected where."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from overnight.alerts.rule import MAX_CHARS, Rule, parse
from overnight.errors import UserError

READ = {
    "val_f1 > 0.9": Rule("compare", "val_f1", ">", 0.9),
    "val_f1>0.9": Rule("compare", "val_f1", ">", 0.9),
    "loss is nan": Rule("is", "loss", "nan"),
    "Loss IS NaN": Rule("is", "Loss", "nan"),
    "loss is inf": Rule("is", "loss", "inf"),
    "loss is not finite": Rule("is", "loss", "not finite"),
    "gpu_temp > 85": Rule("compare", "gpu_temp", ">", 85),
    "gpu_temp > 85°C": Rule("compare", "gpu_temp", ">", 85, "°C"),
    "gpu1_temp >= 85 C": Rule("compare", "gpu1_temp", ">=", 85, "°C"),
    "no new best for 5 epochs": Rule("no_new", "", "best", hold=5, hold_unit="epochs"),
    "No New Best of val_f1 for 1 epoch": Rule(
        "no_new", "val_f1", "best", hold=1, hold_unit="epochs"
    ),
    "no new lowest of my_score for 2h": Rule("no_new", "my_score", "lowest", hold=2, hold_unit="h"),
    "epoch_time > 2x median": Rule("median", "epoch_time", ">", 2),
    "epoch_time > 1.5 x median for 2 epochs": Rule(
        "median", "epoch_time", ">", 1.5, hold=2, hold_unit="epochs"
    ),
    "epoch_time > 10 min": Rule("compare", "epoch_time", ">", 10, "min"),
    "epoch_time > 10m": Rule("compare", "epoch_time", ">", 10, "min"),
    "disk_free < 5 GiB": Rule("compare", "disk_free", "<", 5, "GiB"),
    "disk_free<5GB": Rule("compare", "disk_free", "<", 5, "GB"),
    "ram > 90%": Rule("compare", "ram", ">", 90, "%"),
    "gpu_util < 5 for 30 min": Rule("compare", "gpu_util", "<", 5, hold=30, hold_unit="min"),
    "acc < 0.2 for 3 epochs": Rule("compare", "acc", "<", 0.2, hold=3, hold_unit="epochs"),
    "loss > 9 for 500 steps": Rule("compare", "loss", ">", 9, hold=500, hold_unit="steps"),
    "val/acc >= 90%": Rule("compare", "val/acc", ">=", 90, "%"),
    "train.loss <= 1e-4": Rule("compare", "train.loss", "<=", 1e-4),
    "eval_rouge-1 != -.5": Rule("compare", "eval_rouge-1", "!=", -0.5),
    "metrics/mAP50(B) == +1": Rule("compare", "metrics/mAP50(B)", "==", 1),
    "hits@10 ≥ 0.3": Rule("compare", "hits@10", ">=", 0.3),
    "정확도 > 0.9": Rule("compare", "정확도", ">", 0.9),
    "'val acc' > 0.9": Rule("compare", "val acc", ">", 0.9),
    '  "val  acc">0.9  ': Rule("compare", "val acc", ">", 0.9),
    "no > 3": Rule("compare", "no", ">", 3),
}


@pytest.mark.parametrize("text", READ)
def test_a_rule_is_read(text: str) -> None:
    rule = parse(text)
    assert rule == READ[text]
    assert parse(rule.text) == rule


def test_the_canonical_spelling() -> None:
    assert parse("loss>1e-4").text == "loss > 0.0001"
    assert parse("'val acc'>90 percent for 10 minutes").text == '"val acc" > 90% for 10 min'
    assert parse("no new best for 5 epoch").text == "no new best for 5 epochs"
    assert parse("EPOCH_TIME > 2 x median").text == "EPOCH_TIME > 2x median"


@pytest.mark.parametrize(
    ("text", "limit"),
    [
        ("epoch_time > 10 min", 600),
        ("disk_free < 5 GiB", 5120),
        ("disk_free < 1 TB", 1e12 / 2**20),
        ("acc > 90%", 0.9),
        ("gpu_temp > 85", 85),
    ],
)
def test_a_limit_has_one_unit(text: str, limit: float) -> None:
    assert parse(text).limit == pytest.approx(limit)


def test_what_is_about_the_machine() -> None:
    assert parse("gpu_temp > 85").is_of_system
    assert parse("gpu0_util_percent < 5").is_of_system
    assert parse("disk_free_mib < 500").is_of_system
    assert not parse("val_f1 > 0.9").is_of_system
    assert not parse("no new best for 5 epochs").is_of_system


WRONG = {
    "": "rule.empty",
    "   ": "rule.empty",
    "x" * (MAX_CHARS + 1): "rule.too_long",
    "loss \x1b[31m > 5": "rule.control",
    "> 0.9": "rule.name_expected",
    "'' > 0.9": "rule.name_expected",
    "'val acc > 0.9": "rule.quote_open",
    "val_f1": "rule.operator_missing",
    "val_f1 0.9": "rule.operator_expected",
    "val_f1 > ": "rule.number_expected",
    "val_f1 > high": "rule.number_expected",
    "val_f1 >> 0.9": "rule.number_expected",
    "loss > 1e999": "rule.number_large",
    "loss is": "rule.special_expected",
    "loss is 5": "rule.special_expected",
    "loss > 5 apples": "rule.unit_unknown",
    "gpu_temp > 5 GiB": "rule.unit_misfit",
    "gpu_util > 5 min": "rule.unit_misfit",
    "epoch_time > 5 MiB": "rule.unit_misfit",
    "loss > 5 epochs": "rule.unit_misfit",
    "disk_free > 5%": "rule.unit_misfit",
    "disk_free < 5": "rule.unit_missing",
    "epoch_time > 2x": "rule.median_expected",
    "epoch_time > 2x usual": "rule.median_expected",
    "epoch_time > -2x median": "rule.median_positive",
    "no new": "rule.no_new_expected",
    "no new record for 5 epochs": "rule.no_new_expected",
    "no new best": "rule.no_new_hold",
    "no new lowest of gpu_temp for 10 min": "rule.no_new_system",
    "no new highest for 5 epochs": "rule.no_new_of",
    "no new best of my_number for 5 epochs": "rule.no_direction",
    "loss > 5 for 10": "rule.hold_unit",
    "loss > 5 for 10 GiB": "rule.hold_expected",
    "loss > 5 for 0 min": "rule.hold_range",
    "loss > 5 for 90 days": "rule.hold_range",
    "loss > 5 for 1.5 epochs": "rule.hold_range",
    "gpu_util < 5 for 3 epochs": "rule.hold_time",
    "loss > 5 and acc < 0.1": "rule.two_conditions",
    "loss > 5, acc < 0.1": "rule.two_conditions",
    "loss > 5 for 1h 30m": "rule.too_much",
    "__import__('os').system('true')": "rule.operator_expected",
}


@pytest.mark.parametrize("text", WRONG)
def test_what_is_no_rule(text: str) -> None:
    with pytest.raises(UserError) as caught:
        parse(text, where="--alert")
    assert caught.value.key == WRONG[text]
    assert caught.value.where == "--alert"
    assert caught.value.fix


@pytest.mark.parametrize(
    ("text", "near"),
    [
        ("loss is nann", "nan"),
        ("loss is finit", "finite"),
        ("no new bset for 5 epochs", "best"),
        ("loss > 5 for 3 epoks", "epochs"),
        ("loss > 5 fro 3 epochs", "for"),
        ("disk_free < 5 GiBs", "GiB"),
        ("epoch_time > 2x medain", "median"),
        ("val_f1 = 0.9", "=="),
        ("val_f1 => 0.9", ">="),
        ("val_f1 above 0.9", ">"),
        ("val_f1 이상 0.9", ">="),
        ("loss > nan", "is nan"),
    ],
)
def test_what_was_meant_is_offered(text: str, near: str) -> None:
    with pytest.raises(UserError) as caught:
        parse(text)
    assert caught.value.key == "rule.near"
    assert f"'{near}'" in caught.value.fix


def test_an_error_says_where() -> None:
    with pytest.raises(UserError) as caught:
        parse("val_f1 >> 0.9")
    assert "character 9 " in caught.value.what
    assert caught.value.where == "val_f1 >> 0.9"


names = st.sampled_from(
    ["val_f1", "loss", "gpu_temp", "disk_free", "epoch_time", "val/acc", "정확도", "'a b'", "no"]
)
words = st.sampled_from([
    ">", ">=", "<", "<=", "==", "!=", "is", "not", "nan", "inf", "finite", "no", "new", "best",
    "highest", "lowest", "of", "for", "x", "median", "%", "GiB", "min", "epochs", "steps", "5",
    "0.9", "-1e-4", "1e400", "2x", ",", "and", "'", '"', "(", ")", "\t", "°", "≥",
])  # fmt: skip


@given(st.text(max_size=60) | st.lists(names | words, max_size=10).map(" ".join))
def test_any_text_is_a_rule_or_a_clear_error(text: str) -> None:
    rule = read(text)
    if rule is not None:
        assert parse(rule.text) == rule
        assert len(rule.text) <= 3 * MAX_CHARS


def read(text: str) -> Rule | None:
    """The rule, or None where it is refused with a sentence and a way to put it right."""
    try:
        return parse(text)
    except UserError as error:
        if not (error.what and error.fix):
            raise AssertionError(error.key) from error
        return None


@given(
    names,
    st.sampled_from([">", ">=", "<", "<=", "==", "!="]),
    st.floats(allow_nan=False, allow_infinity=False),
    st.sampled_from(["", "x median", "%", "min", "GiB", "°C"]),
    st.sampled_from(["", " for 10 min", " for 3 epochs", " for 0.5 h"]),
)
def test_every_number_survives_its_spelling(
    name: str, op: str, number: float, unit: str, hold: str
) -> None:
    rule = read(f"{name} {op} {number!r} {unit}{hold}")
    if rule is not None:
        assert rule.number == number
        assert parse(rule.text) == rule
