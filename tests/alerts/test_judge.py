"""What of a run is told, once, under the same key however often its records are read."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from overnight.alerts.judge import Alert, Judge
from overnight.alerts.rule import parse
from overnight.alerts.settings import DEFAULT_EVENTS, EVENTS, OTHER_EVENTS, Settings

ALL = Settings(events=frozenset((*EVENTS, *OTHER_EVENTS)))
SECOND = 1_000_000
START = 1_767_225_600 * SECOND


def rules(*texts: str, **others: Any) -> Settings:
    return Settings(rules=tuple(map(parse, texts)), **others)


class Ledger:
    """Makes records as a run's files hold them."""

    def __init__(self) -> None:
        self.seq = -1
        self.now_us = START

    def record(self, attempt: int = 0, after_s: float = 0, **fields: Any) -> dict[str, Any]:
        self.seq += 1
        self.now_us += int(after_s * SECOND)
        return {"_seq": self.seq, "_t": self.now_us, "_attempt": attempt, **fields}

    def event(self, event: str, attempt: int = 0, **fields: Any) -> dict[str, Any]:
        return self.record(attempt, _event=event, **fields)

    def epoch(self, epoch: int, attempt: int = 0, after_s: float = 60, **values: Any) -> Any:
        return self.record(attempt, after_s, _kind="epoch", epoch=epoch, **values)

    def step(self, step: int, attempt: int = 0, after_s: float = 1, **values: Any) -> Any:
        return self.record(attempt, after_s, _kind="step", step=step, **values)

    def sample(self, after_s: float = 10, attempt: int = 0, **values: Any) -> dict[str, Any]:
        return self.record(attempt, after_s, **values)


def exited(ledger: Ledger, outcome: str, attempt: int = 0, **fields: Any) -> dict[str, Any]:
    known = {"code": 0 if outcome == "finished" else 1, "final": True, "ran_s": 3600.0}
    known["cause"] = {"kind": "finished" if outcome == "finished" else "exception"}
    return ledger.event("Exited", attempt, outcome=outcome, **{**known, **fields})


def status(
    elapsed_s: float,
    left: tuple[float, float] | None = None,
    *,
    done: float | None = None,
    total: float | None = None,
    attempt: int = 0,
    metrics: Mapping[str, Any] | None = None,
    **estimate: Any,
) -> dict[str, Any]:
    known = {
        "done": done, "total": total, "unit": "epoch", "source": "epochs", "at_most": False,
        "fraction": done / total if done is not None and total else None,
        "remaining_s": list(left) if left else None,
    }  # fmt: skip
    return {
        "attempt": attempt,
        "elapsed_s": elapsed_s,
        "estimate": {**known, **estimate},
        "metrics": metrics or {},
    }


def events(alerts: Iterable[Alert]) -> list[str]:
    return [alert.event for alert in alerts]


def fed(judge: Judge, rows: Iterable[Mapping[str, Any]]) -> list[Alert]:
    return [alert for row in rows for alert in judge.metrics(row)]


# ── the supervisor's events ──────────────────────────────────────────────────────────────


def test_a_run_from_start_to_end() -> None:
    ledger, judge = Ledger(), Judge(ALL)
    told = judge.event(ledger.event("Queued")) + judge.event(ledger.event("Started"))
    told += judge.event(ledger.event("Stalled", silent_s=900.0))
    told += judge.event(ledger.event("Recovered", after_s=300, silent_s=0.0))
    told += judge.event(exited(ledger, "finished"))
    assert events(told) == ["started", "stalled", "recovered", "finished"]
    assert [alert.urgent for alert in told] == [False, True, False, True]
    assert told[1].facts["silent_s"] == 900.0
    assert told[2].facts["silent_s"] == 1200.0
    assert len({alert.key for alert in told}) == 4


@pytest.mark.parametrize(
    ("outcome", "fields", "event"),
    [
        ("finished", {}, "finished"),
        ("failed", {}, "crashed"),
        ("stopped", {"signal": 2, "code": None}, "stopped"),
        ("lost", {"why": "reboot", "code": None}, "lost"),
    ],
)
def test_every_end_has_its_word(outcome: str, fields: dict[str, Any], event: str) -> None:
    ledger = Ledger()
    (alert,) = Judge(Settings()).event(exited(ledger, outcome, **fields))
    assert alert.event == event
    assert alert.urgent
    assert alert.facts["cause"]["kind"] in ("finished", "exception")
    if event == "lost":
        assert alert.facts["why"] == "reboot"


def test_a_crash_that_is_tried_again_is_no_alarm() -> None:
    ledger, judge = Ledger(), Judge(ALL)
    told = judge.event(ledger.event("Started"))
    told += judge.event(exited(ledger, "failed", final=False))
    told += judge.event(ledger.event("Restarting", 1, in_s=5.0, restarts_left=2))
    told += judge.event(ledger.event("Started", 1, resumed=True))
    told += judge.event(ledger.event("RestartRefused", 1, why="same_failure"))
    told += judge.event(exited(ledger, "failed", 1))
    assert events(told) == ["started", "restarting", "crashed"]
    assert [alert.urgent for alert in told] == [False, False, True]
    assert told[1].facts["in_s"] == 5.0
    assert told[1].facts["restarts_left"] == 2
    assert told[1].facts["cause"] == {"kind": "exception"}
    assert told[2].facts["restart_refused"] == "same_failure"


def test_every_attempt_has_its_own_end() -> None:
    ledger, judge = Ledger(), Judge(ALL)
    told = judge.event(exited(ledger, "failed"))
    judge.event(ledger.event("Resumed", 1))
    told += judge.event(ledger.event("Started", 1, resumed=True))
    told += judge.event(exited(ledger, "failed", 1))
    assert events(told) == ["crashed", "started", "crashed"]
    assert len({alert.key for alert in told}) == 3


def test_what_is_switched_off_is_not_told() -> None:
    ledger, judge = Ledger(), Judge(Settings(events=frozenset({"crashed"})))
    assert judge.event(ledger.event("Started")) == []
    assert judge.event(ledger.event("Stalled", silent_s=900.0)) == []
    assert judge.event(exited(ledger, "finished")) == []
    assert events(judge.event(exited(ledger, "failed", 1))) == ["crashed"]


def test_a_jobs_own_words_are_told_unless_they_are_switched_off() -> None:
    ledger, judge = Ledger(), Judge(Settings(events=frozenset({"text"})))
    assert not Judge(Settings(events=frozenset())).job(ledger.event("Notify", text="half way"))
    (one,) = judge.job(ledger.event("Notify", text="half way", title="hi", files=["a.png"]))
    assert (one.event, one.urgent) == ("text", False)
    assert one.facts == {"text": "half way", "title": "hi", "files": ["a.png"]}
    record = ledger.event("Notify", text="again")
    (two,) = judge.job(record)
    (of_another_process,) = judge.job(record, "job.p77")
    assert len({one.key, two.key, of_another_process.key}) == 3


# ── early stopping ───────────────────────────────────────────────────────────────────────


def test_an_early_end_is_told_as_one() -> None:
    ledger, judge = Ledger(), Judge(Settings())
    tail = "Epoch 12/100 loss 0.3\nEpoch 00012: early stopping\n"
    (alert,) = judge.event(exited(ledger, "finished", log_tail=tail))
    assert alert.event == "early_stopped"
    assert alert.urgent
    assert alert.facts["why"] == "said"
    assert alert.facts["epoch"] == 12
    (plain,) = Judge(Settings()).event(exited(ledger, "finished"))
    assert plain.key == alert.key  # read again without the log: told already
    settings = Settings(events=DEFAULT_EVENTS - {"early_stopped"})
    assert events(Judge(settings).event(exited(ledger, "finished", log_tail=tail))) == ["finished"]
    assert events(Judge(Settings()).event(exited(ledger, "failed", log_tail=tail))) == ["crashed"]


def test_a_trainer_that_says_nothing_ended_short_of_its_epochs() -> None:
    ledger, judge = Ledger(), Judge(Settings())
    judge.status(status(600, (900, 1000), done=7, total=20))
    assert events(judge.event(exited(ledger, "finished"))) == ["early_stopped"]
    judge = Judge(Settings())
    judge.status(status(600, done=20, total=20))
    assert events(judge.event(exited(ledger, "finished"))) == ["finished"]
    judge = Judge(Settings())  # of a bar nobody knows what it spans
    judge.status(status(600, done=7, total=20, source="bar", unit="step"))
    assert events(judge.event(exited(ledger, "finished"))) == ["finished"]


def test_the_job_says_it_stopped_early() -> None:
    ledger, judge = Ledger(), Judge(Settings())
    judge.job(ledger.event("EarlyStopped", epoch=6))
    assert events(judge.event(exited(ledger, "finished"))) == ["early_stopped"]
    judge = Judge(Settings())
    # One fold of several: told by when it was said, whichever file is read first.
    first = ledger.epoch(6, fold=0, val_f1=0.5)
    early = ledger.event("EarlyStopped", epoch=6)
    later = [ledger.epoch(n, fold=1, val_f1=0.5) for n in range(20)]
    fed(judge, [first, *later])
    judge.job(early)
    assert events(judge.event(exited(ledger, "finished"))) == ["finished"]


def test_a_short_runs_last_word_may_be_old() -> None:
    ledger, judge = Ledger(), Judge(Settings())
    judge.job(ledger.event("Progress", done=400, total=1000, unit="step"))
    assert events(judge.event(exited(ledger, "finished", ran_s=2.0))) == ["finished"]
    judge.job(ledger.event("Progress", 1, done=400, total=1000, unit="step"))
    assert events(judge.event(exited(ledger, "finished", 1))) == ["early_stopped"]


# ── rules on what the job logs ───────────────────────────────────────────────────────────


def test_a_threshold_is_told_when_it_is_crossed() -> None:
    ledger, judge = Ledger(), Judge(rules("val_f1 > 0.9"))
    told = fed(judge, (ledger.epoch(n, macro_f1=v) for n, v in enumerate([0.5, 0.8, 0.91, 0.95])))
    (alert,) = told
    assert alert.event == "threshold"
    assert not alert.urgent
    assert alert.facts == {"rule": "val_f1 > 0.9", "metric": "macro_f1", "value": 0.91}


def test_it_is_told_again_only_after_an_epoch_of_being_false() -> None:
    ledger, judge = Ledger(), Judge(rules("f1 > 0.9"))
    values = [0.95, 0.89, 0.95, 0.89, 0.95, 0.89, 0.89, 0.95]
    told = [bool(judge.metrics(ledger.epoch(n, f1=v))) for n, v in enumerate(values)]
    assert told == [True, False, False, False, False, False, False, True]


def test_steps_that_sway_within_an_epoch_are_one_crossing() -> None:
    ledger, judge = Ledger(), Judge(rules("loss < 0.5"))
    told = fed(judge, (ledger.step(n, loss=0.4 + 0.2 * (n % 2)) for n in range(2000)))
    assert len(told) == 1


@pytest.mark.parametrize(
    ("rule", "values", "told"),
    [
        ("loss is nan", [1.0, "NaN", "NaN"], [1]),
        ("loss is inf", [1.0, "NaN", "-Infinity"], [2]),
        ("loss is not finite", [1.0, "Infinity"], [1]),
        ("loss is finite", ["NaN", 1.0], [1]),
        ("loss > 5", [1.0, "NaN", 6.0], [2]),
        ("loss < 5", ["NaN", "NaN"], []),
        ("loss != 5", ["NaN", 5.0, 4.0], [2]),
        ("loss >= 100%", [0.5, 99.0, 100.0], [2]),
        ("loss >= 90%", [0.5, 0.9], [1]),
        ("loss >= 90%", [0.97, 12.0, 60.0, 91.0], [3]),  # of a hundred, from less than one on
        ("loss < 5%", [30.0, 4.0], [1]),
        ("loss < 5%", [30.0, 0.8], [1]),
        ("loss < 5%", [0.3, 0.04], [1]),
        ("loss > 1 for 3 epochs", [2, 2, 0, 2, 2, 2, 2], [5]),
        ("loss > 1 for 2 min", [2, 2, 0, 2, 2, 2], [5]),
        ("loss > 2x median", [1, 1, 1, 1.5, 3, 3], [4]),
        ("loss > 2x median", [1, 9, 1, 9], [3]),  # three are needed to know what is usual
    ],
)
def test_what_a_rule_says(rule: str, values: list[Any], told: list[int]) -> None:
    ledger, judge = Ledger(), Judge(rules(rule))
    assert [n for n, v in enumerate(values) if judge.metrics(ledger.epoch(n, loss=v))] == told


def test_a_hold_counts_steps() -> None:
    ledger, judge = Ledger(), Judge(rules("loss > 1 for 100 steps"))
    told = [n for n in range(0, 300, 10) if judge.metrics(ledger.step(n, loss=2 if n > 50 else 0))]
    assert told == [160]


@pytest.mark.parametrize(
    ("rule", "values", "told"),
    [
        ("no new best of val_loss for 3 epochs", [5, 4, 4, 4, 4, 4, 3, 3, 3, 3], [4, 9]),
        ("no new best of acc for 2 epochs", [0.1, 0.2, 0.2, 0.2, 0.2], [3]),
        ("no new highest of x for 2 epochs", [1, 2, 3, "NaN", 1], [4]),
        ("no new lowest of x for 3 min", [3, 2, 2, 2, 2], [4]),
        ("no new best for 2 epochs", [0.1, 0.2, 0.1, 0.1], [3]),
    ],
)
def test_no_new_best(rule: str, values: list[Any], told: list[int]) -> None:
    ledger, judge = Ledger(), Judge(rules(rule))
    name = "x" if " x " in rule else "val_loss" if "loss" in rule else "accuracy"
    found = [n for n, v in enumerate(values) if judge.metrics(ledger.epoch(n, **{name: v}))]
    assert found == told


def test_the_training_row_of_an_epoch_does_not_hurry_its_validation_row() -> None:
    ledger, judge = Ledger(), Judge(rules("no new best of val_f1 for 2 epochs"))
    told = []
    for n, f1 in enumerate([0.5, 0.4, 0.6, 0.5, 0.4]):
        told += [n for _ in judge.metrics(ledger.epoch(n, train_loss=1.0))]
        told += [n for _ in judge.metrics(ledger.epoch(n, after_s=0, val_f1=f1))]
    assert told == [4]


def test_a_job_may_tell_its_best_itself() -> None:
    ledger, judge = Ledger(), Judge(rules("no new best for 3 epochs"))
    told = []
    for n in range(8):
        told += [n for _ in judge.metrics(ledger.epoch(n, lr=0.1))]
        if n in (0, 2):
            judge.job(ledger.event("NewBest", metric="my_f1", value=0.1 * n, epoch=n))
    assert told == [6]  # one epoch late: its row may still have come with a best


def test_an_epoch_that_takes_too_long() -> None:
    ledger, judge = Ledger(), Judge(rules("epoch_time > 2x median", "epoch_time > 10 min"))
    times = [60, 60, 61, 59, 60, 130, 60, 60, 700]
    told = [
        (n, alert.facts["rule"], alert.facts["value"])
        for n, s in enumerate(times)
        for alert in judge.metrics(ledger.epoch(n, after_s=s, loss=1))
    ]
    assert told == [
        (5, "epoch_time > 2x median", 130.0),
        (8, "epoch_time > 2x median", 700.0),
        (8, "epoch_time > 10 min", 700.0),
    ]


def test_a_time_the_job_logs_itself_counts_first() -> None:
    ledger, judge = Ledger(), Judge(rules("epoch_time > 10 min"))
    told = fed(judge, (ledger.epoch(n, after_s=1, time_s=s) for n, s in enumerate([60, 601])))
    assert [(a.facts["metric"], a.facts["value"]) for a in told] == [("time_s", 601.0)]


def test_folds_are_judged_apart() -> None:
    ledger, judge = Ledger(), Judge(rules("no new best of f1 for 3 epochs", "f1 > 0.9"))
    told = []
    for fold, best in ((0, 0.95), (1, 0.85)):
        for n in range(6):
            told += judge.metrics(ledger.epoch(n, fold=fold, f1=best if n else 0.1))
    assert [(a.facts["rule"], a.facts["fold"]) for a in told] == [
        ("f1 > 0.9", 0),
        ("no new best of f1 for 3 epochs", 0),
        ("no new best of f1 for 3 epochs", 1),
    ]


def test_of_a_search_the_first_trial_that_gets_there_is_told() -> None:
    ledger, judge = Ledger(), Judge(rules("f1 > 0.9"))
    rows = (
        ledger.epoch(n, stage="tune", trial=trial, f1=0.5 + 0.2 * n)
        for trial in range(50)
        for n in range(5)
    )
    assert len(fed(judge, rows)) == 1


# ── a run that is resumed ────────────────────────────────────────────────────────────────


def test_what_was_told_of_superseded_rows_is_not_told_twice() -> None:
    ledger, judge = Ledger(), Judge(rules("f1 > 0.9", "loss is nan"))
    told = fed(judge, (ledger.epoch(n, f1=0.1 * n, loss=1.0) for n in range(12)))
    assert [alert.facts["rule"] for alert in told] == ["f1 > 0.9"]
    again = [ledger.epoch(n, 1, f1=0.1 * n, loss="NaN" if n > 10 else 1.0) for n in range(8, 14)]
    told = fed(judge, again)
    # The same crossing again is old; a number that breaks only now is news.
    assert [alert.facts["rule"] for alert in told] == ["loss is nan"]


def test_beyond_the_old_ground_everything_is_news() -> None:
    ledger, judge = Ledger(), Judge(rules("f1 > 0.9"))
    fed(judge, (ledger.epoch(n, f1=0.1 * n) for n in range(11)))
    values = {8: 0.8, 9: 0.95, 10: 0.8, 11: 0.8, 12: 0.95}
    told = fed(judge, (ledger.epoch(n, 1, f1=v) for n, v in values.items()))
    assert [alert.facts["value"] for alert in told] == [0.95]
    assert told[0].key == Judge(rules("f1 > 0.9")).metrics(
        {"_seq": 0, "_attempt": 1, "_kind": "epoch", "epoch": 3, "f1": 1.0}
    )[0].key  # fmt: skip


def test_a_best_that_was_superseded_does_not_count() -> None:
    ledger, judge = Ledger(), Judge(rules("no new best of f1 for 3 epochs"))
    fed(judge, (ledger.epoch(n, f1=v) for n, v in enumerate([0.1, 0.2, 0.3, 0.9])))
    told = [n for n in range(3, 9) if judge.metrics(ledger.epoch(n, 1, f1=0.35))]
    assert told == [6]


@pytest.mark.parametrize(("first", "told"), [(3, 5), (1, 4)])
def test_a_best_is_superseded_where_steps_are_logged_too(first: int, told: int) -> None:
    ledger, judge = Ledger(), Judge(rules("no new best of val_f1 for 3 epochs"))

    def epoch(n: int, attempt: int, f1: float) -> bool:
        steps = [judge.metrics(ledger.step(10 * n + k, attempt, loss=1.0)) for k in range(3)]
        return any((*steps, judge.metrics(ledger.epoch(n, attempt, val_f1=f1))))

    assert not any(epoch(n, 0, 0.1 * n) for n in range(1, 15))
    # From a checkpoint, whose epoch 2 was the best, or from the start: stuck either way.
    assert [n for n in range(first, first + 9) if epoch(n, 1, 0.05)] == [told]


def test_the_median_is_of_this_attempt_and_goes_on_after_a_restart() -> None:
    judge = Judge(rules("loss > 2x median"))

    def look(n: int, attempt: int, loss: float) -> list[Alert]:
        return judge.status(
            status(60 * n, done=n, total=100, attempt=attempt, metrics={"loss": loss})
        )

    for n in range(20):
        assert not look(n, 0, 1.0)
    told = [n for n in range(8) if look(n, 1, 9.0 if n == 5 else 1.0)]
    assert told == [5]


def test_late_rows_of_an_older_attempt_change_nothing() -> None:
    ledger, judge = Ledger(), Judge(rules("f1 > 0.9"))
    fed(judge, [ledger.epoch(0, 0, f1=0.1), ledger.epoch(0, 1, f1=0.1)])
    assert judge.metrics(ledger.epoch(1, 0, f1=0.99)) == []


# ── rules on the machine ─────────────────────────────────────────────────────────────────


def test_the_hottest_card_counts() -> None:
    ledger, judge = Ledger(), Judge(rules("gpu_temp > 85", "gpu1_temp > 85"))
    assert judge.system(ledger.sample(gpu0_temperature_c=60, gpu1_temperature_c=70)) == []
    told = judge.system(ledger.sample(gpu0_temperature_c=88, gpu1_temperature_c=70))
    assert [(a.facts["rule"], a.facts["value"]) for a in told] == [("gpu_temp > 85", 88.0)]
    assert judge.system(ledger.sample()) == []


def test_a_value_that_sways_is_told_once_in_half_an_hour_then_more_rarely() -> None:
    ledger, judge = Ledger(), Judge(rules("gpu_temp > 85"))
    told = [
        n / 360
        for n in range(8 * 360)
        if judge.system(ledger.sample(gpu0_temperature_c=84 + 2 * (n % 2)))
    ]
    assert len(told) == 5
    assert told[0] < 0.01
    gaps = [later - earlier for earlier, later in zip(told, told[1:], strict=False)]
    assert gaps == pytest.approx([0.5, 1, 2, 4], abs=0.01)


def test_a_value_that_stays_is_told_once() -> None:
    ledger, judge = Ledger(), Judge(rules("gpu_temp > 85"))
    assert sum(len(judge.system(ledger.sample(gpu0_temperature_c=90))) for _ in range(5000)) == 1


def test_an_idle_card_is_told_after_its_time() -> None:
    ledger, judge = Ledger(), Judge(rules("gpu_util < 5 for 30 min"))
    told = [
        n
        for n in range(400)
        if judge.system(ledger.sample(gpu0_util_percent=0, gpu1_util_percent=1))
    ]
    assert told == [180]
    judge = Judge(rules("gpu_util < 5 for 30 min"))
    assert not any(
        judge.system(
            ledger.sample(gpu0_util_percent=0, gpu1_util_percent=100 if n % 100 == 0 else 0)
        )
        for n in range(400)
    )


def test_shares_and_sizes_of_the_machine() -> None:
    ledger = Ledger()
    judge = Judge(rules("gpu_memory > 90%", "ram > 50%", "disk_free < 5 GiB", "cpu < 5%"))
    sample = {
        "gpu0_memory_mib": 9500, "gpu0_memory_total_mib": 10000,
        "gpu1_memory_mib": 9600, "gpu1_memory_total_mib": 80000,
        "ram_mib": 900, "host_ram_total_mib": 1000, "disk_free_mib": 5000, "cpu_percent": 3.0,
    }  # fmt: skip
    told = judge.system(ledger.sample(**sample))
    assert [alert.facts["value"] for alert in told] == [0.95, 0.9, 5000.0, 3.0]
    assert [alert.facts.get("share") for alert in told] == [True, True, None, None]


def test_a_clock_that_is_set_holds_nothing_back_and_hurries_nothing() -> None:
    ledger, judge = Ledger(), Judge(rules("gpu_util < 5 for 30 min"))
    judge.system(ledger.sample(gpu0_util_percent=0))
    assert judge.system(ledger.sample(after_s=5 * 3600, gpu0_util_percent=0)) == []
    ledger.now_us -= 24 * 3600 * SECOND
    told = [n for n in range(400) if judge.system(ledger.sample(gpu0_util_percent=0))]
    assert told[0] in range(170, 181)


# ── how far the run is ───────────────────────────────────────────────────────────────────


def test_a_milestone_is_told_when_it_is_passed() -> None:
    judge = Judge(Settings(milestones=(0.25, 0.5, 0.75)))
    told = []
    for n in range(101):
        told += judge.status(status(n * 60, done=n, total=100))
    assert [alert.facts["percent"] for alert in told] == [25, 50, 75]
    assert [alert.key for alert in told] == ["milestone-25", "milestone-50", "milestone-75"]
    judge.status(status(0, done=0, total=100, attempt=1))
    assert judge.status(status(60, done=60, total=100, attempt=1)) == []
    assert judge.status(status(120, done=60, total=100, attempt=1)) == []


def test_a_bar_that_fills_and_begins_anew_is_no_milestone() -> None:
    judge = Judge(Settings(eta_moved=None))
    told = []
    for n in range(100):
        told += judge.status(status(n, done=n % 2, total=2, fraction=n % 2))
    assert told == []


def test_several_milestones_between_two_looks_are_one() -> None:
    judge = Judge(Settings(milestones=(0.25, 0.5, 0.75)))
    judge.status(status(0, done=1, total=100))
    told = judge.status(status(10, done=80, total=100))
    told += judge.status(status(20, done=81, total=100))
    assert [alert.key for alert in told] == ["milestone-75"]


def test_a_run_one_comes_into_late_tells_no_old_milestone() -> None:
    judge = Judge(Settings())
    assert judge.status(status(10, done=80, total=100)) == []
    assert judge.status(status(20, done=81, total=100)) == []


def test_the_heartbeat_comes_in_its_slots() -> None:
    judge = Judge(Settings(heartbeat_s=3600))
    told = [(s, a) for s in range(0, 4 * 3600, 60) for a in judge.status(status(s))]
    assert [(s, a.key) for s, a in told] == [
        (3600, "heartbeat-0-1"),
        (7200, "heartbeat-0-2"),
        (10800, "heartbeat-0-3"),
    ]
    assert all(alert.live and not alert.urgent for _, alert in told)
    assert [alert.key for alert in judge.tick(20 * 3600)] == ["heartbeat-0-20"]
    assert judge.tick(20 * 3600 + 60) == []
    assert judge.tick(float("nan")) == []


def test_nothing_is_due_after_the_end() -> None:
    ledger, judge = Ledger(), Judge(Settings(heartbeat_s=3600))
    judge.event(ledger.event("Started"))
    judge.event(exited(ledger, "finished"))
    assert judge.tick(7200) == []
    assert judge.status(status(7200)) == []
    judge.event(ledger.event("Started", 1))
    assert events(judge.tick(7200)) == ["heartbeat"]


def eta(
    judge: Judge, ends: Iterable[tuple[float, float]], **others: Any
) -> list[tuple[float, Alert]]:
    """Feeds an expected end (lowest, highest), once a minute from the tenth on."""
    told = []
    for n, (low, high) in enumerate(ends):
        now_s = 600 + 60.0 * n
        left = (max(0.0, low - now_s), max(0.0, high - now_s))
        known: dict[str, Any] = {"done": 10, "total": 100, **others}
        told += [(now_s, a) for a in judge.status(status(now_s, left, **known))]
    return told


H = 3600.0


def test_an_end_that_has_moved_is_told_once_it_stays_there() -> None:
    judge = Judge(Settings())
    told = eta(judge, [(6 * H, 6.5 * H)] * 60 + [(10 * H, 10.5 * H)] * 200)
    ((now_s, alert),) = told
    assert now_s == 600 + 60 * 60 + 300
    assert alert.event == "eta_moved"
    assert alert.facts["old_remaining_s"] == pytest.approx([6 * H - now_s, 6.5 * H - now_s])
    assert alert.facts["remaining_s"] == pytest.approx([10 * H - now_s, 10.5 * H - now_s])
    assert alert.facts["at_most"] is False


@pytest.mark.parametrize(
    "ends",
    [
        [(6 * H, 6.5 * H)] * 30 + [(7 * H, 7.5 * H)] * 60,  # too little
        [(4 * H, 8 * H)] * 30 + [(7 * H, 14 * H)] * 60,  # the ranges overlap
        ([(6 * H, 6.5 * H)] * 30 + [(10 * H, 10.5 * H)] * 4) * 3,  # a long validation
        [(1000, 1010)] * 5 + [(1500, 1510)] * 20,  # eight minutes: nobody plans by them
        [],
    ],
)
def test_an_end_that_has_not_really_moved(ends: list[tuple[float, float]]) -> None:
    assert eta(Judge(Settings()), ends) == []


def test_an_end_is_no_promise_at_first() -> None:
    ends = [(6 * H, 6.5 * H)] * 30 + [(20 * H, 21 * H)] * 60
    assert eta(Judge(Settings()), ends, done=1) == []
    assert eta(Judge(Settings()), ends, done=2, fraction=0.02) == []
    assert eta(Judge(Settings(eta_moved=None)), ends) == []
    assert len(eta(Judge(Settings()), ends)) == 1


def test_an_end_that_goes_on_moving_is_told_every_half_hour_at_most() -> None:
    judge = Judge(Settings())
    told = eta(judge, [((6 + n) * H, (6.2 + n) * H) for n in range(120)])
    assert len(told) in (3, 4)
    assert len({alert.key for _, alert in told}) == len(told)


def test_with_early_stopping_only_the_latest_end_is_compared() -> None:
    judge = Judge(Settings())
    told = eta(judge, [(0, 6 * H)] * 30 + [(0, 10 * H)] * 60, at_most=True)
    assert len(told) == 1
    assert told[0][1].facts["old_remaining_s"][0] == 0
    assert told[0][1].facts["at_most"] is True


def test_another_way_of_counting_is_no_move() -> None:
    judge = Judge(Settings())
    assert eta(judge, [(H, 1.1 * H)] * 20, source="bar", unit="step") == []
    assert eta(judge, [(9 * H, 9.1 * H)] * 60) == []


# ── numbers that are only printed ────────────────────────────────────────────────────────


def test_a_printed_number_counts_where_none_is_logged() -> None:
    judge = Judge(rules("val_f1 > 0.9", "loss is nan"))
    told = []
    for n in range(10):
        printed = {"val f1": 0.8 + 0.02 * n, "loss": "NaN" if n > 7 else 0.3}
        told += judge.status(status(n * 60, done=n, total=100, metrics=printed))
    assert [(a.facts["rule"], a.facts["metric"]) for a in told] == [
        ("val_f1 > 0.9", "val f1"),
        ("loss is nan", "loss"),
    ]


def test_what_is_logged_counts_first() -> None:
    ledger, judge = Ledger(), Judge(rules("val_f1 > 0.9"))
    judge.metrics(ledger.epoch(0, macro_f1=0.5))
    assert judge.status(status(60, done=1, total=9, metrics={"val_f1": 0.99})) == []


def test_no_new_best_of_a_printed_number() -> None:
    judge = Judge(rules("no new best for 3 epochs"))
    told = []
    for n in range(10):
        for part in range(3):
            now = status(n * 60 + part * 20, done=n, total=100, metrics={"val_acc": min(n, 4)})
            told += [n for _ in judge.status(now)]
    assert told == [7]


def test_a_printed_number_far_from_its_median() -> None:
    values = [1.0, 1.1, 0.9, 1.0, 5.0, 1.0]
    judge = Judge(rules("loss > 2x median"))  # no epochs, and each is looked at thrice
    told = [
        n
        for n, value in enumerate(values)
        for part in range(3)
        for _ in judge.status(status(60 * n + 10 * part, metrics={"loss": value}))
    ]
    assert told == [4]
    judge = Judge(rules("loss > 2x median"))
    for part in range(9):  # the first epoch is one value, not nine
        now = status(10 * part, done=0, total=9, metrics={"loss": 1.0})
        assert not judge.status(now)
    assert not judge.status(status(100, done=1, total=9, metrics={"loss": 5.0}))


def test_a_printed_number_counts_the_steps_of_the_run() -> None:
    judge = Judge(rules("loss > 1 for 500 steps"))
    told = [
        n
        for n in range(0, 2000, 100)
        if judge.status(status(n, done=n, total=5000, unit="step", metrics={"loss": 2.0}))
    ]
    assert told == [500]


def test_a_main_number_that_is_printed_keeps_its_best_through_the_agents_end() -> None:
    settings = rules("no new best for 3 epochs")
    values = [0.1, 0.5, 0.4, 0.4, 0.4, 0.6, 0.3, 0.3, 0.3]
    looks = [
        status(60 * n, done=n, total=100, metrics={"val_acc": v}) for n, v in enumerate(values)
    ]
    whole = [alert for judge in [Judge(settings)] for look in looks for alert in judge.status(look)]
    assert len({alert.key for alert in whole}) == len(whole) == 2
    for cut in range(1, len(looks)):
        first, second = Judge(settings), Judge(settings)
        told = [alert for look in looks[:cut] for alert in first.status(look)]
        second.restore(json.loads(json.dumps(first.snapshot())))
        assert told + [alert for look in looks[cut:] for alert in second.status(look)] == whole


def test_another_main_number_that_is_printed_is_told_for_itself() -> None:
    judge = Judge(rules("no new best for 2 epochs"))
    told = []
    for n in range(12):
        printed = {"loss": 1.0} if n < 5 else {"loss": 1.0, "val_acc": 0.5}
        told += judge.status(status(60 * n, done=n, total=100, metrics=printed))
    assert [alert.facts["metric"] for alert in told] == ["loss", "val_acc"]
    assert len({alert.key for alert in told}) == 2


def test_an_epoch_that_never_ends_is_told_before_it_ends() -> None:
    judge = Judge(rules("epoch_time > 2x median"))
    for n in range(0, 601, 10):
        assert judge.status(status(n, done=n // 100, total=100)) == []
    told = []
    for n in range(610, 1500, 10):
        told += [n for _ in judge.status(status(n, done=6, total=100))]
    assert told == [810]
    # A machine that slept is no long epoch; nor is what follows the last one.
    judge = Judge(rules("epoch_time > 2x median"))
    for n in range(0, 601, 10):
        judge.status(status(n, done=n // 100, total=6))
    assert not any(judge.status(status(n, done=6, total=6)) for n in range(610, 3000, 10))
    judge = Judge(rules("epoch_time > 2x median"))
    for n in range(0, 601, 10):
        judge.status(status(n, done=n // 100, total=100))
    assert judge.status(status(9000, done=6, total=100)) == []


def test_a_long_epoch_is_told_once_before_and_after_its_end() -> None:
    ledger, judge = Ledger(), Judge(rules("epoch_time > 2x median"))
    told = []
    for n in range(5):
        told += judge.metrics(ledger.epoch(n, after_s=100, loss=1))
        told += judge.status(status(100.0 * n, done=n, total=50))
    for s in range(400, 700, 10):
        told += judge.status(status(float(s), done=4, total=50))
    early = [alert.key for alert in told]
    assert len(early) == 1
    assert judge.metrics(ledger.epoch(5, after_s=300, loss=1)) == []
    # Read anew, without what was seen between: the same key.
    again, judge = Ledger(), Judge(rules("epoch_time > 2x median"))
    fed(judge, (again.epoch(n, after_s=100, loss=1) for n in range(5)))
    assert [a.key for a in judge.metrics(again.epoch(5, after_s=300, loss=1))] == early


# ── the same records, read again ─────────────────────────────────────────────────────────


def a_whole_run() -> list[tuple[str, dict[str, Any]]]:
    """Feeds of a run with a crash, a resume that goes back, folds, and rules that fire."""
    ledger = Ledger()
    feeds: list[tuple[str, dict[str, Any]]] = [("event", ledger.event("Started"))]
    for n in range(12):
        feeds.append(("metrics", ledger.epoch(n, macro_f1=0.1 * n, loss=1.0 / (n + 1))))
        feeds.append(("system", ledger.sample(gpu0_temperature_c=80 + n)))
        feeds.append(("job", ledger.event("Notify", text=f"epoch {n}")))
    feeds.append(("event", exited(ledger, "failed", final=False)))
    feeds.append(("event", ledger.event("Restarting", 1, in_s=5.0, restarts_left=0)))
    feeds.append(("event", ledger.event("Started", 1, resumed=True)))
    for n in range(6, 20):
        feeds.append(("metrics", ledger.epoch(n, 1, macro_f1=0.1 * min(n, 9), loss="NaN")))
        feeds.append(("system", ledger.sample(attempt=1, gpu0_temperature_c=80 + n % 12)))
    feeds.append(("event", exited(ledger, "finished", 1)))
    return feeds


WATCHED = rules(
    "f1 > 0.85", "loss is nan", "gpu_temp > 85", "no new best for 5 epochs",
    "epoch_time > 2x median", heartbeat_s=3600,
)  # fmt: skip


def told_of(feeds: Iterable[tuple[str, dict[str, Any]]], judge: Judge) -> list[Alert]:
    return [alert for name, record in feeds for alert in getattr(judge, name)(record)]


def test_the_same_records_give_the_same_keys() -> None:
    feeds = a_whole_run()
    first = told_of(feeds, Judge(WATCHED))
    assert len({alert.key for alert in first}) == len(first) > 15
    assert told_of(feeds, Judge(WATCHED)) == first
    # As the agent reads a run anew: file by file.
    by_file = sorted(feeds, key=lambda feed: ["metrics", "job", "system", "event"].index(feed[0]))
    again = told_of(by_file, Judge(WATCHED))
    assert {alert.key for alert in again} == {alert.key for alert in first}


def test_a_restored_judge_tells_nothing_anew() -> None:
    settings = rules("val_f1 > 0.9", "epoch_time > 2x median", heartbeat_s=3600)
    looks = [
        status(60.0 * n, (H * 9, H * 9.1), done=n, total=100, metrics={"val_f1": 0.5 + n * 0.01})
        for n in range(80)
    ]
    judge = Judge(settings)
    whole = [alert for look in looks for alert in judge.status(look)]
    assert {"heartbeat", "milestone", "threshold"} <= set(events(whole))
    for cut in (1, 30, 55, 62, 79):
        first = Judge(settings)
        told = [alert for look in looks[:cut] for alert in first.status(look)]
        second = Judge(settings)
        second.restore(json.loads(json.dumps(first.snapshot())))
        told += [alert for look in looks[cut:] for alert in second.status(look)]
        assert told == whole


@pytest.mark.parametrize("snapshot", [None, [], {}, {"schema": "overnight.judge/1"}, "x", 5])
def test_a_damaged_snapshot_is_none(snapshot: Any) -> None:
    judge = Judge(Settings(heartbeat_s=3600))
    judge.restore(snapshot)
    assert judge.snapshot() == Judge(Settings()).snapshot()


junk = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3)
    ),
    max_leaves=5,
)
fields = st.sampled_from([
    "_seq", "_t", "_attempt", "_kind", "_event", "epoch", "step", "fold", "trial", "stage", "loss",
    "f1", "gpu0_temperature_c", "metric", "value", "done", "total", "unit", "outcome", "final",
    "cause", "log_tail", "ran_s", "silent_s", "text", "files", "why", "attempt", "elapsed_s",
    "estimate", "metrics", "progress", "remaining_s", "fraction",
])  # fmt: skip
values = (
    st.sampled_from([
        0, 1, 2, -1, 0.5, "NaN", "epoch", "Started", "Stalled", "Recovered", "Exited", "Restarting",
        "NewBest", "EarlyStopped", "Progress", "Notify", "finished", "failed", [1, 2], [0.0, 9e9],
        {"loss": "NaN", "f1": 1}, {"done": 1, "total": 3, "remaining_s": [5, 9], "fraction": 0.5},
    ])
    | junk
)  # fmt: skip
records = st.dictionaries(fields, values, max_size=9).map(lambda r: {"_seq": 0, **r})


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["event", "job", "metrics", "system", "status", "restore"]), records
        ),
        max_size=20,
    )
)
def test_any_record_is_judged(feeds: list[tuple[str, dict[str, Any]]]) -> None:
    settings = rules(
        "loss is nan", "f1 > 0.9 for 2 epochs", "gpu_temp > 85 for 1 min", "f1 > 90%",
        "no new best for 2 epochs", "epoch_time > 2x median", "loss > 2x median", heartbeat_s=600,
    )  # fmt: skip
    judge = Judge(settings)
    for name, record in feeds:
        if name == "restore":
            judge.restore({**judge.snapshot(), **record})
        elif name == "status":
            judge.status(record)
        else:
            told = getattr(judge, name)(record)
            assert all(isinstance(alert.key, str) and alert.event for alert in told)
    snapshot = json.loads(json.dumps(judge.snapshot()))
    again = Judge(settings)
    again.restore(snapshot)
