"""The package is replaced under a live run; processes are suspended; two want the same run."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import overnight
from overnight.ledger.files import read_json
from overnight.ledger.state import Running, Unattended, view
from overnight.supervisor.detach import detach, holder
from overnight.supervisor.launch import Launch


@pytest.fixture
def copied(workplace, tmp_path) -> Path:
    """A copy of the package, of which the workplace's runs are started."""
    folder = tmp_path / "installed"
    package = Path(overnight.__file__).parent
    shutil.copytree(package, folder / "overnight", ignore=shutil.ignore_patterns("__pycache__"))
    workplace.env["PYTHONPATH"] = str(folder)
    return folder


@pytest.mark.parametrize("how", ["deleted", "overwritten"])
def test_an_upgrade_under_a_live_run_changes_nothing(workplace, copied, how: str) -> None:
    script = workplace.script(
        """
        import os, time, overnight
        overnight.init()
        print("from", overnight.__file__, flush=True)
        while not os.path.exists("go"):
            time.sleep(0.02)
        overnight.log({"last": 1.0})
        raise ValueError("its own end")
        """
    )
    run = workplace.run(script)
    workplace.file(run.log)
    supervisor = workplace.supervisor(run)
    assert str(copied) in Path(f"/proc/{supervisor.pid}/cmdline").read_text()
    workplace.until(lambda: (read_json(run.status_json) or {}).get("updated_us"))
    # Asked for in a process of its own, in the first moments.
    workplace.until(Path(run.machine_json).exists)
    if how == "deleted":
        shutil.rmtree(copied)
    else:
        for path in copied.rglob("*.py"):
            path.write_text("raise SystemExit('a version that does not fit')\n")
    (workplace.root / "go").touch()
    assert workplace.ended(run).code == 1
    assert view(run).state.cause["kind"] == "exception"
    assert workplace.log(run).splitlines()[-1] == "[EXIT] ERROR code=1 cause=exception"
    assert '"last":1' in Path(run.at("metrics.jsonl")).read_text()
    assert Path(run.supervisor_log).read_text() == ""
    assert workplace.overnight("stop", run.run_id, env={"PYTHONPATH": ""}).returncode == 2


def test_stop_works_after_an_upgrade(workplace, copied) -> None:
    run = workplace.run(workplace.script("import time\nwhile True: time.sleep(0.05)"))
    workplace.until(Path(run.machine_json).exists)
    shutil.rmtree(copied)
    done = workplace.overnight("stop", run.run_id, env={"PYTHONPATH": ""})
    assert done.returncode == 0, done.stderr
    assert view(run).state.signal == signal.SIGINT
    assert Path(run.supervisor_log).read_text() == ""


def test_a_frozen_supervisor_catches_up(workplace, waiting) -> None:
    run = workplace.run(waiting)
    supervisor = workplace.supervisor(run)
    workplace.kill(supervisor, signal.SIGSTOP)
    (workplace.root / "go").touch()
    workplace.until(lambda: (read_json(run.exit_json) or {}).get("code") == 5)
    # It lives, so nobody takes the run from it.
    assert isinstance(view(run).state, Running)
    assert workplace.overnight("resume", run.run_id).returncode == 2
    assert holder(run)[1] == supervisor
    workplace.kill(supervisor, signal.SIGCONT)
    assert workplace.ended(run).code == 5
    assert workplace.event_names(run) == ["Queued", "Started", "Exited"]


def test_stop_wakes_a_frozen_supervisor(workplace, waiting) -> None:
    run = workplace.run(waiting)
    workplace.kill(workplace.supervisor(run), signal.SIGSTOP)
    done = workplace.overnight("stop", run.run_id)
    assert done.returncode == 0, done.stderr
    assert workplace.processes() == set()


def test_a_frozen_keeper_and_job(workplace, waiting) -> None:
    run = workplace.run(waiting)
    job, keeper = workplace.job(run), workplace.keeper(run)
    for each in (job, keeper):
        workplace.kill(each, signal.SIGSTOP)
    (workplace.root / "go").touch()
    assert isinstance(view(run).state, Running)
    for each in (job, keeper):
        workplace.kill(each, signal.SIGCONT)
    assert workplace.ended(run).code == 5


def test_many_want_to_adopt_and_one_does(workplace, waiting) -> None:
    run = workplace.run(waiting)
    job = workplace.job(run)
    workplace.kill(workplace.supervisor(run))
    assert view(run).state == Unattended(job.pid)
    racers = [
        subprocess.Popen(
            [sys.executable, "-m", "overnight", "resume", run.run_id],
            env=workplace.env, cwd=workplace.root, stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE, text=True,
        )
        for _ in range(5)
    ]  # fmt: skip
    ends = [(each.communicate(timeout=120)[1], each.returncode) for each in racers]
    assert sorted(code for _, code in ends) == [0, 2, 2, 2, 2], ends
    assert workplace.event_names(run).count("Adopted") == 1
    (workplace.root / "go").touch()
    assert workplace.ended(run).code == 5
    assert workplace.event_names(run) == ["Queued", "Started", "Adopted", "Exited"]


def test_many_want_to_resume_and_one_does(workplace, waiting) -> None:
    run = workplace.run(waiting)
    workplace.kill(workplace.job(run))
    workplace.ended(run)
    racers = [
        subprocess.Popen(
            [sys.executable, "-m", "overnight", "resume", run.run_id],
            env=workplace.env, cwd=workplace.root, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        for _ in range(5)
    ]  # fmt: skip
    assert sorted(each.wait(timeout=120) for each in racers) == [0, 2, 2, 2, 2]
    assert len(workplace.of_run(run)) == 1
    (workplace.root / "go").touch()
    assert workplace.ended(run).code == 5
    assert view(run).attempt == 1


def test_an_adopter_finds_the_run_over(workplace, waiting) -> None:
    # The job ends between the look and the claim: the new supervisor just writes the end down.
    run = workplace.run(waiting)
    workplace.kill(workplace.supervisor(run))
    (workplace.root / "go").touch()
    workplace.until(lambda: not workplace.keeper(run))
    answer = detach(run, "adopt", Launch.read(run).environment(os.environ))
    assert answer.started
    assert workplace.ended(run).code == 5
    assert workplace.event_names(run).count("Exited") == 1
