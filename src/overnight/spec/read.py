"""From a config to a spec: every mistake is found before anything is done, and told at once.

The file is read as a tree, ``--set`` replaces values in it, variables are resolved, and each part
is held against its schema; the tree then knows the line of whatever that finds.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path

from pydantic import BaseModel

from overnight import plugins, tasks, trackers, yaml_tree
from overnight.alerts.settings_file import part_of
from overnight.errors import Place, UserError, UserErrors
from overnight.ledger.paths import name_from
from overnight.spec import modes, override, places, search, together
from overnight.spec.mistakes import choice, unknown
from overnight.spec.part import PartReader
from overnight.spec.report import EMPTY, Report
from overnight.spec.schema import Keys, Output, Predict, Project, Spec, words
from overnight.tasks.base import TaskInfo
from overnight.tuning.config import Tuning
from overnight.yaml_tree import Node

#: A config has a few kilobytes; a thousand class names have twenty.
_MAX_KIB = 256


def read(
    path: str | Path,
    overrides: Mapping[str, str] | None = None,
    env: Mapping[str, str] | None = None,
    *,
    flags: modes.Flags | None = None,
    search_file: str = "",
    until: Callable[[str], datetime] | None = None,
    must_exist: bool = False,
) -> Spec:
    """What a config asks for.

    Args:
        path: The config; relative paths in it start at its folder.
        overrides: ``--set``: ``train.lr`` → ``3e-4``, each value read as YAML.
        env: Where ``${VAR}`` is looked up; this process's environment by default.
        flags: What other options ask for; they win over the config and the overrides.
        search_file: A file of its own that says what is searched, instead of ``tuning:``.
        until: Makes a moment of what a person writes at ``until:`` (UserError); None: it stays.
        must_exist: Whether files and folders it reads from have to be there.

    Raises:
        UserErrors: Every mistake, by its line.
    """
    report = Report(str(path))
    reading = _Reading(report, os.environ if env is None else env)
    spec = reading.spec(overrides or {}, flags or {}, search_file, until)
    if spec is not None and must_exist:
        places.look_for(spec, reading.parts.unresolved, report)
    problems = [*report.in_order(), *reading.search.in_order()]
    if spec is None or problems:
        raise UserErrors(problems)
    return spec


class _Reading:
    """One config being read."""

    def __init__(self, report: Report, env: Mapping[str, str]) -> None:
        self.report = report
        self.parts = PartReader(report, env)
        #: Of the file that says what is searched, where there is one of its own.
        self.search = Report("")
        self._env = env

    def spec(
        self,
        overrides: Mapping[str, str],
        flags: modes.Flags,
        search_file: str,
        until: Callable[[str], datetime] | None,
    ) -> Spec | None:
        """The spec; None where there are mistakes."""
        report, parts = self.report, self.parts
        folder = Path(report.file).absolute().parent
        tree = self._tree(report, folder)
        if tree is None:
            return None
        self._look_for_doubles(report, tree, ())
        said = override.apply(tree, overrides, report.file, report.problems)
        asked = modes.with_flags(
            said, flags, report.file, report.problems, has_search=bool(search_file)
        )
        report.tree = asked
        info = self._task()
        if info is not None:
            report.tree = modes.fill(asked, info, modes.recipe(said, asked))
        parts.elsewhere = _elsewhere(info)
        self._look_for_unknown()
        made: dict[str, BaseModel | None] = {
            "project": parts.part(Project, "project", {"name": name_from(report.file)}),
            "output": parts.part(Output, "output"),
            "predict": parts.part(Predict, "predict"),
            "tuning": self._tuning(search_file, overrides, flags, info),
        }
        plain = parts.part(words(), "")
        moment = self._until(until)
        track = self._track()
        notify = report.tree.get("notify") or EMPTY
        part_of(notify, report.file, report.problems)
        if info is not None:
            schemas = {"data": info.data, "model": info.model, "train": info.train}
            made |= {name: parts.part(schema, name) for name, schema in schemas.items()}
            where = self.search if search_file else report
            searches = bool(search_file) or self._searches()
            together.look(report, where, info, plain, made, searches=searches)
        if info is None or plain is None or report.problems or self.search.problems:
            return None
        whole = {
            name: places.absolute(part, folder, (name,), parts.unresolved)
            for name, part in made.items()
            if part is not None
        }
        told = notify.data() if notify.kind == "map" else {}
        spec = Spec.model_validate({
            "task": info.name, "track": track, "notify": told, **plain.model_dump(), **whole,
            "until": moment,
        })  # fmt: skip
        spec._unresolved.update(parts.unresolved)
        return spec

    def _searches(self) -> bool:
        node = self.report.tree.get(search.PART)
        return node is not None and node.kind != "null"

    def _tuning(
        self, path: str, overrides: Mapping[str, str], flags: modes.Flags, info: TaskInfo | None
    ) -> Tuning | None:
        """What is searched, from the config or a file of its own; None: nothing is."""
        if not path:
            return search.read(self.report, self.parts, info) if self._searches() else None
        report = self.search
        report.file = path
        tree = self._tree(report, Path(path).absolute().parent)
        if tree is None:
            return None
        self._look_for_doubles(report, tree, ())
        tree = search.of_file(report, tree)
        own = {key: text for key, text in overrides.items() if key.startswith(search.PART + ".")}
        tree = override.apply(tree, own, path, report.problems)
        mine = {key: flag for key, flag in flags.items() if key.startswith(search.PART)}
        report.tree = modes.with_flags(tree, mine, path, report.problems)
        return search.read(report, PartReader(report, self._env), info)

    def _until(self, parse: Callable[[str], datetime] | None) -> str | None:
        """The moment as it is written down, ``2026-11-22T07:00:00+00:00``."""
        node = self.report.tree.get("until")
        if node is None or node.kind in ("null", "list", "map"):
            return None
        text = self.parts.resolved(node, ("until",)).text
        if not text:  # told already
            return None
        try:
            return text if parse is None else parse(text).isoformat(timespec="seconds")
        except UserError as error:
            self.report.moved(error, ("until",))
            return None

    def _tree(self, report: Report, folder: Path) -> Node | None:
        if "\udc80" <= max(str(folder)) <= "\udcff":  # as Python reads a name in another encoding
            report.problems.append(UserError("spec.folder_not_text", where=Place(report.file)))
            return None
        tree = yaml_tree.read(report.file, report.problems, max_kib=_MAX_KIB)
        if tree is None and not report.problems:
            near = places.nearest(Path(report.file))
            key = "spec.no_such_file_near" if near else "spec.no_such_file"
            report.problems.append(UserError(key, where=Place(report.file), near=near))
        if tree is None or tree.kind == "map":
            return tree
        if tree.kind == "null":
            return EMPTY
        key = "spec.not_a_table" if report is self.report else "spec.search_not_a_table"
        report.wrong_at(tree, (), key)
        return None

    def _look_for_doubles(self, report: Report, node: Node, above: Keys) -> None:
        seen = set()
        for name, value in node.pairs:
            if not name.is_scalar:
                report.wrong_at(name, (*above, "[…]"), "spec.key_form")
                continue
            keys = (*above, name.text)
            if name.text in seen:
                report.wrong_at(name, keys, "yaml.key_twice")
            seen.add(name.text)
            if keys != ("notify",):  # its own reader does
                self._look_for_doubles(report, value, keys)
        for at, item in enumerate(node.items):
            self._look_for_doubles(report, item, (*above, at))

    def _look_for_unknown(self) -> None:
        known = Spec.model_fields
        for name, _ in self.report.tree.pairs:
            if name.is_scalar and name.text not in known:
                self.report.add((), unknown((name.text,), known, self.parts.elsewhere))

    def _task(self) -> TaskInfo | None:
        known = plugins.words(tasks.GROUP, tasks.ROWS)
        node = self.report.tree.get("task")
        word = None if node is None else self.parts.value(node, ("task",))
        if word is None:
            self.report.wrong(("task",), "spec.task_missing", known=", ".join(known))
            return None
        info = tasks.find(word) if isinstance(word, str) else None
        if info is None:
            self.report.add((), choice(("task",), word, known))
            # What else is wrong is told by the task that was meant.
            near = plugins.nearest(str(word), known)
            info = None if near is None else tasks.find(near)
        return info

    def _track(self) -> tuple[str, ...] | None:
        """None where nothing is said: then the machine and the root may say something."""
        node = self.report.tree.get("track")
        if node is None or node.kind == "null":
            return None
        if node.kind == "map":
            self.report.wrong(("track",), "spec.list")
            return ()
        known = plugins.words(trackers.GROUP, trackers.ROWS)
        found: list[str] = []
        for at, each in enumerate(node.items if node.kind == "list" else (node,)):
            keys: Keys = ("track", at)
            word = self.parts.value(each, keys)
            if word not in known:
                self.report.add((), choice(keys, word, known))
            elif word in found:
                self.report.wrong(keys, "yaml.key_twice")
            else:
                found.append(word)
        return tuple(found)


def _elsewhere(info: TaskInfo | None) -> dict[str, str]:
    """Keys that occur in one part only → their full names."""
    parts: dict[str, type[BaseModel]] = {"project": Project, "output": Output}
    if info is not None:
        parts |= {"data": info.data, "model": info.model, "train": info.train}
    found: dict[str, str] = {}
    for part, schema in parts.items():
        for key in schema.model_fields:
            found[key] = "" if key in found else f"{part}.{key}"
    return {key: full for key, full in found.items() if full}
