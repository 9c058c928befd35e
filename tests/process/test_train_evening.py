"""An evening with a training: the terminal is closed, the disk fills up, the loss is none."""

from __future__ import annotations

import json
import os
import pty
import re
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from overnight.ledger.files import read_json
from overnight.ledger.paths import RunPaths
from overnight.ledger.reader import current, read, rows
from overnight.ledger.state import Failed, Finished
from overnight.testing.faults import FaultUnavailableError, small_disk

pytest.importorskip("torch")


@pytest.fixture(autouse=True)
def _one_thread(workplace: Any) -> None:
    workplace.env["OMP_NUM_THREADS"] = "1"  # more of them wait for each other on a busy machine


def config(root: Path, epochs: int, *, valid_fold: str = "0") -> Path:
    """A training of the smallest kind."""
    from overnight.testing.fits import TINY, images

    found = images(root / "images", 24)
    lines = [f"{each.id.zfill(4)},class {each.target}\n" for each in found]
    (root / "train.csv").write_text("ID,target\n" + "".join(lines))
    path = root / "tiny.yaml"
    path.write_text(
        f"task: image_classification\n"
        f"data: {{train_csv: train.csv, image_dir_train: images, folds: 2,"
        f" valid_fold: {valid_fold}}}\n"
        f"model: {{name: {TINY}, pretrained: false}}\n"
        f"train: {{img_size: 32, batch_size: 4, epochs: {epochs}, num_workers: 0}}\n"
        f"track: []\n"
    )
    return path


def runs(workplace: Any, kind: str) -> list[RunPaths]:
    return [RunPaths(str(each)) for each in workplace.runs() if f"/{kind}/" in str(each)]


def latest(workplace: Any, kind: str) -> list[str]:
    folder = Path(workplace.root, "experiments", kind, f"latest-{kind}")
    return sorted(each.name for each in folder.iterdir()) if folder.exists() else []


def said(workplace: Any, run: RunPaths) -> str:
    """Its log, which it may not have yet."""
    return workplace.log(run) if Path(run.log).exists() else ""


# ── the terminal ────────────────────────────────────────────────────────────────────────────

PIPELINE = """
import subprocess, sys
import overnight

run = overnight.train("tiny.yaml")
raise SystemExit(subprocess.call([sys.executable, "-m", "overnight", "wait", run.run_id]))
"""


@pytest.mark.slow
def test_a_terminal_that_is_closed_leaves_a_pipeline_and_its_training(workplace: Any) -> None:
    config(workplace.root, 1, valid_fold="all")
    script = workplace.script(PIPELINE, "night.py")
    pid, terminal = pty.fork()
    if pid == 0:
        words = workplace.command("run", "--kind", "pipeline", "--follow", script)
        os.chdir(workplace.root)
        os.execve(sys.executable, words, workplace.env)
    (training,) = workplace.until(lambda: runs(workplace, "train"))
    workplace.until(lambda: "[BOOT]" in said(workplace, training))
    os.close(terminal)  # the kernel hangs up on who stands in front of it
    os.waitpid(pid, 0)

    (pipeline,) = runs(workplace, "pipeline")
    assert isinstance(workplace.ended(training, 120), Finished), workplace.log(training)
    assert isinstance(workplace.ended(pipeline), Finished)
    assert latest(workplace, "train") == [training.run_id]
    assert latest(workplace, "pipeline") == [pipeline.run_id]
    about = read_json(training.run_json) or {}
    assert (about["parent"], about["kind"]) == (pipeline.dir, "train")
    newest = Path(workplace.root, "experiments", "train", "latest-train", training.run_id)
    for left in ("ckpt/best_fold1", "model/overnight.json", "config.yaml", "code/tiny.yaml"):
        assert (newest / left).exists(), left
    assert len(np.load(newest / "oof" / "oof_targets.npy")) == 24
    assert workplace.log(training).splitlines()[-1] == "[EXIT] TRAINING SUCCESS code=0"


# ── the disk ────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def disk(workplace: Any) -> Iterator[Path]:
    """A disk of 96 MiB that is the root."""
    try:
        with small_disk(96 * 1024) as folder:
            workplace.root = folder
            yield folder
    except FaultUnavailableError as error:
        pytest.skip(str(error))


def fill(folder: Path, *, but_kib: int) -> Path:
    """Takes all room but a little: lines of a log still fit, weights do not.

    Called again, it takes what was given back since.
    """
    ballast = folder / "ballast"
    with ballast.open("ab") as file, suppress(OSError):  # others write too
        while (free := os.statvfs(folder)).f_bavail * free.f_frsize > but_kib * 1024:
            file.write(bytes(64 * 1024))
            file.flush()
    return ballast


@pytest.mark.slow
def test_a_disk_that_fills_up_costs_checkpoints_and_a_resume_goes_on_from_the_last(
    workplace: Any, disk: Path
) -> None:
    from overnight.trainer import checkpoints

    epochs = 12
    path = config(disk, epochs)
    done = workplace.overnight("train", path, "--json")
    assert done.returncode == 0, done.stderr
    run = RunPaths(json.loads(done.stdout)["dir"])
    folder = Path(run.ckpt, "fold0")
    workplace.until(lambda: checkpoints.newest(folder), 120)
    ballast = disk / "ballast"
    workplace.until(lambda: fill(disk, but_kib=128) and workplace.log(run).count("[CKPT] ! ") > 4)
    assert "the disk did not take a checkpoint of fold0" in workplace.log(run)
    assert "No space left on device" in workplace.log(run)
    assert workplace.job(run) is not None, "the training goes on"
    kept = checkpoints.newest(folder)
    assert kept is not None
    workplace.kill(workplace.job(run))
    ballast.unlink()
    assert isinstance(workplace.ended(run), Failed)

    done = workplace.overnight("resume", run.run_id, "--follow")
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"[FOLD] fold0 goes on behind step {checkpoints.step_of(kept)}" in done.stdout
    assert "[CKPT] !" not in done.stdout
    counted = [row.epoch for row in current(rows(run.dir)) if row.kind == "epoch"]
    assert counted == list(range(1, epochs + 1))
    assert checkpoints.step_of(checkpoints.newest(folder) or folder) == epochs * 3


# ── the loss ────────────────────────────────────────────────────────────────────────────────


@pytest.mark.slow
def test_a_loss_that_is_none_ends_the_run_with_step_and_learning_rate(workplace: Any) -> None:
    path = config(workplace.root, 9)
    words = ("--set", "train.lr=1e30", "--set", "train.grad_clip_norm=0")
    done = workplace.overnight("train", "--config", path, *words)
    end = done.stdout.splitlines()[-1]
    assert end.startswith("[EXIT][ERROR] training failed: ")
    assert "loss" in end
    assert " at step " in end
    assert re.search(r"learning rate [\d.]+e\+(29|30)\)", end)
    (run,) = runs(workplace, "train")
    state = workplace.ended(run)
    assert isinstance(state, Failed)
    assert state.code == done.returncode
    assert (state.cause or {})["kind"] == "nan_loss"
    last = workplace.log(run).splitlines()[-1]
    assert last == f"[EXIT] TRAINING ERROR code={done.returncode}"
    assert latest(workplace, "train") == []
    assert not Path(run.at("model")).exists()


# ── other doors ─────────────────────────────────────────────────────────────────────────────


def test_run_of_a_config_is_train_detached(workplace: Any) -> None:
    path = config(workplace.root, 1)
    path.write_text(path.read_text().replace("track: []\n", ""))
    found = []
    for words in (["run", path], ["train", "--config", path, "--detach"]):
        before = runs(workplace, "train")
        done = workplace.overnight(*words, "--track", "none")
        assert done.returncode == 0, done.stderr
        (run,) = [each for each in runs(workplace, "train") if each not in before]
        assert workplace.overnight("stop", run.run_id, "--now").returncode == 0
        workplace.ended(run)
        launch = Path(run.launch_json).read_text().replace(run.dir, "DIR")
        about = read_json(run.run_json) or {}
        same = {name: about[name] for name in ("name", "kind", "target", "cwd", "labels")}
        found.append((json.loads(launch), same, Path(run.config_yaml).read_text()))
    assert found[0] == found[1]
    assert "track: []\n" in found[0][2], "what the command line said is asked for again"


@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::DeprecationWarning")
def test_a_notebook_starts_a_training_that_outlives_its_kernel(workplace: Any) -> None:
    from jupyter_client.manager import KernelManager

    config(workplace.root, 1)
    manager = KernelManager(kernel_name="python3")
    env = {**workplace.env, "IPYTHONDIR": str(workplace.home / ".ipython")}
    manager.start_kernel(env=env, cwd=str(workplace.root))
    client = manager.client()
    try:
        client.start_channels()
        client.wait_for_ready(timeout=60)
        client.execute_interactive(
            "import overnight\nrun = overnight.train('tiny.yaml')", timeout=60
        )
        cell = "overnight.train('tiny.yaml', set={'train.epoch': 1})"
        wrong = client.execute_interactive(cell, timeout=60, output_hook=lambda _: None)["content"]
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)
        manager.cleanup_resources()
    assert wrong["ename"] == "UserErrors"
    for part in ("train.epoch", "unknown key", "did you mean 'epochs'?"):
        assert part in wrong["evalue"]
    (run,) = runs(workplace, "train")
    workplace.until(lambda: "[DATA]" in said(workplace, run))
    assert workplace.job(run) is not None
    assert workplace.overnight("stop", run.run_id, "--now").returncode == 0
    workplace.ended(run)
    assert "Exited" in [each["_event"] for each in read(run.dir, "events").records]
