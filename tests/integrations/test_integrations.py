"""Each callback in a real training with the real library, in an environment of its own."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import overnight
from overnight.ledger.paths import RunPaths, runs_of
from overnight.ledger.reader import merged, read

pytestmark = pytest.mark.slow

_HERE = Path(__file__).parent
_SOURCE = Path(overnight.__file__).parents[1]
#: What the lock does not hold; torch and the rest come from the environment of the tests.
_PACKAGES = {
    "lightning": ("lightning==2.6.6", "lightning-utilities", "torchmetrics", "fsspec"),
    "keras": ("keras==3.15.1", "absl-py", "namex", "optree", "h5py", "ml-dtypes"),
    "ultralytics": (
        *("ultralytics==8.4.190", "ultralytics-thop", "opencv-python-headless"),
        *("polars", "polars-runtime-32"),
    ),
}
_TIMEOUT_S = 240


@dataclass
class Trained:
    """What a training left in its ledger."""

    run: RunPaths
    output: str

    @property
    def rows(self) -> list[dict[str, Any]]:
        return [record for _, _, record in merged(self.run.dir, "metrics")]

    @property
    def epochs(self) -> list[dict[str, Any]]:
        return [row for row in self.rows if row["_kind"] == "epoch"]

    def events(self, name: str) -> list[dict[str, Any]]:
        book = read(self.run.dir, "job")
        return [record for record in book.records if record["_event"] == name]


def environment(name: str, packages: Sequence[str]) -> Path:
    """The Python of an environment with these packages on top of the one of the tests.

    Made once and kept beside it, since it takes ten seconds and 100 MB.
    """
    folder = Path(sys.prefix) / "integrations" / name
    folder.parent.mkdir(exist_ok=True)
    python = folder / "bin" / "python"
    with (folder.parent / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        made = folder / "packages.txt"
        if not made.exists() or made.read_text().split() != list(packages):
            shutil.rmtree(folder, ignore_errors=True)
            uv = str(Path(sys.prefix) / "bin" / "uv")
            subprocess.run([uv, "venv", "-q", "--python", sys.executable, folder], check=True)
            version = f"python{sys.version_info.major}.{sys.version_info.minor}"
            base = folder / "lib" / version / "site-packages" / "base.pth"
            base.write_text(sysconfig.get_path("purelib") + "\n")
            install = [uv, "pip", "install", "-q", "--no-deps", "--python", python, *packages]
            subprocess.run(install, check=True)
            made.write_text("\n".join(packages))
    return python


def train(library: str, tmp_path: Path, python: Path) -> Trained:
    script = _HERE / "trainings" / f"use_{library}.py"
    env = {
        "PATH": os.environ["PATH"], "HOME": str(tmp_path), "LANG": "C.UTF-8",
        "PYTHONPATH": str(_SOURCE), "XDG_STATE_HOME": str(tmp_path / "state"),
        "OVERNIGHT_ROOT": str(tmp_path), "KERAS_BACKEND": "torch", "YOLO_OFFLINE": "true",
        "CUDA_VISIBLE_DEVICES": "",
    }  # fmt: skip
    done = subprocess.run(
        [python, script], cwd=tmp_path, env=env, capture_output=True, text=True,
        timeout=_TIMEOUT_S, check=False,
    )  # fmt: skip
    output = done.stdout + done.stderr
    assert done.returncode == 0, output
    assert "overnight:" not in output, output
    (run,) = runs_of(str(tmp_path))
    return Trained(run, output)


def test_a_trainer_of_transformers(tmp_path: Path) -> None:
    trained = train("transformers", tmp_path, Path(sys.executable))
    # The first evaluation is the best; three that are no better end it.
    assert [row["epoch"] for row in trained.epochs] == [1, 2, 3, 4]
    assert {"valid_loss", "macro_f1"} <= trained.epochs[0].keys()
    steps = [row for row in trained.rows if row["_kind"] == "step"]
    assert [row["step"] for row in steps] == list(range(2, 17, 2))
    assert {"train_loss", "lr"} <= steps[0].keys()
    (best,) = trained.events("NewBest")
    assert (best["metric"], best["epoch"]) == ("macro_f1", 1)
    assert best["value"] == pytest.approx(0.9)
    (stopped,) = trained.events("EarlyStopped")
    assert (stopped["epoch"], stopped["total"]) == (4.0, 10)
    assert len(trained.events("CheckpointSaved")) == 4
    assert trained.events("Progress")[-1]["total"] == 40


def test_lightning(tmp_path: Path) -> None:
    python = environment("lightning", _PACKAGES["lightning"])
    trained = train("lightning", tmp_path, python)
    assert [row["epoch"] for row in trained.epochs] == [1, 2, 3]
    assert {"train_loss", "valid_loss", "accuracy", "lr"} <= trained.epochs[0].keys()
    assert [row["train_accuracy"] for row in trained.epochs] == [1.5] * 3  # the epochs' means
    assert not any(name.endswith(("_step", "_epoch")) for name in trained.epochs[0])
    (stopped,) = trained.events("EarlyStopped")
    assert (stopped["epoch"], stopped["total"]) == (3, 20)
    assert "val_loss" in stopped["why"]
    assert trained.events("CheckpointSaved")
    assert trained.events("Progress")[-1]["total"] == 80


def test_keras(tmp_path: Path) -> None:
    trained = train("keras", tmp_path, environment("keras", _PACKAGES["keras"]))
    assert [row["epoch"] for row in trained.epochs] == [1, 2, 3, 4]
    assert {"train_loss", "train_accuracy", "valid_loss", "accuracy", "lr"} <= trained.epochs[
        0
    ].keys()
    assert trained.epochs[3]["valid_loss"] == 4.0
    (stopped,) = trained.events("EarlyStopped")
    assert (stopped["epoch"], stopped["total"]) == (4, 12)
    best = trained.events("NewBest")[-1]
    assert best["metric"] == "accuracy"
    assert trained.events("Progress")[-1]["total"] == 72


def test_ultralytics(tmp_path: Path) -> None:
    python = environment("ultralytics", _PACKAGES["ultralytics"])
    trained = train("ultralytics", tmp_path, python)
    assert [row["epoch"] for row in trained.epochs][:2] == [1, 2]
    assert any(key.startswith("train/") for key in trained.epochs[0])
    assert any("mAP50" in key for key in trained.epochs[0])
    assert trained.events("NewBest")
    assert trained.events("CheckpointSaved")
    last = trained.events("Progress")[-1]
    assert last["done"] == last["total"] == 4
    assert not trained.events("EarlyStopped")


def test_a_framework_that_has_changed_does_not_end_the_training(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from overnight.integrations.ultralytics import attach

    class Model:
        def __init__(self) -> None:
            self.callbacks: dict[str, Any] = {}

        def add_callback(self, name: str, call: Any) -> None:
            self.callbacks[name] = call

    model = attach(Model())
    for call in model.callbacks.values():
        assert call(object()) is None
    assert "AttributeError" in capfd.readouterr().err
