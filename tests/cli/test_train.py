"""What ``overnight train`` and ``overnight run CONFIG`` refuse, before anything is started."""

from __future__ import annotations

from pathlib import Path

import pytest

from overnight.cli import main
from overnight.errors import UserErrors


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A config that nothing is wrong with, in a project of its own."""
    for name in ("XDG_STATE_HOME", "XDG_CONFIG_HOME"):
        monkeypatch.setenv(name, str(tmp_path / name))
    monkeypatch.setenv("OVERNIGHT_LANG", "en")
    monkeypatch.setenv("OVERNIGHT_ROOT", str(tmp_path / "root"))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    (tmp_path / "images").mkdir()
    rows = []
    for number in range(4):
        (tmp_path / "images" / f"{number}.png").write_bytes(b"opened by the trainer only")
        rows.append(f"{number},{'cat' if number < 2 else 'dog'}\n")
    (tmp_path / "train.csv").write_text("ID,target\n" + "".join(rows))
    path = tmp_path / "tiny.yaml"
    path.write_text(
        "task: image_classification\n"
        "data: {train_csv: train.csv, image_dir_train: images, folds: 2}\n"
        "model: {pretrained: false}\n"
    )
    return path


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["train"], "no config was named"),
        (["train", "--detach"], "no config was named"),
        (["train", "job.py"], "this is no YAML config"),
        (["train", "-c", "{config}", "other.yaml"], "two configs were named"),
        (["train", "-c", "nowhere.yaml"], "the file does not exist"),
        (["train", "-c", "tyni.yaml"], "did you mean tiny.yaml?"),
        (["train", "-c", "{config}", "--set", "train.epochs=0"], "must be at least 1"),
        (["train", "-c", "{config}", "--set", "train.epoch=3"], "did you mean 'epochs'"),
        (["train", "-c", "{config}", "--set", "data.train_csv=x.csv"], "x.csv"),
        (["train", "-c", "{config}", "--set", "epochs"], "not of the form KEY=VALUE"),
        (["train", "-c", "{config}", "--name", "a/b"], "the name holds a /"),
        (["train", "-c", "{config}", "--notify", "nobody"], "nobody"),
        (["train", "-c", "{config}", "--stall-after", "soon"], "no length of time"),
        (["train", "-c", "{config}", "--set", "model.pretrained=true"], "HF_HUB_OFFLINE is set"),
        (["train", "-c", "{config}", "--set", "data.id_col=name"], "there is no column 'name'"),
        (["train", "-c", "{config}", "--set", "data.class_names=[cat]"], "that is no class: 2"),
        (["train", "-c", "{config}", "--set", "data.image_dir_train=."], "4 of 4 images"),
        (["train", "-c", "{config}", "--set", "data.folds=5"], "cannot be split into 5 folds"),
        (["train", "-c", "{config}", "--mode", "quick"], "must be one of: basic, highperf"),
        (["train", "-c", "{config}", "--optimize", "--n-trials", "0"], "must be at least 1"),
        (["train", "-c", "{config}", "--n-trials", "3"], "add --optimize"),
        (["train", "-c", "{config}", "--auto-continue"], "no search to continue from"),
        (["train", "-c", "{config}", "--optuna-config", "nowhere.yaml"], "does not exist"),
        (["train", "-c", "{config}", "--until", "2001-01-01T07:00"], "--until"),
        (["train", "-c", "{config}", "--until", "soon"], "write a time of day"),
        (["train", "-c", "{config}", "--skip-training", "--auto-continue"], "leave one of them"),
        (["train", "-c", "{config}", "--skip-training", "--n-trials", "3"], "is for a search"),
        (["train", "-c", "{config}", "--skip-training", "--until", "8h"], "leave --until out"),
        (
            ["train", "-c", "{config}", "--skip-training", "--use-calibration"],
            "overnight calibrate",
        ),
        (["train", "-c", "{config}", "--optimize", "--set", "tuning.folds=3"], "at most 2"),
        (["train", "-c", "{config}", "--set", "until=yesterday"], "is no moment"),
        (["run", "{config}", "--epochs", "3"], "takes no arguments"),
        (["run", "{config}", "--set", "mode=quick"], "must be one of: basic, highperf"),
        (["run", "{config}", "--python", "python3"], "Overnight's own Python"),
        (["run", "{config}", "--map", "/a=/b"], "--map is for notebooks"),
    ],
)
def test_each_mistake_is_told_and_nothing_is_started(
    config: Path, capsys: pytest.CaptureFixture[str], words: list[str], says: str
) -> None:
    code = main([word.format(config=config) for word in words])
    said = capsys.readouterr()
    assert says in said.err
    assert said.out == ""
    assert code == 2
    assert not (config.parent / "root").exists()


def test_all_mistakes_are_told_at_once(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config.write_text(config.read_text() + "train: {epochs: 0, optimiser: adam}\nmodle: {}\n")
    assert main(["train", "-c", str(config), "--name", "a/b", "--alert", "when?"]) == 2
    said = capsys.readouterr().err
    for part in ("epochs", "optimizer", "'model'", "the name holds a /", "'when?'"):
        assert part in said, said


def test_a_library_that_is_missing_is_one_line(
    config: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from overnight.start import config as configs

    monkeypatch.setattr(configs, "find_spec", lambda name: None if name == "timm" else object())
    assert main(["train", "-c", str(config)]) == 2
    said = capsys.readouterr().err
    assert "timm" in said
    assert "pip install 'overnight[train]'" in said


def test_the_demos_config_reads_without_a_mistake() -> None:
    from overnight.spec import read

    path = Path(__file__).parents[2] / "examples" / "digits.yaml"
    spec = read(path)
    assert spec.project.name == "digits-cv"
    demo = (path.parents[1] / "Makefile").read_text(encoding="utf-8")
    assert f"--config examples/{path.name}" in demo


def test_mistakes_of_config_data_and_weights_are_told_in_one_go(
    config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (config.parent / "images" / "3.png").unlink()
    words = ["--set", "model.pretrained=true", "--name", "a/b"]
    assert main(["train", "-c", str(config), *words]) == 2
    said = capsys.readouterr().err
    for part in ("1 of 4 images are not there", "3", "HF_HUB_OFFLINE is set", "holds a /"):
        assert part in said, said


def test_python_takes_the_same_words(config: Path) -> None:
    import overnight

    with pytest.raises(UserErrors) as caught:
        overnight.train(config, mode="bas", n_trials=3, until="yesterday", use_calibration=True)
    assert [(error.key, str(error.where).partition(" ")[0]) for error in caught.value.errors] == [
        ("spec.no_search", "--n-trials"),
        ("spec.choice_near", "--mode"),
        ("until.form", "--until"),
    ]
    with pytest.raises(UserErrors) as caught:
        overnight.train(config, skip_training=True, auto_continue=True)
    assert "train.skip_and_continue" in [error.key for error in caught.value.errors]
