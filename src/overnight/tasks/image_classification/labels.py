"""From what the data writes for a class to its index and its name."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from overnight.errors import UserError, UserErrors
from overnight.messages import say
from overnight.plugins import nearest
from overnight.tasks.base import Problem
from overnight.tasks.image_classification import table
from overnight.tasks.image_classification.formats.csv import whole
from overnight.tasks.image_classification.formats.listing import Listing, problem

if TYPE_CHECKING:
    from overnight.tasks.image_classification.config import Data

CLASS_NAME = "class_name"
#: From so many classes on, a label for every other image is an ID or a measurement, not a class.
_MANY_CLASSES = 20


@dataclass(frozen=True, slots=True)
class Labels:
    """The classes of a data set.

    Attributes:
        names: By index.
        targets: Of each entry; None where it has no label, or one that nobody knows.
        codes: What the data writes for each class, where that is not its name.
    """

    names: tuple[str, ...]
    targets: Sequence[int | None]
    problems: Sequence[Problem] = ()
    codes: tuple[str, ...] | None = None


def resolve(listing: Listing, data: Data) -> Labels:
    """The class of each entry.

    Names come from ``data.class_names``, else ``data.meta_csv``, else the format (folders,
    CIFAR-10's meta file), else from the labels: numbers in order, words in the alphabet's.

    Raises:
        UserErrors: The two sources of names contradict each other, or one cannot be read.
    """
    names, codes = _known(listing, data)
    labels = [entry.label or "" for entry in listing.entries]
    known = {*(names or ()), *(codes or ())}
    given = [not _is_missing(label, known) for label in labels]
    present = Counter(label for label, there in zip(labels, given, strict=True) if there)
    if names is None:
        names, codes = _from_labels(present)
    index_of = _indices(present, names, codes)
    targets = [
        index_of.get(label) if there else None for label, there in zip(labels, given, strict=True)
    ]
    problems = []
    without = [
        f"{entry.id} ({entry.label})" if entry.label else entry.id
        for entry, there in zip(listing.entries, given, strict=True)
        if not there
    ]
    if without:
        problems.append(problem("data.no_label", without, stops=data.unreadable == "refuse"))
    if unknown := {label: num for label, num in present.items() if label not in index_of}:
        problems.append(_unknown(unknown, names))
    if len(names) >= _MANY_CLASSES and len(present) * 2 > sum(present.values()):
        problems.append(
            problem("data.too_many_labels", sorted(present), images=sum(present.values()))
        )
    if codes is None:  # names by index were given: the data writes the indices
        codes = tuple(map(str, range(len(names))))
    writes_names = set(index_of) <= set(names)
    return Labels(names, targets, problems, None if writes_names else codes)


def _known(listing: Listing, data: Data) -> tuple[tuple[str, ...] | None, tuple[str, ...] | None]:
    """Names by index and what stands for them in the data, as far as something says so."""
    errors: list[UserError] = []
    names = codes = None
    if data.meta_csv is not None:
        try:
            names, codes = _meta(data)
        except UserErrors as mistakes:
            errors += mistakes.errors
        except UserError as mistake:
            errors.append(mistake)
    if data.class_names is not None:
        if names is not None and names != data.class_names:
            errors.append(
                UserError("data.names_differ", where="data.class_names", meta=data.meta_csv)
            )
        num = len(listing.names or data.class_names)
        # Folders are named: there the names say which folders are meant.
        if listing.codes != listing.names and num != len(data.class_names):
            errors.append(
                UserError(
                    "data.names_count",
                    where="data.class_names",
                    num=len(data.class_names),
                    there=num,
                )
            )
        names = data.class_names
        codes = codes or (None if listing.codes == listing.names else _tuple(listing.codes))
    if errors:
        raise UserErrors(errors)
    if names is None and listing.names is not None:
        return tuple(listing.names), _tuple(listing.codes)
    return names, codes


def _meta(data: Data) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The classes of ``meta_csv``: their names and codes, by the order of the codes."""
    assert data.meta_csv is not None
    read = table.read(data.meta_csv, expected=(data.target_col, CLASS_NAME))
    errors = []
    found = {}
    for key, wanted in (("data.target_col", data.target_col), ("data.meta_csv", CLASS_NAME)):
        try:
            found[wanted] = read.column(read.need(wanted, key))
        except UserError as error:
            errors.append(error)
    if errors:
        raise UserErrors(errors)
    pairs = list(zip(found[data.target_col], found[CLASS_NAME], strict=True))
    for column, cells in found.items():
        if twice := _twice(cells):
            errors.append(
                UserError("data.names_twice", where=f"{data.meta_csv}: {column}", names=twice)
            )
    if errors:
        raise UserErrors(errors)
    numbers = [whole(code) for code, _ in pairs]
    if None not in numbers:
        pairs.sort(key=lambda pair: whole(pair[0]) or 0)
    return tuple(name for _, name in pairs), tuple(code for code, _ in pairs)


def _from_labels(present: Iterable[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    labels = sorted(present)
    numbers = {number for label in labels if (number := whole(label)) is not None}
    if all(whole(label) is not None for label in labels):
        ordered = tuple(str(number) for number in sorted(numbers))
        return ordered, ordered
    return tuple(labels), tuple(labels)


def _indices(
    present: Iterable[str], names: Sequence[str], codes: Sequence[str] | None
) -> dict[str, int]:
    """Label → index, for the labels that can be told: by code, else by name, else by number."""
    labels = list(present)
    by_name = {name: i for i, name in enumerate(names)}
    if codes is not None:
        by_code = {code: i for i, code in enumerate(codes)}
        by_number = {whole(code): i for i, code in enumerate(codes) if whole(code) is not None}
        found = {}
        for label in labels:
            index = by_code.get(label, by_number.get(whole(label), by_name.get(label)))
            if index is not None:
                found[label] = index
        return found
    numbers = {label: whole(label) for label in labels}
    if not all(label in by_name for label in labels) and None not in numbers.values():
        return {
            label: number
            for label, number in numbers.items()
            if number is not None and 0 <= number < len(names)
        }
    return {label: by_name[label] for label in labels if label in by_name}


def _unknown(unknown: dict[str, int], names: Sequence[str]) -> Problem:
    shown = []
    for label, num in sorted(unknown.items(), key=lambda item: (-item[1], item[0])):
        close = nearest(label, names)
        meant = " " + say("data.meant", name=close) if close else ""
        shown.append(f"{label} ({num}){meant}")
    known = ", ".join(names[:20]) + (" …" if len(names) > 20 else "")
    return problem(
        "data.unknown_labels", shown, stops=True, images=sum(unknown.values()), known=known
    )


def _is_missing(label: str, known: set[str]) -> bool:
    # "none" may be the name of a class: then somebody has said so.
    return label.lower() in table.MISSING and label not in known


def _twice(names: Iterable[str]) -> str:
    return ", ".join(name for name, num in Counter(names).items() if num > 1)


def _tuple(codes: Sequence[str] | None) -> tuple[str, ...] | None:
    return None if codes is None else tuple(codes)
