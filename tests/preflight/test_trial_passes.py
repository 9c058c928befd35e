"""Turns that are left out, and what the full run is said to take: on a clock of the test's own."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from overnight.preflight.trial import ranges
from overnight.preflight.trial.asked import Ranges
from overnight.preflight.trial.inside import clock, passes, source
from overnight.preflight.trial.watch import Report, Seen


class Machine:
    """A clock that work moves forward, and nothing else."""

    def __init__(self) -> None:
        self.now_s = 1000.0

    def monotonic(self) -> float:
        return self.now_s

    def work(self, seconds: float) -> None:
        self.now_s += seconds

    @property
    def full_s(self) -> float:
        """What the full run would have taken."""
        return self.now_s - 1000.0 + clock.CLOCK.saved_s[1]


@pytest.fixture
def it(monkeypatch: pytest.MonkeyPatch) -> Machine:
    """A fresh clock in all three modules that read one."""
    one = Machine()
    for module in (clock, passes):
        monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=one.monotonic))
    fresh = clock.Clock()
    for module in (clock, passes):
        monkeypatch.setattr(module, "CLOCK", fresh)
    monkeypatch.delenv("OVERNIGHT_TRIAL_DIR", raising=False)
    return one


def test_cheap_epochs_are_all_run(it: Machine) -> None:
    ran = []
    for epoch in source.loop(range(20), "t.py:1", "epoch"):
        it.work(0.1)
        ran.append(epoch)
    assert ran == list(range(20))
    assert it.full_s == pytest.approx(2.0)


def test_of_long_epochs_the_first_and_the_last_are_run(it: Machine) -> None:
    ran = []
    it.work(5)
    for epoch in source.loop(range(1, 21), "t.py:1", "epoch"):
        it.work(40 if epoch == 1 else 30)
        ran.append(epoch)
    it.work(3)
    assert ran == [1, 20]
    assert it.full_s == pytest.approx(5 + 40 + 19 * 30 + 3)


def test_batches_inside_epochs(it: Machine) -> None:
    num_batches = num_epochs = 0
    for _ in source.loop(range(10), "t.py:1", "epoch"):
        num_epochs += 1
        for _ in source.loop(list(range(5000)), "t.py:2", "train"):
            num_batches += 1
            it.work(0.5)
        it.work(20)  # the validation, whole
    assert num_epochs == 2
    assert num_batches < 100
    assert it.full_s == pytest.approx(10 * (5000 * 0.5 + 20), rel=0.01)


def test_waiting_for_data_counts(it: Machine) -> None:
    class Loaded(list[int]):
        def __iter__(self):  # type: ignore[no-untyped-def]
            for each in range(len(self)):
                it.work(0.4)
                yield each

    for _ in source.loop(Loaded(range(1000)), "t.py:2", "train"):
        it.work(0.1)
    assert it.full_s == pytest.approx(1000 * 0.5, rel=0.01)


def test_folds_have_few_epochs_each_after_the_first(it: Machine) -> None:
    ran = []
    for fold in range(5):
        for epoch in source.loop(range(10), "t.py:2", "epoch"):
            it.work(4)
            ran.append((fold, epoch))
    assert {fold for fold, _ in ran} == set(range(5))
    assert all((fold, 9) in ran for fold in range(5))
    assert len(ran) < 25
    assert it.full_s == pytest.approx(5 * 10 * 4)


def test_what_is_left_is_known_in_the_middle(it: Machine) -> None:
    left: list[float] = []
    for _ in source.loop(range(100), "t.py:1", "watch"):
        it.work(10)
        if len(clock.CLOCK.open[0].turns) == 20:
            left.append(clock.CLOCK.open[0].left((0.0, 0.0, 0.0))[1])
    assert left == [pytest.approx(79 * 10)]


def test_looking_back_over_epochs_is_run_whole(it: Machine) -> None:
    ran = [epoch for epoch in source.loop(range(1, 41), "t.py:9", "epoch") if not it.work(0.05)]
    assert ran == list(range(1, 41))
    history = [{"loss": 1.0}, {"loss": 0.5}]
    assert source.loop(history, "t.py:9", "epoch") is history


def test_a_loop_that_is_left_early_saves_nothing(it: Machine) -> None:
    for epoch in source.loop(range(1000), "t.py:1", "epoch"):
        it.work(1)
        if epoch == 3:
            break
    assert it.full_s == pytest.approx(4)
    assert not clock.CLOCK.open


def test_a_bar_is_looked_through_and_other_things_are_let_be(it: Machine) -> None:
    from tqdm import tqdm

    ran = []
    for epoch in source.loop(tqdm(range(30), disable=True), "t.py:1", "epoch"):
        it.work(20)
        ran.append(epoch)
    assert ran == [0, 29]
    for things in (iter([1, 2]), {"a": 1}, enumerate([1]), "text"):
        assert source.loop(things, "t.py:1", "epoch") is things


def test_groups_of_processes_all_do_the_same(it: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    counts = set()
    for batch_s in (0.01, 3.0):
        num = 0
        for _ in source.loop(list(range(500)), f"t.py:{batch_s}", "train"):
            it.work(batch_s)
            num += 1
        counts.add(num)
    assert len(counts) == 1


_STEP = """
class Loss:
    def backward(self): work(1)
"""


def _run(it: Machine, code: str) -> None:
    exec(source.compiled((_STEP + code).encode(), "t.py"), {"work": it.work})


def test_inside_a_while_nothing_is_left_out(it: Machine) -> None:
    _run(it, """
step, batches = 0, list(range(500))
while step < 60:
    for batch in batches:
        Loss().backward()
        step += 1
        if step == 60:
            break
""")  # fmt: skip
    assert it.full_s == 60
    assert clock.CLOCK.saved_s[1] == 0


def test_an_iterator_renewed_within_a_range(it: Machine) -> None:
    _run(it, """
batches = list(range(50))
each = iter(batches)
for step in range(200):
    try:
        batch = next(each)
    except StopIteration:
        each = iter(batches)
    Loss().backward()
""")  # fmt: skip
    assert it.full_s == pytest.approx(200)
    assert clock.CLOCK.saved_s[1] > 100


def test_groups_evaluate_whole(it: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    one = passes.Pass("t.py:1", "eval", 100)
    assert len([it.work(5) for _ in passes.turns(range(100), one)]) == 100


# ── ranges ───────────────────────────────────────────────────────────────────────────────────


def _report(begun_s: float, now_s: float, saved_s: float, *, ended: bool = True) -> Report:
    saved = (saved_s * 0.9, saved_s, saved_s * 1.1)
    return Report(begun_s, now_s, saved, (0.0, 0.0, 0.0), {}, (), None, ended, {})


def test_processes_side_by_side_count_once() -> None:
    side_by_side = [_report(0, 10, 100), _report(1, 9, 98)]
    one_after_another = [_report(0, 10, 100), _report(10, 20, 50)]
    assert ranges.saved_s(side_by_side)[1] == 100
    assert ranges.saved_s(one_after_another)[1] == 150
    assert ranges.saved_s([]) == (0, 0, 0)


_times = st.floats(0, 1e6)


@given(elapsed=st.floats(0.1, 1e4), saved=_times, spread=st.floats(0, 3), ram=st.floats(1, 1e6),
       others=st.floats(0, 100))  # fmt: skip
def test_no_range_is_too_wide_and_each_holds_its_middle(
    elapsed: float, saved: float, spread: float, ram: float, others: float
) -> None:
    times = (saved / (1 + spread), saved, saved * (1 + spread))
    report = Report(0, elapsed, times, (0.0, 0.0, 0.0), {}, (), None, True, {})
    seen = Seen(
        elapsed_s=elapsed, code=0, peak_ram_mib=ram, reports=[report], others_percent=others
    )
    found = ranges.work_out(seen, disk_mib=None, may_stop_early=False)
    for said, middle in ((found.duration_s, elapsed + saved), (found.peak_ram_mib, ram)):
        assert said is not None
        low, high = said
        assert low <= middle <= high
        assert (high - low) / (high + low) <= 0.35


def test_what_is_not_known_is_said() -> None:
    def why(seen: Seen) -> Ranges:
        found = ranges.work_out(seen, disk_mib=None, may_stop_early=False)
        assert found.duration_s is None
        assert found.why_text
        return found

    assert why(Seen(elapsed_s=9, code=1)).why_unknown == "failed"
    assert why(Seen(elapsed_s=600, code=None)).why_unknown == "no_loops"
    again = {"train.py:3": {"passes": 2}}
    in_a_while = Report(
        0, 600, (9, 9, 9), (5, 5, 5), again, ("train.py:3",), None, False, {}
    )  # fmt: skip
    assert why(Seen(elapsed_s=600, code=None, reports=[in_a_while])).why_unknown == "not_ended"
    stuck = Seen(elapsed_s=600, code=None, reports=[_report(0, 600, 50, ended=False)])
    assert why(stuck).why_unknown == "not_ended"


def test_a_log_that_tells_is_believed_where_nothing_else_is_known() -> None:
    seen = Seen(elapsed_s=600, code=None, remaining_s=(900.0, 1100.0))
    found = ranges.work_out(seen, disk_mib=None, may_stop_early=True)
    assert found.duration_s is not None
    assert found.duration_s[0] < 1600 < found.duration_s[1]
    assert found.at_most


def test_lowered_epochs_tell_by_their_difference() -> None:
    seen = Seen(elapsed_s=17, code=0)
    lowered = ranges.Lowered(100, (1, 12.0), (2, 17.0))
    found = ranges.work_out(seen, disk_mib=None, may_stop_early=False, lowered=lowered)
    assert found.duration_s is not None
    assert found.duration_s[0] < 12 + 99 * 5 < found.duration_s[1]
