"""Names and places: hostile names work or are refused, and no two runs share a folder."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from overnight.ledger.paths import (
    MAX_NAME_CHARS,
    RunPaths,
    create_run,
    find_root,
    latest_dir,
    name_from,
    name_problem,
    runs_of,
    state_dir,
)

texts = st.text(st.characters(codec=None) | st.characters(categories=["Cs", "Cc"]), max_size=100)
NOON_S = 1_767_268_800.0


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("baseline", None),
        ("a b", None),
        ('it\'s "quoted" $HOME `x` ; rm -rf * & | < >', None),
        ("베이스라인 코드 해설", None),
        ("🚀 launch", None),
        ("[Image Classification] 베이스라인 코드 해설", None),
        ("x" * MAX_NAME_CHARS, None),
        ("가" * 40, None),
        ("100%", None),
        ("", "empty"),
        ("  ", "empty"),
        ("\u3000", "empty"),
        ("two\nlines", "control"),
        ("nul\0", "control"),
        ("esc\x1b[2J", "control"),
        ("csi\x9b2J", "control"),
        ("turned\u202eround", "control"),
        ("para\u2029graph", "control"),
        ("half\ud83d", "control"),
        ("../up", "path"),
        ("a/b", "path"),
        ("a\\b", "path"),
        ("..", "path"),
        (".hidden", "path"),
        ("-rf", "dash"),
        ("x" * 300, "long"),
        ("가" * 41, "long"),
    ],
)
def test_which_names_may_name_a_run(tmp_path: Path, name: str, problem: str | None) -> None:
    assert name_problem(name) == problem
    if problem is None:
        run = create_run(str(tmp_path), "run", name, now_s=NOON_S)
        assert run.run_id.startswith(name)
        Path(run.log).touch()
        assert len(Path(run.log).name.encode()) <= 255
        (Path(run.dir) / "run.json").touch()
        assert list(runs_of(str(tmp_path))) == [run]


@given(texts)
@example("../../etc/passwd")
@example("x" * 300)
@example("가" * 300 + ".py")
@example("-.- _")
@example("\ud83d.ipynb")
@example("a\n'b\".py")
def test_a_name_made_from_anything_is_allowed(target: str) -> None:
    name = name_from(target)
    assert name_problem(name) is None
    assert name_from(name + ".py") == name
    assert not re.search(r"\s", name)


def test_a_name_made_from_a_file_reads_like_it() -> None:
    assert name_from("/data/[Image Classification] 베이스라인 코드 해설.ipynb") == (
        "[Image_Classification]_베이스라인_코드_해설"
    )
    assert name_from("train.py") == "train"
    assert name_from("") == name_from("/") == name_from("..") == "run"


@settings(max_examples=60)
@given(texts)
def test_an_allowed_name_makes_a_run_inside_its_root_and_no_other_does_harm(name: str) -> None:
    if name_problem(name) is not None:
        return
    with tempfile.TemporaryDirectory() as root:
        run = create_run(root, "run", name)
        assert os.path.commonpath([os.path.realpath(root), os.path.realpath(run.dir)]) == (
            os.path.realpath(root)
        )
        assert Path(run.claims).is_dir()
        assert run.root == root
        assert run.kind == "run"
        assert Path(run.log).parent.is_dir()


def test_a_second_run_of_the_minute_gets_a_number(tmp_path: Path) -> None:
    ids = [create_run(str(tmp_path), "run", "a", now_s=NOON_S).run_id for _ in range(3)]
    assert ids[0] + "-002" == ids[1]
    assert ids[0] + "-003" == ids[2]
    assert re.fullmatch(r"a_\d{8}_\d{4}", ids[0])
    logs = {RunPaths(str(tmp_path / "experiments/run" / ids[0][2:10] / each)).log for each in ids}
    assert len(logs) == 3


CREATE = """
import sys
from overnight.ledger.paths import create_run
for _ in range(40):
    print(create_run(sys.argv[1], "run", "same", now_s=1_767_268_800.0).run_id)
"""


def test_creators_of_the_same_minute_never_share_a_folder(tmp_path: Path) -> None:
    creators = [
        subprocess.Popen(
            [sys.executable, "-c", CREATE, str(tmp_path)], stdout=subprocess.PIPE, text=True
        )
        for _ in range(4)
    ]
    ids = [line for creator in creators for line in creator.communicate(timeout=60)[0].split()]
    assert len(set(ids)) == len(ids) == 160


@pytest.mark.parametrize("folder", ["plain", "with space", 'it\'s "q"', "line\nbreak", "가나다 🚀"])
def test_a_root_may_have_any_name_and_may_move(tmp_path: Path, folder: str) -> None:
    root = tmp_path / folder
    root.mkdir()
    run = create_run(str(root), "train", "a", now_s=NOON_S)
    Path(run.run_json).touch()
    assert (run.root, run.kind, run.date) == (str(root), "train", run.run_id.split("_")[1])
    moved = tmp_path / "elsewhere"
    shutil.move(root, moved)
    (found,) = runs_of(str(moved))
    assert found.root == str(moved)
    assert found.log.startswith(str(moved))


def test_folders_are_for_the_user_alone(tmp_path: Path) -> None:
    run = create_run(str(tmp_path), "run", "a")
    for path in (run.dir, run.claims, run.control, run.code, Path(run.log).parent):
        assert Path(path).stat().st_mode & 0o777 == 0o700


def test_the_link_to_the_newest_run_is_no_run(tmp_path: Path) -> None:
    run = create_run(str(tmp_path), "run", "a")
    Path(run.run_json).touch()
    latest = Path(latest_dir(str(tmp_path), "run"))
    latest.mkdir()
    (latest / run.run_id).symlink_to(run.dir)
    assert list(runs_of(str(tmp_path))) == [run]


def test_a_root_that_cannot_be_written_is_an_error_of_the_system(tmp_path: Path) -> None:
    (tmp_path / "experiments").touch()
    with pytest.raises(OSError, match="experiments"):
        create_run(str(tmp_path), "run", "a")


def test_the_root_is_found_as_the_page_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OVERNIGHT_ROOT", raising=False)
    deep = tmp_path / "project" / "pkg" / "deep"
    deep.mkdir(parents=True)
    assert find_root(str(deep)) == str(deep)
    (tmp_path / "project" / "pkg" / "pyproject.toml").touch()
    assert find_root(str(deep)) == str(tmp_path / "project" / "pkg")
    (tmp_path / "project" / "overnight.yaml").touch()
    assert find_root(str(deep)) == str(tmp_path / "project")
    monkeypatch.setenv("OVERNIGHT_ROOT", str(tmp_path / "env"))
    assert find_root(str(deep)) == str(tmp_path / "env")
    assert find_root(str(deep), "~/explicit") == str(Path("~/explicit").expanduser())


@pytest.mark.skipif(sys.platform != "linux", reason="XDG folders are Linux's")
def test_the_state_folder_follows_xdg(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", "/xdg")
    assert state_dir() == "/xdg/overnight"
    monkeypatch.setenv("XDG_STATE_HOME", "")
    monkeypatch.setenv("HOME", "/home/u")
    assert state_dir() == "/home/u/.local/state/overnight"
