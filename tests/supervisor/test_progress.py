"""The estimate: which source it trusts, when it speaks, and what it makes of misleading logs."""

from __future__ import annotations

import json
from collections.abc import Iterable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from overnight.supervisor.progress import Estimate, Progress, hints_in


def _feed(progress: Progress, lines: Iterable[tuple[float, str]]) -> None:
    for now_s, line in lines:
        progress.feed_log(line.encode() + b"\n", now_s)


def _known(progress: Progress, now_s: float) -> tuple[Estimate, float, float]:
    estimate = progress.estimate(now_s)
    assert estimate is not None
    assert estimate.remaining_s is not None, estimate
    return estimate, *estimate.remaining_s


def test_nothing_is_said_of_a_log_that_tells_nothing() -> None:
    progress = Progress()
    _feed(progress, [(1, "Loading data"), (2, "12 files found in /data/3"), (9, "done")])
    assert progress.estimate(10) is None


def test_epochs_tell_the_time_left_from_the_second_on() -> None:
    progress = Progress()
    _feed(progress, [(10, "Epoch 1/10 - loss: 0.9")])
    first = progress.estimate(10)
    assert first is not None
    assert (first.done, first.total, first.unit, first.remaining_s) == (1, 10, "epoch", None)
    _feed(progress, [(20, "Epoch 2/10 - loss: 0.8"), (30, "Epoch 3/10 - loss: 0.7")])
    estimate, low, high = _known(progress, 30)
    assert (estimate.done, estimate.total, estimate.source) == (3, 10, "epochs")
    assert low <= 70 <= high <= 2 * 70
    _, low, high = _known(progress, 35)
    assert low <= 65 <= high, "the part of an epoch that went by is taken off"


def test_a_slow_first_epoch_is_forgotten() -> None:
    progress = Progress()
    _feed(
        progress, [(0, "Epoch 1/10"), (600, "Epoch 2/10"), (660, "Epoch 3/10"), (720, "Epoch 4/10")]
    )
    _, low, high = _known(progress, 720)
    assert low <= 7 * 60 <= high < 1.6 * 7 * 60


def test_a_full_training_bar_leaves_its_validation() -> None:
    # 2 s of training, drawn once when it is full, and 8 s of validation.
    progress = Progress()
    for n in range(1, 6):
        _feed(progress, [(10.0 * n, f"  {n}/8   3G   1.05   640: 100% ━━━━━━ 40/40 20it/s 2.0s")])
    _feed(progress, [(50.1, "        Class  Images: 5% ━───── 1/20 2.5it/s 0.4s")])
    estimate, low, high = _known(progress, 50.1)
    assert estimate.done == 4
    assert low <= 38 <= high


def test_an_epoch_that_takes_longer_than_any_before_widens_the_range() -> None:
    progress = Progress()
    _feed(progress, [(10 * n, f"Epoch {n}/10 loss 0.{n}") for n in range(1, 6)])
    _, _, before = _known(progress, 50)
    _, low, high = _known(progress, 350)
    assert high >= 290 > before
    assert low <= high


def test_headings_and_results_of_an_epoch_are_one_epoch() -> None:
    progress = Progress()
    for n in range(1, 5):
        _feed(
            progress,
            [
                (100 * n, f"Epoch {n}/8"),
                (100 * n + 70, f"Epoch {n}/8 train loss: 0.5"),
                (100 * n + 90, f"Epoch {n}/8 val loss: 0.6"),
            ],
        )
    estimate, low, high = _known(progress, 490)
    assert estimate.done == 4
    assert low <= 400 <= high


def test_lines_with_results_within_an_epoch_are_not_its_end() -> None:
    progress = Progress()
    for n in range(1, 4):
        _feed(progress, [(100 * n + 10 * i, f"epoch {n}/8 | {i}00 | loss 0.{i}") for i in range(9)])
    estimate = progress.estimate(390)
    assert estimate is not None
    assert estimate.done == 2


def test_epochs_counted_from_zero_are_one_more_or_not_and_both_are_kept() -> None:
    progress = Progress()
    _feed(progress, [(60 * n, f"Epoch {n}/19") for n in range(5)])
    estimate, low, high = _known(progress, 240)
    assert low <= 15 * 60 <= 16 * 60 <= high
    told = Progress(["train.py", "--epochs", "20"])
    _feed(told, [(60 * n, f"Epoch {n}/19") for n in range(5)])
    estimate = told.estimate(240)  # type: ignore[assignment]
    assert estimate.total == 20


def test_the_rich_bar_of_lightning_counts_from_zero() -> None:
    progress = Progress()
    _feed(
        progress,
        [
            (10 * n + i, f"Epoch {n}/2  ━━━ {25 * i}/100 0:00:00 • 0:00:01 9it/s")
            for n in range(3)
            for i in range(5)
        ],
    )
    estimate = progress.estimate(24)
    assert estimate is not None
    assert (estimate.done, estimate.total) == (2, 3)


def test_bare_epochs_need_a_total_from_elsewhere() -> None:
    lines = [(10.0 * n, f"epoch {n}: loss 0.{n}") for n in range(1, 6)]
    unknown = Progress()
    _feed(unknown, lines)
    estimate = unknown.estimate(50)
    assert estimate is not None
    assert (estimate.done, estimate.total, estimate.fraction, estimate.remaining_s) == (
        5,
        None,
        None,
        None,
    )
    for argv in (
        ["t.py", "--epochs=20"],
        ["t.py", "--num_epochs", "20"],
        ["t.py", "EPOCHS=20"],
        ["yolo", "train", "epochs=20"],
        ["t.py", "--trainer.max_epochs", "20"],
    ):
        progress = Progress(argv)
        _feed(progress, lines)
        estimate, low, high = _known(progress, 50)
        assert estimate.total == 20
        assert low <= 150 <= high
    printed = Progress()
    _feed(printed, [(0, "Namespace(batch_size=8, epochs=20)"), *lines])
    assert _known(printed, 50)[0].total == 20


@pytest.mark.parametrize(
    ("source", "hints"),
    [
        ("EPOCHS = 20\nfor epoch in range(EPOCHS): ...", ["epochs=20"]),
        ("trainer = Trainer(max_epochs=10, devices=1)", ["epochs=10"]),
        ("cfg.epochs = 5", []),
        (
            "num_epochs = 3\nmodel.fit(x, y, epochs=3)\nKFold(n_splits=5)",
            ["epochs=3", "n_splits=5"],
        ),
        ("epochs = 3\nepochs = 30", []),
        ("warmup_epochs = 3", []),
        ("epochs = 3.5; epochs = n", []),
        ("for epoch in range(3): epoch == 2", []),
        ("\x00 EPOCHS=", []),
    ],
)
def test_a_script_tells_its_epochs(source: str, hints: list[str]) -> None:
    assert hints_in(source) == hints


def test_an_argument_wins_over_the_script() -> None:
    progress = Progress([*hints_in("EPOCHS = 20"), "--num_train_epochs", "3.0"])
    _feed(progress, [(10, "epoch 1: loss 0.4"), (20, "epoch 2: loss 0.3")])
    assert _known(progress, 20)[0].total == 3


def test_a_mention_of_another_epoch_changes_nothing() -> None:
    lines = [(10.0 * n, f"Epoch {n}/20 loss: 0.{n}") for n in range(1, 8)]
    plain, noisy = Progress(), Progress()
    _feed(plain, lines)
    _feed(
        noisy,
        [
            *lines[:4],
            (41, "will unfreeze at Epoch 15/20"),
            *lines[4:6],
            (61, "best was Epoch 3/20, first Epoch 1/20"),
            lines[6],
        ],
    )
    assert noisy.estimate(70) == plain.estimate(70)


def test_evaluation_bars_between_the_frames_of_a_training_bar() -> None:
    progress = Progress()
    now_s = 0.0
    for step in range(1, 13):
        now_s += 10
        _feed(progress, [(now_s, f" {step * 4}%|█ | {step}/24 [00:04<00:18,  1.05it/s]")])
        if step % 4 == 0:
            for i in range(9):
                now_s += 1
                _feed(progress, [(now_s, f" {i * 12}%|█ | {i}/8 [00:00<00:00, 9it/s]")])
            _feed(progress, [(now_s, f"{{'eval_loss': '0.69', 'epoch': '{step // 4}'}}")])
    estimate, low, high = _known(progress, now_s)
    assert (estimate.done, estimate.total, estimate.source) == (12, 24, "framework")
    assert low <= 147 <= high


def test_a_bar_that_begins_anew_does_not_span_the_run() -> None:
    progress = Progress()
    _feed(
        progress,
        [
            (10 * turn + i, f"{10 * i}%|█ | {i}/10 [00:04<00:18,  1.05it/s]")
            for turn in range(2)
            for i in range(10)
        ],
    )
    estimate = progress.estimate(20)
    assert estimate is None or estimate.remaining_s is None
    hinted = Progress(["--epochs", "4"])
    _feed(
        hinted,
        [
            (10 * turn + i, f"{10 * i}%|█ | {i}/10 [00:04<00:18,  1.05it/s]")
            for turn in range(3)
            for i in range(10)
        ],
    )
    estimate, low, high = _known(hinted, 29)
    assert (estimate.done, estimate.total, estimate.source) == (2, 4, "epochs")
    assert low <= 11 <= high


def test_the_outer_of_two_bars_counts() -> None:
    progress = Progress()
    for outer in range(6):
        _feed(progress, [(10 * outer, f" {outer * 5}%|█ | {outer}/20 [00:04<00:18, 10.0s/it]")])
        _feed(
            progress,
            [(10 * outer + i, f" {10 * i}%|█ | {i}/10 [00:04<00:18, 1it/s]") for i in range(1, 11)],
        )
    estimate, low, high = _known(progress, 60)
    assert (estimate.done, estimate.total, estimate.source) == (5, 20, "bar")
    assert low <= 140 <= high


def test_downloads_and_tokenising_are_no_training() -> None:
    progress = Progress()
    _feed(
        progress,
        [(i, f"Downloading data: {i}0%|█ | {i}0.0M/100M [00:04<00:18, 10MB/s]") for i in range(9)],
    )
    _feed(
        progress,
        [(9 + i, f"Map: {i}0%|█ | {i}00/1000 [00:04<00:18, 900 examples/s]") for i in range(9)],
    )
    assert progress.estimate(20) is None


def test_the_frameworks_own_estimate_beats_the_epochs() -> None:
    progress = Progress()
    _feed(
        progress,
        [(60 * i, f"Epoch(train)  [1][{i}00/900]  eta: 1:{40 - i:02d}:00") for i in range(1, 6)],
    )
    estimate, low, high = _known(progress, 300)
    assert estimate.source == "framework"
    assert low <= 95 * 60 <= high


def test_a_framework_estimate_that_leaves_validation_out_is_stretched() -> None:
    # A second of every two goes to validation, which the printed estimate does not count.
    progress = Progress()
    for i in range(1, 101):
        minutes, seconds = divmod(600 - i, 60)
        _feed(
            progress, [(2 * i, f"eta: 0:{minutes:02d}:{seconds:02d}  iter: {i}  total_loss: 0.7")]
        )
    _, low, high = _known(progress, 200)
    assert low <= 1000 <= high


def test_catboost_tells_its_share() -> None:
    progress = Progress()
    _feed(
        progress,
        [(i, f"{i}:\tlearn: 0.3\ttotal: {i}s\tremaining: {100 - i}s") for i in range(1, 21)],
    )
    estimate, low, high = _known(progress, 20)
    assert estimate.fraction == pytest.approx(0.2)
    assert low <= 80 <= high


def test_what_the_job_says_beats_everything() -> None:
    progress = Progress()
    _feed(progress, [(10 * n, f"Epoch {n}/3 loss 0.1") for n in range(1, 3)])
    for i in range(6):
        progress.feed_job(
            {"_event": "Progress", "done": i, "total": 50, "unit": "batch"}, 20 + 4.0 * i
        )
    estimate, low, high = _known(progress, 40)
    assert (estimate.done, estimate.total, estimate.unit, estimate.source) == (
        5,
        50,
        "batch",
        "job",
    )
    assert low <= 180 <= high


def test_a_jobs_progress_within_an_epoch_leaves_the_run_to_the_epochs() -> None:
    progress = Progress()
    for n in range(1, 4):
        for i in range(10):
            progress.feed_job({"_event": "Progress", "done": i, "total": 10}, 10.0 * n + i)
        _feed(progress, [(10 * n + 10, f"Epoch {n}/8 loss 0.1")])
    assert _known(progress, 40)[0].source == "epochs"


def test_a_job_that_has_to_be_over_at_a_time_is_over_by_then() -> None:
    progress = Progress()
    for i in range(6):
        progress.feed_job({"_event": "Progress", "done": i, "total": 50}, 10.0 * i)
    _, low, high = _known(progress, 50)
    assert low <= 450 <= high
    now_us = 1_767_258_000_000_000
    progress.feed_job({"_event": "Planned", "_t": now_us, "until_us": now_us + 200_000_000}, 50.0)
    for known in (progress, Progress.restore(progress.snapshot())):
        _, low, high = _known(known, 60)
        assert (low, high) == (190, 190)


def test_rows_of_the_ledger_are_epochs_too() -> None:
    progress = Progress()
    progress.feed_job({"_event": "Configured", "epochs": 10, "early_stopping": True}, 0)
    for n in range(4):
        progress.feed_job(
            {"_kind": "epoch", "epoch": n, "train_loss": 1 / (n + 1), "f1": "NaN"}, 30.0 * n
        )
        progress.feed_job({"_kind": "step", "step": 7, "loss": 3.0}, 30.0 * n + 1)
    estimate, low, high = _known(progress, 90)
    assert (estimate.done, estimate.total, estimate.at_most) == (4, 10, True)
    assert low <= 180 <= high
    assert progress.last_metrics["train_loss"] == 0.25
    assert progress.last_metrics["f1"] != progress.last_metrics["f1"]  # NaN


def test_early_stopping_makes_it_an_upper_bound() -> None:
    progress = Progress()
    _feed(progress, [(10 * n, f"Epoch {n}/20 loss 0.1") for n in range(1, 6)])
    assert not _known(progress, 50)[0].at_most
    _feed(progress, [(51, "EarlyStopping counter: 1 out of 3")])
    estimate, low, high = _known(progress, 51)
    assert estimate.at_most
    assert low == 0
    off = Progress()
    _feed(
        off,
        [(1, "early_stopping: False"), *[(10 * n, f"Epoch {n}/20 loss 0.1") for n in range(1, 6)]],
    )
    assert not _known(off, 50)[0].at_most


@pytest.mark.parametrize(
    ("fold", "epoch"),
    [("Fold {}/5", "Epoch {}/4 loss: 0.4"), ("===== 폴드 {}/5", "에폭 {}/4 손실: 0.4")],
)
def test_folds_multiply_the_epochs(fold: str, epoch: str) -> None:
    progress = Progress()
    now_s = 0.0
    for k in range(1, 4):
        _feed(progress, [(now_s, fold.format(k))])
        for n in range(1, 5 if k < 3 else 3):
            now_s += 10
            _feed(progress, [(now_s, epoch.format(n))])
    estimate, low, high = _known(progress, now_s)
    assert (estimate.done, estimate.total, estimate.fraction) == (10, 20, 0.5)
    assert low <= 100 <= high


def test_folds_without_a_number_of_folds_have_no_end() -> None:
    progress = Progress()
    for k in range(2):
        _feed(
            progress,
            [
                (100 * k, f"Fold {k}"),
                *[(100 * k + 10 * n, f"Epoch {n}/9 loss 0.1") for n in range(1, 8)],
            ],
        )
    estimate = progress.estimate(180)
    assert estimate is not None
    assert (estimate.fraction, estimate.remaining_s) == (None, None)
    hinted = Progress(["--n_splits", "2"])
    for k in range(2):
        _feed(
            hinted,
            [
                (100 * k, f"Fold {k}"),
                *[(100 * k + 10 * n, f"Epoch {n}/9 loss 0.1") for n in range(1, 8)],
            ],
        )
    assert _known(hinted, 180)[0].total == 18


def test_a_second_phase_has_epochs_of_its_own() -> None:
    progress = Progress()
    _feed(progress, [(n, f"Epoch {n}/5 loss 0.1") for n in range(1, 6)])
    _feed(progress, [(100 * n, f"Epoch {n}/10 loss 0.1") for n in range(1, 5)])
    estimate, low, high = _known(progress, 400)
    assert (estimate.done, estimate.total) == (4, 10)
    assert low <= 600 <= high


def test_epochs_found_in_one_look_are_not_taken_for_instant() -> None:
    progress = Progress()
    for look in range(1, 6):
        _feed(progress, [(5.0 * look, f"Epoch {4 * look + i}/100 loss 0.1") for i in range(-3, 1)])
    estimate, low, high = _known(progress, 25)
    assert estimate.done == 20
    assert low <= 100 <= high


def test_once_all_is_counted_nothing_more_is_promised() -> None:
    progress = Progress()
    _feed(progress, [(10 * n, f"Epoch {n}/3 loss 0.1") for n in range(1, 4)])
    estimate = progress.estimate(31)
    assert estimate is not None
    assert (estimate.done, estimate.fraction, estimate.remaining_s) == (3, 1, None)


def test_the_newest_frame_of_a_bar_counts_before_the_next_ends_it() -> None:
    progress = Progress()
    for i in range(5):
        progress.feed_log(f"\r{i}0%|█ | {i}/10 [00:04<00:18, 1it/s]".encode(), 10.0 * i)
    at_once, later = progress.estimate(40), progress.estimate(45)
    assert at_once is not None
    assert later is not None
    assert (at_once.done, later.done) == (3, 4)
    progress.feed_log(b"\r50%|X | 5/10 [00:04<00:18, 1it/s]\n", 50)
    latest = progress.estimate(50)
    assert latest is not None
    assert latest.done == 5


def test_the_last_metrics_are_the_newest_of_each_name() -> None:
    progress = Progress()
    _feed(
        progress,
        [
            (1, "Epoch 1/3 - train loss: 0.9, val_acc: 0.5"),
            (2, "Epoch 2/3 - train loss: 0.512, val_acc: 0.71"),
            (3, "{'loss': '0.6931', 'learning_rate': '4e-05', 'epoch': '0.5'}"),
            (4, "938/1875 ━━━━ 4s 5ms/step - accuracy: 0.8942 - val_loss: 1.5e-3"),
            (5, "gloss 3 and lossless 4; loss of 5 files; acc100"),
        ],
    )
    assert progress.last_metrics == {
        "train loss": 0.512,
        "val_acc": 0.71,
        "loss": 0.6931,
        "accuracy": 0.8942,
        "val_loss": 0.0015,
    }


_LINES = [
    "Epoch 1/3",
    "Epoch 2/3 - loss: 0.4",
    "Epoch 0: 26%|██▌ | 13/50 [00:00<00:00, 207.68it/s]",
    " 17%|█▋        | 4/24 [00:04<00:18,  1.05it/s]",
    " 100%|█ | 8/8 [00:00<00:00, 9it/s]",
    "{'loss': '0.6931', 'epoch': '0.5'}",
    "Epoch 1/2  ━━━╸━━━ 26/50 0:00:00 • 0:00:01",
    "\x1b[1m938/1875\x1b[0m ━━━ 4s",
    "        1/2         0G     0.6134          8         32: 25% ━━━───── 1/4",
    "Fold 2/5",
    "폴드 3/5",
    "에폭 3/20 - 손실: 0.5",
    "eta: 0:12:31  iter: 199  total_loss: nan",
    "99: learn: 0.3 total: 1s remaining: 10.8s",
    "Train: 5 [ 100/1251 (  8%)]",
    "Early stopping",
    "epochs=20",
    "x" * 5000,
    "loss: inf",
    "Epoch 9999999/9999999",
]
_LOGS = st.lists(
    st.one_of(
        st.tuples(st.sampled_from(_LINES), st.sampled_from(["\n", "\r", "\r\n", ""]))
        .map("".join)
        .map(str.encode),
        st.binary(max_size=60),
    ),
    max_size=25,
).map(b"".join)


@given(log=_LOGS, cuts=st.lists(st.integers(0, 3000), max_size=8))
def test_where_the_log_is_cut_makes_no_difference(log: bytes, cuts: list[int]) -> None:
    whole, cut = Progress(), Progress()
    whole.feed_log(log, 5.0)
    edges = sorted({0, len(log), *(each for each in cuts if each < len(log))})
    for begin, end in zip(edges, edges[1:], strict=False):
        cut.feed_log(log[begin:end], 5.0)
    assert cut.snapshot() == whole.snapshot()


@settings(max_examples=200)
@given(st.lists(st.tuples(_LOGS, st.floats(0, 1e6)), max_size=8), st.floats(0, 1e6))
def test_any_log_gives_an_honest_estimate_or_none(
    parts: list[tuple[bytes, float]], now_s: float
) -> None:
    progress = Progress()
    for data, at_s in parts:  # times may even run backwards
        progress.feed_log(data, at_s)
        estimate = progress.estimate(now_s)
        if estimate is None:
            continue
        assert estimate.fraction is None or 0 <= estimate.fraction <= 1
        if estimate.remaining_s is not None:
            assert 0 <= estimate.remaining_s[0] <= estimate.remaining_s[1] < float("inf")
        if estimate.total is not None:
            assert estimate.done is not None
            assert 0 <= estimate.done <= estimate.total
    assert all(isinstance(value, float) for value in progress.last_metrics.values())


@given(st.lists(st.tuples(_LOGS, st.floats(0.1, 100)), max_size=6), _LOGS)
def test_another_supervisor_goes_on_where_one_was_killed(
    parts: list[tuple[bytes, float]], rest: bytes
) -> None:
    progress, now_s = Progress(["--epochs", "7"]), 0.0
    progress.feed_job({"_event": "Progress", "done": 1, "total": 4}, 0)
    for data, gap_s in parts:
        now_s += gap_s
        progress.feed_log(data, now_s)
    kept = json.dumps(progress.snapshot(), allow_nan=False)
    assert len(kept) < 64_000
    restored = Progress.restore(json.loads(kept), ["--epochs", "7"])
    for each in (progress, restored):
        each.feed_log(rest + b"\n", now_s + 1)
    assert json.loads(json.dumps(restored.snapshot())) == json.loads(
        json.dumps(progress.snapshot())
    )
    assert restored.estimate(now_s + 3) == progress.estimate(now_s + 3)


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4)
    ),
    max_leaves=12,
)


@given(_JSON, st.data())
def test_a_damaged_snapshot_is_a_fresh_start(junk: object, data: st.DataObject) -> None:
    assert Progress.restore(junk).estimate(1) is None
    progress = Progress()
    _feed(progress, [(float(i), line) for i, line in enumerate(_LINES)])
    kept = progress.snapshot()
    key = data.draw(st.sampled_from(sorted(kept)))
    restored = Progress.restore({**kept, key: junk})
    restored.feed_log(b"Epoch 3/3 loss: 0.1\n", 99)
    restored.estimate(100)


@given(
    st.dictionaries(
        st.sampled_from(
            [
                "_event",
                "_kind",
                "done",
                "total",
                "unit",
                "epoch",
                "epochs",
                "fold",
                "folds",
                "early_stopping",
                "until_us",
                "_t",
                "loss",
                "x",
            ]
        ),
        _JSON | st.sampled_from(["Progress", "Configured", "EarlyStopped", "Planned", "epoch"]),
    )
)
def test_any_record_of_the_job_is_taken_or_left(record: dict[str, object]) -> None:
    progress = Progress()
    for now_s in (1.0, 2.0, 3.0):
        progress.feed_job(record, now_s)
    progress.estimate(4)
    json.dumps(progress.snapshot(), allow_nan=False)


def test_a_line_without_an_end_takes_no_memory() -> None:
    progress = Progress()
    for i in range(200):
        progress.feed_log(b"Epoch 1/2 " + b"x" * 100_000, float(i))
    assert len(json.dumps(progress.snapshot())) < 10_000
