"""Pictures, tables, videos and files from inside a training, kept with its run.

As with ``overnight.log``, nothing here raises into the job: what cannot be kept is said once on
stderr. A call takes as long as its file takes to write; docs/media.md says how long that is.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from overnight.errors import UserError
from overnight.ledger import boxes as corners
from overnight.ledger import film as films
from overnight.ledger import histogram as spreads
from overnight.ledger import job as pens
from overnight.ledger import masks as regions
from overnight.ledger import png
from overnight.ledger.artifact import Version, version
from overnight.ledger.boxes import Boxes, Labels
from overnight.ledger.complaint import complain, complain_of
from overnight.ledger.shelf import Shelf, copier, suffix_of, writer
from overnight.ledger.table import check_plot, write_table


def figure(figure: Any, key: str = "figure", *, step: int | None = None) -> Path | None:
    """Keeps a drawing with the run.

    Args:
        figure: A figure of Matplotlib's, or its axes; or any picture, as of ``image``.
        key: What it shows; pictures of one key form a series.
        step: Where on the axis.

    Returns:
        Where it was stored; None without a run, or where it could not be (said once on stderr).
    """
    return _keep("figure", "job.no_picture", key, _drawing(figure, key), step=step)


def keep_figure(run: pens.Job, figure: Any, key: str) -> str:
    """As ``figure``, for whoever says itself what went wrong; gives the path.

    Raises:
        Exception: Whatever is wrong with the figure, or with the disk.
    """
    record, path = _kept("figure", run, key, _drawing(figure, key))
    run.pen("media").append(record)
    return path


def _drawing(figure: Any, key: object) -> Callable[[Shelf], dict[str, Any]]:
    return lambda shelf: shelf.picture(figure, str(key))


def image(
    picture: Any,
    key: str = "image",
    *,
    masks: Any = None,
    boxes: Boxes | None = None,
    unit: str = "pixel",
    box_format: str = "xyxy",
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
        picture: A path, an encoded picture's bytes, an image of Pillow's, a Matplotlib figure, or
            an array or tensor: height x width, or with 1, 3 or 4 channels behind or before them;
            integers 0 to 255, floats 0 to 1.
        key: What it shows; pictures of one key form a series.
        masks: Name → one class's number a pixel, as an array, a tensor, an image or a PNG's path;
            or name → {a class's name: where it is, as a mask of true and false}. A single mask
            needs no name.
        boxes: Each ``{"box": [x0, y0, x1, y1], "label": …, "score": …}`` or four numbers; or what
            a detector of torchvision's gives; or name → one of these.
        unit: Of the boxes' numbers: ``pixel``, or ``share`` (0 to 1 of the width and the height).
        box_format: What they are: ``xyxy`` (two corners), ``xywh`` (a corner and a size, as COCO
            has it), ``cxcywh`` (the middle and a size, as YOLO has it).
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
        known = _tried("job.no_labels", key, lambda: corners.names(labels))
        known = {} if known is None else known
        size = png.size_of(shelf.run.at(fields["path"]))
        given = masks if isinstance(masks, Mapping) else {} if masks is None else {"mask": masks}
        found = {
            str(name): _tried("job.no_mask", key, partial(_mask, shelf, mask, known, size))
            for name, mask in given.items()
        }
        fields["masks"] = {name: mask for name, mask in found.items() if mask} or None
        if boxes is not None:
            kept = _tried("job.no_boxes", key, lambda: corners.kept(boxes, unit, box_format))
            if kept is not None:
                fields.update(boxes=kept, unit=unit)
        if known:
            fields["labels"] = {str(number): name for number, name in sorted(known.items())}
        return fields

    axes = {"step": step, "epoch": epoch, "fold": fold}
    return _keep("image", "job.no_picture", key, fill, caption=caption, **axes)


def table(
    columns: Any = None,
    rows: Any = None,
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
        overnight.table(frame, "valid/predictions", epoch=3)

    Args:
        columns: Their names. What knows its own is given alone: dictionaries, columns as lists, a
            frame of pandas or polars, a table of Arrow.
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
    if columns is not None and (rows is None or isinstance(rows, str)):
        columns, rows, key = None, columns, key if rows is None else rows

    def fill(shelf: Shelf) -> dict[str, Any]:
        fields = write_table(shelf, str(key), columns, rows)
        if plot is not None:
            fields["plot"] = _tried("job.no_plot", key, lambda: check_plot(plot, fields["columns"]))
        return fields

    axes = {"step": step, "epoch": epoch, "fold": fold}
    return _keep("table", "job.no_table", key, fill, caption=caption, **axes)


def video(
    film: Any,
    key: str = "video",
    *,
    fps: float = 10.0,
    caption: str | None = None,
    step: int | None = None,
    epoch: int | None = None,
    fold: int | None = None,
) -> Path | None:
    """Keeps a film with the run.

    Args:
        film: A file's path (mp4, webm, gif …): it is copied. Or pictures of one size, as a list or
            as an array, time x height x width, or with channels behind or before the latter two:
            they become an animated PNG, which needs no codec and is as large as its pictures.
        key: What it shows; films of one key form a series.
        fps: Frames a second, of pictures.
        caption: A line for people.
        step: Where on the axis.
        epoch: Likewise.
        fold: The fold of a cross-validation this belongs to.

    Returns:
        Where it was stored; None without a run, or where it could not be (said once on stderr).
    """

    def fill(shelf: Shelf) -> dict[str, Any]:
        if not isinstance(film, (str, os.PathLike)):
            return shelf.put(str(key), ".png", films.writer(film, fps))
        source = os.fsdecode(film)
        return shelf.put(str(key), suffix_of(source, ".mp4"), copier(source))

    axes = {"step": step, "epoch": epoch, "fold": fold}
    return _keep("video", "job.no_video", key, fill, caption=caption, **axes)


def histogram(
    values: Any,
    key: str = "histogram",
    *,
    bins: int = 64,
    step: int | None = None,
    epoch: int | None = None,
    fold: int | None = None,
) -> None:
    """Keeps how numbers are spread: weights, gradients, confidences.

    ::

        overnight.histogram(model.head.weight.grad, "gradients/head", step=100)

    Args:
        values: Numbers in any order and shape: a list, an array, a tensor. They are counted here
            and not kept.
        key: What they are; histograms of one key form a series.
        bins: Of one width, from the lowest number to the highest; 256 at most.
        step: Where on the axis.
        epoch: Likewise.
        fold: The fold of a cross-validation this belongs to.
    """
    axes = {"step": step, "epoch": epoch, "fold": fold}
    _keep("histogram", "job.no_histogram", key, lambda _: spreads.counted(values, bins), **axes)


def artifact(
    path: str | os.PathLike[str],
    name: str | None = None,
    kind: str = "file",
    aliases: Iterable[str] | None = (),
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
    source = _tried("job.no_artifact", name or "artifact", lambda: _path(path))
    if source is None:
        return None
    found: list[Version] = []

    def fill(shelf: Shelf) -> dict[str, Any]:
        found.append(version(shelf, source))
        words = [aliases] if isinstance(aliases, str) else [str(each) for each in aliases or ()]
        meta = _tried("job.no_metadata", name or "artifact", lambda: dict(metadata or {})) or None
        return {"kind": str(kind), "aliases": words, **found[0].fields(), "metadata": meta}

    kept = _keep("artifact", "job.no_artifact", name or os.path.basename(source), fill)
    return found[0].sha256 if kept is not None else None


def _path(given: Any) -> str:
    if not isinstance(given, (str, bytes, os.PathLike)):
        raise UserError("job.no_path", kind=type(given).__name__)
    return os.path.abspath(os.fsdecode(given))


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
        complain_of(complaint, key, error)
        return None


def _kept(
    kind: str, job: pens.Job, key: object, fill: Callable[[Shelf], dict[str, Any]]
) -> tuple[dict[str, Any], str]:
    """The record of what was put on the shelf, and its file's path."""
    fields = fill(Shelf(job.run, job.suffix, job.pen("media").next_seq))
    record: dict[str, Any] = {"_kind": kind, "key": str(key)}
    record.update({name: value for name, value in fields.items() if value is not None})
    return record, job.run.at(fields.get("path", ""))


def _tried(sentence: str, key: object, make: Callable[[], Any]) -> Any:
    """What ``make`` gives; None, and a complaint, where it fails: the rest is kept all the same."""
    try:
        return make()
    except Exception as error:  # see _keep()
        complain_of(sentence, key, error)
        return None


def _mask(
    shelf: Shelf, mask: Any, known: dict[int, str], size: tuple[int, int] | None
) -> dict[str, Any]:
    """A mask's file.

    Args:
        shelf: Where it is put.
        mask: Classes' numbers, or a class's name → where it is.
        known: Number → name; names that were not known are added to it.
        size: Of its picture, where that is known.
    """
    if isinstance(mask, (str, os.PathLike)):
        path = os.fsdecode(mask)
        file = shelf.part(suffix_of(path, ".png"), copier(path))
    elif isinstance(mask, Mapping):
        raster = regions.of_classes(mask, _numbers(mask, known))
        file = shelf.part(".png", writer(raster.png()))
    else:
        file = shelf.part(".png", writer(regions.class_ids(mask).png()))
    own = png.size_of(shelf.run.at(file["path"]))
    if size is not None and own is not None and own != size:
        complain("job.mask_size", mask=f"{own[0]} x {own[1]}", picture=f"{size[0]} x {size[1]}")
    return file


def _numbers(named: Iterable[Any], known: dict[int, str]) -> dict[str, int]:
    """Name → number; 0 is where nothing is."""
    found = {}
    for name in named:
        numbers = [number for number, given in known.items() if given == name and number > 0]
        found[name] = numbers[0] if numbers else max(known, default=0) + 1
        known[found[name]] = str(name)
    return found
