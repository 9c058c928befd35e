"""Stalls on a fake clock, and of real processes that hang or compute in silence."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from overnight.supervisor.stall import StallWatch
from overnight.supervisor.system import Sampler

MINUTE = 60.0


class Job:
    """A job on a fake clock: what a supervisor that looks every 5 s would see of it."""

    def __init__(self, watch: StallWatch | None = None, *, look_s: float = 5.0) -> None:
        self.watch = StallWatch() if watch is None else watch
        self.look_s = look_s
        self.now_s = 1000.0
        self.log_bytes = 0
        self.changes: list[tuple[float, str]] = []
        self.begun_s = self.now_s

    def live(
        self,
        for_s: float,
        *,
        writes_every_s: float | None = None,
        cpu_percent: float = 0.0,
        gpu_percent: float | None = None,
        uses_gpu: bool = False,
    ) -> list[str]:
        """Let time pass; what has been reported in it."""
        changes = []
        end_s = self.now_s + for_s
        next_write_s = self.now_s
        while self.now_s < end_s:
            self.now_s += self.look_s
            if writes_every_s is not None and self.now_s >= next_write_s:
                self.log_bytes += 100
                next_write_s += writes_every_s
            change = self.watch.observe(
                self.now_s,
                log_bytes=self.log_bytes,
                cpu_percent=cpu_percent,
                gpu_percent=gpu_percent,
                uses_gpu=uses_gpu,
            )
            if change is not None:
                changes.append(change)
                self.changes.append((self.now_s - self.begun_s, change))
        return changes


def test_a_job_that_hangs_is_stalled_after_ten_minutes_and_once() -> None:
    job = Job()
    job.live(30 * MINUTE, writes_every_s=5, cpu_percent=90)
    assert job.live(60 * MINUTE) == ["stalled"]
    hang_s = job.changes[0][0] - 30 * MINUTE
    # Ten minutes, and the minute and a half in which a busy CPU's mean comes down.
    assert 10 * MINUTE <= hang_s <= 12 * MINUTE
    assert job.watch.is_stalled
    assert job.watch.quiet_s >= 10 * MINUTE


@pytest.mark.parametrize(
    "life",
    [
        {"cpu_percent": 100.0},
        {"cpu_percent": 8.0},
        {"gpu_percent": 97.0},
        {"gpu_percent": None, "uses_gpu": True},
        {"writes_every_s": 300.0},
    ],
    ids=["computes", "computes little", "GPU", "GPU that does not answer", "writes"],
)
def test_one_sign_of_life_is_enough(life: dict[str, float]) -> None:
    job = Job()
    job.live(20 * MINUTE, writes_every_s=5, cpu_percent=90)
    assert job.live(180 * MINUTE, **life) == []  # type: ignore[arg-type]


def test_a_silent_epoch_of_twenty_minutes_that_computes_is_no_stall() -> None:
    job = Job()
    for _ in range(6):
        assert job.live(20 * MINUTE, cpu_percent=110, gpu_percent=80) == []
        assert job.live(5, writes_every_s=5, cpu_percent=110) == []


def test_a_card_nobody_answers_for_counts_as_idle_where_the_job_has_none() -> None:
    job = Job()
    job.live(20 * MINUTE, writes_every_s=5)
    assert job.live(30 * MINUTE, gpu_percent=None, uses_gpu=False) == ["stalled"]


@pytest.mark.parametrize("sign", ["log", "cpu", "gpu"])
def test_any_movement_recovers_it_and_it_may_stall_again(sign: str) -> None:
    job = Job()
    job.live(20 * MINUTE, writes_every_s=5)
    assert job.live(15 * MINUTE) == ["stalled"]
    moves = {
        "log": {"writes_every_s": 5.0},
        "cpu": {"cpu_percent": 100.0},
        "gpu": {"gpu_percent": 9.0},
    }
    assert job.live(10, **moves[sign]) == ["recovered"]  # type: ignore[arg-type]
    assert not job.watch.is_stalled
    assert job.live(30 * MINUTE) == ["stalled"]


def test_no_alarm_in_the_first_fifteen_minutes() -> None:
    job = Job()
    assert job.live(14 * MINUTE) == []
    assert job.live(5 * MINUTE) == ["stalled"]
    assert job.changes[0][0] >= 15 * MINUTE


def test_a_job_that_writes_rarely_is_given_five_times_its_gap() -> None:
    job = Job()
    # Every 10 minutes a line and a little work; waiting for data in between.
    job.live(100 * MINUTE, writes_every_s=10 * MINUTE, cpu_percent=1)
    assert job.watch.threshold_s == pytest.approx(50 * MINUTE, rel=0.05)
    assert job.live(45 * MINUTE, cpu_percent=1) == []
    assert job.live(20 * MINUTE, cpu_percent=1) == ["stalled"]


def test_stall_after_sets_another_floor() -> None:
    soon = Job(StallWatch(stall_after_s=30), look_s=1)
    soon.live(60, writes_every_s=1)
    assert soon.live(40) == ["stalled"]
    late = Job(StallWatch(stall_after_s=3600))
    late.live(120 * MINUTE, writes_every_s=5)
    assert late.live(59 * MINUTE) == []
    assert late.live(5 * MINUTE) == ["stalled"]


def test_a_laptop_that_slept_for_a_night_has_not_stalled() -> None:
    job = Job()
    job.live(20 * MINUTE, writes_every_s=5, cpu_percent=90)
    job.live(9 * MINUTE)
    job.now_s += 8 * 3600
    assert job.live(9 * MINUTE) == []
    # Only quiet time that was watched counts, and it began anew.
    assert job.live(3 * MINUTE) == ["stalled"]


def test_a_jump_is_not_taken_for_the_jobs_rhythm() -> None:
    job = Job()
    job.live(20 * MINUTE, writes_every_s=5)
    before_s = job.watch.threshold_s
    for _ in range(200):
        job.now_s += 3600
        job.live(5, writes_every_s=5)
    assert job.watch.threshold_s == before_s


def test_a_clock_that_goes_back_is_survived() -> None:
    job = Job()
    job.live(20 * MINUTE, writes_every_s=5)
    job.now_s -= 15 * MINUTE
    assert job.live(9 * MINUTE) == []
    assert job.live(5 * MINUTE) == ["stalled"]


def test_heartbeats_do_not_hide_a_stall() -> None:
    job = Job()
    job.live(20 * MINUTE, writes_every_s=5)
    changes = []
    for _ in range(20):
        changes += job.live(55, cpu_percent=0.4)
        changes += job.live(5, cpu_percent=7)  # 0.35 s of CPU in 5 s, once a minute.
    assert changes == ["stalled"]


def test_a_burst_of_real_work_each_two_minutes_is_life() -> None:
    job = Job()
    job.live(20 * MINUTE, writes_every_s=5)
    for _ in range(30):
        assert job.live(110) == []
        assert job.live(10, cpu_percent=100) == []


def test_a_new_supervisor_goes_on_where_the_old_one_was() -> None:
    job = Job()
    job.live(120 * MINUTE, writes_every_s=10 * MINUTE, cpu_percent=1)
    old = job.watch
    data = json.loads(json.dumps(old.snapshot()))
    assert len(json.dumps(data)) < 1500
    job.watch = StallWatch.restore(data)
    assert job.watch.threshold_s == pytest.approx(old.threshold_s)
    # The old one was away for hours, in which the job may have lived: nothing is held against it.
    job.now_s = 5.0
    assert job.live(45 * MINUTE) == []
    assert job.live(20 * MINUTE) == ["stalled"]


def test_a_new_supervisor_knows_that_the_job_was_stalled_and_sees_it_recover() -> None:
    job = Job()
    job.live(20 * MINUTE, writes_every_s=5)
    assert job.live(20 * MINUTE) == ["stalled"]
    job.watch = StallWatch.restore(json.loads(json.dumps(job.watch.snapshot())))
    assert job.watch.is_stalled
    assert job.live(60 * MINUTE) == []  # It says so once.
    job.watch = StallWatch.restore(json.loads(json.dumps(job.watch.snapshot())))
    job.log_bytes += 1  # Written while nobody watched.
    assert job.live(10) == ["recovered"]


_value = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5)
_any_time = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])


@_any_time
@given(
    st.dictionaries(
        st.sampled_from(["watched_s", "quiet_s", "log_bytes", "gaps_s", "is_stalled"]),
        _value | st.lists(_value, max_size=3),
    )
)
def test_a_damaged_snapshot_is_a_fresh_start(data: dict[str, object]) -> None:
    watch = StallWatch.restore(data)
    assert watch.threshold_s >= 600
    watch.observe(1.0, log_bytes=5, cpu_percent=0)
    json.dumps(watch.snapshot(), allow_nan=False)


@_any_time
@given(
    st.lists(
        st.tuples(
            st.floats(allow_nan=False, allow_infinity=False, min_value=-1e9, max_value=1e9),
            st.integers(0, 10**12),
            st.floats(),
            st.none() | st.floats(),
            st.booleans(),
        )
    )
)
def test_no_figures_break_it(looks: list[tuple[float, int, float, float | None, bool]]) -> None:
    watch = StallWatch()
    changes = []
    for now_s, log_bytes, cpu, gpu, uses in looks:
        change = watch.observe(
            now_s, log_bytes=log_bytes, cpu_percent=cpu, gpu_percent=gpu, uses_gpu=uses
        )
        if change is not None:
            changes.append(change)
    assert changes == ["stalled", "recovered"] * (len(changes) // 2) + ["stalled"] * (
        len(changes) % 2
    )
    assert watch.quiet_s >= 0


# ── real processes, with a real clock made shorter ────────────────────────────────────────────
_HANGS = """
import threading, time
print("epoch 1", flush=True)
lock = threading.Lock(); lock.acquire()
lock.acquire()
"""
_COMPUTES_SILENTLY = """
print("epoch 1", flush=True)
while True:
    sum(i * i for i in range(10_000))
"""
_WORKER_COMPUTES = """
import subprocess, sys
print("epoch 1", flush=True)
subprocess.run([sys.executable, "-c", "while True: pass"])
"""


@pytest.fixture
def job_process(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[int, Path]]:
    log = tmp_path / "job.log"
    with log.open("wb") as out:
        job = subprocess.Popen(
            [sys.executable, "-c", request.param], stdout=out, start_new_session=True
        )
    try:
        yield job.pid, log
    finally:
        os.killpg(job.pid, 9)
        job.wait()


def _watch_really(pid: int, log: Path, *, until_s: float) -> list[str]:
    """Sample the real process until it has stalled, or until much more than that has passed."""
    sampler = Sampler(str(log.parent))
    watch = StallWatch(stall_after_s=1.0)
    changes: list[str] = []
    begun_s = time.monotonic()
    while "stalled" not in changes and time.monotonic() - begun_s < until_s:
        now_s = time.monotonic()
        sample = sampler.sample([pid], now_s)
        change = watch.observe(now_s, log_bytes=log.stat().st_size, cpu_percent=sample.cpu_percent)
        if change is not None:
            changes.append(change)
        time.sleep(0.2)
    sampler.close()
    return changes


@pytest.mark.parametrize("job_process", [_HANGS], indirect=True)
def test_a_real_deadlock_is_a_stall(job_process: tuple[int, Path]) -> None:
    assert _watch_really(*job_process, until_s=40) == ["stalled"]


@pytest.mark.slow
@pytest.mark.parametrize("job_process", [_COMPUTES_SILENTLY, _WORKER_COMPUTES], indirect=True)
def test_real_silent_work_is_no_stall(job_process: tuple[int, Path]) -> None:
    assert _watch_really(*job_process, until_s=4) == []
