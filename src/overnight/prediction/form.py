"""In which form the results are written, told from a sample. No NumPy: a verb may ask."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from overnight.errors import UserError, UserErrors
from overnight.plugins import nearest
from overnight.tasks.base import Problem
from overnight.tasks.predictor import Sample

#: What tools write where there is no value; compared in lower case.
_MISSING = frozenset({"", "nan", "na", "n/a", "#n/a", "<na>", "null", "none"})
_SHOWN = 10


@dataclass(frozen=True, slots=True)
class Form:
    """How a row of the results is written.

    Attributes:
        sample: Whose form it is; None: ours.
        words: What is written for each class, by index.
        target_at: The column that takes the class; None: classes have columns of their own.
        class_at: Column → the class whose probability it takes.
        problems: What a person should know.
    """

    words: Sequence[str]
    sample: Sample | None = None
    target_at: int | None = None
    class_at: Mapping[int, int] = field(default_factory=dict)
    problems: Sequence[Problem] = ()


def form_of(sample: Sample | None, labels: Sequence[str], codes: Sequence[str] | None) -> Form:
    """The form of the results.

    Args:
        sample: The table whose form they are to have; None: none was named.
        labels: The classes' names, by index.
        codes: What the training table writes for each, where that is not its name.

    Raises:
        UserErrors: The sample is for other classes.
    """
    own = Form(codes or labels)
    if sample is None:
        return own
    others = [at for at in range(len(sample.columns)) if at != sample.id_at]
    try:
        if sample.target is not None:
            at = sample.columns.index(sample.target)
            if at != sample.id_at:
                return _of_target(sample, at, labels, codes)
        index_of = _index_of([sample.columns[at] for at in others], labels, codes)
        if others and len(index_of) == len(others):
            return _of_classes(sample, others, index_of, labels)
        if len(others) == 1:
            return _of_target(sample, others[0], labels, codes)
        if not sample.is_sure:  # a table of IDs and whatever else is known of them
            return own
        if not others:
            raise UserError("predict.no_target", where=sample.path)
        unknown = [sample.columns[at] for at in others if sample.columns[at] not in index_of]
        raise UserError(
            "predict.other_columns",
            where=sample.path,
            columns=_shown(unknown, labels),
            known=_shown(labels),
        )
    except UserError as error:
        if not sample.is_sure:
            return own
        raise UserErrors([error]) from error


def _of_classes(
    sample: Sample, others: Sequence[int], index_of: Mapping[str, int], labels: Sequence[str]
) -> Form:
    """A column a class; in a case of two classes one column may stand for both."""
    class_at = {at: index_of[sample.columns[at]] for at in others}
    without = [label for index, label in enumerate(labels) if index not in class_at.values()]
    problems = []
    if without and not (len(labels) == 2 and len(others) == 1):
        problems.append(
            Problem("predict.no_column", {"num": len(without)}, without[:_SHOWN], len(without))
        )
    return Form(labels, sample, None, class_at, problems)


def _of_target(sample: Sample, at: int, labels: Sequence[str], codes: Sequence[str] | None) -> Form:
    """One column takes the class, as name or as number: as the sample has it, else the training."""
    there = {row[at] for row in sample.rows if row[at].lower() not in _MISSING or row[at] in labels}
    column = sample.columns[at]
    known = codes or labels
    if there and there <= set(labels):
        return Form(labels, sample, at)
    if not there or there <= set(known):
        return Form(known, sample, at)
    if all(_is_whole(text) for text in there) and all(_is_whole(text) for text in known):
        return Form(known, sample, at)  # 0 or -1 where the classes are 1 to 5
    if len(there) == 1 and not _is_fraction(next(iter(there))):
        # One word in every row says nothing of the classes: it is there to be replaced.
        placeholder = next(iter(there))
        fields = {"column": column, "text": placeholder, "example": known[0]}
        return Form(known, sample, at, problems=[Problem("predict.placeholder", fields)])
    unknown = sorted(there - set(labels) - set(known))
    raise UserError(
        "predict.other_labels",
        where=f"{sample.path}: {column}",
        labels=_shown(unknown, labels),
        known=_shown(known),
    )


def _index_of(
    columns: Sequence[str], labels: Sequence[str], codes: Sequence[str] | None
) -> dict[str, int]:
    """Column → class, for those that are called as a class is: by name, else by code."""
    for words in (labels, codes or ()):
        place = {word: index for index, word in enumerate(words)}
        if found := {name: place[name] for name in columns if name in place}:
            return found
    return {}


def _is_whole(text: str) -> bool:
    digits = text.removesuffix(".0").removeprefix("-")
    return digits.isascii() and digits.isdigit()


def _is_fraction(text: str) -> bool:
    """Whether it is a number that numbers no class: a probability is asked for."""
    try:
        return float(text) % 1 != 0
    except ValueError:
        return False


def _shown(words: Sequence[str], labels: Sequence[str] = ()) -> str:
    """The first of them; those that are nearly a class with the class."""
    said = []
    for word in words[:_SHOWN]:
        near = nearest(word, labels) if labels else None
        said.append(f"{word} (= {near}?)" if near else word)
    return ", ".join(said) + (" …" if len(words) > _SHOWN else "")
