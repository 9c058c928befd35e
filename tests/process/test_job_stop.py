"""``overnight stop`` lets the job save, then ends the whole tree, and returns when it is gone."""

from __future__ import annotations

import json
import signal
import subprocess
import sys

import pytest

from overnight.ledger.state import Finished, Restarting, Running, Stopped, Stopping, view
from overnight.supervisor.detach import holder

#: What the jobs here have in common: ``up`` when all of it stands, helpers for stubborn workers.
_PRELUDE = """
import os, signal, subprocess, sys, time

DEAF = ("import signal, sys, time\\n"
        "for name in ('SIGINT', 'SIGTERM', 'SIGHUP'):\\n"
        "    signal.signal(getattr(signal, name), signal.SIG_IGN)\\n"
        "print('deaf', flush=True)\\n"
        "time.sleep(600)\\n")

def start(code, **how):
    worker = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, **how)
    assert worker.stdout.readline()
    return worker

def live():
    print("up", flush=True)
    while True:
        time.sleep(0.05)
"""


def _start(workplace, source: str, *options: str):
    run = workplace.run(*options, workplace.script(_PRELUDE + source, "main.py"))
    workplace.until(lambda: "up\n" in workplace.log(run))
    return run


def _stop(workplace, run, *options: str) -> None:
    """Stops it, and sees that nothing of it is there in the moment the command returns."""
    identities = [workplace.job(run), workplace.keeper(run), workplace.supervisor(run)]
    done = workplace.overnight("stop", run.run_id, *options)
    assert done.returncode == 0, done.stderr
    assert workplace.of_run(run) == set()
    assert not any(workplace.is_alive(identity) for identity in identities)
    assert not workplace.is_alive(holder(run)[1])
    assert workplace.processes() == set()


def test_a_job_that_saves_on_sigint_keeps_its_own_code(workplace) -> None:
    run = _start(
        workplace,
        """
try:
    live()
except KeyboardInterrupt:
    open("saved", "w").write("checkpoint")
    raise SystemExit(3)
""",
    )
    _stop(workplace, run)
    assert view(run).state == Stopped(3, None)
    assert (workplace.root / "saved").read_text() == "checkpoint"
    assert workplace.log(run).splitlines()[-1] == "[EXIT] ERROR code=3 cause=stopped"
    assert workplace.overnight("wait", run.run_id).returncode == 3
    (exited,) = [event for event in workplace.events(run) if event["_event"] == "Exited"]
    assert (exited["outcome"], exited["cause"]["kind"]) == ("stopped", "stopped")


def test_a_job_that_says_it_honoured_the_stop(workplace) -> None:
    run = _start(
        workplace,
        """
import overnight
from overnight.ledger import job
overnight.init()

def save(number, frame):
    job.current().event("StopHonoured", {})
    raise SystemExit(143)

signal.signal(signal.SIGINT, save)
live()
""",
    )
    _stop(workplace, run)
    assert view(run).state == Stopped(143, None)


def test_the_signal_reaches_the_whole_group_as_ctrl_c_does(workplace) -> None:
    run = _start(
        workplace,
        """
worker = start("import time\\nprint('w', flush=True)\\ntry:\\n    time.sleep(600)\\n"
               "except KeyboardInterrupt:\\n    open('worker', 'w').write('told')")
try:
    live()
except KeyboardInterrupt:
    worker.wait()
""",
    )
    _stop(workplace, run, "--grace", "600")
    assert view(run).state == Stopped(0, None)
    assert (workplace.root / "worker").read_text() == "told"


def test_a_job_that_ignores_sigint_gets_sigterm_after_the_grace(workplace) -> None:
    run = _start(
        workplace,
        """
signal.signal(signal.SIGINT, signal.SIG_IGN)
signal.signal(signal.SIGTERM, lambda *_: sys.exit(9))
live()
""",
    )
    _stop(workplace, run, "--grace", "0.2")
    assert view(run).state == Stopped(9, None)


def test_sigterm_comes_once_so_that_saving_is_not_disturbed(workplace) -> None:
    run = _start(
        workplace,
        """
told = []
signal.signal(signal.SIGINT, signal.SIG_IGN)
signal.signal(signal.SIGTERM, lambda *_: told.append(1))
print("up", flush=True)
while not told:
    time.sleep(0.01)
subprocess.run([sys.executable, "-c", "pass"])  # saving takes a while
sys.exit(20 + len(told))
""",
    )
    _stop(workplace, run, "--grace", "0.1")
    assert view(run).state == Stopped(21, None)


@pytest.mark.slow
def test_a_job_and_workers_that_ignore_everything_are_killed_at_last(workplace) -> None:
    run = _start(
        workplace,
        """
for each in range(3):
    start(DEAF)
for name in ("SIGINT", "SIGTERM"):
    signal.signal(getattr(signal, name), signal.SIG_IGN)
live()
""",
    )
    _stop(workplace, run, "--grace", "0.1")
    assert view(run).state == Stopped(None, signal.SIGKILL)


def test_now_kills_at_once_whatever_is_ignored(workplace) -> None:
    run = _start(workplace, "for each in range(3):\n    start(DEAF)\nlive()\n")
    _stop(workplace, run, "--now")
    assert view(run).state == Stopped(None, signal.SIGKILL)


def test_workers_that_went_their_own_way_are_ended_too(workplace) -> None:
    # One in a session of its own, one forked twice, one that only its environment betrays.
    run = _start(
        workplace,
        """
start("import time\\nprint('s', flush=True)\\ntime.sleep(600)", start_new_session=True)
start(DEAF, start_new_session=True)
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        time.sleep(600)
    os._exit(0)
os.wait()
live()
""",
    )
    assert len(workplace.of_run(run)) == 4
    _stop(workplace, run)
    assert view(run).state == Stopped(None, signal.SIGINT)


def test_a_daemon_that_left_the_tree_is_found_by_its_environment(workplace, tmp_path) -> None:
    # Started for the job by somebody else (a scheduler, a container's init): not below the keeper.
    run = _start(workplace, "live()\n")
    outside = subprocess.Popen(
        [sys.executable, "-c", "import time; time.sleep(600)"],
        env={**workplace.env, "OVERNIGHT_RUN_DIR": run.dir},
    )
    try:
        workplace.until(lambda: outside.pid in workplace.of_run(run))
        done = workplace.overnight("stop", run.run_id)
        assert done.returncode == 0, done.stderr
        assert outside.wait() == -signal.SIGTERM
    finally:
        outside.kill()


def test_a_suspended_job_is_stopped_as_well(workplace) -> None:
    run = _start(workplace, "try:\n    live()\nexcept KeyboardInterrupt:\n    sys.exit(4)\n")
    workplace.kill(workplace.job(run), signal.SIGSTOP)
    _stop(workplace, run, "--grace", "600")
    assert view(run).state == Stopped(4, None)


def test_an_unattended_run_is_stopped_as_well(workplace) -> None:
    run = _start(workplace, "try:\n    live()\nexcept KeyboardInterrupt:\n    sys.exit(4)\n")
    workplace.kill(workplace.supervisor(run))
    _stop(workplace, run)
    assert view(run).state == Stopped(4, None)
    assert workplace.event_names(run) == ["Queued", "Started", "Adopted", "Stopping", "Exited"]


def test_the_supervisor_dies_over_a_stop_and_the_next_one_goes_on_with_it(workplace) -> None:
    run = _start(
        workplace,
        """
told = 0

def count(*_):
    global told
    told += 1
    open("told", "w").write(f"{told}\\n")

signal.signal(signal.SIGINT, count)
signal.signal(signal.SIGTERM, lambda *_: sys.exit(9))
live()
""",
    )
    first = subprocess.Popen(
        [sys.executable, "-m", "overnight", "stop", run.run_id, "--grace", "600"],
        env=workplace.env, cwd=workplace.root, stdout=subprocess.DEVNULL,
    )  # fmt: skip
    workplace.file(workplace.root / "told")
    supervisor = workplace.supervisor(run)
    workplace.kill(supervisor)
    # The waiting command itself brings a new one, which must not disturb the saving.
    workplace.until(lambda: workplace.supervisor(run) not in (None, supervisor))
    workplace.until(lambda: isinstance(view(run).state, Stopping))
    second = workplace.overnight("stop", run.run_id, "--now")
    assert second.returncode == 0, second.stderr
    assert first.wait(timeout=60) == 0
    assert (workplace.root / "told").read_text() == "1\n"
    assert view(run).state == Stopped(None, signal.SIGKILL)


def test_two_stops_at_once(workplace) -> None:
    run = _start(
        workplace,
        """
told = 0

def count(*_):
    global told
    told += 1

signal.signal(signal.SIGINT, count)
print("up", flush=True)
while not told:
    time.sleep(0.01)
while not os.path.exists("enough"):
    time.sleep(0.01)
sys.exit(10 + told)
""",
    )
    stops = [
        subprocess.Popen(
            [sys.executable, "-m", "overnight", "stop", run.run_id, "--json"],
            env=workplace.env, cwd=workplace.root, stdout=subprocess.PIPE, text=True,
        )
        for _ in range(2)
    ]  # fmt: skip
    workplace.until(lambda: workplace.event_names(run).count("Stopping") == 2)
    (workplace.root / "enough").touch()
    for each in stops:
        said = json.loads(each.communicate(timeout=60)[0])
        assert each.returncode == 0
        assert said["state"] == "stopped"
        assert said["code"] == 11, "SIGINT came once"
    assert workplace.event_names(run).count("Exited") == 1


def test_stop_while_a_restart_is_waited_for(workplace) -> None:
    run = workplace.run("--restart", "3", workplace.script("raise SystemExit(4)"))
    workplace.until(lambda: isinstance(view(run).state, Restarting))
    _stop(workplace, run)
    assert isinstance(view(run).state, Stopped)
    assert workplace.event_names(run)[-2:] == ["Stopping", "Exited"]
    assert "Started" not in workplace.event_names(run)[2:]


def test_stop_of_what_has_ended_or_is_unknown_says_so(workplace) -> None:
    run = workplace.run(workplace.script("print('short')"))
    assert workplace.ended(run) == Finished()
    done = workplace.overnight("stop", run.run_id)
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 3, done.stderr
    assert workplace.overnight("stop", "no-such-run").returncode == 2


def test_other_runs_that_the_job_started_are_left_alone(workplace, waiting) -> None:
    outer = _start(
        workplace,
        f"""
subprocess.run([{sys.executable!r}, "-m", "overnight", "run", {str(waiting)!r}, "--name", "inner"],
               check=True)
live()
""",
    )
    (folder,) = [each for each in workplace.runs() if each.name.startswith("inner")]
    inner = workplace.run_at(folder)
    done = workplace.overnight("stop", outer.run_id)
    assert done.returncode == 0, done.stderr
    assert isinstance(view(outer).state, Stopped)
    assert workplace.of_run(outer) == set()
    assert isinstance(view(inner).state, Running)
    assert json.loads((folder / "run.json").read_text())["parent"] == outer.dir
    (workplace.root / "go").touch()
    assert workplace.ended(inner).code == 5
