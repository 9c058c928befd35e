"""A first config of image classification: what it is made of, and what is found in a folder."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from overnight.errors import UserError, UserErrors
from overnight.plugins import nearest
from overnight.tasks.base import Found, Json
from overnight.tasks.image_classification import table
from overnight.tasks.image_classification.config import INFO, Data
from overnight.tasks.image_classification.files import Finder
from overnight.tasks.image_classification.formats import cifar10, imagefolder
from overnight.tasks.image_classification.formats.guess import guess
from overnight.tasks.image_classification.table import Table

#: What the column of the class is called where it is not called target, the likeliest first.
_TARGETS = (
    "target", "label", "labels", "class", "class_name", "class_id", "category", "answer", "y",
)  # fmt: skip
#: Tables of rows to predict, of names, of somebody's results.
_NO_TRAINING = ("sample", "submission", "test", "meta", "class", "valid")
_FOLD, _CLASS_NAME = "fold", "class_name"
#: IDs that are looked for in each folder: a column is one of IDs where most of them are there.
_LOOKED_AT = 20
#: Folders below the one that was named in which images are looked for.
_MAX_FOLDERS = 60


#: Eight trials cannot tell four values apart.
_FAST_SPACE = {key: INFO.search_space[key] for key in ("train.lr", "train.weight_decay")}
_FAST: Mapping[str, Json] = {"n_trials": 8, "epochs": 3, "search_space": _FAST_SPACE}


class Starter:
    """See ``overnight.tasks.base.Starter``."""

    presets: Mapping[str, Mapping[str, Json]] = {
        "plain": {},
        # To see within minutes whether everything fits together, on a CPU as well.
        "fast": {"model.name": "resnet18", "train.img_size": 128, "train.epochs": 3},
    }
    configs: Mapping[str, Mapping[str, Json]] = {
        "highperf": {"mode": "highperf", **INFO.modes["highperf"]},
        "fast_optimized": {
            "mode": "full-pipeline",
            "data.folds": 3,
            "model.name": "resnet18",
            "train.img_size": 128,
            "train.batch_size": 64,
            "train.epochs": 6,
            **{f"tuning.{key}": value for key, value in _FAST.items()},
            "auto_continue": True,
            "calibration": True,
            "until": "30m",
        },
    }
    searches: Mapping[str, Mapping[str, Json]] = {
        "optuna": {
            "n_trials": 20,
            "method": "bayes",
            "pruner": "median",
            "folds": 1,
            "search_space": dict(INFO.search_space),
        },
        "optuna_fast": _FAST,
    }
    #: Relative to the config.
    placeholders: Mapping[str, Json] = {
        "data.train_csv": "../data/train.csv",
        "data.image_dir_train": "../data/train",
    }
    shown: Sequence[str] = (
        "data.id_col", "data.target_col", "model.name", "model.pretrained", "model.pooling",
        "train.img_size", "train.batch_size", "train.epochs", "train.lr", "train.augmentation",
    )  # fmt: skip

    def look(self, place: Path) -> Found:
        """What lies in a folder.

        Raises:
            UserErrors: It is not there, or holds nothing to train on.
        """
        if not place.exists():
            close = nearest(place.name, _names(place.parent))
            key = "new.no_data" if close is None else "new.no_data_near"
            near = "" if close is None else str(place.parent / close)
            raise UserErrors([UserError(key, where=place, near=near)])
        folder = place if place.is_dir() else place.parent
        tables = [place] if place.is_file() else sorted(folder.glob("*.csv"))
        if cifar10.folder_of(folder) is None and not imagefolder.has_table(folder):
            found = _of_tables(folder, tables)
            if found is not None:
                return found
        if place.is_file():
            raise UserErrors([UserError("new.no_ids", where=place, folder=folder)])
        word = guess(Data.model_validate({"image_dir_train": folder}))
        values: dict[str, Any] = {"data.format": word, "data.image_dir_train": folder}
        num_classes = None
        if word == "imagefolder":
            values |= _of_metadata(folder)
        elif word == "folders":
            names = [name for name in _names(folder) if (folder / name).is_dir()]
            num_classes = len(names)
        return Found(values, num_classes=num_classes)


def _names(folder: Path) -> list[str]:
    try:
        return sorted(each.name for each in folder.iterdir() if not each.name.startswith("."))
    except OSError:
        return []


def _of_metadata(folder: Path) -> dict[str, Any]:
    """The column of the class, in Hugging Face's table."""
    train = imagefolder.parts_of(folder).get("train", folder)
    for name in imagefolder.TABLES:
        if (train / name).is_file():
            read = table.read(train / name, expected=[imagefolder.FILE_NAME])
            target = _target(read, imagefolder.FILE_NAME)
            return {} if target is None else {"data.target_col": target}
    return {}


def _of_tables(folder: Path, paths: Sequence[Path]) -> Found | None:
    """A table of IDs and targets, and the images it names; None where there is none."""
    tables = list(_readable(paths))
    folders = [Finder(each) for each in _folders(folder)]
    best: tuple[tuple[int, int, int], Table, str, Path] | None = None
    for read in tables:
        name = read.path.stem.lower()
        if len(paths) > 1 and any(word in name for word in _NO_TRAINING):
            continue
        for column in read.columns:
            place, hits = _where(read.column(column), folders)
            if place is None or _target(read, column) is None:
                continue
            rank = (hits, "train" in name, "train" in place.name.lower())
            if best is None or rank > best[0]:
                best = rank, read, column, place
    if best is None:
        return None
    _, train, id_col, images = best
    target = _target(train, id_col)
    assert target is not None
    values: dict[str, Any] = {
        "data.format": "csv",
        "data.train_csv": train.path,
        "data.image_dir_train": images,
        "data.id_col": id_col,
        "data.target_col": target,
    }
    labels = set(train.column(target)) - table.MISSING
    for read in tables:
        if read is train:
            continue
        if read.find(target) and read.find(_CLASS_NAME):
            values["data.meta_csv"] = read.path
        elif (same := read.find(id_col)) and "data.sample_csv" not in values:
            place, _ = _where(read.column(same), folders)
            if place is not None and place != images:
                values |= {"data.sample_csv": read.path, "data.image_dir_test": place}
    return Found(values, num_rows=len(train.rows), num_classes=len(labels))


def _readable(paths: Sequence[Path]) -> Iterator[Table]:
    """The tables among them; what is none of ours is left alone, but for one that was named."""
    for path in paths:
        try:
            yield table.read(path)
        except UserError:
            if len(paths) == 1:
                raise


def _folders(folder: Path) -> list[Path]:
    """The folder and those below it, two levels deep, that hold images by themselves."""
    below = [folder / name for name in _names(folder) if (folder / name).is_dir()]
    deeper = [each / name for each in below for name in _names(each) if (each / name).is_dir()]
    return [folder, *below, *deeper][:_MAX_FOLDERS]


def _where(ids: Sequence[str], folders: Sequence[Finder]) -> tuple[Path | None, int]:
    """The folder in which most of these are images, and how many of the first ones."""
    looked_at = [id for id in ids[:_LOOKED_AT] if id]
    best: tuple[Path | None, int] = (None, len(looked_at) // 2)
    for finder in folders:
        hits = sum(finder.find(id) is not None for id in looked_at)
        if hits > best[1]:
            best = finder.folder, hits
    return best


def _target(read: Table, id_col: str) -> str | None:
    """The column of the class: by its name, else the one with the fewest different values."""
    others = [each for each in read.columns if each != id_col and each.lower() != _FOLD]
    for wanted in _TARGETS:
        for column in others:
            if column.lower() == wanted:
                return column
    kinds = {column: len(set(read.column(column))) for column in others}
    likely = [column for column in others if 1 < kinds[column] < max(3, len(read.rows))]
    return min(likely, key=kinds.__getitem__, default=None)
