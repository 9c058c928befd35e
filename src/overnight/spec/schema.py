"""The spec: what is asked of a training, whole and frozen."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

from pydantic import BaseModel, Field, InstanceOf, PrivateAttr, create_model

from overnight.ledger.paths import MAX_NAME_CHARS, name_problem
from overnight.tasks.config import Data, Part
from overnight.tuning.config import Tuning

if TYPE_CHECKING:
    from pydantic.fields import FieldInfo

    from overnight.alerts.settings import Given
    from overnight.errors import UserError
    from overnight.tasks.base import Stage, TaskInfo

Mode = Literal["basic", "highperf", "full-pipeline"]
#: Keys from the top to a value; a number counts the items of a list.
Keys = tuple[str | int, ...]
#: The folders of a root, as every other verb looks for them.
_EXPERIMENTS, _LOGS = "experiments", "logs"


class Project(Part):
    """``project:``."""

    #: What runs are called; where a config names none, its file's name.
    name: str
    #: numpy takes none above.
    seed: int = Field(default=42, ge=0, lt=2**32)

    def together(self) -> Iterator[tuple[str, str, dict[str, Any]]]:
        """See ``Part``."""
        why = name_problem(self.name)
        if why is not None:
            yield "name", f"run.name_{why}", {"limit": MAX_NAME_CHARS}


class Output(Part):
    """``output:``. A run's own folder is the same for everybody (docs/ledger-format.md)."""

    logs_dir: Path | None = None
    #: Its parent is the root; None: the root is found as for any other run.
    exp_dir: Path | None = None
    #: A copy of the config as it was written, and the git diff, in the run's ``code/``.
    snapshots: bool = True
    #: Whole ones of each fold, beside its best: two, so that a damaged one is no loss.
    keep_checkpoints: int = Field(default=2, ge=1, le=1000)
    #: Between two of them within an epoch: what a crash may cost.
    checkpoint_minutes: float = Field(default=10.0, gt=0, le=1440)
    log_level: Literal["debug", "info", "warning", "error"] = "info"

    def together(self) -> Iterator[tuple[str, str, dict[str, Any]]]:
        """See ``Part``."""
        for key, name in (("exp_dir", _EXPERIMENTS), ("logs_dir", _LOGS)):
            folder = getattr(self, key)
            if folder is not None and folder.name != name:
                yield key, "spec.folder_name", {"name": name, "path": folder / name}
        if self.logs_dir is not None:
            if self.exp_dir is None:
                path = self.logs_dir.parent / _EXPERIMENTS
                yield "exp_dir", "spec.needed_path", {"by": "logs_dir", "path": path}
            elif os.path.normpath(self.logs_dir.parent) != os.path.normpath(self.exp_dir.parent):
                yield "logs_dir", "spec.logs_apart", {"path": self.exp_dir.parent / _LOGS}


class Predict(Part):
    """``predict:``."""

    #: Test-time augmentation: a picture is seen as it is, mirrored too, or in five windows as well.
    tta: Literal["none", "flip", "crops"] = "none"
    #: refuse: nothing is written where images cannot be read. default: they get the sample's value.
    unreadable: Literal["refuse", "default"] = "refuse"


class Spec(Part):
    """What is asked of a training. Its paths are absolute, its variables resolved.

    Attributes:
        task: The word of the task; ``info`` tells the rest.
        mode: Whose recipe fills what a config leaves open; ``full-pipeline`` also predicts.
        tuning: None: nothing is searched for.
        auto_continue: Whether what a search has found is trained at once.
        calibration: Whether a temperature is fitted to the out-of-fold logits.
        until: When it has to be over, ``2026-11-22T07:00:00+09:00``; None: when it is done.
        data: The task's own schema, as ``model`` and ``train``.
        track: The trackers; empty: the ledger alone. None: nothing is said, and the root's
            overnight.yaml and the environment decide.
        notify: As it was written; ``given`` reads it.
    """

    task: str
    mode: Mode = "basic"
    project: Project
    data: InstanceOf[BaseModel]
    model: InstanceOf[BaseModel]
    train: InstanceOf[BaseModel]
    tuning: Tuning | None = None
    auto_continue: bool = False
    calibration: bool = False
    predict: Predict = Predict()
    until: str | None = None
    track: tuple[str, ...] | None = None
    notify: Mapping[str, Any] = Field(default_factory=dict)
    output: Output = Output()
    #: Values that held ``${VAR}``, as they are written down again.
    _unresolved: dict[Keys, str] = PrivateAttr(default_factory=dict)

    @property
    def info(self) -> TaskInfo:
        """What the task is."""
        from overnight import tasks

        found = tasks.find(self.task)
        assert found is not None, self.task
        return found

    @property
    def stages(self) -> tuple[Stage, ...]:
        """What is to be done, in its order."""
        found: list[Stage] = []
        if self.tuning is not None:
            found.append("tune")
        if self.tuning is None or self.auto_continue:
            found.append("train")
            found += ["calibrate"] if self.calibration else []
            found += ["predict"] if self.mode == "full-pipeline" and self._may_predict else []
        return tuple(found)

    @property
    def _may_predict(self) -> bool:
        """Whether there can be anything to predict: a folder of test images, a part of the data."""
        return not (isinstance(self.data, Data) and self.data.names_test is False)

    @property
    def kind(self) -> str:
        """The kind its run is filed under."""
        if "train" not in self.stages:
            return "optimization"
        return "pipeline" if self.mode == "full-pipeline" else "train"

    @property
    def given(self) -> Given:
        """What is to be told of the run, as ``notify`` asks for it."""
        from overnight import yaml_tree
        from overnight.alerts.settings_file import part_of

        problems: list[UserError] = []
        given = part_of(yaml_tree.of(self.notify), "notify", problems)
        assert not problems, "the reader has looked at it"
        return given

    @property
    def variables(self) -> frozenset[str]:
        """The environment's variables it was read with, and needs to be read again."""
        from overnight.spec.variables import names

        return frozenset(name for text in self._unresolved.values() for name in names(text))


#: The keys of the top whose values are words and switches.
_WORDS = ("mode", "auto_continue", "calibration", "until")


@cache
def words() -> type[Part]:
    """A schema of those keys alone."""
    fields: dict[str, Any] = {
        name: (field.annotation, field)
        for name, field in Spec.model_fields.items()
        if name in _WORDS
    }
    return create_model("Words", __base__=Part, **fields)


def inner_schema(field: FieldInfo) -> type[BaseModel] | None:
    """The schema of a key that is a table of keys itself."""
    pending: list[Any] = [field.annotation]
    while pending:
        kind = pending.pop()
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            return kind
        pending += get_args(kind)
    return None
