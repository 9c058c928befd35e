"""Runs of the past and the present, newest first: of the local index, of W&B, of MLflow."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any, Literal

from overnight.errors import UserError
from overnight.ledger import index
from overnight.ledger.files import read_json
from overnight.ledger.format import time_us
from overnight.ledger.paths import RunPaths, find_root, runs_of
from overnight.ledger.reader import latest_values, rows
from overnight.ledger.state import STATES, state_from_json, view, word
from overnight.outbox.track import children as children_of
from overnight.outbox.track import wanted
from overnight.trackers.about import config_of, with_values

Source = Literal["local", "wandb", "mlflow"]
_SOURCES = ("local", "wandb", "mlflow")
#: As `overnight ls` calls them.
STATE_WORDS = tuple(state.__name__.lower() for state in STATES)


@dataclass(frozen=True)
class Run:
    """A run, wherever it was looked up.

    Attributes:
        run_id: Ours, W&B's or MLflow's.
        state: As ``overnight ls`` calls it: ``running``, ``finished``, ``failed``, ``stopped`` …
        tags: Its labels and tags.
        created_us: Microseconds since 1970 UTC; 0 where it is not known.
        dir: Its folder; None in a tracker.
        url: Where a person finds it in a tracker; may be empty.
        parent: Of a trial, the id of its search; else empty.
    """

    run_id: str
    name: str
    kind: str
    state: str
    tags: Sequence[str]
    created_us: int
    source: Source
    dir: Path | None = None
    url: str = ""
    parent: str = ""
    _details: Callable[[], tuple[Mapping[str, Any], Mapping[str, float]]] = field(
        default=lambda: ({}, {}), repr=False, compare=False
    )

    @cached_property
    def _both(self) -> tuple[Mapping[str, Any], Mapping[str, float]]:
        return self._details()

    @property
    def config(self) -> Mapping[str, Any]:
        """What was asked for. Read when it is first asked for."""
        return self._both[0]

    @property
    def metrics(self) -> Mapping[str, float]:
        """The newest value of each number. Read when it is first asked for."""
        return self._both[1]


def get_runs(
    root: str | Path | None = None,
    *,
    kind: str | None = None,
    name: str | None = None,
    state: str | Iterable[str] | None = None,
    tags: str | Iterable[str] = (),
    limit: int | None = None,
    source: Source = "local",
    project: str | None = None,
    entity: str | None = None,
    parent: str | None = None,
    children: bool = False,
) -> list[Run]:
    """Runs, newest first.

    The trials of a search are no runs of their own here, unless they are asked for.

    Args:
        root: Only runs below this root; by default all that this user has. Of MLflow: whose
            database is asked, where ``MLFLOW_TRACKING_URI`` names no server.
        kind: ``train``, ``run``, ``optimization`` …
        name: Only runs of this name.
        state: One state or several.
        tags: Only runs that have all of these.
        limit: At most so many.
        source: Where to look; a tracker is asked over the network.
        project: The W&B project, or the MLflow experiment.
        entity: The W&B team or user; W&B's default by default.
        parent: Only the trials of the run of this id.
        children: Trials too.

    Raises:
        UserError: Nobody knows such a state or source, or the tracker does not answer.
    """
    states = _states(state)
    if limit is not None and limit < 1:
        raise UserError("tracking.limit", where="limit", limit=limit)
    needed = {tags} if isinstance(tags, str) else {str(tag) for tag in tags}
    folder = None if root is None else find_root(".", str(root))

    def fits(run: Run) -> bool:
        return (
            (states is None or run.state in states)
            and needed <= set(run.tags)
            and (kind is None or run.kind == kind)
            and (name is None or run.name == name)
            and (children or parent is not None or not run.parent)
            and (parent is None or run.parent == parent)
        )

    with_children = children or parent is not None
    found = _all(source, folder, project, entity, states, with_children=with_children)
    return list(islice(filter(fits, found), limit))


def get_latest_runs(
    limit: int = 10,
    state: str | Iterable[str] | None = None,
    tags: str | Iterable[str] = (),
    **more: Any,
) -> list[Run]:
    """The newest ``limit`` runs; ``more`` as in ``get_runs``.

    Raises:
        UserError: As in ``get_runs``.
    """
    return get_runs(limit=limit, state=state, tags=tags, **more)


def _states(state: str | Iterable[str] | None) -> frozenset[str] | None:
    if state is None:
        return None
    asked = frozenset([state] if isinstance(state, str) else state)
    for each in sorted(asked - set(STATE_WORDS)):
        raise UserError(
            "tracking.state", where="state", word=repr(each), known=", ".join(STATE_WORDS)
        )
    return asked


def _all(
    source: str,
    root: str | None,
    project: str | None,
    entity: str | None,
    states: frozenset[str] | None,
    *,
    with_children: bool,
) -> Iterator[Run]:
    if source == "local":
        found = _local(root, None if with_children else states)
        return found if not with_children else _with_children(found)
    if source == "wandb":
        from overnight.tracking.remote import wandb_runs

        return wandb_runs(project, entity)
    if source == "mlflow":
        from overnight.tracking.remote import mlflow_runs

        return mlflow_runs(root or find_root("."), project)
    known = ", ".join(_SOURCES)
    raise UserError("tracking.source", where="source", word=repr(source), known=known)


def _local(root: str | None, states: frozenset[str] | None) -> Iterator[Run]:
    """Runs of the index; below a root also those it has never heard of."""
    entries = index.entries()
    if root is None and not entries:
        root = find_root(".")
    found = {
        entry.run.dir: (entry.created_us, entry.run, entry.ended)
        for entry in entries
        if root is None or Path(entry.run.root).resolve() == Path(root).resolve()
    }
    for run in runs_of(root) if root is not None else ():
        if run.dir not in found:
            found[run.dir] = time_us(_info(run).get("created_us")) or 0, run, None
    for created_us, run, ended in sorted(found.values(), key=lambda each: (-each[0], each[1].dir)):
        final = state_from_json(ended) if ended is not None else None
        # Ten thousand runs are not opened to find the two that failed.
        if states is not None and final is not None and word(final) not in states:
            continue
        try:
            info = _info(run)
            if not info:
                continue
            state = final if final is not None else view(run).state
            yield _run(run, info, word(state), created_us)
        except OSError:  # somebody else's, not ours to read
            continue


def _with_children(runs: Iterator[Run]) -> Iterator[Run]:
    """Before each run its trials, the newest first, which began after it."""
    for run in runs:
        assert run.dir is not None
        for part in reversed(list(children_of(RunPaths(str(run.dir))))):
            try:
                info = _info(part)
                if info:
                    created_us = time_us(info.get("created_us")) or 0
                    yield _run(part, info, word(view(part).state), created_us)
            except OSError:
                continue
        yield run


def _run(run: RunPaths, info: Mapping[str, Any], state: str, created_us: int) -> Run:
    labels = info.get("labels")
    if isinstance(labels, dict):
        labels = [f"{key}={value}" for key, value in labels.items()]
    words = [str(each) for each in labels] if isinstance(labels, list) else []
    urls = []
    for tracker in wanted(run):
        said = tracker.options.get("tags")
        words += [str(each) for each in said] if isinstance(said, list) else []
        urls.append(str((read_json(run.cursor(tracker.name)) or {}).get("url") or ""))
    return Run(
        run_id=run.run_id,
        name=str(info.get("name") or run.run_id),
        kind=run.kind,
        state=state,
        tags=tuple(dict.fromkeys(words)),
        created_us=created_us,
        source="local",
        dir=Path(run.dir),
        url=next(filter(None, urls), ""),
        parent=run.parent.run_id if run.parent is not None else "",
        _details=lambda: (
            with_values(config_of(run), info.get("values")),
            latest_values(rows(run.dir)),
        ),
    )


def _info(run: RunPaths) -> Mapping[str, Any]:
    return read_json(run.run_json) or {}
