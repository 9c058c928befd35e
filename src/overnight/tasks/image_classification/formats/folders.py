"""``folders``: a folder for each class."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from overnight.errors import UserError, UserErrors
from overnight.tasks.image_classification.files import images_below, is_image
from overnight.tasks.image_classification.formats.csv import images_of
from overnight.tasks.image_classification.formats.listing import Entry, Listing, problem

if TYPE_CHECKING:
    from overnight.tasks.image_classification.config import Data


def read(data: Data) -> Listing:
    """Every image below the folder of a class.

    Raises:
        UserErrors: There is no such folder, or none in it.
    """
    folder = data.image_dir_train
    assert folder is not None
    missing = [each for each in (folder, data.image_dir_test) if each and not each.is_dir()]
    if missing:
        raise UserErrors([UserError("data.no_folder", where=each) for each in missing])
    entries, names = of_classes(folder.absolute())
    if not names:
        raise UserErrors([UserError("data.no_class_folders", where=folder)])
    # On top of the classes' folders: no class is said for these.
    loose = sorted(each.name for each in folder.iterdir() if each.is_file() and is_image(each.name))
    problems = [problem("data.loose_images", loose, folder=str(folder))] if loose else []
    test = data.image_dir_test
    return Listing(entries, images_of(test.absolute()) if test else (), problems, names, names)


def of_classes(folder: Path, prefix: str = "") -> tuple[list[Entry], list[str]]:
    """The images below each subfolder, and the subfolders' names, sorted; empty ones too.

    Args:
        folder: Of the classes' folders.
        prefix: Put before each ID.
    """
    names = sorted(
        each.name for each in folder.iterdir() if each.is_dir() and not each.name.startswith(".")
    )
    entries = [
        Entry(f"{prefix}{name}/{image}", {"image": str(folder / name / image)}, name)
        for name in names
        for image in images_below(folder / name)
    ]
    return entries, names
