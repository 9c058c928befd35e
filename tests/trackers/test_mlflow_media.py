"""Pictures, tables, versions and data in MLflow, read back by its own client."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import overnight
from overnight.ledger import job
from overnight.ledger.paths import RunPaths
from overnight.outbox import standing, track

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore::DeprecationWarning")]

#: In a process of its own: MLflow's client changes the environment of the one it is in.
READ = """
import json, sys
from mlflow import MlflowClient
client = MlflowClient(tracking_uri="sqlite:///" + sys.argv[1])
[run] = client.search_runs([each.experiment_id for each in client.search_experiments()])
def listed(path=None):
    for each in client.list_artifacts(run.info.run_id, path):
        if each.is_dir:
            yield from listed(each.path)
        else:
            yield each.path
table = client.download_artifacts(run.info.run_id, "tables/fold1/wrong.json", sys.argv[2])
picture = json.load(open(table))["data"][0][0]["filepath"]
print(json.dumps({
    "tags": run.data.tags,
    "artifacts": sorted(listed()),
    "table": json.load(open(table)),
    "picture": open(client.download_artifacts(run.info.run_id, picture, sys.argv[2]), "rb").read().hex(),
    "inputs": [[i.dataset.name, i.dataset.digest, json.loads(i.dataset.profile),
                {tag.key: tag.value for tag in i.tags}] for i in run.inputs.dataset_inputs],
}))
"""  # noqa: E501 - a program


def read_back(root: Path, folder: Path) -> dict[str, Any]:
    """The only run of a database, through MLflow's own client."""
    folder.mkdir()
    argv = [sys.executable, "-W", "ignore", "-c", READ, str(root / "mlflow.db"), str(folder)]
    done = subprocess.run(argv, capture_output=True, text=True, check=True, env=dict(os.environ))
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_what_a_person_looks_at_is_there_as_the_page_wants_it(
    ready: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OVERNIGHT_LANG", "en")
    opened = job.open_run("shown", root=str(ready.root), labels=["a//b", "../c", "overnight.key=x"])
    run: RunPaths = opened.run
    model, data = tmp_path / "model", tmp_path / "card"
    for folder in (model, data):
        folder.mkdir()
    (data / "card.md").write_text("# 120 pictures\n")
    black = [[0, 0], [0, 0]]
    try:
        (model / "first.bin").write_bytes(b"1")
        overnight.artifact(model, "classifier", "model", ["best", "latest"])
        (model / "first.bin").unlink()
        (model / "second.bin").write_bytes(b"2")
        newest = overnight.artifact(model, "classifier", "model", ["latest"])
        card = {"fingerprint": "f" * 64, "num_examples": 120}
        overnight.artifact(data, "digits-data", "dataset", ["latest"], metadata=card)
        overnight.image(bytes_of(black), "seen", step=4)
        overnight.histogram([0.0, 1.0, 1.0, 4.0], "spread", bins=4, step=4)
        cells = [[bytes_of(black), "cat"], [None, "dog"]]
        overnight.table(["image", "truth"], cells, "wrong", fold=1)
    finally:
        job.close_run(opened, {"attempt": 0, "code": 0, "signal": None})
    track.write(run, [{"name": "mlflow", "address": ""}])
    cursor = ready.mirror(run)
    assert not cursor["rejected"]["num"], cursor["rejected"]
    assert standing.standing(run)[0].closed
    found = read_back(ready.root, tmp_path / "read")
    artifacts, tags = found["artifacts"], found["tags"]
    # Two versions side by side, none holding a file of the other; the aliases say which is which.
    versions = [each.split("/")[2:] for each in artifacts if "/classifier/" in each]
    assert sorted(name for _, name in versions) == ["first.bin", "second.bin"]
    folders = {name: folder for folder, name in versions}
    assert newest is not None
    assert folders["second.bin"] == newest[:12]
    assert tags["artifact.classifier"] == tags["artifact.classifier.latest"] == newest
    assert tags["artifact.classifier.best"][:12] == folders["first.bin"]
    [[name, digest, profile, context]] = found["inputs"]
    assert (name, digest, profile) == ("digits-data", "f" * 36, card)
    assert context == {"mlflow.data.context": "training"}
    # Labels that MLflow would refuse are brought into its shape, and none of ours is one of theirs.
    assert tags["a/b"] == tags["c"] == "true"
    assert tags["overnight.key"] != "x"
    # A picture in a table is a cell that its page shows as a picture.
    columns, (first, second) = found["table"]["columns"], found["table"]["data"]
    assert columns == ["image", "truth"]
    assert (first[0]["type"], first[1]) == ("image", "cat")
    assert second == [None, "dog"]
    assert bytes.fromhex(found["picture"]).startswith(b"\x89PNG")
    assert sum(each.startswith("images/seen+step+4+") for each in artifacts) == 2
    assert sum(each.startswith("images/spread+step+4+") for each in artifacts) == 2


def bytes_of(rows: list[list[int]]) -> Any:
    """A grey picture as an array of bytes."""
    import numpy as np

    return np.array(rows, dtype=np.uint8)
