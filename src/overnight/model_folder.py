"""The model folder (docs/model-folder.md): read, and every byte of it verified.

Whatever takes a model (predicting, registering, serving) asks here first. Nothing is loaded and
nothing is unpickled: the card is JSON, and a file counts by its name, its size and its sha256.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from overnight.errors import UserError, UserErrors
from overnight.ledger.format import parse_object

FORMAT = "overnight-model/1"
CARD = "overnight.json"

_FORMATS = re.compile(r"overnight-model/([1-9][0-9]{0,8})")
_SHA256 = re.compile(r"[0-9a-f]{64}")
#: What torch, joblib and friends write with pickle: reading one runs whatever its writer wanted.
_PICKLES = (".pt", ".pth", ".bin", ".pkl", ".pickle", ".ckpt", ".joblib", ".dill")
#: What a card has to say; its kind, and whether nothing in it will do.
_KEYS: Mapping[str, tuple[type, bool]] = {
    "task": (str, False), "output": (str, False), "labels": (list, True), "members": (list, False),
    "combine": (str, False), "files": (dict, False), "main_metric": (str, True),
    "postprocessing": (dict, True), "metrics": (dict, True), "source": (dict, True),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class File:
    """What the card says of a file."""

    sha256: str
    bytes: int


@dataclass(frozen=True, slots=True)
class Member:
    """One of the models whose outputs become one.

    Attributes:
        folder: Absolute.
        fold: What it was not trained on; None where that has no number.
        metrics: Of its best epoch.
        ended: How its fit ended; None where the card does not say.
    """

    folder: Path
    fold: int | None
    metrics: Mapping[str, float]
    ended: str | None


@dataclass(frozen=True, slots=True)
class Card:
    """What a model folder says of itself.

    Attributes:
        folder: Absolute, links resolved.
        labels: The classes' names, by index.
        members: At least one.
        combine: How their outputs become one: ``mean_probabilities``.
        temperature: Above 0. What is served is the mean over the members of softmax(logits / it).
        input: Of the task: what an input has to be made into.
        base_model: Of the task: what it began as.
        run_id: Of the run that left it, where it was one.
        files: Every other file, by its name.
        sha256: Of the folder, as ``ModelSaved`` and trackers have it.
        said: All of ``overnight.json``.
    """

    folder: Path
    format: str
    task: str
    output: str
    labels: tuple[str, ...]
    members: tuple[Member, ...]
    combine: str
    temperature: float
    input: Mapping[str, Any]
    base_model: Any
    metrics: Mapping[str, float]
    main_metric: str
    run_id: str | None
    source: Mapping[str, Any]
    files: Mapping[str, File]
    sha256: str
    said: Mapping[str, Any]


def read(
    folder: str | os.PathLike[str], *, task: str | None = None, output: str | None = None
) -> Card:
    """What the card says, without a look at the other files.

    Args:
        folder: The model folder.
        task: What is wanted, ``image_classification``; None: any.
        output: Likewise, ``classes``.

    Raises:
        UserErrors: It is no model folder, of a newer format, its card is damaged, or it is another
            model than is wanted.
    """
    place = Path(os.path.realpath(folder))
    said, content = _said(place, Path(folder))
    errors = list(_wrong(place, said))
    for key, wanted in (("task", task), ("output", output)):
        if wanted is not None and isinstance(said.get(key), str) and said[key] != wanted:
            where = place / CARD
            errors.append(UserError(f"model.other_{key}", where=where, is_=said[key], want=wanted))
    if errors:
        raise UserErrors(errors)
    return _card(place, said, content)


def verify(
    folder: str | os.PathLike[str], *, task: str | None = None, output: str | None = None
) -> Card:
    """As ``read``, and each of the folder's bytes is what the card says.

    Raises:
        UserErrors: As of ``read``; or files were changed, are missing, or are not the card's,
            pickles among them, or links that lead out of the folder.
        OSError: A file cannot be read.
    """
    card = read(folder, task=task, output=output)
    there = set(_names(card.folder))
    errors = [
        UserError("model.missing", where=card.folder / name)
        for name in sorted(set(card.files) - there)
    ]
    for name in sorted(there - {CARD}):
        key = _fault(card, name)
        if key is not None:
            errors.append(UserError(f"model.{key}", where=card.folder / name))
    if errors:
        raise UserErrors(errors)
    return card


def listing(folder: Path) -> dict[str, dict[str, Any]]:
    """Every file of a model folder but its card, as the card lists them.

    Args:
        folder: One that is being made: what lies in it is taken as it is.
    """
    return {
        name: {"sha256": _sha256(folder / name), "bytes": (folder / name).stat().st_size}
        for name in sorted(_names(folder))
        if name != CARD
    }


def digest(card: bytes, listed: Mapping[str, str]) -> str:
    """The sha256 of a model folder.

    Args:
        card: The bytes of ``overnight.json``.
        listed: Every other file's name → its sha256.
    """
    all_files = {**listed, CARD: hashlib.sha256(card).hexdigest()}
    lines = "".join(f"{all_files[name]}  {name}\n" for name in sorted(all_files))
    return hashlib.sha256(lines.encode("utf-8", "surrogateescape")).hexdigest()


def _said(place: Path, given: Path) -> tuple[dict[str, Any], bytes]:
    if not place.is_dir():
        raise UserErrors([UserError("model.no_folder", where=given)])
    path = place / CARD
    if not path.is_file():
        raise UserErrors([UserError("model.no_card", where=given)])
    if not Path(os.path.realpath(path)).is_relative_to(place):
        raise UserErrors([UserError("model.link", where=path)])
    content = path.read_bytes()
    said = parse_object(content)
    if said is None:
        raise UserErrors([UserError("model.no_json", where=path)])
    known = _FORMATS.fullmatch(str(said.get("format")))
    if known is None:
        raise UserErrors([UserError("model.other_format", where=path, is_=said.get("format"))])
    if said["format"] != FORMAT:
        newer = UserError("model.newer", where=path, is_=known[0], known=FORMAT)
        raise UserErrors([newer])
    return said, content


def _wrong(place: Path, said: Mapping[str, Any]) -> Iterator[UserError]:
    """What is wrong with a card of our own format: somebody has edited it."""

    def odd(key: str) -> UserError:
        return UserError("model.odd_key", where=place / CARD, name=key)

    for key, (kind, may_lack) in _KEYS.items():
        if key not in said and may_lack:
            continue
        if not isinstance(said.get(key), kind) or (not may_lack and not said[key]):
            yield odd(key)
    nameless = said.get("output") == "classes" and not said.get("labels")
    if nameless or not all(isinstance(label, str) for label in _of(said, "labels", list)):
        yield odd("labels")
    listed = _of(said, "files", dict)
    for name, each in listed.items():
        if not _is_within(name) or name == CARD or not _is_file(each):
            yield odd(f"files: {name}")
    for number, each in enumerate(_of(said, "members", list)):
        named = each.get("folder") if isinstance(each, dict) else None
        if not isinstance(named, str) or not _is_within(named):
            yield odd(f"members: {number}")
        elif not any(str(name).startswith(named + "/") for name in listed):
            yield odd(f"members: {named}")
    value = _of(said, "postprocessing", dict).get("temperature", 1.0)
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not is_number or not 0 < value < float("inf"):
        yield odd("postprocessing: temperature")


def _of(said: Mapping[str, Any], key: str, kind: type) -> Any:
    """A part of the card; an empty one where it is none."""
    value = said.get(key)
    return value if isinstance(value, kind) else kind()


def _is_within(name: str) -> bool:
    """Whether a name leads to a place within the folder on every system."""
    path = PurePosixPath(name)
    odd = "\\" in name or "\0" in name or ":" in name or str(path) != name
    return bool(path.parts) and not odd and not path.is_absolute() and ".." not in path.parts


def _is_file(each: object) -> bool:
    if not isinstance(each, dict):
        return False
    sha256, size = each.get("sha256"), each.get("bytes")
    is_digest = isinstance(sha256, str) and _SHA256.fullmatch(sha256) is not None
    return is_digest and isinstance(size, int) and size >= 0


def _card(place: Path, said: Mapping[str, Any], content: bytes) -> Card:
    listed = {name: File(each["sha256"], each["bytes"]) for name, each in said["files"].items()}
    members = tuple(
        Member(
            folder=place / each["folder"],
            fold=each["fold"] if isinstance(each.get("fold"), int) else None,
            metrics=_numbers(each),
            ended=each["ended"] if isinstance(each.get("ended"), str) else None,
        )
        for each in said["members"]
    )
    source = _of(said, "source", dict)
    run_id = source.get("run_id")
    return Card(
        folder=place,
        format=said["format"],
        task=said["task"],
        output=said["output"],
        labels=tuple(_of(said, "labels", list)),
        members=members,
        combine=said["combine"],
        temperature=float(_of(said, "postprocessing", dict).get("temperature", 1.0)),
        input=_of(said, "input", dict),
        base_model=said.get("base_model"),
        metrics=_numbers(said),
        main_metric=_of(said, "main_metric", str),
        run_id=run_id if isinstance(run_id, str) else None,
        source=source,
        files=listed,
        sha256=digest(content, {name: each.sha256 for name, each in listed.items()}),
        said=said,
    )


def _numbers(said: Mapping[str, Any]) -> dict[str, float]:
    """The metrics of a model or a member; what is no number there is left out."""
    found = {}
    for name, value in _of(said, "metrics", dict).items():
        with contextlib.suppress(TypeError, ValueError):
            found[name] = float(value)  # "NaN" too, as JSON has it here
    return found


def _names(folder: Path) -> Iterator[str]:
    """Everything below a folder that is no folder, by its name with ``/``.

    Links to folders are given as they are, never followed.
    """
    pending = [(str(folder), "")]
    while pending:
        place, prefix = pending.pop()
        with os.scandir(place) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    pending.append((entry.path, f"{prefix}{entry.name}/"))
                else:
                    yield prefix + entry.name


def _fault(card: Card, name: str) -> str | None:
    """What is wrong with a file of the folder, as a key of the catalogue; None: nothing."""
    path = card.folder / name
    real = Path(os.path.realpath(path))
    if not real.is_relative_to(card.folder):
        return "link"
    if name.lower().endswith(_PICKLES):
        return "pickle"
    said = card.files.get(name)
    if said is None:
        return "extra"
    # A pipe would keep whoever reads it waiting for ever.
    is_file = real.exists() and stat.S_ISREG(real.stat().st_mode)
    if not is_file or real.stat().st_size != said.bytes or _sha256(path) != said.sha256:
        return "changed"
    return None


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
