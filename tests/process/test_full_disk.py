"""A disk that is full at the start, in between or at the end; without inodes; read-only."""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from overnight.ledger.files import read_json
from overnight.ledger.state import Failed, Finished, Running, Stopped, view
from overnight.testing.faults import FaultUnavailableError, small_disk


@pytest.fixture
def disk(workplace) -> Iterator[Path]:
    """A disk of 80 MiB that is the root."""
    try:
        with small_disk(80 * 1024) as folder:
            workplace.root = folder
            yield folder
    except FaultUnavailableError as error:
        pytest.skip(str(error))


def _fill(folder: Path) -> Path:
    """Takes all room there is, to the last byte."""
    ballast = folder / "ballast"
    with ballast.open("ab", buffering=0) as file:
        for size in (1 << 20, 4096, 1):
            with contextlib.suppress(OSError):
                while file.write(b"x" * size) == size:
                    pass
    return ballast


_WAITS = """
import os, time
print("up", flush=True)
while not os.path.exists({go!r}):
    time.sleep(0.02)
raise SystemExit(5)
"""


def _waits(workplace) -> tuple[Path, Path]:
    go = workplace.home / "go"
    return workplace.script(_WAITS.format(go=str(go))), go


def test_full_at_the_start(workplace, disk) -> None:
    script, _ = _waits(workplace)
    _fill(disk)
    done = workplace.overnight("run", script)
    assert done.returncode == 2
    assert "MiB are free" in done.stderr
    assert len(done.stderr.splitlines()) == 3
    assert workplace.runs() == []
    assert workplace.processes() == set()


def test_no_inodes_at_the_start(workplace, disk) -> None:
    script, _ = _waits(workplace)
    options = "remount,nr_inodes=60"
    subprocess.run(["mount", "-o", options, str(disk)], check=True)
    with contextlib.suppress(OSError):
        for number in range(100):
            (disk / f"file{number}").touch()
    done = workplace.overnight("run", script)
    assert done.returncode == 2
    assert "inodes" in done.stderr
    assert len(done.stderr.splitlines()) == 3
    assert workplace.processes() == set()


def test_inodes_run_out_during_the_start(workplace, disk) -> None:
    # Room for a file or ten more, at each of which the start may fail: never half a run.
    script, _ = _waits(workplace)
    for more in range(1, 30, 4):
        used = os.statvfs(disk)
        inodes = used.f_files - used.f_ffree + more
        subprocess.run(["mount", "-o", f"remount,nr_inodes={inodes}", str(disk)], check=True)
        done = workplace.overnight("run", script)
        if done.returncode == 0:
            run = workplace.run_at(workplace.runs()[0])
            assert workplace.overnight("stop", run.run_id, "--now").returncode == 0
            return
        assert "Traceback" not in done.stderr
        assert workplace.processes() == set(), (more, done.stderr)
        assert workplace.runs() == [], (more, done.stderr)
    raise AssertionError("it never started")


def test_full_at_the_end_the_code_is_known_all_the_same(workplace, disk) -> None:
    script, go = _waits(workplace)
    run = workplace.run(script)
    workplace.until(lambda: workplace.log(run) == "up\n")
    ballast = _fill(disk)
    go.touch()
    # The keeper's file has its room; what finds none waits with the supervisor until there is some.
    workplace.until(lambda: (read_json(run.exit_json) or {}).get("code") == 5)
    workplace.until(lambda: not workplace.keeper(run))
    ballast.unlink()
    state = workplace.ended(run)
    assert isinstance(state, Failed)
    assert state.code == 5
    assert workplace.event_names(run) == ["Queued", "Started", "Exited"]
    assert workplace.log(run).splitlines()[-1].startswith("[EXIT] ERROR code=5 cause=")
    assert Path(run.supervisor_log).read_text() == ""


def test_full_at_the_end_and_nobody_is_left_to_write(workplace, disk) -> None:
    script, go = _waits(workplace)
    run = workplace.run(script)
    workplace.kill(workplace.supervisor(run))
    ballast = _fill(disk)
    go.touch()
    workplace.until(lambda: not workplace.keeper(run))
    # A reader cannot write the end down, and tells it nevertheless.
    assert workplace.overnight("wait", run.run_id).returncode == 5
    assert view(run).unsettled
    ballast.unlink()
    assert workplace.overnight("wait", run.run_id).returncode == 5
    assert not view(run).unsettled


def test_full_in_between_then_free_again(workplace, disk) -> None:
    go = workplace.home / "go"
    script = workplace.script(
        f"""
        import os, time, overnight
        overnight.init()
        step = 0
        while not os.path.exists({str(go)!r}):
            overnight.log({{"step_value": step}}, step=step)
            overnight.progress(step, 1000)
            step += 1
            time.sleep(0.01)
        """
    )
    run = workplace.run(script)
    workplace.until(lambda: Path(run.at("metrics.jsonl")).exists())
    ballast = _fill(disk)
    before = Path(run.status_json).stat().st_mtime_ns
    assert isinstance(view(run).state, Running)
    ballast.unlink()
    workplace.until(lambda: Path(run.status_json).stat().st_mtime_ns > before)
    go.touch()
    assert workplace.ended(run) == Finished()
    assert Path(run.supervisor_log).read_text() == ""


def test_stop_on_a_full_disk(workplace, disk) -> None:
    script, _ = _waits(workplace)
    run = workplace.run(script)
    workplace.until(lambda: workplace.log(run) == "up\n")
    ballast = _fill(disk)
    with subprocess.Popen(
        workplace.command("stop", run.run_id), env=workplace.env, cwd=disk,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    ) as stop:  # fmt: skip
        # The job goes, full disk or not: that may be what the person wants room for.
        workplace.until(lambda: not workplace.job(run))
        ballast.unlink()
        assert stop.wait(timeout=60) == 0
    assert isinstance(view(run).state, Stopped)
    assert workplace.event_names(run).count("Stopping") == 1


def test_the_disk_goes_read_only(workplace, disk) -> None:
    script, go = _waits(workplace)
    run = workplace.run(script)
    # Whoever holds a file open for writing keeps a disk from this; a bind mount does not mind.
    subprocess.run(["mount", "--bind", str(disk), str(disk)], check=True)
    subprocess.run(["mount", "-o", "remount,bind,ro", str(disk)], check=True)
    try:
        done = workplace.overnight("run", script, cwd=workplace.home)
        assert done.returncode == 2
        assert "Read-only file system" in done.stderr
        assert workplace.overnight("status", run.run_id, cwd=workplace.home).returncode == 0
    finally:
        subprocess.run(["umount", str(disk)], check=True)
    go.touch()
    assert workplace.ended(run).code == 5
