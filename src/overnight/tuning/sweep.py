"""A sweep file of W&B's, read as what we would search: ``tuning:`` of a config, on the same lines.

What W&B accepts and we cannot run is a mistake that says why; what only its server is told is left
out (:func:`unused` says so). Source: https://docs.wandb.ai/models/sweeps/sweep-config-keys.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from overnight import plugins, yaml_tree
from overnight.alerts import names
from overnight.errors import Place, UserError
from overnight.messages import say
from overnight.tuning import space
from overnight.tuning.config import Tuning
from overnight.tuning.space import Distribution
from overnight.yaml_tree import Node

_METHODS = ("bayes", "random", "grid")
_GOALS = ("minimize", "maximize")
_READ = (
    "method", "metric", "parameters", "early_terminate", "run_cap", "program", "command", "name",
)  # fmt: skip
#: Told to W&B's server, and without effect on what is run.
_UNUSED = ("description", "project", "entity", "controller", "apiVersion", "kind", "$schema")
#: What is W&B's alone → why.
_REFUSED = {
    "metrics": "sweep.metrics", "scheduler": "sweep.custom", "job": "sweep.launch",
    "image_uri": "sweep.launch",
}  # fmt: skip
_OF_METRIC = ("name", "goal", "target", "impute", "impute_while_running")
_OF_HYPERBAND = ("type", "min_iter", "max_iter", "s", "eta", "strict")
#: What may stand in ``command:`` for words that differ from trial to trial, or machine to machine.
MACROS = (
    "env", "interpreter", "program", "args", "args_no_hyphens", "args_no_equals",
    "args_no_boolean_flags", "args_json", "args_json_file", "args_append_hydra",
    "args_override_hydra",
)  # fmt: skip
_MACRO = re.compile(r"\$\{(.*)\}")
_ENVVAR = re.compile(r"\$\{envvar:([A-Z0-9_]*)\}")
#: A grid without ``run_cap`` has as many trials as points; a search no more than this.
_MOST_TRIALS = 100_000
_MAX_KIB = 256


@dataclass(frozen=True, slots=True)
class Sweep:
    """A search over a script's options.

    Attributes:
        tuning: How it is searched.
        space: What is varied, by the names of the script's options.
        program: The script it names; empty if it names none.
        command: How the script is called; empty: as W&B does.
        name: Its own; empty if it has none.
        unused: What of the file has no effect here, in the reader's language.
    """

    tuning: Tuning
    space: dict[str, Distribution]
    program: str = ""
    command: tuple[str, ...] = ()
    name: str = ""
    unused: tuple[str, ...] = ()


def is_sweep(tree: Node) -> bool:
    """Whether a file is one of W&B's."""
    return tree.kind == "map" and tree.get("parameters") is not None


def read(path: str, problems: list[UserError]) -> Sweep | None:
    """The sweep of a file; None where it has mistakes, which are in ``problems``.

    A relative ``program`` is looked for beside the file, and else where the person stands.
    """
    before = len(problems)
    tree = yaml_tree.read(path, problems, max_kib=_MAX_KIB)
    if tree is None and len(problems) == before:
        problems.append(UserError("sweep.no_such_file", where=Place(path)))
    return None if tree is None else of(tree, path, problems)


def of(tree: Node, path: str, problems: list[UserError]) -> Sweep | None:
    """The sweep of a tree; as :func:`read`."""
    before = len(problems)
    tuning = as_tuning(tree, path, problems)
    table = tuning.get("search_space")
    if table is None or len(problems) > before:
        return None
    method = tuning.get("method")
    grid = method is not None and method.text == "grid"
    found = space.read(table, path, problems, above="parameters", grid=grid)
    if len(problems) > before:
        return None
    keys = {name.text: value.data() for name, value in tuning.pairs if name.text != "search_space"}
    command = tree.get("command")
    return Sweep(
        tuning=Tuning(**keys, search_space=space.plain(found)),
        space=found,
        program=program(tree, path),
        command=tuple(str(item.data()) for item in command.items) if command else (),
        name=_text(tree, "name"),
        unused=unused(tree, path),
    )


def as_tuning(tree: Node, file: str, problems: list[UserError]) -> Node:
    """A sweep file as the tree of ``tuning:``; its parameters are left as they are written.

    Args:
        tree: Of the file.
        file: What errors name.
        problems: What is wrong with it, or cannot be run here, is added here.
    """
    if tree.kind != "map":
        problems.append(UserError("sweep.not_table", where=yaml_tree.place(file, tree)))
        return Node("map")
    problems += _doubles(tree, file)
    problems += _unknown(tree, _READ + _UNUSED + tuple(_REFUSED), file, "")
    pairs: list[tuple[str, Node]] = []

    def wrong(node: Node, at: str, sentence: str, **fields: object) -> None:
        problems.append(UserError(sentence, where=yaml_tree.place(file, node, at), **fields))

    for key, _ in tree.pairs:
        if key.text in _REFUSED:
            wrong(key, key.text, _REFUSED[key.text])
    method = tree.get("method")
    if method is None:
        wrong(tree, "method", "sweep.method_missing")
    elif method.text in _METHODS and method.is_scalar:
        pairs.append(("method", method))
    else:
        is_custom = method.text == "custom"
        wrong(method, "method", "sweep.custom" if is_custom else "sweep.method", got=_shown(method))
    pairs += _metric(tree, file, problems)
    pairs += _pruner(tree, file, problems)
    cap = tree.get("run_cap")
    if cap is not None and not (cap.kind == "int" and 0 < cap.data() <= _MOST_TRIALS):
        wrong(cap, "run_cap", "sweep.run_cap", got=_shown(cap))
    elif cap is not None:
        pairs.append(("n_trials", cap))
    elif method is not None and method.text == "grid":
        pairs.append(("n_trials", yaml_tree.scalar(str(_MOST_TRIALS), line=method.line)))
    for name in ("program", "name"):
        text = tree.get(name)
        if text is not None and not (text.is_scalar and text.text.strip()):
            wrong(text, name, "sweep.text")
    for word, sentence in _mistakes_of_command(tree.get("command")):
        wrong(word, "command", sentence, got=_shown(word), known=", ".join(MACROS))
    parameters = tree.get("parameters")
    if parameters is None or parameters.kind == "null" or parameters.pairs == ():
        shape = parameters is not None and parameters.kind not in ("null", "map")
        sentence = "sweep.space_shape" if shape else "sweep.no_parameters"
        wrong(parameters or tree, "parameters", sentence)
    else:
        pairs.append(("search_space", parameters))
    inside = tuple((yaml_tree.scalar(name, line=value.line), value) for name, value in pairs)
    return Node("map", tree.line, pairs=inside)


def unused(tree: Node, file: str) -> tuple[str, ...]:
    """What of a sweep file has no effect here, a sentence each."""
    found = [name.text for name, _ in tree.pairs if name.text in _UNUSED]
    metric, early = tree.get("metric"), tree.get("early_terminate")
    if metric is not None:
        found += [f"metric.{name.text}" for name, _ in metric.pairs if "impute" in name.text]
    said = [say("sweep.unused", file=Path(file).name, key=key) for key in found]
    if early is not None and len(early.pairs) > 1:
        said.append(say("sweep.unused_early", file=Path(file).name))
    return tuple(said)


def _metric(tree: Node, file: str, problems: list[UserError]) -> Iterator[tuple[str, Node]]:
    metric = tree.get("metric")
    if metric is None:
        return

    def wrong(node: Node, at: str, sentence: str, **fields: object) -> None:
        problems.append(UserError(sentence, where=yaml_tree.place(file, node, at), **fields))

    called = metric.get("name")
    if called is None or not called.is_scalar or not called.text.strip():
        wrong(metric, "metric", "sweep.metric_shape")
        return
    problems += _unknown(metric, _OF_METRIC, file, "metric.")
    yield "metric", yaml_tree.scalar(called.text, plain=False, line=called.line)
    goal, target = metric.get("goal"), metric.get("target")
    if target is not None:
        wrong(target, "metric.target", "sweep.metric_target")
    if goal is None:
        if names.better(called.text) is None:  # W&B's own; else as the metric is meant
            yield "goal", yaml_tree.scalar("minimize", line=called.line)
    elif goal.text in _GOALS:
        yield "goal", goal
    else:
        wrong(goal, "metric.goal", "sweep.goal", got=_shown(goal))


def _pruner(tree: Node, file: str, problems: list[UserError]) -> Iterator[tuple[str, Node]]:
    early = tree.get("early_terminate")
    if early is None or early.kind == "null":
        yield "pruner", yaml_tree.scalar("none", line=tree.line)
        return
    kind = early.get("type")
    if kind is None:
        problems.append(
            UserError("sweep.early", where=yaml_tree.place(file, early, "early_terminate"))
        )
        return
    problems += _unknown(early, _OF_HYPERBAND, file, "early_terminate.")
    if kind.text == "hyperband":
        yield "pruner", kind
    else:
        where = yaml_tree.place(file, kind, "early_terminate.type")
        problems.append(UserError("sweep.early_type", where=where, got=_shown(kind)))


def _mistakes_of_command(command: Node | None) -> Iterator[tuple[Node, str]]:
    if command is None:
        return
    if command.kind != "list" or not command.items:
        yield command, "sweep.command"
        return
    for item in command.items:
        macro = _MACRO.fullmatch(item.text)
        if not item.is_scalar:
            yield item, "sweep.command"
        elif macro and macro[1] not in MACROS and not _ENVVAR.search(item.text):
            yield item, "sweep.macro"


def _unknown(table: Node, known: tuple[str, ...], file: str, above: str) -> Iterator[UserError]:
    for name, _ in table.pairs:
        if name.text not in known:
            near = plugins.nearest(name.text, known)
            key = "sweep.top_unknown" if near is None else "sweep.top_near"
            where = yaml_tree.place(file, name, above + name.text)
            yield UserError(key, where=where, near=near, known=", ".join(known[: len(_READ)]))


def _doubles(node: Node, file: str, above: str = "") -> Iterator[UserError]:
    seen = set()
    for name, value in node.pairs:
        if name.text in seen:
            where = yaml_tree.place(file, name, above + name.text)
            yield UserError("yaml.key_twice", where=where)
        seen.add(name.text)
        yield from _doubles(value, file, f"{above}{name.text}.")


def program(tree: Node, file: str) -> str:
    """Where a sweep's program lies, as the person would name it; empty if it names none."""
    named = _text(tree, "program")
    beside = Path(file).parent / named
    return str(beside) if named and beside.exists() else named


def _text(tree: Node, key: str) -> str:
    node = tree.get(key)
    return "" if node is None else node.text.strip()


def _shown(node: Node) -> str:
    return node.text[:40] if node.is_scalar else f"[{node.kind}]"
