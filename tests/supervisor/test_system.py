"""Processes, samples and cards: real processes, and a real small program for nvidia-smi."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from overnight.supervisor.gpu import GpuProbe, parse_cards, parse_processes
from overnight.supervisor.process_tree import (
    ProcessInfo,
    ProcessWatch,
    parse_stat,
    process_tree,
    processes_with_environment,
)
from overnight.supervisor.system import Sampler, parse_meminfo, ticks_used

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
_any_time = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])

_SLEEPS = "import time; time.sleep(600)"
_SPINS = "while True: pass"


@contextmanager
def started(
    code: str, *args: str, env: dict[str, str] | None = None
) -> Iterator[subprocess.Popen[str]]:
    """A real Python child in a session of its own, gone with all of it afterwards."""
    child = subprocess.Popen(
        [sys.executable, "-c", code, *args],
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env=None if env is None else os.environ | env,
    )
    try:
        yield child
    finally:
        with suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)
        child.wait()
        assert child.stdout is not None
        child.stdout.close()


def until(condition: Callable[[], object], *, limit_s: float = 60.0) -> None:
    """Wait for a condition; a limit far beyond what a loaded machine needs."""
    end_s = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < end_s, "it never became true"
        time.sleep(0.02)


# ── processes ─────────────────────────────────────────────────────────────────────────────────
def test_the_tree_holds_children_and_grandchildren_and_no_one_else() -> None:
    parent = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {_SLEEPS!r}])"
    with started(parent) as job, started(_SLEEPS) as stranger:
        until(lambda: len(process_tree([job.pid])) == 2)
        tree = process_tree([job.pid])
        assert job.pid in tree
        assert stranger.pid not in tree
        (child,) = set(tree) - {job.pid}
        assert tree[child].ppid == job.pid
        assert tree[child].rss_pages > 0
        assert tree[child].start_ticks >= tree[job.pid].start_ticks
        assert set(process_tree([job.pid, stranger.pid])) == {job.pid, child, stranger.pid}


def test_a_pid_that_is_not_there_has_no_tree() -> None:
    assert process_tree([2**22 + 5, -1]) == {}
    assert process_tree([]) == {}


def test_a_zombie_is_seen_as_one() -> None:
    with started("pass") as job:
        until(lambda: process_tree([job.pid])[job.pid].state == "Z")
        sample = Sampler("/").sample([job.pid], 0.0)
        assert sample.num_processes == 0
        assert sample.ram_mib == 0


def test_the_watch_sees_what_the_full_pass_sees_as_processes_come_and_go() -> None:
    code = (
        "import subprocess, sys\n"
        f"sleep = lambda: subprocess.Popen([sys.executable, '-c', {_SLEEPS!r}])\n"
        "children = []\n"
        "for line in sys.stdin:\n"
        "    if line == 'more\\n': children.append(sleep())\n"
        "    else:\n"
        "        child = children.pop(); child.kill(); child.wait()\n"
        "    print(len(children), flush=True)\n"
    )
    job = subprocess.Popen(
        [sys.executable, "-c", code],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert job.stdin is not None
    assert job.stdout is not None
    try:
        watch = ProcessWatch()
        now_s = 0.0
        for word in ("more", "more", "less", "more", "less", "less"):
            job.stdin.write(word + "\n")
            job.stdin.flush()
            num = int(job.stdout.readline())
            now_s += 5
            assert len(watch.tree([job.pid], now_s)) == num + 1
            assert set(watch.tree([job.pid], now_s)) == set(process_tree([job.pid]))
        # Another root, formerly a stranger, is looked for anew.
        assert os.getpid() in watch.tree([os.getpid()], now_s)
    finally:
        os.killpg(job.pid, signal.SIGKILL)
        job.wait()
        job.stdin.close()
        job.stdout.close()


def test_what_a_job_left_behind_is_found_by_its_environment(tmp_path: Path) -> None:
    value = f"{tmp_path}/a run's \n folder"
    daemon = (
        "import os, sys, time\n"
        "if os.fork() == 0:\n"
        "    os.setsid()\n"
        "    print(os.getpid(), flush=True)\n"
        "    time.sleep(600)\n"
    )
    with started(daemon, env={"MY_RUN_DIR": value}) as job:
        assert job.stdout is not None
        orphan = int(job.stdout.readline())
        job.wait()
        try:
            assert processes_with_environment("MY_RUN_DIR", value) == {orphan}
            # A value that only begins so is another one.
            assert processes_with_environment("MY_RUN_DIR", value[:-1]) == set()
            assert processes_with_environment("RUN_DIR", value) == set()
        finally:
            os.kill(orphan, signal.SIGKILL)


def test_this_process_is_never_found_by_its_environment() -> None:
    name = next(iter(os.environ))
    assert os.getpid() not in processes_with_environment(name, os.environ[name])


def test_a_name_full_of_parentheses_is_read() -> None:
    fields = "S 7 1 1 0 -1 0 0 0 0 0 11 22 33 44 20 0 1 0 5555 99 77 0 0"
    assert parse_stat(b"42 (a) R 1 (\n)) " + fields.encode()) == ProcessInfo(
        pid=42, ppid=7, state="S", start_ticks=5555, cpu_ticks=33, reaped_ticks=77, rss_pages=77
    )


@_any_time
@given(st.binary() | st.binary().map(lambda data: b"1 (x) " + data))
def test_any_bytes_are_a_process_or_none(data: bytes) -> None:
    parse_stat(data)


@_any_time
@given(st.binary())
def test_any_bytes_are_a_memory_table(data: bytes) -> None:
    assert all(mib >= 0 for mib in parse_meminfo(data).values())


# ── the sampler ───────────────────────────────────────────────────────────────────────────────
def _cpu_over_a_while(sampler: Sampler, pid: int) -> float:
    begun_s = time.monotonic()
    sampler.sample([pid], begun_s)
    until(lambda: time.monotonic() - begun_s > 1)
    return sampler.sample([pid], time.monotonic()).cpu_percent


def test_a_busy_job_and_an_idle_one(tmp_path: Path) -> None:
    with started(_SPINS) as busy, started(_SLEEPS) as idle:
        # The idle one has finished starting when it sleeps.
        until(lambda: process_tree([idle.pid])[idle.pid].state == "S")
        assert _cpu_over_a_while(Sampler(str(tmp_path)), idle.pid) < 5
        assert _cpu_over_a_while(Sampler(str(tmp_path)), busy.pid) > 5


def test_work_in_short_lived_children_counts(tmp_path: Path) -> None:
    code = (
        "import subprocess, sys\n"
        "while True:\n"
        "    subprocess.run([sys.executable, '-c', 'sum(range(300000))'])\n"
        "    print('.', flush=True)\n"
    )
    with started(code) as job:
        assert job.stdout is not None
        job.stdout.readline()
        assert _cpu_over_a_while(Sampler(str(tmp_path)), job.pid) > 5


def test_a_sample_of_this_machine(tmp_path: Path) -> None:
    with started(_SLEEPS) as job:
        until(lambda: process_tree([job.pid])[job.pid].state == "S")
        sampler = Sampler(str(tmp_path))
        sampler.sample([job.pid], 0.0)
        sample = sampler.sample([job.pid], 5.0)
        sampler.close()
    assert sample.num_processes == 1
    assert 1 < sample.ram_mib < 1000
    assert 0 < sample.host_ram_used_mib < sample.host_ram_total_mib
    assert 0 <= sample.host_cpu_percent <= 100
    assert sample.disk_free_mib > 0
    record = sample.to_record()
    assert record["num_processes"] == 1
    assert {"cpu_percent", "ram_mib", "host_ram_total_mib", "disk_free_mib"} <= set(record)


def test_a_folder_that_went_away_costs_one_figure(tmp_path: Path) -> None:
    sample = Sampler(str(tmp_path / "gone")).sample([os.getpid()], 0.0)
    assert sample.disk_free_mib == -1
    assert "disk_free_mib" not in sample.to_record()


def test_a_clock_that_begins_anew_begins_the_figures_anew(tmp_path: Path) -> None:
    with started(_SPINS) as job:
        sampler = Sampler(str(tmp_path))
        sampler.sample([job.pid], 1000.0)
        assert sampler.sample([job.pid], 0.0).cpu_percent == 0
        used = process_tree([job.pid])[job.pid].cpu_ticks
        until(lambda: process_tree([job.pid])[job.pid].cpu_ticks > used + 50)
        assert sampler.sample([job.pid], 1.0).cpu_percent > 0


def _process(pid: int, *, cpu: int, reaped: int = 0, start: int = 1) -> ProcessInfo:
    return ProcessInfo(pid, 1, "S", start, cpu, reaped, 0)


def _tree(*processes: ProcessInfo) -> dict[int, ProcessInfo]:
    return {process.pid: process for process in processes}


@pytest.mark.parametrize(
    ("before", "after", "ticks"),
    [
        pytest.param(_tree(_process(1, cpu=5)), _tree(_process(1, cpu=9)), 4, id="goes on"),
        pytest.param(_tree(), _tree(_process(1, cpu=9)), 9, id="began"),
        pytest.param(_tree(_process(1, cpu=9)), _tree(), 0, id="ended"),
        pytest.param(
            _tree(_process(1, cpu=5), _process(2, cpu=100)),
            _tree(_process(1, cpu=6, reaped=110)),
            11,
            id="a child ended after 10 more ticks and was waited for",
        ),
        pytest.param(
            _tree(_process(1, cpu=5), _process(2, cpu=100)),
            _tree(_process(1, cpu=6)),
            1,
            id="a child ended and nobody waited",
        ),
        pytest.param(
            _tree(_process(1, cpu=5)), _tree(_process(1, cpu=6, reaped=30)), 31, id="came and went"
        ),
        pytest.param(
            _tree(_process(1, cpu=500)), _tree(_process(1, cpu=3, start=9)), 3, id="pid used again"
        ),
    ],
)
def test_ticks_are_neither_lost_nor_counted_twice(
    before: dict[int, ProcessInfo], after: dict[int, ProcessInfo], ticks: int
) -> None:
    assert ticks_used(before, after) == ticks


# ── the cards ─────────────────────────────────────────────────────────────────────────────────
_CARDS = """\
0, GPU-aaaa, NVIDIA H200, 93, 120345, 143771, 61
1, GPU-bbbb, NVIDIA H200, 0, 4, 143771, 30
"""


@pytest.fixture
def nvidia_smi(tmp_path: Path) -> Callable[..., str]:
    """Makes a real small program that answers both questions in nvidia-smi's own CSV."""

    def make(cards: str = _CARDS, processes: str = "", *, before: str = "", after: str = "") -> str:
        program = tmp_path / "nvidia-smi"
        (tmp_path / "cards").write_text(cards)
        (tmp_path / "processes").write_text(processes)
        text = (
            f"#!/bin/sh\necho run >> '{tmp_path}/calls'\n{before}\n"
            f"case $1 in --query-gpu=*) cat '{tmp_path}/cards';;\n"
            f"--query-compute-apps=*) cat '{tmp_path}/processes';; esac\n{after}\n"
        )
        # Written by a program of its own: one that this process has open for writing, even in a
        # child that another test's thread has just forked, cannot be run.
        write = 'cat > "$0" && chmod 755 "$0"'
        subprocess.run(["sh", "-c", write, program], input=text, text=True, check=True)
        return str(program)

    return make


def _num_calls(program: str) -> int:
    calls = Path(program).with_name("calls")
    return len(calls.read_text().splitlines()) if calls.exists() else 0


def _settle(probe: GpuProbe, now_s: float) -> None:
    """Look in on it until no child is out."""
    probe.poll(now_s)
    until(lambda: (probe.poll(now_s), not probe.pids())[1])


def test_the_cards_are_read_and_go_into_the_record(
    nvidia_smi: Callable[..., str], tmp_path: Path
) -> None:
    probe = GpuProbe(program=nvidia_smi(processes=f"GPU-aaaa, {os.getpid()}\n"))
    _settle(probe, 0.0)
    sample = Sampler(str(tmp_path), gpu=probe).sample([os.getpid()], 1.0)
    assert [card.name for card in sample.gpus] == ["NVIDIA H200"] * 2
    assert sample.job_gpu_percent == 93
    assert sample.job_uses_gpu
    record = sample.to_record()
    assert record["gpu0_util_percent"] == 93
    assert record["gpu0_memory_mib"] == 120345
    assert record["gpu1_temperature_c"] == 30
    probe.close()


def test_a_neighbours_card_is_not_the_jobs(nvidia_smi: Callable[..., str]) -> None:
    with started(_SLEEPS) as neighbour:
        probe = GpuProbe(program=nvidia_smi(processes=f"GPU-aaaa, {neighbour.pid}\n"))
        _settle(probe, 0.0)
        assert probe.job_use([os.getpid()]) == (0, False)
        assert probe.job_use([neighbour.pid]) == (93, True)
        probe.close()


def test_processes_that_cannot_be_seen_from_here_may_be_the_jobs(
    nvidia_smi: Callable[..., str],
) -> None:
    # In a container the driver names the host's pids.
    probe = GpuProbe(program=nvidia_smi(processes="GPU-aaaa, 4194303\n"))
    _settle(probe, 0.0)
    assert probe.job_use([os.getpid()]) == (93, False)
    probe.close()


def test_a_card_that_does_not_tell_is_not_known_to_be_idle(nvidia_smi: Callable[..., str]) -> None:
    mig = "0, GPU-aaaa, NVIDIA A100, [N/A], 1000, 40960, 40\n"
    probe = GpuProbe(program=nvidia_smi(mig, f"GPU-aaaa, {os.getpid()}\n"))
    _settle(probe, 0.0)
    assert probe.job_use([os.getpid()]) == (None, True)
    assert probe.cards[0].memory_used_mib == 1000
    probe.close()


def test_it_asks_every_half_minute_and_not_more_often(nvidia_smi: Callable[..., str]) -> None:
    program = nvidia_smi()
    probe = GpuProbe(program=program)
    for now_s in range(0, 61, 5):
        _settle(probe, float(now_s))
    assert _num_calls(program) == 6  # Cards and processes, at 0, 30 and 60 s.
    probe.close()


def test_an_answer_written_while_it_is_looked_at_is_read_whole(
    nvidia_smi: Callable[..., str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    probe = GpuProbe(program=nvidia_smi(before=f"read go < '{gate}'"))
    read = os.read

    def slow_read(fd: int, size: int) -> bytes:
        """Finds the pipe empty; by the time the caller goes on, the child has told all."""
        try:
            return read(fd, size)
        except BlockingIOError:
            (pid,) = probe.pids()
            gate.write_text("go\n")
            until(lambda: process_tree([pid])[pid].state == "Z")
            raise

    monkeypatch.setattr("overnight.supervisor.gpu.os.read", slow_read)
    probe.poll(0.0)
    probe.poll(0.0)
    monkeypatch.undo()
    gate.unlink()
    gate.write_text("go\n")
    _settle(probe, 0.0)
    assert len(probe.cards) == 2
    probe.close()


def test_without_nvidia_smi_it_does_nothing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("overnight.supervisor.gpu._OTHER_PLACES", ())
    probe = GpuProbe()
    probe.poll(0.0)
    assert not probe.is_present
    assert probe.cards == ()
    assert probe.job_use([os.getpid()]) == (None, False)


def test_it_is_found_on_the_path(
    nvidia_smi: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    program = nvidia_smi()
    monkeypatch.setenv("PATH", str(Path(program).parent) + ":" + os.environ["PATH"])
    probe = GpuProbe()
    _settle(probe, 0.0)
    assert len(probe.cards) == 2
    probe.close()


def test_a_driver_that_hangs_never_holds_up_the_caller(nvidia_smi: Callable[..., str]) -> None:
    program = nvidia_smi(before="exec sleep 600")
    probe = GpuProbe(program=program)
    done = threading.Event()

    def look() -> None:
        probe.poll(0.0)
        until(lambda: _num_calls(program) == 1)
        probe.poll(19.0)
        assert probe.pids()  # Given its time.
        probe.poll(21.0)
        done.set()

    threading.Thread(target=look, daemon=True).start()
    assert done.wait(60)
    until(lambda: (probe.poll(21.0), not probe.pids())[1])  # Killed, and gone.
    assert probe.cards == ()
    assert _num_calls(program) == 1
    probe.poll(51.0)
    assert not probe.pids()  # After a failure it is asked less often.
    probe.close()


def test_a_driver_that_stops_answering_leaves_the_job_a_user_of_its_card(
    nvidia_smi: Callable[..., str],
) -> None:
    probe = GpuProbe(program=nvidia_smi(processes=f"GPU-aaaa, {os.getpid()}\n"))
    _settle(probe, 0.0)
    nvidia_smi(before="echo 'Unable to determine the device handle' >&2; exit 15")
    for now_s in range(30, 600, 30):
        _settle(probe, float(now_s))
    assert probe.cards == ()
    assert probe.job_use([os.getpid()]) == (None, True)
    probe.close()


def test_a_clock_that_begins_anew_does_not_silence_it(nvidia_smi: Callable[..., str]) -> None:
    program = nvidia_smi()
    probe = GpuProbe(program=program)
    _settle(probe, 50_000.0)
    _settle(probe, 0.0)
    assert len(probe.cards) == 2
    _settle(probe, 31.0)
    assert _num_calls(program) == 4
    probe.close()


def test_close_leaves_no_child(nvidia_smi: Callable[..., str]) -> None:
    probe = GpuProbe(program=nvidia_smi(before="exec sleep 600"))
    probe.poll(0.0)
    (pid,) = probe.pids()
    probe.close()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_endless_output_is_cut(nvidia_smi: Callable[..., str]) -> None:
    probe = GpuProbe(program=nvidia_smi(before="exec yes"))
    probe.poll(0.0)
    until(lambda: (probe.poll(1.0), not probe.pids())[1])
    assert probe.cards == ()


@_any_time
@given(st.text() | st.text(alphabet="0123456789, .-[]NA/GPU\n"))
def test_any_text_of_the_driver_is_read(text: str) -> None:
    for card in parse_cards(text):
        assert card.index >= 0
    for pids in parse_processes(text).values():
        assert all(pid >= 0 for pid in pids)
