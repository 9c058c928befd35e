"""The index of an image data set: read, checked, counted. Torch-free.

Everything that is wrong with it is found here, before the first step, and told in one go: what
makes it no data set at all as errors, everything else as problems of the index. Which of those end
the run is ``data.unreadable``'s choice: ``refuse`` stops at an image or a row that cannot be used,
``quarantine`` leaves it out and writes it down.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from overnight.errors import UserError, UserErrors
from overnight.messages import say
from overnight.tasks import folds
from overnight.tasks.base import DataIndex, Example, Problem
from overnight.tasks.image_classification import card, check, labels, problems
from overnight.tasks.image_classification.formats import cifar10, csv, folders, imagefolder
from overnight.tasks.image_classification.formats.guess import guess
from overnight.tasks.image_classification.formats.listing import Entry, Listing, problem
from overnight.tasks.image_classification.images import Look, load_image, pixels
from overnight.tasks.image_classification.looks import KnownLooks
from overnight.tasks.image_classification.problems import Seen, class_of

if TYPE_CHECKING:
    from overnight.tasks.image_classification.config import Data, Format

__all__ = ["Reader", "load_image", "pixels"]

_READ: dict[Format, Callable[[Data], Listing]] = {
    "csv": csv.read,
    "folders": folders.read,
    "imagefolder": imagefolder.read,
    "cifar10": cifar10.read,
}


class Reader:
    """Reads an image data set in any of its formats."""

    def scan(self, data: Data, *, progress: Callable[[int, int], None] | None = None) -> DataIndex:
        """Reads the tables and every image.

        Args:
            data: Its paths are absolute.
            progress: Called with how many images were checked, of how many.

        Raises:
            UserErrors: What makes it no data set at all: a missing file, folder or column, classes
                or folds that contradict each other.
        """
        rows = _rows(data)
        entries, examples = rows.entries, rows.examples
        unlabelled = [_example(entry, None) for entry in rows.to_predict]
        all_entries = [*entries, *rows.to_predict]
        known = KnownLooks(data.image_dir_train) if data.image_dir_train is not None else None
        looks = _look_at([*examples, *unlabelled], all_entries, progress, known)
        found = [*rows.problems, *problems.unusable(all_entries, looks, data)]
        seen = list(zip(all_entries, [*examples, *unlabelled], looks, strict=True))
        why = [_why_left_out(*each) for each in seen[: len(entries)]]
        why += [_why_unusable(entry, look) for entry, _, look in seen[len(entries) :]]
        whole = [
            (example, look) if look is not None and not reason else None
            for (_, example, look), reason in zip(seen, why, strict=True)
        ]
        usable = [each for each in whole[: len(entries)] if each is not None]
        rest = [each for each in whole[len(entries) :] if each is not None]
        kept, more = problems.equal_files(usable, rest, rows.names)
        found += more
        found += problems.classes(kept, rows.names, data)
        found += problems.kinds([*usable, *rest])
        pairs = zip(all_entries, why, strict=True)
        left_out = [*rows.left_out, *((entry.id, reason) for entry, reason in pairs if reason)]
        index = DataIndex(
            examples=kept,
            unlabelled=[example for example, _ in rest],
            labels=rows.names,
            fingerprint=_fingerprint(usable, rest, rows.names),
            problems=found,
            card={},
            codes=rows.codes,
        )
        looks_used = [look for _, look in usable]
        return replace(index, card=card.make(index, rows.format, looks_used, left_out))

    def glance(self, data: Data) -> list[Problem]:
        """What can be told without opening an image: tables, labels, classes, files that lack.

        Args:
            data: Its paths are absolute.

        Raises:
            UserErrors: As of :meth:`scan`.
        """
        rows = _rows(data)
        all_entries = [*rows.entries, *rows.to_predict]
        looks = [None if entry.looked_for else Look() for entry in all_entries]
        usable = [
            example
            for entry, example in zip(rows.entries, rows.examples, strict=True)
            if example.target is not None and not entry.looked_for
        ]
        found = [
            *rows.problems,
            *problems.unusable(all_entries, looks, data),
            *problems.classes(usable, rows.names, data),
        ]
        if any(problem.stops for problem in found):
            return found
        if error := folds.too_few(usable, folds=data.folds, stratify=data.stratify):
            raise UserErrors([error])
        return found + _gaps(usable, rows.names, data)


def _gaps(usable: Sequence[Example], names: Sequence[str], data: Data) -> list[Problem]:
    """What folds leave out that the data itself names; others follow from the run's seed."""
    fold_of = [example.fold for example in usable if example.fold is not None]
    if not fold_of:
        return []
    try:
        to_train = folds.to_train(fold_of, data.valid_fold)
    except UserError as error:
        raise UserErrors([error]) from error
    return folds.gaps(usable, fold_of, to_train, names)


@dataclass(frozen=True, slots=True)
class _Rows:
    """What the tables and folders say, before an image is opened.

    Attributes:
        examples: Of ``entries``, one each.
        names: The classes'.
        left_out: IDs of rows that cannot be used, and why.
    """

    format: Format
    entries: Sequence[Entry]
    examples: Sequence[Example]
    to_predict: Sequence[Entry]
    names: Sequence[str]
    left_out: Sequence[tuple[str, str]]
    problems: Sequence[Problem]
    codes: Sequence[str] | None = None


def _rows(data: Data) -> _Rows:
    word, listing = _listing(data)
    found = list(listing.problems)
    if data.format is None:
        found.insert(0, problem("data.guessed", format=word))
    entries, left_out, more = problems.once(listing.entries, data)
    found += more
    to_predict, _, more = problems.once(listing.unlabelled, data)
    found += more
    classes = labels.resolve(replace(listing, entries=entries), data)
    found += classes.problems
    examples = [_example(*pair) for pair in zip(entries, classes.targets, strict=True)]
    column = listing.folds_named_by
    if errors := folds.check_named(examples, folds=data.folds, column=column):
        raise UserErrors(errors)
    return _Rows(word, entries, examples, to_predict, classes.names, left_out, found, classes.codes)


def _listing(data: Data) -> tuple[Format, Listing]:
    """The data set's format and what lies there."""
    try:
        word = data.format or guess(data)
        return word, _READ[word](data)
    except OSError as error:  # a folder that may not be listed
        why = error.strerror or str(error)
        raise UserErrors([UserError("data.cannot_read", where=error.filename, why=why)]) from error


def _example(entry: Entry, target: int | None) -> Example:
    return Example(entry.id, entry.inputs, target, entry.group, entry.fold)


def _look_at(
    examples: Sequence[Example],
    entries: Sequence[Entry],
    progress: Callable[[int, int], None] | None,
    known: KnownLooks | None,
) -> list[Look | None]:
    """What is known of each image; None where it is not there."""
    there = [not entry.looked_for for entry in entries]
    found = [example for example, is_there in zip(examples, there, strict=True) if is_there]
    looks = iter(check.look_at(found, progress, known))
    return [next(looks) if is_there else None for is_there in there]


def _why_left_out(entry: Entry, example: Example, look: Look | None) -> str:
    """Why an example cannot be trained on; empty where it can."""
    if example.target is None:
        return say("data.why.no_label", label=entry.label or "")
    return _why_unusable(entry, look)


def _why_unusable(entry: Entry, look: Look | None) -> str:
    if look is None:
        return f"{say('data.why.missing')}: {entry.looked_for}"
    return f"{look.why}: {entry.inputs['image']}" if look.why else ""


def _fingerprint(
    usable: Sequence[Seen],
    to_predict: Sequence[Seen],
    names: Sequence[str],
) -> str:
    """sha256 over ids, classes and contents; rows in another order are the same data."""
    lines = sorted(
        f"{example.id}\0{names[class_of(example)]}\0{seen.sha256}" for example, seen in usable
    )
    lines += sorted(f"{example.id}\0\0{seen.sha256}" for example, seen in to_predict)
    return hashlib.sha256("\n".join([*names, *lines]).encode("utf-8", "surrogatepass")).hexdigest()
