"""What is to be predicted: a folder, a table of IDs, images, or a config's test images. Torch-free.

Nothing in here grows with an image: 100,000 of them are their IDs and paths.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, overload

from overnight.errors import UserError, UserErrors
from overnight.plugins import nearest
from overnight.tasks.base import Example, Problem
from overnight.tasks.image_classification import table
from overnight.tasks.image_classification.files import Finder, images_below, is_image
from overnight.tasks.image_classification.formats import cifar10, imagefolder
from overnight.tasks.image_classification.formats.guess import guess
from overnight.tasks.image_classification.formats.listing import problem
from overnight.tasks.predictor import Sample, Source, ToPredict

if TYPE_CHECKING:
    from overnight.tasks.image_classification.config import Data

_TABLES = (".csv", ".tsv", ".txt", ".jsonl", ".ndjson")
#: As competitions call them; the schema's own defaults.
_ID, _TARGET = "ID", "target"
#: IDs that are looked for to tell which column has them.
_LOOKED_AT = 20
_SHOWN = 20


class Images(Sequence[Example]):
    """Examples made when they are asked for: of 100,000 there is one at a time.

    Args:
        ids: As the results name them.
        paths: Of the files; empty: there is none.
        rows: In CIFAR-10's own batches, which picture of the file.
    """

    def __init__(self, ids: list[str], paths: list[str], rows: list[str] | None = None) -> None:
        self.ids, self._paths, self._rows = ids, paths, rows

    def __len__(self) -> int:
        return len(self.ids)

    @overload
    def __getitem__(self, index: int) -> Example: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Example]: ...
    def __getitem__(self, index: int | slice) -> Example | Sequence[Example]:
        if isinstance(index, slice):
            return [self[at] for at in range(*index.indices(len(self)))]
        inputs = {"image": self._paths[index]}
        if self._rows is not None:
            inputs["row"] = self._rows[index]
        return Example(self.ids[index], inputs)


class Inputs:
    """See ``overnight.tasks.predictor.Inputs``."""

    def find(self, source: Source) -> ToPredict:
        """What a person has named.

        Raises:
            UserErrors: Nothing can be predicted there.
        """
        data: Data | None = source.data
        if source.paths:
            found = _named(source, data)
        elif source.sample is not None:
            folder = data.image_dir_test if data is not None else None
            found = _of_table(source.sample, folder or source.sample.parent, data, is_sample=True)
        elif data is not None:
            found = _of_config(data)
        else:
            raise UserErrors([UserError("predict.no_input")])
        if not found.examples:
            raise UserErrors([UserError("predict.empty", where=_said(source))])
        return found

    def has_test(self, data: Data) -> bool:
        """Whether a config names anything to predict."""
        if data.image_dir_test is not None:
            return True
        try:
            return bool(_of_config(data).examples)
        except UserErrors:  # of the data themselves: told by whoever reads them
            return False


def _said(source: Source) -> str:
    """What was named, for an error."""
    words = [*source.paths, *([str(source.sample)] if source.sample else [])]
    if not words and source.data is not None:
        words = [str(source.data.sample_csv or source.data.image_dir_test)]
    words = [str(source.base / word) for word in words]
    return ", ".join(words[:3]) + (" …" if len(words) > 3 else "")


# ── what was named ──────────────────────────────────────────────────────────────────────────────


def _named(source: Source, data: Data | None) -> ToPredict:
    places = [source.base / path for path in source.paths]
    errors = [_missing(place) for place in places if not place.exists()]
    tables = [place for place in places if place.is_file() and not is_image(place.name)]
    for place in tables:
        if place.suffix.lower() in (".yaml", ".yml"):
            errors.append(UserError("predict.config_as_input", where=place, path=place))
        elif place.suffix.lower() not in _TABLES:
            errors.append(UserError("predict.not_image", where=place))
        elif len(places) > 1:
            errors.append(UserError("predict.table_and_more", where=place))
        elif source.sample is not None:
            errors.append(UserError("predict.two_tables", where=place, sample=source.sample))
    if errors:
        raise UserErrors(errors)
    if tables:
        folder = data.image_dir_test if data is not None else None
        return _of_table(tables[0], folder or tables[0].parent, data, is_sample=False)
    if source.sample is not None:
        if len(places) > 1 or not places[0].is_dir():
            raise UserErrors([UserError("predict.sample_needs_folder", where=places[0])])
        return _of_table(source.sample, places[0], data, is_sample=True)
    ids: list[str] = []
    paths: list[str] = []
    for word, place in zip(source.paths, places, strict=True):
        if place.is_dir():
            # Of several folders images are told apart by how the folders were named.
            prefix = "" if len(places) == 1 else word.rstrip("/") + "/"
            names = images_below(place)
            ids += [prefix + name for name in names]
            paths += [str(place / name) for name in names]
        else:
            ids.append(word)
            paths.append(str(place))
    return ToPredict(Images(ids, paths), problems=_twice(ids))


def _missing(place: Path) -> UserError:
    try:
        names = [each.name for each in place.parent.iterdir()]
    except OSError:
        names = []
    near = nearest(place.name, names)
    key = "predict.no_such_input_near" if near else "predict.no_such_input"
    return UserError(key, where=place, near=place.parent / (near or ""))


# ── a table of IDs ──────────────────────────────────────────────────────────────────────────────


def _of_table(path: Path, folder: Path, data: Data | None, *, is_sample: bool) -> ToPredict:
    """The rows of a table, each with its file.

    Args:
        path: The table.
        folder: Where the images lie.
        data: Names the columns.
        is_sample: Whether it is the form of the results; else it is where it has a column for them.
    """
    id_name = data.id_col if data is not None else _ID
    target_name = data.target_col if data is not None else _TARGET
    try:
        if not folder.is_dir():
            raise UserError("data.no_folder", where=folder)
        read = table.read(path, expected=(id_name, target_name))
        finder = Finder(folder.absolute(), data.image_ext if data is not None else None)
        column = read.find(id_name)
        if column is None:
            if data is not None and data.id_col != _ID:  # somebody has said so
                read.need(id_name, "data.id_col")
            column = _column_of_ids(read, finder)
        read.need(column, "data.id_col")  # a column that is there twice is refused
    except UserError as error:
        raise UserErrors([error]) from error
    ids = read.column(column)
    paths: list[str] = []
    missing: list[str] = []
    several: list[str] = []
    for id, line in zip(ids, read.lines, strict=True):
        found = finder.find(id) if id else None
        paths.append(found.path if found is not None else "")
        if found is None:
            missing.append(id or f"? ({line})")
        elif found.others:
            several.append(f"{id}: {Path(found.path).name} ({', '.join(found.others)})")
    problems = [*_twice(ids)]
    if missing:
        problems.append(
            problem(
                "predict.no_image", missing, stops=True, all=len(ids), table=str(path),
                folder=str(folder), shown=_shown(missing),
            )
        )  # fmt: skip
    if several:
        problems.append(problem("data.several_files", several))
    if path.parent != folder or is_sample:  # else the table's folder may hold anything
        problems += _not_named(folder, paths, path)
    sample = _sample(read, column, target_name, is_sure=is_sample)
    return ToPredict(Images(ids, paths), sample, problems)


def _column_of_ids(read: table.Table, finder: Finder) -> str:
    """The column most of whose first cells are images; else the first one."""

    def hits(name: str) -> int:
        cells = [cell for cell in read.column(name)[:_LOOKED_AT] if cell]
        return sum(finder.find(cell) is not None for cell in cells)

    return max(dict.fromkeys(read.columns), key=hits)


def _sample(read: table.Table, id_name: str, target_name: str, *, is_sure: bool) -> Sample:
    encoding = read.encoding
    if encoding == "utf-8-sig":  # what UTF-8 is read as, with its mark or without
        with read.path.open("rb") as file:
            encoding = "utf-8-sig" if file.read(3) == b"\xef\xbb\xbf" else "utf-8"
    return Sample(
        path=read.path,
        columns=read.columns,
        rows=read.rows,
        id_at=read.columns.index(id_name),
        target=read.find(target_name),
        separator=read.separator,
        encoding=encoding,
        is_sure=is_sure,
    )


def _not_named(folder: Path, paths: Iterable[str], path: Path) -> list[Problem]:
    """Images that lie there and that the table does not name: perhaps it is the wrong table."""
    named = set(paths)
    whole = folder.absolute()
    extra = [name for name in images_below(folder) if str(whole / name) not in named]
    return [problem("predict.not_named", extra, table=str(path))] if extra else []


def _twice(ids: Sequence[str]) -> list[Problem]:
    repeated = (
        [id for id, num in Counter(ids).items() if num > 1] if len(set(ids)) < len(ids) else []
    )
    return [problem("predict.twice", repeated)] if repeated else []


def _shown(names: Sequence[str]) -> str:
    more = len(names) - _SHOWN
    return ", ".join(names[:_SHOWN]) + (f" … (+{more:,})" if more > 0 else "")


# ── a config ────────────────────────────────────────────────────────────────────────────────────


def _of_config(data: Data) -> ToPredict:
    """The test images that a config names."""
    if data.sample_csv is not None and data.image_dir_test is not None:
        return _of_table(data.sample_csv, data.image_dir_test, data, is_sample=True)
    if data.image_dir_test is not None:
        if not data.image_dir_test.is_dir():
            raise UserErrors([UserError("data.no_folder", where=data.image_dir_test)])
        names = images_below(data.image_dir_test)
        return ToPredict(Images(names, [str(data.image_dir_test / name) for name in names]))
    word = data.format or guess(data)
    if word in ("cifar10", "imagefolder"):  # these say themselves what is to be predicted
        entries = (cifar10 if word == "cifar10" else imagefolder).read(data).unlabelled
        rows = [entry.inputs.get("row", "") for entry in entries]
        paths = [entry.inputs["image"] for entry in entries]
        return ToPredict(
            Images([entry.id for entry in entries], paths, rows if any(rows) else None)
        )
    raise UserErrors([UserError("predict.no_test", where="data.image_dir_test")])
