"""How a run ends: its code, the last line of its log, what is left of it, who writes it down."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from overnight.ledger import index
from overnight.ledger.paths import latest_dir
from overnight.ledger.state import Failed, Finished, Running, view
from overnight.supervisor.ending import settle


def _exited(workplace, run):
    (exited,) = [event for event in workplace.events(run) if event["_event"] == "Exited"]
    return exited


@pytest.mark.parametrize(
    ("program", "code", "line"),
    [
        ("print('done')", 0, "[EXIT] SUCCESS code=0"),
        ("raise SystemExit(3)", 3, "[EXIT] ERROR code=3 cause=exit_code"),
        ("import os; os._exit(255)", 255, "[EXIT] ERROR code=255 cause=exit_code"),
        ("raise ValueError('no')", 1, "[EXIT] ERROR code=1 cause=exception"),
        ("import os; os.kill(os.getpid(), 11)", 139, "[EXIT] ERROR code=139 cause=signal"),
        ("import os; os.kill(os.getpid(), 15)", 143, "[EXIT] ERROR code=143 cause=signal"),
        # Without a newline at its end, in no encoding, with our own words, with nothing at all.
        ("import sys; sys.stdout.write('half a line')", 0, "[EXIT] SUCCESS code=0"),
        ("import os; os.write(1, b'\\xff\\xfe \\r 3%')", 0, "[EXIT] SUCCESS code=0"),
        ("print('[EXIT] SUCCESS code=0'); raise SystemExit(2)", 2,
         "[EXIT] ERROR code=2 cause=exit_code"),
        ("pass", 0, "[EXIT] SUCCESS code=0"),
    ],
)  # fmt: skip
def test_code_and_last_line(workplace, program: str, code: int, line: str) -> None:
    run = workplace.run(workplace.script(program))
    state = workplace.ended(run)
    assert isinstance(state, Failed if code else Finished)
    assert workplace.log(run).splitlines()[-1] == line
    assert workplace.log(run).endswith(line + "\n")
    waited = workplace.overnight("wait", run.run_id, "--json")
    assert waited.returncode == code
    exited = _exited(workplace, run)
    assert exited["final"] is True
    assert exited["known"] is True
    assert (exited["code"] if exited["signal"] is None else 128 + exited["signal"]) == code
    assert exited["ran_s"] > 0


def test_a_training_says_so_in_its_last_line(workplace) -> None:
    good = workplace.run(workplace.script("pass", "a.py"), "--kind", "train")
    bad = workplace.run(workplace.script("raise SystemExit(4)", "b.py"), "--kind", "train")
    workplace.ended(good)
    workplace.ended(bad)
    assert workplace.log(good).splitlines()[-1] == "[EXIT] TRAINING SUCCESS code=0"
    assert workplace.log(bad).splitlines()[-1] == "[EXIT] TRAINING ERROR code=4"


@pytest.mark.parametrize("removed", ["the file", "its folder", "all logs"])
def test_the_log_was_removed_meanwhile(workplace, waiting, removed: str) -> None:
    run = workplace.run(waiting)
    if removed == "the file":
        Path(run.log).unlink()
    elif removed == "its folder":
        shutil.rmtree(Path(run.log).parent)
    else:
        shutil.rmtree(workplace.root / "logs")
    (workplace.root / "go").touch()
    assert workplace.ended(run).code == 5
    assert workplace.log(run) == "[EXIT] ERROR code=5 cause=exit_code\n"


def test_what_a_finished_job_left_behind_is_ended(workplace) -> None:
    run = workplace.run(
        workplace.script(
            """
            import os, subprocess, sys, time
            polite = "import time; print(1, flush=True); time.sleep(600)"
            deaf = "import signal; signal.signal(15, signal.SIG_IGN);" + polite
            for code in (polite, deaf):
                for alone in (False, True):
                    subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE,
                                     start_new_session=alone).stdout.readline()
            """
        )
    )
    assert workplace.ended(run) == Finished()
    assert workplace.of_run(run) == set()
    workplace.until(lambda: workplace.processes() == set())  # its page is made meanwhile


def test_a_run_started_by_a_job_survives_its_end(workplace, waiting) -> None:
    outer_script = workplace.script(
        f"""
        import subprocess
        subprocess.run([{sys.executable!r}, "-m", "overnight", "run", {str(waiting)!r},
                        "--name", "inner"], check=True)
        """,
        "outer.py",
    )
    outer = workplace.run(outer_script)
    assert workplace.ended(outer) == Finished(), workplace.log(outer)
    (folder,) = [each for each in workplace.runs() if each.name.startswith("inner")]
    inner = workplace.run_at(folder)
    assert isinstance(view(inner).state, Running)
    assert workplace.is_alive(workplace.supervisor(inner))
    (workplace.root / "go").touch()
    assert workplace.ended(inner).code == 5


def test_the_newest_finished_run_is_linked(workplace) -> None:
    script = workplace.script("import sys; sys.exit(int(sys.argv[1]))")
    first = workplace.run(script, "0")
    workplace.ended(first)
    second = workplace.run(script, "0")
    workplace.ended(second)
    failed = workplace.run(script, "1")
    workplace.ended(failed)
    folder = Path(latest_dir(str(workplace.root), "run"))
    assert [each.name for each in folder.iterdir()] == [second.run_id]
    assert (folder / second.run_id).resolve() == Path(second.dir)
    assert json.loads((folder / second.run_id / "run.json").read_text())["run_id"] == second.run_id


def test_the_index_knows_the_end(workplace) -> None:
    run = workplace.run(workplace.script("raise SystemExit(4)"))
    workplace.ended(run)
    (entry,) = index.entries()
    assert entry.run == run
    assert entry.ended is not None
    assert (entry.ended["state"], entry.ended["code"]) == ("failed", 4)


def _left_unsettled(workplace, waiting):
    """A run whose job has ended with 5 and whose supervisor was dead by then."""
    run = workplace.run(waiting)
    workplace.kill(workplace.supervisor(run))
    (workplace.root / "go").touch()
    workplace.until(lambda: not workplace.keeper(run))
    assert view(run).unsettled
    return run


@pytest.mark.parametrize("verb", ["status", "ls", "wait"])
def test_the_next_reader_writes_the_end_down(workplace, waiting, verb: str) -> None:
    run = _left_unsettled(workplace, waiting)
    workplace.overnight(verb, *([] if verb == "ls" else [run.run_id]))
    assert not view(run).unsettled
    assert view(run).state.code == 5
    assert workplace.log(run).splitlines()[-1] == "[EXIT] ERROR code=5 cause=exit_code"
    assert index.entries()[0].ended["code"] == 5


def test_two_readers_at_once_write_one_end(workplace, waiting) -> None:
    run = _left_unsettled(workplace, waiting)
    readers = [
        subprocess.Popen(
            [sys.executable, "-m", "overnight", "wait", run.run_id],
            env=workplace.env, cwd=workplace.root, stderr=subprocess.DEVNULL,
        )
        for _ in range(4)
    ]  # fmt: skip
    assert [each.wait(timeout=120) for each in readers] == [5] * 4
    assert workplace.event_names(run) == ["Queued", "Started", "Exited"]
    assert workplace.log(run).count("[EXIT]") == 1


def test_a_reader_that_dies_over_it_is_followed_by_the_next(workplace, waiting) -> None:
    run = _left_unsettled(workplace, waiting)
    for moment in ("claim.taken", "record.before", "record.torn", "record.after"):
        done = workplace.overnight("status", run.run_id, env={"OVERNIGHT_CRASH_AT": moment})
        assert done.returncode == -9, moment
    assert settle(run).state.code == 5
    assert workplace.event_names(run).count("Exited") == 1
    assert workplace.log(run).count("[EXIT]") == 1


def test_who_may_not_write_can_still_look(workplace, waiting, tmp_path) -> None:
    run = _left_unsettled(workplace, waiting)
    mounted = subprocess.run(
        ["mount", "--bind", str(workplace.root), str(workplace.root)], check=False,
        capture_output=True,
    )  # fmt: skip
    if mounted.returncode:
        pytest.skip("mounting is not permitted here, and a read-only disk cannot be had otherwise")
    try:
        again = ["mount", "-o", "remount,bind,ro", str(workplace.root)]
        subprocess.run(again, check=True, capture_output=True)
        done = workplace.overnight("wait", run.run_id, cwd=tmp_path)
        assert done.returncode == 5, done.stderr
        refused = workplace.overnight("run", str(waiting), cwd=tmp_path)
        assert refused.returncode == 2
        assert "Read-only file system" in refused.stderr
        assert len(refused.stderr.splitlines()) == 3
    finally:
        subprocess.run(["umount", str(workplace.root)], check=True)
    assert settle(run).state.code == 5


def test_a_full_home_at_the_end_costs_only_the_index(workplace, waiting) -> None:
    run = workplace.run(waiting)
    (index_file,) = workplace.state.glob("overnight/index/*.jsonl")
    index_file.unlink()
    index_file.mkdir()  # as good as a disk that refuses
    (workplace.root / "go").touch()
    assert workplace.ended(run).code == 5
    assert workplace.log(run).splitlines()[-1] == "[EXIT] ERROR code=5 cause=exit_code"


def test_the_supervisor_dies_while_it_waits_to_restart_the_job_s_own_end_counts(workplace) -> None:
    run = workplace.run("--restart", "2", workplace.script("raise SystemExit(6)"))
    workplace.until(lambda: "Restarting" in workplace.event_names(run))
    workplace.kill(workplace.supervisor(run))
    assert workplace.overnight("wait", run.run_id).returncode == 6
    state = view(run).state
    assert isinstance(state, Failed)
    assert state.cause is not None
    assert state.cause["kind"] == "exit_code"
    assert workplace.log(run).splitlines()[-1] == "[EXIT] ERROR code=6 cause=exit_code"
