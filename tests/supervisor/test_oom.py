"""The kernel's counters, read from a /proc of our own making and from this machine's."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from overnight.supervisor.oom import OomCounters, OomKills

_V2_MOUNT = "31 23 0:27 {root} {at} rw,nosuid shared:9 - cgroup2 cgroup rw,nsdelegate\n"
_V1_MOUNT = "34 25 0:30 {root} {at} rw,nosuid shared:5 - cgroup cgroup rw,memory\n"


def _machine(tmp_path: Path, *, cgroup: str, mounts: str, vmstat: int | None = 0) -> str:
    """A /proc of one process, 77."""
    proc = tmp_path / "proc"
    (proc / "77").mkdir(parents=True)
    (proc / "self").mkdir()
    (proc / "77" / "cgroup").write_text(cgroup, encoding="utf-8")
    (proc / "self" / "mountinfo").write_text(mounts, encoding="utf-8")
    if vmstat is not None:
        (proc / "vmstat").write_text(f"pgfault 12\noom_kill {vmstat}\n", encoding="utf-8")
    return str(proc)


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def test_version_2(tmp_path: Path) -> None:
    at = tmp_path / "cgroup"
    events = at / "user.slice" / "session-3.scope" / "memory.events"
    _write(events, "low 0\nhigh 0\nmax 41\noom 2\noom_kill 2\noom_group_kill 0\n")
    proc = _machine(
        tmp_path,
        cgroup="0::/user.slice/session-3.scope\n",
        mounts=_V2_MOUNT.format(root="/", at=at),
        vmstat=5,
    )
    start = OomCounters.read(77, proc=proc)
    assert (start.file, start.job, start.machine) == (str(events), 2, 5)
    _write(events, "low 0\noom 3\noom_kill 3\n")
    _write(Path(proc, "vmstat"), "oom_kill 6\n")
    assert start.again(proc=proc).since(start) == OomKills(job=1, machine=1)


def test_version_1(tmp_path: Path) -> None:
    at = tmp_path / "memory"
    _write(at / "jobs" / "memory.oom_control", "oom_kill_disable 0\nunder_oom 0\noom_kill 4\n")
    proc = _machine(
        tmp_path,
        cgroup="5:cpu,cpuacct:/jobs\n4:memory:/jobs\n0::/\n",
        mounts=_V2_MOUNT.format(root="/", at=tmp_path / "unified")
        + _V1_MOUNT.format(root="/", at=at),
    )
    assert OomCounters.read(77, proc=proc).job == 4


def test_version_1_before_it_counted(tmp_path: Path) -> None:
    at = tmp_path / "memory"
    _write(at / "memory.oom_control", "oom_kill_disable 0\nunder_oom 0\n")
    proc = _machine(tmp_path, cgroup="4:memory:/\n", mounts=_V1_MOUNT.format(root="/", at=at))
    counters = OomCounters.read(77, proc=proc)
    assert (counters.job, counters.machine) == (None, 0)


def test_container_that_sees_the_hosts_names(tmp_path: Path) -> None:
    """Docker on cgroup v1: the mount begins below the path that /proc names."""
    at = tmp_path / "memory"
    _write(at / "memory.oom_control", "oom_kill 1\n")
    proc = _machine(
        tmp_path,
        cgroup="4:memory:/docker/4a6b\n",
        mounts=_V1_MOUNT.format(root="/docker/4a6b", at=at),
    )
    assert OomCounters.read(77, proc=proc).job == 1


def test_mount_point_with_a_space(tmp_path: Path) -> None:
    at = tmp_path / "my cgroups"
    _write(at / "memory.events", "oom_kill 8\n")
    mounts = _V2_MOUNT.format(root="/", at=str(at).replace(" ", "\\040"))
    assert OomCounters.read(77, proc=_machine(tmp_path, cgroup="0::/\n", mounts=mounts)).job == 8


def test_cgroup_removed_with_its_last_process(tmp_path: Path) -> None:
    at = tmp_path / "cgroup"
    events = at / "run.scope" / "memory.events"
    _write(events, "oom_kill 0\n")
    proc = _machine(
        tmp_path, cgroup="0::/run.scope\n", mounts=_V2_MOUNT.format(root="/", at=at), vmstat=1
    )
    start = OomCounters.read(77, proc=proc)
    events.unlink()
    _write(Path(proc, "vmstat"), "oom_kill 2\n")
    assert start.again(proc=proc).since(start) == OomKills(job=None, machine=1)


def test_machine_without_counters(tmp_path: Path) -> None:
    counters = OomCounters.read(77, proc=str(tmp_path / "nothing"))
    assert counters == OomCounters(None, None, None)
    assert counters.again(proc=str(tmp_path)).since(counters) == OomKills(None, None)


def test_survives_json() -> None:
    counters = OomCounters("/sys/fs/cgroup/memory.events", 3, None)
    assert OomCounters.from_json(json.loads(json.dumps(counters.to_json()))) == counters


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    )
)
def test_any_json_gives_counters(data: object) -> None:
    assert isinstance(OomCounters.from_json(data), OomCounters)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux counts")
def test_this_machine_counts_its_own_kills() -> None:
    counters = OomCounters.read(os.getpid())
    assert counters.machine is not None
    assert counters.again().since(counters).machine is not None


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has /proc")
def test_dead_process_has_no_cgroup() -> None:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    assert OomCounters.read(process.pid).job is None
