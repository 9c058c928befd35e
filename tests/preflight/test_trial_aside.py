"""What a trial would overwrite comes back: the very bytes and times, whatever was done to it."""

from __future__ import annotations

import hashlib
import os
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

if sys.platform == "win32":
    pytest.skip("trials are made on Linux and macOS", allow_module_level=True)

from overnight.preflight.trial.aside import Aside, put_back, written

_PACKAGES = str(Path(__file__).parents[2] / "src")
State = dict[str, tuple[str, int, int]]


def state(folder: Path) -> State:
    """Each file's hash, time and mode; each folder."""
    found: State = {}
    for path in sorted(folder.rglob("*")):
        status = path.lstat()
        if path.is_symlink():
            found[str(path)] = (str(path.readlink()), 0, 0)
        elif path.is_dir():
            found[str(path)] = ("folder", 0, status.st_mode)
        else:
            digest = hashlib.sha256(path.read_bytes()).hexdigest()
            found[str(path)] = (digest, status.st_mtime_ns, status.st_mode)
    return found


@pytest.fixture
def work(tmp_path: Path) -> Path:
    """Last night's results."""
    folder = tmp_path / "wo rk'\n"
    (folder / "outputs" / "old").mkdir(parents=True)
    for name in ("model.pt", "predictions.csv", "log.txt", "outputs/a.ckpt", "outputs/old/b.ckpt"):
        (folder / name).write_text(name * 1000)
        os.utime(folder / name, (1_700_000_000, 1_700_000_000))
    (folder / "latest").symlink_to("model.pt")
    (folder / "model.pt").chmod(0o640)
    return folder


@pytest.fixture
def scratch(tmp_path: Path) -> Path:
    folder = tmp_path / "scratch"
    folder.mkdir()
    return folder


def _rewrite(aside: Aside, work: Path) -> None:
    aside.before_open(str(work / "model.pt"), os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    (work / "model.pt").write_text("new")


def _rewrite_through_a_link(aside: Aside, work: Path) -> None:
    aside.before_open(str(work / "latest"), os.O_WRONLY | os.O_TRUNC)
    (work / "latest").write_text("new")


def _append(aside: Aside, work: Path) -> None:
    aside.before_open(str(work / "log.txt"), os.O_WRONLY | os.O_APPEND)
    with (work / "log.txt").open("a") as file:
        file.write("more")
    assert (work / "log.txt").read_text() == "log.txt" * 1000 + "more"


def _remove_then_make_again(aside: Aside, work: Path) -> None:
    path = str(work / "predictions.csv")
    aside.before_remove(path)
    Path(path).unlink()
    aside.before_open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    (work / "predictions.csv").write_text("other")


def _save_aside_and_replace(aside: Aside, work: Path) -> None:
    new, old = work / "model.tmp", work / "model.pt"
    aside.before_open(str(new), os.O_WRONLY | os.O_CREAT)
    new.write_text("new")
    aside.before_rename(str(new), str(old))
    new.replace(old)


def _remove_a_tree(aside: Aside, work: Path) -> None:
    old = work / "outputs" / "old"
    aside.before_remove(str(old / "b.ckpt"))
    (old / "b.ckpt").unlink()
    aside.before_remove(str(old))
    old.rmdir()


def _move_a_folder(aside: Aside, work: Path) -> None:
    aside.before_rename(str(work / "outputs"), str(work / "outputs.1"))
    (work / "outputs").rename(work / "outputs.1")
    aside.before_make(str(work / "outputs"))
    (work / "outputs").mkdir()
    aside.before_open(str(work / "outputs" / "a.ckpt"), os.O_WRONLY | os.O_CREAT)
    (work / "outputs" / "a.ckpt").write_text("new")


def _remove_a_link(aside: Aside, work: Path) -> None:
    aside.before_remove(str(work / "latest"))
    (work / "latest").unlink()
    aside.before_make(str(work / "latest"))
    (work / "latest").symlink_to("log.txt")


def _make_folders(aside: Aside, work: Path) -> None:
    for name in ("new", "new/deep"):
        aside.before_make(str(work / name))
        (work / name).mkdir()
    aside.before_open(str(work / "new/deep/x.npy"), os.O_WRONLY | os.O_CREAT)
    (work / "new/deep/x.npy").write_text("x")


@pytest.mark.parametrize(
    "act",
    [
        _rewrite, _rewrite_through_a_link, _append, _remove_then_make_again,
        _save_aside_and_replace, _remove_a_tree, _move_a_folder, _remove_a_link, _make_folders,
    ],
)  # fmt: skip
def test_what_was_there_comes_back(
    act: Callable[[Aside, Path], None], work: Path, scratch: Path
) -> None:
    before = state(work)
    aside = Aside(str(scratch))
    act(aside, work)
    assert state(work) != before
    aside.close()
    assert put_back(str(scratch)) == []
    assert state(work) == before


def test_everything_at_once_comes_back(work: Path, scratch: Path) -> None:
    before = state(work)
    aside = Aside(str(scratch))
    for act in (_append, _rewrite_through_a_link, _remove_then_make_again, _remove_a_tree,
                _move_a_folder, _remove_a_link, _make_folders):  # fmt: skip
        act(aside, work)
    aside.close()
    assert put_back(str(scratch)) == []
    assert state(work) == before


def test_a_journal_cut_short_still_undoes_what_it_holds(work: Path, scratch: Path) -> None:
    before = state(work)
    aside = Aside(str(scratch))
    _rewrite(aside, work)
    aside.close()
    with (scratch / "journal").open("ab") as file:
        file.write(b'{"op": "aside", "pa')
    assert len(written(str(scratch))) == 1
    assert put_back(str(scratch)) == []
    assert state(work) == before


def test_keep_leaves_what_was_made_and_restores_the_rest(work: Path, scratch: Path) -> None:
    before = state(work)
    aside = Aside(str(scratch))
    _rewrite(aside, work)
    _make_folders(aside, work)
    aside.close()
    put_back(str(scratch), keep=True)
    after = state(work)
    assert {path: each for path, each in after.items() if path in before} == before
    assert (work / "new/deep/x.npy").exists()


def test_caches_are_nobodys_result(work: Path, scratch: Path) -> None:
    aside = Aside(str(scratch))
    aside.before_make(str(work / "__pycache__"))
    (work / "__pycache__").mkdir()
    aside.before_open(str(work / "__pycache__" / "a.pyc"), os.O_WRONLY | os.O_CREAT)
    aside.close()
    assert not aside.made
    assert written(str(scratch)) == []


_WITHOUT_THE_KERNEL = """
import os, shutil, sqlite3, sys
sys.path.insert(0, sys.argv[1])
from overnight.preflight.trial.inside.writes import guard
guard(sys.argv[2])
open("model.pt", "wb").write(b"new")
open("log.txt", "a").write("more")
shutil.rmtree("outputs")
os.makedirs("outputs/deep")
open("outputs/deep/x", "w").write("x")
os.replace("outputs/deep/x", "predictions.csv")
os.unlink("latest")
sqlite3.connect("runs.db").execute("create table if not exists t (x)")
"""


def test_where_the_kernel_cannot_tell_python_does(work: Path, scratch: Path) -> None:
    sqlite3.connect(work / "runs.db").close()
    (work / "runs.db").write_bytes(b"")
    before = state(work)
    subprocess.run(
        [sys.executable, "-c", _WITHOUT_THE_KERNEL, _PACKAGES, str(scratch)], cwd=work, check=True
    )
    assert state(work) != before
    assert put_back(str(scratch)) == []
    assert state(work) == before


def test_what_was_written_since_a_trial_was_killed_stays(work: Path, scratch: Path) -> None:
    aside = Aside(str(scratch))
    for name in ("model.pt", "predictions.csv"):
        aside.before_open(str(work / name), os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        (work / name).write_text("the trial's")
    for name in ("new.csv", "of the trial.csv"):
        aside.before_open(str(work / name), os.O_WRONLY | os.O_CREAT)
        (work / name).write_text("the trial's")
    aside.close()
    long_ago = time.time() - 3600
    os.utime(scratch / "journal", (long_ago, long_ago))
    # Only what the clock of the file system calls older is the trial's: these are from now.
    assert put_back(str(scratch), abandoned=True) == [
        str(work / "predictions.csv"), str(work / "model.pt"),
    ]  # fmt: skip
    assert (work / "model.pt").read_text() == "the trial's"
    assert (work / "new.csv").exists()
    # Nothing was lost: as it was before the trial it is still in the trial's folder.
    kept = {path.read_text() for path in scratch.iterdir() if path.name != "journal"}
    assert kept == {"model.pt" * 1000, "predictions.csv" * 1000}
    os.utime(scratch / "journal")
    assert put_back(str(scratch), abandoned=True) == []
    assert (work / "model.pt").read_text() == "model.pt" * 1000
    assert not (work / "new.csv").exists()


@pytest.mark.parametrize("flags", [os.O_WRONLY | os.O_TRUNC, os.O_RDWR | os.O_APPEND])
def test_what_cannot_be_put_aside_is_refused(flags: int, work: Path, scratch: Path) -> None:
    before = state(work)
    aside = Aside(str(scratch))
    scratch.rename(scratch.with_name("gone"))  # nowhere to put anything
    for _ in range(2):  # the second time too
        with pytest.raises(OSError, match="No such file"):
            aside.before_open(str(work / "model.pt"), flags)
    assert aside.refused == {str(work / "model.pt")}
    assert state(work) == before


_HALF = """
import resource, sys
sys.path.insert(0, sys.argv[1])
from overnight.preflight.trial.aside import Aside, put_back
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, resource.RLIM_INFINITY))  # as a full disk
aside = Aside(sys.argv[2])
try:
    aside.before_open("log.txt", 2 | 1024)
except OSError:
    aside.close()
    print(put_back(sys.argv[2]))
"""


def test_half_a_copy_is_never_put_back(work: Path, scratch: Path) -> None:
    before = state(work)
    done = subprocess.run(
        [sys.executable, "-c", _HALF, _PACKAGES, str(scratch)], cwd=work, check=True,
        capture_output=True, text=True,
    )  # fmt: skip
    assert done.stdout == "[]\n"
    assert state(work) == before
    assert [path.name for path in scratch.iterdir()] == ["journal"]
