"""Runs that this process opens and finishes itself: several, one after another or at once.

A run is a folder of the ledger like any other; the agent takes it to its trackers. The process
waits for none of them.
"""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import sys
import time
from argparse import Namespace
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Literal

from overnight.errors import OvernightError, UserError, UserErrors
from overnight.ledger import files, index, job, media
from overnight.ledger.complaint import complain
from overnight.ledger.format import spell
from overnight.ledger.paths import MAX_NAME_CHARS, RunPaths, find_root, name_problem
from overnight.ledger.state import state_to_json, view
from overnight.outbox import summon, track
from overnight.start import with_dotenv
from overnight.tracking.setup import create_run_name
from overnight.watching.end import end_of
from overnight.watching.trial import is_trial

Outcome = Literal["finished", "failed", "stopped"]
_CODES = {"finished": 0, "failed": 1, "stopped": 130}


class OpenRun:
    """A run of this process. Made by ``init_run``; finished by ``finish_run`` or ``with``.

    Attributes:
        dir: Its folder.
        name: What it was called.
        run_id: The folder's name, by which every verb knows it; also as ``id``.
    """

    def __init__(
        self, name: str, opened: job.Job, outer: job.Job | None, env: Mapping[str, str]
    ) -> None:
        self.name = name
        self.dir = Path(opened.run.dir)
        self.run_id = self.id = self.dir.name
        #: The run this process was logging into before it opened any.
        self.outer = outer
        self.pid = os.getpid()
        self.job = opened
        self._env = env
        self._begun_s = time.monotonic()
        self._is_over = False

    def log(
        self,
        values: Mapping[str, Any],
        *,
        step: int | None = None,
        epoch: int | None = None,
        fold: int | None = None,
        summary: bool = False,
    ) -> None:
        """As ``overnight.log``, into this run, whichever was opened last."""
        if self._is_over:
            complain("tracking.after_end", run=self.run_id)
            return
        if self.job.pid != os.getpid():  # a forked worker has pens of its own
            self.job = job.Job(self.job.run, self.job.attempt)
        job.log_to(self.job, values, step=step, epoch=epoch, fold=fold, summary=summary)

    def activate(self) -> None:
        """From now on ``overnight.log``, ``image`` and their sisters write into this run.

        Raises:
            UserError: It is over.
        """
        self._must_be_open()
        job.switch_to(self.job)

    def finish(self, outcome: Outcome = "finished") -> None:
        """Ends the run; what was opened before it is logged into again.

        Raises:
            UserError: It is over already, or there is no such outcome.
            OSError: Its folder cannot be written.
        """
        self._must_be_open()
        if outcome not in _CODES:
            known = ", ".join(_CODES)
            raise UserError("tracking.outcome", where="outcome", word=repr(outcome), known=known)
        end = {**end_of(None, ran_s=self._ran_s()), "outcome": outcome, "code": _CODES[outcome]}
        self._end(end)

    def __enter__(self) -> OpenRun:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Ends the run as the block ended; an exception goes on as it came."""
        if not self._is_over and self.pid == os.getpid():
            try:
                self._end(end_of(error, ran_s=self._ran_s()))
            except OSError as trouble:
                complain("watch.end_unwritten", trouble)

    def _ran_s(self) -> float:
        return time.monotonic() - self._begun_s

    def _must_be_open(self) -> None:
        if self._is_over:
            raise UserError("tracking.over", where=str(self.dir), run=self.run_id)

    def _end(self, end: Mapping[str, Any]) -> None:
        self._is_over = True
        _open.remove(self)
        is_active = job.current() is self.job
        try:
            job.close_run(self.job, end)
        finally:
            if is_active:
                job.switch_to(_open[-1].job if _open else self.outer)
        run = self.job.run
        if not is_trial():
            with contextlib.suppress(OSError):  # a reader finds the end without it
                index.end(run, state_to_json(view(run).state))
        _hand_on(run, self._env)


#: Those of this process that are not over, in the order they were opened.
_open: list[OpenRun] = []


def init_run(
    name: str | None = None,
    *,
    config: Mapping[str, Any] | Namespace | None = None,
    tags: str | Iterable[str] | None = (),
    track: str | Sequence[str] | None = None,
    project: str | None = None,
    entity: str | None = None,
    mode: str | None = None,
    group: str | None = None,
    job_type: str | None = None,
    notes: str | None = None,
    root: str | Path | None = None,
) -> OpenRun:
    """Opens a run of its own; ``overnight.log`` and its sisters write into it until it is over.

    ::

        for fold in range(5):
            with init_run(f"baseline-fold{fold}", tags=["cv"]) as run:
                run.log({"loss": 0.31}, step=1)

    Args:
        name: Its name; the next free one of ``get_experiment_name()`` by default.
        config: What was asked for, or argparse's arguments; kept as ``config.yaml`` and shown by
            the trackers.
        tags: Its labels.
        track: ``mlflow``, ``wandb``, both, or ``none``; by default as a training's.
        project: The W&B project, and the MLflow experiment.
        entity: The W&B team or user.
        mode: W&B's: ``online`` or ``offline``.
        group: W&B's, of runs that belong together.
        job_type: W&B's; ``run`` by default.
        notes: W&B's.
        root: The root; found as docs/architecture.md says by default.

    Of several processes that train together each would open one: let rank 0 alone call it.

    Raises:
        UserErrors: The name, the trackers or the root will not do.
    """
    outer = _open[0].outer if _open else job.current()
    folder = find_root(".", None if root is None else str(root))
    env = with_dotenv(os.environ, folder)
    problems: list[UserError] = []
    if name is not None and name_problem(name):
        where, shown = "name", repr(name)[:80]
        problems.append(UserError("tracking.name", where=where, name=shown, limit=MAX_NAME_CHARS))
    trackers = _trackers(track, folder, env, problems)
    if problems:
        raise UserErrors(problems)
    if is_trial():  # of `overnight check`: it leaves nothing behind and tells nobody
        folder, trackers = outer.run.root if outer is not None else folder, []
    for entry in trackers:
        given = {"project": project}
        if entry["name"] == "wandb":
            given |= {"entity": entity, "mode": mode}
            given |= {"group": group, "job_type": job_type, "notes": notes}
        entry.update({key: value for key, value in given.items() if value is not None})
    words = [tags] if isinstance(tags, str) else [str(tag) for tag in tags or ()]
    parent = None if outer is None else outer.run.dir
    name = name or create_run_name(root=folder)
    try:
        opened = job.open_run(
            name,
            root=folder,
            labels=words,
            parent=parent,
            is_listed=not is_trial(),
        )
        _write_about(opened.run, config, trackers)
    except OSError as error:
        why = error.strerror or type(error).__name__
        raise UserErrors([UserError("tracking.root", where=folder, why=why)]) from error
    run = OpenRun(name, opened, outer, env)
    if not _open:
        # At the very end: what other handlers log is still logged.
        atexit.unregister(_finish_all)
        atexit.register(_finish_all)
    _open.append(run)
    _hand_on(opened.run, env)
    return run


def init_wandb(name: str | None = None, *, project: str | None = None, **more: Any) -> OpenRun:
    """As ``init_run``, taken to W&B alone. Without a key it is kept for ``wandb sync``.

    Raises:
        UserErrors: As ``init_run``; or wandb is not installed.
    """
    return init_run(name, track="wandb", project=project, **more)


def finish_run(run: OpenRun | None = None, outcome: Outcome = "finished") -> None:
    """Ends a run; None: the one opened last.

    Raises:
        UserError: None is open, it is over already, or there is no such outcome.
    """
    if run is None:
        if not _open:
            raise UserError("tracking.none_open", where="finish_run")
        run = _open[-1]
    run.finish(outcome)


def save_model_artifact(
    path: str | os.PathLike[str],
    name: str = "model",
    *,
    aliases: Iterable[str] = ("latest",),
    metadata: Mapping[str, Any] | None = None,
) -> str | None:
    """Notes a version of a model, a file or a folder, with the run that is logged into.

    Args:
        path: The file or the folder.
        name: Versions of one name form a series.
        aliases: What this version is called: ``best``, ``latest``.
        metadata: Anything that JSON can hold.

    Returns:
        The version's sha256; None where it could not be noted (said on stderr), or there is no run.
    """
    return media.artifact(path, name, "model", aliases, metadata=metadata)


def _trackers(
    asked: str | Sequence[str] | None,
    root: str,
    env: Mapping[str, str],
    problems: list[UserError],
) -> list[dict[str, Any]]:
    from overnight.start.track import where_to_track

    words = [asked] if isinstance(asked, str) else list(asked or ())
    return where_to_track(words, root, env, problems, is_training=True)


def _write_about(
    run: RunPaths,
    config: Mapping[str, Any] | Namespace | None,
    trackers: list[dict[str, Any]],
) -> None:
    if config is not None:
        import yaml

        said = vars(config) if isinstance(config, Namespace) else dict(config)
        # NumPy's numbers and enumerations are subclasses of Python's: YAML writes only those.
        plain = json.loads(json.dumps(spell(said)))
        text = yaml.safe_dump(plain, allow_unicode=True, sort_keys=False)
        files.replace(run.config_yaml, text.encode())
    if trackers:
        track.write(run, trackers)


def _hand_on(run: RunPaths, env: Mapping[str, str]) -> None:
    """Lets the agent know that there is something to take to the run's trackers."""
    try:
        if track.ask(run, env):
            summon.summon()
    except OSError as error:  # the run itself is as good as any
        complain("tracking.unsent", error)


def _finish_all() -> None:
    """At the process's end: what is still open ends as the process does."""
    failed = getattr(sys, "last_value", None) is not None
    for run in reversed(list(_open)):
        if run.pid == os.getpid():
            try:
                run.finish("failed" if failed else "finished")
            except (OSError, OvernightError) as error:
                complain("watch.end_unwritten", error)
