"""Whole small runs in this process, for tests: real pictures, a real config, a real session."""

from __future__ import annotations

import contextlib
import csv
import io
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from overnight import spec as specs
from overnight.errors import OvernightError, UserErrors
from overnight.ledger import files, job
from overnight.ledger.paths import RunPaths, create_run
from overnight.ledger.reader import read
from overnight.testing.fits import TINY, images
from overnight.trainer.console import Console
from overnight.trainer.stop import SignalStop, Stopped

NUM, FOLDS, EPOCHS = 24, 2, 2


@dataclass(slots=True)
class Attempt:
    """One attempt of a run, and what it said.

    Attributes:
        run: The run.
        log: Its lines.
        error: What ended it; None: it finished.
    """

    run: RunPaths
    log: str
    error: BaseException | None

    def records(self, base: str) -> list[dict[str, Any]]:
        """Of one of its ledger's files: ``job``, ``metrics``."""
        return read(self.run.dir, base).records

    def events(self, name: str) -> list[dict[str, Any]]:
        """Of one kind."""
        return [each for each in self.records("job") if each.get("_event") == name]

    def array(self, name: str) -> NDArray[Any]:
        """A file of ``oof/``."""
        found: NDArray[Any] = np.load(self.run.at("oof", name), allow_pickle=False)
        return found


def small_config(folder: Path, *, more: str = "", num_test: int = 0) -> Path:
    """Pictures and their table; a config beside them.

    Args:
        folder: Where they go; it is there.
        more: Further sections of the config.
        num_test: Pictures to be predicted, with a sample of their submission.
    """
    made = images(folder / "images", NUM)
    _table(folder / "train.csv", [(each.id.zfill(4), f"class {each.target}") for each in made])
    test = ""
    if num_test:
        made = images(folder / "test", num_test)
        _table(folder / "sample.csv", [(each.id.zfill(4), "class 0") for each in made])
        test = ", sample_csv: sample.csv, image_dir_test: test"
    path = folder / "tiny.yaml"
    path.write_text(
        f"task: image_classification\n"
        f"data: {{train_csv: train.csv, image_dir_train: images, folds: {FOLDS}{test}}}\n"
        f"model: {{name: {TINY}, pretrained: false, drop_rate: 0.2}}\n"
        f"train: {{img_size: 32, batch_size: 4, epochs: {EPOCHS}, lr: 1e-2, num_workers: 0,"
        f" augmentation: basic, log_interval: 1}}\n{more}",
        encoding="utf-8",
    )
    return path


def _table(path: Path, rows: list[tuple[str, str]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("ID", "target"), *rows])


def begin(config: Path, root: Path, **overrides: str) -> RunPaths:
    """A run's folder, as the CLI makes it; ``train__lr="1e-3"`` sets ``train.lr``."""
    asked = {name.replace("__", "."): text for name, text in overrides.items()}
    spec = specs.read(config, asked)
    run = create_run(str(root), spec.kind, "tiny")
    specs.write(spec, run.config_yaml)
    files.replace(run.launch_json, files.to_json({"root": run.root, "argv": ["train"]}))
    files.replace(run.run_json, files.to_json({"run_id": run.run_id, "target": str(config)}))
    return run


def attempt(
    run: RunPaths, number: int = 0, stop: SignalStop | None = None, *, unsaved: int = 0
) -> Attempt:
    """Does what is left of a run; an error is a part of the answer.

    Args:
        run: The run.
        number: Of the attempt.
        stop: Whether it is asked to end.
        unsaved: How often the disk has refused a checkpoint of fold 0 before.
    """
    import torch

    from overnight.trainer.session import Session

    torch.set_num_threads(1)
    out = io.StringIO()
    error: BaseException | None = None
    console = Console(out)
    console.num_unsaved["fold0"] = unsaved
    with in_run(run, number):
        try:
            Session(run, console, stop or SignalStop()).train()
        except (OvernightError, UserErrors, Stopped, OSError) as raised:
            error = raised
    return Attempt(run, out.getvalue(), error)


@contextlib.contextmanager
def in_run(run: RunPaths, number: int) -> Iterator[None]:
    """This process is the run's job, as the supervisor would have made it."""
    names = {"OVERNIGHT_RUN_DIR": run.dir, "OVERNIGHT_ATTEMPT": str(number)}
    before = {name: os.environ.get(name) for name in names}
    was, others = job._job, job._jobs
    job._job, job._jobs = None, {}
    os.environ.update(names)
    try:
        yield
    finally:
        if (mine := job.current()) is not None:
            mine.close()
        job._job, job._jobs = was, others
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
