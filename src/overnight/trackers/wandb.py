"""Weights & Biases, online or as files to be sent later.

A row is known there by its step, which only grows: it is the row's number in the merged order, and
each number has its own axis beside it. A row that comes twice is dropped by its step. Without a
network the run lies in ``<root>/wandb``; a mirror that goes on writes that file anew, since nothing
can be put behind what another process has written.

    https://docs.wandb.ai/models/ref/python
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import wandb
from wandb.errors import AuthenticationError, CommError, UsageError

from overnight.outbox.folder import digest
from overnight.trackers.base import End, Item, Point, Refused, Rejected, Retry, RunInfo
from overnight.trackers.files import parts_of, picture_of, rows_of

#: Its own limits are 90 s for the first and none for the last.
_INIT_WITHIN_S, _FINISH_WITHIN_S = 40.0, 45.0
#: By default 15 s of a run lie in memory, and are lost with the process.
_FLUSH_EVERY_S = 1
_MOST_ID_CHARS = 64
_MOST_ROWS = 10_000
#: Its code for a run that a person ended.
_KILLED = 255
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
        root = run.dir.parents[3]
        name = run_id(run)
        if offline:
            for old in (root / "wandb").glob(f"offline-run-*-{run_id(run, generation=0)}*"):
                shutil.rmtree(old)
        settings = wandb.Settings(
            base_url=self.address,
            mode="offline" if offline else "online",
            init_timeout=_INIT_WITHIN_S,
            finish_timeout=_FINISH_WITHIN_S,
            finish_timeout_raises=True,
            x_transaction_log_flush_interval=_FLUSH_EVERY_S,
            console="off",
            silent=True,
            disable_git=True,
            save_code=False,
            x_disable_stats=True,
            x_disable_meta=True,
            x_disable_machine_info=True,
        )
        with _translated():
            opened = wandb.init(
                id=name,
                name=run.run_id,
                project=run.project,
                entity=options.get("entity"),
                group=options.get("group"),
                job_type=options.get("job_type") or run.kind,
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
        self.is_new = is_new
        self.url = run.url or str(Path(run.settings.sync_dir))
        self._defined: set[str] = set()

    def send(self, batch: Sequence[Point | Item]) -> Sequence[Rejected]:
        """Takes rows and files in their order: a step that is not the highest is dropped there."""
        rejected = []
        with _translated():
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

    def _write(self, row: dict[str, Any], axis: str, number: int, t_us: int) -> None:
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
        except (FileNotFoundError, ValueError, TypeError) as error:
            # Gone or changed since it was noted, or no picture at all.
            return [Rejected(item.key, str(error), "media.jsonl", item.seq)]
        return []

    def _put_item(self, item: Item) -> None:
        match item.kind:
            case "config":
                artifact = wandb.Artifact(_name(f"{self._about.name}-config"), "config")
                artifact.add_file(str(item.path), "config.yaml")
                self._run.log_artifact(artifact)
                return
            case "artifact":
                self._put_artifact(item)
                return
            case "table":
                shown: Any = self._table(item)
            case "video":
                shown = wandb.Video(str(item.path), caption=item.record.get("caption"))
            case "image" | "figure":
                shown = self._picture(item)
            case _:
                return
        prefix, _, _ = item.key.rpartition("/")
        axis = f"{prefix}/step" if prefix else "step"
        row = {item.key: shown} if item.step is None else {item.key: shown, axis: item.step}
        self._write(row, axis if item.step is not None else "", item.number, item.t_us)

    def _picture(self, item: Item) -> wandb.Image:
        said, base = item.record, self._about.dir
        labels = {int(k): str(v) for k, v in dict(said.get("labels") or {}).items() if _is_whole(k)}
        masks = {
            str(name): {"path": str(picture_of(mask, base)), "class_labels": labels}
            for name, mask in dict(said.get("masks") or {}).items()
        }
        boxes = {
            str(name): {"box_data": [_box(each, said.get("unit")) for each in found]}
            | ({"class_labels": labels} if labels else {})
            for name, found in dict(said.get("boxes") or {}).items()
        }
        caption = said.get("caption")
        return wandb.Image(
            str(item.path), caption=caption, masks=masks or None, boxes=boxes or None
        )

    def _table(self, item: Item) -> Any:
        said = item.record
        columns: list[str | int] = [str(each) for each in said.get("columns") or ()]
        table = wandb.Table(columns=columns, allow_mixed_types=True)
        for number, row in enumerate(rows_of(item.path)):
            if number >= _MOST_ROWS:
                break
            table.add_data(*(self._cell(row.get(str(column))) for column in columns))
        if said.get("plot") == "confusion_matrix":
            fields = {"Actual": "truth", "Predicted": "prediction", "nPredictions": "count"}
            return wandb.plot_table("wandb/confusion_matrix/v1", table, fields, {"title": item.key})
        return table

    def _cell(self, value: Any) -> Any:
        if isinstance(value, dict) and isinstance(value.get("_picture"), dict):
            return wandb.Image(str(picture_of(value["_picture"], self._about.dir)))
        return value

    def _put_artifact(self, item: Item) -> None:
        said = item.record
        metadata = said.get("metadata")
        artifact = wandb.Artifact(
            _name(item.key),
            _name(str(said.get("kind") or "file")),
            metadata=metadata if isinstance(metadata, dict) else None,
        )
        for part in parts_of(item, self._about.dir):
            artifact.add_file(str(part.path), part.name)
        aliases = list(dict.fromkeys([*item.aliases, "latest"]))
        self._run.log_artifact(artifact, aliases=aliases)

    def describe(self, facts: Mapping[str, str]) -> None:
        """Goes to the configuration, where runs are compared."""
        with _translated():
            for key, value in facts.items():
                self._run.config[key] = value

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


def run_id(run: RunInfo, generation: int | None = None) -> str:
    """A run's id there: its own, where W&B takes it; a new one each time it is begun anew.

    A deleted run's id can never be used again.
    """
    generation = run.generation if generation is None else generation
    own = run.run_id
    if not re.fullmatch(r"[A-Za-z0-9_.-]{1,58}", own):
        own = f"{_name(own)[:32]}-{digest(own)[:12]}"
    offline = run.options.get("mode") == "offline"
    return own if offline or not generation else f"{own}-g{generation + 1}"


@contextlib.contextmanager
def _translated() -> Iterator[None]:
    """What W&B raises, as Retry or Refused."""
    try:
        yield
    except AuthenticationError as error:
        raise Refused("track.wandb_key", where="W&B", why=_short(error)) from error
    except UsageError as error:
        raise Refused("track.wandb_refused", where="W&B", why=_short(error)) from error
    except (CommError, wandb.Error) as error:
        if _REFUSED.search(str(error)):
            raise Refused("track.wandb_key", where="W&B", why=_short(error)) from error
        raise Retry(_short(error)) from error
    except (TimeoutError, OSError) as error:
        raise Retry(_short(error) or type(error).__name__) from error


def _short(error: BaseException) -> str:
    return " ".join(str(error).split())[:300]


def _box(said: Mapping[str, Any], unit: Any) -> dict[str, Any]:
    """A box as W&B wants it."""
    x0, y0, x1, y1 = (float(each) for each in said["box"])
    found: dict[str, Any] = {"position": {"minX": x0, "minY": y0, "maxX": x1, "maxY": y1}}
    if unit == "pixel":
        found["domain"] = "pixel"
    label, score = said.get("label"), said.get("score")
    found["class_id"] = label if isinstance(label, int) else 0
    if isinstance(label, str):
        found["box_caption"] = label
    if isinstance(score, (int, float)):
        found["scores"] = {"score": float(score)}
    return found


def _is_whole(text: Any) -> bool:
    return str(text).isascii() and str(text).isdigit()


def _escaped(key: str) -> str:
    """A key as ``define_metric`` takes it: a ``*`` would be a pattern there."""
    return key.replace("*", r"\*")


def _name(text: str) -> str:
    """An artifact's name as W&B takes it."""
    return re.sub(r"[^A-Za-z0-9_.-]+", "-", text).strip("-.")[:120] or "run"
