"""Search spaces as people write them, in both vocabularies, and what is wrong with them."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from overnight import yaml_tree
from overnight.errors import UserError, UserErrors
from overnight.tasks.image_classification.config import INFO
from overnight.tuning import space
from overnight.tuning.space import Choice, Kind, Range

KNOWN = space.kinds({"model": INFO.model, "train": INFO.train})


@pytest.fixture(autouse=True)
def english(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OVERNIGHT_LANG", "en")


def read(
    text: str, *, known: dict[str, Kind] | None = KNOWN, **more: Any
) -> tuple[dict[str, space.Distribution], list[UserError]]:
    problems: list[UserError] = []
    tree = yaml_tree.parse(text, problems, file="c.yaml")
    assert tree is not None
    found = space.read(tree, "c.yaml", problems, known=known, **more)
    return found, problems


@pytest.mark.parametrize(
    ("written", "is_read"),
    [
        ("{low: 1e-5, high: 1e-2, log: true}", Range(1e-5, 1e-2, log=True)),
        ("{low: 1, high: 9, step: 2}", Range(1, 9, step=2, is_int=True)),
        ("{low: 0, high: 1.0}", Range(0.0, 1.0)),
        ("{choices: [a, 2, null, true]}", Choice(("a", 2, None, True))),
        ("{min: 1, max: 8}", Range(1, 8, is_int=True)),
        ("{min: 0.1, max: 8}", Range(0.1, 8.0)),
        ("{values: [1, 1.0, true]}", Choice((1, 1.0, True))),
        ("{value: sgd}", Choice(("sgd",))),
        ("{values: [[1, 2], [3]]}", Choice(([1, 2], [3]))),
        ("{min: 1, max: 8, distribution: uniform}", Range(1.0, 8.0)),
        ("{min: 1, max: 8, distribution: int_uniform}", Range(1, 8, is_int=True)),
        ("{value: 3, distribution: constant}", Choice((3,))),
        ("{min: 1e-4, max: 0.1, distribution: log_uniform_values}", Range(1e-4, 0.1, log=True)),
        ("{min: 0, max: 1, q: 0.25, distribution: q_uniform}", Range(0.0, 1.0, step=0.25)),
        ("{min: 3, max: 17, q: 5, distribution: q_uniform}", Range(5, 15, step=5, is_int=True)),
        (
            "{min: 1, max: 99, q: 10, distribution: q_log_uniform_values}",
            Range(10, 90, log=True, step=10, is_int=True),
        ),
        # The same numbers under other words: an inverse of a logarithmic range is one.
        ("{min: 1e-4, max: 0.1, distribution: inv_log_uniform_values}", Range(1e-4, 0.1, log=True)),
    ],
)
def test_both_vocabularies(written: str, is_read: space.Distribution) -> None:
    found, problems = read(f"x: {written}", known=None)
    assert problems == []
    assert found == {"x": is_read}


def test_exponents_are_of_e() -> None:
    found, problems = read("x: {min: -9, max: -2, distribution: log_uniform}", known=None)
    inverse, _ = read("x: {min: 2, max: 9, distribution: inv_log_uniform}", known=None)
    assert problems == []
    assert inverse == found
    each = found["x"]
    assert isinstance(each, Range)
    assert each.log
    assert math.isclose(each.low, math.exp(-9), rel_tol=1e-9)
    assert math.isclose(each.high, math.exp(-2), rel_tol=1e-9)


def test_a_config_s_keys_say_what_a_range_is() -> None:
    found, problems = read(
        "lr: {low: 1e-4, high: 1e-2, log: true}\n"
        "mixup: {low: 0, high: 1}\n"  # a float key: no whole numbers
        "batch_size: {min: 16, max: 64, distribution: log_uniform_values}\n"
        "train: {parameters: {optimizer: {values: [adamw, sgd]}}}\n"
        "train.early_stopping.patience: {low: 2, high: 5}\n"
    )
    assert problems == []
    assert found == {
        "train.lr": Range(1e-4, 1e-2, log=True),
        "train.mixup": Range(0.0, 1.0),
        "train.batch_size": Range(16, 64, log=True, is_int=True),
        "train.optimizer": Choice(("adamw", "sgd")),
        "train.early_stopping.patience": Range(2, 5, is_int=True),
    }


@pytest.mark.parametrize(
    ("written", "says"),
    [
        ("lr: {low: 0.1, high: 0.1}", "the range is empty: 0.1 is not below 0.1"),
        ("lr: {min: 2, max: 1}", "the range is empty"),
        ("lr: {low: 0, high: 1, log: true}", "a logarithmic range cannot begin at 0"),
        ("lr: {min: -1, max: 1, distribution: log_uniform_values}", "cannot begin at -1"),
        ("lr: {low: 1}", "a range needs max as well"),
        ("lr: {lo: 1, high: 2}", "did you mean 'low'"),
        ("lr: {from: 1, high: 2}", "unknown word"),
        ("lr: 0.1", "a range or a list of values is missing"),
        ("lr: [0.1, 0.2]", "a range or a list of values is missing"),
        ("lr: {}", "a range or a list of values is missing"),
        ("lr: {low: '1', high: 2}", "must be a number (got 1)"),
        ("lr: {low: 1, high: .inf}", "a number that can be reached"),
        ("lr: {low: 1, high: 1e400}", "a number that can be reached"),
        ("lr: {low: 1, high: 2, log: maybe}", "must be true or false"),
        ("lr: {low: 1, min: 1, high: 2}", "says the same as 'low'"),
        ("lr: {low: 0, high: 1, step: 0}", "a step must be above zero"),
        ("lr: {low: 0, high: 1, step: 2}", "does not fit between 0 and 1"),
        ("lr: {low: 0, high: 1, step: 0.3}", "the last one is 0.9"),
        ("lr: {low: 0.1, high: 1, step: 0.1, log: true}", "no even steps"),
        ("lr: {min: 0.1, max: 0.2, q: 0.15, distribution: q_uniform}", "does not fit"),
        ("lr: {values: []}", "the list has no values"),
        ("lr: {values: 3}", "must be a list of values"),
        ("lr: {values: [1, 2, 1]}", "stands here twice: 1"),
        ("lr: {values: [1, '2']}", "numbers, and the text '2' among them"),
        ("lr: {values: [{a: 1}]}", "a table cannot be a value"),
        ("lr: {values: [1, .nan]}", "a number that can be reached"),
        ("lr: {values: [1], low: 2}", "categorical does not take this"),
        ("lr: {min: 1, max: 2, distribution: uniforn}", "did you mean uniform?"),
        ("lr: {min: 1, max: 2, distribution: cauchy}", "unknown distribution: cauchy"),
        ("lr: {min: 1, max: 2, distribution: a range}", "unknown distribution"),
        ("lr: {min: 1, distribution: uniform}", "uniform needs max"),
        ("lr: {min: 1, max: 2, mu: 3, distribution: uniform}", "it takes: min, max"),
        (
            "lr: {distribution: normal, mu: 3, sigma: 0.5}",
            "{min: 2, max: 4, distribution: uniform}",
        ),
        ("lr: {mu: 3}", "{min: 1, max: 5, distribution: uniform}"),
        ("lr: {distribution: q_log_normal, q: 2}", "q: 2, distribution: q_log_uniform_values}"),
        ("lr: {distribution: beta, a: 2, b: 5}", "beta cannot be searched here"),
        ("lr: {values: [1, 2], probabilities: [0.2, 0.8]}", "values with odds"),
        ("lr: {min: 0.0001, max: 0.1, distribution: log_uniform}", "for 0.0001 to 0.1 write"),
        ("lr: {min: 1, max: 1000, distribution: log_uniform}", "too large for a number"),
        ("train.lrr: {low: 1, high: 2}", "did you mean train.lr?"),
        ("lrr: {low: 1, high: 2}", "did you mean train.lr?"),
        ("nothing.like.it: {low: 1, high: 2}", "under model:, train: can be searched"),
        ("lr: {low: 1, high: 2}\ntrain.lr: {low: 1, high: 2}", "train.lr is searched twice"),
        ("train: {lr: {low: 1, high: 2}}", "write its name with a dot: train.lr:"),
        ("batch_size: {low: 1.5, high: 2}", "takes whole numbers"),
        ("batch_size: {low: 1, high: 2, step: 0.5}", "0.5 is no whole step"),
        ("[lr, epochs]", "must be a table"),
        ("[a, b]: {low: 1, high: 2}", "no such key"),
    ],
)
def test_what_is_wrong_is_told_with_its_line(written: str, says: str) -> None:
    found, problems = read("\n" + written)
    told = [f"{problem.what}; {problem.fix}" for problem in problems]
    assert any(says in text for text in told), told
    assert all(problem.place is not None and problem.place.line >= 2 for problem in problems)
    assert "train.lr" not in found or "twice" in says


def test_all_mistakes_at_once() -> None:
    _, problems = read("lr: {low: 2, high: 1}\nepochs: {values: []}\ncutmixx: {low: 0, high: 1}")
    assert [problem.place.line for problem in problems if problem.place] == [1, 2, 3]
    assert problems[0].where == "c.yaml, line 1: tuning.search_space.lr"


def test_a_script_s_options_have_any_name_that_can_be_typed() -> None:
    found, problems = read("lr: {low: 0, high: 1}\nmodel.depth: {values: [2]}\n크기: {value: 3}",
                           known=None)  # fmt: skip
    assert problems == []
    assert list(found) == ["lr", "model.depth", "크기"]
    for name in ("--lr", '"a b"', "a=b", '""'):
        _, problems = read(f"{name}: {{value: 1}}", known=None)
        assert [problem.key for problem in problems] == ["sweep.name_form"], name
    _, problems = read("opt: {parameters: {lr: {min: 0.1, max: 1.0}}}", known=None)
    assert problems[0].key == "sweep.nested"
    assert "opt.lr" in problems[0].fix


def test_a_grid_needs_points() -> None:
    _, problems = read("lr: {low: 0.1, high: 1}\ndrop_rate: {low: 0, high: 0.5, step: 0.1}",
                       grid=True)  # fmt: skip
    assert [problem.key for problem in problems] == ["sweep.grid_range"]
    _, problems = read("a: {min: 1, max: 1000}\nb: {min: 1, max: 1000}", known=None, grid=True)
    assert [problem.key for problem in problems] == ["sweep.grid_large"]
    found, problems = read("a: {min: 1, max: 3}\nb: {values: [x, y]}", known=None, grid=True)
    assert problems == []
    assert space.num_points(found, 100) == 6
    assert space.num_points(found, 5) == 5
    assert space.points(Range(0.0, 0.3, step=0.1), 9) == [0.0, 0.1, 0.2, 0.3]
    assert space.points(Range(1, 10**12, is_int=True), 3) == [1, 2, 3]
    assert space.points(Range(0.0, 1.0), 3) is None


def test_both_ends_and_every_choice_are_shown_to_whoever_checks_them() -> None:
    seen: list[tuple[str, Any, int]] = []
    read("lr: {low: 1, high: 2}\noptimizer: {choices: [adamw,\n  adamm]}\nema: {low: 2, high: 1}",
         check=lambda key, value, node: seen.append((key, value, node.line)))  # fmt: skip
    assert seen == [
        ("train.lr", 1.0, 1), ("train.lr", 2.0, 1),
        ("train.optimizer", "adamw", 2), ("train.optimizer", "adamm", 3),
    ]  # fmt: skip


def test_an_empty_space_is_the_task_s_own() -> None:
    assert read("") == ({}, [])


def test_python_s_own_values_are_read_as_well() -> None:
    assert space.of({"x": {"low": 1, "high": 5}}) == {"x": Range(1, 5, is_int=True)}
    with pytest.raises(UserErrors, match="the range is empty"):
        space.of({"x": {"low": 5, "high": 1}})


NUMBERS = st.floats(-1e6, 1e6).map(lambda x: float(f"{x:.6g}"))


@given(st.tuples(NUMBERS, NUMBERS).filter(lambda ends: ends[0] < ends[1]), st.booleans())
def test_a_space_survives_being_written_down(ends: tuple[float, float], is_int: bool) -> None:
    low, high = (math.floor(ends[0]), math.floor(ends[1]) + 1) if is_int else ends
    each = Range(low, high, log=low > 0, is_int=is_int)
    written = space.plain({"a": each, "b": Choice((1, "x", None))})
    assert space.of(written) == {"a": each, "b": Choice((1, "x", None))}


@given(st.floats(1e-3, 1e3), st.integers(1, 50))
def test_what_is_drawn_logarithmically_lands_on_a_step(drawn: float, q: int) -> None:
    found, problems = read(f"x: {{min: 0.5, max: 900, q: {q}, distribution: q_log_uniform_values}}",
                           known=None)  # fmt: skip
    each = found["x"]
    assert problems == []
    assert isinstance(each, Range)
    value = space.rounded(each, drawn)
    assert value % q == 0
    assert each.low <= value <= each.high
    assert space.of(space.plain(found)) == found
