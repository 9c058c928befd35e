"""The faults themselves: each crash point kills where it says, a small disk is small."""

from __future__ import annotations

import ast
import errno
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import overnight
from overnight import crashpoint
from overnight.testing import faults

PACKAGE = Path(overnight.__file__).parent


def reached_in_source() -> dict[str, list[str]]:
    """Name → files that reach it."""
    found: dict[str, list[str]] = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
                continue
            if getattr(node.func.value, "id", "") == "crashpoint" and node.func.attr in (
                "reach",
                "tear",
            ):
                assert isinstance(node.args[0], ast.Constant), f"{path}: a point has a literal name"
                found.setdefault(str(node.args[0].value), []).append(path.name)
    return found


def test_every_point_is_reached_somewhere_and_every_reached_one_is_known() -> None:
    assert sorted(reached_in_source()) == sorted(faults.points())
    assert all(faults.points().values())


CODE = """
import os, sys, time
from overnight import channels
from overnight.agent import courier
from overnight.channels import base, kakao_token, store
from overnight.ledger import files, index
from overnight.ledger.paths import RunPaths
from overnight.ledger.shelf import Shelf, writer
from overnight.ledger.writer import Pen
from overnight.outbox.folder import agent_paths
from overnight.outbox.message import Message, put
from overnight.outbox.track import Asked
from overnight.trainer import checkpoints
from overnight.trackers.copy import Copy
from pathlib import Path

class Quota:
    service, limits = "quota", base.Limits(per_day=20)
    def __init__(self, name, url):
        pass
    def send(self, text, **how):
        return None

class Tracker:
    url, is_new, has = "", False, None
    def open(self, run):
        return self
    def send(self, batch):
        return ()
    def describe(self, facts):
        pass

channels.ROWS["quota"] = "__main__:Quota"
courier._LINGERS_S = 0.0
paths = agent_paths().make()
store.add("test", "quota://")
kakao_token.save_login("phone", lambda: {"access_token": "a", "refresh_token": "r"})
access = "a"
for number in range(3):
    pen = Pen(sys.argv[1], "metrics", attempt=0, segment_bytes=1)
    pen.append({"v": number})
    pen.append({"v": number})
    files.replace(sys.argv[1] + "/small", b"text")
    files.create_once(sys.argv[1] + "/claim.%d" % number, b"text")
    index.add(RunPaths(sys.argv[1]), name="n", created_us=1)
    access = kakao_token.access("phone", lambda _: {"access_token": "b%d" % number}, void=access)
    for part in range(5):
        put(paths, Message("%d-%d" % (number, part), "test", "text", time.time_ns() // 1000))
    courier.Courier(paths, "test").work()
    checkpoints.commit(Path(sys.argv[1], "checkpoint-%d" % number), {"weights": Path.touch})
    Shelf(RunPaths(sys.argv[1]), "", number).put("picture", ".png", writer(b"picture"))
    Copy(Asked(RunPaths(sys.argv[1]), "test", "lane"), Tracker()).look()
    print(number, flush=True)
"""


def environment(folder: Path) -> dict[str, str]:
    folders = {"XDG_STATE_HOME": str(folder / "state"), "XDG_CONFIG_HOME": str(folder / "config")}
    return {**os.environ, **folders}


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGKILL on Windows")
@pytest.mark.parametrize("point", sorted(faults.points()))
def test_a_process_dies_at_each_point(tmp_path: Path, point: str) -> None:
    env = {**environment(tmp_path), **faults.armed(point, 2)}
    done = subprocess.run(
        [sys.executable, "-c", CODE, str(tmp_path)], env=env, capture_output=True, check=False
    )
    assert done.returncode == -signal.SIGKILL, done.stderr


def test_nothing_dies_where_nothing_is_armed(tmp_path: Path) -> None:
    command = [sys.executable, "-c", CODE, str(tmp_path)]
    done = subprocess.run(command, env=environment(tmp_path), check=True, capture_output=True)
    assert done.stdout.split() == [b"0", b"1", b"2"]


def test_a_point_that_is_not_there_is_an_error() -> None:
    for make in (faults.arm, faults.armed):
        with pytest.raises(ValueError, match="no crash point"):
            make("no.such.point")
    with pytest.raises(ValueError, match="first time at 1"):
        faults.arm("record.torn", 0)
    done = subprocess.run(
        [sys.executable, "-c", "import overnight.crashpoint"],
        env={**os.environ, crashpoint.VARIABLE: "no.such.point"},
        capture_output=True,
        check=False,
    )
    assert b"no crash point is called 'no.such.point'" in done.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="no fork on Windows")
def test_an_armed_process_dies_and_a_disarmed_one_does_not() -> None:
    for disarm in (True, False):
        pid = os.fork()
        if pid == 0:
            faults.arm("record.after", 2)
            crashpoint.reach("record.before")
            crashpoint.reach("record.after")
            if disarm:
                faults.disarm()
            crashpoint.reach("record.after")
            os._exit(7)
        _, status = os.waitpid(pid, 0)
        assert os.waitstatus_to_exitcode(status) == (7 if disarm else -signal.SIGKILL)


@pytest.mark.skipif(sys.platform != "linux", reason="a small disk needs Linux")
def test_a_small_disk_is_small_and_gone_afterwards() -> None:
    try:
        with faults.small_disk(16) as folder:
            with pytest.raises(OSError, match="No space") as refused:
                (folder / "file").write_bytes(b"x" * 32 * 1024)
            assert refused.value.errno == errno.ENOSPC
            (folder / "file").unlink()
            (folder / "file").write_bytes(b"x" * 8 * 1024)
        assert not folder.exists()
    except faults.FaultUnavailableError as error:
        pytest.skip(str(error))


@pytest.mark.skipif(sys.platform == "win32", reason="no file limit on Windows")
def test_small_files_are_limited_for_a_while(tmp_path: Path) -> None:
    with (tmp_path / "file").open("wb", buffering=0) as file:
        with faults.small_files(10):
            assert file.write(b"x" * 20) == 10
            with pytest.raises(OSError, match="too large"):
                file.write(b"x")
        assert file.write(b"x" * 20) == 20


def test_a_clock_is_told_the_time() -> None:
    before = time.monotonic()
    with faults.FakeClock(1_000.0).installed() as clock:
        began = time.monotonic()
        assert time.time() == 1_000.0
        time.sleep(3600)
        assert (time.time(), time.monotonic() - began) == (4_600.0, 3_600.0)
        clock.set_wall(50.0)
        assert (time.time_ns(), time.monotonic() - began) == (50 * 10**9, 3_600.0)
    assert time.monotonic() - before < 3_600
    ticking = faults.FakeClock(tick_s=0.5)
    assert ticking.monotonic() < ticking.monotonic()
