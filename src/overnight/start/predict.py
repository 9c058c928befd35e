"""``overnight predict``: a model and a heap of inputs become a run of kind ``infer``.

All that can be wrong is found before anything starts: the model is read to its last byte, the
inputs are looked for by name, the sample's columns are held against the classes. No torch.
"""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast, get_args

from overnight import model_folder
from overnight.errors import UserError, UserErrors
from overnight.ledger.files import read_json
from overnight.ledger.format import time_us
from overnight.ledger.paths import RunPaths, find_root, name_from, runs_of
from overnight.ledger.state import Finished, view
from overnight.plugins import nearest
from overnight.prediction import asked as asking
from overnight.prediction import form
from overnight.prediction.asked import Input, Prediction
from overnight.start import config as configs
from overnight.start.begin import Started, begin
from overnight.start.check import Asked, environment, own
from overnight.tasks.predictor import Source, Views

if TYPE_CHECKING:
    from overnight.model_folder import Card
    from overnight.spec import Spec

LATEST = "latest-train"
_DAY = re.compile(r"\d{8}")
#: Kinds of run that leave a model.
_TRAININGS = ("train", "pipeline")
_UNREADABLE = ("refuse", "default")
Unreadable = Literal["refuse", "default"]


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a person wants predicted; all else is in ``Asked``.

    Attributes:
        inputs: A folder, a CSV of IDs, or images; none: the config's test images.
        model: ``latest-train``, a day (``20261122``), a run's folder or a model folder; empty: that
            of the prediction that is done again, else ``latest-train``.
        sample: A table whose form the results are to have.
        tta: none, flip or crops; None: as the config says.
        unreadable: refuse or default; None: as the config says.
        batch_size: Inputs at a time; None: the usual.
    """

    inputs: Sequence[str] = ()
    model: str = ""
    sample: str = ""
    tta: str | None = None
    unreadable: str | None = None
    batch_size: int | None = None


def start(asked: Asked, wanted: Wanted | None = None, found: Sequence[UserError] = ()) -> Started:
    """Checks, makes the run's folder, starts the supervisor, and returns once the job runs.

    Args:
        asked: Its target is a config, or empty; the rest as for every run.
        wanted: What is to be predicted; by default the config's test images by the newest model.
        found: What is known to be wrong already, told together with all the rest.

    Raises:
        UserErrors: Everything that is wrong with what was asked; nothing was started or left.
    """
    wanted = wanted or Wanted()
    problems = list(found)
    base = os.path.dirname(os.path.abspath(asked.target)) if asked.target else os.getcwd()
    root = find_root(base if os.path.isdir(base) else os.getcwd(), asked.root)
    env = environment(asked, root, problems)
    given = _config(asked, env, problems)
    if given is None:
        raise UserErrors(problems)
    if given.spec is not None and not (asked.root or os.environ.get("OVERNIGHT_ROOT")):
        root = configs.root_of(given.spec) or root
    card = _model(wanted, root, given, problems)
    prediction = _prediction(wanted, given, card, problems)
    name = asked.name or (prediction.name if prediction is not None else "predict")
    shown = asked.target or " ".join(wanted.inputs[:3]) + (" …" if len(wanted.inputs) > 3 else "")
    asked = replace(asked, kind="infer", name=name, target=shown)

    def keep(run: RunPaths) -> list[str]:
        assert prediction is not None
        asking.write(prediction, run.config_yaml)
        # -P: a torch.py or overnight/ that happens to lie in the root is none of ours.
        return [sys.executable, "-P", "-m", "overnight.trainer", run.dir]

    ready = own(asked, root, env, keep, problems)
    if problems:
        raise UserErrors(problems)
    return begin(ready)


def predict(
    input: str | os.PathLike[str] | Sequence[str | os.PathLike[str]] = (),
    *,
    model: str | os.PathLike[str] | RunPaths = LATEST,
    config: str | os.PathLike[str] | None = None,
    set: Mapping[str, object] | None = None,
    sample: str | os.PathLike[str] | None = None,
    tta: Views | None = None,
    unreadable: Unreadable | None = None,
    batch_size: int | None = None,
    name: str | None = None,
    labels: Sequence[str] = (),
    notify: Sequence[str] = (),
    track: Sequence[str] = (),
    root: str | os.PathLike[str] | None = None,
) -> RunPaths:
    """Starts a prediction and gives its run once it is under way; it outlives the caller.

    ::

        run = overnight.predict("data/test", model="latest-train")
        print(run.at("submission.csv"))   # there once the run has finished

    Args:
        input: A folder, a CSV of IDs, or images; none: the config's test images.
        model: ``latest-train``, a day (``20261122``), a run, its id or folder, or a model folder.
        config: A training's YAML file: its ``data:`` names the inputs and the columns.
        set: Other values for its keys, ``{"data.image_dir_test": "data/new"}``.
        sample: A table whose form the results are to have.
        tta: Which views of an input are averaged: none, flip or crops.
        unreadable: What happens where inputs cannot be read: refuse, or default (the sample's
            value).
        batch_size: Inputs at a time.
        name: The run's name; that of the training by default.
        labels: Words to find the run by.
        notify: Channels to be told on; none: as the files say.
        track: Trackers; none: nowhere.
        root: The root folder; found as for every run by default.

    Raises:
        UserErrors: Everything that is wrong with the model, the inputs or the machine.
    """
    inputs = [input] if isinstance(input, (str, os.PathLike)) else list(input)
    asked = Asked(
        target="" if config is None else os.fspath(config),
        overrides={key: json.dumps(value, default=os.fspath) for key, value in (set or {}).items()},
        name=name,
        labels=labels,
        notify=notify,
        track=track,
        kind="infer",
        root=None if root is None else os.fspath(root),
    )
    wanted = Wanted(
        inputs=[os.fspath(each) for each in inputs],
        model=model.dir if isinstance(model, RunPaths) else os.fspath(model),
        sample="" if sample is None else os.fspath(sample),
        tta=tta,
        unreadable=unreadable,
        batch_size=batch_size,
    )
    return start(asked, wanted).run


# ── the config ──────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class _Given:
    """What a config says: a training's spec, an earlier prediction's, or nothing."""

    spec: Spec | None = None
    again: Prediction | None = None


def _config(asked: Asked, env: Mapping[str, str], problems: list[UserError]) -> _Given | None:
    if not asked.target:
        problems += [
            UserError("predict.set_without_config", where=f"--set {key}") for key in asked.overrides
        ]
        return _Given()
    if os.path.isfile(asked.target) and asking.is_prediction(asked.target):
        problems += [
            UserError("predict.set_on_prediction", where=f"--set {key}") for key in asked.overrides
        ]
        try:
            own = RunPaths(os.path.dirname(os.path.abspath(asked.target)))
            is_of_run = os.path.abspath(asked.target) == own.config_yaml
            return _Given(again=asking.of_run(own) if is_of_run else asking.read(asked.target))
        except UserErrors as error:
            problems += error.errors
            return None
    from overnight import spec as specs

    try:  # what it trained on may be gone, or on another machine
        return _Given(specs.read(asked.target, asked.overrides, env))
    except UserErrors as error:
        problems += error.errors
    except UserError as error:
        problems.append(error)
    return None


# ── the model ───────────────────────────────────────────────────────────────────────────────────


def _model(wanted: Wanted, root: str, given: _Given, problems: list[UserError]) -> Card | None:
    """The model that is meant, each of its bytes read; None where it cannot be used."""
    from overnight import tasks

    task = given.spec.task if given.spec is not None else None
    again = given.again if not wanted.model else None
    try:
        # "Again" means the same model: latest-train may be another one by now.
        folder = again.model.folder if again is not None else model_of(wanted.model or LATEST, root)
        card = model_folder.verify(folder, task=task, output="classes")
    except UserErrors as error:
        problems += error.errors
        return None
    except UserError as error:
        problems.append(error)
        return None
    except OSError as error:
        why = error.strerror or str(error)
        problems.append(UserError("predict.cannot_read", where=error.filename, why=why))
        return None
    info = tasks.find(card.task)
    if info is None or not info.predictor or not info.inputs:
        problems.append(UserError("predict.unknown_task", where=card.folder, task=card.task))
        return None
    if again is not None and again.model.sha256 != card.sha256:
        problems.append(UserError("predict.model_changed", where=folder))
        return None
    return card


def model_of(word: str, root: str) -> Path:
    """The model folder that a word means.

    Args:
        word: ``latest-train``, a day, a run's id or folder, or a model folder.
        root: Below which runs are looked for.

    Raises:
        UserError: There is none.
    """
    if word == LATEST or _DAY.fullmatch(word):
        return _newest(root, None if word == LATEST else word)
    folder = Path(os.path.expanduser(word))
    if os.sep not in word:
        folder = next((Path(run.dir) for run in runs_of(root) if run.run_id == word), folder)
    if (folder / model_folder.CARD).is_file():
        return folder
    if (folder / "run.json").is_file():
        run = RunPaths(os.path.realpath(folder))
        if not os.path.isdir(run.at("model")):
            raise UserError("predict.run_without_model", where=run.dir, run=run.run_id)
        return Path(run.at("model"))
    if folder.is_dir():
        raise UserErrors([UserError("model.no_card", where=folder)])
    near = LATEST if LATEST.startswith(word) else nearest(word, [LATEST])
    key = "predict.no_such_model_near" if near else "predict.no_such_model"
    raise UserError(key, where=word, near=near)


def _newest(root: str, day: str | None) -> Path:
    """The model of the newest finished training."""
    trainings = [
        run for run in runs_of(root) if run.kind in _TRAININGS and (day is None or run.date == day)
    ]
    trainings.sort(key=_created_us, reverse=True)
    for run in trainings:
        has_model = os.path.isfile(run.at("model", model_folder.CARD))
        if has_model and isinstance(view(run).state, Finished):
            return Path(run.at("model"))
    if day is not None:
        raise UserError("predict.no_model_of_day", where=root, day=day)
    raise UserError("predict.no_model", where=root)


def _created_us(run: RunPaths) -> tuple[int, str]:
    return time_us((read_json(run.run_json) or {}).get("created_us")) or 0, run.run_id


# ── what is predicted ───────────────────────────────────────────────────────────────────────────


def _prediction(
    wanted: Wanted, given: _Given, card: Card | None, problems: list[UserError]
) -> Prediction | None:
    """All of it as the run keeps it; None where something is wrong."""
    spec, again = given.spec, given.again
    wanted = _right(wanted, problems)
    if card is None:
        return None
    source = _source(wanted, given)
    word = wanted.model or (again.model.asked if again is not None else LATEST)
    model = asking.model_of(card, word)
    tta, unreadable = wanted.tta, wanted.unreadable
    defaults = again or (spec.predict if spec is not None else None)
    made = Prediction(
        task=card.task,
        name=_name(given, card),
        model=model,
        input=source,
        tta=cast("Views", tta or (defaults.tta if defaults else "none")),
        unreadable=cast(
            "Unreadable", unreadable or (defaults.unreadable if defaults else "refuse")
        ),
        **_settings(wanted, given),
    )
    problems += _mistakes(made, card)
    return made


def _right(wanted: Wanted, problems: list[UserError]) -> Wanted:
    """What is right of the options, so that all the rest is looked at as well."""
    changes: dict[str, Any] = {}
    for name, known in (("tta", get_args(Views)), ("unreadable", _UNREADABLE)):
        said = getattr(wanted, name)
        if said is not None and said not in known:
            where = f"--{name} {said}"
            problems.append(UserError("predict.choice", where=where, known=", ".join(known)))
            changes[name] = None
    size = wanted.batch_size
    if size is not None and not 1 <= size <= 65536:
        problems.append(UserError("predict.batch_size", where=f"--batch-size {size}"))
        changes["batch_size"] = None
    odd = []
    for path in (*wanted.inputs, wanted.sample):
        try:
            path.encode()
        except UnicodeEncodeError:  # bytes that are no UTF-8: no config could hold them
            problems.append(UserError("predict.odd_name", where=repr(path)))
            odd.append(path)
    if odd:
        changes["inputs"] = [each for each in wanted.inputs if each not in odd]
        changes["sample"] = "" if wanted.sample in odd else wanted.sample
    return replace(wanted, **changes)


def _settings(wanted: Wanted, given: _Given) -> dict[str, Any]:
    """How it is computed: as the training was, as far as that is known."""
    from_config: dict[str, Any] = {}
    if given.spec is not None:
        train: Any = given.spec.train
        from_config = {name: getattr(train, name) for name in ("batch_size", "num_workers", "amp")}
    elif given.again is not None:
        from_config = given.again.model_dump(include={"batch_size", "num_workers", "amp"})
    if wanted.batch_size is not None:
        from_config["batch_size"] = wanted.batch_size
    return from_config


def _source(wanted: Wanted, given: _Given) -> Input:
    cwd = Path.cwd()
    sample = cwd / wanted.sample if wanted.sample else None
    if given.again is not None and not wanted.inputs:
        earlier = given.again.input
        return earlier.model_copy(update={"sample": sample}) if sample is not None else earlier
    data: Mapping[str, Any] | None = None
    if given.spec is not None:
        data = given.spec.data.model_dump(mode="json")
    elif given.again is not None:
        data = given.again.input.data
    paths = tuple(os.path.expanduser(each) for each in wanted.inputs)
    return Input(base=cwd, paths=paths, sample=sample, data=data)


def _name(given: _Given, card: Card) -> str:
    """As the training is called, and what it is: ``digits-predict``."""
    if given.again is not None:
        return given.again.name
    named = re.fullmatch(r"(.+)_\d{8}_\d{4}(-\d{3,})?", card.run_id or "")
    name = given.spec.project.name if given.spec is not None else named[1] if named else ""
    return name_from(f"{name}-predict".removeprefix("-"))


def _mistakes(made: Prediction, card: Card) -> list[UserError]:
    """What would end it in its first second."""
    source: Source = made.source
    try:
        if source.sample is not None and not source.sample.is_file():
            raise UserError("predict.no_sample", where=source.sample)
        module, _, name = made.info.inputs.partition(":")
        found = getattr(import_module(module), name)().find(source)
        errors = [problem.error for problem in found.problems if problem.stops]
        codes = card.said.get("codes")
        try:
            form.form_of(found.sample, card.labels, codes if isinstance(codes, list) else None)
        except UserErrors as error:
            errors += error.errors
    except UserErrors as error:
        return list(error.errors)
    except UserError as error:
        return [error]
    return errors
