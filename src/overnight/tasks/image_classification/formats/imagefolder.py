"""``imagefolder``: as Hugging Face's datasets lay it out.

``train/``, ``validation/`` and ``test/`` (or no such parts), and in each of them either
``metadata.csv`` or ``metadata.jsonl`` with a column ``file_name``, or a folder for each class.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from overnight.errors import UserError, UserErrors
from overnight.tasks.base import Problem
from overnight.tasks.folds import ALWAYS_TRAINED
from overnight.tasks.image_classification import table
from overnight.tasks.image_classification.files import images_below
from overnight.tasks.image_classification.formats import csv, folders
from overnight.tasks.image_classification.formats.listing import Entry, Listing, problem

if TYPE_CHECKING:
    from overnight.tasks.image_classification.config import Data

FILE_NAME = "file_name"
TABLES = ("metadata.csv", "metadata.jsonl")
Part = Literal["train", "validation", "test"]
#: The words that datasets itself goes by.
_WORDS: dict[str, Part] = {
    "train": "train", "training": "train",
    "validation": "validation", "valid": "validation", "val": "validation", "dev": "validation",
    "test": "test", "testing": "test", "eval": "test", "evaluation": "test",
}  # fmt: skip


def parts_of(folder: Path) -> dict[Part, Path]:
    """The parts of a data set that have a folder each; empty where it has no folder to train on."""
    found: dict[Part, Path] = {}
    for each in sorted(folder.iterdir()):
        part = _WORDS.get(each.name.lower())
        if part is not None and each.is_dir():
            found.setdefault(part, each)
    return found if "train" in found else {}


def has_table(folder: Path) -> bool:
    """Whether a table of labels lies in a folder."""
    return any((folder / name).is_file() for name in TABLES)


def read(data: Data) -> Listing:
    """Every image of every part. Where there is a validation part, it alone is validated on.

    Raises:
        UserErrors: A folder, a table or a column is missing.
    """
    folder = data.image_dir_train
    assert folder is not None
    missing = [each for each in (folder, data.image_dir_test) if each and not each.is_dir()]
    if missing:
        raise UserErrors([UserError("data.no_folder", where=each) for each in missing])
    folder = folder.absolute()
    parts = parts_of(folder) or {"train": folder}
    entries: list[Entry] = []
    problems: list[Problem] = []
    names: list[str] = []
    errors: list[UserError] = []
    for part in ("train", "validation"):
        if part not in parts:
            continue
        try:
            found, of_folders, more = _part(data, parts[part], folder)
        except UserErrors as mistakes:
            errors += mistakes.errors
            continue
        if "validation" in parts:
            fold = 0 if part == "validation" else ALWAYS_TRAINED
            found = [replace(entry, fold=fold) for entry in found]
        entries += found
        problems += more
        names += [name for name in of_folders if name not in names]
    if errors:
        raise UserErrors(errors)
    named_by = ""
    if "validation" in parts:
        named_by = parts["validation"].name
        num = sum(entry.fold == 0 for entry in entries)
        problems.append(problem("data.own_validation", folder=str(parts["validation"]), images=num))
    unlabelled: list[Entry] = []
    if data.image_dir_test is not None:
        unlabelled = csv.images_of(data.image_dir_test.absolute())
    elif "test" in parts:
        unlabelled = csv.images_of(parts["test"], f"{parts['test'].name}/")
    sure = sorted(names) or None
    return Listing(entries, unlabelled, problems, sure, sure, named_by)


def _part(data: Data, part: Path, root: Path) -> tuple[list[Entry], list[str], list[Problem]]:
    """A part's entries, the classes it has folders for, and what is odd about it."""
    inside = "" if part == root else f"{part.name}/"
    path = next((part / name for name in TABLES if (part / name).is_file()), None)
    if path is None:
        entries, names = folders.of_classes(part, inside)
        if not names:
            raise UserErrors([UserError("data.no_labels_here", where=part)])
        return entries, names, []
    try:
        read = table.read(path, expected=(FILE_NAME, data.target_col))
    except UserError as error:
        raise UserErrors([error]) from error
    errors: list[UserError] = []
    problems = csv.told_encoding(read)
    columns: dict[str, str] = {FILE_NAME: FILE_NAME, "data.target_col": data.target_col}
    # What the data sets of the Hub call it, where the spec does not say otherwise.
    if read.find(data.target_col) is None and data.target_col == "target" and read.find("label"):
        columns["data.target_col"] = "label"
        problems.append(problem("data.label_column", [str(path)], column="label"))
    if data.group_col is not None:
        columns["data.group_col"] = data.group_col
    for key, name in columns.items():
        try:
            columns[key] = read.need(name, key)
        except UserError as error:
            errors.append(error)
    if errors:
        raise UserErrors(errors)
    groups = read.column(columns["data.group_col"]) if data.group_col else [""] * len(read.rows)
    plain = [
        Entry(file, {}, label, group or None, None, line)
        for file, label, group, line in zip(
            read.column(columns[FILE_NAME]),
            read.column(columns["data.target_col"]),
            groups,
            read.lines,
            strict=True,
        )
    ]
    located, more = csv.locate(plain, part, data.image_ext)
    named = {entry.inputs["image"] for entry in located}
    unnamed = [name for name in images_below(part) if str(part / name) not in named]
    if unnamed:
        problems.append(problem("data.not_in_table", unnamed, table=str(path)))
    return [replace(entry, id=inside + entry.id) for entry in located], [], problems + more
