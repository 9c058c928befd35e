"""The notebook of ``make demo``, as it lies in examples/: run, killed, resumed, finished."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from overnight.ledger.reader import read
from overnight.ledger.state import Failed, Finished

NOTEBOOK = Path(__file__).parents[2] / "examples" / "digits.ipynb"

pytestmark = pytest.mark.slow


def test_killed_in_its_second_epoch_it_goes_on_with_the_third(workplace: Any) -> None:
    notebook = workplace.root / "숫자 손글씨.ipynb"
    shutil.copyfile(NOTEBOOK, notebook)
    run = workplace.run(notebook.name, "--set", "EPOCHS=4")
    # Its bar appears once the first epoch's checkpoint is whole.
    workplace.until(lambda: "Epoch 2/4:" in workplace.log(run), timeout_s=240)
    workplace.kill(workplace.job(run))
    state = workplace.ended(run)
    assert isinstance(state, Failed)
    assert state.signal == 9

    done = workplace.overnight("resume", run.run_id)
    assert done.returncode == 0, done.stderr
    assert "checkpoints" in done.stdout
    assert isinstance(workplace.ended(run, timeout_s=240), Finished)

    before, _, after = workplace.log(run).partition("[RESUME]")
    assert "Epoch 1/4 train_loss" in before
    assert "Epoch 3/4 train_loss" not in before
    assert "going on after epoch" in after
    assert "Epoch 1/4 train_loss" not in after
    assert "Epoch 3/4 train_loss" in after
    assert "Epoch 4/4 train_loss" in after
    assert workplace.log(run).endswith("[EXIT] SUCCESS code=0\n")

    pictures = read(run.dir, "media").records
    # The scans are drawn in both attempts, the curves and the matrix in the one that got there.
    assert [picture["_attempt"] for picture in pictures] == [0, 1, 1, 1]
    for picture in pictures:
        assert Path(run.at(picture["path"])).read_bytes().startswith(b"\x89PNG")
    with (workplace.root / "outputs" / "predictions.csv").open() as file:
        assert len(list(csv.DictReader(file))) == 450
    found = json.loads(Path(run.outputs_json).read_text())["files"]
    assert [Path(each["path"]).name for each in found] == ["digits_cnn.pt", "predictions.csv"]
