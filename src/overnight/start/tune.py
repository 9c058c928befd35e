"""``overnight tune``: a search over a config's keys, or over the options of any script."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from overnight import yaml_tree
from overnight.alerts import names
from overnight.errors import UserError, UserErrors
from overnight.ledger import files
from overnight.ledger.paths import RunPaths, name_from
from overnight.preflight.trial.abandoned import put_back_abandoned
from overnight.start.begin import Started, begin
from overnight.start.check import Asked, Ready, check
from overnight.start.wanted import Wanted
from overnight.supervisor.launch import hide
from overnight.supervisor.progress.hints import hinted_totals, hints_in
from overnight.tasks.base import Json
from overnight.tuning import sweep as sweeps
from overnight.tuning import wandb_server, wandb_sweep
from overnight.tuning.script import COMMAND, Script, arguments
from overnight.tuning.space import Choice

if TYPE_CHECKING:
    from overnight.tuning.ask import Settings
    from overnight.tuning.sweep import Sweep

BACKENDS = ("optuna", "wandb")
_SCRIPTS, _CONFIGS = (".py", ".ipynb"), (".yaml", ".yml")
_MOST_TRIALS, _MOST_WORKERS = 100_000, 64
#: As project.seed of a config.
_SEED = 42
_MAX_KIB = 256


@dataclass(frozen=True, slots=True)
class Search:
    """What the options of a search ask for beside what is searched.

    Attributes:
        sweep: A file that says what is searched: W&B's, or of a config the keys of ``tuning:``.
        table: The same as a table of Python's own.
        n_trials: A number, or its text; None: as the file says.
        workers: Trials at a time; likewise.
        backend: Who says what is tried: ``optuna``, here, or ``wandb``, its server.
    """

    sweep: str = ""
    table: Mapping[str, Any] | None = None
    n_trials: int | str | None = None
    workers: int | str | None = None
    backend: str = "optuna"


@dataclass(frozen=True, slots=True)
class Begun:
    """A search that really runs.

    Attributes:
        started: Its run.
        unused: What of a sweep file has no effect here, in the reader's language.
        page: Of a sweep on W&B's server.
    """

    started: Started
    unused: Sequence[str] = ()
    page: str = ""


def start(asked: Asked, search: Search, found: Sequence[UserError] = ()) -> Begun:
    """Checks, makes the run's folder, starts the supervisor, and returns once the search runs.

    Args:
        asked: Its target is a config, a script, a notebook, or a sweep file that names its program.
        search: How it is searched.
        found: What is known to be wrong already, told together with all the rest.

    Raises:
        UserErrors: Everything that is wrong with what was asked; nothing was started or left.
    """
    put_back_abandoned()
    problems = list(found)
    if search.backend not in BACKENDS:
        known = ", ".join(BACKENDS)
        problems.append(
            UserError("sweep.backend_word", where=f"--backend {search.backend}", known=known)
        )
    if find_spec("optuna") is None:
        problems.append(UserError("sweep.no_optuna", where="optuna"))
    asked, search = _of_sweep_file(asked, search)
    if asked.target.lower().endswith(_CONFIGS):
        return _config(asked, search, problems)
    return _script(asked, search, problems)


def tune(
    config_or_script: str | os.PathLike[str],
    *,
    sweep: str | os.PathLike[str] | Mapping[str, Any] | None = None,
    args: Sequence[str] = (),
    n_trials: int | None = None,
    workers: int | None = None,
    backend: str = "optuna",
    set: Mapping[str, object] | None = None,
    python: str | None = None,
    name: str | None = None,
    labels: Sequence[str] = (),
    notify: Sequence[str] = (),
    alerts: Sequence[str] = (),
    track: Sequence[str] = (),
    restart: int = 0,
    root: str | os.PathLike[str] | None = None,
) -> RunPaths:
    """Starts a search and gives its run once it is under way; the search outlives the caller.

    ::

        run = overnight.tune("configs/train.yaml", n_trials=20)
        run = overnight.tune("train.py", sweep="sweep.yaml", args=["--epochs", "3"])

    Args:
        config_or_script: A training's YAML file, a script or a notebook.
        sweep: What is searched: a W&B sweep file, or the same as a table; of a config also a file
            with the keys of ``tuning:``. A config by default says it itself.
        args: What a script is given in each trial, before the values that are tried.
        n_trials: How many trials.
        workers: How many of them at a time.
        backend: ``optuna``, here, or ``wandb``: a sweep on its server.
        set: Other values for a config's keys, ``{"train.epochs": 5}``.
        python: A script's interpreter.
        name: The run's name.
        labels: Words to find the run by.
        notify: Channels to be told on; none: as the files say.
        alerts: Rules, as ``val_f1 > 0.9``.
        track: Trackers; none: as the files say.
        restart: How often it is started again after a failure.
        root: The root folder; found as for every run by default.

    Returns:
        The search's run; its trials lie in its ``children/``.

    Raises:
        UserErrors: Everything that is wrong with what was asked.
    """
    is_table = isinstance(sweep, Mapping)
    asked = Asked(
        target=os.fspath(config_or_script),
        args=list(args),
        overrides={key: json.dumps(value, default=os.fspath) for key, value in (set or {}).items()},
        python=python,
        name=name,
        labels=labels,
        notify=notify,
        alerts=alerts,
        track=track,
        restart=restart,
        root=None if root is None else os.fspath(root),
    )
    search = Search(
        sweep="" if sweep is None or is_table else os.fspath(sweep),  # type: ignore[arg-type]
        table=sweep if isinstance(sweep, Mapping) else None,
        n_trials=n_trials,
        workers=workers,
        backend=backend,
    )
    return start(asked, search).started.run


def _of_sweep_file(asked: Asked, search: Search) -> tuple[Asked, Search]:
    """A sweep file as the target means its program, as for ``wandb sweep``."""
    if search.sweep or search.table or not asked.target.lower().endswith(_CONFIGS):
        return asked, search
    tree = yaml_tree.read(asked.target, [], max_kib=_MAX_KIB)
    if tree is None or not sweeps.is_sweep(tree):
        return asked, search
    program = sweeps.program(tree, asked.target)
    return replace(asked, target=program), replace(search, sweep=asked.target)


# ── a config ─────────────────────────────────────────────────────────────────────────────────


def _config(asked: Asked, search: Search, problems: list[UserError]) -> Begun:
    overrides = dict(asked.overrides)
    if search.table is not None:
        tree = yaml_tree.of(search.table)
        if sweeps.is_sweep(tree):
            tree = sweeps.as_tuning(tree, "sweep", problems)
        overrides["tuning"] = json.dumps(tree.data())
    wanted = Wanted(
        optimize=True,
        skip_training=True,
        n_trials=search.n_trials,
        workers=search.workers,
        optuna_config=search.sweep,
    )
    asked = replace(asked, kind="optimization", overrides=overrides, wanted=wanted)
    ready = check(_to_wandb(asked, search), problems)
    if search.backend != "wandb":
        return Begun(begin(ready))
    from overnight.trainer import search as searches

    spec = ready.spec
    settings = searches.settings(spec, searches.tuning_of(spec).folds)
    sweep = _on_server(ready, settings, searches.metric(spec))

    def keep(run: RunPaths) -> list[str]:
        wandb_sweep.keep(run, sweep)
        return []

    return Begun(begin(replace(ready, keep=keep)), page=sweep.url)


def _to_wandb(asked: Asked, search: Search) -> Asked:
    """A sweep's trials go to W&B, whatever else they go to."""
    if search.backend != "wandb" or "wandb" in asked.track:
        return asked
    return replace(asked, track=(*asked.track, "wandb"))


def _on_server(ready: Ready, settings: Settings, metric: str) -> wandb_server.Sweep:
    """Makes the sweep on W&B's server.

    Raises:
        UserErrors: The server cannot be reached, or will not.
    """
    entry = next((each for each in ready.trackers if each["name"] == "wandb"), None)
    name = ready.asked.name or name_from(ready.asked.target)
    try:
        return wandb_sweep.create(
            entry, settings, metric=metric, name=name, root=ready.root, env=ready.env
        )
    except UserError as error:
        raise UserErrors([error]) from error


# ── a script ─────────────────────────────────────────────────────────────────────────────────


def _script(asked: Asked, search: Search, problems: list[UserError]) -> Begun:
    sweep = _sweep(search, problems)
    if sweep is not None and not asked.target:
        asked = replace(asked, target=sweep.program)
    if not asked.target:
        problems.append(UserError("sweep.no_script", where="--script"))
    elif not asked.target.lower().endswith(_SCRIPTS) and os.path.isfile(asked.target):
        problems.append(UserError("sweep.not_script", where=asked.target))
    problems += [
        UserError("sweep.set_on_script", where=f"--set {key}", key=key) for key in asked.overrides
    ]
    if sweep is None or problems:
        # What else is wrong with the target and the options is told as well.
        _look(replace(asked, overrides={}), problems)
        raise UserErrors(problems)
    sample = {
        key: each.values[0] if isinstance(each, Choice) else _number(each)
        for key, each in sweep.space.items()
    }
    is_notebook = asked.target.lower().endswith(".ipynb")
    given = {key: str(value) for key, value in sample.items()} if is_notebook else {}
    name = asked.name or (name_from(sweep.name) if sweep.name else name_from(asked.target))
    asked = replace(asked, name=name, overrides=given)
    ready = check(_to_wandb(asked, search), problems)
    command = sweep.command or COMMAND
    if not is_notebook:
        _check_arguments(ready, command, sample)
    script = _as_script(ready, sweep, command)
    on_server = search.backend == "wandb"
    made = _on_server(ready, script.settings(), script.metric) if on_server else None

    def keep(run: RunPaths) -> list[str]:
        script.write(run)
        shutil.copyfile(script.path, os.path.join(run.code, os.path.basename(script.path)))
        _describe(run, script, ready)
        if made is not None:
            wandb_sweep.keep(run, made)
        # -P: an overnight/ that happens to lie in the root is none of ours.
        return [sys.executable, "-P", "-m", "overnight.tuning", run.dir]

    asked = replace(ready.asked, kind="optimization", overrides={})
    started = begin(replace(ready, kind="own", asked=asked, keep=keep))
    return Begun(started, sweep.unused, "" if made is None else made.url)


def _look(asked: Asked, problems: list[UserError]) -> None:
    if not asked.target:
        return
    try:
        check(asked)
    except UserErrors as errors:
        problems += errors.errors


def _number(each: Any) -> Json:
    number = int if each.is_int else float
    return number(each.low)


def _sweep(search: Search, problems: list[UserError]) -> Sweep | None:
    """What is searched, with what the options say of it."""
    if search.table is not None:
        found = sweeps.of(yaml_tree.of(search.table), "sweep", problems)
    elif search.sweep:
        found = sweeps.read(search.sweep, problems)
    else:
        problems.append(UserError("sweep.no_sweep", where="--sweep"))
        return None
    where = search.sweep or "sweep"
    counts = {
        "n_trials": _count("--n-trials", search.n_trials, _MOST_TRIALS, problems),
        "workers": _count("--workers", search.workers, _MOST_WORKERS, problems),
    }
    if found is None:
        return None
    said = {key: value for key, value in counts.items() if value is not None}
    tuning = found.tuning.model_copy(update=said)
    if tuning.metric is None:
        problems.append(UserError("sweep.no_metric", where=where))
        return None
    if tuning.goal is None and names.better(tuning.metric) is None:
        problems.append(UserError("sweep.no_goal", where=where, metric=tuning.metric))
        return None
    return replace(found, tuning=tuning)


def _count(
    option: str, given: int | str | None, most: int, problems: list[UserError]
) -> int | None:
    if given is None:
        return None
    text = str(given)
    if text.isascii() and text.isdigit() and 1 <= int(text) <= most:
        return int(text)
    problems.append(UserError("sweep.count", where=f"{option} {text}", most=f"{most:,}"))
    return None


def _check_arguments(ready: Ready, command: Sequence[str], sample: Mapping[str, Json]) -> None:
    """Whether the script would refuse what a trial gives it, as far as its text tells.

    Raises:
        UserErrors: It would.
    """
    forms = {"${" + name + "}": words for name, words in arguments(sample).items()}
    given = [word for each in command for word in forms.get(each, ())]
    if "${program}" not in command or not given:
        return
    from overnight.preflight.target.code import check_arguments
    from overnight.preflight.target.job import Job
    from overnight.preflight.target.program import Program, parse_source

    path = os.path.abspath(ready.asked.target)
    job = Job("script", path, [*ready.asked.args, *given], ready.python, ready.env, os.getcwd(),
              ready.root)  # fmt: skip
    tree = parse_source(job.source, path)
    refused = check_arguments(Program(job, tree)) if tree is not None else []
    if refused:
        reason = str(refused[0].fields["reason"])
        raise UserErrors([UserError("sweep.refused", where=ready.asked.target, reason=reason)])


def _as_script(ready: Ready, sweep: Sweep, command: Sequence[str]) -> Script:
    asked, tuning = ready.asked, sweep.tuning
    assert tuning.metric is not None
    goal = tuning.goal or ("minimize" if names.better(tuning.metric) == "lower" else "maximize")
    path = os.path.abspath(asked.target)
    with open(path, encoding="utf-8", errors="replace") as file:
        hints = hints_in(file.read())
    epochs, folds = hinted_totals([*hints, *asked.args])
    return Script(
        path=path,
        args=hide(asked.args, ready.env),
        python=ready.python,
        cwd=os.getcwd(),
        metric=tuning.metric,
        goal=goal,
        tuning=tuning.model_dump(mode="json"),
        seed=_SEED,
        max_step=(epochs or 0) * (folds or 1),
        command=tuple(command),
        path_map=dict(asked.path_map),
    )


def _describe(run: RunPaths, script: Script, ready: Ready) -> None:
    """What was asked for, for people."""
    said = {
        "target": script.path,
        "args": list(script.args),
        "metric": script.metric,
        "goal": script.goal,
        "command": list(script.command),
        "python": script.python,
        "cwd": script.cwd,
        "seed": script.seed,
        "tuning": dict(script.tuning),
        "label": list(ready.asked.labels),
    }
    lines = [f"{key}: {json.dumps(value, ensure_ascii=False)}\n" for key, value in said.items()]
    files.replace(run.config_yaml, "".join(lines).encode("utf-8", "replace"))
