"""Which trackers a run's records go to, found out before it starts.

``--track``, else a training's ``track:``, else ``track:`` in the root's ``overnight.yaml``. Where
none of them says, a training goes to MLflow, and to W&B where there is a key for it. A script, a
notebook or a command goes nowhere: many of them talk to a tracker themselves.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import Any

from overnight import plugins, yaml_tree
from overnight.errors import UserError
from overnight.ledger.paths import RunPaths
from overnight.outbox import track
from overnight.trackers import GROUP, ROWS
from overnight.trackers.key import WANDB, has_key
from overnight.yaml_tree import Node

#: What may stand under a tracker's name in ``overnight.yaml``.
OPTIONS = ("address", "project", "entity", "tags", "mode")
NOWHERE = ("none", "off")
_MODES = ("online", "offline")
_MAX_KIB = 64


@dataclass(slots=True)
class _File:
    """``track:`` of ``overnight.yaml``; ``names`` is None where it does not say."""

    names: list[str] | None = None
    options: dict[str, dict[str, Any]] = field(default_factory=dict)


def where_to_track(
    words: Sequence[str],
    root: str,
    env: Mapping[str, str],
    problems: list[UserError],
    *,
    config: Sequence[str] | None = None,
    is_training: bool = False,
) -> list[dict[str, Any]]:
    """The trackers of a run, as ``track.json`` keeps them.

    Args:
        words: ``--track``, each a name, or ``none``.
        root: Its root, whose ``overnight.yaml`` counts.
        env: The job's environment.
        problems: What is wrong with any of it is added here.
        config: A training's ``track:``, where that says something.
        is_training: Whether it is one of ours.
    """
    said = _read(root, problems)
    chosen: Sequence[str] | None = words or None
    where = "--track"
    if chosen is None and config is not None:
        chosen, where = config, "track"
    if chosen is None and said.names is not None:
        chosen, where = said.names, os.path.join(root, "overnight.yaml")
    if chosen is None:
        chosen = _default(env) if is_training else ()
    chosen = [word.strip().lower() for word in chosen]
    if any(word in NOWHERE for word in chosen):
        if len(chosen) > 1:
            problems.append(UserError("track.none_and", where=where))
        return []
    found = []
    known = plugins.words(GROUP, ROWS) if chosen else ()
    for name in dict.fromkeys(chosen):
        if name not in known:
            near = plugins.nearest(name, known)
            key = "track.unknown" if near is None else "track.misspelt"
            problems.append(
                UserError(key, where=f"{where}: {name[:40]}", near=near, names=", ".join(known))
            )
        elif not _is_installed(name):
            extra = "wandb" if name == "wandb" else "train"
            problems.append(
                UserError("track.not_installed", where=f"{where}: {name}", module=name, extra=extra)
            )
        elif not (name == "wandb" and _given(env, "WANDB_MODE") == "disabled"):
            found.append(_entry(name, said.options.get(name, {}), env))
    return found


def write(run: RunPaths, trackers: Sequence[dict[str, Any]]) -> None:
    """Writes track.json; the supervisor asks for the run to be taken there.

    Raises:
        OSError: The run's folder cannot be written.
    """
    if trackers:
        track.write(run, list(trackers))


def _default(env: Mapping[str, str]) -> list[str]:
    """Where a training goes that says nothing."""
    found = ["mlflow"] if _is_installed("mlflow") else []
    return [*found, "wandb"] if env.get("WANDB_API_KEY") and _is_installed("wandb") else found


def _is_installed(name: str) -> bool:
    return name not in ROWS or find_spec(name) is not None


def _entry(name: str, options: Mapping[str, Any], env: Mapping[str, str]) -> dict[str, Any]:
    """A tracker as ``track.json`` keeps it; what the environment says wins over the file."""
    entry: dict[str, Any] = {"name": name, "address": "", **options}
    if name == "mlflow":
        entry["address"] = _given(env, "MLFLOW_TRACKING_URI") or entry["address"]
        entry["project"] = _given(env, "MLFLOW_EXPERIMENT_NAME") or entry.get("project")
    elif name == "wandb":
        entry["address"] = _given(env, "WANDB_BASE_URL") or entry["address"] or WANDB
        mode = _given(env, "WANDB_MODE") or entry.get("mode")
        # Without a key it is written all the same, and can be sent with `wandb sync`.
        usual = "online" if has_key(env, entry["address"]) else "offline"
        entry["mode"] = mode if mode in _MODES else usual
        entry["project"] = _given(env, "WANDB_PROJECT") or entry.get("project")
        entry["entity"] = _given(env, "WANDB_ENTITY") or entry.get("entity")
        tags = [tag.strip() for tag in _given(env, "WANDB_TAGS").split(",") if tag.strip()]
        entry["tags"] = [*entry.get("tags", ()), *tags]
        for key, variable in (("group", "WANDB_RUN_GROUP"), ("job_type", "WANDB_JOB_TYPE"),
                              ("notes", "WANDB_NOTES")):  # fmt: skip
            entry[key] = _given(env, variable) or None
    return {key: value for key, value in entry.items() if value or key == "address"}


def _given(env: Mapping[str, str], name: str) -> str:
    return env.get(name, "").strip()


# ── overnight.yaml ───────────────────────────────────────────────────────────────────────


def _read(root: str, problems: list[UserError]) -> _File:
    path = os.path.join(root, "overnight.yaml")
    # What keeps the file from being read at all is told by whoever reads `notify:` of it.
    tree = yaml_tree.read(path, [], max_kib=_MAX_KIB)
    node = tree.get("track") if tree is not None and tree.kind == "map" else None
    found = _File()
    if node is None or node.kind == "null":
        return found
    if node.kind == "bool" and node.data() is False:
        found.names = ["none"]
    elif node.kind == "str":
        found.names = re.split(r"[,\s]+", node.text.strip())
    elif node.kind == "list" and all(item.is_scalar for item in node.items):
        found.names = [item.text for item in node.items]
    elif node.kind == "map":
        found.names = [name.text.strip().lower() for name, _ in node.pairs]
        for name, options in node.pairs:
            found.options[name.text.strip().lower()] = _options(path, name, options, problems)
    else:
        problems.append(UserError("track.shape", where=yaml_tree.place(path, node, "track")))
    return found


def _options(path: str, name: Node, node: Node, problems: list[UserError]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if node.kind == "null":
        return found
    if node.kind != "map":
        where = yaml_tree.place(path, node, f"track.{name.text}")
        problems.append(UserError("track.options_shape", where=where, known=", ".join(OPTIONS)))
        return found
    for key, value in node.pairs:
        where = yaml_tree.place(path, key, f"track.{name.text}.{key.text}")
        if key.text not in OPTIONS:
            near = plugins.nearest(key.text, OPTIONS)
            wrong = "track.option_unknown" if near is None else "track.option_near"
            problems.append(UserError(wrong, where=where, near=near, known=", ".join(OPTIONS)))
        elif key.text == "tags":
            items = value.items if value.kind == "list" else (value,)
            found["tags"] = [item.text for item in items]
        elif not value.is_scalar:
            problems.append(UserError("track.option_shape", where=where))
        elif key.text == "mode" and value.text not in _MODES:
            problems.append(UserError("track.mode", where=where, known=", ".join(_MODES)))
        else:
            found[key.text] = value.text
    return found
