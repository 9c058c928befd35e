"""Six trainings of different kinds, as people write them, and how one of them is really run.

They know nothing of Overnight. Their data is the person's own: ``--data`` names a folder with
``cifar10/`` (train.csv, train/), ``camvid/`` ({train,val}/{images,masks}) and ``chatbot_ko/``
(ChatbotData.csv). Each computes in one thread: on a machine that others use too, threads that wait
for each other measure the others' work.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import _measure as measure
from overnight.ledger.paths import RunPaths
from overnight.supervisor.launch import Launch
from overnight.supervisor.progress import hints_in

_HERE = Path(__file__).parent
_LOOK_EVERY_S = 0.5


@dataclass(frozen=True, slots=True)
class Training:
    """One training and how it is called."""

    name: str
    what: str
    target: Path
    args: tuple[str, ...] = ()
    overrides: Mapping[str, str] = field(default_factory=dict)
    env: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Real:
    """A training as it really went, under ``overnight run``.

    Attributes:
        duration_s: Of the job.
        peak_ram_mib: The highest of its ``system.jsonl``.
        hints: What named the number of epochs: code, options, overrides.
        looks: Elapsed time at each look of the supervisor's, and how much of the log was read then.
        log: All that it printed.
        cpu_percent: Of each sample, for replays.
        events: Names of what the supervisor noted.
        cause: Why it ended.
        load: The machine's load average at the end.
    """

    duration_s: float
    peak_ram_mib: float
    hints: tuple[str, ...]
    looks: tuple[tuple[float, int], ...]
    log: str
    cpu_percent: tuple[float, ...]
    events: tuple[str, ...]
    cause: str
    load: float


def trainings(data: Path | None) -> list[Training]:
    """The six of them; five where Keras cannot be had, the notebook alone where no data is.

    Args:
        data: The folder that holds the sets.
    """
    notebook = Training(
        "digits",
        "the demo notebook",
        _HERE.parent / "examples" / "digits.ipynb",
        overrides={"EPOCHS": "60", "THREADS": "1"},
    )
    if data is None:
        return [notebook]
    data = data.resolve()
    scripts = _HERE / "trainings"
    cifar = ("--data", str(data / "cifar10"))
    found = [
        Training("cifar_cnn", "torch, 2 loader workers", scripts / "cifar_cnn.py", cifar),
        Training(
            "camvid_unet", "torch, bar over epochs", scripts / "camvid_unet.py",
            ("--data", str(data / "camvid")),
        ),
        Training(
            "chatbot_lm", "transformers Trainer", scripts / "chatbot_lm.py",
            ("--data", str(data / "chatbot_ko")),
        ),
        Training("pixels_mlp", "scikit-learn in a loop", scripts / "pixels_mlp.py", cifar),
        notebook,
    ]  # fmt: skip
    keras = _keras_folder()
    if keras is not None:
        env = {"KERAS_BACKEND": "torch", "PYTHONPATH": str(keras)}
        found.append(
            Training("keras_cnn", "Keras 3", scripts / "keras_cnn.py", cifar, env=env)
        )  # fmt: skip
    return found


def _keras_folder() -> Path | None:
    """Keras without a backend of its own, beside the other environments of the benches."""
    folder = _HERE / "envs" / "keras"
    if not (folder / "keras").is_dir():
        asked = ["pip", "install", "--quiet", "--target", str(folder), "keras"]
        done = subprocess.run([measure.uv(), *asked], env=measure.uv_environment(), check=False)
        if done.returncode:
            return None
    return folder


def environment(training: Training, folder: Path) -> dict[str, str]:
    """The environment of both the trial and the real run; ``folder`` keeps them to themselves."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith("OVERNIGHT_")}
    path = [training.env.get("PYTHONPATH", ""), kept.get("PYTHONPATH", "")]
    return {
        **kept,
        "XDG_STATE_HOME": str(folder / "state"),
        "XDG_CONFIG_HOME": str(folder / "config"),
        "OMP_NUM_THREADS": "1",
        **training.env,
        "PYTHONPATH": os.pathsep.join(filter(None, path)),
    }


def placed(training: Training, folder: Path) -> Path:
    """A copy of the training in a folder of its own, so that its results lie there."""
    target = folder / training.target.name
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(training.target, target)
    return target


def really(training: Training, target: Path, folder: Path) -> Real:
    """Runs it under ``overnight run`` from start to end, and notes when its log grew."""
    env = environment(training, folder)
    overnight = str(Path(sys.executable).with_name("overnight"))
    sets = [
        word for key, value in training.overrides.items() for word in ("--set", f"{key}={value}")
    ]
    asked = [overnight, "run", "--root", str(folder / "root"), *sets, str(target), *training.args]
    done = subprocess.run(asked, env=env, cwd=target.parent, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{training.name} did not start:\n{done.stdout}{done.stderr}")
    (run,) = (folder / "root" / "experiments" / "run").glob("*/*")
    looks: list[tuple[float, int]] = []
    while not any(each.get("_event") == "Exited" for each in _lines(run / "events.jsonl")):
        said = _json(run / "status.json")
        if said and (not looks or looks[-1][0] != said["elapsed_s"]):
            looks.append((said["elapsed_s"], said["log_bytes"]))
        time.sleep(_LOOK_EVERY_S)
    paths = RunPaths(str(run))
    launch = Launch.read(paths)
    source = Path(launch.entry).read_text(encoding="utf-8")
    set_to = (f"{key}={value}" for key, value in launch.overrides.items())
    end = _json(run / "exit.json") or {}
    events = _lines(run / "events.jsonl")
    samples = _lines(run / "system.jsonl")
    cause = next((e.get("cause", {}) for e in reversed(events) if e.get("_event") == "Exited"), {})
    return Real(
        duration_s=end["ran_s"],
        peak_ram_mib=max(sample["ram_mib"] for sample in samples),
        hints=(*hints_in(source), *launch.argv, *set_to),
        looks=tuple(looks),
        log=Path(paths.log).read_bytes().decode("utf-8", "surrogateescape"),
        cpu_percent=tuple(sample["cpu_percent"] for sample in samples),
        events=tuple(str(event.get("_event")) for event in events),
        cause=str(cause.get("kind", "")),
        load=os.getloadavg()[0],
    )


def _json(path: Path) -> dict[str, Any] | None:
    try:
        found = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None


def _lines(path: Path) -> list[dict[str, Any]]:
    try:
        lines = path.read_bytes().split(b"\n")
    except OSError:
        return []
    found = []
    for line in lines:
        try:
            found.append(json.loads(line))
        except ValueError:
            continue
    return [each for each in found if isinstance(each, dict)]


def chosen(all_of_them: Sequence[Training], names: Sequence[str]) -> list[Training]:
    """Those named; all where none is."""
    return [each for each in all_of_them if not names or each.name in names]
