"""A mode fills what a config leaves open; options win over the config, and go together or not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from overnight import tasks
from overnight.errors import UserErrors
from overnight.spec import read, write
from overnight.start.wanted import Wanted

DOCS = Path(__file__).parents[2] / "docs"


@pytest.fixture(autouse=True)
def _english(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OVERNIGHT_LANG", "en")


def spec(folder: Path, text: str = "", wanted: Wanted | None = None, **overrides: str) -> Any:
    path = folder / "c.yaml"
    text = text if "data:" in text else text + "data: {format: folders, image_dir_train: .}\n"
    path.write_text("task: image_classification\n" + text)
    flags = (wanted or Wanted()).flags()
    search = wanted.optuna_config if wanted else ""
    named = {key.replace("__", "."): value for key, value in overrides.items()}
    return read(path, named, {}, flags=flags, search_file=search)


def refused(folder: Path, text: str = "", wanted: Wanted | None = None, **overrides: str) -> Any:
    with pytest.raises(UserErrors) as caught:
        spec(folder, text, wanted, **overrides)
    places = [(each.place, each.key) for each in caught.value.errors]
    return [(place and (place.option or place.line), place and place.name, key)
            for place, key in places]  # fmt: skip


def test_basic_trains_one_model_unless_folds_are_named(tmp_path: Path) -> None:
    for text, folds in (
        ("", 0),
        ("mode: basic\n", 0),
        ("data: {format: folders, image_dir_train: ., folds: 3}\n", "all"),
        ("data: {format: folders, image_dir_train: ., valid_fold: 2}\n", 2),
        ("data: {format: folders, image_dir_train: ., valid_fold: all}\n", "all"),
        ("mode: full-pipeline\n", "all"),
    ):
        assert spec(tmp_path, text).data.valid_fold == folds, text


def test_highperf_fills_what_is_open_and_the_config_wins(tmp_path: Path) -> None:
    found = spec(tmp_path, "mode: highperf\n")
    info = tasks.find("image_classification")
    assert info is not None
    for key, value in info.modes["highperf"].items():
        part, _, name = key.partition(".")
        assert getattr(getattr(found, part), name) == value, key
    assert found.kind == "train"
    own = spec(
        tmp_path,
        "mode: highperf\nmodel: {name: resnet18}\npredict: {tta: crops}\n"
        "train: {ema:, epochs: 2, batch_size: 8}\n",
        train__mixup="0.4",
    )
    assert (own.train.ema, own.train.mixup, own.predict.tta) == (None, 0.4, "crops")
    # What hangs together with a value of yours stays open, too.
    train = own.train
    assert (train.lr, train.warmup, train.accumulate, train.img_size) == (3e-4, None, 1, 224)
    assert train.augmentation == "strong"


def test_an_option_says_the_way_and_the_config_the_recipe(tmp_path: Path) -> None:
    highperf = "mode: highperf\n"
    for text, wanted, mode, epochs in (
        (highperf, Wanted(mode="full-pipeline"), "full-pipeline", 30),
        (highperf, Wanted(use_calibration=True), "full-pipeline", 30),
        (highperf, Wanted(mode="basic"), "basic", 10),
        ("mode: basic\n", Wanted(mode="full-pipeline"), "full-pipeline", 10),
        ("", Wanted(mode="highperf"), "highperf", 30),
        ("", Wanted(optimize=True), "full-pipeline", 10),
        ("", Wanted(), "basic", 10),
    ):
        found = spec(tmp_path, text, wanted)
        assert (found.mode, found.train.epochs) == (mode, epochs), (text, wanted)
        assert found.data.valid_fold == (0 if mode == "basic" else "all")


@pytest.mark.parametrize(
    ("wanted", "stages", "kind"),
    [
        (Wanted(), ("train",), "train"),
        (Wanted(use_calibration=True), ("train", "calibrate", "predict"), "pipeline"),
        (Wanted(optimize=True), ("tune",), "optimization"),
        (Wanted(optimize=True, auto_continue=True), ("tune", "train", "predict"), "pipeline"),
        (Wanted(optimize=True, skip_training=True), ("tune",), "optimization"),
        (
            Wanted(optimize=True, auto_continue=True, mode="basic", use_calibration=True),
            ("tune", "train", "calibrate"),
            "train",
        ),
    ],
)
def test_what_is_done(tmp_path: Path, wanted: Wanted, stages: object, kind: str) -> None:
    text = "data: {format: folders, image_dir_train: ., image_dir_test: .}\n"
    found = spec(tmp_path, text, wanted)
    assert (found.stages, found.kind) == (stages, kind)
    # The run's own config does the same again, without an option.
    write(found, tmp_path / "config.yaml")
    again = read(tmp_path / "config.yaml", env={})
    assert again == found
    assert again.stages == stages


@pytest.mark.parametrize(
    ("data", "predicts"),
    [
        ("{train_csv: t.csv, image_dir_train: .}", False),
        ("{format: folders, image_dir_train: .}", False),
        ("{format: folders, image_dir_train: ., image_dir_test: .}", True),
        ("{image_dir_train: .}", True),  # may be a data set that has a part of its own for it
        ("{format: cifar10, image_dir_train: .}", True),
    ],
)
def test_without_test_images_nothing_is_predicted(
    tmp_path: Path, data: str, predicts: bool
) -> None:
    found = spec(tmp_path, f"data: {data}\n", Wanted(mode="full-pipeline"))
    assert ("predict" in found.stages, found.kind) == (predicts, "pipeline")


def test_a_search_in_the_config_is_one_without_an_option(tmp_path: Path) -> None:
    text = "tuning: {n_trials: 3}\nauto_continue: true\n"
    assert spec(tmp_path, text).stages == ("tune", "train")
    assert spec(tmp_path, text, Wanted(optimize=True, n_trials=7)).tuning.n_trials == 7
    only = spec(tmp_path, text, Wanted(optimize=True, skip_training=True))
    assert (only.stages, only.auto_continue) == (("tune",), False)
    assert spec(tmp_path, text, tuning="", auto_continue="false").stages == ("train",)


def test_options_are_named_where_they_are_wrong(tmp_path: Path) -> None:
    wanted = Wanted(mode="full-pipline", n_trials="many", optimize=True)
    assert refused(tmp_path, "train: {epochs: 0}\n", wanted) == [
        (2, "train.epochs", "spec.at_least"),
        ("--n-trials", "tuning.n_trials", "spec.whole_number"),
        ("--mode", "mode", "spec.choice_near"),
    ]
    assert refused(tmp_path, "", Wanted(n_trials=3, auto_continue=True)) == [
        ("--n-trials", "tuning.n_trials", "spec.no_search"),
        ("--auto-continue", "auto_continue", "spec.nothing_searched"),
    ]
    assert refused(tmp_path, "mode: [basic]\ncalibration: maybe\n") == [
        (2, "mode", "spec.choice"),
        (3, "calibration", "spec.switch"),
    ]


def test_what_a_mode_fills_in_is_never_a_riddle(tmp_path: Path) -> None:
    # `train` itself is wrong: it is told, not repaired by what the mode has for it.
    assert refused(tmp_path, "mode: highperf\ntrain: 5\nmodel: [a]\n") == [
        (3, "train", "spec.table"),
        (4, "model", "spec.table"),
    ]


def test_until_becomes_a_moment_or_a_mistake(tmp_path: Path) -> None:
    from overnight.start.until import parse

    path = tmp_path / "c.yaml"
    text = "task: image_classification\ndata: {format: folders, image_dir_train: .}\n"
    path.write_text(text + "until: 07:00\n")
    found = read(path, env={}, until=parse)
    assert found.until is not None
    assert found.until.endswith("+00:00")
    assert read(path, {"until": ""}, {}, until=parse).until is None
    flags = Wanted(until="8h").flags()
    assert read(path, env={}, flags=flags, until=parse).until != found.until
    path.write_text(text + "until: 2001-01-01T07:00\nmode: quick\n")
    with pytest.raises(UserErrors) as caught:
        read(path, env={}, until=parse)
    assert [each.key for each in caught.value.errors] == ["until.past", "spec.choice"]
    place = caught.value.errors[0].place
    assert place is not None
    assert (place.line, place.name) == (3, "until")


@pytest.mark.parametrize(
    ("wanted", "keys"),
    [
        (Wanted(skip_training=True, auto_continue=True), ["train.skip_and_continue"]),
        (
            Wanted(skip_training=True, use_calibration=True, n_trials=3, until="8h"),
            ["train.skip_and_calibrate", "train.skip_and_search", "train.skip_and_until"],
        ),
        (Wanted(skip_training=True, optuna_config="x.yaml"), ["train.skip_and_search"]),
        (Wanted(skip_training=True, optimize=True, n_trials=3), []),
        (Wanted(optimize=True, auto_continue=True, until="8h", use_calibration=True), []),
    ],
)
def test_options_that_contradict_each_other(wanted: Wanted, keys: list[str]) -> None:
    assert [each.key for each in wanted.contradictions()] == keys


def test_the_page_has_each_value_of_highperf() -> None:
    info = tasks.find("image_classification")
    assert info is not None
    page = (DOCS / "config.md").read_text(encoding="utf-8")
    (row,) = [line for line in page.splitlines() if line.startswith("| `highperf` |")]
    for key, value in info.modes["highperf"].items():
        name = key if key.startswith(("model.", "predict.")) else key.partition(".")[2]
        if key != "data.valid_fold":  # all folds
            assert f"`{name}: {str(value).replace('e-0', 'e-')}`" in row
