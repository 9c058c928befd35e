"""Pictures, tables, videos and files from inside a training, kept with its run.

As with ``overnight.log``, nothing here raises into the job: what cannot be kept is said once on
stderr. A call takes as long as its file takes to write; docs/media.md says how long that is.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Union

from overnight.errors import OvernightError, UserError
from overnight.ledger import job as pens
from overnight.ledger import pixels
from overnight.ledger.artifact import Version, version
from overnight.ledger.complaint import complain
from overnight.ledger.format import number
from overnight.ledger.shelf import Shelf, copier, suffix_of, writer
from overnight.ledger.table import check_plot, write_table

Boxes = Union[Iterable[Mapping[str, Any]], Mapping[str, Iterable[Mapping[str, Any]]]]
Labels = Union[Mapping[int, str], Sequence[str]]
_UNITS = ("pixel", "share")


def figure(figure: Any, key: str = "figure", *, step: int | None = None) -> Path | None:
    """Keeps a drawing with the run.

    Args:
        figure: A path to a picture, or an object with ``savefig`` (Matplotlib).
        key: What it shows; pictures of one key form a series.
        step: Where on the axis.

    Returns:
        Where it was stored; None without a run, or where it could not be (said once on stderr).
    """
    return _keep("figure", "job.no_picture", key, partial(_drawing, figure, key), step=step)


def keep_figure(run: pens.Job, figure: Any, key: str) -> str:
    """As ``figure``, for whoever says itself what went wrong; gives the path.

    Raises:
        Exception: Whatever is wrong with the figure, or with the disk.
    """
    record, path = _kept("figure", run, key, partial(_drawing, figure, key))
    run.pen("media").append(record)
    return path


def _drawing(figure: Any, key: object, shelf: Shelf) -> dict[str, Any]:
    if not isinstance(figure, (str, os.PathLike)) and not hasattr(figure, "savefig"):
        raise UserError("job.no_pixels", kind=type(figure).__name__)
    return shelf.picture(figure, str(key))


def image(
    picture: Any,
    key: str = "image",
    *,
    masks: Mapping[str, Any] | None = None,
    boxes: Boxes | None = None,
    unit: str = "pixel",
    labels: Labels | None = None,
    caption: str | None = None,
    step: int | None = None,
    epoch: int | None = None,
    fold: int | None = None,
) -> Path | None:
    """Keeps a picture with the run, with what was found in it.

    ::

        overnight.image(photo, "valid/worst", masks={"prediction": logits.argmax(0)},
                        labels=["road", "car"], epoch=3)
        overnight.image(photo, "valid/boxes", boxes={
            "truth": [{"box": [12, 30, 96, 80], "label": "car"}],
            "prediction": [{"box": [14, 28, 99, 83], "label": "car", "score": 0.93}]})

    Args:
        picture: A path, an image of Pillow's, a Matplotlib figure, or an array or tensor: height x
            width, or with 1, 3 or 4 channels behind or before them; integers 0 to 255, floats 0
            to 1.
        key: What it shows; pictures of one key form a series.
        masks: Name → one class's number a pixel, as an array, a tensor, an image or a PNG's path.
        boxes: Each ``{"box": [x0, y0, x1, y1], "label": …, "score": …}``; or name → such boxes.
        unit: Of the corners: ``pixel``, or ``share`` (0 to 1 of the width and the height).
        labels: A class's number → its name, for masks and boxes.
        caption: A line for people.
        step: Where on the axis.
        epoch: Likewise.
        fold: The fold of a cross-validation this belongs to.

    Returns:
        Where it was stored; None without a run, or where it could not be (said once on stderr).
    """

    def fill(shelf: Shelf) -> dict[str, Any]:
        fields: dict[str, Any] = shelf.picture(picture, str(key))
        found = {
            str(name): _tried("job.no_mask", key, partial(_mask, shelf, mask))
            for name, mask in (masks or {}).items()
        }
        fields["masks"] = {name: mask for name, mask in found.items() if mask} or None
        if boxes is not None:
            kept = _tried("job.no_boxes", key, lambda: _boxes(boxes, unit))
            if kept is not None:
                fields.update(boxes=kept, unit=unit)
        if labels is not None:
            fields["labels"] = _labels(labels)
        return fields

    axes = {"step": step, "epoch": epoch, "fold": fold}
    return _keep("image", "job.no_picture", key, fill, caption=caption, **axes)


def table(
    columns: Sequence[Any] | None,
    rows: Any,
    key: str = "table",
    *,
    plot: str | None = None,
    caption: str | None = None,
    step: int | None = None,
    epoch: int | None = None,
    fold: int | None = None,
) -> Path | None:
    """Keeps a table with the run: predictions with their pictures, a metric for each class.

    ::

        overnight.table(["image", "truth", "prediction"], rows, "valid/predictions", epoch=3)

    Args:
        columns: Their names; None to take them from the rows (dictionaries, a pandas table).
        rows: Each a sequence of cells, or a mapping from column to cell. A cell is a number, text,
            a list … or a picture: an image of Pillow's, a figure, an array with channels, a
            ``pathlib.Path`` to a picture. An iterator is read row by row, never held.
        key: What it shows; tables of one key form a series.
        plot: What the rows draw: ``confusion_matrix``, from columns truth, prediction, count.
        caption: A line for people.
        step: Where on the axis.
        epoch: Likewise.
        fold: The fold of a cross-validation this belongs to.

    Returns:
        Where it was stored; None without a run, or where it could not be (said once on stderr).
    """

    def fill(shelf: Shelf) -> dict[str, Any]:
        fields = write_table(shelf, str(key), columns, rows)
        if plot is not None:
            fields["plot"] = _tried("job.no_plot", key, lambda: check_plot(plot, fields["columns"]))
        return fields

    axes = {"step": step, "epoch": epoch, "fold": fold}
    return _keep("table", "job.no_table", key, fill, caption=caption, **axes)


def video(
    path: str | os.PathLike[str],
    key: str = "video",
    *,
    caption: str | None = None,
    step: int | None = None,
    epoch: int | None = None,
    fold: int | None = None,
) -> Path | None:
    """Keeps a copy of a film with the run (mp4, webm, gif …).

    Args:
        path: The file.
        key: What it shows; films of one key form a series.
        caption: A line for people.
        step: Where on the axis.
        epoch: Likewise.
        fold: The fold of a cross-validation this belongs to.

    Returns:
        Where it was stored; None without a run, or where it could not be (said once on stderr).
    """

    def fill(shelf: Shelf) -> dict[str, Any]:
        source = os.fspath(path)
        return shelf.put(str(key), suffix_of(source, ".mp4"), copier(source))

    axes = {"step": step, "epoch": epoch, "fold": fold}
    return _keep("video", "job.no_video", key, fill, caption=caption, **axes)


def artifact(
    path: str | os.PathLike[str],
    name: str | None = None,
    kind: str = "file",
    aliases: Iterable[str] = (),
    *,
    metadata: Mapping[str, Any] | None = None,
) -> str | None:
    """Notes a version of a file or a folder: a model, a data set, a table of predictions.

    What lies in the run's folder stays there; any other file is copied into the run, unless it is
    larger than 64 MiB: then its path and sha256 are noted.

    Args:
        path: The file, or the folder with all that is in it (at most 1,000 files).
        name: Versions of one name form a series; the file's own name by default.
        kind: ``model``, ``dataset``, ``config`` or any other word.
        aliases: What this version is called: ``best``, ``latest``.
        metadata: Anything that JSON can hold.

    Returns:
        The version's sha256; None without a run, or where it could not be noted (said on stderr).
    """
    source = _tried("job.no_artifact", name, lambda: os.path.normpath(os.fspath(path)))
    if source is None:
        return None
    found: list[Version] = []

    def fill(shelf: Shelf) -> dict[str, Any]:
        found.append(version(shelf, source))
        words = [aliases] if isinstance(aliases, str) else [str(alias) for alias in aliases]
        meta = None if metadata is None else dict(metadata)
        return {"kind": str(kind), "aliases": words, **found[0].fields(), "metadata": meta}

    kept = _keep("artifact", "job.no_artifact", name or os.path.basename(source), fill)
    return found[0].sha256 if kept is not None else None


def _keep(
    kind: str,
    complaint: str,
    key: object,
    fill: Callable[[Shelf], dict[str, Any]],
    *,
    caption: object = None,
    step: Any = None,
    epoch: Any = None,
    fold: Any = None,
) -> Path | None:
    """Puts the files of a record on the shelf, then writes the record; gives its file's path."""
    try:
        job = pens.current()
        if job is None:
            return None
        record, path = _kept(kind, job, key, fill)
        record.update(pens.axes(step, epoch, fold))
        if caption is not None:
            record["caption"] = str(caption)
        job.pen("media").append(record)
        return Path(path)
    except Exception as error:  # whatever is wrong with a picture, the training goes on
        _complain(complaint, key, error)
        return None


def _kept(
    kind: str, job: pens.Job, key: object, fill: Callable[[Shelf], dict[str, Any]]
) -> tuple[dict[str, Any], str]:
    """The record of what was put on the shelf, and its file's path."""
    fields = fill(Shelf(job.run, job.suffix, job.pen("media").next_seq))
    record: dict[str, Any] = {"_kind": kind, "key": str(key)}
    record.update({name: value for name, value in fields.items() if value is not None})
    return record, job.run.at(fields.get("path", ""))


def _complain(sentence: str, key: object, error: Exception) -> None:
    if isinstance(error, OvernightError) and not error.where:
        error.where = repr(key) if isinstance(key, str) else type(key).__name__
    complain(sentence, error)


def _tried(sentence: str, key: object, make: Callable[[], Any]) -> Any:
    """What ``make`` gives; None, and a complaint, where it fails: the rest is kept all the same."""
    try:
        return make()
    except Exception as error:  # see _keep()
        _complain(sentence, key, error)
        return None


def _mask(shelf: Shelf, mask: Any) -> dict[str, Any]:
    if isinstance(mask, (str, os.PathLike)):
        path = os.fspath(mask)
        return shelf.part(suffix_of(path, ".png"), copier(path))
    return shelf.part(".png", writer(pixels.class_ids(mask).png()))


def _boxes(boxes: Any, unit: str) -> dict[str, list[dict[str, Any]]]:
    if unit not in _UNITS:
        raise UserError("job.box_unit", unit=repr(unit))
    groups = boxes if isinstance(boxes, Mapping) else {"boxes": boxes}
    return {str(name): [_box(box) for box in group] for name, group in groups.items()}


def _box(given: Mapping[str, Any]) -> dict[str, Any]:
    corners: Any = given.get("box") if isinstance(given, Mapping) else None
    listed = corners.tolist() if hasattr(corners, "tolist") else corners
    if not isinstance(listed, (list, tuple)) or len(listed) != 4:
        raise UserError("job.box", box=repr(given)[:200])
    box: dict[str, Any] = {"box": [number(corner) for corner in listed]}
    label, score = given.get("label"), given.get("score")
    if label is not None:
        box["label"] = label if isinstance(label, str) else int(number(label))
    if score is not None:
        box["score"] = number(score)
    return box


def _labels(labels: Labels) -> dict[str, str]:
    pairs = labels.items() if isinstance(labels, Mapping) else enumerate(labels)
    return {str(number): str(name) for number, name in pairs}
