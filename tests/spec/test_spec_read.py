"""A config is read whole: what it says, and every mistake at once, each at its line."""

from __future__ import annotations

import math
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from overnight import tasks
from overnight.errors import UserError, UserErrors
from overnight.spec import Spec, read
from overnight.tasks.image_classification.config import Data, ImageTrain, Model

ENV = {"DATA": "/data", "EPOCHS": "7", "WORD": "on", "EMPTY": "", "HF_TOKEN": "hf_verysecretword"}


@pytest.fixture(autouse=True)
def _english(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OVERNIGHT_LANG", "en")


def config(folder: Path, text: str, name: str = "train.yaml") -> Path:
    path = folder / "configs" / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def spec(folder: Path, text: str, **overrides: str) -> Any:
    """The spec of a text that has a task and images, if it does not say so itself."""
    text = text if "task:" in text else f"task: image_classification\n{text}"
    if "data:" not in text:
        text += "data: {image_dir_train: ../images}\n"
    return read(config(folder, text), {k.replace("__", "."): v for k, v in overrides.items()}, ENV)


def mistakes(folder: Path, text: str, **overrides: str) -> list[tuple[int, str, str, str]]:
    """Line, key, sentence and what is said of each."""
    with pytest.raises(UserErrors) as caught:
        spec(folder, text, **overrides)
    found = []
    for error in caught.value.errors:
        assert error.place is not None
        said = "; ".join(filter(None, (error.what, error.fix)))
        found.append((error.place.line, error.place.name, error.key, said))
    return found


def test_a_config_may_say_next_to_nothing(tmp_path: Path) -> None:
    found = spec(tmp_path, "")
    assert (found.project.name, found.project.seed) == ("train", 42)
    # One model, where nobody says how many folds: mode basic.
    assert found.data == Data(image_dir_train=tmp_path / "images", valid_fold=0)
    assert (found.mode, found.stages, found.kind) == ("basic", ("train",), "train")
    assert (found.model, found.train) == (Model(), ImageTrain())
    assert (found.track, found.notify) == (None, {})
    assert found.info.main_metric == "macro_f1"
    with pytest.raises(ValueError, match="frozen"):
        found.track = ()


def test_values_are_what_people_mean(tmp_path: Path) -> None:
    found = spec(
        tmp_path,
        """
project: {name: 007}
data:
  image_dir_train: ~/images
  class_names: [no, 1.50, 2026-01-01, "3"]
  image_ext: .jpg
train: {lr: 1e-3, amp: off, warmup: 1_0e-1, compile: yes, num_workers: 010, epochs: 3.0}
track: wandb
output: {log_level: debug}
""",
    )
    assert found.project.name == "007"
    assert found.data.image_dir_train == Path.home() / "images"
    assert found.data.class_names == ("no", "1.50", "2026-01-01", "3")
    train = found.train
    assert (train.lr, train.amp, train.warmup, train.compile) == (1e-3, "off", 1.0, True)
    assert (train.num_workers, train.epochs) == (10, 3)
    assert found.track == ("wandb",)
    assert spec(tmp_path, "track: []\n").track == ()


def test_every_mistake_is_told_at_once_with_its_line(tmp_path: Path) -> None:
    text = """task: image_classification
project: {sed: 3, name: a/b}
data:
  train_csv: ${NOWHERE}/train.csv
  folds: 3
  valid_fold: 3
  sample_csv: x.csv
model:
  poolling: gem
  drop_rate: 1
  epochs: 4
train:
  epochs: 0
  lr: 2
  lr: ten
  optimizer: adamm
  scheduler: onecycle
  warmup: 1
  num_workers: many
  compile: 3
  weight_decay: .inf
  early_stopping: {patience: yes}
track: [mlflow, wand]
notify:
  heartbeat: often
output: {exp_dir: ./exp, keep_checkpoints: 2.5}
batch_size: 3
colour: blue
"""
    overrides = {"x..y": "3", "train__warmpu": "1", "train__mixup": "*a", "model__path": ""}
    assert [each[:3] for each in mistakes(tmp_path, text, **overrides)] == [
        (2, "project.sed", "spec.key_near"),
        (2, "project.name", "run.name_path"),
        (3, "data.image_dir_train", "spec.needed"),
        (3, "data.image_dir_test", "spec.needed"),
        (4, "data.train_csv", "spec.variable_unset"),
        (6, "data.valid_fold", "spec.valid_fold"),
        (9, "model.poolling", "spec.key_near"),
        (10, "model.drop_rate", "spec.below"),
        (11, "model.epochs", "spec.key_elsewhere"),
        (13, "train.epochs", "spec.at_least"),
        (15, "train.lr", "yaml.key_twice"),
        (15, "train.lr", "spec.number"),
        (16, "train.optimizer", "spec.choice_near"),
        (18, "train.warmup", "spec.contradicts"),
        (19, "train.num_workers", "spec.choice"),
        (20, "train.compile", "spec.switch"),
        (23, "track[1]", "spec.choice_near"),
        (25, "notify.heartbeat", "rule.heartbeat_form"),
        (26, "output.keep_checkpoints", "spec.whole_number"),
        (26, "output.exp_dir", "spec.folder_name"),
        (27, "batch_size", "spec.key_elsewhere"),
        (28, "colour", "spec.key_unknown"),
        (0, "x..y", "spec.override_key"),
        (0, "train.mixup", "yaml.anchor"),
        (0, "train.warmpu", "spec.key_near"),
    ]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("model: {poolling: gem}", (2, "model.poolling", "unknown key; did you mean 'pooling'?")),
        ("train:\n  epochs: 0", (3, "train.epochs", "must be at least 1 (got 0)")),
        ("lr: 1", (2, "lr", "unknown key; its place is train.lr")),
        (
            "train: {num_workers: many}",
            (2, "train.num_workers", "must be one of: a whole number, auto (got 'many')"),
        ),
        ("train: {seed: '1e3'}", (2, "train.seed", "unknown key; its place is project.seed")),
        ("project: {seed: '1e3'}", (2, "project.seed", "must be a whole number (got '1e3')")),
        ("train: {epochs: yes}", (2, "train.epochs", "must be a whole number (got yes)")),
        ("train: {lr: .inf}", (2, "train.lr", "must be a finite number (got .inf)")),
        ("train: {lr: .nan}", (2, "train.lr", "must be above 0 (got .nan)")),
        ("train: 5", (2, "train", "must be a table of keys (got 5); write its keys below it, "
                      "indented by two spaces")),
        ("project: {seed: -1}", (2, "project.seed", "must be at least 0 (got -1)")),
        ("task: image_clasification", (1, "task", "must be one of: image_classification "
         "(got 'image_clasification'); did you mean 'image_classification'?")),
        ("train: {warmup: 10}", (2, "train.warmup", "must be shorter than the training, which has "
                                 "10 epochs (got 10)")),
        ("data: {folds: 5, format: csv, train_csv: ''}",
         (2, "data.image_dir_train", "is missing, and format: csv needs it")),
        ("data: {image_dir_train: a, class_names: [a, b, a]}",
         (2, "data.class_names", "the class 'a' stands here twice; remove one of them")),
        ("output: {logs_dir: ../logs}", (2, "output.exp_dir", "is missing, and logs_dir needs it; "
                                         "write ../experiments")),
        ("output: {exp_dir: a/experiments, logs_dir: b/logs}",
         (2, "output.logs_dir", "must lie beside exp_dir (got 'b/logs'); write a/logs, or leave "
          "the key out")),
        ("train: {epochs: '${EPOCH}'}", (2, "train.epochs", "the variable EPOCH is not set; export "
                                         "it, or write it into the root's .env")),
    ],
)  # fmt: skip
def test_what_is_said_of_a_mistake(tmp_path: Path, text: str, said: tuple[int, str, str]) -> None:
    found = mistakes(tmp_path, text + "\n")
    assert [(line, name, text) for line, name, _, text in found] == [said]


def test_a_task_that_was_meant_tells_what_else_is_wrong(tmp_path: Path) -> None:
    text = "task: image_clasification\ntrain: {epochs: 0}\nmodel: {poolling: gem}\n"
    found = mistakes(tmp_path, text)
    assert [name for _, name, *_ in found] == ["task", "train.epochs", "model.poolling"]


def test_without_a_task_the_other_parts_are_looked_at(tmp_path: Path) -> None:
    path = config(tmp_path, "project: {seed: x}\ntrak: [mlflow]\n")
    with pytest.raises(UserErrors) as caught:
        read(path)
    assert [str(error.where).rpartition("/")[2] for error in caught.value.errors] == [
        "train.yaml: task",
        "train.yaml, line 1: project.seed",
        "train.yaml, line 2: trak",
    ]


def test_overrides_win_and_repair(tmp_path: Path) -> None:
    text = "train: {epochs: 0}\nmodel: 5\n"
    found = spec(
        tmp_path, text, train__epochs="9", model__name="resnet18", data__class_names="[cat, 2]",
        train__early_stopping__patience="3", train__warmup="", track="[mlflow, wandb]",
    )  # fmt: skip
    assert (found.train.epochs, found.train.early_stopping.patience) == (9, 3)
    assert (found.model.name, found.data.class_names) == ("resnet18", ("cat", "2"))
    assert found.track == ("mlflow", "wandb")


def test_variables_are_resolved_and_remembered(tmp_path: Path) -> None:
    found = spec(
        tmp_path,
        "data: {image_dir_train: '${DATA}/train'}\nmodel: {name: '${HF_TOKEN}', pooling: '$${x}'}\n"
        "train:\n  epochs: ${EPOCHS}\n  compile: ${WORD}\n",
    )
    assert found.data.image_dir_train == Path("/data/train")
    assert (found.train.epochs, found.train.compile, found.model.pooling) == (7, True, "${x}")
    assert found.variables == {"DATA", "EPOCHS", "WORD", "HF_TOKEN"}


def test_a_variables_value_is_never_repeated(tmp_path: Path) -> None:
    text = "train:\n  epochs: ${HF_TOKEN}\n  amp: ${HF_TOKEN}\ntask: image_classification\n"
    found = mistakes(tmp_path, text)
    assert [each[2] for each in found] == ["spec.whole_number", "spec.choice"]
    assert "verysecret" not in str(found)


def test_an_empty_path_is_not_this_folder(tmp_path: Path) -> None:
    text = "data: {image_dir_train: '${EMPTY}', train_csv: ''}\n"
    assert [each[1:3] for each in mistakes(tmp_path, text)] == [
        ("data.train_csv", "spec.empty"),
        ("data.image_dir_train", "spec.empty"),
    ]


def test_paths_start_at_the_configs_folder(tmp_path: Path) -> None:
    config(tmp_path, "")
    (tmp_path / "far" / "deep").mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "far" / "deep")
    path = tmp_path / "link" / "train.yaml"
    path.write_text("task: image_classification\ndata: {image_dir_train: ../images}\n")
    found = read(path).data.image_dir_train  # type: ignore[attr-defined]
    assert found.resolve() == tmp_path / "far" / "images"


def test_what_must_be_there_is_looked_for(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    path = config(
        tmp_path,
        "task: image_classification\ndata:\n  image_dir_train: ../imags\n  train_csv: ../t.csv\n"
        "output: {exp_dir: ../out/experiments}\n",
    )
    read(path)
    with pytest.raises(UserErrors) as caught:
        read(path, must_exist=True)
    near, gone = caught.value.errors
    assert (near.place and near.place.line, near.key) == (3, "spec.no_such_path_near")
    assert near.fix == f"did you mean {tmp_path / 'images'}?"
    assert (gone.key, gone.what) == ("spec.no_such_path", f"does not exist: {tmp_path / 't.csv'}")


@pytest.mark.parametrize(
    ("data", "key"),
    [
        (b"task: [", "yaml.broken"),
        (b"train:\n\tlr: 1", "yaml.tab"),
        ("task: 이미지\n".encode("cp949"), "yaml.cp949"),
        (b"task: \xff\xfe\n", "yaml.not_text"),
        (b"a: &x 1\nb: *x\n", "yaml.anchor"),
        (b"task: !!python/object:os.system x\n", "yaml.tag"),
        (b"a: 1\n---\nb: 2\n", "yaml.documents"),
        (b"[" * 5000, "yaml.deep"),
        (b'name: "\\ud800"\n', "yaml.not_unicode"),
        (b'name: "\\UFFFFFFFF"\n', "yaml.broken"),
        (b"# " + b"x" * 2_000_000, "yaml.large"),
        (b"- task\n", "spec.not_a_table"),
        (b"? [a]\n: b\n", "spec.key_form"),
        (b"", "spec.task_missing"),
        (None, "spec.no_such_file"),
    ],
)
def test_what_is_no_config_is_a_clear_error(tmp_path: Path, data: bytes | None, key: str) -> None:
    path = tmp_path / "c.yaml"
    if data is not None:
        path.write_bytes(data)
    with pytest.raises(UserErrors) as caught:
        read(path)
    assert key in [error.key for error in caught.value.errors]


def test_a_byte_order_mark_and_windows_lines_do_no_harm(tmp_path: Path) -> None:
    text = "task: image_classification\r\ndata:\r\n  image_dir_train: 사진\r\n"
    path = tmp_path / "c.yaml"
    path.write_bytes(b"\xef\xbb\xbf" + text.encode())
    assert read(path).data.image_dir_train == tmp_path / "사진"  # type: ignore[attr-defined]


def test_a_mistake_is_told_in_korean(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OVERNIGHT_LANG", "ko")
    found = mistakes(tmp_path, "train: {epochs: 0, optimizr: adam}\n")
    assert [each[3] for each in found] == [
        "1 이상이어야 합니다 (현재: 0)",
        "없는 키입니다; 혹시 'optimizer'입니까?",
    ]


words = [
    "task: image_classification\n", "data:\n", "train:\n", "model:", "  epochs: ", "  lr: ", "lr",
    "notify:", "track: ", "output: ", "exp_dir", "${DATA}", "${", "$${", "~", ": ", "\n", "\n  ",
    "- ", "[", "]", "{", "}", "'", '"', "|", "&a", "*a", "!!x", "%YAML", "---", "#", "\t", "0x1",
    "tuning:", "search_space:", "train.lr", "low: ", "choices: ", "mode: ", "highperf", "until: ",
    "predict: ", "auto_continue: ", "1e-3", "off", ".inf", "?", "<<: ", "\\", "한",
    "early_stopping", "class_names: ", "null",
]  # fmt: skip


@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=200, deadline=None
)
@given(st.lists(st.sampled_from(words) | st.text(max_size=6), max_size=30).map("".join))
@example("task: image_classification\ndata: {image_dir_train: a, class_names: [null]}\n")
@example("task: image_classification\ndata: {image_dir_train: \x85}\ntrain: {early_stopping: [1]}")
@example("task: image_classification\ntuning: [a]\nmode: {}\npredict: yes\nuntil: [7]")
@example("task: image_classification\ntuning: {search_space: {train.lr: [1], '': {low: 1}, a: }}")
@example("task: image_classification\ntuning: {search_space: {[a]: {low: 1}}, n_trials: {}}")
@example("task: image_classification\nmode: highperf\ntrain: []\npredict: 5\nmodel: ''\ndata:")
def test_any_text_is_a_spec_or_clear_mistakes(tmp_path: Path, text: str) -> None:
    path = tmp_path / "train.yaml"
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    problems: Sequence[UserError] | None = None
    found = None
    try:
        found = read(path, env=ENV, must_exist=True)
    except UserErrors as error:
        problems = error.errors
    assert isinstance(found, Spec) if problems is None else problems
    assert all(each.what and each.where for each in problems or ())


@given(st.dictionaries(st.text(max_size=12), st.text(max_size=12), max_size=3))
def test_any_override_is_taken_or_a_clear_mistake(overrides: dict[str, str]) -> None:
    path = Path(__file__).parents[2] / "examples" / "none.yaml"
    with pytest.raises(UserErrors):
        read(path, overrides)


def test_numbers_of_a_finite_kind_only(tmp_path: Path) -> None:
    found = spec(tmp_path, "train: {weight_decay: 1e300}\n")
    assert math.isfinite(found.train.weight_decay)


def test_reading_a_config_is_light(tmp_path: Path) -> None:
    path = config(tmp_path, "task: image_classification\ndata: {image_dir_train: .}\n")
    code = (
        "import sys; from overnight.spec import read, write\n"
        f"write(read({str(path)!r}), 'c.yaml')\n"
        "from overnight.cli import main; main(['new', 'here'])\n"
        "print(*{name.partition('.')[0] for name in sys.modules})"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    loaded = set(done.stdout.splitlines()[-1].split())
    assert {"pydantic", "yaml", "overnight"} <= loaded
    heavy = {"torch", "numpy", "pandas", "PIL", "mlflow", "wandb", "sklearn", "rich", "apprise"}
    assert not loaded & heavy


TOY = """
from typing import Annotated
from pydantic import Field
from overnight.tasks.base import TaskInfo
from overnight.tasks.config import Part, Train

class Step(Part):
    kind: str
    size: int = Field(default=1, ge=1)

class Data(Part):
    rows: Annotated[str, Field(min_length=2)]
    steps: tuple[Step, ...] = ()
    share: float | bool = 0.5

INFO = TaskInfo(name="toy", extra="toy", data=Data, model=Part, train=Train, engine="hf",
                main_metric="x", greater_is_better=True, output="classes", can=frozenset(),
                reader="toy:R", task="toy:T")
"""


def test_a_plug_ins_schema_is_read_the_same_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "toy_of_ours.py").write_text(TOY)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(tasks, "ROWS", {"toy": "toy_of_ours:INFO"})
    found = read(config(tmp_path, "task: toy\ndata: {rows: 123, steps: [{kind: 7}]}\n"))
    assert found.data.steps[0].kind == "7"  # type: ignore[attr-defined]
    text = "task: toy\ndata:\n  rows: 1\n  share: x\n  steps:\n"
    text += "    - kind: a\n      sizze: 2\n    - {}\n"
    with pytest.raises(UserErrors) as caught:
        read(config(tmp_path, text))
    assert [(e.place and e.place.line, e.place and e.place.name, e.key)
            for e in caught.value.errors] == [
        (3, "data.rows", "spec.other"),
        (4, "data.share", "spec.choice"),
        (7, "data.steps[0].sizze", "spec.key_near"),
        (8, "data.steps[1].kind", "spec.missing"),
    ]  # fmt: skip
    assert "2 characters" in caught.value.errors[0].what
    with pytest.raises(UserErrors) as caught:
        read(config(tmp_path, "task: toy\n"))
    assert [error.key for error in caught.value.errors] == ["spec.missing"]
