"""``overnight run`` returns with the job really running, in a clean place of its own."""

from __future__ import annotations

import json
import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from overnight.ledger.state import Failed, Finished, Running, view

_LOOK_AROUND = """
import json, os, signal, sys

def ignored(name):
    return signal.getsignal(getattr(signal, name)) == signal.SIG_IGN

umask = os.umask(0)
os.umask(umask)
try:
    os.open("/dev/tty", os.O_RDWR)
    tty = True
except OSError:
    tty = False
json.dump({
    "fds": {fd: os.readlink("/proc/self/fd/" + fd) for fd in ("0", "1", "2")},
    "more_fds": [fd for fd in os.listdir("/proc/self/fd")
                 if int(fd) > 2 and os.path.exists("/proc/self/fd/" + fd)],
    "tty": tty,
    "sid": os.getsid(0), "pgid": os.getpgid(0), "pid": os.getpid(), "ppid": os.getppid(),
    "ignored": [n for n in ("SIGHUP", "SIGINT", "SIGQUIT", "SIGTERM", "SIGUSR1") if ignored(n)],
    "mask": [line.split()[1] for line in open("/proc/self/status") if line.startswith("SigBlk")],
    "kernel_ignores": [int(line.split()[1], 16) for line in open("/proc/self/status")
                       if line.startswith("SigIgn")][0],
    "cwd": os.getcwd(), "umask": umask, "argv": sys.argv[1:], "env": dict(os.environ),
}, open("seen.json.part", "w"))
os.rename("seen.json.part", "seen.json")
"""


def _seen(folder: Path) -> dict[str, Any]:
    said: dict[str, Any] = json.loads((folder / "seen.json").read_text())
    return said


def _mode(path: Path | str) -> int:
    return stat.S_IMODE(Path(path).stat().st_mode)


def test_it_returns_once_the_job_runs_and_says_what_to_do_next(workplace, waiting) -> None:
    done = workplace.overnight("run", waiting, "--name", "first")
    assert done.returncode == 0, done.stderr
    (folder,) = workplace.runs()
    run = workplace.run_at(folder)
    assert isinstance(view(run).state, Running)
    job = workplace.job(run)
    assert job is not None
    assert f"pid {job.pid}" in done.stdout
    for words in ("overnight logs -f", "overnight status", "overnight stop", run.log):
        assert words in done.stdout
    assert run.run_id.startswith("first_")
    (workplace.root / "go").touch()
    assert workplace.ended(run) == Failed(5, None, view(run).state.cause)


def test_the_folder_holds_what_the_format_says_and_is_private(workplace, waiting) -> None:
    run = workplace.run(waiting, "--label", "a b")
    for name in ("run.json", "launch.json", "config.yaml", "keeper.json", "lease", "events.jsonl"):
        assert _mode(run.at(name)) == 0o600, name
    for folder in (run.dir, run.claims, run.control, run.code, Path(run.log).parent):
        assert _mode(folder) == 0o700, folder
    assert _mode(run.log) == 0o600
    info = json.loads(Path(run.run_json).read_text())
    assert info["run_id"] == run.run_id
    assert info["root"] == str(workplace.root)
    assert info["labels"] == ["a b"]
    assert info["supervised"] is True
    assert info["log"] == run.log
    assert Path(run.code, "job.py").read_text() == waiting.read_text()
    workplace.until(Path(run.machine_json).exists)
    (workplace.root / "go").touch()
    workplace.ended(run)
    assert Path(run.supervisor_log).read_text() == ""


def test_the_job_finds_a_clean_process_of_its_own(workplace) -> None:
    run = workplace.run(workplace.script(_LOOK_AROUND), "--epochs", "3", "--", "--name", "x")
    assert workplace.ended(run) == Finished()
    seen = _seen(workplace.root)
    assert seen["fds"] == {"0": os.devnull, "1": run.log, "2": run.log}
    assert seen["more_fds"] == []
    assert not seen["tty"]
    assert seen["sid"] == seen["ppid"] != os.getsid(0), "the keeper's session"
    assert seen["pgid"] == seen["pid"], "its own process group"
    assert seen["mask"] == ["0" * 16]
    # Python itself ignores SIGPIPE and SIGXFSZ; nothing else but SIGHUP may be.
    assert seen["ignored"] == ["SIGHUP"]
    assert seen["cwd"] == str(workplace.root)
    assert seen["argv"] == ["--epochs", "3", "--name", "x"]


def test_a_command_that_is_no_python_has_sigpipe_as_in_a_shell(workplace) -> None:
    run = workplace.run("--", "grep", "SigIgn", "/proc/self/status")
    assert workplace.ended(run) == Finished()
    # Signals from 32 on are the C library's own.
    ignored = int(workplace.log(run).split()[1], 16) & 0x7FFFFFFF
    assert ignored == 1, "SIGHUP and nothing else"


def test_signals_that_the_shell_ignores_reach_the_job_all_the_same(workplace) -> None:
    # In the background of a script a shell ignores SIGINT and SIGQUIT; stop must get through.
    script = workplace.script("import time\nwhile True: time.sleep(0.05)")
    subprocess.run(
        ["sh", "-c", 'trap "" INT QUIT; "$@" & wait', "sh", sys.executable, "-m", "overnight",
         "run", str(script), "--name", "bg"],
        env=workplace.env, cwd=workplace.root, check=True, capture_output=True,
    )  # fmt: skip
    run = workplace.run_at(workplace.runs()[0])
    assert workplace.overnight("stop", "bg", "--grace", "600").returncode == 0
    assert view(run).state.signal == 2


@pytest.mark.parametrize("umask", [0o022, 0o002])
def test_the_jobs_own_files_get_the_callers_mask(workplace, umask: int) -> None:
    script = workplace.script("open('model.bin', 'w').close()")
    before = os.umask(umask)
    try:
        run = workplace.run(script)
    finally:
        os.umask(before)
    assert workplace.ended(run) == Finished()
    assert _mode(workplace.root / "model.bin") == 0o666 & ~umask
    assert _mode(run.exit_json) == 0o600


def test_nothing_of_the_callers_is_held_open(workplace, waiting) -> None:
    # Whoever waits for the end of our output (ssh, a pipe, make -j) must not wait for the job.
    read_end, write_end = os.pipe()
    os.set_inheritable(write_end, True)
    with subprocess.Popen(
        [sys.executable, "-m", "overnight", "run", str(waiting), "--name", "held"],
        env=workplace.env, cwd=workplace.root, stdout=subprocess.PIPE, close_fds=False,
    ) as started:  # fmt: skip
        os.close(write_end)
        assert started.stdout is not None
        assert b"held" in started.stdout.read()  # to its end
    assert os.read(read_end, 1) == b""
    os.close(read_end)
    run = workplace.run_at(workplace.runs()[0])
    for who in (workplace.supervisor(run), workplace.keeper(run)):
        assert Path(f"/proc/{who.pid}/cwd").readlink() == Path("/")
        links = {str(Path(f"/proc/{who.pid}/fd/{fd}").readlink()) for fd in (0, 1, 2)}
        assert links == {os.devnull, run.supervisor_log}
    (workplace.root / "go").touch()
    workplace.ended(run)


def test_what_makes_output_readable_is_set_and_the_callers_choice_wins(workplace) -> None:
    run = workplace.run(
        workplace.script(_LOOK_AROUND), "--env", "MY_KNOB=7", "--env", "PASSED",
        env={"TQDM_MININTERVAL": "1", "PASSED": "on", "OVERNIGHT_RESUME": "1"},
    )  # fmt: skip
    workplace.ended(run)
    env = _seen(workplace.root)["env"]
    assert env["PYTHONUNBUFFERED"] == env["TTY_COMPATIBLE"] == env["TTY_INTERACTIVE"] == "1"
    assert env["TQDM_MININTERVAL"] == "1"
    assert env["OVERNIGHT_RUN_DIR"] == run.dir
    assert env["OVERNIGHT_ATTEMPT"] == "0"
    assert "OVERNIGHT_RESUME" not in env
    assert env["MY_KNOB"] == "7"
    assert env["PASSED"] == "on"
    assert env["PWD"] == str(workplace.root)


def test_a_script_runs_where_the_person_stands(workplace) -> None:
    script = workplace.script(_LOOK_AROUND, "deep/er/job.py")
    elsewhere = workplace.root / "elsewhere"
    elsewhere.mkdir()
    run = workplace.run(script, "--root", workplace.root, cwd=elsewhere)
    assert workplace.ended(run) == Finished()
    assert _seen(elsewhere)["cwd"] == str(elsewhere)


def test_a_notebook_runs_where_it_lies_and_imports_what_lies_beside_it(workplace) -> None:
    folder = workplace.root / "노트북 폴더"
    folder.mkdir()
    (folder / "beside.py").write_text("VALUE = 41\n")
    cell = "import os, beside\nEPOCHS = 3\nprint('cwd', os.getcwd(), beside.VALUE + 1, EPOCHS)\n"
    notebook = {
        "nbformat": 4, "nbformat_minor": 5, "metadata": {},
        "cells": [{"cell_type": "code", "id": "a", "metadata": {}, "outputs": [],
                   "execution_count": None, "source": cell}],
    }  # fmt: skip
    path = folder / "[Image Classification] 베이스라인 코드 해설.ipynb"
    path.write_text(json.dumps(notebook, ensure_ascii=False), encoding="utf-8")
    run = workplace.run(path, "--set", "EPOCHS=9", "--root", workplace.root)
    assert workplace.ended(run) == Finished(), workplace.log(run)
    assert f"cwd {folder} 42 9" in workplace.log(run)
    info = json.loads(Path(run.run_json).read_text())
    assert info["target"] == str(path)
    assert not [each for each in folder.iterdir() if each.suffix == ".py" and each.stem != "beside"]


def _pythons() -> list[str]:
    """Every other Python of this machine that is new enough for the job's side."""
    homes = sorted(Path(sys.base_prefix).parent.glob("3.*/bin/python3"))
    found = [str(path) for path in homes] + [shutil.which("python3", path="/usr/bin:/bin") or ""]
    good = []
    for path in filter(None, found):
        asked = subprocess.run(
            [path, "-c", "import sys; print(sys.version_info >= (3, 9))"],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        if asked.stdout.strip() == "True" and os.path.realpath(path) != os.path.realpath(
            sys.executable
        ):
            good.append(path)
    return good or [sys.executable]


@pytest.mark.parametrize("python", _pythons())
def test_a_python_without_overnight_imports_it_and_nothing_else_of_ours(workplace, python) -> None:
    script = workplace.script(
        """
        import sys, overnight
        from importlib.util import find_spec
        overnight.init()
        overnight.log({"loss": 0.5}, step=3)
        overnight.progress(1, 2)
        print("found", [name for name in ("typer", "rich", "dotenv") if find_spec(name)])
        print("version", *sys.version_info[:2])
        print("where", overnight.checkpoint_dir())
        """
    )
    run = workplace.run(script, "--python", python, env={"PYTHONNOUSERSITE": "1"})
    assert workplace.ended(run) == Finished(), workplace.log(run)
    foreign = subprocess.run(
        [python, "-I", "-c", "from importlib.util import find_spec as f;"
         "print('found', [n for n in ('typer', 'rich', 'dotenv') if f(n)])"],
        capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    assert foreign.strip() in workplace.log(run)
    assert f"where {run.ckpt}" in workplace.log(run)
    assert '"loss":0.5' in Path(run.at("metrics.jsonl")).read_text()


def test_a_bare_venv_is_the_jobs_python_when_it_is_active(workplace, tmp_path) -> None:
    venv = tmp_path / "a venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(venv)], check=True)
    script = workplace.script(
        "import sys, overnight; overnight.init(); print('prefix', sys.prefix)"
    )
    run = workplace.run(script, env={"VIRTUAL_ENV": str(venv)})
    assert workplace.ended(run) == Finished(), workplace.log(run)
    assert f"prefix {venv}" in workplace.log(run)


def test_two_runs_in_one_minute_have_folders_of_their_own(workplace) -> None:
    script = workplace.script("print('hello')")
    runs = {workplace.run(script, "--name", "same").dir for _ in range(3)}
    assert len(runs) == 3
    workplace.until(lambda: not workplace.processes())


def test_a_home_that_cannot_be_written_costs_the_index_and_no_more(workplace) -> None:
    workplace.state.write_text("a file where the folder should be")
    script = workplace.script("import overnight; overnight.init(); overnight.log({'a': 1})")
    done = workplace.overnight("run", script, "--name", "homeless")
    assert done.returncode == 0, done.stderr
    assert "overnight ls --root" in done.stderr
    run = workplace.run_at(workplace.runs()[0])
    assert workplace.ended(run) == Finished(), workplace.log(run)
    assert '"a":1' in Path(run.at("metrics.jsonl")).read_text()
    listed = workplace.overnight("ls", "--root", workplace.root)
    assert "homeless" in listed.stdout


def test_help_behind_the_dashes_is_the_jobs(workplace) -> None:
    run = workplace.run("--", sys.executable, "--help")
    assert workplace.ended(run) == Finished()
    assert "usage:" in workplace.log(run)
