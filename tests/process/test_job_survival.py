"""A job goes on whatever happens to the terminal, the shell, the supervisor or the keeper."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from overnight.ledger.files import read_json, replace, to_json
from overnight.ledger.paths import create_run
from overnight.ledger.state import Failed, Finished, Lost, Running, Stopped, Unattended, view
from overnight.supervisor.detach import detach, kill
from overnight.supervisor.ending import settle
from overnight.supervisor.launch import Launch


def _go(workplace) -> None:
    (workplace.root / "go").touch()


def _last_line(workplace, run) -> str:
    return workplace.log(run).splitlines()[-1]


def test_the_terminal_is_closed(workplace, waiting) -> None:
    pid, master = pty.fork()
    if pid == 0:  # the person's shell, in a real terminal
        command = f"'{sys.executable}' -m overnight run '{waiting}' && echo started; cat"
        os.chdir(workplace.root)
        os.execve("/bin/sh", ["sh", "-c", command], workplace.env)
    said = b""
    while b"started" not in said:
        said += os.read(master, 4096)
    os.close(master)  # the kernel hangs up on the whole session
    with contextlib.suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGHUP)
    os.waitpid(pid, 0)
    run = workplace.run_at(workplace.runs()[0])
    assert isinstance(view(run).state, Running)
    assert workplace.job(run)
    _go(workplace)
    assert workplace.ended(run) == Failed(5, None, view(run).state.cause)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGHUP, signal.SIGINT, signal.SIGTERM])
def test_the_shell_and_its_whole_group_are_killed(workplace, waiting, number) -> None:
    with subprocess.Popen(
        ["sh", "-c", '"$@"; cat', "sh", sys.executable, "-m", "overnight", "run", str(waiting)],
        env=workplace.env, cwd=workplace.root, start_new_session=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    ) as shell:  # fmt: skip
        assert shell.stdout is not None
        while b"log " not in shell.stdout.readline():
            pass
        os.killpg(shell.pid, number)
    run = workplace.run_at(workplace.runs()[0])
    assert isinstance(view(run).state, Running)
    _go(workplace)
    assert workplace.ended(run).code == 5


def test_ctrl_c_during_the_start_leaves_all_or_nothing(workplace, waiting) -> None:
    # The signal comes at whatever moment the start has reached; never may a job run unknown.
    with subprocess.Popen(
        [sys.executable, "-m", "overnight", "run", "--json", str(waiting)],
        env=workplace.env, cwd=workplace.root, stdout=subprocess.PIPE, start_new_session=True,
    ) as asking:  # fmt: skip
        workplace.until(workplace.runs)
        os.killpg(asking.pid, signal.SIGINT)
        assert asking.stdout is not None
        said = asking.stdout.read()
    if said:
        _go(workplace)
        assert workplace.ended(workplace.run_at(workplace.runs()[0])).code == 5
    else:
        assert asking.returncode in (130, -signal.SIGINT)
        for folder in workplace.runs():  # it came while the answer was printed
            assert folder.name in workplace.overnight("ls").stdout
            assert workplace.overnight("stop", folder.name, "--now").returncode == 0
        workplace.until(lambda: not workplace.processes())


def test_whoever_asked_is_killed_during_the_start(workplace, waiting) -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "overnight", "run", str(waiting)],
        env=workplace.env, cwd=workplace.root, stdout=subprocess.PIPE,
    ) as asking:  # fmt: skip
        workplace.until(lambda: list(workplace.root.glob("experiments/run/2*/*/claims/superv*")))
        asking.kill()
    run = workplace.run_at(workplace.runs()[0])
    workplace.until(lambda: workplace.job(run))
    workplace.until(lambda: run.run_id in workplace.overnight("ls").stdout)
    _go(workplace)
    assert workplace.ended(run).code == 5


def test_supervisor_killed_the_job_goes_on_and_its_code_is_known(workplace, waiting) -> None:
    run = workplace.run(waiting)
    job = workplace.job(run)
    workplace.kill(workplace.supervisor(run))
    assert view(run).state == Unattended(job.pid)
    assert workplace.overnight("status", run.run_id).returncode == 0
    _go(workplace)
    assert workplace.overnight("wait", run.run_id).returncode == 5
    state = view(run).state
    assert isinstance(state, Failed)
    assert state.code == 5
    assert not view(run).unsettled
    assert workplace.event_names(run).count("Exited") == 1
    assert _last_line(workplace, run) == "[EXIT] ERROR code=5 cause=exit_code"


# Where in its life the supervisor dies, by the events it writes: 1 Queued, 2 Started, 3 Exited.
_MOMENTS = [f"{what}:{nth}" for nth in (1, 2, 3)
            for what in ("record.before", "record.torn", "record.after")]  # fmt: skip


def _prepared(workplace, script: Path):
    """A run as ``overnight run`` leaves it just before it starts the supervisor."""
    run = create_run(str(workplace.root), "run", "prepared")
    launch = Launch(argv=(sys.executable, str(script)), cwd=str(workplace.root), env={})
    launch.write(run)
    replace(run.run_json, to_json({"name": "prepared", "created_us": 1, "supervised": True}))
    return run


@pytest.mark.parametrize("moment", _MOMENTS)
def test_supervisor_dies_at_any_moment(workplace, waiting, moment: str) -> None:
    run = _prepared(workplace, waiting)
    answer = detach(run, "start", {**workplace.env, "OVERNIGHT_CRASH_AT": moment})
    if moment.endswith(":1"):  # before there is a job
        assert answer.why == "crashed"
        assert settle(run).state in (Lost("never_started"), Lost("unseen"))
        assert workplace.job(run) is None
        return
    assert answer.started is moment.endswith(":3")
    workplace.until(lambda: workplace.job(run))
    if moment.endswith(":2"):
        workplace.until(lambda: not workplace.supervisor(run))
        assert isinstance(view(run).state, Unattended)
    _go(workplace)
    workplace.ended(run)
    workplace.until(lambda: not workplace.supervisor(run))
    state = settle(run).state
    assert isinstance(state, Failed)
    assert state.code == 5
    assert workplace.event_names(run).count("Exited") == 1
    assert _last_line(workplace, run) == "[EXIT] ERROR code=5 cause=exit_code"


def test_a_supervisor_that_dies_over_the_start_leaves_nothing_behind(workplace, waiting) -> None:
    run = _prepared(workplace, waiting)
    detach(run, "start", {**workplace.env, "OVERNIGHT_CRASH_AT": "record.after:2"})
    workplace.until(lambda: workplace.job(run))
    kill(run)
    assert workplace.processes() == set()


_STEADY = """
    import os, time, overnight
    overnight.init()
    step = 0
    while not os.path.exists("go"):
        overnight.progress(step, 100000)
        overnight.log({"loss": 1 / (step + 1)}, step=step)
        print(f"step {step}", flush=True)
        step += 1
        time.sleep(0.05)
    raise SystemExit(5)
"""


def test_resume_takes_an_unattended_run_over_and_the_estimate_goes_on(workplace) -> None:
    run = workplace.run(workplace.script(_STEADY))
    job = workplace.job(run)
    workplace.until(lambda: (read_json(run.status_json) or {}).get("estimate"))
    workplace.kill(workplace.supervisor(run))
    before = read_json(run.status_json)
    assert before is not None
    done = workplace.overnight("resume", run.run_id, "--json")
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert (said["adopted"], said["job_pid"]) == (True, job.pid)
    assert isinstance(view(run).state, Running)
    done_before = before["estimate"]["done"]
    after = workplace.until(
        lambda: (s := read_json(run.status_json))["estimate"]["done"] > done_before and s
    )
    assert after["estimate"]["total"] == 100000
    assert after["log_bytes"] > before["log_bytes"]
    again = workplace.overnight("resume", run.run_id)
    assert again.returncode == 2
    _go(workplace)
    assert workplace.ended(run).code == 5
    assert workplace.event_names(run) == ["Queued", "Started", "Adopted", "Exited"]
    assert view(run).attempt == 0


_BURN_A_SECOND = "import time\nwhile time.process_time() < 1: pass"


def test_keeper_killed_the_supervisor_is_the_next_of_kin(workplace, waiting) -> None:
    run = workplace.run(waiting)
    workplace.kill(workplace.keeper(run))
    job, supervisor = workplace.job(run), workplace.supervisor(run)
    assert isinstance(view(run).state, Running)

    def ticks() -> int:
        fields = Path(f"/proc/{supervisor.pid}/stat").read_text().rpartition(")")[2].split()
        return int(fields[11]) + int(fields[12])

    # It waits for the job now, and does not spin on the dead keeper: in the time the job's child
    # takes to burn a second of CPU a few looks cost next to nothing.
    begun = ticks()
    subprocess.run([sys.executable, "-c", _BURN_A_SECOND], check=True)
    assert ticks() - begun < os.sysconf("SC_CLK_TCK") // 2
    _go(workplace)
    assert workplace.ended(run).code == 5
    assert workplace.job(run) is None
    assert job is not None


def test_keeper_and_supervisor_killed_the_end_is_honestly_unknown(workplace, waiting) -> None:
    run = workplace.run(waiting)
    job = workplace.job(run)
    workplace.kill(workplace.supervisor(run))
    workplace.kill(workplace.keeper(run))
    assert view(run).state == Unattended(job.pid)
    _go(workplace)
    assert workplace.overnight("wait", run.run_id).returncode == 125
    assert view(run).state == Lost("unseen")
    assert _last_line(workplace, run) == "[EXIT] ERROR code=unknown cause=lost"


def test_keeper_and_supervisor_killed_and_taken_over(workplace, waiting) -> None:
    run = workplace.run(waiting)
    workplace.kill(workplace.supervisor(run))
    workplace.kill(workplace.keeper(run))
    assert workplace.overnight("resume", run.run_id).returncode == 0
    assert isinstance(view(run).state, Running)
    stopped = workplace.overnight("stop", run.run_id)
    assert stopped.returncode == 0, stopped.stderr
    assert isinstance(view(run).state, Stopped)
    assert workplace.of_run(run) == set()


def test_job_killed(workplace, waiting) -> None:
    run = workplace.run(waiting)
    workplace.kill(workplace.job(run))
    state = workplace.ended(run)
    assert isinstance(state, Failed)
    assert (state.code, state.signal) == (None, signal.SIGKILL)
    assert workplace.overnight("wait", run.run_id).returncode == 128 + signal.SIGKILL
    assert _last_line(workplace, run).startswith("[EXIT] ERROR code=137 cause=")


def test_keeper_killed_while_the_job_has_workers_the_rest_is_ended_too(workplace) -> None:
    script = workplace.script(
        """
        import os, subprocess, sys, time
        subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"],
                         start_new_session=True)
        print("up", flush=True)
        while not os.path.exists("go"):
            time.sleep(0.02)
        """
    )
    run = workplace.run(script)
    workplace.file(run.log)
    workplace.kill(workplace.keeper(run))
    assert len(workplace.of_run(run)) == 2
    _go(workplace)
    assert workplace.ended(run) == Finished()
    assert workplace.of_run(run) == set()


def test_the_folder_is_removed_under_a_live_run(workplace, waiting) -> None:
    workplace.run(waiting)
    shutil.rmtree(workplace.root / "experiments")
    shutil.rmtree(workplace.root / "logs")
    _go(workplace)
    workplace.until(lambda: not workplace.processes())


def test_damage_in_the_jobs_own_files_never_ends_the_supervisor(workplace) -> None:
    script = workplace.script(
        r"""
        import os, time
        folder = os.environ["OVERNIGHT_RUN_DIR"]
        lines = [b'{"_seq":0,"_event":"Progress","done":"x","total":[1]}\n', b"\xff\xfe\0\n",
                 b"[]\n",
                 b'{"_seq":1,"_kind":7,"step":"a","loss":{"b":1e999}}\n', b'{"_seq":true}\n',
                 b'{"_seq":2,"_event":"Progress","done":1e308,"total":-1,"unit":null}\n',
                 b"[" * 100000 + b"\n", b'{"_seq":3,"_kind":"step","step":1,"loss":"NaN"}\n']
        for name in ("job.jsonl", "metrics.jsonl", "media.jsonl"):
            with open(os.path.join(folder, name), "ab") as file:
                file.write(b"".join(lines))
        os.write(1, bytes(range(256)) * 40 + b"\rEpoch 1/0: 100%|##| 9/0 [00:00<?, ?it/s]\n")
        with open(os.path.join(folder, "status.json"), "w") as file:
            file.write('{"attempt": 0, "progress": 7}')
        print("up", flush=True)
        while not os.path.exists("go"):
            time.sleep(0.02)
        """
    )
    run = workplace.run(script)
    workplace.file(run.log)
    supervisor = workplace.supervisor(run)
    workplace.until(lambda: (read_json(run.status_json) or {}).get("updated_us"))
    _go(workplace)
    assert workplace.ended(run) == Finished()
    assert supervisor is not None
    assert Path(run.supervisor_log).read_text() == ""
    assert workplace.overnight("status", run.run_id).returncode == 0
