"""What a task is. Types only: torch appears under ``TYPE_CHECKING``, so every verb may import this.

A task is a folder of four files, each for its process: ``config.py`` (what may be asked; all the
CLI ever imports), ``data.py`` (the index of examples, torch-free), ``task.py`` (the trainer's part)
and ``predict.py`` (the server's).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeAlias

from overnight.errors import UserError

if TYPE_CHECKING:
    from pydantic import BaseModel
    from torch import nn

Json: TypeAlias = "None | bool | int | float | str | list[Json] | dict[str, Json]"
Stage = Literal["tune", "train", "calibrate", "predict"]
Capability = Literal[
    "folds",
    "oof",
    "calibrate",
    "tta",
    "ensemble",
    "exact_resume",
    "ddp",
    "tune",
    "stream",
    "train_metrics",
]
Ended = Literal["finished", "early_stopped", "signal", "deadline", "pruned"]


@dataclass(frozen=True, slots=True)
class Scope:
    """Which part of a run a row, a checkpoint or a picture belongs to."""

    fold: int | None = None
    trial: int | None = None
    stage: Stage = "train"

    @property
    def name(self) -> str:
        """As a folder's name: ``fold0``, ``trial3-fold0``, ``all`` where it is the whole run."""
        parts = [f"trial{self.trial}"] if self.trial is not None else []
        parts += [f"fold{self.fold}"] if self.fold is not None else []
        return "-".join(parts) or "all"


@dataclass(frozen=True, slots=True)
class TaskInfo:
    """What the CLI needs to know of a task.

    Attributes:
        name: The word in a config's ``task:``.
        extra: The pip extra that brings its libraries: ``train`` is ``overnight[train]``.
        data: The schema of ``data:``.
        model: The schema of ``model:``.
        train: The schema of ``train:``.
        main_metric: The number the best checkpoint is chosen by (docs/metrics.md).
        greater_is_better: Whether a higher main metric is a better one.
        output: What it predicts.
        can: What the loops around it may do with it. ``train_metrics``: its metric is counted of
            what is trained on, too, at no cost worth speaking of; boxes are matched for validation
            alone.
        modes: A word of ``--mode`` → what that fills in where a config leaves it open, by full key:
            ``train.mixup``. The schemas' defaults are mode ``basic``'s, but for what stands here.
        unless: A key of ``modes`` → others that keep it open, too, where a config names one of
            them: who says how many folds there are wants them all.
        reader: ``module:Class`` of its DataReader.
        task: ``module:Class`` of its Task; imported in the trainer only.
        search_space: What a search varies where nobody says what, as ``tuning.search_space``.
        inputs: ``module:Class`` of its Inputs (overnight.tasks.predictor); torch-free.
        predictor: ``module:Class`` of its Predictor; imported where predictions are made only.
        starter: ``module:Class`` of its Starter; empty: ``overnight new`` knows no first config.
        weights: ``module:function`` that is given ``model:`` and the environment and says, as a
            UserError or None, why pretrained weights cannot be had. Torch-free, some seconds.
    """

    name: str
    extra: str
    data: type[BaseModel]
    model: type[BaseModel]
    train: type[BaseModel]
    engine: Literal["hf", "ultralytics"]
    main_metric: str
    greater_is_better: bool
    output: Literal["classes", "mask", "boxes", "text", "image"]
    can: frozenset[Capability]
    reader: str
    task: str
    search_space: Mapping[str, Json] = field(default_factory=dict)
    modes: Mapping[str, Mapping[str, Json]] = field(default_factory=dict)
    unless: Mapping[str, Sequence[str]] = field(default_factory=dict)
    inputs: str = ""
    predictor: str = ""
    starter: str = ""
    weights: str = ""


@dataclass(frozen=True, slots=True)
class Found:
    """What lies in a folder, as far as a first config needs it.

    Attributes:
        values: Keys of the config, ``data.train_csv``, and their values; paths absolute.
        num_rows: Of its table, if it has one.
        num_classes: Where they can be counted at a glance.
    """

    values: Mapping[str, Any]
    num_rows: int | None = None
    num_classes: int | None = None


class Starter(Protocol):
    """A task's part of ``overnight new``. Torch-free.

    Attributes:
        presets: Its word → what differs from the defaults, by full key: ``train.epochs``.
        placeholders: What stands in a config where nobody has said where the data are.
        shown: Keys that stand in a first config with their defaults; the others are remarks.
        configs: What the catalogue calls another config (``highperf``: ``train_highperf.yaml``) →
            what stands in it beside the data, by full key.
        searches: The same for files of searches, by the keys of ``tuning:``.
    """

    configs: Mapping[str, Mapping[str, Json]]
    searches: Mapping[str, Mapping[str, Json]]
    presets: Mapping[str, Mapping[str, Json]]
    placeholders: Mapping[str, Json]
    shown: Sequence[str]

    def look(self, place: Path) -> Found:
        """What lies in a folder, or beside a table.

        Raises:
            UserErrors: It is not there, or holds nothing to train on.
        """
        ...


@dataclass(frozen=True, slots=True)
class Example:
    """One row of the data index: paths and targets, never pixels.

    Attributes:
        id: As the data names it; unique in an index.
        inputs: What it is made of: ``{"image": "/data/train/0001.jpg"}``; absolute paths. In
            CIFAR-10's own batches an image has no path: ``{"image": BATCH, "row": "17"}``.
        target: The class's index, a mask's path, boxes …; None where there is none.
        group: Examples of one group stay in one fold.
        fold: The fold the data itself names.
    """

    id: str
    inputs: Mapping[str, str]
    target: Json = None
    group: str | None = None
    fold: int | None = None


@dataclass(frozen=True, slots=True)
class Problem:
    """Something the data has that a person should know of.

    Attributes:
        key: Its sentence in the catalogue (``data.*``).
        fields: What the sentence names.
        examples: Ids or paths it is true of, the first ones; ``num`` counts all.
        stops: Whether no training can begin with it.
    """

    key: str
    fields: Mapping[str, Json]
    examples: Sequence[str] = ()
    num: int = 0
    stops: bool = False

    @property
    def error(self) -> UserError:
        """As the error that ends a training before its first step."""
        return UserError(self.key, where=", ".join(self.examples[:3]), **self.fields)


@dataclass(frozen=True, slots=True)
class DataIndex:
    """A data set as the trainer and preflight read it.

    Attributes:
        examples: With a target: what is trained and validated on.
        unlabelled: Without one: the test images, if there are any.
        labels: The classes' names, by index.
        fingerprint: sha256 over ids, targets and the contents of the files.
        problems: All that was found, told before the first step.
        card: Counts, histogram, sizes: what the dataset card shows.
        codes: What the data writes for each class, by index, where that is not its name: ``"3"``.
    """

    examples: Sequence[Example]
    unlabelled: Sequence[Example]
    labels: Sequence[str]
    fingerprint: str
    problems: Sequence[Problem]
    card: Mapping[str, Json]
    codes: Sequence[str] | None = None


class DataReader(Protocol):
    """``data.py``: preflight and the trainer read a data set the same way. Torch-free."""

    def scan(self, data: Any, *, progress: Callable[[int, int], None] | None = None) -> DataIndex:
        """Reads the index; ``data`` is the task's own schema, its paths absolute.

        Raises:
            UserErrors: What makes it no data set at all: a missing file or column.
        """
        ...

    def glance(self, data: Any) -> Sequence[Problem]:
        """What :meth:`scan` would find, as far as no example has to be opened for it.

        Raises:
            UserErrors: As of :meth:`scan`.
        """
        ...


class JobLedger(Protocol):
    """The job's only pen."""

    def metrics(
        self,
        values: Mapping[str, float],
        *,
        step: int | None = None,
        epoch: int | None = None,
        scope: Scope = ...,
        summary: bool = False,
    ) -> None:
        """One row: of a step, of an epoch (``epoch`` without ``step``), or of the whole run."""
        ...

    def event(self, name: str, **fields: Json) -> None:
        """One of the job's events (docs/ledger-format.md)."""
        ...

    def progress(self, done: float, total: float, *, unit: str = "step") -> None:
        """How far the fit is; the ledger makes the whole run's of it."""
        ...


class Stop(Protocol):
    """Whether the training was asked to end."""

    def asked(self) -> Literal["signal", "deadline", "pruned"] | None:
        """By whom; None: go on."""
        ...


@dataclass(frozen=True, slots=True)
class FitContext:
    """Everything one fit needs. Folds, trials and Ray are loops that make these.

    Attributes:
        folder: Where this scope's checkpoints lie: ``<run>/ckpt/<scope.name>``.
        spec: The whole spec (overnight.spec.Spec).
        checkpoint: The newest whole checkpoint of this scope, else None.
        report: Called with (epoch, main metric) after each evaluation; False asks to prune.
        rank: Of this process; ``world`` processes train together. The engine sets both.
        total_scopes: How many fits this run has, and ``scopes_done`` how many are over: for the
            progress of the whole run.
    """

    folder: Path
    spec: Any
    scope: Scope
    train: Sequence[Example]
    valid: Sequence[Example]
    labels: Sequence[str]
    checkpoint: Path | None
    ledger: JobLedger
    stop: Stop
    report: Callable[[int, float], bool]
    rank: int = 0
    world: int = 1
    total_scopes: int = 1
    scopes_done: int = 0


@dataclass(frozen=True, slots=True)
class FitResult:
    """What a fit leaves.

    Attributes:
        member: The model folder of the best checkpoint: ``<folder>/best``.
        metrics: Of the best epoch, by their names in docs/metrics.md, plus ``epoch``.
        logits: ``(N, K)`` float32 ``.npy``, rows as in ``FitContext.valid``; None where the task
            has none.
    """

    member: Path
    metrics: Mapping[str, float]
    ended: Ended
    logits: Path | None


class Metric(Protocol):
    """Streaming: nothing in it grows with the evaluation set."""

    def update(self, outputs: Any, batch: Mapping[str, Any]) -> None:
        """Takes a batch's outputs and targets."""
        ...

    def merge(self, others: Sequence[Any]) -> None:
        """Takes what other processes have seen."""
        ...

    def compute(self) -> dict[str, float]:
        """The numbers, by their names in docs/metrics.md."""
        ...

    def state(self) -> Json:
        """What a checkpoint in the middle of an epoch keeps of it."""
        ...

    def load(self, state: Any) -> None:
        """Goes on from there."""
        ...


class Task(Protocol):
    """``task.py``: the trainer's part. Knows nothing of folds, trials, calibration or processes."""

    info: TaskInfo

    def dataset(self, examples: Sequence[Example], ctx: FitContext, *, augment: bool) -> Any:
        """A map-style dataset; item ``i`` of epoch ``e`` draws from (seed, e, i) only.

        It has ``__len__``, ``__getitem__`` and ``set_epoch(e)``, e counted from 0.
        """
        ...

    def collate(self, batch: Sequence[Any], *, seed: int, train: bool) -> Mapping[str, Any]:
        """Examples to a batch; mixup and the like draw from ``seed`` only.

        Its first part is as long as the batch has examples. Tensors in lists and mappings, as boxes
        are, go to the card as well.
        """
        ...

    def model(self, ctx: FitContext) -> nn.Module:
        """The model to train; ``forward(**batch)`` gives ``loss``, the mean over the batch.

        What a loss needs (noise, matched boxes, masked tokens) is drawn and worked out in there.
        Where the task can ``oof`` it gives ``logits`` as well, a row an example.
        """
        ...

    def metric(self, ctx: FitContext) -> Metric:
        """A fresh one."""
        ...

    def media(
        self, model: nn.Module, examples: Sequence[Example], ctx: FitContext
    ) -> Iterable[Any]:
        """Pictures and tables that show how good it is."""
        ...

    def save(self, model: nn.Module, folder: Path, ctx: FitContext) -> Mapping[str, Json]:
        """Writes a member (``save_pretrained``, safetensors) and says what overnight.json needs."""
        ...

    def load(self, folder: Path) -> nn.Module:
        """The model of a member that :meth:`save` wrote, to predict with."""
        ...


class Engine(Protocol):
    """The only door to training."""

    name: str

    def fit(self, task: Task, ctx: FitContext) -> FitResult:
        """Trains, or goes on training, to the end or until it is asked to stop."""
        ...

    def evaluate(self, task: Task, member: Path, ctx: FitContext) -> dict[str, float]:
        """The numbers of a member on ``ctx.valid``."""
        ...
