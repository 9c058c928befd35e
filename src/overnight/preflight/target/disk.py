"""Are the files there that the script reads, and the folders it writes to?

Only what is certain is ✗: a path that is known, a line that is reached, and nothing before it that
could have made the file. A path the script works out for itself is said to be one.
"""

from __future__ import annotations

import fnmatch
import glob
import os
import re
from collections.abc import Iterator
from difflib import get_close_matches
from typing import Literal

from overnight.preflight.check import Level
from overnight.preflight.target.files import Use, uses
from overnight.preflight.target.findings import Finding
from overnight.preflight.target.program import Program, Site
from overnight.preflight.target.values import HOLE, Values, holes_as_pattern

_ADDRESS = re.compile(r"[a-zA-Z][a-zA-Z0-9+.-]*://")
#: So many places are named where paths are not known; more would hide the rest.
_MAX_PLACES = 5
#: Longer than any path Linux takes.
_MAX_PATH_CHARS = 4096


class Disk:
    """All uses of the disk by one program."""

    def __init__(self, program: Program) -> None:
        self._program = program
        self._job = program.job
        self._uses = uses(program)
        self._bases = list(self._chdirs())
        self._findings: list[Finding] = []
        self._told: set[tuple[str, str]] = set()
        self._num_inputs = 0
        self._computed: list[str] = []
        self._written: set[str] = set()
        self._said = {
            str(item.fields.get("path") or item.fields.get("folder") or "")
            for item in self._job.found
            if item.key in ("notebook.input_missing", "notebook.platform_path")
        } - {""}

    def check(self) -> list[Finding]:
        """Findings on inputs, then on outputs."""
        for use in self._uses:
            if use.does in ("reads", "lists", "matches"):
                self._input(use)
        inputs = self._findings or self._fine_inputs()
        if self._computed:
            inputs = [*inputs, self._unknown_inputs()]
        self._findings = []
        for use in self._uses:
            if use.does in ("writes", "makes_one"):
                self._output(use)
        outputs = self._findings or self._fine_outputs()
        return [*inputs, *outputs]

    # -- where relative paths start -------------------------------------------------------------

    def _chdirs(self) -> Iterator[tuple[int, Values]]:
        """Lines from which on the script runs in another folder."""
        for use in self._uses:
            dotted = self._program.evaluator.dotted(use.site.node.func, use.site.scope) if (
                use.does == "lists" and not hasattr(use.site.node, "slice")
            ) else ""  # fmt: skip
            if dotted == "os.chdir":
                yield use.site.line, use.values
        for site in self._program.sites:
            name = getattr(getattr(site.node, "func", None), "id", "")
            if name == "_nb_cd" and self._job.is_own(site.line):
                assert not hasattr(site.node, "slice")
                yield site.line, Values()

    def _base(self, site: Site) -> str | None:
        """The folder relative paths start from at a place; None where it is not known."""
        if not self._bases:
            return self._job.cwd
        if not site.straight:
            return None
        here: str | None = self._job.cwd
        for line, values in self._bases:
            if line < site.line:
                one = values.one
                if here is None or not isinstance(one, str) or HOLE in one:
                    return None
                here = os.path.join(here, one)
        return here

    def _absolute(self, text: str, site: Site) -> str | None:
        """A path as the running script would open it."""
        if len(text) > _MAX_PATH_CHARS or "\0" in text or "\n" in text:
            return None
        try:
            os.fsencode(text)
        except UnicodeEncodeError:
            return None
        if text.startswith("~"):
            return None  # no function of Python's opens it
        if os.path.isabs(text):
            return os.path.normpath(text)
        base = self._base(site)
        return None if base is None else os.path.normpath(os.path.join(base, text))

    # -- inputs ---------------------------------------------------------------------------------

    def _input(self, use: Use) -> None:
        texts = [text for text in use.values.texts if text and text != "-"]
        if any(_ADDRESS.match(text) for text in texts):
            return
        if not use.values.items or not (texts and use.values.is_known):
            if not texts and not use.site.in_try:
                self._computed.append(self._program.where(use.site))
            return
        missing = [text for text in texts if not self._is_there(text, use)]
        if len(missing) < len(texts) and not use.values.each:
            self._num_inputs += 1
            return
        self._num_inputs += len(texts) - len(missing)
        for text in missing:
            self._missing(text, use, is_only=len(texts) == 1 or use.values.each)

    def _is_there(self, text: str, use: Use) -> bool:
        path = self._absolute(text, use.site)
        if path is None:
            return True  # it cannot be told
        if HOLE in path:
            folder = _known_folder(path)
            return folder is None or os.path.isdir(folder)
        if use.does == "matches" and any(char in path for char in "*?["):
            return next(glob.iglob(path, recursive=True), None) is not None
        return os.path.exists(path)

    def _missing(self, text: str, use: Use, *, is_only: bool) -> None:
        site = use.site
        path = self._absolute(text, site)
        if path is None or site.in_try or any(text.startswith(said) for said in self._said):
            return
        folder = _known_folder(path) if HOLE in path else None
        shown = text if folder is None else folder
        made = self._made(path, site)
        if made == "yes":
            return
        if (place := self._program.where(site), shown) in self._told:
            return
        self._told.add((place, shown))
        near = _near(path) if folder is None else ""
        fields = {
            "path": shown,
            "base": self._base(site) or self._job.cwd,
            "near": near,
        }
        level: Level = "bad" if site.sure and is_only else "warn"
        code = "missing_near" if near else "missing"
        if made == "maybe":
            level, code = "unknown", "may_be_made"
        elif use.does == "matches":
            level, code = "warn", "no_match"
        elif folder is not None:
            code = "folder_missing"
        elif level == "warn":
            code = "missing_maybe"
        facts = {"path": fields["path"], "absolute": path}
        self._findings.append(Finding("inputs", level, code, facts, fields, place))

    def _made(self, path: str, reader: Site) -> Literal["yes", "maybe", "no"]:
        """Whether the program itself makes a path before it is read."""
        answer: Literal["maybe", "no"] = "no"
        for use in self._uses:
            if self._is_later(use.site, reader):
                continue
            if use.does == "anything":
                answer = "maybe"
            elif use.does in ("writes", "fills", "makes", "makes_one", "perhaps"):
                if not use.values.is_known and use.does in ("fills", "makes"):
                    answer = "maybe"
                for text in use.values.texts:
                    whole = self._absolute(text, use.site)
                    if whole is None:
                        if _ends_alike(path, text):
                            return "yes"
                        continue
                    if _covers(whole, path) or (_covers(path, whole) and use.does != "perhaps"):
                        return "yes"
                    if use.does in ("fills", "perhaps") and _is_below(path, whole):
                        return "yes"
                    if use.does == "makes" and _is_below(path, whole):
                        answer = "maybe"
        return answer

    @staticmethod
    def _is_later(writer: Site, reader: Site) -> bool:
        """Whether both stand on the straight way, the writer behind the reader."""
        if writer.node is reader.node:
            return True
        return (
            writer.straight
            and reader.straight
            and writer.module is reader.module
            and writer.line > reader.line
        )

    def _fine_inputs(self) -> list[Finding]:
        if self._num_inputs:
            facts = {"num": self._num_inputs}
            return [Finding("inputs", "ok", "there", facts, facts)]
        if self._computed:
            return []
        return [Finding("inputs", "ok", "none")]

    def _unknown_inputs(self) -> Finding:
        places = list(dict.fromkeys(place for place in self._computed if place))
        shown = places[:_MAX_PLACES]
        rest = len(places) - len(shown)
        code = "computed_more" if rest > 0 else "computed"
        fields = {"places": ", ".join(shown), "rest": rest}
        return Finding(
            "inputs", "unknown", code, {"places": [*places]}, fields, shown[0] if shown else ""
        )

    # -- outputs --------------------------------------------------------------------------------

    def _output(self, use: Use) -> None:
        site = use.site
        if site.in_try or (use.does == "makes_one" and use.makes_parents):
            return
        texts = use.values.texts
        if not texts or not use.values.is_known or any(_ADDRESS.match(text) for text in texts):
            return
        for text in texts:
            path = self._absolute(text, site)
            if path is None or not text:
                continue
            folder = _known_folder(path) if HOLE in path else os.path.dirname(path)
            if folder is None or path.startswith("/dev/"):
                continue
            if any(path.startswith(said) for said in self._said):
                continue
            self._written.add(folder)
            problem = self._folder_problem(folder, site)
            if problem and (folder, problem) not in self._told:
                self._told.add((folder, problem))
                base = self._base(site) or self._job.cwd
                shown = os.path.relpath(folder, base) if _is_below(folder, base) else folder
                fields = {"folder": shown}
                facts = {"folder": folder}
                certain = site.sure and (len(texts) == 1 or use.values.each)
                level: Level = "bad" if certain else "warn"
                if problem == "may_be_made":
                    level = "unknown"
                place = self._program.where(site)
                self._findings.append(Finding("outputs", level, problem, facts, fields, place))

    def _folder_problem(
        self, folder: str, site: Site
    ) -> Literal["", "missing", "may_be_made", "not_writable", "not_folder"]:
        if os.path.isdir(folder):
            return "" if os.access(folder, os.W_OK | os.X_OK) else "not_writable"
        if os.path.exists(folder):
            return "not_folder"
        answer: Literal["missing", "may_be_made"] = "missing"
        for use in self._uses:
            if self._is_later(use.site, site):
                continue
            if use.does == "anything":
                answer = "may_be_made"
            elif use.does in ("makes", "makes_one", "fills", "perhaps"):
                if not use.values.is_known:
                    answer = "may_be_made"
                for text in use.values.texts:
                    made = self._absolute(text, use.site)
                    if made is None or _covers(made, folder) or _is_below(made, folder):
                        if len(use.values.items) == 1 or use.values.each:
                            return ""
                        answer = "may_be_made"
        return answer

    def _fine_outputs(self) -> list[Finding]:
        if not self._written:
            return []
        facts = {"num": len(self._written)}
        return [Finding("outputs", "ok", "can_be_written", facts, facts)]


def _known_folder(path: str) -> str | None:
    """The part of a path with holes that is known for certain; None where that is nothing."""
    folder = os.path.dirname(path.partition(HOLE)[0])
    return folder if folder not in ("", os.sep) else None


def _covers(made: str, path: str) -> bool:
    """Whether a path that is made, holes and all, may be the one that is read."""
    if HOLE not in made:
        return made == path
    return fnmatch.fnmatchcase(path.replace(HOLE, "x"), holes_as_pattern(made))


def _ends_alike(path: str, text: str) -> bool:
    """Whether a relative path, wherever it starts, may be the one that is read."""
    tail = os.path.normpath(text)
    return not tail.startswith("..") and (os.sep + path).endswith(os.sep + tail)


def _is_below(path: str, folder: str) -> bool:
    if HOLE in folder:
        return fnmatch.fnmatchcase(path, holes_as_pattern(folder) + "/*")
    return path == folder or path.startswith(folder.rstrip(os.sep) + os.sep)


def _near(path: str) -> str:
    """A file beside the missing one that was probably meant."""
    folder, name = os.path.split(path)
    try:
        names = os.listdir(folder)
    except OSError:
        return ""
    close = get_close_matches(name, names, n=1, cutoff=0.75)
    return close[0] if close else ""
