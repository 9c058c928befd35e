"""What a run keeps beside its numbers, as it is sent: from a record of media.jsonl to its file."""

from __future__ import annotations

from pathlib import Path

from overnight.ledger.format import Scope
from overnight.ledger.paths import RunPaths
from overnight.trackers.base import Item, Point
from overnight.trackers.counting import prefix_of
from overnight.trackers.records import Record


def item_of(run: RunPaths, record: Record, number: int) -> Item | None:
    """A record of media.jsonl; None where it names no file that is there."""
    data = record.data
    kind, key, where = data.get("_kind"), data.get("key"), data.get("path")
    if not isinstance(kind, str) or not isinstance(key, str) or not key:
        return None
    path = Path(run.dir)
    if kind not in ("artifact", "histogram"):  # these name no file, or several
        if not isinstance(where, str):
            return None
        path = path / where
        # A record of a foreign hand must not carry out what lies elsewhere.
        if not path.is_file() or not path.resolve().is_relative_to(Path(run.dir).resolve()):
            return None
    each = record.row
    axis = each.step if each.step is not None else each.epoch
    aliases = data.get("aliases")
    return Item(
        kind=kind,
        key=prefix_of(Scope(each.scope.fold, each.scope.trial, each.scope.stage)) + key,
        path=path,
        step=axis,
        t_us=record.t_us,
        number=number,
        record=data,
        aliases=[str(a) for a in aliases] if isinstance(aliases, list) else (),
    )


def num_bytes(each: Point | Item) -> int:
    """How much a file, or all of an artifact's, has to be carried there."""
    if isinstance(each, Point):
        return 0
    parts = each.record.get("files")
    if isinstance(parts, list):
        return sum(part["bytes"] for part in parts if type(part.get("bytes")) is int)
    try:
        return each.path.stat().st_size
    except OSError:  # gone since it was noted: the tracker says so
        return 0
