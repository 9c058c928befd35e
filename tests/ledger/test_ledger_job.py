"""``overnight.log`` and its sisters under rough use: they never raise and never stop the job."""

from __future__ import annotations

import ast
import json
import math
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pytest

from overnight.ledger import index, state
from overnight.ledger.paths import RunPaths, create_run
from overnight.ledger.reader import read, rows, stems
from overnight.testing.faults import FaultUnavailableError, armed, small_disk

PACKAGE = Path(state.__file__).parents[1]

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def run(tmp_path: Path) -> RunPaths:
    return create_run(str(tmp_path / "root"), "run", "job")


@pytest.fixture
def job(tmp_path: Path, run: RunPaths) -> Run:
    """Runs a job's code as the supervisor would start it; ``env`` is added, None takes away."""

    def start(code: str, *args: str, **env: str | None) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-c", code, *args],
            env=environment(tmp_path, **{"OVERNIGHT_RUN_DIR": run.dir, **env}),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            cwd=tmp_path,
        )

    return start


def environment(tmp_path: Path, **more: str | None) -> dict[str, str]:
    clean = {k: v for k, v in os.environ.items() if not k.startswith("OVERNIGHT_")}
    env = {**clean, "XDG_STATE_HOME": str(tmp_path / "state"), **more}
    return {key: value for key, value in env.items() if value is not None}


# ── what log takes ───────────────────────────────────────────────────────────────────────────────

HOSTILE = """
import decimal, math, overnight

class Rude:
    def item(self): raise RuntimeError("two elements")
    def __float__(self): raise ZeroDivisionError
    def __str__(self): raise KeyError("no text")
    __repr__ = __str__
    def __eq__(self, other): raise ValueError
    __hash__ = object.__hash__

class Tensor:
    def __init__(self, value): self.value = value
    def item(self): return self.value

class NoFloat:
    def __float__(self): return "three"

class RudeError(Exception):
    def __str__(self): raise RuntimeError

class RaisesRudely:
    def item(self): raise RudeError

overnight.log({"tensor": Tensor(0.5), "rude": Rude(), "text": "abc", "none": None, "ok": 1.5,
               "list": [1.0], "nofloat": NoFloat(), "rudely": RaisesRudely(), "nan": math.nan,
               "inf": math.inf, "huge": 10 ** 5000, "int": 3, "bool": True,
               "decimal": decimal.Decimal("0.25"), 5: 6.0, Rude(): 1.0, "half\\ud800": 2.0}, step=0)
overnight.log({"_seq": 99, "_t": 1, "_attempt": 7, "trial": 3, "stage": "x", "v": 1}, step=1)
for values in (None, 3, "abc", [1, 2], {}, Rude(), {"a": {}}):
    overnight.log(values, step=2)
for axis in (Tensor(3), 3.0, "three", None, math.nan, math.inf, Rude(), [], 10 ** 5000):
    overnight.log({"axis": 1}, step=axis, epoch=axis, fold=axis)
    overnight.log({"step": axis, "epoch": axis, "fold": axis, "axis": 1})
overnight.log({"loss": 1}, step=Tensor(11), epoch=Tensor(2))
for value in (Rude(), "x", None, math.nan, 3, 10 ** 5000, Tensor(4)):
    overnight.progress(value, value)
    overnight.progress(1, value, unit=value)
    overnight.figure(value, value, step=value)
overnight.init(Rude(), root=Rude(), label=Rude())
print("done")
"""


def test_log_takes_anything_and_records_what_it_can(job: Run, run: RunPaths) -> None:
    done = job(HOSTILE)
    assert (done.returncode, done.stdout) == (0, "done\n"), done.stderr
    assert "Traceback" not in done.stderr
    assert len(done.stderr.splitlines()) <= 20
    book = read(run.dir, "metrics")
    assert book.broken == 0
    first = {k: v for k, v in book.records[0].items() if not k.startswith("_")}
    assert first == {
        "step": 0, "tensor": 0.5, "ok": 1.5, "nan": "NaN", "inf": "Infinity", "huge": "Infinity",
        "int": 3, "bool": True, "decimal": 0.25, "5": 6.0, "half?": 2.0,
    }  # fmt: skip
    second = book.records[1]
    assert (second["_seq"], second["_attempt"], second["v"], second["step"]) == (1, 0, 1, 1)
    assert not {"trial", "stage"} & set(second)
    last = book.records[-1]
    assert (last["step"], last["epoch"], last["_kind"]) == (11, 2, "step")
    assert all(
        type(record.get(axis, 0)) is int
        for record in book.records
        for axis in ("step", "epoch", "fold")
    )


def test_a_row_says_what_kind_it_is(job: Run, run: RunPaths) -> None:
    done = job(
        "import overnight as o; o.log({'a': 1}); o.log({'a': 2}); o.log({'a': 3}, step=10)\n"
        "o.log({'a': 4}); o.log({'a': 5}, epoch=0); o.log({'a': 6}, epoch=0, step=12)\n"
        "o.log({'a': 7}, summary=True); o.log({'a': 8, 'epoch': 1, 'fold': 2})"
    )
    assert done.stderr == ""
    seen = [(r.kind, r.step, r.epoch, r.scope.fold, r.values["a"]) for r in rows(run.dir)]
    assert seen == [
        ("step", 0, None, None, 1), ("step", 1, None, None, 2), ("step", 10, None, None, 3),
        ("step", 11, None, None, 4), ("epoch", None, 0, None, 5), ("step", 12, 0, None, 6),
        ("summary", None, None, None, 7), ("epoch", None, 1, 2, 8),
    ]  # fmt: skip


def test_steps_go_on_after_a_resume_from_a_checkpoint(job: Run, run: RunPaths) -> None:
    log_three = "import overnight as o; [o.log({'v': 1}) for _ in range(3)]"
    job(log_three)
    (Path(run.ckpt)).mkdir()
    again = {"OVERNIGHT_RESUME": "1", "OVERNIGHT_ATTEMPT": "1"}
    job(log_three, **again)
    assert [r.step for r in rows(run.dir)] == [0, 1, 2, 0, 1, 2]  # there was none to go on from
    (Path(run.ckpt) / "last.pt").touch()
    job(log_three, **{**again, "OVERNIGHT_ATTEMPT": "2"})
    assert [r.step for r in rows(run.dir)] == [0, 1, 2, 0, 1, 2, 3, 4, 5]


def test_without_a_run_log_does_nothing(job: Run, tmp_path: Path) -> None:
    code = "import overnight as o; o.log({'a': 1}); o.progress(1, 2); print(o.figure('x.png'))"
    for folder in (None, "", str(tmp_path / "gone"), "\n"):
        done = job(code, OVERNIGHT_RUN_DIR=folder)
        assert (done.returncode, done.stdout, done.stderr) == (0, "None\n", "")


# ── what may happen around it ────────────────────────────────────────────────────────────────────

AROUND = """
import os, shutil, sys, overnight
run = os.environ["OVERNIGHT_RUN_DIR"]
{before}
for step in range(50):
    overnight.log({{"loss": 1.0, "text": "x", "step": step}})
    overnight.progress(step, 50)
    overnight.checkpoint_dir()
{after}
overnight.log({{"loss": 2.0}})
overnight.figure("nowhere.png")
overnight.init()
os.write(1, b"done\\n")
"""


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("shutil.rmtree(run)", ""),
        ("", "shutil.rmtree(run)"),
        ("shutil.rmtree(run); open(run, 'w').close()", ""),
        ("shutil.rmtree(run + '/claims')", ""),
        ("os.mkdir(run + '/metrics.jsonl')", ""),
        ("sys.stderr.close()", ""),
        ("os.close(2)", ""),
        ("sys.stderr = None", ""),
        ("os.chdir(run); shutil.rmtree(run)", ""),
        ("os.environ['RANK'] = os.environ['OVERNIGHT_ATTEMPT'] = '²' * 5000", ""),
    ],
    ids=lambda code: code[:40],
)
def test_whatever_happens_to_the_folder_the_job_goes_on(job: Run, before: str, after: str) -> None:
    done = job(AROUND.format(before=before, after=after))
    assert (done.returncode, done.stdout) == (0, "done\n"), done.stderr
    assert "Traceback" not in done.stderr
    complaints = done.stderr.splitlines()
    assert all(line.startswith("overnight: ") for line in complaints)
    assert len(complaints) <= 6


@pytest.mark.skipif(sys.platform == "win32", reason="folders of Windows cannot be closed like this")
def test_a_folder_that_may_not_be_written_stops_nothing(tmp_path: Path, job: Run) -> None:
    with ExitStack() as stack:
        if os.geteuid() == 0:  # to whom no folder is closed, unless its whole disk is
            try:
                root = stack.enter_context(small_disk(64))
            except FaultUnavailableError as error:
                pytest.skip(str(error))
            run = create_run(str(root), "run", "closed")
            subprocess.run(["mount", "-o", "remount,ro", str(root)], check=True)
        else:
            run = create_run(str(tmp_path), "run", "closed")
            for path in (run.dir, run.claims):
                Path(path).chmod(0o500)
                stack.callback(Path(path).chmod, 0o700)
        done = job(AROUND.format(before="", after=""), OVERNIGHT_RUN_DIR=run.dir)
        assert (done.returncode, done.stdout) == (0, "done\n"), done.stderr
        assert "could not be written" in done.stderr
        assert len(done.stderr.splitlines()) <= 5
        assert stems(run.dir, "metrics") == []


@pytest.mark.skipif(sys.platform != "linux", reason="a small disk needs Linux")
def test_a_full_disk_stops_nothing_and_is_said_once(tmp_path: Path, job: Run) -> None:
    try:
        with small_disk(64) as disk:
            run = create_run(str(disk), "run", "full")
            code = (
                "import overnight\n"
                "for step in range(3000): overnight.log({'a': 1.0, 'b': 2.0}, step=step)\n"
                "overnight.progress(1, 1); print('done')"
            )
            done = job(code, OVERNIGHT_RUN_DIR=run.dir)
            assert (done.returncode, done.stdout) == (0, "done\n")
            assert done.stderr.count("No space left") in (1, 2)  # a row, and a word of progress
            book = read(run.dir, "metrics")
            assert [r["step"] for r in book.records] == list(range(len(book.records)))
            assert len(book.records) > 100
            assert book.broken <= 1
    except FaultUnavailableError as error:
        pytest.skip(str(error))


def test_threads_that_log_first_at_once_agree_on_one_pen(job: Run, run: RunPaths) -> None:
    done = job(
        "import overnight, sys, threading\n"
        "overnight.log; sys.setswitchinterval(1e-6); gate = threading.Barrier(16)\n"
        "def work(who):\n"
        "    gate.wait()\n"
        "    for step in range(100): overnight.log({'who': who}, step=step)\n"
        "threads = [threading.Thread(target=work, args=(who,)) for who in range(16)]\n"
        "[t.start() for t in threads]; [t.join() for t in threads]"
    )
    assert (done.returncode, done.stderr) == (0, "")
    book = read(run.dir, "metrics")
    assert book.broken == 0
    assert [r["_seq"] for r in book.records] == list(range(1600))
    assert sorted((r["who"], r["step"]) for r in book.records) == [
        (who, step) for who in range(16) for step in range(100)
    ]


# ── pictures ─────────────────────────────────────────────────────────────────────────────────────


def test_a_picture_is_kept_and_noted(job: Run, run: RunPaths, tmp_path: Path) -> None:
    (tmp_path / "a picture.PNG").write_bytes(b"\x89PNG\r\n\x1a\n not really")
    done = job(
        "import overnight, pathlib\n"
        "class Figure:\n"
        "    def savefig(self, path, **_): pathlib.Path(path).write_bytes(b'drawn')\n"
        "overnight.figure('a picture.PNG', '../val/confusion', step=3)\n"
        "overnight.figure(Figure(), 'curve ' * 100)\n"
        "overnight.figure('no such file.png'); overnight.figure(object())"
    )
    assert len(done.stderr.splitlines()) == 2, done.stderr
    book = read(run.dir, "media").records
    assert [record["key"] for record in book] == ["../val/confusion", "curve " * 100]
    for record in book:
        path = Path(run.dir, record["path"])
        assert path.parent == Path(run.media)
        assert len(path.name.encode()) < 200
    assert Path(run.dir, book[0]["path"]).read_bytes() == b"\x89PNG\r\n\x1a\n not really"
    assert book[0]["step"] == 3


# ── a run of its own: init() without a supervisor ────────────────────────────────────────────────


def opened(tmp_path: Path) -> RunPaths:
    (folder,) = (tmp_path / "root" / "experiments" / "run").glob("*/*/run.json")
    return RunPaths(str(folder.parent))


ALONE = """
import os, sys, overnight
folder = overnight.init("alone run", root=sys.argv[1], dataset="digits", seed=3)
assert folder is not None and overnight.init("other") == folder
overnight.log({"loss": 0.5})
overnight.progress(1, 2)
print(folder, flush=True)
"""


@pytest.fixture
def alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))

    def start(end: str, **env: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-c", ALONE + end, str(tmp_path / "root")],
            env=environment(tmp_path, **env),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    return start


def test_init_alone_makes_a_run_of_the_same_layout(alone: Run, tmp_path: Path) -> None:
    done = alone("")
    assert (done.returncode, done.stderr) == (0, "")
    run = opened(tmp_path)
    assert done.stdout.strip() == run.dir
    info = json.loads(Path(run.run_json).read_text())
    assert info["name"] == "alone run"
    assert info["labels"] == {"dataset": "digits", "seed": "3"}
    assert info["supervised"] is False
    assert info["root"] == run.root == str(tmp_path / "root")
    assert [r.values for r in rows(run.dir)] == [{"loss": 0.5}]
    assert [r["_event"] for r in read(run.dir, "job").records] == ["Progress"]
    (entry,) = index.entries()
    assert (entry.run, entry.name, entry.kind) == (run, "alone run", "run")
    view = state.view(run)
    assert view.state == state.Finished()
    assert view.ran_s is not None
    assert not math.isnan(view.ran_s)
    assert Path(run.dir).stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize(
    ("end", "code"),
    [
        ("raise ValueError('no data')", 1),
        ("sys.exit(3)", 3),
        ("sys.exit('no data')", 1),
        ("sys.exit()", 0),
        ("sys.exit(None)", 0),
        ("sys.exit(256)", 0),
        ("import threading as t\na = t.Thread(target=sys.exit, args=(5,)); a.start(); a.join()", 0),
        ("import multiprocessing as m\n"
         "p = m.get_context('fork').Process(target=sys.exit, args=(5,))\n"
         "p.start(); p.join()", 0),
    ],
)  # fmt: skip
def test_the_end_of_a_run_alone_is_seen(alone: Run, tmp_path: Path, end: str, code: int) -> None:
    done = alone(end)
    assert done.returncode == code, done.stderr
    ended = state.view(opened(tmp_path)).state
    assert ended == (state.Finished() if code == 0 else state.Failed(code, None))
    assert state.exit_status(ended) == code


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGKILL on Windows")
def test_a_run_alone_is_running_then_lost(tmp_path: Path) -> None:
    job = subprocess.Popen(
        [sys.executable, "-c", ALONE + "sys.stdin.read()", str(tmp_path / "root")],
        env=environment(tmp_path),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert job.stdout is not None
    assert job.stdin is not None
    job.stdout.readline()
    run = opened(tmp_path)
    assert isinstance(state.view(run).state, state.Running)
    job.send_signal(signal.SIGKILL)
    deadline = time.monotonic() + 60
    while isinstance(state.view(run).state, state.Running):  # a zombie is gone already
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert state.view(run).state == state.Lost("unseen")
    job.wait()
    job.stdin.close()
    job.stdout.close()
    assert state.view(run).state == state.Lost("unseen")


def test_a_home_folder_that_cannot_be_written_does_not_stop_the_recording(
    alone: Run, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    done = alone("", XDG_STATE_HOME=str(tmp_path / "file"))
    assert done.returncode == 0
    assert "overnight ls" in done.stderr
    assert len(rows(opened(tmp_path).dir)) == 1


@pytest.mark.parametrize("name", ["a/b", "..", "x" * 300, "line\nbreak", 5, b"x", ["a"]])
def test_a_name_that_cannot_name_a_run_is_said_and_the_job_goes_on(
    tmp_path: Path, name: object
) -> None:
    done = subprocess.run(
        [sys.executable, "-c",
         f"import overnight; r = overnight.init({name!r}, root={str(tmp_path)!r}); "
         "overnight.log({'a': 1}); print(r is None)"],
        env=environment(tmp_path), capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout == "True\n"
    assert done.stderr.startswith("overnight: no run could be opened")
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGKILL on Windows")
@pytest.mark.parametrize(
    ("point", "found"),
    [
        ("replace.torn", "queued"),
        ("replace.written", "queued"),
        ("replace.renamed", "lost"),
        ("index.torn", "lost"),
        ("claim.written", "lost"),
        ("claim.taken", "lost"),
        ("replace.torn:2", "lost"),
        ("replace.written:2", "lost"),
        ("replace.renamed:2", "finished"),
    ],
)
def test_a_death_while_a_run_is_opened_or_ended_leaves_a_folder_that_can_be_read(
    alone: Run, tmp_path: Path, point: str, found: str
) -> None:
    name, _, nth = point.partition(":")
    dead = alone("", **armed(name, int(nth or 1)))
    assert dead.returncode == -signal.SIGKILL
    (folder,) = (tmp_path / "root" / "experiments" / "run").glob("*/*")
    run = RunPaths(str(folder))
    assert state.word(state.view(run).state) == found
    assert index.entries() == [] or index.entries()[0].run == run
    again = alone("")
    assert again.returncode == 0, again.stderr
    assert RunPaths(again.stdout.strip()) in [entry.run for entry in index.entries()]


# ── under the job's own Python ───────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "path", sorted(PACKAGE.glob("ledger/*.py")) + [PACKAGE / "crashpoint.py"], ids=lambda p: p.name
)
def test_the_job_side_is_python_3_9(path: Path) -> None:
    ast.parse(path.read_text(encoding="utf-8"), feature_version=(3, 9))


OTHER_PYTHONS = [
    path
    for minor in range(9, 15)
    for path in sorted(Path.home().glob(f".pyenv/versions/3.{minor}.*/bin/python3"))[-1:]
]


@pytest.mark.skipif(not OTHER_PYTHONS, reason="no other Python on this machine")
@pytest.mark.parametrize("python", OTHER_PYTHONS, ids=lambda path: path.parts[-3])
def test_other_pythons_log_as_well(python: Path, tmp_path: Path) -> None:
    done = subprocess.run(
        [python, "-W", "error", "-c", ALONE, str(tmp_path / "root")],
        env=environment(tmp_path, PYTHONPATH=str(PACKAGE.parent), PYTHONDONTWRITEBYTECODE="1"),
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    run = opened(tmp_path)
    assert [r.values for r in rows(run.dir)] == [{"loss": 0.5}]
    assert state.view(run).state == state.Finished()
