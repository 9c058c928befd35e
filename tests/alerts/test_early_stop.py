"""Early stopping as frameworks and people's own loops print it, and what only looks like it."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from overnight.alerts.early_stop import EarlyStop, seen


def epochs(last: int, of: int, first: int = 1) -> str:
    """The ordinary lines of a training."""
    return "".join(
        f"Epoch {n}/{of} - train_loss {1 / (n + 1):.3f} - val_loss 0.5\n"
        for n in range(first, last + 1)
    )


SAID = {
    "keras 2": "Restoring model weights from the end of the best epoch.\n"
    "Epoch 00012: early stopping",
    "keras 3": "Epoch 12: early stopping\n"
    "Restoring model weights from the end of the best epoch: 7.",
    "lightning": "Monitored metric val_loss did not improve in the last 3 records. "
    "Best score: 0.412. Signaling Trainer to stop.",
    "lightning, not finite": "Monitored metric val_loss = nan is not finite. "
    "Previous best value was 0.100. Signaling Trainer to stop.",
    "lightning behind a bar": "Epoch 11: 100%|████| 750/750 [00:15<00:00, 49.78it/s, v_num=0]"
    "Monitored metric val/loss did not improve in the last 5 records. Best score: 14.148."
    " Signaling Trainer to stop.█████| 187/187 [00:01<00:00, 94.11it/s]",
    "ultralytics": "EarlyStopping: Training stopped early as no improvement observed in last 50 "
    "epochs. Best results observed at epoch 4, best model saved as best.pt.\n"
    "To update EarlyStopping(patience=50) pass a new patience value, i.e. `patience=300` or use "
    "`patience=0` to disable EarlyStopping.\n\n12 epochs completed in 0.132 hours.",
    "yolov5": "Stopping training early as no improvement observed in last 100 epochs. "
    "Best results observed at epoch 945, best model saved as best.pt.",
    "catboost": "Stopped by overfitting detector  (30 iterations wait)\n\nbestTest = 0.984\n"
    "bestIteration = 99\n\nShrink model to first 100 iterations.",
    "lightgbm": "Early stopping, best iteration is:\n[911]\ttraining's auc: 0.88\tvalid's auc: 0.6",
    "xgboost": "Stopping. Best iteration:\n[8]\tvalidation_0-auc:0.82639",
    "fastai": "No improvement since epoch 9: early stopping",
    "a counter that is full": "EarlyStopping counter: 5 out of 5",
    "a counter with a slash": "EarlyStopping counter: 10 / 10",
    "at an epoch": "Early stopping at epoch 12",
    "after epochs": "\nEarly stopping triggered after 12 epochs",
    "with a reason": "Early stopping at epoch 12 (no improvement for 5 epochs).",
    "with the best": "[*] Early stopping triggered at epoch 12. Best epoch was 3 with Val MSE: 0.1",
    "alone": "Early stopping",
    "a level in front": "INFO: Early stopping",
    "a time in front": "2026-01-01 03:12:44,123 [INFO] train: Early stopping!",
    "in capitals": "EARLY STOPPING TRIGGERED",
    "stopped": "Early Stopped!",
    "colours and signs": "\x1b[31m  🛑 Early stopping at epoch 12\x1b[0m",
    "korean": "조기 종료",
    "korean with an epoch": "조기 종료 @ epoch 12",
    "korean with a reason": "조기 종료: 5 에폭 동안 개선되지 않음",
    "korean sentence": "조기 종료로 인해 학습을 종료합니다.",
    "korean condition": "조기 종료 조건을 만족하여 학습을 종료합니다.",
    "korean, one word": "조기종료 (patience=10)",
}


@pytest.mark.parametrize("line", SAID.values(), ids=SAID)
def test_a_framework_or_a_person_says_it(line: str) -> None:
    found = seen(epochs(12, 100) + line + "\nSaved model.\n", 12, 100, [])
    assert found is not None
    assert found.reason == "said"
    assert found.epoch in (11, 12)
    assert found.evidence
    assert "\x1b" not in found.evidence
    assert len(found.evidence) <= 200


@pytest.mark.parametrize("line", SAID.values(), ids=SAID)
def test_it_is_known_without_any_count(line: str) -> None:
    found = seen(line, None, None, [])
    assert found is not None
    assert found.reason == "said"


NOT_SAID = {
    "switched off": "Note: stopping early is off, all epochs are run",
    "a counter": "EarlyStopping counter: 3 out of 5",
    "patience so far": "    -> Patience 3/5",
    "a setting": "early stopping: patience=5",
    "an option": "Namespace(epochs=20, early_stopping=True, patience=5)",
    "off": "Early stopping: off",
    "enabled": "Early stopping enabled with patience 10",
    "korean setting": "조기 종료 Patience: 10 epochs",
    "a plan": "Training for 20 epochs with early stopping",
    "help": "use `patience=0` to disable EarlyStopping.",
    "lightgbm begins": "Training until validation scores don't improve for 100 rounds",
    "lightgbm to the end": "Did not meet early stopping. Best iteration is:\n[20]\tvalid_0's l2: 1",
    "keras restores at any end": "Restoring model weights from the end of the best epoch: 17.",
    "not triggered": "Early stopping was not triggered.",
    "another stop": "Stopping the data loader workers",
    "transformers": "{'train_runtime': '12.1', 'train_loss': '0.41', 'epoch': '20'}",
}


@pytest.mark.parametrize("line", NOT_SAID.values(), ids=NOT_SAID)
def test_what_only_looks_like_it(line: str) -> None:
    assert seen(line + "\n" + epochs(20, 20) + line + "\n", 20, 20, []) is None
    assert seen(line + "\n" + epochs(20, 20) + line + "\n", 19, 20, []) is None


def test_a_fold_that_stopped_early_is_not_the_run() -> None:
    log = epochs(7, 20) + "Early stopping at epoch 7\n" + epochs(20, 20)
    assert seen(log, 27, 40, []) is None
    log += "Fold 3\n" + epochs(9, 20) + "Early stopping at epoch 9\n"
    assert seen(log, 36, 60, []) == EarlyStop("said", "Early stopping at epoch 9", 9)


def test_boosting_rounds_that_go_on_are_the_next_fold() -> None:
    stopped = (
        "[100]\tvalid_0's l2: 0.4\nEarly stopping, best iteration is:\n[61]\tvalid_0's l2: 0.3\n"
    )
    rounds = "".join(f"[{n}]\tvalid_0's l2: 0.4\n" for n in range(100, 1100, 100))
    whole = "Did not meet early stopping. Best iteration is:\n[1000]\tvalid_0's l2: 0.2\n"
    assert seen(stopped + rounds, None, None, []) is None
    assert seen(stopped + rounds + whole, None, None, []) is None
    found = seen(rounds + whole + stopped, None, None, [])
    assert found is not None
    assert found.reason == "said"


def test_stopping_at_the_last_epoch_cuts_nothing_short() -> None:
    log = epochs(20, 20) + "Epoch 20: early stopping\n"
    assert seen(log, 20, 20, []) is None
    assert seen(log, None, None, []) is None


def test_the_jobs_own_word_needs_no_log() -> None:
    events: list[dict[str, Any]] = [
        {"_event": "Configured"},
        {"_event": "EarlyStopped", "epoch": 9},
    ]
    assert seen("", 9, 20, events) == EarlyStop("callback", "", 9)
    assert seen("", 9, 20, [{"_event": "EarlyStopped", "step": 700}]) == EarlyStop(
        "callback", "", 9
    )
    assert seen("", None, None, [{"_event": "EarlyStopped"}]) == EarlyStop("callback")
    assert seen("Epoch 9: early stopping\n", None, None, [{"_event": "EarlyStopped"}]) == EarlyStop(
        "callback", "Epoch 9: early stopping", 9
    )


def test_the_jobs_word_about_an_earlier_fold_is_not_about_the_run() -> None:
    events: list[dict[str, Any]] = [
        {"_event": "EarlyStopped", "fold": 0, "epoch": 3},
        {"_event": "PhaseStarted", "fold": 1},
    ]
    assert seen("", None, None, events) is None
    events.append({"_event": "EarlyStopped", "epoch": 5})
    assert seen("", None, None, events) == EarlyStop("callback", "", 5)


def test_ending_well_before_the_announced_end() -> None:
    assert seen("", 7, 20, []) == EarlyStop("short", "", 7)
    assert seen(epochs(7, 20), 6, 20, []) == EarlyStop("short", "", 7)
    # A Trainer of transformers says nothing: its bar just ends.
    log = "{'eval_loss': '0.4', 'epoch': '4'}\n40%|████      | 400/1000 [01:00<01:30, 6.6it/s]\n"
    assert seen(log, 400, 1000, [], unit="step") == EarlyStop("short", "", 4)


@pytest.mark.parametrize(
    ("log", "done", "total"),
    [
        ("", 19, 20),  # a heading counts the epoch it begins
        ("", 20, 20),
        ("", 2, 3),
        ("", 0, 20),  # it never trained
        ("", None, 20),
        ("", 7, None),
        ("", 95, 100),
        (epochs(19, 20, first=0), 20, 20),  # counted from 0
        (epochs(20, 20), 20, 100),  # one fold of the five that a constant names
    ],
)
def test_what_is_not_short(log: str, done: float | None, total: float | None) -> None:
    assert seen(log, done, total, []) is None


def test_no_secret_is_quoted() -> None:
    found = seen(
        "Early stopping triggered --token=abcdef123456 hf_abcdefghijklmnopqrst\n", 3, 9, []
    )
    assert found is not None
    assert "abcdef" not in found.evidence


number = st.none() | st.floats(allow_nan=False, allow_infinity=False, width=32)
fragments = st.sampled_from(
    [*SAID.values(), *NOT_SAID.values(), "Epoch 3/20", "\r", "█" * 40, "\x00"]
)


@given(
    st.lists(fragments | st.text(max_size=40), max_size=12).map("\n".join),
    number,
    number,
    st.lists(
        st.dictionaries(
            st.sampled_from(["_event", "epoch", "fold"]),
            st.sampled_from(["EarlyStopped", 3, None, -1, True, [1]]),
        ),
        max_size=4,
    ),
    st.sampled_from(["epoch", "step", "", "에폭"]),
)
def test_any_log_gives_an_answer(
    log: str, done: float | None, total: float | None, events: list[dict[str, Any]], unit: str
) -> None:
    found = seen(log, done, total, events, unit=unit)
    assert found is None or (len(found.evidence) <= 200 and found.evidence.isprintable())
