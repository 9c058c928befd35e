"""A spec that is written down and read again is the same spec."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from overnight.ledger.paths import name_problem
from overnight.spec import Output, Project, Spec, read, write
from overnight.spec.schema import Predict
from overnight.tasks.config import EarlyStopping
from overnight.tasks.image_classification.config import Data, ImageTrain, Model
from overnight.tuning.config import Tuning

texts = st.text(min_size=1, max_size=8) | st.sampled_from(
    ["no", "1e-3", "0o7", "007", "null", "~", "1:30", "2026-01-01", "${X}", "$${", "a: b", "- a",
     "# a", "'", "\\", " a ", "\n", "\t", "\x85", "\u2028", "사진", "😀", "%", "&a", "*a", "!a"]
)  # fmt: skip
paths = texts.filter(lambda text: "\0" not in text).map(
    lambda text: Path(os.path.normpath("/root/" + text))
)
names = texts.filter(lambda text: name_problem(text) is None)
shares = st.floats(0, 0.99)
spaces = st.dictionaries(
    st.sampled_from(["train.lr", "train.weight_decay", "model.drop_rate"]),
    st.builds(lambda low, high: {"low": low, "high": high}, st.floats(0.01, 0.1), shares.filter(
        lambda high: high > 0.2)),
    min_size=1,
)  # fmt: skip


@st.composite
def specs(draw: Any) -> Spec:
    folds = draw(st.integers(2, 50))
    kind = draw(st.sampled_from([None, "csv", "folders"]))
    data = Data(
        format=kind,
        train_csv=draw(paths) if kind == "csv" else None,
        image_dir_train=draw(paths),
        image_ext=draw(st.none() | texts),
        target_col=draw(texts),
        class_names=draw(st.none() | st.lists(texts, unique=True, max_size=4).map(tuple)),
        folds=folds,
        valid_fold=draw(st.just("all") | st.integers(0, folds - 1)),
        stratify=draw(st.booleans()),
    )
    model = Model(
        name=draw(texts),
        path=draw(st.none() | paths),
        drop_rate=draw(shares),
        pretrained=draw(st.booleans()),
    )
    train = ImageTrain(
        epochs=draw(st.integers(1, 10**20)),
        lr=draw(st.floats(1e-300, 1e300)),
        warmup=draw(st.none() | shares),
        amp=draw(st.sampled_from(["auto", "off", "bf16"])),
        num_workers=draw(st.just("auto") | st.integers(0, 9)),
        early_stopping=draw(st.none() | st.builds(EarlyStopping, patience=st.integers(1, 9))),
        label_smoothing=draw(shares),
    )
    tuning = draw(
        st.none()
        | st.builds(
            Tuning,
            n_trials=st.integers(1, 99),
            pruner=st.sampled_from(["median", "hyperband", "none"]),
            epochs=st.none() | st.integers(1, 9),
            search_space=spaces,
        )
    )
    root = draw(paths)
    is_named = draw(st.booleans())
    return Spec(
        task="image_classification",
        project=Project(name=draw(names), seed=draw(st.integers(0, 2**32 - 1))),
        data=data,
        model=model,
        train=train,
        mode=draw(st.sampled_from(["basic", "highperf", "full-pipeline"])),
        tuning=tuning,
        auto_continue=tuning is not None and draw(st.booleans()),
        calibration=draw(st.booleans()),
        predict=draw(st.builds(Predict, tta=st.sampled_from(["none", "flip", "crops"]))),
        until=draw(st.none() | st.just("2026-11-22T07:00:00+09:00")),
        track=draw(st.sampled_from([None, (), ("mlflow",), ("wandb", "mlflow")])),
        notify=draw(
            st.fixed_dictionaries(
                {},
                optional={
                    "channels": st.sampled_from([["phone"], {"phone": "short"}, False]),
                    "alerts": st.just(["loss is nan", "gpu_temp > 85"]),
                    "events": st.just({"started": True}),
                    "milestones": st.just([0.25, "50%"]),
                    "heartbeat": st.just("3h"),
                },
            )
        ),
        output=Output(
            exp_dir=root / "experiments" if is_named else None,
            logs_dir=root / "logs" if is_named else None,
            log_level="debug",
        ),
    )


@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=100, deadline=None
)
@given(specs())
def test_what_is_written_is_read_again(tmp_path: Path, spec: Spec) -> None:
    path = tmp_path / "config.yaml"
    write(spec, path)
    found = read(path, env={})
    assert found == spec
    assert list(tmp_path.iterdir()) == [path]


def test_every_key_is_there_and_paths_are_absolute(tmp_path: Path) -> None:
    path = tmp_path / "c.yaml"
    path.write_text("task: image_classification\ndata: {image_dir_train: ../사진}\n")
    write(read(path), tmp_path / "whole.yaml")
    written = yaml.safe_load((tmp_path / "whole.yaml").read_text(encoding="utf-8"))
    assert list(written) == list(Spec.model_fields)
    for part, schema in (("data", Data), ("model", Model), ("train", ImageTrain)):
        assert list(written[part]) == list(schema.model_fields)
    assert written["data"]["image_dir_train"] == str(tmp_path.parent / "사진")
    assert written["project"] == {"name": "c", "seed": 42}


def test_variables_stay_as_they_are(tmp_path: Path) -> None:
    folder = tmp_path / "a ${b} folder"
    folder.mkdir()
    path = folder / "c.yaml"
    path.write_text(
        "task: image_classification\ndata:\n  image_dir_train: ${HF_TOKEN}/train\n"
        "  train_csv: ../${SUB}/train.csv\n  class_names: ${SUB}\ntrain:\n  epochs: ${N}\n"
    )
    env = {"HF_TOKEN": "/verysecret", "SUB": "sub", "N": "3"}
    spec: Any = read(path, env=env)
    assert spec.data.train_csv == tmp_path / "sub" / "train.csv"
    assert spec.data.class_names == ("sub",)
    whole = tmp_path / "elsewhere" / "whole.yaml"
    whole.parent.mkdir()
    write(spec, whole)
    text = whole.read_text(encoding="utf-8")
    assert "verysecret" not in text
    assert f"train_csv: {tmp_path}/${{SUB}}/train.csv" in text
    assert "epochs: ${N}" in text
    assert read(whole, env=env) == spec
    assert read(whole, env={**env, "N": "4"}).train.epochs == 4  # type: ignore[attr-defined]


def test_a_disk_that_refuses_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "c.yaml"
    path.write_text("task: image_classification\ndata: {image_dir_train: a}\n")
    spec = read(path)
    with pytest.raises(OSError, match="Not a directory"):
        write(spec, path / "below.yaml")
    assert read(path) == spec
