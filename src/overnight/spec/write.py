"""A spec as a config again: whole, with its defaults, enough to run it again."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from overnight import yaml_tree
from overnight.messages import say
from overnight.spec.schema import Keys, Spec
from overnight.spec.variables import literal


def write(spec: Spec, path: str | Path) -> None:
    """Writes every key of a spec, its paths absolute, its variables unresolved.

    Args:
        spec: What was asked for.
        path: The file; another's is replaced, whole or not at all.

    Raises:
        OSError: It cannot be written.
    """
    path = Path(path)
    aside = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        aside.write_text(to_yaml(spec), encoding="utf-8", newline="\n")
        aside.replace(path)
    finally:
        aside.unlink(missing_ok=True)


def to_yaml(spec: Spec) -> str:
    """The text of the config."""
    return f"# {say('spec.written')}\n{_dumped(to_json(spec))}"


def as_yaml(value: Any) -> str:
    """One value on one line, as it stands behind its key."""
    # None: lists in brackets; a table that holds plain values alone would stand in braces, too.
    style = None if isinstance(value, (list, dict)) else False
    return _dumped({"k": value}, default_flow_style=style).partition(": ")[2].rstrip("\n")


def _dumped(data: Any, **options: Any) -> str:
    import yaml

    class Dumper(yaml.SafeDumper):
        """Quotes what our own reader would take for something else than a text."""

        def ignore_aliases(self, data: object) -> bool:
            return True

    def text(dumper: Any, value: str) -> Any:
        # Some of what is not printable ends a line for YAML; in double quotes it is written out.
        is_plain = yaml_tree.scalar(value).kind == "str" and value.isprintable()
        tag = "tag:yaml.org,2002:str"
        return dumper.represent_scalar(tag, value, style=None if is_plain else '"')

    Dumper.add_representer(str, text)
    # A long path stays on its line.
    options = {"sort_keys": False, "allow_unicode": True, "width": 1_000_000, **options}
    dumped: str = yaml.dump(data, Dumper=Dumper, **options)
    return dumped


def to_json(spec: Spec) -> dict[str, Any]:
    """The whole spec in JSON's own values, its variables unresolved."""
    plain: dict[str, Any] = spec.model_dump(mode="json", serialize_as_any=True)
    told = plain.pop("notify")
    written: dict[str, Any] = _written(plain, (), spec._unresolved)
    written["notify"] = told  # which knows no variables
    return {key: written[key] for key in Spec.model_fields}


def _written(value: Any, keys: Keys, unresolved: dict[Keys, str]) -> Any:
    if keys in unresolved:
        return unresolved[keys]
    if isinstance(value, dict):
        return {key: _written(inner, (*keys, key), unresolved) for key, inner in value.items()}
    if isinstance(value, list):
        return [_written(inner, (*keys, at), unresolved) for at, inner in enumerate(value)]
    return literal(value) if isinstance(value, str) else value
