"""What is odd about a data set, found before its first step. Each finder gives what it found."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from overnight.messages import say
from overnight.tasks import folds
from overnight.tasks.base import Example, Problem
from overnight.tasks.image_classification.formats.listing import Entry, problem
from overnight.tasks.image_classification.images import Look

if TYPE_CHECKING:
    from overnight.tasks.image_classification.config import Data

#: An example and what its image looks like.
Seen = tuple[Example, Look]


def once(
    entries: Sequence[Entry], data: Data
) -> tuple[list[Entry], list[tuple[str, str]], list[Problem]]:
    """Each ID once; those that are left out, and why; what is to be told.

    An ID that has two labels has none that we could know.
    """
    by_id: dict[str, list[Entry]] = {}
    for entry in entries:
        # A row without an ID is no other row's double.
        by_id.setdefault(entry.id or f"\0{entry.line}", []).append(entry)
    repeated = [same[0].id for same in by_id.values() if len(same) > 1]
    if not repeated:
        return list(entries), [], []
    contradictory = {
        same[0].id: ", ".join(sorted({str(entry.label) for entry in same}))
        for same in by_id.values()
        if len({(entry.label, entry.fold, entry.group) for entry in same}) > 1
    }
    problems = []
    if contradictory:
        shown = [f"{id} ({found})" for id, found in contradictory.items()]
        problems.append(problem("data.contradictory", shown, stops=data.unreadable == "refuse"))
    if harmless := [id for id in repeated if id not in contradictory]:
        problems.append(problem("data.repeated", harmless))
    kept = [same[0] for same in by_id.values() if same[0].id not in contradictory]
    left_out = [
        (id, say("data.why.contradictory", labels=found)) for id, found in contradictory.items()
    ]
    return kept, left_out, problems


def unusable(
    entries: Sequence[Entry], looks: Sequence[Look | None], data: Data
) -> Iterator[Problem]:
    """Images that are not there, and those that cannot be read."""
    stops = data.unreadable == "refuse"
    missing = [entry.looked_for for entry in entries if entry.looked_for]
    if missing:
        yield problem("data.missing", missing, stops=stops, all=len(entries))
    bad = [
        f"{entry.inputs['image']}: {seen.why}"
        for entry, seen in zip(entries, looks, strict=True)
        if seen is not None and seen.why
    ]
    if bad:
        yield problem("data.unreadable", bad, stops=stops, all=len(entries))


def equal_files(
    usable: Sequence[Seen],
    to_predict: Sequence[Seen],
    names: Sequence[str],
) -> tuple[list[Example], list[Problem]]:
    """The examples, equal files made one group; and what equal files mean for the result."""
    places: defaultdict[str, list[int]] = defaultdict(list)
    for i, (_, seen) in enumerate(usable):
        places[seen.sha256].append(i)
    equal = {sha256: found for sha256, found in places.items() if len(found) > 1}
    examples = _together([example for example, _ in usable], equal)
    problems = []

    def shown(found: Sequence[int], with_label: bool = False) -> str:
        return " = ".join(
            f"{examples[i].id} ({names[class_of(examples[i])]})" if with_label else examples[i].id
            for i in found[:4]
        )

    if equal:
        num = sum(len(found) - 1 for found in equal.values())
        problems.append(problem("data.equal_files", [*map(shown, equal.values())], images=num))
    differ = [f for f in equal.values() if len({examples[i].target for i in f}) > 1]
    if differ:
        problems.append(problem("data.equal_labels_differ", [shown(f, True) for f in differ]))
    fold_of = [folds.ALWAYS_TRAINED if e.fold is None else e.fold for e in examples]
    across = [f for f in equal.values() if len({fold_of[i] for i in f}) > 1]
    if across:
        problems.append(problem("data.equal_in_folds", [*map(shown, across)]))
    before = [example for example, _ in usable]
    if apart := folds.leaks(before, fold_of):
        problems.append(problem("data.group_in_folds", sorted(apart)))
    leaked = [
        f"{example.id} = {examples[places[seen.sha256][0]].id}"
        for example, seen in to_predict
        if seen.sha256 in places
    ]
    if leaked:
        problems.append(problem("data.equal_in_test", leaked))
    return examples, problems


def _together(examples: Sequence[Example], equal: dict[str, list[int]]) -> list[Example]:
    """The examples, with one group for all that are equal or share a group already."""
    parent: dict[str, str] = {}

    def top(group: str) -> str:
        while (above := parent.get(group, group)) != group:
            parent[group] = parent.get(above, above)  # the next way up is shorter
            group = above
        return group

    groups = [example.group for example in examples]
    for sha256, found in equal.items():
        whole = f"sha256:{sha256[:16]}"
        for i in found:
            own = groups[i]
            if own is None:
                groups[i] = whole
            else:
                parent[top(own)] = top(whole)
    return [
        example if group is None else replace(example, group=top(group))
        for example, group in zip(examples, groups, strict=True)
    ]


def classes(examples: Sequence[Example], names: Sequence[str], data: Data) -> Iterator[Problem]:
    """Classes without an image, with too few, or with nothing to tell them from."""
    counts = Counter(class_of(example) for example in examples)
    if not examples:
        yield problem("data.no_images", stops=True)
        return
    if empty := [name for i, name in enumerate(names) if not counts[i]]:
        yield problem("data.empty_classes", empty)
    if len(counts) < 2:
        yield problem(
            "data.one_class", [names[i] for i in counts], stops=True, images=len(examples)
        )
        return
    if any(example.fold is not None for example in examples):
        return
    alone = folds.in_one_group(examples)
    if alone:
        yield problem("data.alone", [f"{names[i]} ({counts[i]})" for i in sorted(alone)])
    few = [i for i in sorted(counts) if counts[i] < data.folds and i not in alone]
    if few:
        shown = [f"{names[i]} ({counts[i]})" for i in few]
        yield problem("data.small_classes", shown, folds=data.folds)


def kinds(usable: Sequence[Seen]) -> Iterator[Problem]:
    """Images that are more than what is trained on."""
    if moving := [example.id for example, seen in usable if seen.is_moving]:
        yield problem("data.moving", moving)
    if deep := [example.id for example, seen in usable if seen.mode.startswith("I")]:
        yield problem("data.deep", deep)


def class_of(example: Example) -> int:
    """The class of an example that has one."""
    assert isinstance(example.target, int)
    return example.target
