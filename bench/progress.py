"""What reading a line of a job's log costs the supervisor.

The mix: 60 % ordinary lines (warnings, paths, addresses, tables, numbers) and 40 % of all the kinds
of progress lines in turn, each with its own counts. Run it as ``python bench/progress.py``.
"""

from __future__ import annotations

import statistics
import sys
import time

from overnight.supervisor.progress import Progress

_PROGRESS_LINES = (
    "Epoch {e}/20:  83%|████████▎ | {s}/300 [00:00<00:00, 49.01it/s]",
    " 17%|█▋        | {s}/300 [00:04<00:18,  1.05it/s]",
    "{{'loss': '0.6931', 'grad_norm': '0.3937', 'learning_rate': '4.375e-05', 'epoch': '{e}.5'}}",
    "{{'eval_loss': 0.6927, 'eval_runtime': 0.12, 'epoch': {e}.0}}",
    "\x1b[2K\x1b[1A\x1b[2KEpoch {e}/19  \x1b[35m━━━━━\x1b[0m\x1b[90m╺\x1b[0m\x1b[90m━━━━━\x1b[0m "
    "{s}/300 \x1b[2m0:00:01 •       \x1b[0m "
    "\x1b[2;4m84.05it/s\x1b[0m \x1b[3mtrain_loss: 2.306\x1b[0m",
    "Epoch {e}:  26%|██▌       | {s}/300 [00:00<00:00, 207.68it/s, train_loss=-0.0778]",
    "       {e}/20         0G     0.6134      1.232      1.101          8        640: 25% ━━━───── "
    "{s}/300 1.2it/s 0.3s<2.5s",
    "{s}/300 [=====>........................] - ETA: 3s - loss: 0.0952 - accuracy: 0.9712",
    "\x1b[1m{s}/300\x1b[0m \x1b[32m━━━━━━━━━━\x1b[0m\x1b[37m━━━━━━━━━━\x1b[0m \x1b[1m4s\x1b[0m "
    "5ms/step - accuracy: 0.8942 - loss: 0.3121",
    "Epoch: [{e}][ {s}/391] Time 0.093 (0.110) Data 0.002 (0.010) Loss 1.2345 (1.4012)",
    "11/20 02:58:41 - mmengine - INFO - Epoch(train)  [{e}][{s}/732]  lr: 1.0e-02  eta: 1:02:33  "
    "time: 0.31  data_time: 0.01  memory: 3012  loss: 0.72",
    "[11/20 03:12:55 d2.utils.events]:  eta: 0:12:31  iter: {s}  total_loss: 0.72  loss_cls: 0.2",
    "{s}:\tlearn: 0.3021\ttest: 0.3312\tbest: 0.3312 ({s})\ttotal: 1.2s\tremaining: 10.8s",
    "Train: {e} [ {s}/1251 (  8%)]  Loss: 4.2 (4.5)  Time: 0.3s  LR: 1.0e-03  Data: 0.01",
    "에폭 {e}/20 - train loss: 0.512 - valid loss: 0.533 - 정확도: 0.91",
)
_ORDINARY_LINES = (
    "",
    "Loading data",
    "2026-11-20 03:12:55,123 INFO root: connection from 10.0.0.7:5432 accepted",
    "/usr/lib/python3.11/site-packages/torch/nn/modules/conv.py:456: UserWarning: deprecated, use",
    "  return F.conv2d(input, weight, bias, self.stride, self.padding, self.dilation, self.groups)",
    "conv2d_7 (Conv2D)            (None, 28, 28, 64)        36928     ['activation_6[0][0]']",
    "learning rate 0.001, weight decay 0.0001, momentum 0.9, batch 64",
    "Saved checkpoint to /data/runs/2026/model-000123.pt",
    "GET http://mirror.example/packages/3.11/wheel.whl 200 OK",
    "train loss: 0.512, valid loss: 0.533",
    "    0.12  0.33  0.91  0.22  0.14  0.56  0.93  0.11  0.02  0.77  0.31",
    "Memory: 12.3 GiB of 23.7 GiB; utilisation 93 %",
)
_NUM_LINES = 20_000
_NUM_REPEATS = 7
# The supervisor reads what a look of a few seconds finds.
_LOOK_LINES = 50


def _mix() -> list[bytes]:
    """Lines in the stated mix, in one fixed order."""
    lines = []
    for i in range(_NUM_LINES):
        if i % 5 < 3:
            lines.append(_ORDINARY_LINES[i % len(_ORDINARY_LINES)])
        else:
            kind = _PROGRESS_LINES[i % len(_PROGRESS_LINES)]
            lines.append(kind.format(e=1 + 19 * i // _NUM_LINES, s=i % 300))
    return [line.encode() + b"\n" for line in lines]


def _us_a_line(lines: list[bytes]) -> list[float]:
    """Microseconds a line, one figure for each look."""
    progress = Progress(["--epochs", "20"])
    figures = []
    for at in range(0, len(lines), _LOOK_LINES):
        data = b"".join(lines[at : at + _LOOK_LINES])
        begin = time.perf_counter()
        progress.feed_log(data, float(at))
        figures.append((time.perf_counter() - begin) / _LOOK_LINES * 1e6)
    return figures


def main() -> None:
    """Measure and print the table."""
    ordinary = [line.encode() + b"\n" for line in _ORDINARY_LINES] * (_NUM_LINES // 12)
    kinds = [kind.format(e=3, s=40).encode() + b"\n" for kind in _PROGRESS_LINES]
    rows = [("mix, 60 % ordinary", _mix()), ("ordinary only", ordinary)]
    rows.append(("progress only", kinds * (_NUM_LINES // len(kinds))))
    out = sys.stdout.write
    out(f"{'us a line':22} {'median':>8} {'p90':>8} {'lines/s':>10}\n")
    for name, lines in rows:
        figures = [each for _ in range(_NUM_REPEATS) for each in _us_a_line(lines)]
        median = statistics.median(figures)
        p90 = statistics.quantiles(figures, n=10)[8]
        out(f"{name:22} {median:8.1f} {p90:8.1f} {1e6 / median:10,.0f}\n")
    progress = Progress(["--epochs", "20"])
    progress.feed_log(b"".join(_mix()), 1.0)
    begin = time.perf_counter()
    for i in range(1000):
        progress.estimate(2.0 + i)
    out(f"{'estimate()':22} {(time.perf_counter() - begin) * 1e3:8.1f}  us a call\n")


if __name__ == "__main__":
    main()
