"""``overnight.tracking`` over the local index: runs looked up, named, opened and closed."""

from __future__ import annotations

import os
import subprocess
import sys
from argparse import Namespace
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import overnight
from overnight.errors import UserError, UserErrors
from overnight.ledger import job, state
from overnight.ledger.paths import RunPaths
from overnight.ledger.reader import read, rows
from overnight.outbox import track
from overnight.tracking import (
    Run,
    auto_increment_run_suffix,
    create_run_name,
    finish_run,
    get_experiment_name,
    get_latest_runs,
    get_runs,
    get_wandb_config,
    init_run,
    save_model_artifact,
    validate_config,
)

PACKAGE = Path(state.__file__).parents[1]


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    for name in list(os.environ):
        if name.startswith(("OVERNIGHT_", "WANDB_", "MLFLOW_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("OVERNIGHT_LANG", "en")
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "overnight.yaml").write_text("track: none\n")
    monkeypatch.chdir(folder)
    yield folder
    job.switch_to(None)


def values(run: Any) -> list[float]:
    return [row.values["v"] for row in rows(str(run.dir))]


# ── several runs in one process ─────────────────────────────────────────────────────────────────


def test_runs_are_opened_and_finished_one_after_another(root: Path) -> None:
    folders = []
    for fold in range(3):
        with init_run(f"cv-fold{fold}", config={"lr": 3e-4, "fold": fold}, tags=["cv"]) as run:
            overnight.log({"v": fold}, step=0)
            run.log({"v": fold + 0.5}, epoch=0)
        folders.append(run)
    found = get_runs()
    assert [run.name for run in found] == ["cv-fold2", "cv-fold1", "cv-fold0"]
    assert {run.state for run in found} == {"finished"}
    assert [run.config for run in found] == [{"lr": 3e-4, "fold": fold} for fold in (2, 1, 0)]
    assert [run.metrics for run in found] == [{"v": fold + 0.5} for fold in (2, 1, 0)]
    assert [values(run) for run in folders] == [[0, 0.5], [1, 1.5], [2, 2.5]]
    assert overnight.log({"v": 9}) is None  # no run's


def test_runs_that_are_open_at_once_are_kept_apart(root: Path) -> None:
    outer = init_run("outer")
    inner = init_run("inner")
    overnight.log({"v": 1})
    outer.log({"v": 2})
    outer.activate()
    overnight.log({"v": 3})
    inner.activate()
    finish_run(outer, "failed")
    overnight.log({"v": 4})
    finish_run()
    overnight.log({"v": 5})
    assert values(outer) == [2, 3]
    assert values(inner) == [1, 4]
    with pytest.raises(UserError, match="is over"):
        outer.finish()
    with pytest.raises(UserError, match="no run is open"):
        finish_run()
    assert {run.name: run.state for run in get_runs()} == {"outer": "failed", "inner": "finished"}


def test_a_run_opened_within_a_run_belongs_to_it_and_gives_it_back(root: Path) -> None:
    whole = job.open_run("whole", root=str(root))
    try:
        with init_run("part one") as one, init_run("part two") as two:
            overnight.log({"v": 1})
        overnight.log({"v": 2})
    finally:
        job.close_run(whole, {"attempt": 0, "code": 0, "signal": None})
    assert (values(one), values(two)) == ([], [1])
    assert [row.values for row in rows(whole.run.dir)] == [{"v": 2}]
    for run in (one, two):
        assert f'"parent": "{whole.run.dir}"' in (run.dir / "run.json").read_text()


def test_a_run_ends_as_its_block_ends(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ZeroDivisionError), init_run("broken") as broken:
        overnight.log({"v": 1 / 0})
    with pytest.raises(KeyboardInterrupt), init_run("stopped"):
        raise KeyboardInterrupt
    assert {run.name: run.state for run in get_runs()} == {"broken": "failed", "stopped": "stopped"}
    assert "ZeroDivisionError" in (broken.dir / "exit.json").read_text()
    broken.log({"v": 1})
    assert "is over; what is logged into it now is left out" in capsys.readouterr().err


OPEN = """
import os, sys
import overnight
from overnight.tracking import init_run
one, two = init_run("one"), init_run("two")
if os.fork() == 0:
    overnight.log({"v": 1})
    one.log({"v": 2})
    os._exit(0)
os.wait()
overnight.log({"v": 3})
exec(sys.argv[1])
"""


@pytest.mark.parametrize(
    ("end", "outcome"), [("", "finished"), ("1 / 0", "failed"), ("os._exit(3)", "lost")]
)
def test_what_is_left_open_ends_with_the_process(root: Path, end: str, outcome: str) -> None:
    env = {**os.environ, "PYTHONPATH": str(PACKAGE.parent)}
    subprocess.run([sys.executable, "-c", OPEN, end], check=False, env=env)
    found = {run.name: run for run in get_runs()}
    assert {name: run.state for name, run in found.items()} == {"one": outcome, "two": outcome}
    assert values(found["one"]) == [2]
    assert sorted(values(found["two"])) == [1, 3]


# ── looking runs up ─────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def some(root: Path) -> list[Run]:
    for number, (name, tags, outcome) in enumerate(
        [
            ("a", ["x"], "finished"), ("b", ["x", "y"], "failed"), ("c", [], "stopped"),
            ("a", ["y"], "finished"), ("d", ["한글"], "finished"),
        ]
    ):  # fmt: skip
        run = init_run(name, tags=tags)
        run.log({"v": number})
        run.finish(outcome)  # type: ignore[arg-type]
    init_run("e", tags="x")
    yield get_runs()
    finish_run()


def test_the_newest_that_fit(some: list[Run], root: Path) -> None:
    def names(**asked: Any) -> str:
        return "".join(run.name for run in get_runs(**asked))

    assert [run.name for run in some] == ["e", "d", "a", "c", "b", "a"]
    assert names(state="finished") == "daa"
    assert names(state=["failed", "running"]) == "eb"
    assert names(tags="x") == "eba"
    assert names(tags=["x", "y"]) == "b"
    assert names(tags=["한글"]) == "d"
    assert names(name="a") == "aa"
    assert names(kind="train") == ""
    assert names(root=root, limit=2) == "ed"
    assert names(root=root / "elsewhere") == ""
    assert [run.name for run in get_latest_runs(2, "finished", "x")] == ["a"]
    assert [run.metrics["v"] for run in get_latest_runs(1, state="failed")] == [1]
    newest = some[0]
    assert (newest.source, newest.kind, newest.url, newest.state) == ("local", "run", "", "running")
    assert newest.dir is not None
    assert newest.run_id == newest.dir.name


def test_runs_the_index_has_never_heard_of(some: list[Run], root: Path, tmp_path: Path) -> None:
    (tmp_path / "state" / "overnight" / "index").rename(tmp_path / "gone")
    assert [run.name for run in get_runs(root)] == [run.name for run in some]
    assert [run.name for run in get_runs()] == [run.name for run in some]  # this root's


@pytest.mark.parametrize(
    ("asked", "text"),
    [
        ({"state": "done"}, "no state is called 'done'"),
        ({"source": "tensorboard"}, "not looked up in 'tensorboard'"),
        ({"limit": 0}, "the limit 0 is below 1"),
        ({"source": "wandb"}, "no W&B project is named"),
        ({"source": "wandb", "project": "p"}, "there is no key for W&B"),
    ],
)
def test_what_cannot_be_looked_up_is_said(root: Path, asked: dict[str, Any], text: str) -> None:
    with pytest.raises(UserError, match=text):
        get_runs(**asked)


# ── names and settings ──────────────────────────────────────────────────────────────────────────


def test_the_next_name_of_a_series() -> None:
    following = auto_increment_run_suffix
    assert following("baseline") == "baseline-001"
    assert following("baseline-001") == "baseline-002"
    assert following("baseline_009") == "baseline_010"
    assert following("baseline-999") == "baseline-1000"
    assert following("baseline-1000") == "baseline-1001"
    assert following("resnet-50") == "resnet-50-001"
    assert following("run_20260101") == "run_20260101-001"
    assert following("exp-1", pad=1) == "exp-2"
    assert following("a", taken=["a-001", "a-007", "b-100", "a", "a-x"]) == "a-008"
    assert following("a-003", taken=["a-001"]) == "a-004"
    assert following("a", taken=[]) == "a-001"


@given(name=st.text(min_size=1, max_size=30), times=st.integers(1, 5))
def test_a_series_never_repeats_a_name(name: str, times: int) -> None:
    taken = [name]
    for _ in range(times):
        following = auto_increment_run_suffix(name, taken=taken)
        assert following not in taken
        taken.append(following)
    assert auto_increment_run_suffix(taken[-1]) not in taken


def test_names_of_runs_and_experiments(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert create_run_name() == "project-001"
    for expected in ("project-002", "project-003"):
        with init_run() as run:
            assert run.run_id.startswith(expected + "_")
            assert (run.name, run.id) == (expected, run.run_id)
    with init_run("project-007"):
        pass
    assert create_run_name() == "project-008"
    for long in ("n" * 500, "한" * 500):
        with init_run(create_run_name(long)) as run:
            assert run.name.endswith("-001")
    assert create_run_name("a/b c") == "b_c-001"
    assert get_experiment_name({"project": {"name": "from a mapping"}}) == "from a mapping"
    monkeypatch.setenv("WANDB_PROJECT", "from the environment")
    assert get_experiment_name() == "from the environment"
    assert get_experiment_name({"lr": 1}) == "from the environment"


TAKE = """
import sys
from overnight.tracking import create_run_name, init_run
print(open("/dev/stdin").read(), end="")  # all begin at once
for _ in range(20):
    print(create_run_name("race"))
for _ in range(3):
    with init_run(track="none") as run:
        print(run.name)
"""


def test_no_name_is_given_twice_to_processes_that_ask_at_once(root: Path) -> None:
    env = {**os.environ, "PYTHONPATH": str(PACKAGE.parent)}
    argv = [sys.executable, "-c", TAKE]
    both = [
        subprocess.Popen(argv, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for _ in range(3)
    ]
    for each in both:
        assert each.stdin is not None
        each.stdin.close()
    names = []
    for each in both:
        assert each.stdout is not None
        names += each.stdout.read().split()
        each.stdout.close()
        assert each.wait() == 0
    assert sorted(names) == sorted(
        [*(f"race-{n:03d}" for n in range(1, 61)), *(f"project-{n:03d}" for n in range(1, 10))]
    )


def test_a_config_is_kept_whatever_it_holds(root: Path) -> None:
    import enum

    import numpy as np

    class Mode(enum.IntEnum):
        FAST = 1

    odd = Namespace(lr=np.float64(3e-4), mode=Mode.FAST, path=Path("data"), f=len, 이름="값")
    with init_run("a", config=odd, tags=None):
        pass
    [run] = get_runs()
    assert (run.config["lr"], run.config["mode"], run.config["path"]) == (3e-4, 1, "data")
    assert run.config["이름"] == "값"


def test_how_wandb_will_be_met(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert get_wandb_config().mode == "offline"
    (root / ".env").write_text("WANDB_API_KEY=" + "k" * 40 + "\n")
    monkeypatch.setenv("WANDB_TAGS", "a, b,")
    (root / "overnight.yaml").write_text("track: {wandb: {project: p, entity: e, tags: [c]}}\n")
    found = get_wandb_config()
    assert (found.project, found.entity, found.mode, found.has_key) == ("p", "e", "online", True)
    assert found.tags == ("c", "a", "b")
    assert found.address == "https://api.wandb.ai"
    assert "k" * 40 not in repr(found)
    (root / ".env").unlink()
    Path("~/.netrc").expanduser().write_text("machine api.wandb.ai login user password key\n")
    assert get_wandb_config().has_key
    (root / "overnight.yaml").write_text("track: {wandb: {projekt: p}}\n")
    with pytest.raises(UserErrors):
        get_wandb_config()


def test_a_config_is_held_to_its_schema(root: Path) -> None:
    (root / "images" / "cat").mkdir(parents=True)
    config = root / "train.yaml"
    config.write_text(
        "task: image_classification\nproject: {name: cats}\n"
        "data: {format: folders, image_dir_train: images}\ntrain: {lr: 1e-3}\n"
    )
    assert validate_config(config).train.lr == 1e-3  # type: ignore[attr-defined]
    assert validate_config(config, {"train.lr": "2e-3"}).train.lr == 2e-3  # type: ignore[attr-defined]
    assert get_experiment_name(config) == "cats"
    config.write_text("task: image_classification\ntrain: {lr: 0, epocs: 3}\n")
    with pytest.raises(UserErrors) as caught:
        validate_config(config)
    assert len(caught.value.errors) >= 2


def test_what_a_run_cannot_be_opened_with_is_told_at_once(root: Path) -> None:
    with pytest.raises(UserErrors) as caught:
        init_run("a/b", track=["mlflow", "neptun"])
    assert len(caught.value.errors) == 2
    with pytest.raises(UserErrors, match="the root cannot be written"):
        init_run("a", root=root / "overnight.yaml")
    with pytest.raises(UserError, match="does not end 'well'"), init_run("a") as run:
        run.finish("well")  # type: ignore[arg-type]


def test_a_trial_leaves_nothing_behind(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = job.open_run("trial", root=str(root / "of the trial"))
    monkeypatch.setenv("OVERNIGHT_TRIAL", "1")
    with init_run("a", track="mlflow") as run:
        run.log({"v": 1})
    job.close_run(whole, {"attempt": 0, "code": 0, "signal": None})
    assert run.dir.is_relative_to(root / "of the trial")
    assert not (run.dir / "track.json").exists()
    assert [each.name for each in get_runs()] == ["trial"]


def test_a_model_is_a_version_of_the_run(root: Path) -> None:
    (root / "model").mkdir()
    (root / "model" / "weights.safetensors").write_bytes(b"weights")
    assert save_model_artifact(root / "model") is None
    with init_run("a") as run:
        sha256 = save_model_artifact(root / "model", aliases=["best"], metadata={"f1": 0.9})
    (record,) = read(str(run.dir), "media").records
    assert (record["_kind"], record["kind"], record["key"]) == ("artifact", "model", "model")
    assert (record["sha256"], record["aliases"], record["metadata"]) == (
        sha256,
        ["best"],
        {"f1": 0.9},
    )


def test_a_run_says_where_its_records_go(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the mirror finds; that it then goes there is tests/agent's business."""
    woken: list[int] = []
    monkeypatch.setattr("overnight.outbox.summon.summon", lambda: woken.append(1))
    monkeypatch.setenv("WANDB_API_KEY", "k" * 40)
    with init_run(
        "a",
        track=["wandb", "mlflow"],
        project="p",
        entity="e",
        mode="offline",
        group="g",
        job_type="j",
        notes="n",
    ) as run:
        assert len(woken) == 1
        mine = {each.name: each for each in track.wanted(RunPaths(str(run.dir)))}
        assert {each.run.dir for each in track.asked()} == {str(run.dir)}
    assert len(woken) == 2
    assert mine["wandb"].options["entity"] == "e"
    assert mine["wandb"].options["mode"] == "offline"
    assert [mine["wandb"].options[key] for key in ("group", "job_type", "notes")] == ["g", "j", "n"]
    assert "group" not in mine["mlflow"].options
    assert "entity" not in mine["mlflow"].options
    assert [each.options["project"] for each in mine.values()] == ["p", "p"]
    assert "k" * 40 not in (run.dir / "track.json").read_text()


def test_trials_are_no_runs_of_their_own_unless_asked_for(root: Path) -> None:
    from overnight.ledger import own_run

    with init_run("search", root=root) as search:
        folder = RunPaths(str(search.dir))
        for number, outcome in enumerate(["finished", "stopped"]):
            trial = own_run.make_child(folder, number, {"train.lr": 0.1 + number})
            own_run.write_end(trial, {"attempt": 0, "code": 0, "outcome": outcome})
    other = init_run("other", root=root)
    other.finish()
    assert [run.name for run in get_runs(root)] == ["other", "search"]
    trials = get_runs(root, parent=search.run_id)
    assert [run.run_id for run in trials] == [f"{search.run_id}-trial000{n}" for n in (1, 0)]
    assert [run.config["train.lr"] for run in trials] == [1.1, 0.1]
    assert [run.parent for run in trials] == [search.run_id] * 2
    found = get_runs(root, children=True, state="stopped")
    assert [run.run_id for run in found] == [trials[0].run_id]
    assert len(get_runs(children=True)) == 4
    assert get_runs(root, parent="nobody") == []
