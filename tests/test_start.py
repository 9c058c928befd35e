"""``start``: what was asked for becomes a folder, and the folder a running job."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from overnight.errors import UserErrors
from overnight.ledger import index
from overnight.ledger.state import ENDED, Finished, view
from overnight.start import Asked, git_commit, start, with_dotenv

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="runs need Linux or macOS")


@pytest.fixture
def root(tmp_path, monkeypatch) -> Path:
    """A root folder in which the test stands, and a state folder of its own."""
    folder = tmp_path / "work"
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    for name in ("OVERNIGHT_ROOT", "OVERNIGHT_RUN_DIR", "VIRTUAL_ENV", "CONDA_PREFIX"):
        monkeypatch.delenv(name, raising=False)
    return folder


def _ended(run):
    until = time.monotonic() + 60
    while not isinstance(view(run).state, ENDED):
        assert time.monotonic() < until
        time.sleep(0.02)
    return view(run).state


def test_a_program_may_start_runs_too(root) -> None:
    (root / "job.py").write_text("import sys; print('args', sys.argv[1:])")
    started = start(Asked(target="job.py", args=["--lr", "3"], name="mine", labels=["a"]))
    assert started.name == "mine"
    assert started.job_pid > 0
    assert started.run.root == str(root)
    assert _ended(started.run) == Finished()
    assert "args ['--lr', '3']" in Path(started.run.log).read_text()
    assert [entry.run for entry in index.entries()] == [started.run]


def test_every_mistake_is_in_the_error(root) -> None:
    with pytest.raises(UserErrors) as caught:
        start(Asked(target="none.py", name="a/b", env={"NOT_SET_ANYWHERE": None}, python="/no/py"))
    assert [error.key for error in caught.value.errors] == [
        "run.no_such_file", "run.name_path", "run.env_missing", "run.no_such_python",
    ]  # fmt: skip
    assert list(root.iterdir()) == []


def test_a_missing_file_with_arguments_is_one_mistake(root) -> None:
    with pytest.raises(UserErrors) as caught:
        start(Asked(target="none.ipynb", args=["--lr", "3"], overrides={"A": "1"}))
    assert [error.key for error in caught.value.errors] == ["run.no_such_file"]


def test_a_setting_that_only_sounds_secret_is_none(root) -> None:
    (root / "job.py").write_text("import os; print('tokens', os.environ['MAX_TOKENS'])")
    run = start(Asked(target="job.py", env={"MAX_TOKENS": "512"})).run
    assert _ended(run) == Finished()
    assert "tokens 512" in Path(run.log).read_text()


def test_the_root_is_the_nearest_project(root, tmp_path) -> None:
    (tmp_path / "work" / "pyproject.toml").touch()
    deep = root / "a" / "b"
    deep.mkdir(parents=True)
    (deep / "job.py").write_text("")
    run = start(Asked(target=str(deep / "job.py"))).run
    assert run.root == str(root)
    assert _ended(run) == Finished()


def test_dotenv_gives_way_to_a_real_variable(tmp_path) -> None:
    (tmp_path / ".env").write_text('A=file\nB="with space"\nC\n# D=no\nE=${A}\n')
    found = with_dotenv({"A": "real"}, str(tmp_path))
    assert found == {"A": "real", "B": "with space", "E": "${A}"}
    assert with_dotenv({"A": "real"}, str(tmp_path / "none")) == {"A": "real"}


def test_the_commit_is_read_from_gits_files(tmp_path) -> None:
    assert git_commit(str(tmp_path)) is None

    def git(*words: str, cwd: Path = tmp_path) -> str:
        env = {**os.environ, "GIT_CONFIG_GLOBAL": os.devnull}
        identity = ["-c", "user.name=a", "-c", "user.email=a@example.org"]
        return subprocess.run(
            ["git", *identity, *words], cwd=cwd, env=env, check=True, capture_output=True, text=True
        ).stdout.strip()

    git("init", "-b", "main")
    assert git_commit(str(tmp_path)) is None
    git("commit", "--allow-empty", "-m", "first")
    head = git("rev-parse", "HEAD")
    (tmp_path / "sub").mkdir()
    assert git_commit(str(tmp_path / "sub")) == head
    git("pack-refs", "--all")
    assert git_commit(str(tmp_path)) == head
    git("checkout", "--detach")
    assert git_commit(str(tmp_path)) == head
