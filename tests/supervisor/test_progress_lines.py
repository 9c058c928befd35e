"""Every kind of line that is understood, each as its program prints it, and lines that mislead."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from overnight.supervisor.progress.lines import MAX_LINE_BYTES, LineSeen, read_line


def _read(text: str) -> LineSeen:
    seen = read_line(text.encode())
    assert seen is not None, text
    return seen


# Line, then what is read: form, number, total, phase, share.
EPOCH_LINES = [
    (
        "Epoch 2/2:  83%|████████▎ | 25/30 [00:00<00:00, 49.01it/s]",
        "slash",
        2,
        2,
        "inside",
        25 / 30,
    ),
    (
        "Epoch 1/2  ━━━╸━━━ 26/50 0:00:00 • 0:00:01 129.41it/s train_loss:",
        "rich",
        1,
        2,
        "inside",
        26 / 50,
    ),
    (
        "\x1b[2K\x1b[1A\x1b[2KEpoch 0/5  \x1b[35m━━\x1b[0m\x1b[90m╺\x1b[0m\x1b[90m━━\x1b[0m "
        "115/200 \x1b[2m0:00:01 •       \x1b[0m "
        "\x1b[2;4m84.05it/s\x1b[0m \x1b[3mtrain_loss: 2.3\x1b[0m",
        "rich",
        0,
        5,
        "inside",
        115 / 200,
    ),
    (
        "Epoch 0:  26%|██▌       | 13/50 [00:00<00:00, 207.68it/s, train_loss=-0.0778]",
        "bare",
        0,
        None,
        "inside",
        13 / 50,
    ),
    (
        "        1/2         0G     0.6134          8         32: 25% ━━━───── 1/4 1.2it/s 0.3s",
        "yolo",
        1,
        2,
        "inside",
        1 / 4,
    ),
    (
        "     15/100      13.7G      1.054      0.965      1.025        221        640:  "
        "56%|█████▌    | 32/57 [05:54<04:34, 10.96s/it]",
        "yolo",
        15,
        100,
        "inside",
        32 / 57,
    ),
    ("Epoch 3/20", "slash", 3, 20, "start", None),
    ("Epoch [3/20]", "slash", 3, 20, "start", None),
    ("2026-11-20 03:12:55 INFO trainer: epoch 3 of 20 started", "slash", 3, 20, "start", None),
    ("[Epoch 003/020] train_loss=0.41 val_acc=0.93", "slash", 3, 20, "end", None),
    ("Epoch 3/20 finished in 35.2s", "slash", 3, 20, "end", None),
    ("Epoch [3/20], Step [100/600], Loss: 0.3012", "slash", 3, 20, "inside", 100 / 600),
    ("Epoch 3/20 | iter 140 | loss 0.41", "slash", 3, 20, "inside", None),
    (
        "Epoch: [12][ 40/391] Time 0.093 (0.110) Loss 1.2345",
        "bracket",
        12,
        None,
        "inside",
        40 / 391,
    ),
    ("Train Epoch: 3 [12800/60000 (21%)]\tLoss: 0.52", "bracket", 3, None, "inside", 12800 / 60000),
    (
        "11/20 02:58:41 - mmengine - INFO - Epoch(train)  [3][100/732]  lr: 1.0e-02  eta: 1:02:33",
        "bracket",
        3,
        None,
        "inside",
        100 / 732,
    ),
    ("Train: 5 [ 100/1251 (  8%)]  Loss: 4.2 (4.5)", "timm", 5, None, "inside", 100 / 1251),
    ("Train: [12/300][40/1251]\teta 0:03:10 lr 0.0001", "slash", 12, 300, "inside", 40 / 1251),
    ("에폭 3/20 - train loss: 0.512", "slash", 3, 20, "end", None),
    ("에포크 [3/20] 정확도: 0.91", "slash", 3, 20, "end", None),
    ("3/20 에폭 시작", "slash", 3, 20, "start", None),
    ("3번째 에폭 손실 0.4", "bare", 3, None, "end", None),
    ("epoch 7: train loss 0.41, valid loss 0.52", "bare", 7, None, "end", None),
    ("Epoch 12: early stopping", "bare", 12, None, "start", None),
    (
        "{'loss': '0.6931', 'grad_norm': '0.3937', 'learning_rate': '4.375e-05', 'epoch': '0.5'}",
        "float",
        0.5,
        None,
        "inside",
        None,
    ),
    (
        "{'eval_loss': 0.6927, 'eval_runtime': 0.1, 'epoch': 1.0}",
        "float",
        1.0,
        None,
        "inside",
        None,
    ),
]


@pytest.mark.parametrize(("line", "form", "number", "total", "phase", "share"), EPOCH_LINES)
def test_an_epoch_is_read(
    line: str, form: str, number: float, total: int | None, phase: str, share: float | None
) -> None:
    epoch = _read(line).epoch
    assert epoch is not None
    assert (epoch.form, epoch.number, epoch.total, epoch.phase) == (form, number, total, phase)
    assert epoch.share == pytest.approx(share)


BAR_LINES = [
    (" 17%|█▋        | 4/24 [00:04<00:18,  1.05it/s]", "", 4, 24, False),
    ("  5%|5         | 1/20 [00:30<09:30, 30.0s/it]", "", 1, 20, False),
    ("[  3/250] acc=0.310 f1=0.274 (1.2s)", "", 3, 250, False),
    ("[ 12/ 40] train loss 0.4123, val acc 0.91", "", 12, 40, False),
    ("training: 50%|#####     | 1.5k/3.0k [00:30<00:30, 50it/s]", "training", 1500, 3000, False),
    (
        "13184/60000 [=====>........................] - ETA: 3s - loss: 0.0952",
        "",
        13184,
        60000,
        False,
    ),
    (
        "\x1b[1m938/1875\x1b[0m \x1b[32m━━━━\x1b[0m\x1b[37m━━━\x1b[0m \x1b[1m4s\x1b[0m 5ms/step",
        "",
        938,
        1875,
        False,
    ),
    ("1875/1875 - 4s - 2ms/step - accuracy: 0.89 - loss: 0.3", "", 1875, 1875, False),
    ("Validation  ━━━╸━━━ 26/50 0:00:00 • 0:00:01 129.41it/s", "validation", 26, 50, False),
    ("Working... ━━━━━━╺━━━━━━━━━ 35% 0:00:12", "working", 35, 100, False),
    (
        "model.safetensors:  40%|████      | 200M/500M [00:05<00:08, 37.1MB/s]",
        "model safetensors",
        2e8,
        5e8,
        True,
    ),
    ("Map: 100%|██████████| 8000/8000 [00:01<00:00, 7000 examples/s]", "map", 8000, 8000, True),
    (
        "Loading checkpoint shards:  50%|█████     | 1/2 [00:03<00:03,  3.1s/it]",
        "loading checkpoint shards",
        1,
        2,
        True,
    ),
    (
        "train: Scanning /data... 96 images, 0 corrupt: 100% ━━━━━━━━━━━━ 96/96 6.4Kit/s 0.0s",
        "train scanning data images corrupt",
        96,
        96,
        True,
    ),
    (
        "   Class  Images  Instances  Box(P  R  mAP50  mAP50-95): 100% ━━━━━━━━━━━━ 4/4 2.1it/s",
        "class images instances box p r",
        4,
        4,
        False,
    ),
]


@pytest.mark.parametrize(("line", "label", "done", "total", "preparing"), BAR_LINES)
def test_a_bar_is_read(line: str, label: str, done: float, total: float, preparing: bool) -> None:
    seen = _read(line)
    assert seen.bar is not None
    assert (seen.bar.label, seen.bar.done, seen.bar.total) == (label, done, total)
    assert seen.bar.preparing is preparing
    assert seen.epoch is None


ETA_LINES = [
    ("Epoch(train)  [3][100/732]  lr: 1.0e-02  eta: 1:02:33  time: 0.3", 3753.0),
    ("Epoch [3][100/732]\tlr: 1.0e-02, eta: 1 day, 1:02:33, time: 0.3", 90153.0),
    ("Iter(train) [  100/40000]  lr: 1.0e-02  eta: 2 days, 1:00:00", 176400.0),
    ("[11/20 03:12:55 d2.utils.events]:  eta: 0:12:31  iter: 199  total_loss: 0.72", 751.0),
    ("99:\tlearn: 0.3021\ttotal: 1.2s\tremaining: 10.8s", 10.8),
    ("7:\tlearn: 0.3\ttest: 0.4\tbest: 0.4 (7)\ttotal: 567ms\tremaining: 1m 10s", 70.0),
    # of the epoch, not of the run
    ("Epoch: [3]  [ 40/391]  eta: 0:03:10  lr: 0.1  loss: 2.3", None),
    ("100/1875 [>.............................] - ETA: 1:02:33 - loss: 0.9", None),
]


@pytest.mark.parametrize(("line", "eta_s"), ETA_LINES)
def test_an_estimate_of_the_whole_run_is_read(line: str, eta_s: float | None) -> None:
    assert _read(line).eta_s == eta_s


FOLD_LINES = [
    ("===== Fold 2/5 =====", (2, 5)),
    ("Fold: 0", (0, None)),
    ("[fold 2 of 5] loading", (2, 5)),
    ("폴드 2/5", (2, 5)),
    ("3번째 폴드", (3, None)),
    ("Starting 2/5 fold", (2, 5)),
    ("unfolded 3/5 tensors", None),
]


@pytest.mark.parametrize(("line", "fold"), FOLD_LINES)
def test_a_fold_is_read(line: str, fold: tuple[int, int | None] | None) -> None:
    assert _read(line).fold == fold


@pytest.mark.parametrize(
    ("line", "num_epochs"),
    [
        ("Namespace(batch_size=64, epochs=20, lr=0.1)", 20),
        ("engine/trainer: task=detect, epochs=150, patience=200, warmup_epochs=3.0", 150),
        ("  Num Epochs = 3", 3),
        ("num_epochs: 30", 30),
        ('  "max_epochs": 12,', 12),
        ("Starting training for 8 epochs...", 8),
        ("warmup epochs: 5", None),
        ("warmup_epochs=3", None),
        ("val_loss did not improve for 5 epochs", None),
    ],
)
def test_a_configured_number_of_epochs_is_read(line: str, num_epochs: int | None) -> None:
    assert _read(line).num_epochs == num_epochs


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("EarlyStopping counter: 3 out of 7", "on"),
        ("Using early stopping with patience 5", "on"),
        ("engine/trainer: epochs=150, patience=50, imgsz=640", "on"),
        ("Early stopping", "fired"),
        ("Early stopping at epoch 9", "fired"),
        ("Epoch 12: early stopping", "fired"),
        (
            "EarlyStopping: Training stopped early as no improvement observed in last 10 epochs.",
            "fired",
        ),
        ("Monitored metric val_loss did not improve. Signaling Trainer to stop.", "fired"),
        ("조기 종료!", "fired"),
        ("early_stopping: false", None),
        ("early_stopping=None", None),
    ],
)
def test_early_stopping_is_noticed(line: str, told: str | None) -> None:
    assert _read(line).early_stopping == told


@pytest.mark.parametrize(
    "line",
    [
        "Best epoch: 3",
        "best model from epoch 7",
        "total epochs trained so far",
        "saving to /data/epochs/3/model.pt",
        "Epoch 21/20 is impossible",
        "Date 2026/11/20, learning rate 1/3",
        "manifold 3/5",
    ],
)
def test_lines_that_mislead_tell_no_epoch(line: str) -> None:
    seen = read_line(line.encode())
    assert seen is None or (seen.epoch is None and seen.bar is None and seen.fold is None)


@pytest.mark.parametrize(
    "line", ["", "Loading data", "loss: 0.31", "GET /index.html HTTP/1.1", "a/b/c", "██████"]
)
def test_ordinary_lines_are_left_at_once(line: str) -> None:
    assert read_line(line.encode()) is None


_PIECES = st.sampled_from(
    [
        "epoch",
        "Epoch ",
        "에폭",
        "폴드 ",
        "fold ",
        "/",
        "[",
        "]",
        "%|",
        "|",
        "━",
        "─",
        "•",
        "eta: ",
        "remaining: ",
        "total: ",
        "1",
        "20",
        "999999999999",
        "1:02:33",
        "\x1b[",
        "\x1b[0m",
        "\x08",
        "=",
        "{'",
        "'epoch': '",
        "e-",
        "train: ",
        "iter",
        " ",
        "  ",
        ":",
        "k",
        "G ",
        "early stop",
        "loss",
        "(",
        ")",
        "\x00",
        "번째",
        "epochs=",
        "- 3s",
        ".",
    ]
)


@given(
    st.one_of(
        st.binary(max_size=400), st.lists(_PIECES, max_size=60).map(lambda p: "".join(p).encode())
    )
)
def test_any_bytes_are_read_or_left(line: bytes) -> None:
    seen = read_line(line)
    if seen is not None and seen.epoch is not None:
        assert seen.epoch.number >= 0
        assert seen.epoch.share is None or 0 <= seen.epoch.share <= 1
    if seen is not None and seen.bar is not None:
        assert 0 <= seen.bar.done <= seen.bar.total


@pytest.mark.parametrize(
    "piece",
    [
        "epoch ",
        "1/",
        "━",
        "━ ",
        "0 ",
        "[",
        "\x1b[",
        "fold ",
        "1:",
        "%| ",
        "1m ",
        "early ",
        "total: ",
        "epochs=",
        "'epoch': ",
        "train ",
        "=",
        "\t1",
    ],
)
@pytest.mark.parametrize("head", ["", "epoch 1/", "7: ", "50%| ", "train: ", "eta: iter: "])
def test_repetition_does_not_make_an_expression_backtrack(head: str, piece: str) -> None:
    # Ends within the test's time at any length, as only a bounded head of a line is looked at;
    # an expression that backtracks would take hours on these.
    read_line((head + piece * MAX_LINE_BYTES).encode())
