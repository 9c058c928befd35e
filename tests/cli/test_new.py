"""``overnight new``: what it makes can be trained with, and what was there stays."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from overnight.cli import main
from overnight.spec import read

SCHEMA = json.loads(
    (Path(__file__).parents[2] / "docs" / "schemas" / "new.json").read_text(encoding="utf-8")
)
SEARCHES = ("configs/optuna_config.yaml", "configs/optuna_fast_config.yaml")
CONFIGS = ("configs/train.yaml", "configs/train_highperf.yaml", "configs/train_fast_optimized.yaml")
FILES = {*CONFIGS, *SEARCHES, ".env.template", "overnight.yaml", ".gitignore"}


class Typed:
    """Types ``overnight new …`` in a folder of its own."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.folder = folder
        self.capsys = capsys

    def __call__(self, *words: str, code: int = 0) -> str:
        assert main(["new", *words]) == code
        shown = self.capsys.readouterr()
        assert "Traceback" not in shown.err
        return shown.out + shown.err

    def json(self, *words: str) -> dict[str, Any]:
        answer: dict[str, Any] = json.loads(self(*words, "--json"))
        jsonschema.validate(answer, SCHEMA)
        return answer


@pytest.fixture
def new(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> Typed:
    folder = tmp_path / "it's my\nproject"
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.setenv("OVERNIGHT_LANG", "en")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return Typed(folder, capsys)


def images(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"jpeg")  # names are all that is looked at
    return folder


def table(path: Path, *lines: str, encoding: str = "utf-8") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n", encoding=encoding)
    return path


@pytest.mark.parametrize("lang", ["en", "ko"])
@pytest.mark.parametrize("preset", ["plain", "fast"])
def test_what_it_writes_is_a_config(
    new: Typed, preset: str, lang: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OVERNIGHT_LANG", lang)
    shown = new("--preset", preset)
    assert all(name in shown for name in FILES)
    config = new.folder / "configs" / "train.yaml"
    spec: Any = read(config)
    assert spec.data.train_csv == new.folder / "data" / "train.csv"
    assert spec.project.name == "it's_my_project"
    assert spec.model.name == {"plain": "efficientnet_b3", "fast": "resnet18"}[preset]
    # What is switched off shows what holds without it.
    text = config.read_text(encoding="utf-8")
    assert max(map(len, text.splitlines())) <= 100
    lines = [line.replace("  #", "  ") if line.startswith("  #") and line[3] != " " else line
             for line in text.splitlines() if not line.startswith("#")]  # fmt: skip
    config.write_text("\n".join(lines), encoding="utf-8")
    everything: Any = read(config, {"train.early_stopping": ""})
    assert everything == spec


@pytest.mark.parametrize("lang", ["en", "ko"])
def test_the_other_configs_can_be_trained_with_as_they_are(
    new: Typed, lang: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OVERNIGHT_LANG", lang)
    images(new.folder / "photos", "cat/1.jpg", "dog/2.png")
    shown = new("--data", "photos")
    night = "--mode full-pipeline --optimize --n-trials 20 --use-calibration --auto-continue"
    assert night in shown
    found: dict[str, Any] = {}
    for name in (*CONFIGS, *SEARCHES):
        text = (new.folder / name).read_text(encoding="utf-8")
        assert max(map(len, text.splitlines())) <= 100
        if name in CONFIGS:
            found[name] = read(new.folder / name, must_exist=True)
            assert found[name].data.image_dir_train == new.folder / "photos"
        else:  # by itself it says what is searched, and nothing else
            config = new.folder / CONFIGS[0]
            found[name] = read(config, search_file=str(new.folder / name)).tuning
        # Every value has its reason above it, but for those of the data, which are the first one's.
        lines = text.partition("\ndata:")[2].partition("\n\n")[2].splitlines()
        for above, line in zip(lines, lines[1:], strict=False):
            if line.startswith("  ") and not line.strip().startswith("#"):
                assert above.strip().startswith("#"), (name, line)
    plain, highperf, fast, night_search, fast_search = found.values()
    assert (plain.stages, plain.data.valid_fold) == (("train",), 0)
    assert (highperf.mode, highperf.predict.tta, highperf.model.name) == (
        "highperf", "flip", "swin_base_patch4_window7_224",
    )  # fmt: skip
    pipeline = read(new.folder / CONFIGS[1], {"mode": "full-pipeline"})
    assert pipeline.model == highperf.model
    assert fast.stages == ("tune", "train", "calibrate")
    assert (fast.tuning.n_trials, fast.until) == (8, "30m")
    assert (night_search.n_trials, len(night_search.search_space)) == (20, 4)
    assert fast_search == fast.tuning


def test_a_project_of_before_gets_what_it_lacks(new: Typed) -> None:
    images(new.folder / "photos", "cat/1.jpg", "dog/2.png")
    new("--data", "photos")
    kept = (new.folder / CONFIGS[0]).read_text(encoding="utf-8")
    for name in (*CONFIGS[1:], *SEARCHES):
        (new.folder / name).unlink()
    answer = new.json()
    assert set(answer["made"]) == {*CONFIGS[1:], *SEARCHES}
    assert (new.folder / CONFIGS[0]).read_text(encoding="utf-8") == kept
    spec: Any = read(new.folder / CONFIGS[2], must_exist=True)
    assert (spec.data.format, spec.data.image_dir_train) == ("folders", new.folder / "photos")
    # One that cannot be read is no reason to leave the others out.
    (new.folder / CONFIGS[0]).write_text("task: [", encoding="utf-8")
    (new.folder / CONFIGS[1]).unlink()
    assert new.json()["made"] == [CONFIGS[1]]


def test_a_table_and_its_images_are_found(new: Typed) -> None:
    data = images(new.folder / "data", *(f"train/{n:03}.jpg" for n in range(9)), "test/a.jpg")
    table(data / "train.csv", "ID,fold,label", *(f"{n:03},{n % 3},{n % 2}" for n in range(9)))
    table(data / "sample_submission.csv", "ID,label", "a,0")
    table(data / "meta.csv", "label,class_name", "0,개", "1,고양이", encoding="cp949")
    answer = new.json("--data", "data")
    assert set(answer["made"]) == FILES
    assert (answer["num_rows"], answer["num_classes"]) == (9, 2)
    text = (new.folder / "configs" / "train.yaml").read_text(encoding="utf-8")
    for line in ("train_csv: ../data/train.csv", "image_dir_train: ../data/train", "id_col: ID",
                 "target_col: label", "sample_csv: ../data/sample_submission.csv", "format: csv",
                 "image_dir_test: ../data/test", "meta_csv: ../data/meta.csv"):  # fmt: skip
        assert f"\n  {line}\n" in text
    assert read(new.folder / "configs" / "train.yaml", must_exist=True)


def test_other_layouts_are_found(new: Typed, tmp_path: Path) -> None:
    away = tmp_path / "a ${b}"
    images(away / "folders", "cat/1.jpg", "dog/2.png")
    images(away / "hub" / "train", "1.jpg", "2.jpg")
    table(away / "hub" / "train" / "metadata.csv", "file_name,species", "1.jpg,cat", "2.jpg,dog")
    images(away / "loose", "1.jpg", "2.jpg")
    table(away / "loose" / "answers.csv", "file;kind", "1.jpg;cat", "2.jpg;dog")
    found = {}
    for name in ("folders", "hub", "loose", "loose/answers.csv"):
        answer = new.json("at " + name, "--data", str(away / name))
        spec: Any = read(answer["config"], must_exist=True, env={})
        found[name] = (spec.data.format, spec.data.target_col)
    assert found == {
        "folders": ("folders", "target"),
        "hub": ("imagefolder", "species"),
        "loose": ("csv", "kind"),
        "loose/answers.csv": ("csv", "kind"),
    }


def test_what_is_there_stays(new: Typed) -> None:
    (new.folder / ".gitignore").write_text("data/\nexperiments\n.env", encoding="utf-8")
    (new.folder / "overnight.yaml").write_text("notify:\n", encoding="utf-8")
    first = new.json()
    assert (first["changed"], first["kept"]) == ([".gitignore"], ["overnight.yaml"])
    ignored = (new.folder / ".gitignore").read_text(encoding="utf-8")
    assert ignored.startswith("data/\nexperiments\n.env\n/logs/\n")
    before = {name: (new.folder / name).read_bytes() for name in FILES}
    again = new.json()
    assert (again["made"], again["changed"], set(again["kept"])) == ([], [], FILES)
    said = new("--data", ".", code=2)
    assert "is there already" in said
    assert {name: (new.folder / name).read_bytes() for name in FILES} == before


def test_every_mistake_is_told_and_nothing_is_made(new: Typed) -> None:
    (new.folder / "file").touch()
    said = new("file", "--data", "nowhere", "--preset", "quick", code=2)
    assert "this is a file" in said
    assert "nothing at this path" in said
    assert "no preset 'quick'" in said
    assert "did you mean 'image_classification'" in new(
        "x", "--task", "image_clasification", code=2
    )
    images(new.folder / "d", "1.jpg")
    table(new.folder / "d" / "t.csv", "a,b", "x,1", "y,2")
    assert "no column" in new("x", "--data", "d/t.csv", code=2)
    (new.folder / "empty").mkdir()
    new("x", "--data", "empty", code=2)
    assert not (new.folder / "x").exists()


def test_a_folder_that_cannot_be_made_is_a_clear_error(new: Typed) -> None:
    (new.folder / "configs").touch()
    said = new(code=2)
    assert "error: " in said
    assert "fix: " in said


@pytest.mark.parametrize(("lang", "example"), [("en", "Examples:"), ("ko", "예:")])
def test_the_help_page_shows_examples(
    new: Typed, lang: str, example: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OVERNIGHT_LANG", lang)
    shown = new("--help")
    assert example in shown
    assert "overnight new --data ../photos" in shown
    assert "image_classification" in shown
