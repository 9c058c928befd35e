"""What was asked of a prediction, as the config.yaml of its run has it: enough to do it again."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field, ValidationError

from overnight import tasks, yaml_tree
from overnight.errors import UserError, UserErrors
from overnight.ledger import files
from overnight.ledger.paths import RunPaths
from overnight.tasks.config import Part
from overnight.tasks.predictor import Source, Views

if TYPE_CHECKING:
    from overnight.model_folder import Card
    from overnight.tasks.base import TaskInfo

#: A hundred thousand files by name.
_MAX_KIB = 32 * 1024
_HEAD = "# What this prediction was asked for. overnight predict --config THIS_FILE does it again."


class Model(Part):
    """``model:``: which model predicts.

    Attributes:
        asked: The word it was named by: ``latest-train``.
        sha256: Of the folder; another one is another model.
    """

    asked: str
    folder: Path
    sha256: str
    format: str
    run_id: str | None = None


class Input(Part):
    """``input:``: what is predicted (overnight.tasks.predictor.Source)."""

    base: Path
    paths: tuple[str, ...] = ()
    sample: Path | None = None
    #: A config's ``data:``, whole.
    data: Mapping[str, Any] | None = None


class Prediction(Part):
    """A prediction, whole and frozen."""

    task: str
    name: str
    model: Model
    input: Input
    tta: Views = "none"
    unreadable: Literal["refuse", "default"] = "refuse"
    #: Inputs at a time, where no config of a training says so: fits a card of 8 GB at 300 px.
    batch_size: int = Field(default=64, ge=1, le=65536)
    num_workers: int | Literal["auto"] = "auto"
    amp: Literal["auto", "off", "bf16", "fp16"] = "auto"

    @property
    def info(self) -> TaskInfo:
        """What the task is."""
        found = tasks.find(self.task)
        assert found is not None, self.task
        return found

    @property
    def source(self) -> Source:
        """Where the inputs are."""
        data = self.input.data
        schema = self.info.data
        return Source(
            base=self.input.base,
            paths=self.input.paths,
            sample=self.input.sample,
            data=None if data is None else schema.model_validate(dict(data)),
        )


def model_of(card: Card, word: str) -> Model:
    """How the config names a model."""
    return Model(
        asked=word, folder=card.folder, sha256=card.sha256, format=card.format, run_id=card.run_id
    )


def is_prediction(path: str | os.PathLike[str]) -> bool:
    """Whether a YAML file is a prediction's, and not a training's."""
    tree = yaml_tree.read(os.fspath(path), [], max_kib=_MAX_KIB)
    return tree is not None and tree.kind == "map" and tree.get("input") is not None


def read(path: str | os.PathLike[str]) -> Prediction:
    """What a config.yaml asks for.

    Raises:
        UserErrors: It is none, or somebody has edited it into something that cannot be read.
    """
    problems: list[UserError] = []
    tree = yaml_tree.read(os.fspath(path), problems, max_kib=_MAX_KIB)
    if tree is None:
        raise UserErrors(problems or [UserError("predict.no_config", where=path)])
    try:
        found = Prediction.model_validate(tree.data())
        if tasks.find(found.task) is None:
            raise UserErrors([UserError("predict.unknown_task", where=path, task=found.task)])
        _ = found.source
    except ValidationError as error:
        raise UserErrors(
            [
                UserError(
                    "predict.odd_config",
                    where=path,
                    key=".".join(map(str, each["loc"])) or "-",
                    why=each["msg"],
                )
                for each in error.errors()
            ]
        ) from error
    return found


def of_run(run: RunPaths) -> Prediction:
    """What was asked of a run; paths go along with a root that was moved.

    Raises:
        UserErrors: As of :func:`read`.
    """
    asked = read(run.config_yaml)
    was = (files.read_json(run.launch_json) or {}).get("root")
    if isinstance(was, str) and was not in ("", run.root) and not Path(was).exists():
        return moved(asked, Path(was), Path(run.root))
    return asked


def write(asked: Prediction, path: str | os.PathLike[str]) -> None:
    """Writes it, every key with its value.

    Raises:
        OSError: It cannot be written.
    """
    lines = [_HEAD, *_block(asked.model_dump(mode="json"), "")]
    files.replace(os.fspath(path), ("\n".join(lines) + "\n").encode("utf-8", "backslashreplace"))


def moved(asked: Prediction, was: Path, now: Path) -> Prediction:
    """The same after its root was moved: what lay below ``was`` lies below ``now``."""

    def follow(value: Any) -> Any:
        if isinstance(value, Mapping):
            return {key: follow(each) for key, each in value.items()}
        if isinstance(value, list):
            return [follow(each) for each in value]
        if isinstance(value, str) and value.startswith("/") and Path(value).is_relative_to(was):
            return str(now / Path(value).relative_to(was))
        return value

    return Prediction.model_validate(follow(asked.model_dump(mode="json")))


def _block(values: Mapping[str, Any], indent: str) -> Iterator[str]:
    """Tables a line a key; a value as JSON, which YAML reads as it is."""
    for key, value in values.items():
        if isinstance(value, Mapping) and value:
            yield f"{indent}{key}:"
            yield from _block(value, indent + "  ")
            continue
        text = json.dumps(value, ensure_ascii=False)
        # What a terminal does not show, YAML takes for broken where it is not spelled out.
        shown = "".join(c if c.isprintable() else f"\\U{ord(c):08x}" for c in text)
        yield f"{indent}{key}: {shown}"
