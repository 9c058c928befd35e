"""Time left on real trainings that know nothing of it.

Each script of ``trainings/``, and the demo's notebook, is run once as a process of its own. What it
prints is kept with the times it came at, and replayed into ``Progress`` as a supervisor that looks
now and then would, as if it had taken a minute. The answers at a quarter, a half and three
quarters of it are then held against its true end.

The bounds are wide because a training of three seconds on a shared machine wanders far more than
one of three hours; ``-rP`` shows the table.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from overnight.notebook import convert
from overnight.supervisor.progress import Estimate, Progress

pytestmark = pytest.mark.slow

_FOLDER = Path(__file__).parent / "trainings"
_NOTEBOOK = Path(__file__).parents[2] / "examples" / "digits.ipynb"
# How far off the true time may be from the range: the machine is shared with other tests.
_FACTOR = 3.0
# Of a few seconds nothing is told, and how many they are is the machine's business.
_REPLAYED_S = 60.0


@dataclass(frozen=True)
class _Training:
    """A script, and what must be recognised in its output."""

    name: str
    total: float
    unit: str
    source: str
    arguments: tuple[str, ...] = ()
    at_most: bool = False


_TRAININGS = [
    _Training("torch_loop", 12, "epoch", "epochs"),
    _Training("torch_bars", 8, "epoch", "epochs"),
    _Training("loader_bars", 10, "epoch", "epochs", ("--epochs", "10")),
    _Training("nested_bars", 15, "step", "bar"),
    _Training("hf_trainer", 800, "step", "framework"),
    _Training("keras_style", 8, "epoch", "epochs"),
    _Training("lightning_style", 7, "epoch", "epochs"),
    _Training("ultralytics_style", 8, "epoch", "epochs"),
    _Training("slow_first_epoch", 10, "epoch", "epochs", ("--epochs", "10")),
    _Training("korean_folds", 60, "epoch", "epochs", at_most=True),
    _Training("notebook", 8, "epoch", "epochs"),
]

Stream = list[tuple[float, bytes]]


def _script(training: _Training, folder: Path) -> Path:
    """The training's script; the notebook is the demo's, as ``overnight run`` would convert it."""
    if training.name != "notebook":
        return _FOLDER / f"{training.name}.py"
    script = folder / "digits.py"
    # One thread: two would wait for each other on a machine that runs other tests as well.
    overrides = {"EPOCHS": str(round(training.total)), "THREADS": "1"}
    conversion = convert(_NOTEBOOK, overrides=overrides)
    script.write_text(conversion.source, encoding="utf-8")
    return script


@pytest.fixture(scope="module")
def record(tmp_path_factory: pytest.TempPathFactory) -> Callable[[_Training], Stream]:
    """Run a training once; what it printed and when, of a minute since its first words."""
    kept: dict[str, Stream] = {}
    folder = tmp_path_factory.mktemp("trainings")

    def run(training: _Training) -> Stream:
        if training.name in kept:
            return kept[training.name]
        # As the supervisor starts a job; the bars redraw more often, as these end in seconds.
        environment = {**os.environ, "PYTHONUNBUFFERED": "1", "TTY_COMPATIBLE": "1",
                       "TTY_INTERACTIVE": "1", "TQDM_MININTERVAL": "0.05",
                       "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}  # fmt: skip
        stream: Stream = []
        with subprocess.Popen(
            [sys.executable, str(_script(training, folder)), *training.arguments],
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=environment,
        ) as process:
            assert process.stdout is not None
            while data := os.read(process.stdout.fileno(), 65536):
                stream.append((time.monotonic(), data))
        assert process.returncode == 0, b"".join(data for _, data in stream).decode()
        begin, end = stream[0][0], stream[-1][0]
        scale = _REPLAYED_S / (end - begin)
        kept[training.name] = [((at_s - begin) * scale, data) for at_s, data in stream]
        return kept[training.name]

    return run


def _replay(
    training: _Training, stream: Stream, share: float, look_s: float
) -> tuple[Estimate | None, float]:
    """The estimate at a share of the training's time, and the true time left then."""
    end_s = stream[-1][0]
    now_s = share * end_s
    progress = Progress(["python", f"{training.name}.py", *training.arguments])
    for at_s, data in stream:
        seen_s = at_s if look_s == 0 else (at_s // look_s + 1) * look_s
        if seen_s > now_s:
            break
        progress.feed_log(data, seen_s)
    return progress.estimate(now_s), end_s - now_s


@pytest.mark.parametrize("training", _TRAININGS, ids=lambda each: each.name)
def test_the_true_end_lies_near_the_range(
    training: _Training, record: Callable[[_Training], Stream]
) -> None:
    stream = record(training)
    # Looking after every write, and 20 times over the whole training as one does each few minutes.
    for look_s in (0.0, stream[-1][0] / 20):
        told, near = 0, 0
        for share in (0.25, 0.5, 0.75):
            estimate, left_s = _replay(training, stream, share, look_s)
            if estimate is None or estimate.remaining_s is None:
                continue
            low, high = estimate.remaining_s
            told += 1
            near += low / _FACTOR - look_s <= left_s <= high * _FACTOR + look_s
            print(
                f"{training.name:18} {share:4.0%} look {look_s:4.2f} s: left {left_s:5.1f} s, "
                f"told {low:.1f} to {high:.1f} s{'' if low <= left_s <= high else ' *'}"
            )
            assert estimate.source == training.source
            assert estimate.unit == training.unit
        assert told >= 2, "it must speak in the second half at the latest"
        assert near >= told - 1, "once may be the machine's fault"


@pytest.mark.parametrize("training", _TRAININGS, ids=lambda each: each.name)
def test_the_whole_log_is_counted_to_its_end(
    training: _Training, record: Callable[[_Training], Stream]
) -> None:
    stream = record(training)
    progress = Progress(["python", f"{training.name}.py", *training.arguments])
    for at_s, data in stream:
        progress.feed_log(data, at_s)
    estimate = progress.estimate(stream[-1][0] + 1)
    assert estimate is not None
    assert estimate.total == training.total
    assert estimate.fraction is not None
    assert estimate.fraction > 0.85
    assert estimate.at_most is training.at_most
    if training.name not in ("nested_bars", "lightning_style"):
        assert progress.last_metrics or training.name == "ultralytics_style"


def test_most_ranges_hold_the_true_end(record: Callable[[_Training], Stream]) -> None:
    inside = told = 0
    for training in _TRAININGS:
        for share in (0.25, 0.5, 0.75):
            estimate, left_s = _replay(training, record(training), share, 0.0)
            if estimate is not None and estimate.remaining_s is not None:
                told += 1
                inside += estimate.remaining_s[0] <= left_s <= estimate.remaining_s[1]
    print(f"{inside} of {told} ranges held the true end")
    assert told >= 20
    assert inside >= told / 2
