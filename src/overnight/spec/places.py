"""The paths of a config: relative ones start at its folder; some have to be there."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel

from overnight import plugins
from overnight.redact import redact
from overnight.spec.part import values
from overnight.spec.report import Report
from overnight.spec.schema import Keys, Spec
from overnight.spec.variables import literal

#: The parts that are read from; what ``output`` names is made.
_READ_FROM = ("data", "model")

_Model = TypeVar("_Model", bound=BaseModel)


def absolute(model: _Model, folder: Path, above: Keys, unresolved: dict[Keys, str]) -> _Model:
    """A part with absolute paths.

    Args:
        model: The part.
        folder: Where relative paths start.
        above: The part's own keys.
        unresolved: What stood at a key that held a variable; made absolute as well.
    """

    def changed(value: Any, keys: Keys) -> Any:
        if isinstance(value, BaseModel):
            return absolute(value, folder, keys, unresolved)
        if isinstance(value, tuple):
            return tuple(changed(each, (*keys, at)) for at, each in enumerate(value))
        if not isinstance(value, Path):
            return value
        path = os.path.expanduser(value)  # noqa: PTH111  (raises nothing for an unknown user)
        whole = folder / path
        plain = Path(os.path.normpath(whole))
        # Behind a link `..` is not the folder that the link lies in.
        is_same = os.path.realpath(plain) == os.path.realpath(whole)
        if keys in unresolved and not Path(path).is_absolute():
            unresolved[keys] = _below(folder, unresolved[keys], tidy=is_same)
        return plain if is_same else whole

    fields = type(model).model_fields
    return model.model_copy(
        update={key: changed(getattr(model, key), (*above, key)) for key in fields}
    )


def _below(folder: Path, text: str, *, tidy: bool) -> str:
    """A relative path that holds variables, as an absolute one."""
    while tidy and text.startswith(("./", "../")):
        folder = folder.parent if text.startswith("../") else folder
        text = text.partition("/")[2].lstrip("/")
    return literal(str(folder)).rstrip("/") + "/" + text


def read_from(spec: Spec) -> Iterator[tuple[Keys, Path]]:
    """The files and folders a spec reads from, by their keys."""
    for part in _READ_FROM:
        for keys, value in values(getattr(spec, part), (part,)):
            if isinstance(value, Path):
                yield keys, value


def look_for(spec: Spec, unresolved: dict[Keys, str], report: Report) -> None:
    """Notes what a spec reads from and is not there."""
    for keys, path in read_from(spec):
        if path.exists():
            continue
        near = nearest(path)
        sentence = "spec.no_such_path_near" if near else "spec.no_such_path"
        named = _clean(unresolved.get(keys, str(path)))
        report.wrong(keys, sentence, path=named, near=near)


def nearest(path: Path) -> str:
    """What beside a missing path was probably meant; empty if nothing was."""
    try:
        names = [each.name for each in path.parent.iterdir()]
    except (OSError, ValueError):
        names = []
    near = plugins.nearest(path.name, names)
    return "" if near is None else _clean(str(path.parent / near))


def _clean(text: str) -> str:
    return "".join(char if char.isprintable() else "?" for char in redact(text))
