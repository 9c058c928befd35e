"""Watching a real run: on a terminal and into a pipe, to its end and away from it."""

from __future__ import annotations

import os
import re
import signal
from typing import Any

import pytest

from overnight.ledger.state import Running, view
from overnight.supervisor.detach import holder

TRAINING = """
import os, sys, time
for epoch in range(1, 5):
    for step in range(1, 11):
        print(f"\\r{epoch}: {step * 10:3d}%|{'#' * step:10}| {step}/10 [00:01<00:01, 9.8it/s]",
              end="", flush=True)
        time.sleep(0.03)
    print(f"\\nepoch {epoch}/4 loss {1 / epoch:.4f} accuracy {1 - 0.5 / epoch:.3f}", flush=True)
    time.sleep(0.3)
open("model.pt", "wb").write(b"weights")
open("predictions.csv", "w").write("a,b")
"""


@pytest.mark.slow
def test_on_a_terminal_lines_scroll_above_one_live_line(shell: Any) -> None:
    shell.script(TRAINING)
    terminal = shell.terminal("run", "--follow", "job.py")
    terminal.read_until("epoch 3/4 loss")
    assert terminal.end() == 0
    plain = re.sub(r"\x1b\[[0-9;]*m", "", terminal.shown)
    assert re.search(r"━+─+  \d+ %  epoch \d/4", plain)
    # Each frame of the job's bar that was printed as a line is its last one.
    lasting = re.sub(r"\x1b\[\?7l.*?\x1b\[\?7h", "", terminal.shown)
    printed = [line for line in lasting.split("\n") if "it/s]" in line]
    assert len(printed) == 4
    assert all("100%" in line for line in printed)
    end = lasting[lasting.index("[EXIT] SUCCESS code=0") :]
    for part in ("finished", "loss 0.25 · accuracy 0.875", "model.pt", "predictions.csv",
                 "overnight logs job_"):  # fmt: skip
        assert part in end
    assert end.count("━") == 0


def test_ctrl_c_leaves_the_run_running(shell: Any) -> None:
    shell.script("import time\nprint('begun', flush=True)\ntime.sleep(60)")
    terminal = shell.terminal("run", "--follow", "job.py", lang="ko")
    terminal.read_until("begun")
    terminal.type("\x03")
    terminal.read_until("실행은 계속됩니다")
    assert terminal.end() == 130
    assert "overnight logs -f job_" in terminal.shown.partition("실행은 계속됩니다")[2]
    [run] = [each["dir"] for each in shell.json("ls")["runs"]]
    assert shell.json("status", run)["state"] == "running"


@pytest.mark.slow
def test_into_a_pipe_go_plain_lines_and_a_summary(shell: Any) -> None:
    shell.script(TRAINING)
    shown = shell("run", "--follow", "job.py").stdout
    assert "\x1b" not in shown
    assert "\r" not in shown
    assert "[overnight] " in shown
    assert shown.count("epoch 4/4 loss") == 1
    assert shown.index("[EXIT] SUCCESS") < shown.index("predictions.csv")


def test_a_failure_ends_with_cause_evidence_fix_and_what_to_type(shell: Any) -> None:
    shell.script("print('loading', flush=True)\nimport imaginary_lib")
    shown = shell("run", "--follow", "job.py", code=1).stdout
    for part in (
        "loading", "'imaginary_lib' is not installed", "ModuleNotFoundError",
        "pip install imaginary_lib", "overnight resume job_", "failed (exit code 1)",
    ):  # fmt: skip
        assert part in shown


def test_it_follows_a_run_whose_supervisor_dies(shell: Any) -> None:
    gate = shell.root / "gate"
    run = shell.start(
        f"import os, time\nprint('waiting', flush=True)\n"
        f"while not os.path.exists({str(gate)!r}): time.sleep(0.02)\nprint('through')\n"
    )
    terminal = shell.terminal("logs", "-f", run.run_id, columns=80)
    terminal.read_until("waiting")
    _, supervisor = holder(run)
    os.kill(supervisor.pid, signal.SIGKILL)
    terminal.read_until("unattended")
    gate.touch()
    terminal.read_until("[EXIT] SUCCESS code=0")
    assert "through" in terminal.shown
    assert terminal.end() == 0


def test_following_a_run_that_is_over_shows_its_last_lines_and_its_code(
    ledger: Any, failed: Any, shell: Any
) -> None:
    log = "".join(f"line {number}\n" for number in range(90)) + "[EXIT] ERROR code=1\n"
    ledger("over", events=failed, log=log)
    shown = shell("logs", "-f", "over", code=1).stdout
    assert "line 40\n" not in shown
    assert "line 41\n" in shown
    assert "GPU's memory ran out" in shown


def test_the_next_attempt_is_followed_from_its_own_first_line(shell: Any) -> None:
    run = shell.start("print('one line of an attempt')")
    shell.until_ended(run)
    shown = shell("resume", "--follow", run.run_id).stdout
    assert shown.count("one line of an attempt") == 1
    assert "attempt 2" in shown


@pytest.mark.slow
@pytest.mark.parametrize("columns", [20, 200])
def test_the_live_line_fits_the_terminal(shell: Any, columns: int) -> None:
    shell.script(TRAINING)
    terminal = shell.terminal("run", "--follow", "job.py", columns=columns)
    terminal.read_until("epoch 3/4 loss")
    assert terminal.end() == 0
    lives = re.findall(r"\x1b\[\?7l(.*?)\x1b\[\?7h", terminal.shown)
    assert lives
    for live in lives:
        assert len(re.sub(r"\x1b\[[0-9;]*m", "", live)) < max(columns, 20)


def test_top_shows_it_live_and_q_leaves(shell: Any) -> None:
    run = shell.start(
        "import time\nfor i in range(1, 9): print(f'epoch {i}/8', flush=True); time.sleep(9)"
    )
    terminal = shell.terminal("top")
    terminal.read_until("1 at work")
    assert run.run_id in terminal.shown
    terminal.type("q")
    assert terminal.end() == 0
    assert terminal.shown.endswith("\x1b[?1049l")
    assert isinstance(view(run).state, Running)


def test_top_leaves_the_terminal_as_it_was_after_ctrl_c(shell: Any) -> None:
    terminal = shell.terminal("top", lang="ko")
    terminal.read_until("q 또는 Ctrl-C")
    terminal.type("\x03")
    assert terminal.end() == 0
    assert terminal.shown.endswith("\x1b[?7h\x1b[?25h\x1b[?1049l")
