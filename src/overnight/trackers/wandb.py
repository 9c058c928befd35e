"""Weights & Biases, online or as files to be sent later.

A row is known there by its step, which only grows: it is the row's number in the merged order, and
each number has its own axis beside it. A row that comes twice is dropped by its step. Without a
network the run lies in ``<root>/wandb``; a mirror that goes on writes that file anew, since nothing
can be put behind what another process has written.

    https://docs.wandb.ai/models/ref/python
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import wandb
from wandb.errors import AuthenticationError, CommError, UsageError
from wandb.sdk.lib.service.service_connection import WandbApiFailedError

from overnight.ledger.paths import RunPaths
from overnight.outbox.folder import digest
from overnight.trackers.base import (
    End,
    Gone,
    Item,
    Point,
    Refused,
    Rejected,
    Retry,
    RunInfo,
    patience_s,
)
from overnight.trackers.files import Unfit, reading
from overnight.trackers.reach import reach
from overnight.trackers.wandb_media import name_of, shown, version

#: Its own limits are 90 s for the first and none for the last.
_INIT_WITHIN_S, _FINISH_WITHIN_S = 40.0, 45.0
#: By default 15 s of a run lie in memory, and are lost with the process.
_FLUSH_EVERY_S = 1
#: By default 15 s as well, half of what a person is ready to wait for at a run's end.
_TRANSMIT_EVERY_S = 5.0
_MOST_ID_CHARS = 64
#: Its code for a run that a person ended.
_KILLED = 255
#: What was sent is not to be seen in the same moment.
_ARRIVES_WITHIN_S = 20.0
#: Its library takes rows at once and says nothing of a server that is away.
_ASK_EVERY_S = 30.0
#: It tells of a server that is away in the words of a wrong key.
_AWAY = re.compile(
    r"respond in time|tim(?:ed? ?|e)out|connect|no such host|\bEOF\b|\b5\d\d\b", re.IGNORECASE
)
#: What stands before a run's id in the name of its folder.
_OFFLINE_RUN = re.compile(r"^offline-run-\d+_\d+-")
_REFUSED = re.compile(r"\b(?:401|403)\b|permission denied|unauthori[sz]ed|api key", re.IGNORECASE)


class Wandb:
    """One W&B.

    Args:
        address: The server's address.
        root: The root; unused, the run says where it lies.
        env: ``WANDB_API_KEY``, where it is not in the person's netrc.
    """

    name = "wandb"

    def __init__(self, address: str, root: Path, env: Mapping[str, str]) -> None:
        os.environ.update(env)
        # Neither its own error reports nor its console belong to a process nobody looks at.
        os.environ.update({"WANDB_ERROR_REPORTING": "false", "WANDB_SILENT": "true"})
        self.address = address

    def open(self, run: RunInfo) -> WandbRun:
        """Begins or resumes the run; what it was before it was begun anew goes."""
        options = run.options
        offline = options.get("mode") == "offline"
        if not offline:
            ask_server(self.address)
        root = Path(RunPaths(str(run.dir)).root)
        name = run_id(run)
        if offline:
            for old in (root / "wandb").glob("offline-run-*"):
                if _OFFLINE_RUN.sub("", old.name) == name:
                    shutil.rmtree(old)
        settings = wandb.Settings(
            base_url=self.address,
            mode="offline" if offline else "online",
            init_timeout=_INIT_WITHIN_S,
            finish_timeout=_FINISH_WITHIN_S,
            finish_timeout_raises=True,
            x_transaction_log_flush_interval=_FLUSH_EVERY_S,
            x_file_stream_transmit_interval=_TRANSMIT_EVERY_S,
            console="off",
            silent=True,
            disable_git=True,
            save_code=False,
            x_disable_stats=True,
            x_disable_meta=True,
            x_disable_machine_info=True,
            # They would be the mirror's, not the job's.
            x_save_requirements=False,
            sweep_id=options.get("sweep"),
        )
        with _translated():
            opened = wandb.init(
                id=name,
                name=run.run_id,
                project=run.project,
                entity=options.get("entity"),
                group=options.get("group") if run.whole is None else run.whole.run_id,
                job_type=(options.get("job_type") or run.kind) if run.whole is None else "trial",
                notes=options.get("notes"),
                tags=[label[:_MOST_ID_CHARS] for label in run.labels if label],
                config={**run.config, "overnight": dict(run.tags)},
                dir=str(root),
                resume="allow",
                reinit="create_new",
                settings=settings,
            )
            session = WandbRun(run, opened, is_new=offline)
            if run.generation and not offline:
                session.delete(run_id(run, generation=run.generation - 1))
        return session


class WandbRun:
    """One run there."""

    def __init__(self, about: RunInfo, run: wandb.Run, *, is_new: bool) -> None:
        self._about = about
        self._run = run
        self._is_offline = bool(run.settings.mode == "offline")
        self.is_new = is_new
        # It goes on behind the last row that the server has.
        self.has = None if self._is_offline else run.starting_step - 1
        self._asked_at = time.monotonic()
        #: The number of the last row that was handed over.
        self._last = -1
        self.url = run.url or str(Path(run.settings.sync_dir))
        self._defined: set[str] = set()

    def send(self, batch: Sequence[Point | Item]) -> Sequence[Rejected]:
        """Takes rows and files in their order: a step that is not the highest is dropped there."""
        rejected = []
        with _translated():
            if not self._is_offline and time.monotonic() - self._asked_at >= _ASK_EVERY_S:
                self._ask()
            for each in batch:
                if isinstance(each, Point):
                    self._log(each)
                else:
                    rejected += self._attach(each)
        return rejected

    def _log(self, point: Point) -> None:
        axis = ""
        row: dict[str, Any] = dict(point.values)
        if point.kind != "system":
            axis = point.prefix + {"summary": "seq"}.get(point.kind, point.kind)
            row[axis] = point.axis
        self._write(row, axis, point.number, point.t_us)

    def _ask(self) -> None:
        ask_server(self._run.settings.base_url)
        self._asked_at = time.monotonic()

    def _write(self, row: dict[str, Any], axis: str, number: int, t_us: int) -> None:
        if self.has is not None and number <= self.has:
            return
        self._last = max(self._last, number)
        for key in row:
            if axis and key not in self._defined:
                self._defined.add(key)
                if key == axis:
                    self._run.define_metric(_escaped(key), hidden=True)
                else:
                    self._run.define_metric(_escaped(key), step_metric=axis)
        self._run.log({**row, "_timestamp": t_us / 1e6}, step=number, commit=True)

    def _attach(self, item: Item) -> list[Rejected]:
        try:
            self._put_item(item)
        except (Unfit, ValueError, TypeError) as error:
            # Gone, changed or no picture at all; or its name is none W&B takes.
            return [Rejected(item.key, str(error), "media.jsonl", item.seq)]
        return []

    def _put_item(self, item: Item) -> None:
        if item.kind in ("artifact", "config"):
            self._put_version(item)
            return
        with reading():
            value = shown(item, self._about.dir)
        row = {item.key: value}
        axis = ""
        if item.step is not None:
            prefix = item.key.removesuffix(str(item.record.get("key") or item.key))
            axis = prefix + ("epoch" if item.record.get("step") is None else "step")
            row[axis] = item.step
        self._write(row, axis, item.number, item.t_us)

    def _keep(self, artifact: wandb.Artifact, aliases: Sequence[str]) -> None:
        """Uploads a version; online it is there once this returns."""
        if not self._is_offline:
            self._ask()  # its library would try for long, and tell of a wrong key
        num_bytes = artifact.size
        kept = self._run.log_artifact(artifact, aliases=list(aliases))
        if not self._is_offline:
            try:
                kept.wait(timeout=round(patience_s(num_bytes)))
            except ValueError:
                self._ask()  # is it the server, or what it was given?
                raise

    def _put_version(self, item: Item) -> None:
        """A version of a file or folder, or of the config; the same again is no other there."""
        with reading():
            if item.kind == "config":
                made = wandb.Artifact(name_of(f"{self._about.name}-config"), "config")
                made.add_file(str(item.path), "config.yaml", skip_cache=True)
            else:
                made = version(item, self._about.dir)
            aliases = [name_of(each) for each in item.aliases]
        self._keep(made, list(dict.fromkeys([*aliases, "latest"])))

    def describe(self, facts: Mapping[str, str]) -> None:
        """Goes to the configuration, where runs are compared."""
        with _translated():
            for key, value in facts.items():
                # A config's own `model: {name: …}` says more, and W&B takes no other for it.
                if key not in self._run.config:
                    self._run.config[key] = _number(value)

    def close(self, end: End) -> None:
        """The run is over: finished, failed, or killed by a person."""
        with _translated():
            said = {"state": end.state, "cause": end.cause, "evidence": end.evidence}
            for key, value in said.items():
                if value:
                    self._run.summary[f"overnight/{key}"] = value
            if end.cause:
                self._run.tags = (*(self._run.tags or ()), end.cause[:_MOST_ID_CHARS])
            code = {"finished": 0, "killed": _KILLED}.get(end.state, end.code or 1)
            self._run.finish(exit_code=code)
            self._look_if_all_there()

    def _look_if_all_there(self) -> None:
        """Its library ends well too where the server has refused rows."""
        if self.has is None or self._last <= self.has:
            return
        path = f"{self._run.entity}/{self._run.project}/{self._run.id}"
        until = time.monotonic() + _ARRIVES_WITHIN_S
        while (there := wandb.Api().run(path).lastHistoryStep) < self._last:
            if time.monotonic() > until:
                raise Retry(f"W&B has rows up to {there}, of {self._last}")
            time.sleep(1.0)

    def leave(self) -> None:
        """Lets go of it: what was written is sent, and the run is not over."""
        with _translated():
            self._run.finish(exit_code=0)

    def delete(self, old_id: str) -> None:
        """Removes what the run was before it was begun anew."""
        path = f"{self._run.entity}/{self._run.project}/{old_id}"
        try:
            wandb.Api().run(path).delete()
        except (ValueError, CommError) as error:
            if "could not find run" not in str(error).lower():
                raise


def ask_server(address: str) -> None:
    """Raises Retry where it does not answer."""
    query = json.dumps({"query": "query Viewer { viewer { id } }", "variables": {}})
    reach(address.rstrip("/") + "/graphql", query.encode())


def run_id(run: RunInfo, generation: int | None = None) -> str:
    """A run's id there: its own, where W&B takes it; a new one each time it is begun anew.

    A deleted run's id can never be used again.
    """
    generation = run.generation if generation is None else generation
    own = run.options.get("id") or run.run_id
    if not re.fullmatch(r"[A-Za-z0-9_.-]{1,58}", own):
        own = f"{name_of(own)[:32]}-{digest(own)[:12]}"
    offline = run.options.get("mode") == "offline"
    return own if offline or not generation else f"{own}-g{generation + 1}"


@contextlib.contextmanager
def _translated() -> Iterator[None]:
    """What W&B raises, as Retry or Refused."""
    try:
        yield
    except AuthenticationError as error:
        if _AWAY.search(str(error)):
            raise Retry(_short(error)) from error
        raise Refused("track.wandb_key", where="W&B", why=_short(error)) from error
    except UsageError as error:
        raise Refused("track.wandb_refused", where="W&B", why=_short(error)) from error
    except (CommError, wandb.Error, WandbApiFailedError) as error:
        if "previously created and deleted" in str(error):
            raise Gone("track.gone", where="W&B", run=_short(error)) from error
        if _REFUSED.search(str(error)):
            raise Refused("track.wandb_key", where="W&B", why=_short(error)) from error
        raise Retry(_short(error)) from error
    except (TimeoutError, OSError) as error:
        raise Retry(_short(error) or type(error).__name__) from error


def _short(error: BaseException) -> str:
    return " ".join(str(error).split())[:300]


def _number(text: str) -> int | float | str:
    """A fact as W&B sorts and compares it: as a number, where it is one."""
    if re.fullmatch(r"-?[0-9]{1,15}", text):
        return int(text)
    return float(text) if re.fullmatch(r"-?[0-9]{1,15}\.[0-9]{1,17}", text) else text


def _escaped(key: str) -> str:
    """A key as ``define_metric`` takes it: a ``*`` would be a pattern there."""
    return key.replace("*", r"\*")
