"""W&B's sweep files: what is run as it stands, and what is refused with a reason."""

from __future__ import annotations

from pathlib import Path

import pytest

from overnight import yaml_tree
from overnight.errors import UserError
from overnight.tuning import sweep
from overnight.tuning.space import Choice, Range

BASE = {
    "method": "bayes",
    "metric": "{name: val_loss, goal: minimize}",
    "parameters": "{lr: {min: 1e-4, max: 0.1, distribution: log_uniform_values}, "
    "batch: {values: [16, 32]}}",
}


@pytest.fixture(autouse=True)
def english(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OVERNIGHT_LANG", "en")


def read(tmp_path: Path, **changed: str | None) -> tuple[sweep.Sweep | None, list[UserError]]:
    path = tmp_path / "sweep.yaml"
    keys = {**BASE, **changed}
    path.write_text("".join(f"{key}: {text}\n" for key, text in keys.items() if text is not None))
    problems: list[UserError] = []
    return sweep.read(str(path), problems), problems


def test_a_sweep_is_what_we_would_search(tmp_path: Path) -> None:
    (tmp_path / "train.py").touch()
    found, problems = read(
        tmp_path, run_cap="7", program="train.py", name="night",
        early_terminate="{type: hyperband, min_iter: 3}",
        command='["${env}", "${interpreter}", "${program}", "${args_no_hyphens}"]',
    )  # fmt: skip
    assert problems == []
    assert found is not None
    assert found.space == {"lr": Range(1e-4, 0.1, log=True), "batch": Choice((16, 32))}
    tuning = found.tuning
    assert (tuning.method, tuning.n_trials, tuning.pruner) == ("bayes", 7, "hyperband")
    assert (tuning.metric, tuning.goal) == ("val_loss", "minimize")
    assert found.program == str(tmp_path / "train.py")
    assert found.command[-1] == "${args_no_hyphens}"
    assert found.name == "night"
    assert "type" in found.unused[0]


def test_without_early_terminate_no_trial_is_cut_short(tmp_path: Path) -> None:
    found, _ = read(tmp_path)
    assert found is not None
    assert (found.tuning.pruner, found.tuning.n_trials) == ("none", 20)


def test_a_grid_without_a_cap_ends_when_all_was_tried(tmp_path: Path) -> None:
    found, problems = read(tmp_path, method="grid", parameters="{a: {values: [1, 2]}}")
    assert problems == []
    assert found is not None
    assert found.tuning.n_trials >= 2


def test_the_goal_is_minimize_where_the_name_does_not_tell(tmp_path: Path) -> None:
    for name, goal in (("val_acc", None), ("gain_x", "minimize")):
        found, _ = read(tmp_path, metric=f"{{name: {name}}}")
        assert found is not None
        assert found.tuning.goal == goal


def test_what_only_the_server_is_told_is_said_to_be_left_out(tmp_path: Path) -> None:
    found, problems = read(tmp_path, project="x", metric="{name: val_loss, impute: worst}")
    assert problems == []
    assert found is not None
    assert [" 'project' " in found.unused[0], "metric.impute" in found.unused[1]] == [True, True]


@pytest.mark.parametrize(
    ("key", "text", "says"),
    [
        ("method", None, "the method is missing"),
        ("method", "bayesian", "unknown method: bayesian"),
        ("method", "custom", "needs their server"),
        ("metrics", "[{name: a}, {name: b}]", "several metrics at once"),
        ("scheduler", "{engine: wandb}", "W&B's own scheduler"),
        ("job", "team/project/job:latest", "W&B Launch"),
        ("image_uri", "image", "W&B Launch"),
        ("metric", "val_loss", "a table with the metric's name"),
        ("metric", "{goal: minimize}", "a table with the metric's name"),
        ("metric", "{name: val_loss, goal: lower}", "must be minimize or maximize (got lower)"),
        ("metric", "{name: val_loss, target: 0.1}", "does not end at a target"),
        ("metric", "{name: val_loss, gaol: minimize}", "did you mean 'goal'"),
        ("early_terminate", "{min_iter: 3}", "type: hyperband"),
        ("early_terminate", "{type: envelope}", "envelope cannot cut trials short"),
        ("run_cap", "0", "a whole number above zero (got 0)"),
        ("run_cap", "many", "a whole number above zero (got many)"),
        ("run_cap", "1000001", "a whole number above zero"),
        ("parameters", None, "no parameter is searched"),
        ("parameters", "", "no parameter is searched"),
        ("parameters", "{}", "no parameter is searched"),
        ("parameters", "[lr]", "must be a table"),
        ("parameters", "{lr: {min: 1, max: 0}}", "the range is empty"),
        ("parametrs", "{}", "did you mean 'parameters'"),
        ("queue", "x", "a sweep file has no such key"),
        ("program", "[train.py]", "must be a text"),
        ("command", "python train.py", "a list of words"),
        ("command", '["${argz}"]', "unknown placeholder: ${argz}"),
        ("command", "[[a]]", "a list of words"),
    ],
)
def test_what_cannot_be_run_is_said_with_its_line(
    tmp_path: Path, key: str, text: str | None, says: str
) -> None:
    found, problems = read(tmp_path, **{key: text})
    assert found is None
    told = [f"{problem.what}; {problem.fix}" for problem in problems]
    assert any(says in each for each in told), told
    assert all(problem.place is not None and problem.place.line for problem in problems)


def test_a_key_that_stands_there_twice(tmp_path: Path) -> None:
    path = tmp_path / "sweep.yaml"
    path.write_text("method: bayes\nmethod: grid\nparameters: {lr: {value: 1, value: 2}}\n")
    problems: list[UserError] = []
    assert sweep.read(str(path), problems) is None
    assert [problem.key for problem in problems].count("yaml.key_twice") == 2


@pytest.mark.parametrize("text", ["- a\n- b\n", "just words\n", "a: [1\n", "\x00"])
def test_a_file_that_is_none(tmp_path: Path, text: str) -> None:
    path = tmp_path / "sweep.yaml"
    path.write_text(text)
    problems: list[UserError] = []
    assert sweep.read(str(path), problems) is None
    assert problems
    missing: list[UserError] = []
    assert sweep.read(str(tmp_path / "none.yaml"), missing) is None
    assert [problem.key for problem in missing] == ["sweep.no_such_file"]


def test_for_a_config_its_lines_stay(tmp_path: Path) -> None:
    text = "".join(f"{key}: {value}\n" for key, value in BASE.items())
    problems: list[UserError] = []
    tree = yaml_tree.parse(text, problems, file="s.yaml")
    assert tree is not None
    assert sweep.is_sweep(tree)
    tuning = sweep.as_tuning(tree, "s.yaml", problems)
    assert problems == []
    space = tuning.get("search_space")
    assert space is not None
    assert space.line == 3
    plain = {key: value for key, value in tuning.data().items() if key != "search_space"}
    assert plain == {"method": "bayes", "metric": "val_loss", "goal": "minimize", "pruner": "none"}


def test_the_page_s_example_is_one(tmp_path: Path) -> None:
    page = (Path(__file__).parents[2] / "docs" / "tuning.md").read_text(encoding="utf-8")
    path = tmp_path / "sweep.yaml"
    path.write_text(page.partition("<!-- sweep.yaml -->\n```yaml\n")[2].partition("```")[0])
    problems: list[UserError] = []
    found = sweep.read(str(path), problems)
    assert problems == []
    assert found is not None
    assert (found.program, found.tuning.n_trials) == ("train.py", 20)
