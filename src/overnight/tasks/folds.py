"""Which fold each example is validated in: the same split for every task.

The split follows from the examples' ids, targets and groups and from the seed alone; the order of
the rows changes nothing. Examples of one group stay together: a patient, a scene, two equal files.
"""

from __future__ import annotations

import warnings
from collections import Counter, defaultdict
from collections.abc import Hashable, Mapping, Sequence
from typing import Any

from overnight.errors import UserError
from overnight.tasks.base import Example, Problem

#: The fold of an example that is in every training part and in no validation part.
ALWAYS_TRAINED = -1
#: Up to this share of second members of groups (equal files, mostly), each group follows its first
#: one. StratifiedGroupKFold weighs every group against every fold: 0.2 ms each, 13 s for 60,000.
_FEW = 0.05
#: Classes that are named for a fold; the others are counted.
_NAMED = 5


def split(examples: Sequence[Example], *, folds: int, seed: int, stratify: bool) -> list[int]:
    """The fold in which each example is validated, in the order of ``examples``.

    Folds that the data itself names are taken as they are. Else a class that lies in one group
    only (one image, say) is ``ALWAYS_TRAINED`` with that group: validated, nothing would be left
    to learn it from.

    Args:
        examples: With distinct ids.
        folds: How many, at least 2.
        seed: Another one gives another split.
        stratify: Keep the shares of the classes in each fold; without effect where targets are no
            classes.

    Raises:
        UserError: There are fewer groups, or fewer images of every class, than folds.
    """
    if any(example.fold is not None for example in examples):
        return [ALWAYS_TRAINED if e.fold is None else e.fold for e in examples]
    groups = _groups(examples)
    rest = _to_split(examples, groups)
    fold_of = [ALWAYS_TRAINED] * len(examples)
    # A group becomes a number in the order of the ids, so that its name draws nothing.
    number = {group: n for n, group in enumerate(dict.fromkeys(groups[i] for i in rest))}
    parts = _parts(
        [examples[i] for i in rest], [number[groups[i]] for i in rest], folds, seed, stratify
    )
    for fold, part in enumerate(parts):
        for position in part:
            fold_of[rest[position]] = fold
    return fold_of


def too_few(examples: Sequence[Example], *, folds: int, stratify: bool) -> UserError | None:
    """Why ``split`` would not split them, as far as it can be told by counting; or None."""
    if any(example.fold is not None for example in examples):
        return None
    groups = _groups(examples)
    rest = _to_split(examples, groups)
    return _too_few([examples[i] for i in rest], [groups[i] for i in rest], folds, stratify)


def to_train(fold_of: Sequence[int], valid_fold: int | str) -> list[int]:
    """The folds that are to be trained, of those that ``split`` gave.

    Args:
        fold_of: What ``split`` gave.
        valid_fold: ``all``, or the one that is asked for.

    Raises:
        UserError: There is no such fold.
    """
    there = sorted({fold for fold in fold_of if fold != ALWAYS_TRAINED})
    if valid_fold == "all":
        return there
    if valid_fold not in there:
        raise UserError(
            "data.no_such_fold",
            where="data.valid_fold",
            fold=valid_fold,
            last=max(there, default=0),
        )
    return [int(valid_fold)]


def in_one_group(examples: Sequence[Example]) -> dict[int, list[int]]:
    """Class → positions of its examples, for the classes that lie in one group only."""
    groups = _groups(examples)
    places: defaultdict[int, list[int]] = defaultdict(list)
    for i, example in enumerate(examples):
        if isinstance(example.target, int):
            places[example.target].append(i)
    return {
        target: found for target, found in places.items() if len({groups[i] for i in found}) == 1
    }


def gaps(
    examples: Sequence[Example],
    fold_of: Sequence[int],
    to_train: Sequence[int],
    names: Sequence[str],
) -> list[Problem]:
    """Classes that a fold's training part lacks: its member can never name them.

    Args:
        examples: As they were split; where their targets are no classes, there are no gaps.
        fold_of: The fold in which each is validated.
        to_train: The folds that are trained.
        names: The classes'.

    Returns:
        What stops: nothing to tell apart in a fold, or a class that no member learns. What does
        not: a class that some members learn and others are asked about all the same.
    """
    classes = [e.target for e in examples if isinstance(e.target, int)]
    if len(classes) < len(examples):
        return []
    total, within = Counter(classes), Counter(zip(fold_of, classes, strict=True))
    lacking = {
        fold: [each for each in sorted(total) if within[fold, each] == total[each]]
        for fold in to_train
    }
    never = set(total).intersection(*lacking.values())
    found = []
    if bare := [fold for fold in to_train if len(total) - len(lacking[fold]) < 2]:
        found.append(_gap("data.fold_one_class", [f"fold{fold}" for fold in bare], stops=True))
    if never:
        shown = [f"{names[each]} ({total[each]})" for each in sorted(never)]
        found.append(_gap("data.never_learnt", shown, stops=True))
    some = [
        f"fold{fold}: {', '.join(names[each] for each in missing[:_NAMED])}"
        + (f" … (+{len(missing) - _NAMED})" if len(missing) > _NAMED else "")
        for fold, all_missing in lacking.items()
        if (missing := [each for each in all_missing if each not in never])
    ]
    if some and not bare:
        found.append(_gap("data.not_learnt", some, stops=False))
    return found


def _gap(key: str, shown: Sequence[str], *, stops: bool) -> Problem:
    return Problem(key, {"num": len(shown)}, tuple(shown), len(shown), stops)


def check_named(examples: Sequence[Example], *, folds: int, column: str) -> list[UserError]:
    """What is wrong with folds that the data itself names: all of it; nothing where it names none.

    Right are the numbers 0 … ``folds`` - 1, none of them empty; -1 means always trained on. Right
    is also a single validation part: 0 and -1.
    """
    named = {example.fold for example in examples}
    numbers = {fold for fold in named if fold is not None}
    if not numbers:
        return []
    errors = []
    if None in named:
        without = [example.id for example in examples if example.fold is None]
        errors.append(
            UserError(
                "data.fold_missing", where=column, num=len(without), first=", ".join(without[:5])
            )
        )
    valid = numbers - {ALWAYS_TRAINED}
    if valid in ({0}, set(range(folds))) and min(numbers) >= ALWAYS_TRAINED:
        return errors
    shown = ", ".join(map(str, sorted(numbers)[:20]))
    if valid == set(range(1, len(valid) + 1)):
        errors.append(UserError("data.fold_from_one", where=column, last=len(valid)))
    elif len(valid) > 1 and valid == set(range(len(valid))):
        errors.append(UserError("data.fold_count", where=column, num=len(valid), folds=folds))
    else:
        errors.append(UserError("data.fold_numbers", where=column, shown=shown, last=folds - 1))
    return errors


def leaks(examples: Sequence[Example], fold_of: Sequence[int]) -> Mapping[str, list[int]]:
    """Group → positions of its examples, for the groups that lie in several folds."""
    places: defaultdict[str, list[int]] = defaultdict(list)
    for i, example in enumerate(examples):
        if example.group is not None:
            places[example.group].append(i)
    return {group: found for group, found in places.items() if len({fold_of[i] for i in found}) > 1}


def _parts(
    examples: Sequence[Example], groups: Sequence[int], folds: int, seed: int, stratify: bool
) -> list[list[int]]:
    """The validation part of each fold, as positions."""
    if (error := _too_few(examples, groups, folds, stratify)) is not None:
        raise error
    num_groups = len(set(groups))
    is_grouped = num_groups < len(groups)
    targets = [example.target for example in examples]
    by_class = stratify and all(isinstance(target, int) for target in targets)
    if by_class and is_grouped and len(groups) - num_groups <= len(groups) * _FEW:
        first = {group: i for i, group in reversed(list(enumerate(groups)))}
        members: defaultdict[int, list[int]] = defaultdict(list)
        for i, group in enumerate(groups):
            members[group].append(i)
        leaders = sorted(first.values())
        apart = _parts(
            [examples[i] for i in leaders], [groups[i] for i in leaders], folds, seed, True
        )
        return [[i for leader in part for i in members[groups[leaders[leader]]]] for part in apart]
    from sklearn.model_selection import (  # type: ignore[import-untyped]
        GroupKFold,
        KFold,
        StratifiedGroupKFold,
        StratifiedKFold,
    )

    splitter: Any
    match by_class, is_grouped:
        case True, True:
            splitter = StratifiedGroupKFold(folds, shuffle=True, random_state=seed)
        case True, False:
            splitter = StratifiedKFold(folds, shuffle=True, random_state=seed)
        case _, True:
            splitter = GroupKFold(folds, shuffle=True, random_state=seed)
        case _:
            splitter = KFold(folds, shuffle=True, random_state=seed)
    with warnings.catch_warnings():
        # That a class has fewer images than folds was told before, in a person's words.
        warnings.filterwarnings("ignore", "The least populated class", UserWarning)
        parts = [
            part.tolist()
            for _, part in splitter.split(groups, targets, groups if is_grouped else None)
        ]
    if not all(parts):
        raise UserError("data.few_groups", where="data.folds", num=num_groups, folds=folds)
    return parts


def _too_few(
    examples: Sequence[Example], groups: Sequence[Hashable], folds: int, stratify: bool
) -> UserError | None:
    num_groups = len(set(groups))
    if num_groups < folds:
        key = "data.few_groups" if num_groups < len(groups) else "data.few_images"
        return UserError(key, where="data.folds", num=num_groups, folds=folds)
    targets = [example.target for example in examples]
    by_class = stratify and all(isinstance(target, int) for target in targets)
    if by_class and max(Counter(map(str, targets)).values()) < folds:
        return UserError("data.few_of_each", where="data.folds", folds=folds)
    return None


def _to_split(examples: Sequence[Example], groups: Sequence[Hashable]) -> list[int]:
    """Positions of those that are validated once; by id, as rows in another order are the same."""
    order = sorted(range(len(examples)), key=lambda i: examples[i].id)
    kept = {groups[i] for alone in in_one_group(examples).values() for i in alone}
    return [i for i in order if groups[i] not in kept]


def _groups(examples: Sequence[Example]) -> list[Hashable]:
    """The group of each; an example without one is a group of its own."""
    return [("", e.id) if e.group is None else e.group for e in examples]
