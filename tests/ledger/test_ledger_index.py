"""The user's list of runs: any bytes, several machines, many processes at once."""

from __future__ import annotations

import errno
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from overnight.ledger import index
from overnight.ledger.format import encode
from overnight.ledger.paths import RunPaths, state_dir
from overnight.ledger.state import view
from overnight.testing.faults import FaultUnavailableError, armed, small_disk


@pytest.fixture(autouse=True)
def state_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder in which this test's index lies."""
    for variable in ("XDG_STATE_HOME", "HOME", "LOCALAPPDATA"):
        monkeypatch.setenv(variable, str(tmp_path / "state"))
    return tmp_path / "state"


def index_dir() -> Path:
    """Where the index lies; empty."""
    folder = Path(state_dir(), "index")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


def run_at(number: int) -> RunPaths:
    return RunPaths(f"/r/experiments/run/20260101/run_{number}")


def test_a_run_is_created_ended_opened_again_and_removed() -> None:
    one, two = run_at(1), run_at(2)
    assert index.entries() == []
    index.add(one, name="one", created_us=10)
    index.add(two, name="two", created_us=20)
    index.end(one, {"state": "finished"})
    assert [(e.run, e.name, e.kind, e.created_us) for e in index.entries()] == [
        (two, "two", "run", 20), (one, "one", "run", 10),
    ]  # fmt: skip
    assert [entry.ended for entry in index.entries()] == [None, {"state": "finished"}]
    index.reopen(one)
    assert [entry.ended for entry in index.entries()] == [None, None]
    index.remove(two)
    assert [entry.run for entry in index.entries()] == [one]


lines = st.one_of(
    st.binary(max_size=80),
    st.builds(
        lambda event, dir_, t, more: encode(
            {"_seq": 0, "_event": event, "dir": dir_, "_t": t, **more}
        ),
        st.sampled_from(["Created", "Ended", "Reopened", "Removed", "Later"]),
        st.sampled_from(["/a", "/b", "", "\x00", None, 3, ["/a"]]),
        st.none() | st.integers() | st.text(max_size=3) | st.floats(),
        st.dictionaries(
            st.sampled_from(["name", "kind", "created_us", "state"]),
            st.none() | st.integers() | st.text(max_size=3) | st.lists(st.integers(), max_size=2),
        ),
    ).map(lambda line: line[:-1]),
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.lists(lines, max_size=5), min_size=1, max_size=3))
@example([[b"[" * 100_000], [b'{"_event":"Created","dir":"/a"', b'"x":1}']])
def test_any_bytes_in_any_files_give_a_list(content: list[list[bytes]]) -> None:
    folder = index_dir()
    for number, each in enumerate(content):
        (folder / f"machine{number}.jsonl").write_bytes(b"\n".join(each))
    found = index.entries()
    assert [(-e.created_us, e.run.dir) for e in found] == sorted(
        (-e.created_us, e.run.dir) for e in found
    )
    for entry in found:
        view(entry.run)
    index.add(RunPaths("/new"), name="new", created_us=5)
    assert "/new" in [entry.run.dir for entry in index.entries()]


def test_a_broken_line_costs_only_itself() -> None:
    folder = index_dir()
    index.add(run_at(1), name="one", created_us=1)
    (path,) = folder.glob("*.jsonl")
    with path.open("ab") as file:
        file.write(b'{"_event":"Created","dir":"/tor')
    index.add(run_at(2), name="two", created_us=2)
    assert [entry.name for entry in index.entries()] == ["two", "one"]


def test_other_machines_files_are_read_too(state_home: Path) -> None:
    folder = index_dir()
    (folder / "a-folder.jsonl").mkdir()
    record = {"_seq": 0, "_t": 5, "_event": "Created", "dir": "/far", "name": "far"}
    (folder / "gpu02.jsonl").write_bytes(encode({**record, "created_us": 7}))
    (folder / "gpu03.jsonl").write_bytes(
        encode({"_seq": 0, "_t": 9, "_event": "Ended", "dir": "/far", "state": {"state": "lost"}})
    )
    index.add(run_at(1), name="near", created_us=8)
    assert [(e.name, e.ended) for e in index.entries()] == [
        ("near", None), ("far", {"state": "lost"}),
    ]  # fmt: skip


ADD = """
import sys
from overnight.ledger import index
from overnight.ledger.paths import RunPaths
who = int(sys.argv[1])
for number in range(200):
    run = RunPaths("/r/experiments/run/20260101/run_%d" % (who * 1000 + number))
    index.add(run, name="é" * (number % 200), created_us=who * 1000 + number)
    index.end(run, {"state": "finished"})
"""


def test_eight_processes_add_at_once() -> None:
    adding = [subprocess.Popen([sys.executable, "-c", ADD, str(who)]) for who in range(8)]
    assert [process.wait(60) for process in adding] == [0] * 8
    found = index.entries()
    assert len(found) == 1600
    assert all(entry.ended == {"state": "finished"} for entry in found)


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGKILL on Windows")
def test_a_death_in_the_middle_of_a_line_costs_only_that_line() -> None:
    for _ in range(3):
        dead = subprocess.run(
            [sys.executable, "-c", ADD, "1"],
            env={**os.environ, **armed("index.torn", 21)},
            check=False,
        )
        assert dead.returncode == -signal.SIGKILL
    subprocess.run([sys.executable, "-c", ADD, "2"], check=True)
    found = index.entries()
    assert len(found) == 210
    assert all(entry.ended for entry in found)


@pytest.mark.skipif(sys.platform != "linux", reason="a small disk needs Linux")
def test_a_full_disk_is_told_and_the_next_line_is_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    try:
        with small_disk(32) as disk:
            monkeypatch.setenv("XDG_STATE_HOME", str(disk))
            ballast = disk / "ballast"
            ballast.write_bytes(b"x" * 8192)
            kept: list[str] = []
            refused = None
            while refused is None:
                run = run_at(len(kept))
                try:
                    index.add(run, name="n" * 50, created_us=1)
                except OSError as error:
                    refused = error
                else:
                    kept.append(run.dir)
            assert refused.errno == errno.ENOSPC
            ballast.unlink()
            index.add(RunPaths("/last"), name="last", created_us=0)
            found = {entry.run.dir for entry in index.entries()}
            assert found == {*kept, "/last"}
    except FaultUnavailableError as error:
        pytest.skip(str(error))
