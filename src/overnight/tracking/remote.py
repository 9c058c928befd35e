"""Runs as W&B or MLflow have them, asked over their own clients."""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import datetime
from importlib import import_module
from pathlib import Path
from typing import Any

from overnight.errors import UserError
from overnight.ledger.paths import find_root
from overnight.redact import redact
from overnight.start import with_dotenv
from overnight.trackers.base import Retry
from overnight.trackers.key import WANDB, has_key
from overnight.tracking.runs import Run

_PAGE = 100
#: A name or a project that nobody has is answered in a second; a server that is away never.
_TIMEOUT_S = 20
#: Their words for how a run stands → ours.
_WANDB_STATES = {
    "crashed": "lost",
    "killed": "stopped",
    "preempted": "stopped",
    "preempting": "stopping",
    "pending": "queued",
}
_MLFLOW_STATES = {"killed": "stopped", "scheduled": "queued"}
#: Tags that MLflow or we ourselves keep for other purposes.
_INNER_TAGS = ("mlflow.", "overnight.", "machine.", "artifact.")


def wandb_runs(project: str | None, entity: str | None) -> Iterator[Run]:
    """The runs of a W&B project, newest first, fetched page by page.

    Raises:
        UserError: No project is named, wandb is not installed, or W&B does not answer.
    """
    env = with_dotenv(os.environ, find_root("."))
    project = project or env.get("WANDB_PROJECT") or ""
    entity = entity or env.get("WANDB_ENTITY") or ""
    if not project:
        raise UserError("tracking.no_project", where="project")
    path = f"{entity}/{project}" if entity else project
    address = env.get("WANDB_BASE_URL") or WANDB
    if not has_key(env, address):  # its client would ask for one, and wait
        raise UserError("tracking.no_key", where=address)
    wandb = _imported("wandb", "wandb")
    try:
        key = env.get("WANDB_API_KEY") or None
        api = wandb.Api(overrides={"base_url": address}, api_key=key, timeout=_TIMEOUT_S)
        for each in api.runs(path, order="-created_at", per_page=_PAGE):
            yield _of_wandb(each)
    except Exception as error:  # its client raises errors of its own, of requests and of builtins
        raise _unreachable(f"W&B ({path})", error) from error


def _of_wandb(run: Any) -> Run:
    return Run(
        run_id=run.id,
        name=run.name or run.id,
        kind=run.job_type or "run",
        state=_WANDB_STATES.get(run.state, run.state),
        tags=tuple(run.tags),
        created_us=_time_us(run.created_at),
        source="wandb",
        url=run.url,
        # As our mirror tells it; of others' runs a group is no parent.
        parent=(run.group or "") if run.job_type == "trial" else "",
        _details=lambda: (
            {key: value for key, value in run.config.items() if not key.startswith("_")},
            {key: value for key, value in dict(run.summary).items() if _is_number(key, value)},
        ),
    )


def mlflow_runs(root: str, experiment: str | None) -> Iterator[Run]:
    """The runs of an MLflow experiment, or of all, newest first, fetched page by page.

    Raises:
        UserError: There is no such experiment, mlflow is not installed, or it does not answer.
    """
    env = with_dotenv(os.environ, root)
    address = env.get("MLFLOW_TRACKING_URI", "")
    try:
        tracker = import_module("overnight.trackers.mlflow")
    except ModuleNotFoundError as error:
        raise _not_installed("train", error) from None
    given = {key: value for key, value in env.items() if key.startswith("MLFLOW_TRACKING_")}
    where = address or str(Path(root) / "mlflow.db")
    if not address and not Path(where).exists():
        return  # nothing was ever tracked here
    try:
        client = tracker.Mlflow(address, Path(root), given).client()
        ids = _experiments(client, experiment)
        token = None
        while True:
            page = client.search_runs(
                ids, max_results=_PAGE, order_by=["attributes.start_time DESC"], page_token=token
            )
            for each in page:
                yield _of_mlflow(each)
            token = page.token
            if not token:
                return
    except UserError:
        raise
    except Retry as error:
        raise _unreachable(f"MLflow ({where})", error) from error
    except import_module("mlflow.exceptions").MlflowException as error:
        raise _unreachable(f"MLflow ({where})", error) from error


def _experiments(client: Any, name: str | None) -> list[str]:
    found = list(client.search_experiments())
    if name is None:
        return [each.experiment_id for each in found]
    chosen = [each.experiment_id for each in found if each.name == name]
    if not chosen:
        known = ", ".join(each.name for each in found)
        raise UserError("tracking.no_experiment", where="project", name=name, known=known)
    return chosen


def _of_mlflow(run: Any) -> Run:
    state = run.info.status.lower()
    tags = [
        key if value == "true" else f"{key}={value}"
        for key, value in run.data.tags.items()
        if not key.startswith(_INNER_TAGS)
    ]
    return Run(
        run_id=run.info.run_id,
        name=run.data.tags.get("overnight.name") or run.info.run_name or run.info.run_id,
        kind=run.data.tags.get("overnight.kind") or "run",
        state=_MLFLOW_STATES.get(state, state),
        tags=tuple(tags),
        created_us=(run.info.start_time or 0) * 1000,
        source="mlflow",
        url=f"#/experiments/{run.info.experiment_id}/runs/{run.info.run_id}",
        parent=run.data.tags.get("overnight.parent", ""),
        _details=lambda: (dict(run.data.params), dict(run.data.metrics)),
    )


def _imported(name: str, extra: str) -> Any:
    try:
        return import_module(name)
    except ModuleNotFoundError as error:
        raise _not_installed(extra, error) from None


def _not_installed(extra: str, error: ModuleNotFoundError) -> UserError:
    return UserError("track.not_installed", where="source", module=error.name, extra=extra)


def _unreachable(tracker: str, error: Exception) -> UserError:
    if isinstance(error, UserError):
        return error
    why = redact(" ".join(str(error).split())[:300]) or type(error).__name__
    return UserError("tracking.unreachable", where="source", tracker=tracker, why=why)


def _is_number(key: str, value: Any) -> bool:
    return key[:1] != "_" and isinstance(value, int | float) and not isinstance(value, bool)


def _time_us(text: Any) -> int:
    try:
        return int(datetime.fromisoformat(str(text).replace("Z", "+00:00")).timestamp() * 1e6)
    except ValueError:
        return 0
