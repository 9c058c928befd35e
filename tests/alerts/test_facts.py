"""The facts of a run, from its folder: whole, half-written, damaged, or huge."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from overnight.alerts.compose import render
from overnight.alerts.facts import facts_of
from overnight.alerts.history import all_rows, epoch_rows
from overnight.alerts.pieces import EVENTS
from overnight.ledger.paths import RunPaths, create_run
from overnight.ledger.state import (
    Failed,
    Finished,
    Lost,
    Restarting,
    Running,
    Stalled,
    State,
    Stopped,
    View,
    view,
)
from overnight.ledger.writer import Pen

NOW_US = 1_772_629_200_000_000
STATES: list[State] = [
    Running("gpu02"), Stalled(700.0), Finished(), Failed(1, None, {"kind": "cuda_oom"}),
    Stopped(143, None), Lost("reboot"), Restarting(1),
]  # fmt: skip


def seen(run: RunPaths, state: State, *, attempt: int = 0, ran_s: float | None = None) -> View:
    return View(run, state, attempt, NOW_US - 10**9, None, ran_s)


@pytest.fixture
def run(tmp_path: Path) -> RunPaths:
    made = create_run(str(tmp_path), "run", "베이스 라인")
    Path(made.run_json).write_text(
        json.dumps(
            {"name": "베이스 라인", "host": "gpu02", "target": "train.ipynb", "supervised": True}
        )
    )
    return made


def write_rows(run: RunPaths, rows: list[dict[str, Any]], attempt: int = 0) -> None:
    pen = Pen(run.dir, "metrics", attempt=attempt)
    for each in rows:
        pen.append(each)
    pen.close()


def write_status(run: RunPaths, **fields: Any) -> None:
    Path(run.status_json).write_text(json.dumps({"attempt": 0, "updated_us": NOW_US, **fields}))


def epochs(num: int, first: int = 1, **more: Any) -> list[dict[str, Any]]:
    """An F1 that is best two epochs before its end."""
    return [
        {
            "_kind": "epoch",
            "epoch": first + at,
            "train_loss": 1.0 / (at + 1),
            "macro_f1": 0.5 + at / 100 - max(0, at - num + 3) * 0.03,
            **more,
        }
        for at in range(num)
    ]


def test_a_living_run_is_brought_forward_to_now(run: RunPaths) -> None:
    write_rows(run, epochs(7))
    write_status(
        run,
        estimate={
            "done": 7.0, "total": 20.0, "unit": "epoch", "fraction": 0.36,
            "remaining_s": [1300.0, 1500.0], "at_most": False, "source": "epochs",
        },
        metrics={"train_loss": 0.14, "macro_f1": 0.53},
        sample={"gpu0_util_percent": 97.0, "gpu0_memory_mib": 18636.8,
                "gpu0_memory_total_mib": 24166.4, "gpu0_temperature_c": 71},
        elapsed_s=700.0,
        updated_us=NOW_US - 10 * 10**6,
    )  # fmt: skip
    facts = facts_of(run, seen(run, Running("gpu02")), now_us=NOW_US)
    assert facts["name"] == "베이스 라인"
    assert facts["host"] == "gpu02"
    assert facts["epoch"] == 7
    assert facts["epochs"] == 20
    assert facts["percent"] == 36.0
    assert facts["remaining_s"] == [1290.0, 1490.0]
    assert facts["duration_s"] == 710.0
    assert facts["metric"] == "macro_f1"
    assert facts["best"] == pytest.approx(0.54)
    assert facts["best_epoch"] == 5
    assert facts["gpu"] == "GPU0 97 % 18.2/23.6 GiB 71 °C"
    assert facts["resume"] == f"overnight resume '{run.run_id}'"
    assert json.loads(json.dumps(facts, allow_nan=False)) == facts


def test_a_cause_and_all_attempts_time_are_told_of_a_failed_run(run: RunPaths) -> None:
    pen = Pen(run.dir, "events", attempt=0)
    for attempt, ran_s in ((0, 100.5), (1, 20.25)):
        pen.attempt = attempt
        cause = {"kind": "exception", "evidence": f"ValueError: {attempt}"}
        pen.append({"_event": "Started"})
        pen.append({"_event": "Exited", "code": 1, "ran_s": ran_s, "cause": cause,
                    "outcome": "failed", "final": attempt == 1})  # fmt: skip
    pen.close()
    facts = facts_of(run, view(run), now_us=NOW_US)
    assert facts["cause"]["evidence"] == "ValueError: 1"
    assert facts["duration_s"] == 120.8
    assert facts["attempt"] == 1
    assert "remaining_s" not in facts
    assert "gpu" not in facts


def test_the_newest_attempt_wins(run: RunPaths) -> None:
    write_rows(run, [{"_kind": "epoch", "epoch": at, "acc": 0.9} for at in (1, 2, 3)])
    write_rows(run, [{"_kind": "epoch", "epoch": at, "acc": 0.1 * at} for at in (2, 3)], attempt=1)
    facts = facts_of(run, seen(run, Finished(), attempt=1), now_us=NOW_US)
    assert facts["metrics"]["acc"] == pytest.approx(0.3)
    # Epoch 1 was not repeated: its 0.9 stands, that of 2 and 3 does not.
    assert facts["best"] == 0.9
    assert facts["best_epoch"] == 1


def test_epochs_counted_from_zero_are_told_from_one(run: RunPaths) -> None:
    write_rows(run, epochs(10, first=0))
    facts = facts_of(run, seen(run, Finished()), now_us=NOW_US)
    assert facts["epoch"] == 10
    assert facts["best_epoch"] == 8


def test_a_loss_is_best_when_low_and_nan_is_never_best(run: RunPaths) -> None:
    losses = [0.5, 0.3, "NaN", "-Infinity", 0.4]
    rows = [{"_kind": "epoch", "epoch": at, "val_loss": loss} for at, loss in enumerate(losses, 1)]
    write_rows(run, rows)
    facts = facts_of(run, seen(run, Finished()), now_us=NOW_US)
    assert facts["metric"] == "val_loss"
    assert facts["best"] == 0.3
    assert facts["best_epoch"] == 2


def test_the_best_of_the_newest_fold_counts(run: RunPaths) -> None:
    write_rows(run, [*epochs(5, fold=0, acc=0.99), *epochs(5, fold=1)])
    facts = facts_of(run, seen(run, Finished()), now_us=NOW_US)
    assert facts["fold"] == 1
    assert facts["best_epoch"] == 3


def test_numbers_logged_by_the_step_are_found(run: RunPaths) -> None:
    rows: list[dict[str, Any]] = [
        {"_kind": "step", "step": at, "loss": 2 - at / 100} for at in range(100)
    ]
    rows[50].update(eval_accuracy=0.8, epoch=1)
    rows[90].update(eval_accuracy=0.7, epoch=2)
    write_rows(run, rows)
    facts = facts_of(run, seen(run, Finished()), now_us=NOW_US)
    assert facts["metric"] == "eval_accuracy"
    assert facts["metrics"]["eval_accuracy"] == 0.7
    assert (facts["best"], facts["best_epoch"]) == (0.8, 1)


def test_the_lowest_batch_is_no_best(run: RunPaths) -> None:
    write_rows(run, [{"_kind": "step", "step": at, "loss": 2 - at / 100} for at in range(100)])
    facts = facts_of(run, seen(run, Finished()), now_us=NOW_US)
    assert facts["metric"] == "loss"
    assert facts["metrics"]["loss"] == pytest.approx(1.01)
    assert "best" not in facts


def test_the_status_of_another_attempt_is_not_this_ones(run: RunPaths) -> None:
    write_status(
        run, estimate={"done": 7, "total": 20, "unit": "epoch", "fraction": 0.35}, attempt=3
    )
    assert "epoch" not in facts_of(run, seen(run, Running("gpu02")), now_us=NOW_US)


def test_between_two_attempts_the_first_ones_progress_is_told(run: RunPaths) -> None:
    write_status(run, estimate={"done": 7, "total": 20, "unit": "epoch", "fraction": 0.35})
    facts = facts_of(run, seen(run, Restarting(1), attempt=1), now_us=NOW_US)
    assert (facts["epoch"], facts["epochs"]) == (7, 20)
    assert "remaining_s" not in facts


def test_a_row_that_is_newer_than_the_status_moves_the_share_along(run: RunPaths) -> None:
    write_rows(run, epochs(8))
    write_status(run, estimate={"done": 7, "total": 20, "unit": "epoch", "fraction": 0.35})
    facts = facts_of(run, seen(run, Running("gpu02")), now_us=NOW_US)
    assert (facts["epoch"], facts["percent"]) == (8, 40.0)


def test_of_a_huge_ledger_the_best_is_not_guessed(
    run: RunPaths, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_rows(
        run,
        [
            *epochs(5),
            *({"_kind": "step", "step": at, "x": 1} for at in range(4000)),
            *epochs(3, first=6),
        ],
    )
    assert epoch_rows(run)[1]
    monkeypatch.setattr("overnight.alerts.history._EPOCH_ROWS_BYTES", 20_000)
    monkeypatch.setattr("overnight.alerts.history._ALL_ROWS_BYTES", 20_000)
    rows, whole = epoch_rows(run)
    assert not whole
    assert [each.epoch for each in rows] == [6, 7, 8]
    facts = facts_of(run, seen(run, Finished()), now_us=NOW_US)
    assert facts["epoch"] == 8
    assert "best" not in facts
    some, whole = all_rows(run)
    assert not whole
    steps = [each.step for each in some if each.step is not None]
    assert 50 < len(steps) < 1000
    assert min(steps) < 400
    assert max(steps) > 3600


def test_an_empty_folder_gives_facts_too(tmp_path: Path) -> None:
    gone = RunPaths(str(tmp_path / "experiments/run/20260304/x_20260304_2200"))
    facts = facts_of(gone, seen(gone, Lost("unseen")), now_us=NOW_US)
    assert facts["run"] == facts["name"] == "x_20260304_2200"
    assert facts["why"] == "unseen"


def test_no_secret_is_a_fact(run: RunPaths) -> None:
    secret = "https://hooks.slack.com/services/T000/B000/XXXX"
    Path(run.run_json).write_text(json.dumps({"name": "a", "target": f"curl {secret}"}))
    facts = facts_of(run, seen(run, Finished()), now_us=NOW_US)
    assert "XXXX" not in json.dumps(facts)


KEYS = [
    "done", "total", "unit", "fraction", "remaining_s", "gpu0_util_percent", "kind", "evidence",
    "fields", "loss", "name",
]  # fmt: skip
JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=10)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(
            st.sampled_from(KEYS) | st.text(max_size=4), inner, max_size=4
        ),
    ),
    max_leaves=8,
)  # fmt: skip
FILES = ("run.json", "status.json", "events.jsonl", "metrics.jsonl", "job.jsonl")
RECORDS = st.fixed_dictionaries(
    {"_seq": st.integers(0, 9)},
    optional={
        "_event": st.sampled_from(["Started", "Exited", "Restarting", "Stalled"]) | JSON,
        "_attempt": st.integers(0, 2) | JSON,
        "_kind": st.sampled_from(["epoch", "step"]) | JSON,
        "epoch": JSON, "step": JSON, "fold": JSON, "loss": JSON, "acc": JSON, "ran_s": JSON,
        "cause": JSON,
    },
)  # fmt: skip
STATUS = st.fixed_dictionaries(
    {"attempt": st.just(0)},
    optional=dict.fromkeys(("estimate", "metrics", "sample", "elapsed_s", "updated_us"), JSON),
)


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    st.fixed_dictionaries(
        {},
        optional={
            "run.json": st.one_of(st.binary(max_size=50), JSON.map(json.dumps).map(str.encode)),
            "status.json": st.one_of(
                st.binary(max_size=50), STATUS.map(json.dumps).map(str.encode)
            ),
            **{
                name: st.one_of(
                    st.binary(max_size=80),
                    st.lists(RECORDS, max_size=6).map(
                        lambda rows: "\n".join(map(json.dumps, rows)).encode()
                    ),
                )
                for name in FILES[2:]
            },
        },
    ),
    st.sampled_from(STATES),
    st.sampled_from(EVENTS),
)
def test_any_damage_gives_facts_that_can_be_told(
    tmp_path_factory: pytest.TempPathFactory, files: dict[str, bytes], state: State, event: str
) -> None:
    made = create_run(str(tmp_path_factory.mktemp("root")), "run", "x")
    for name, data in files.items():
        Path(made.at(name)).write_bytes(data)
    facts = facts_of(made, seen(made, state), now_us=NOW_US)
    json.dumps(facts, allow_nan=False)
    for language in ("en", "ko"):
        assert render(event, facts, format="full", language=language).title
