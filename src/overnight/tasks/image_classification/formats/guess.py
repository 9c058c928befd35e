"""Which format a data set has, where its spec does not say."""

from __future__ import annotations

from typing import TYPE_CHECKING

from overnight.errors import UserError, UserErrors
from overnight.tasks.image_classification.files import images_below
from overnight.tasks.image_classification.formats import cifar10, imagefolder

if TYPE_CHECKING:
    from overnight.tasks.image_classification.config import Data, Format


def guess(data: Data) -> Format:
    """The format, from what is there.

    Raises:
        UserErrors: It looks like none of them.
    """
    folder = data.image_dir_train
    if data.train_csv is not None:
        return "csv"
    assert folder is not None
    if not folder.is_dir():
        raise UserErrors([UserError("data.no_folder", where=folder)])
    if cifar10.folder_of(folder) is not None:
        return "cifar10"
    if imagefolder.has_table(folder) or imagefolder.parts_of(folder):
        return "imagefolder"
    if any(each.is_dir() and images_below(each) for each in sorted(folder.iterdir())):
        return "folders"
    found = ", ".join(sorted(each.name for each in folder.iterdir())[:10])
    raise UserErrors([UserError("data.no_format", where=folder, found=found or "–")])
