"""MLflow, by its client alone: a database file of the root's own, or a server.

Without an address it is ``<root>/mlflow.db`` and needs no account. A metric is known there by its
name, time, step and value, so what comes twice is one; a run is found again by a tag.

    https://mlflow.org/docs/latest/ml/tracking/
"""

from __future__ import annotations

import contextlib
import getpass
import logging
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from mlflow import MlflowClient
from mlflow.entities import Metric, Param, Run, ViewType
from mlflow.exceptions import MlflowException
from mlflow.utils.mlflow_tags import MLFLOW_PARENT_RUN_ID

from overnight.outbox.folder import digest
from overnight.trackers.about import flat
from overnight.trackers.base import End, Gone, Item, Point, Refused, Rejected, Retry, RunInfo
from overnight.trackers.mlflow_media import Media, tags_of

#: What the server takes in one call.
_MOST_METRICS, _MOST_PARAMS = 1000, 100
_MOST_VALUE_CHARS = 6000
#: Seconds; a run is sent again later anyway, and others wait for this one.
_HTTP = {
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "1",
    "MLFLOW_ENABLE_ASYNC_LOGGING": "false",
    "MLFLOW_DISABLE_TELEMETRY": "true",
}
#: A name that was rejected so often, and never taken, is not tried any more.
_TRIED_ENOUGH = 3
_STATUS = {"finished": "FINISHED", "failed": "FAILED", "killed": "KILLED"}
_WRONG_KEY = ("PERMISSION_DENIED", "CUSTOMER_UNAUTHORIZED", "UNAUTHENTICATED")
_KEY, _GENERATION = "overnight.key", "overnight.generation"
#: Of a part: the key of what it is a part of, whichever run that is here just now.
_WHOLE = "overnight.whole"


class Mlflow:
    """One MLflow.

    Args:
        address: A tracking URI; empty for the root's own database.
        root: The root.
        env: ``MLFLOW_TRACKING_USERNAME`` and its like.
    """

    name = "mlflow"

    def __init__(self, address: str, root: Path, env: Mapping[str, str]) -> None:
        os.environ.update({**_HTTP, **env})
        # That it makes its tables is nobody's business.
        logging.getLogger("mlflow").setLevel(logging.ERROR)
        self.address = address or database(root)
        self.root = root
        self.is_local = not address
        self._client: MlflowClient | None = None
        self._experiments: dict[str, str] = {}

    def client(self) -> MlflowClient:
        """The client; makes the database where there is none."""
        if self._client is None:
            with _translated():
                if self.is_local:
                    make_database(self.root)
                self._client = MlflowClient(tracking_uri=self.address)
        return self._client

    def open(self, run: RunInfo) -> MlflowRun:
        """Finds the run by its tag, or makes it; what it was before it was begun anew goes."""
        client = self.client()
        with _translated():
            experiment = self._experiment(run.project)
            # A trial that is taken up again is the same one: its search does not change.
            key = _key(run.run_id, run.created_us if run.whole is None else run.whole.created_us)
            found = self._with_tag(experiment, _KEY, key)
            of_now = [each for each in found if _generation(each) == run.generation]
            mine = of_now[0] if of_now else None
            if mine is None and run.known:
                raise Gone("track.gone", where=self.address, run=run.run_id)
            is_new = mine is None
            if mine is None:
                tags = {_KEY: key, _GENERATION: str(run.generation), **_tags(run)}
                tags |= self._place(experiment, run)
                mine = client.create_run(
                    experiment, run.created_us // 1000, tags=tags, run_name=run.run_id
                )
            elif mine.info.status != "RUNNING":
                client.update_run(mine.info.run_id, status="RUNNING")
            if run.has_parts:
                for part in self._with_tag(experiment, _WHOLE, key):
                    if part.data.tags.get(MLFLOW_PARENT_RUN_ID) != mine.info.run_id:
                        client.set_tag(part.info.run_id, MLFLOW_PARENT_RUN_ID, mine.info.run_id)
            for each in found:
                if _generation(each) != run.generation:
                    client.delete_run(each.info.run_id)
            opened = MlflowRun(self, run, mine, is_new=is_new)
            opened.note_params(dict(flat(run.config)))
        return opened

    def _place(self, experiment: str, run: RunInfo) -> dict[str, str]:
        """The tags of a part: of what it is one, and what that is called here."""
        if run.whole is None:
            return {}
        key = _key(run.whole.run_id, run.whole.created_us)
        wholes = sorted(self._with_tag(experiment, _KEY, key), key=_generation)
        tags = {_WHOLE: key}
        if wholes:
            tags[MLFLOW_PARENT_RUN_ID] = wholes[-1].info.run_id
        return tags

    def _with_tag(self, experiment: str, tag: str, value: str) -> list[Run]:
        """The runs that have it and are not deleted."""
        found: list[Run] = []
        token = None
        while True:
            page = self.client().search_runs(
                [experiment], f"tags.`{tag}` = '{value}'", ViewType.ACTIVE_ONLY, page_token=token
            )
            found += page
            token = page.token
            if not token:
                return found

    def _experiment(self, name: str) -> str:
        if name not in self._experiments:
            client = self.client()
            found = client.get_experiment_by_name(name)
            if found is None:
                where = (self.root / "mlartifacts").as_uri() if self.is_local else None
                try:
                    made = client.create_experiment(name, artifact_location=where)
                except MlflowException:  # somebody else has made it in this moment
                    found = client.get_experiment_by_name(name)
                    if found is None:
                        raise
                else:
                    self._experiments[name] = str(made)
            if found is not None:
                if found.lifecycle_stage != "active":
                    raise Refused("track.experiment_deleted", where=self.address, name=name)
                self._experiments[name] = str(found.experiment_id)
        return self._experiments[name]

    def url(self, run: Run) -> str:
        """Where a person finds a run."""
        page = f"#/experiments/{run.info.experiment_id}/runs/{run.info.run_id}"
        return f"{self.address.rstrip('/')}/{page}" if not self.is_local else f"mlflow.db{page}"


class MlflowRun:
    """One run there."""

    has = None

    def __init__(self, tracker: Mlflow, about: RunInfo, run: Run, *, is_new: bool) -> None:
        self.url = tracker.url(run)
        self.is_new = is_new
        self._client = tracker.client()
        self._about = about
        self._id: str = run.info.run_id
        self._params = dict(run.data.params)
        #: Name → how often it was rejected, and why; those that were taken are not in it.
        self._bad: dict[str, tuple[int, str]] = {}
        self._media = Media(self._client, run, about.dir)

    def send(self, batch: Sequence[Point | Item]) -> Sequence[Rejected]:
        """Takes numbers, many at once, and then the files: times and steps put them in order."""
        rejected: list[Rejected] = []
        metrics = [
            (Metric(key, value, point.t_us // 1000, point.axis), point)
            for point in batch
            if isinstance(point, Point)
            for key, value in point.values.items()
        ]
        with _translated():
            for begin in range(0, len(metrics), _MOST_METRICS):
                rejected += self._take(metrics[begin : begin + _MOST_METRICS])
            for item in batch:
                if isinstance(item, Item):
                    rejected += self._media.attach(item)
        return rejected

    def _take(self, batch: Sequence[tuple[Metric, Point]]) -> list[Rejected]:
        """A rejected batch is cut until what is wrong with it stands alone."""
        rejected, tried = [], []
        for metric, point in batch:
            tries, why = self._bad.get(metric.key, (0, ""))
            if tries >= _TRIED_ENOUGH:
                rejected.append(Rejected(metric.key, why, point.file, point.seq))
            else:
                tried.append((metric, point))
        if not tried:
            return rejected
        try:
            self._client.log_batch(self._id, metrics=[metric for metric, _ in tried])
        except MlflowException as error:
            if error.error_code != "INVALID_PARAMETER_VALUE":
                raise
            self._look_if_there()
            if len(tried) > 1:
                half = len(tried) // 2
                return rejected + self._take(tried[:half]) + self._take(tried[half:])
            metric, point = tried[0]
            tries, _ = self._bad.get(metric.key, (0, ""))
            self._bad[metric.key] = (tries + 1, _short(error))
            rejected.append(Rejected(metric.key, _short(error), point.file, point.seq))
        else:
            for metric, _ in tried:
                self._bad.pop(metric.key, None)
        return rejected

    def _look_if_there(self) -> None:
        """A run that was deleted takes nothing either, and says so in the same words."""
        if self._client.get_run(self._id).info.lifecycle_stage != "active":
            raise Gone("track.gone", where=self.url, run=self._about.run_id)

    def describe(self, facts: Mapping[str, str]) -> None:
        """What the machine is goes to the tags, what shapes the numbers to the parameters."""
        with _translated():
            machine = {k: v for k, v in facts.items() if k.startswith("machine.")}
            self._client.log_batch(self._id, tags=tags_of(machine))
            self.note_params({k: v for k, v in facts.items() if k not in machine})

    def note_params(self, params: Mapping[str, str]) -> None:
        """Keeps parameters that are not there yet; they cannot be changed."""
        new = [
            Param(key, value[:_MOST_VALUE_CHARS])
            for key, value in params.items()
            if key not in self._params
        ]
        for begin in range(0, len(new), _MOST_PARAMS):
            self._take_params(new[begin : begin + _MOST_PARAMS])

    def _take_params(self, batch: Sequence[Param]) -> None:
        try:
            self._client.log_batch(self._id, params=batch)
        except MlflowException as error:
            if error.error_code != "INVALID_PARAMETER_VALUE":
                raise
            self._look_if_there()
            if len(batch) > 1:  # of a single one the name cannot be had: config.yaml has it
                half = len(batch) // 2
                self._take_params(batch[:half])
                self._take_params(batch[half:])
        self._params.update((param.key, param.value) for param in batch)

    def close(self, end: End) -> None:
        """The run is over."""
        with _translated():
            said = {"overnight.state": end.state, "overnight.exit_code": str(end.code)}
            said |= {"overnight.cause": end.cause} if end.cause else {}
            said |= {"overnight.evidence": end.evidence} if end.evidence else {}
            self._client.log_batch(self._id, tags=tags_of(said))
            ended_ms = end.ended_us // 1000 or None
            self._client.set_terminated(self._id, _STATUS[end.state], ended_ms)

    def leave(self) -> None:
        """Nothing is held."""


def database(root: Path) -> str:
    """The address of a root's own database."""
    return _address(root.absolute() / "mlflow.db")


def _address(path: Path) -> str:
    # '?' begins the options of an address, and '%' an escape.
    return "sqlite:///" + str(path).replace("%", "%25").replace("?", "%3F")


def make_database(root: Path) -> None:
    """Makes a root's database where there is none: aside, and renamed once its tables are whole.

    A process that is killed while it makes them would leave a file that nobody can open again.
    """
    path = root / "mlflow.db"
    if path.exists():
        return
    with locked(root):
        if path.exists():
            return
        from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

        aside = root / "mlflow.db.making"
        for left in (aside, root / "mlflow.db.making-journal"):
            left.unlink(missing_ok=True)
        where = (root / "mlartifacts").as_uri()
        store = SqlAlchemyStore(_address(aside), where)  # type: ignore[no-untyped-call]
        store.engine.dispose()
        aside.rename(path)


@contextlib.contextmanager
def locked(root: Path) -> Iterator[None]:
    """Within it nobody else makes the database: two at once break each other's schema."""
    import fcntl

    fd = os.open(root, os.O_RDONLY)
    try:
        with contextlib.suppress(OSError):  # a disk without locks
            fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)


@contextlib.contextmanager
def _translated() -> Iterator[None]:
    """What MLflow raises, as Retry, Refused or Gone."""
    try:
        yield
    except MlflowException as error:
        if error.error_code in _WRONG_KEY:
            raise Refused("track.mlflow_key", where="MLflow", why=_short(error)) from error
        if error.error_code == "RESOURCE_DOES_NOT_EXIST":
            raise Gone("track.gone", where="MLflow", run=_short(error)) from error
        raise Retry(_short(error)) from error
    except OSError as error:  # the artifacts' disk
        raise Retry(f"{error.strerror or type(error).__name__}") from error


def _key(run_id: str, created_us: int) -> str:
    return digest(f"{run_id}\0{created_us}")


def _generation(run: Run) -> int:
    said = run.data.tags.get(_GENERATION, "0")
    return int(said) if said.isdecimal() else 0


def _short(error: MlflowException) -> str:
    return " ".join(str(error.message).split())[:300]


def _tags(run: RunInfo) -> dict[str, str]:
    found = {}
    for label in run.labels:
        key, equals, value = label.partition("=")
        if key and not key.startswith(("mlflow.", "overnight.")):
            found[key] = value if equals else "true"
    found |= {**run.tags, "overnight.run_id": run.run_id, "overnight.name": run.name}
    found["mlflow.source.type"] = "LOCAL"
    found["mlflow.source.name"] = run.tags.get("overnight.target") or run.name
    with contextlib.suppress(OSError, KeyError):  # a user without a name
        found["mlflow.user"] = getpass.getuser()
    if "overnight.git_commit" in run.tags:
        found["mlflow.source.git.commit"] = run.tags["overnight.git_commit"]
    return {tag.key: tag.value for tag in tags_of(found)}
