"""docs/config.md tells every key, its values, its default and its reason, as they are.

``python tests/spec/test_spec_docs.py`` writes the page's tables anew.
"""

from __future__ import annotations

import re
import sys
import types
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import pytest
from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from overnight import tasks
from overnight.messages import config as reasons
from overnight.spec import Output, Project, Spec
from overnight.spec.schema import Predict, inner_schema
from overnight.tasks.config import EarlyStopping
from overnight.tuning.config import Tuning

PAGE = Path(__file__).parents[2] / "docs" / "config.md"
HEAD = "| key | value | default | what for, and why |\n|---|---|---|---|\n"
PLAIN = {int: "whole number", float: "number", bool: "true, false", str: "text", Path: "path"}
SIGNS = {"ge": "≥", "gt": ">", "le": "≤", "lt": "<"}


def schemas() -> dict[str, type[BaseModel]]:
    info = tasks.find("image_classification")
    assert info is not None
    return {
        "project": Project, "data": info.data, "model": info.model, "train": info.train,
        "early_stopping": EarlyStopping, "tuning": Tuning, "predict": Predict, "output": Output,
    }  # fmt: skip


def value(kind: Any, limits: tuple[Any, ...] = ()) -> str:
    """What may stand there, in words."""
    found = [
        f"{sign} {getattr(limit, name):,}".replace(",", " ")
        for limit in limits
        for name, sign in SIGNS.items()
        if hasattr(limit, name)
    ]
    if get_origin(kind) is Annotated:
        inner, *more = get_args(kind)
        limited = [limit for each in more for limit in getattr(each, "metadata", [each])]
        return value(inner, tuple(limited))
    if get_origin(kind) is Literal:
        return " ".join(f"`{word}`" for word in get_args(kind))
    if get_origin(kind) in (Union, types.UnionType):
        members = [each for each in get_args(kind) if each is not type(None)]
        return " or ".join(value(each, limits) for each in members)
    if get_origin(kind) is tuple:
        return f"list of {value(get_args(kind)[0])}s"
    if get_origin(kind) is Mapping:
        return "table, see [tuning.md](tuning.md)"
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        return "table of keys, below"
    return " ".join([PLAIN[kind], *found])


def rows(part: str, schema: type[BaseModel]) -> Iterator[str]:
    for name, field in schema.model_fields.items():
        default = field.default
        shown = "–" if default in (None, PydanticUndefined) else f"`{str(default).lower()}`"
        if isinstance(default, str):
            shown = f"`{default}`"
        yield (
            f"| `{name}` | {value(field.annotation, tuple(field.metadata))} | {shown} "
            f"| {reasons.EN[f'config.{part}.{name}']} |\n"
        )


def with_tables(page: str) -> str:
    """The page with the tables that the schema gives."""
    for part, schema in schemas().items():
        table = HEAD + "".join(rows(part, schema))
        pattern = re.compile(rf"(^## `{part}:`\n(?:(?!^\|).*\n)*)(?:^\|.*\n)+", re.M)
        page, num = pattern.subn(lambda match, table=table: match[1] + table, page)
        assert num == 1, f"docs/config.md has no table under '## `{part}:`'"
    return page


def test_the_page_is_as_the_schema_is() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert page == with_tables(page), f"python {Path(__file__).name} writes its tables anew"
    for key in Spec.model_fields:
        assert f"`{key}:`" in page


@pytest.mark.parametrize("language", ["EN", "KO"])
def test_every_key_has_its_reason(language: str) -> None:
    told = {key for key in getattr(reasons, language) if key.count(".") == 2}
    keys = {
        f"config.{part}.{name}"
        for part, schema in schemas().items()
        for name in schema.model_fields
    }
    assert told == keys
    fields = [field for schema in schemas().values() for field in schema.model_fields.values()]
    assert [each for each in map(inner_schema, fields) if each is not None] == [EarlyStopping]


if __name__ == "__main__":
    PAGE.write_text(with_tables(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
    sys.exit(0)
