"""Pictures, tables, films and versions in W&B: what its own reader finds in an offline run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import overnight
from overnight.ledger import job
from overnight.outbox import standing, track
from overnight.testing.read_back import offline_records

#: W&B looks into an animated picture, and leaves its file to the collector.
pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]
OFFLINE = {"name": "wandb", "address": "https://api.wandb.ai", "mode": "offline", "entity": "team"}


@pytest.fixture(autouse=True)
def _own_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("WANDB_DATA_DIR", "WANDB_CACHE_DIR", "WANDB_CONFIG_DIR"):
        monkeypatch.setenv(name, str(tmp_path / name.lower()))
    for name in ("WANDB_ERROR_REPORTING", "WANDB_SILENT"):
        monkeypatch.setenv(name, "")


def test_all_that_is_no_number_is_shown_as_wandb_shows_it_best(bench: Any, tmp_path: Path) -> None:
    opened = job.open_run("shown", root=str(bench.root), labels=["baseline"])
    run = opened.run
    photo = np.zeros((8, 6, 3), dtype=np.uint8)
    kept, made = Path(run.at("model")), tmp_path / "made"
    for folder in (kept, made):
        folder.mkdir()
        (folder / "weights.bin").write_bytes(folder.name.encode())
    try:
        overnight.log({"loss": 1.0}, epoch=2, fold=1)
        overnight.image(
            photo, "seen", masks={"truth": photo[..., 0]}, labels=["road", "car"], epoch=2, fold=1,
            boxes={"found": [{"box": [0, 0, 3, 4], "label": "car", "score": 0.5},
                             {"box": [1, 1, 2, 2], "label": "tree"}]},
        )  # fmt: skip
        overnight.table(
            ["image", "truth", "confidence", "odd"],
            [[photo, "road", 0.5, 1], [None, "car", 1, [2, 3]]],
            "wrong",
            step=3,
        )
        cells = [["road", "car", 3], ["car", "car", 4]]
        columns = ["truth", "prediction", "count"]
        overnight.table(columns, cells, "confusion", plot="confusion_matrix")
        overnight.video([photo, photo], "film")
        overnight.histogram([0.0, 1.0, 1.0, 4.0], "gradients/head", bins=4, step=3, fold=1)
        (tmp_path / "clip.mp4").write_bytes(b"\0\0\0\x18ftypmp42")
        overnight.video(tmp_path / "clip.mp4", "clip")
        overnight.artifact(kept, "classifier", "model", ["best"], metadata={"macro_f1": 0.5})
        overnight.artifact(made, "extra", "file", ["a/b"])
        (Path(run.media) / "broken.png").write_bytes(b"no picture at all")
        opened.pen("media").append({
            "_kind": "image", "key": "broken", "path": "media/broken.png",
        })  # fmt: skip
        overnight.log({"loss": 0.5}, epoch=3, fold=1)
    finally:
        job.close_run(opened, {"attempt": 0, "code": 0, "signal": None})
    track.write(run, [OFFLINE])
    cursor = bench.mirror(run)
    assert standing.standing(run)[0].closed, cursor  # what cannot be shown keeps nothing else back
    assert list(cursor["rejected"]["keys"]) == ["broken"]

    records = list(offline_records(bench.root, run))
    rows = [each["history"]["item"] for each in records if "history" in each]
    where = next((bench.root / "wandb").glob("offline-run-*")) / "files"

    def shown(key: str) -> dict[str, Any]:
        [row] = [each for each in rows if f"{key}._type" in each]
        return row

    # The axis is the number's own: an epoch's picture is not drawn over the steps.
    image = shown("fold1/seen")
    assert (image["fold1/epoch"], "fold1/step" in image) == (2, False)
    assert image["fold1/seen.masks.truth._type"] == "mask"
    boxes = json.loads((where / image["fold1/seen.boxes.found.path"]).read_text())
    assert boxes["class_labels"]["1"] == "car"
    [car, tree] = boxes["box_data"]
    assert (car["class_id"], car["scores"], car["domain"]) == (1, {"score": 0.5}, "pixel")
    assert boxes["class_labels"][str(tree["class_id"])] == "tree" == tree["box_caption"]

    table = shown("wrong")
    assert table["step"] == 3
    [path] = [
        part["local_path"]
        for each in records
        if each.get("artifact", {}).get("name", "").endswith("-wrong")
        for part in each["artifact"]["manifest"]["contents"]
        if part["path"] == "wrong.table.json"
    ]
    said = json.loads(Path(path).read_text())
    kinds = {
        column: {each["wb_type"] for each in kind["params"]["allowed_types"]} - {"none"}
        for column, kind in said["column_types"]["params"]["type_map"].items()
    }
    assert kinds == {  # what its page goes by when it draws, sorts and shows pictures
        "image": {"image-file"}, "truth": {"string"},
        "confidence": {"number"}, "odd": {"string"},
    }  # fmt: skip
    [first, second] = said["data"]
    assert (first[0]["_type"], first[1:]) == ("image-file", ["road", 0.5, "1"])
    assert second == [None, "car", 1, "[2, 3]"]
    assert shown("confusion_table")["confusion_table.nrows"] == 2
    config: dict[str, Any] = {}
    for each in records:
        config |= each.get("config", {}).get("update", {})
    assert any("visualize.confusion" in key for key in config)
    assert shown("film")["film._type"] == "image-file"  # an animated picture: no codec is needed
    assert shown("clip")["clip._type"] == "video-file"

    spread = shown("fold1/gradients/head")
    assert spread["fold1/gradients/head._type"] == "histogram"
    assert spread["fold1/gradients/head.values"] == [1, 2, 0, 1]
    assert spread["fold1/gradients/head.bins"] == [0.0, 1.0, 2.0, 3.0, 4.0]
    assert spread["fold1/step"] == 3

    versions = {e["artifact"]["name"]: e["artifact"] for e in records if "artifact" in e}
    model, extra = versions["classifier"], versions["extra"]
    assert (model["type"], set(model["aliases"])) == ("model", {"best", "latest"})
    assert set(extra["aliases"]) == {"a-b", "latest"}
    assert json.loads(model["metadata"]) == {"macro_f1": 0.5}
    # Nothing is copied into the person's home that lies in the run's folder for good.
    [part] = model["manifest"]["contents"]
    assert part["local_path"] == str(kept / "weights.bin")
    assert [each["exit"]["exit_code"] for each in records if "exit" in each] == [0]
