"""What of a run is a file, as W&B shows it: pictures with masks and boxes, tables, films."""

from __future__ import annotations

import json
import re
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import wandb

from overnight.trackers.base import Item
from overnight.trackers.files import parts_of, picture_of, spread_of, table_of

#: A class that has no number is given one by its name: the same in every picture of every run.
_NUM_CLASSES = 1 << 24
_PICTURES = (".png", ".apng", ".webp")
#: Its own chart's names for the columns of a confusion matrix.
_CONFUSION = {"Actual": "truth", "Predicted": "prediction", "nPredictions": "count"}

#: What a table's column is to W&B, by what its cells are.
_KINDS = ((str, {str}), (bool, {bool}), (float, {int, float}), (wandb.Image, {wandb.Image}))


def shown(item: Item, dir: Path) -> Any:
    """A picture, a table or a film, to be logged under the item's key.

    Raises:
        FileNotFoundError: It is gone.
        ValueError, OSError: It is not what its record says.
    """
    match item.kind:
        case "table":
            return _table(item, dir)
        case "histogram":
            low, high, counts = spread_of(item)
            width = (high - low) / len(counts)
            edges = [*(low + at * width for at in range(len(counts))), high]
            spread: Any = counts, edges  # declared as NumPy's, which need not be there
            return wandb.Histogram(np_histogram=spread)
        # Films without a codec are animated pictures.
        case "video" if item.path.suffix.lower() not in _PICTURES:
            return wandb.Video(str(item.path), caption=item.record.get("caption"))
        case _:
            return _picture(item, dir)


def version(item: Item, dir: Path) -> wandb.Artifact:
    """A version of a file or folder.

    Raises:
        FileNotFoundError: A file of it is gone.
        ValueError: One has changed since, or its name leads out of the version.
    """
    said = item.record
    metadata = said.get("metadata")
    made = wandb.Artifact(
        name_of(item.key),
        name_of(str(said.get("kind") or "file")),
        metadata=metadata if isinstance(metadata, dict) else None,
    )
    for part in parts_of(item, dir):
        # What is never written again needs no copy of it in the person's home, nor in a cache.
        policy: Any = "immutable" if part.is_final else "mutable"
        made.add_file(str(part.path.absolute()), part.name, policy=policy, skip_cache=True)
    return made


def name_of(text: str) -> str:
    """An artifact's name as W&B takes it."""
    return re.sub(r"[^A-Za-z0-9_.-]+", "-", text).strip("-.")[:120] or "run"


def _picture(item: Item, dir: Path) -> wandb.Image:
    said = item.record
    labels = {int(k): str(v) for k, v in dict(said.get("labels") or {}).items() if _is_whole(k)}
    masks = {
        str(name): {"path": str(picture_of(mask, dir)), "class_labels": labels}
        for name, mask in dict(said.get("masks") or {}).items()
    }
    boxes = {
        str(name): _boxes(found, labels, said.get("unit"))
        for name, found in dict(said.get("boxes") or {}).items()
    }
    caption = said.get("caption")
    return wandb.Image(str(item.path), caption=caption, masks=masks or None, boxes=boxes or None)


def _boxes(found: Any, labels: Mapping[int, str], unit: Any) -> dict[str, Any]:
    """Boxes of one name: W&B shows and hides them by their class's number."""
    numbers = {text: number for number, text in labels.items()}
    known = dict(labels)
    data = []
    for said in found:
        box = _box(said, unit)
        label = said.get("label")
        if isinstance(label, str):
            number = numbers.get(label, zlib.crc32(label.encode()) % _NUM_CLASSES)
            known[number] = box["box_caption"] = label
        else:
            number = label if isinstance(label, int) else 0
            if number in known:
                box["box_caption"] = known[number]
        box["class_id"] = number
        data.append(box)
    return {"box_data": data, **({"class_labels": known} if known else {})}


def _box(said: Mapping[str, Any], unit: Any) -> dict[str, Any]:
    x0, y0, x1, y1 = (float(each) for each in said["box"])
    found: dict[str, Any] = {"position": {"minX": x0, "minY": y0, "maxX": x1, "maxY": y1}}
    if unit == "pixel":
        found["domain"] = "pixel"
    score = said.get("score")
    if isinstance(score, (int, float)):
        found["scores"] = {"score": float(score)}
    return found


def _table(item: Item, dir: Path) -> Any:
    columns, rows = table_of(item, lambda said: wandb.Image(str(picture_of(said, dir))))
    kinds = []
    for at in range(len(columns)):
        found = {type(row[at]) for row in rows} - {type(None)}
        kind = next((kind for kind, fits in _KINDS if found <= fits), None)
        kinds.append(kind or str)
        for row in () if kind else rows:
            if row[at] is not None and not isinstance(row[at], str):
                row[at] = json.dumps(row[at], ensure_ascii=False, default=str)
    # Its page draws, sorts and shows pictures only of a column whose cells are of one kind.
    table = wandb.Table(columns=list(columns), data=rows, dtype=kinds, optional=True)
    if item.record.get("plot") == "confusion_matrix":
        title = {"title": item.key}
        return wandb.plot_table("wandb/confusion_matrix/v1", table, _CONFUSION, title)
    return table


def _is_whole(text: Any) -> bool:
    return str(text).isascii() and str(text).isdigit()
