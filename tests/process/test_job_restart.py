"""``--restart`` and ``resume``: another attempt of the same job, and when there is none."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
from pathlib import Path

import pytest

from overnight.ledger.files import read_json, replace, to_json
from overnight.ledger.reader import current, rows
from overnight.ledger.state import Failed, Finished, Lost, Running, Stopped, view
from overnight.supervisor.restart import Restart, decide

_EPOCHS = """
import json, os, sys, time
import overnight

folder = overnight.checkpoint_dir()
file = folder / "last.json"
begin = json.loads(file.read_text())["epoch"] + 1 if file.exists() else 0
print("begin", begin, "resume", os.environ.get("OVERNIGHT_RESUME"), flush=True)
for epoch in range(begin, 5):
    print(f"Epoch {epoch}", flush=True)
    if epoch == 2 and not begin:
        while True:
            time.sleep(0.05)
    overnight.log({"loss": 1 / (epoch + 1)}, epoch=epoch)
    aside = folder / "last.part"
    aside.write_text(json.dumps({"epoch": epoch}))
    aside.replace(file)
"""


def test_killed_in_epoch_2_it_resumes_and_epoch_3_follows(workplace) -> None:
    run = workplace.run(workplace.script(_EPOCHS))
    workplace.until(lambda: "Epoch 2" in workplace.log(run))
    workplace.kill(workplace.job(run))
    assert isinstance(workplace.ended(run), Failed)
    done = workplace.overnight("resume", run.run_id)
    assert done.returncode == 0, done.stderr
    assert "from the beginning" not in done.stdout
    assert workplace.ended(run) == Finished()
    log = workplace.log(run).splitlines()
    assert [line for line in log if line.startswith("Epoch")] == [
        "Epoch 0", "Epoch 1", "Epoch 2", "Epoch 2", "Epoch 3", "Epoch 4",
    ]  # fmt: skip
    assert "begin 2 resume 1" in log
    assert "[RESUME] attempt 2" in log
    assert log[-1] == "[EXIT] SUCCESS code=0"
    assert workplace.event_names(run) == [
        "Queued", "Started", "Exited", "Resumed", "Started", "Exited",
    ]  # fmt: skip
    assert [event["_attempt"] for event in workplace.events(run)] == [0, 0, 0, 1, 1, 1]
    every = current(rows(run.dir))
    assert [(row.attempt, row.epoch) for row in every] == [
        (0, 0), (0, 1), (1, 2), (1, 3), (1, 4),
    ]  # fmt: skip


@pytest.mark.slow
def test_a_job_that_fails_differently_each_time_is_started_again(workplace) -> None:
    script = workplace.script(
        """
        import os, overnight
        attempt = int(os.environ["OVERNIGHT_ATTEMPT"])
        overnight.init()
        overnight.log({"attempt": attempt}, step=attempt)
        print("resume", os.environ.get("OVERNIGHT_RESUME"), overnight.checkpoint_dir(), flush=True)
        if attempt < 2:
            raise RuntimeError(f"a failure of its own: {attempt}")
        """
    )
    run = workplace.run("--restart", "3", script)
    assert workplace.ended(run) == Finished()
    log = workplace.log(run)
    assert [line for line in log.splitlines() if line.startswith(("resume", "[R", "[E"))] == [
        f"resume None {run.ckpt}",
        "[RESTART] attempt 2 in 5 s",
        f"resume 1 {run.ckpt}",
        "[RESTART] attempt 3 in 10 s",
        f"resume 1 {run.ckpt}",
        "[EXIT] SUCCESS code=0",
    ]
    events = workplace.events(run)
    assert [(event["_event"], event["_attempt"]) for event in events] == [
        ("Queued", 0), ("Started", 0), ("Exited", 0),
        ("Restarting", 1), ("Started", 1), ("Exited", 1),
        ("Restarting", 2), ("Started", 2), ("Exited", 2),
    ]  # fmt: skip
    assert [event["final"] for event in events if event["_event"] == "Exited"] == [
        False, False, True,
    ]  # fmt: skip
    assert [event["restarts_left"] for event in events if event["_event"] == "Restarting"] == [2, 1]
    assert [row.values["attempt"] for row in rows(run.dir)] == [0, 1, 2]


@pytest.mark.slow
def test_the_same_failure_twice_is_not_tried_a_third_time(workplace) -> None:
    run = workplace.run("--restart", "3", workplace.script("raise ValueError('always the same')"))
    state = workplace.ended(run)
    assert isinstance(state, Failed)
    names = workplace.event_names(run)
    assert names.count("Started") == 2
    (refused,) = [event for event in workplace.events(run) if event["_event"] == "RestartRefused"]
    assert refused["why"] == "same_failure"
    assert names[-1] == "Exited"


def test_changed_code_is_not_started_again(workplace) -> None:
    script = workplace.script("open(__file__, 'a').write('#')\nraise ValueError('edited')")
    run = workplace.run("--restart", "3", script)
    assert isinstance(workplace.ended(run), Failed)
    assert workplace.event_names(run) == ["Queued", "Started", "RestartRefused", "Exited"]
    assert workplace.events(run)[2]["why"] == "code_changed"


def test_a_stopped_job_is_never_started_again(workplace) -> None:
    script = workplace.script(
        """
        import time
        print("up", flush=True)
        try:
            time.sleep(600)
        finally:
            raise RuntimeError("died over the stop")
        """
    )
    run = workplace.run("--restart", "3", script)
    workplace.until(lambda: "up" in workplace.log(run))
    assert workplace.overnight("stop", run.run_id).returncode == 0
    assert view(run).state == Stopped(1, None)
    assert workplace.event_names(run) == ["Queued", "Started", "Stopping", "Exited"]


def test_without_restart_there_is_none(workplace) -> None:
    run = workplace.run(workplace.script("raise SystemExit(1)"))
    workplace.ended(run)
    assert workplace.event_names(run) == ["Queued", "Started", "Exited"]


def test_the_wait_doubles_up_to_five_minutes() -> None:
    causes = [{"kind": "host_oom", "evidence": str(number)} for number in range(12)]
    waits = []
    for done in range(1, 12):
        follows = decide(100, causes[:done], code_changed=False)
        assert isinstance(follows, Restart)
        waits.append(follows.in_s)
    assert waits[:4] == [5, 10, 20, 40]
    assert waits[-1] == max(waits) == 300
    assert decide(2, causes[:3], code_changed=False) == "none_left"


def test_what_the_machine_did_is_tried_again_though_it_is_the_same() -> None:
    for kind, again in [
        ("host_oom", True),
        ("nccl", True),
        ("exception", False),
        ("nan_loss", False),
    ]:
        cause = {"kind": kind, "evidence": "the same"}
        follows = decide(3, [cause, cause], code_changed=False)
        assert isinstance(follows, Restart) is again, kind


# ── resume ──────────────────────────────────────────────────────────────────────────────────


def _tells(workplace) -> Path:
    return workplace.script(
        """
        import json, os, sys
        said = {"argv": sys.argv[1:], "cwd": os.getcwd(), "env": dict(os.environ)}
        with open(f"seen{os.environ['OVERNIGHT_ATTEMPT']}.json", "w") as file:
            json.dump(said, file)
        raise SystemExit(3)
        """
    )


def _seen(workplace, attempt: int):
    return json.loads((workplace.root / f"seen{attempt}.json").read_text())


def test_resume_from_another_shell_is_the_same_job(workplace, tmp_path) -> None:
    elsewhere = tmp_path / "else where"
    elsewhere.mkdir()
    first = {"CUDA_VISIBLE_DEVICES": "1", "OMP_NUM_THREADS": "2", "MY_NOTE": "one",
             "WANDB_API_KEY": "a-first-secret-value", "WANDB_MODE": "offline"}  # fmt: skip
    second = {"CUDA_VISIBLE_DEVICES": "7", "MY_NOTE": "two", "WANDB_API_KEY": "a-second-secret"}
    run = workplace.run(_tells(workplace), "--epochs", "9", env=first)
    workplace.ended(run)
    done = workplace.overnight("resume", run.run_id, env=second, cwd=elsewhere)
    assert done.returncode == 0, done.stderr
    assert "from the beginning" in done.stdout
    workplace.ended(run)
    seen = _seen(workplace, 1)
    assert seen["argv"] == ["--epochs", "9"]
    assert seen["cwd"] == seen["env"]["PWD"] == str(workplace.root)
    env = seen["env"]
    assert (env["CUDA_VISIBLE_DEVICES"], env["OMP_NUM_THREADS"]) == ("1", "2"), "kept"
    assert env["WANDB_MODE"] == "offline"
    assert env["WANDB_API_KEY"] == "a-second-secret", "read anew"
    assert env["MY_NOTE"] == "two", "not on the list: as it is now"
    assert env["OVERNIGHT_RESUME"] == "1"


def test_resume_reads_dotenv_anew(workplace) -> None:
    dotenv = workplace.root / ".env"
    dotenv.write_text("WANDB_API_KEY=the-old-secret-key\nMY_DATA=/data/one\n")
    run = workplace.run(_tells(workplace), "--env", "WANDB_API_KEY")
    workplace.ended(run)
    assert _seen(workplace, 0)["env"]["WANDB_API_KEY"] == "the-old-secret-key"
    dotenv.write_text("WANDB_API_KEY=the-new-secret-key\n")
    done = workplace.overnight("resume", run.run_id)
    assert done.returncode == 0, done.stderr
    workplace.ended(run)
    assert _seen(workplace, 1)["env"]["WANDB_API_KEY"] == "the-new-secret-key"
    assert "MY_DATA" not in _seen(workplace, 1)["env"]
    dotenv.unlink()
    refused = workplace.overnight("resume", run.run_id)
    assert refused.returncode == 2
    assert "WANDB_API_KEY" in refused.stderr
    assert len(refused.stderr.splitlines()) == 3


def test_resume_with_changed_code(workplace) -> None:
    script = workplace.script("raise SystemExit(3)")
    run = workplace.run(script)
    workplace.ended(run)
    script.write_text("print('as it is now')")
    refused = workplace.overnight("resume", run.run_id)
    assert refused.returncode == 2
    assert "--code current" in refused.stderr
    assert workplace.event_names(run)[-1] == "Exited"
    done = workplace.overnight("resume", run.run_id, "--code", "current")
    assert done.returncode == 0, done.stderr
    assert workplace.ended(run) == Finished()
    assert "as it is now" in workplace.log(run)
    (resumed,) = [event for event in workplace.events(run) if event["_event"] == "Resumed"]
    assert resumed["code"] == "current"
    script.unlink()
    gone = workplace.overnight("resume", run.run_id)
    assert gone.returncode == 2
    assert "is gone" in gone.stderr


def test_resume_of_a_notebook_runs_the_script_that_was_kept(workplace) -> None:
    def notebook(text: str) -> None:
        cell = {"cell_type": "code", "id": "a", "metadata": {}, "outputs": [],
                "execution_count": None, "source": text}  # fmt: skip
        said = {"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": [cell]}
        (workplace.root / "nb.ipynb").write_text(json.dumps(said))

    notebook("print('first')\nraise SystemExit(3)")
    run = workplace.run(workplace.root / "nb.ipynb")
    workplace.ended(run)
    assert workplace.overnight("resume", run.run_id).returncode == 0
    workplace.ended(run)
    assert workplace.log(run).count("first") == 2
    notebook("print('second')")
    assert workplace.overnight("resume", run.run_id).returncode == 2
    done = workplace.overnight("resume", run.run_id, "--code", "current")
    assert done.returncode == 0, done.stderr
    assert workplace.ended(run) == Finished()
    assert "second" in workplace.log(run)


def test_a_moved_root_takes_its_runs_along(workplace, tmp_path) -> None:
    script = workplace.script("import os; print('here', os.getcwd()); raise SystemExit(3)")
    (workplace.root / ".git").mkdir()
    run = workplace.run(script, "--data", workplace.root / "data", "--name", "mover")
    workplace.ended(run)
    moved = tmp_path / "moved root"
    workplace.root.rename(moved)
    old, workplace.root = workplace.root, moved
    there = workplace.run_at(moved / Path(run.dir).relative_to(old))
    assert isinstance(view(there).state, Failed)
    assert there.log == str(moved / Path(run.log).relative_to(old))
    assert workplace.overnight("status", there.dir).returncode == 0
    done = workplace.overnight("resume", there.dir)
    assert done.returncode == 0, done.stderr
    assert workplace.ended(there).code == 3
    assert f"here {moved}" in workplace.log(there)
    argv = json.loads(Path(there.launch_json).read_text())["argv"]
    assert sys.executable in argv
    assert not old.exists()


def _rewrite(path: str, change) -> None:
    """Changes the identities in a small file as if another boot or machine had written them."""
    said = read_json(path)
    assert said is not None
    for value in [said, *said.values()]:
        if isinstance(value, dict) and "boot" in value:
            value.update(change)
    replace(path, to_json(said))


def _as_if(workplace, run, **change: str) -> None:
    for path in (run.lease, run.keeper_json, *map(str, Path(run.claims).glob("supervisor.*"))):
        _rewrite(path, change)


def test_after_a_reboot_it_is_lost_and_resumes(workplace) -> None:
    run = workplace.run(workplace.script(_EPOCHS))
    workplace.until(lambda: "Epoch 2" in workplace.log(run))
    job = workplace.job(run)
    workplace.kill(workplace.supervisor(run))
    workplace.kill(workplace.keeper(run))
    os.kill(job.pid, signal.SIGKILL)
    _as_if(workplace, run, boot="another-boot")
    assert view(run).state == Lost("reboot")
    assert workplace.overnight("wait", run.run_id).returncode == 125
    assert view(run).state == Lost("reboot")
    assert workplace.log(run).splitlines()[-1] == "[EXIT] ERROR code=unknown cause=lost"
    assert workplace.overnight("resume", run.run_id).returncode == 0
    assert workplace.ended(run) == Finished()
    assert "begin 2 resume 1" in workplace.log(run)


@pytest.mark.parametrize("age_s", [0, 200, 400])
def test_a_run_of_another_machine(workplace, waiting, age_s: int) -> None:
    run = workplace.run(waiting)
    workplace.kill(workplace.supervisor(run))
    workplace.kill(workplace.keeper(run))
    workplace.kill(workplace.job(run))
    _as_if(workplace, run, machine="another-machine", host="gpu02")
    lease = Path(run.lease).stat()
    os.utime(run.lease, (lease.st_atime - age_s, lease.st_mtime - age_s))
    stop = workplace.overnight("stop", run.run_id)
    assert stop.returncode == 2
    assert "gpu02" in stop.stderr
    (workplace.root / "go").touch()
    done = workplace.overnight("resume", run.run_id)
    if age_s < 300:
        assert done.returncode == 2
        assert "gpu02" in done.stderr
        done = workplace.overnight("resume", run.run_id, "--force")
    assert done.returncode == 0, done.stderr
    assert workplace.ended(run).code == 5
    assert view(run).attempt == 1


def test_what_runs_is_not_resumed(workplace, waiting) -> None:
    run = workplace.run(waiting)
    done = workplace.overnight("resume", run.run_id)
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 3
    assert isinstance(view(run).state, Running)
    assert workplace.event_names(run) == ["Queued", "Started"]
    (workplace.root / "go").touch()
    workplace.ended(run)


def test_a_program_that_cannot_be_started_any_more(workplace) -> None:
    tool = workplace.script("#!/bin/sh\nexit 3\n", "tool")
    tool.chmod(0o755)
    run = workplace.run("--", tool)
    workplace.ended(run)
    tool.unlink()
    done = workplace.overnight("resume", run.run_id)
    assert done.returncode == 2
    assert str(tool) in done.stderr
    workplace.until(lambda: not workplace.processes())
    state = view(run).state
    assert isinstance(state, Failed)
    assert state.code == 127


def test_a_run_without_its_launch_file(workplace) -> None:
    run = workplace.run(workplace.script("raise SystemExit(3)"))
    workplace.ended(run)
    for damage in (None, b"{", b"[]", b'{"argv": 3, "cwd": "/", "env": {}}', b'{"argv": []}'):
        if damage is None:
            Path(run.launch_json).unlink()
        else:
            Path(run.launch_json).write_bytes(damage)
        done = workplace.overnight("resume", run.run_id)
        assert done.returncode in (1, 2), damage
        assert "Traceback" not in done.stderr
        assert len(done.stderr.splitlines()) == 3, (damage, done.stderr)


def test_a_copied_run_folder_is_a_run_of_its_own(workplace, tmp_path) -> None:
    run = workplace.run(workplace.script("raise SystemExit(3)"))
    workplace.ended(run)
    other = tmp_path / "other"
    shutil.copytree(workplace.root / "experiments", other / "experiments", symlinks=True)
    shutil.copytree(workplace.root / "logs", other / "logs")
    copied = workplace.run_at(other / Path(run.dir).relative_to(workplace.root))
    done = workplace.overnight("resume", copied.dir)
    assert done.returncode == 0, done.stderr
    assert workplace.ended(copied).code == 3
    assert view(copied).attempt == 1
    assert view(run).attempt == 0
