"""``overnight check CONFIG``: what would keep a training from training, told before it is left."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from overnight.cli import main
from overnight.ledger import files, index
from overnight.ledger.identity import here
from overnight.ledger.paths import create_run
from overnight.ledger.writer import Pen
from overnight.start import Asked, outlook, prepare

Checked = Callable[..., dict[str, Any]]


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Four cats, four dogs and a config that nothing is wrong with, in a project of its own."""
    for name in ("XDG_STATE_HOME", "XDG_CONFIG_HOME", "HF_HOME", "TORCH_HOME"):
        monkeypatch.setenv(name, str(tmp_path / name))
    for name in ("WANDB_API_KEY", "WANDB_MODE", "MLFLOW_TRACKING_URI", "CUDA_VISIBLE_DEVICES"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("OVERNIGHT_LANG", "en")
    root = tmp_path / "root"
    (root / "images").mkdir(parents=True)
    (root / "overnight.yaml").touch()
    monkeypatch.chdir(root)
    rows = ["ID,target"]
    for number in range(8):
        picture = Image.new("RGB", (9, 8), (number * 20, 0, 0))
        picture.save(root / "images" / f"{number}.png")
        rows.append(f"{number},{'cat' if number < 4 else 'dog'}")
    (root / "train.csv").write_text("\n".join(rows))
    path = root / "tiny.yaml"
    path.write_text(
        "task: image_classification\n"
        "data: {format: csv, train_csv: train.csv, image_dir_train: images, folds: 2}\n"
        "model: {name: test_resnet, pretrained: false}\n"
        "train: {epochs: 3, img_size: 32}\n"
        "track: []\n"
    )
    return path


@pytest.fixture
def checked(config: Path, capsys: pytest.CaptureFixture[str]) -> Checked:
    """What ``check CONFIG --no-trial --json`` finds: the exit code, and the findings by name."""

    def check(*words: str) -> dict[str, Any]:
        code = main(["check", str(config), "--no-trial", "--json", *words])
        found = json.loads(capsys.readouterr().out)
        assert found["kind"] == "config"
        assert code == int(any(each["level"] == "bad" for each in found["findings"]))
        return {f"{each['name']}.{each['code']}": each for each in found["findings"]}

    return check


def test_a_config_without_a_fault(config: Path, checked: Checked) -> None:
    found = checked()
    assert found["data.read"]["facts"]["num_examples"] == 8
    assert {"trackers.none", "duration.not_known", "model.not_built"} < set(found)
    assert [name for name, each in found.items() if each["level"] == "bad"] == []
    assert not (config.parent / "experiments").exists(), "it makes no run"


def test_all_that_is_wrong_is_told_at_once(
    config: Path, checked: Checked, capsys: pytest.CaptureFixture[str]
) -> None:
    (config.parent / "images" / "1.png").unlink()
    (config.parent / "images" / "2.png").write_bytes(b"cut")
    shutil.copy(config.parent / "images" / "4.png", config.parent / "images" / "5.png")
    words = ("--set", "model.pretrained=true", "--set", "train.amp=fp16", "--track", "wandb")
    found = checked(*words)
    levels = {name: each["level"] for name, each in found.items()}
    assert levels["data.missing"] == levels["data.unreadable"] == levels["model.refused"] == "bad"
    assert levels["gpu.refused"] == "bad"
    assert levels["data.equal_files"] == "warn"
    assert levels["trackers.offline"] == "warn"
    assert main(["check", str(config), "--no-trial", *words]) == 1
    page = capsys.readouterr().out
    assert "2.png: no image in a format that is known" in page
    assert "HF_HUB_OFFLINE is set" in page
    assert "It would fail" in page


@pytest.mark.parametrize(
    ("words", "key"),
    [
        (("data.target_col=breed",), "data.no_column"),
        (("data.folds=9",), "data.few_images"),
        (("data.class_names=[cat]",), "data.unknown_labels"),
    ],
)
def test_what_makes_it_no_data_set(checked: Checked, words: tuple[str, ...], key: str) -> None:
    found = checked(*(part for word in words for part in ("--set", word)))
    bad = [each for name, each in found.items() if each["level"] == "bad"]
    assert key in {each["facts"].get("key", f"data.{each['code']}") for each in bad}


def test_mistakes_of_the_config_itself_are_told_as_always(
    config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["check", str(config), "--set", "train.epochs=0", "--python", "python3"]) == 2
    said = capsys.readouterr().err
    assert "must be at least 1" in said
    assert "--python" in said


@pytest.mark.parametrize(
    ("changed", "is_known"), [("train.epochs=30", True), ("train.img_size=64", False)]
)
def test_how_long_it_takes_is_known_from_a_run_like_it(
    config: Path, checked: Checked, changed: str, is_known: bool
) -> None:
    from overnight.spec import read, write

    run = create_run(str(config.parent), "train", "before")
    write(read(config), run.config_yaml)
    files.replace(run.run_json, files.to_json({"host": here()[3]}))
    job, metrics = Pen(run.dir, "job", attempt=0), Pen(run.dir, "metrics", attempt=0)
    job.append({"_event": "DatasetUsed", "num_examples": 4})
    for epoch, time_s in enumerate((9.0, 2.0, 2.0)):  # the first one warms up
        metrics.append({"_kind": "epoch", "fold": 0, "epoch": epoch, "time_s": time_s})
    job.close()
    metrics.close()
    index.add(run, name="before", created_us=1)
    found = checked("--set", changed)
    if not is_known:
        assert "duration.not_known" in found
        return
    # 2 s for 4 examples; 8 examples, 30 epochs, 2 folds.
    assert found["duration.about"]["facts"] == {"total_s": 240, "run": run.run_id}
    found = checked("--set", changed, "--set", "train.early_stopping.patience=2")
    assert found["duration.at_most"]["facts"]["total_s"] == 240


def test_a_disk_that_cannot_take_it_all_is_told(config: Path) -> None:
    ready = prepare(Asked(target=str(config)))
    found = outlook.room_on_disk(ready, 10**12, 10**12, 5)
    assert (found.level, found.code) == ("bad", "short")
    assert "keep_checkpoints" in found.fix
    # Of a frozen backbone no optimizer keeps anything; the weights themselves lie there as ever.
    frozen = outlook.room_on_disk(ready, 10**6, 0, 5).facts["need_bytes"]
    assert frozen == 4 * 10**6 * (5 * (2 + 1) + 2)


@pytest.mark.slow
def test_the_model_is_built_and_weighed(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", str(config), "--json"]) == 0
    found = {
        f"{each['name']}.{each['code']}": each["facts"]
        for each in json.loads(capsys.readouterr().out)["findings"]
    }
    num = found["model.built"]["num_parameters"]
    assert 300_000 < num == found["model.built"]["num_trainable"]
    # Two folds: two checkpoints (weights and two moments) and a best each; one more of both.
    assert found["disk.fits"]["need_bytes"] == 4 * num * (2 * (2 * 3 + 1) + 3 + 1)
    assert main(["check", str(config), "--set", "model.pooling=map"]) == 1
    said = capsys.readouterr().out
    assert "'map' pooling is not possible with test_resnet" in said
    assert "possible here: avg, max, avgmax, catavgmax, gem" in said
