"""``csv``: a table of IDs and targets, and a folder of images."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from overnight.errors import UserError, UserErrors
from overnight.tasks.base import Problem
from overnight.tasks.image_classification import table
from overnight.tasks.image_classification.files import Finder, images_below
from overnight.tasks.image_classification.formats.listing import Entry, Listing, problem

if TYPE_CHECKING:
    from overnight.tasks.image_classification.config import Data

#: A column of this name says in which fold a row is validated.
FOLD = "fold"


def read(data: Data) -> Listing:
    """The rows of the tables, each with its file.

    Raises:
        UserErrors: A table or a folder is missing, or cannot be read; a column is missing.
    """
    assert data.train_csv is not None
    assert data.image_dir_train is not None
    errors: list[UserError] = []
    for folder in (data.image_dir_train, data.image_dir_test):
        if folder is not None and not folder.is_dir():
            errors.append(UserError("data.no_folder", where=folder))
    entries: list[Entry] = []
    problems: list[Problem] = []
    try:
        entries, problems = _rows(data, data.train_csv, data.image_dir_train)
    except UserErrors as mistakes:
        errors += mistakes.errors
    except UserError as mistake:
        errors.append(mistake)
    unlabelled: list[Entry] = []
    try:
        unlabelled, more = _to_predict(data)
        problems += more
    except UserError as mistake:
        errors.append(mistake)
    if errors:
        raise UserErrors(errors)
    named = FOLD if any(entry.fold is not None for entry in entries) else ""
    return Listing(entries, unlabelled, problems, folds_named_by=named)


def _rows(data: Data, path: Path, folder: Path) -> tuple[list[Entry], list[Problem]]:
    read = table.read(path, expected=(data.id_col, data.target_col))
    errors: list[UserError] = []
    found: dict[str, str] = {}
    wanted = {"data.id_col": data.id_col, "data.target_col": data.target_col}
    if data.group_col is not None:
        wanted["data.group_col"] = data.group_col
    for key, name in wanted.items():
        try:
            found[key] = read.need(name, key)
        except UserError as error:
            errors.append(error)
    fold_column = read.find(FOLD)
    # A target or a group may be called fold, too.
    folds = (
        fold_numbers(read, fold_column, errors)
        if fold_column is not None and fold_column not in found.values()
        else [None] * len(read.rows)
    )
    if errors:
        raise UserErrors(errors)
    groups = read.column(found["data.group_col"]) if data.group_col is not None else None
    entries = [
        Entry(id, {}, label, groups[i] or None if groups else None, folds[i], read.lines[i])
        for i, (id, label) in enumerate(
            zip(
                read.column(found["data.id_col"]),
                read.column(found["data.target_col"]),
                strict=True,
            )
        )
    ]
    problems = told_encoding(read)
    if groups and not all(groups):
        without = [entry.id for entry in entries if entry.group is None]
        problems.append(problem("data.group_missing", without, column=data.group_col))
    located, more = locate(entries, folder, data.image_ext)
    return located, problems + more


def _to_predict(data: Data) -> tuple[list[Entry], list[Problem]]:
    """The rows of ``sample_csv`` in their order, else the images of ``image_dir_test``."""
    folder = data.image_dir_test
    if data.sample_csv is None:
        return (images_of(folder), []) if folder is not None and folder.is_dir() else ([], [])
    read = table.read(data.sample_csv, expected=(data.id_col, data.target_col))
    ids = read.column(read.need(data.id_col, "data.id_col"))
    assert folder is not None
    entries = [Entry(id, {}, line=line) for id, line in zip(ids, read.lines, strict=True)]
    located, problems = locate(entries, folder, data.image_ext)
    return located, [*told_encoding(read), *problems]


def images_of(folder: Path, prefix: str = "") -> list[Entry]:
    """Every image of a folder; an ID is ``prefix`` and the path within the folder."""
    return [Entry(prefix + name, {"image": str(folder / name)}) for name in images_below(folder)]


def locate(
    entries: Sequence[Entry], folder: Path, extension: str | None
) -> tuple[list[Entry], list[Problem]]:
    """The entries with their files; one without a file says where it was looked for."""
    finder = Finder(folder.absolute(), extension)
    located = []
    several = []
    for entry in entries:
        found = finder.find(entry.id) if entry.id else None
        if found is not None and found.others:
            several.append(f"{entry.id}: {Path(found.path).name} ({', '.join(found.others)})")
        inputs = {"image": found.path if found else ""}
        looked_for = "" if found else str(folder / (entry.id or f"? ({entry.line})"))
        located.append(
            Entry(entry.id, inputs, entry.label, entry.group, entry.fold, entry.line, looked_for)
        )
    return located, [problem("data.several_files", several)] if several else []


def fold_numbers(read: table.Table, column: str, errors: list[UserError]) -> list[int | None]:
    """The folds that a column names; what is no whole number becomes an error."""
    numbers: list[int | None] = []
    wrong = []
    for text, line in zip(read.column(column), read.lines, strict=True):
        number = whole(text)
        if number is None and text.lower() not in table.MISSING:
            wrong.append(f"{line} ({text})")
        numbers.append(number)
    if wrong:
        errors.append(
            UserError(
                "data.fold_not_whole", where=f"{read.path}: {column}", lines=", ".join(wrong[:5])
            )
        )
    return numbers


def whole(text: str) -> int | None:
    """The whole number a cell holds; ``3.0`` is one, as tools write it beside missing values."""
    digits = text.removesuffix(".0")
    plain = digits.removeprefix("-")
    return int(digits) if plain.isascii() and plain.isdigit() and len(plain) < 16 else None


def told_encoding(read: table.Table) -> list[Problem]:
    """That a table was not UTF-8: a guess a person should know of."""
    if read.encoding == "utf-8-sig":
        return []
    name = {"cp949": "CP949 (EUC-KR)", "utf-16": "UTF-16"}[read.encoding]
    return [problem("data.read_as", [str(read.path)], path=str(read.path), encoding=name)]
