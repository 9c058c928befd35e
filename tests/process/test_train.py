"""Trainings as people start them: supervised, killed, moved, resumed, stopped, refused."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest

from overnight.ledger.paths import RunPaths
from overnight.ledger.reader import current, read, rows
from overnight.ledger.state import Failed, Finished, Stopped

pytest.importorskip("torch")
EPOCHS = 3
SCHEMA = Path(__file__).parents[2] / "docs" / "schemas" / "train.json"


@pytest.fixture
def config(workplace: Any) -> Path:
    from overnight.testing.fits import TINY, images

    folder = workplace.root
    workplace.env["OMP_NUM_THREADS"] = "1"  # more of them wait for each other on a busy machine
    examples = images(folder / "images", 24)
    lines = [f"{example.id.zfill(4)},class {example.target}\n" for example in examples]
    (folder / "train.csv").write_text("ID,target\n" + "".join(lines))
    path = folder / "작은 학습.yaml"
    path.write_text(
        f"task: image_classification\n"
        f"data: {{train_csv: train.csv, image_dir_train: images, folds: 2}}\n"
        f"model: {{name: {TINY}, pretrained: false}}\n"
        f"train: {{img_size: 32, batch_size: 4, epochs: {EPOCHS}, num_workers: 1}}\n"
        f"track: []\n"
    )
    return path


def last_line(workplace: Any, run: RunPaths) -> str:
    return workplace.log(run).splitlines()[-1]


def saved_in(run: RunPaths, fold: int) -> bool:
    """Whether a checkpoint of a fold is whole."""
    events = read(run.dir, "job").records
    return any(each["_event"] == "CheckpointSaved" and each["fold"] == fold for each in events)


@pytest.mark.slow
def test_killed_in_its_second_fold_and_moved_it_goes_on_there(
    workplace: Any, config: Path, tmp_path: Path
) -> None:
    done = workplace.overnight("train", "--config", config, "--json", "--set", "train.lr=1e-3")
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    jsonschema.validate(answer, json.loads(SCHEMA.read_text()))
    run = RunPaths(answer["dir"])
    workplace.until(lambda: saved_in(run, fold=1), timeout_s=240)
    workplace.kill(workplace.job(run))
    assert isinstance(workplace.ended(run), Failed)
    assert last_line(workplace, run) == "[EXIT] TRAINING ERROR code=137"

    moved = tmp_path / "elsewhere"
    workplace.root.rename(moved)
    again = RunPaths(run.dir.replace(str(workplace.root), str(moved)))
    done = workplace.overnight("resume", again.run_id, "--root", moved, "--follow", cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    end = f"[EXIT] training finished successfully (see {again.log})"
    assert done.stdout.splitlines()[-1] == end
    assert isinstance(workplace.ended(again), Finished)
    assert last_line(workplace, again) == "[EXIT] TRAINING SUCCESS code=0"

    _, _, after = workplace.log(again).partition("attempt 2")
    assert "[FOLD] fold0 is over since an earlier attempt" in after
    assert "[FOLD] fold1 goes on behind step" in after
    assert "[EPOCH 1]" not in after
    counted = [row for row in current(rows(again.dir)) if row.kind == "epoch"]
    seen = sorted((row.scope.fold, row.epoch) for row in counted)
    assert seen == [(fold, epoch) for fold in (0, 1) for epoch in range(1, EPOCHS + 1)]
    assert len(np.load(again.at("oof", "oof_logits.npy"))) == 24
    card = json.loads(Path(again.at("model", "overnight.json")).read_text())
    assert len(card["members"]) == 2
    latest = moved / "experiments" / "train" / "latest-train" / again.run_id
    assert latest.resolve() == Path(again.dir)


def test_two_in_the_same_second_and_a_stop_that_saves(workplace: Any, config: Path) -> None:
    words = workplace.command("run", config, "--json", "--name", "둘")
    started = [
        subprocess.Popen(words, env=workplace.env, cwd=workplace.root, stdout=subprocess.PIPE)
        for _ in range(2)
    ]
    runs = [RunPaths(json.loads(each.communicate(timeout=60)[0])["dir"]) for each in started]
    assert len({run.run_id for run in runs}) == 2
    for run in runs:
        assert run.kind == "train"
        workplace.until(lambda run=run: "[BOOT]" in workplace.log(run))
        assert workplace.overnight("stop", run.run_id).returncode == 0
    for run in runs:
        assert isinstance(workplace.ended(run), Stopped)
        assert "[DONE] stopped; overnight resume goes on from here" in workplace.log(run)
        assert last_line(workplace, run) == "[EXIT] TRAINING ERROR code=143"
        names = [each["_event"] for each in read(run.dir, "job").records]
        assert "StopHonoured" in names


def test_data_that_cannot_be_read_is_a_cause_a_person_understands(
    workplace: Any, config: Path
) -> None:
    (config.parent / "images" / "0005.png").write_bytes(b"no picture at all")
    done = workplace.overnight("train", "--config", config)
    assert done.returncode == 2, done.stdout
    end = done.stdout.splitlines()[-1]
    assert end.startswith("[EXIT][ERROR] training failed: 1 of 24 images cannot be used")
    assert "0005.png" in end
    assert str(config.parent / "images" / "0005.png") in done.stdout
    (folder,) = workplace.runs()
    run = RunPaths(str(folder))
    assert last_line(workplace, run) == "[EXIT] TRAINING ERROR code=2"
    assert "Traceback" not in workplace.log(run)


def test_it_is_started_from_python_too(workplace: Any, config: Path) -> None:
    program = workplace.script(
        f"""
        import sys
        import overnight

        run = overnight.train({str(config)!r}, set={{"train.epochs": 1, "data.folds": 3}})
        assert "torch" not in sys.modules
        print(run.dir)
        """
    )

    done = subprocess.run(
        [sys.executable, program], env=workplace.env, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    run = RunPaths(done.stdout.strip())
    written = Path(run.config_yaml).read_text()
    assert "epochs: 1\n" in written
    assert "folds: 3\n" in written
    assert workplace.overnight("stop", run.run_id, "--now").returncode == 0
    workplace.ended(run)
