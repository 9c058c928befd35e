"""Do the modules the job imports resolve in its own Python?

The job's Python is asked once, in a child, and nothing of the script is run there. Modules that lie
beside the script are read here, and what they import is asked for as well.
"""

from __future__ import annotations

import ast
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass

from overnight.notebook.names import all_names
from overnight.notebook.places import is_main_guard
from overnight.preflight.check import Level
from overnight.preflight.target.findings import Finding
from overnight.preflight.target.installed import Answer
from overnight.preflight.target.job import Job
from overnight.preflight.target.program import Program, package_of
from overnight.preflight.target.scope import Module

#: Their module has another name than their package.
_PACKAGES = {
    "cv2": "opencv-python-headless", "PIL": "pillow", "sklearn": "scikit-learn",
    "skimage": "scikit-image", "yaml": "PyYAML", "bs4": "beautifulsoup4", "Crypto": "pycryptodome",
    "dateutil": "python-dateutil", "dotenv": "python-dotenv", "fitz": "pymupdf",
    "git": "GitPython", "kaggle_secrets": "kaggle", "MeCab": "mecab-python3",
    "pytorch_lightning": "pytorch-lightning", "segmentation_models_pytorch":
    "segmentation-models-pytorch", "sentence_transformers": "sentence-transformers",
    "serial": "pyserial", "umap": "umap-learn", "faiss": "faiss-cpu",
    "attr": "attrs", "jwt": "PyJWT", "magic": "python-magic", "pkg_resources": "setuptools",
    "Levenshtein": "python-Levenshtein", "imblearn": "imbalanced-learn", "nvidia": "nvidia-ml-py",
    "pynvml": "nvidia-ml-py", "albumentations.pytorch": "albumentations", "konlpy": "konlpy",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Imported:
    """One module some code of the person's imports.

    Attributes:
        optional: The code says that it can do without.
        sure: The import is certainly reached.
    """

    dotted: str
    where: str
    optional: bool
    sure: bool
    is_entry: bool


class Imports:
    """Everything that the script and the modules beside it import."""

    def __init__(self, program: Program) -> None:
        self._program = program
        self._job = program.job
        self.foreign: list[Imported] = []
        self.findings: list[Finding] = []
        self.local: dict[str, str] = {}
        self._seen: dict[str, bool] = {}
        self._names: dict[str, set[str] | None] = {}
        self._tells_relative = False
        self._read(program.entry, optional=False, sure=True)

    def _read(self, module: Module, *, optional: bool, sure: bool) -> None:
        real = os.path.realpath(module.path)
        if self._seen.get(real, -1) >= sure:
            return
        self._seen[real] = sure
        for node, may_fail, is_top in _imports(module):
            if not self._job.is_own(node.lineno) and module.is_entry:
                continue
            may_fail = may_fail or optional
            reached = id(node) in self._program.sure_imports or (
                is_top and sure and not may_fail and not module.is_entry
            )
            names = (
                [(alias.name, "") for alias in node.names]
                if isinstance(node, ast.Import)
                else [("." * node.level + (node.module or ""), alias.name) for alias in node.names]
            )
            for dotted, name in names:
                self._one(module, node.lineno, dotted, name, optional=may_fail, sure=reached)

    def _one(
        self, module: Module, line: int, dotted: str, name: str, *, optional: bool, sure: bool
    ) -> None:
        where = self._job.where(line, module.path)
        package = package_of(module, self._job)
        if dotted.startswith(".") and not package:
            if not optional and self._job.kind == "script" and not self._tells_relative:
                self._tells_relative = True
                run_as = _run_as(self._job)
                fields = {"module": dotted, "command": run_as}
                self._add("relative", where, fields, sure=sure)
            return
        path = self._program.locate(dotted, package)
        if not path:
            if dotted.startswith("."):
                if not optional:
                    fields = {"module": dotted, "folder": os.path.relpath(package, self._job.cwd)}
                    self._add("local_missing", where, fields, sure=sure)
                return
            made = self._top_is_local(dotted)
            if made and not optional and not self._program.changes_path:
                fields = {"module": dotted, "folder": os.path.relpath(made, self._job.cwd)}
                self._add("local_missing", where, fields, sure=sure)
            elif not made:
                self.foreign.append(Imported(dotted, where, optional, sure, module.is_entry))
            return
        found = self._program.module(path) if path.endswith(".py") else None
        if not dotted.startswith(".") and os.path.isdir(
            self._program.locate(dotted.partition(".")[0])
        ):
            # Of a folder without ``__init__.py`` an installed package of its name is preferred.
            self.foreign.append(Imported(dotted, where, optional, sure, module.is_entry))
            if found is not None:
                self._read(found, optional=optional, sure=False)
            return
        if not dotted.startswith("."):
            self.local.setdefault(dotted.partition(".")[0], path)
        if found is not None:
            self._read(found, optional=optional, sure=sure)
        if name and name != "*" and not optional:
            self._name(found, path, dotted, name, where, sure=sure)

    def _top_is_local(self, dotted: str) -> str:
        """Folder of the person's own package of which a submodule is missing."""
        top = dotted.partition(".")[0]
        if top == dotted or top in sys.stdlib_module_names:
            return ""
        path = self._program.locate(top)
        return os.path.dirname(path) if os.path.basename(path) == "__init__.py" else ""

    def _name(
        self,
        module: Module | None,
        path: str,
        dotted: str,
        name: str,
        where: str,
        *,
        sure: bool,
    ) -> None:
        """``from model import Net``: is there a ``Net`` in ``model.py``?"""
        folder = path if os.path.isdir(path) else os.path.dirname(path)
        is_package = os.path.isdir(path) or os.path.basename(path) == "__init__.py"
        if is_package:
            inner = self._program.locate("." + name, folder)
            if inner:
                found = self._program.module(inner) if inner.endswith(".py") else None
                if found is not None:
                    self._read(found, optional=False, sure=sure)
                return
        if module is None:
            if os.path.isdir(path):
                fields = {"module": dotted, "name": name}
                self._add("name_missing", where, fields, sure=sure)
            return
        if module.path not in self._names:
            is_open = _is_open(module.tree)
            self._names[module.path] = None if is_open else all_names(module.tree)
        names = self._names[module.path]
        if names is None or name in names or dotted.partition(".")[0] in sys.stdlib_module_names:
            return
        self._add("name_missing", where, {"module": dotted, "name": name}, sure=sure)

    def _add(self, code: str, where: str, fields: dict[str, str], *, sure: bool) -> None:
        level: Level = "bad" if sure else "warn"
        finding = Finding("imports", level, code, fields, fields, where)
        # A module that is read again, now that it is surely imported, tells more.
        known = [each for each in self.findings if (each.where, each.fields) != (where, fields)]
        self.findings = [*known, finding]

    # -- what the job's Python says -------------------------------------------------------------

    def names(self) -> list[str]:
        """All that is asked for, each once."""
        return sorted({item.dotted for item in self.foreign})

    def check(self, answer: Answer) -> list[Finding]:
        """Findings on every import."""
        found = list(self.findings)
        told: set[str] = set()
        optional_missing: dict[str, str] = {}
        for item in sorted(
            self.foreign, key=lambda item: (item.optional, not item.sure, not item.is_entry)
        ):
            missing = answer.missing.get(item.dotted)
            if missing is None or missing in told:
                continue
            told.add(missing)
            if item.optional:
                optional_missing[missing] = item.where
                continue
            fields = {
                "module": missing,
                "package": _PACKAGES.get(missing, missing.partition(".")[0]),
                "python": self._job.python,
            }
            is_part = "." in missing
            code = "part_missing" if is_part else "missing"
            level: Level = "bad" if item.sure and not self._may_be_made(item) else "warn"
            facts = {"module": missing, "python": self._job.python}
            found.append(
                Finding("imports", level, code, facts, fields, item.where)
            )  # fmt: skip
        found += self._shadows(answer)
        if optional_missing:
            names = ", ".join(sorted(optional_missing))
            where = optional_missing[min(optional_missing)]
            fields = {"modules": names}
            found.append(
                Finding(
                    "imports",
                    "ok",
                    "optional",
                    {"modules": [*sorted(optional_missing)]},
                    fields,
                    where,
                )
            )
        return found

    def _may_be_made(self, item: Imported) -> bool:
        """Whether the module may come to be by what runs before the import."""
        if self._program.changes_path:
            return True
        conversion = self._job.conversion
        if conversion is None:
            return False
        top = item.dotted.partition(".")[0]
        return any(each.module == top and each.conditional for each in conversion.imports)

    def shadowing(self) -> dict[str, str]:
        """Modules in the script's own folder, by name: each hides an installed one of its name."""
        found: dict[str, str] = {}
        for path in (*_beside(self._job.folder),):
            name = os.path.splitext(os.path.basename(path))[0]
            if name.isidentifier() and not name.startswith("__"):
                found[name] = path
        return found

    def _shadows(self, answer: Answer) -> list[Finding]:
        found = []
        asked = {item.dotted.partition(".")[0] for item in self.foreign} | set(self.local)
        for name, path in sorted(self.shadowing().items()):
            is_standard = name in answer.standard
            elsewhere = answer.elsewhere.get(name) or ""
            is_same = elsewhere and os.path.realpath(elsewhere) in (
                os.path.realpath(path), os.path.realpath(os.path.join(path, "__init__.py")),
            )  # fmt: skip
            if is_same or (path == self._job.path and self._job.kind == "notebook"):
                continue
            fields = {"file": os.path.basename(path), "module": name}
            facts = {"file": path, "module": name}
            if is_standard:
                found.append(Finding("imports", "warn", "hides_standard", {**facts}, fields))
            elif elsewhere and "site-packages" in elsewhere and name in asked:
                found.append(Finding("imports", "warn", "hides_installed", {**facts}, fields))
        return found


def _beside(folder: str) -> Iterator[str]:
    try:
        with os.scandir(folder) as entries:
            for item in entries:
                is_package = os.path.isfile(os.path.join(item.path, "__init__.py"))
                if is_package or (item.name.endswith(".py") and item.is_file()):
                    yield item.path
    except OSError:
        return


def _run_as(job: Job) -> str:
    """The command that runs a script as a part of its package."""
    parts = [os.path.splitext(os.path.basename(job.path))[0]]
    folder = job.folder
    while os.path.isfile(os.path.join(folder, "__init__.py")):
        parts.insert(0, os.path.basename(folder))
        folder = os.path.dirname(folder)
    if len(parts) == 1:
        parts.insert(0, os.path.basename(job.folder))
    return "overnight run -- python -m " + ".".join(parts)


def _imports(module: Module) -> Iterator[tuple[ast.Import | ast.ImportFrom, bool, bool]]:
    """Every import, whether the script can do without, and whether it is at the top level.

    Only an ``if`` or a ``try`` around it says that it may be missing.
    """
    stack: list[tuple[ast.AST, bool, bool]] = [(module.tree, False, True)]
    while stack:
        node, optional, is_top = stack.pop()
        if isinstance(node, ast.Import | ast.ImportFrom):
            yield node, optional, is_top
        elif isinstance(node, ast.expr):
            continue
        elif isinstance(node, ast.If) and is_main_guard(node):
            reached = node.body if module.is_entry else node.orelse
            stack += [(part, optional, is_top) for part in reached]
        elif isinstance(node, ast.If):
            body = [] if _is_for_types(node) else node.body
            stack += [(part, True, is_top) for part in [*body, *node.orelse]]
        elif isinstance(node, ast.Try | ast.TryStar):
            unsure = [*node.handlers, *node.orelse, *(node.body if node.handlers else [])]
            stack += [(part, True, is_top) for part in unsure]
            stack += [(part, optional, is_top) for part in node.finalbody]
            stack += [] if node.handlers else [(part, optional, is_top) for part in node.body]
        else:
            inside = optional or isinstance(node, ast.Match) or _suppresses(node)
            is_top = is_top and not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
            stack += [(part, inside, is_top) for part in ast.iter_child_nodes(node)]


def _is_for_types(node: ast.If) -> bool:
    return any(
        getattr(part, "id", getattr(part, "attr", "")) == "TYPE_CHECKING"
        for part in ast.walk(node.test)
    )


def _suppresses(node: ast.AST) -> bool:
    """``with contextlib.suppress(ImportError):``."""
    return isinstance(node, ast.With) and any(
        isinstance(item.context_expr, ast.Call)
        and getattr(item.context_expr.func, "attr", getattr(item.context_expr.func, "id", ""))
        == "suppress"
        for item in node.items
    )


def _is_open(tree: ast.Module) -> bool:
    """Whether a module may have names that do not stand in it."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and any(alias.name == "*" for alias in node.names):
            return True
        if isinstance(node, ast.FunctionDef) and node.name == "__getattr__":
            return True
        if isinstance(node, ast.Name) and node.id == "__getattr__":  # made by an assignment
            return True
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") in (
            "globals", "exec", "setattr", "vars",
        ):  # fmt: skip
            return True
    return False
