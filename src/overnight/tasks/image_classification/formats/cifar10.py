"""``cifar10``: the batches as they are downloaded (``cifar-10-batches-py``)."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from overnight.errors import UserError, UserErrors
from overnight.tasks.image_classification import batch
from overnight.tasks.image_classification.formats.csv import images_of
from overnight.tasks.image_classification.formats.listing import Entry, Listing

if TYPE_CHECKING:
    from overnight.tasks.image_classification.config import Data

#: The folder that the archive unpacks to.
_UNPACKED = "cifar-10-batches-py"


def folder_of(folder: Path) -> Path | None:
    """Where the batches lie: here, or in the archive's own folder below; None if they do not."""
    for each in (folder, folder / _UNPACKED):
        if any(each.glob("data_batch_[0-9]*")):
            return each
    return None


def read(data: Data) -> Listing:
    """The pictures of all batches; those of ``test_batch`` are to be predicted.

    Raises:
        UserErrors: A file is missing, or is no batch.
    """
    assert data.image_dir_train is not None
    folder = folder_of(data.image_dir_train.absolute())
    if folder is None:
        raise UserErrors([UserError("data.no_batches", where=data.image_dir_train)])
    errors: list[UserError] = []
    names: tuple[str, ...] = ()
    entries: list[Entry] = []
    to_predict: list[Entry] = []
    try:
        names = batch.names(folder / "batches.meta")
    except UserError as error:
        errors.append(error)
    paths = sorted(folder.glob("data_batch_[0-9]*"))
    test = folder / "test_batch"
    for path in [*paths, *([test] if test.is_file() and data.image_dir_test is None else [])]:
        try:
            labels = batch.read(str(path)).labels
        except UserError as error:
            errors.append(error)
            continue
        (to_predict if path == test else entries).extend(
            Entry(f"{path.name}:{row}", {"image": str(path), "row": str(row)}, str(label))
            for row, label in enumerate(labels)
        )
    if errors:
        raise UserErrors(errors)
    if data.image_dir_test is not None:
        to_predict = images_of(data.image_dir_test.absolute())
    return Listing(entries, to_predict, (), names, tuple(map(str, range(len(names)))))
