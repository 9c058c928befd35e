"""``overnight wait``: the job's own exit code, whatever has become of its supervisor."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from typing import Any

import pytest

from overnight.cli import main
from overnight.cli.wait import until_ended
from overnight.ledger.state import Failed, Running, Unattended, view
from overnight.supervisor.detach import holder


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("raise SystemExit(7)", 7),
        ("print('fine')", 0),
        ("import os, signal; os.kill(os.getpid(), signal.SIGTERM)", 128 + 15),
    ],
)
def test_it_leaves_with_the_exit_code_of_the_job(shell: Any, text: str, code: int) -> None:
    run = shell.start("import time; time.sleep(0.3)\n" + text)
    assert shell("wait", run.run_id, code=code).stdout == ""
    answer = shell.json("wait", code=code)
    assert answer["exit_status"] == code
    assert answer["timed_out"] is False


def test_when_the_time_is_over_the_run_goes_on(shell: Any) -> None:
    run = shell.start("import time; time.sleep(60)")
    done = shell("wait", "--timeout", "0.2s", code=124)
    assert "still not ended" in done.stderr
    assert shell.json("wait", "--timeout", "0.1s", code=124)["timed_out"] is True
    assert isinstance(view(run).state, Running)


def test_a_run_left_alone_is_waited_for_and_its_end_written_down(shell: Any) -> None:
    gate = shell.root / "gate"
    run = shell.start(
        f"import os, time\nwhile not os.path.exists({str(gate)!r}): time.sleep(0.02)\n"
        "raise SystemExit(9)"
    )
    _, supervisor = holder(run)
    os.kill(supervisor.pid, signal.SIGKILL)
    shell.until(lambda: isinstance(view(run).state, Unattended))
    assert "its supervisor is gone" in shell("status").stdout
    waiter = subprocess.Popen(
        [sys.executable, "-m", "overnight", "wait"], cwd=shell.root, env=shell.env,
        stderr=subprocess.DEVNULL,
    )  # fmt: skip
    gate.touch()
    assert waiter.wait(60) == 9
    assert isinstance(view(run).state, Failed)
    assert not view(run).unsettled
    assert "[EXIT] ERROR code=9" in shell("logs", "-n", "1").stdout


@pytest.mark.parametrize("made", ["lost", "lost_unseen", "elsewhere"])
def test_where_it_cannot_be_known_it_is_125(
    states: Any, made: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["wait", states[made].run_id]) == 125
    assert capsys.readouterr().err


def test_the_name_of_a_run_that_ended_long_ago(ledger: Any, finished: Any, failed: Any) -> None:
    assert until_ended(ledger("old", events=failed)).state.code == 1
    assert main(["wait", "old"]) == 1


def test_a_duration_that_is_none(states: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["wait", "--timeout", "soon"]) == 2
    assert "90s, 10m, 2h" in capsys.readouterr().err
