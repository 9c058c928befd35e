"""The script and the modules beside it, and every call in them: surely made, perhaps, or never."""

from __future__ import annotations

import ast
import glob
import os
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from overnight.notebook.places import is_main_guard
from overnight.preflight.target.evaluator import Evaluator
from overnight.preflight.target.job import Job
from overnight.preflight.target.scope import Module, Scope

#: Of the modules beside a script more are never read; a folder of notebooks is no package.
_MAX_MODULES = 200
#: A source above this is data.
_MAX_BYTES = 2_000_000


_Code = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda


@dataclass(frozen=True, slots=True)
class Site:
    """A call or a subscript, and what is known of whether it is ever reached.

    Attributes:
        sure: It is certainly reached, unless what comes before it fails.
        in_try: A failure there may be expected.
        straight: At the top level, not in a function or a loop: lines run in their order.
    """

    node: ast.Call | ast.Subscript
    scope: Scope
    module: Module
    sure: bool
    in_try: bool
    straight: bool

    @property
    def line(self) -> int:
        """Its line in the module's file."""
        return self.node.lineno


def parse_source(source: bytes, path: str) -> ast.Module | None:
    """A source as a tree; None where our own Python cannot read it."""
    if len(source) > _MAX_BYTES:
        return None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return ast.parse(source, path)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


class Program:
    """A script, read once."""

    def __init__(self, job: Job, tree: ast.Module) -> None:
        self.job = job
        self.roots = [job.folder]
        self.modules: dict[str, Module | None] = {}
        self.entry = Module(tree, job.path, is_entry=True)
        self.modules[os.path.realpath(job.path)] = self.entry
        self.evaluator = Evaluator(
            path=job.path,
            args=job.args,
            env=job.env,
            cwd=job.cwd,
            has_file=job.kind == "script",
            find_module=self.find,
        )
        for part in job.env.get("PYTHONPATH", "").split(os.pathsep):
            if part:
                self._add_root(part)
        if job.is_module:
            self._add_root(job.cwd)
        self.sets_any = False
        self.evaluator.set_names |= set(self._set_variables(self.entry))
        self.evaluator.first_chdir = min(self._chdirs(), default=None)
        self._changed_path()
        for module in self._imported():
            self.evaluator.set_names |= set(self._set_variables(module))
        #: Statements that import, and are certainly reached with no failure expected there.
        self.sure_imports: set[int] = set()
        self.sites = tuple(_Walk(self).run())

    # -- modules beside the script --------------------------------------------------------------

    def _add_root(self, folder: str) -> None:
        folder = os.path.normpath(os.path.join(self.job.cwd, folder))
        if os.path.isdir(folder) and folder not in self.roots:
            self.roots.append(folder)

    def _changed_path(self) -> None:
        """Folders the script puts on ``sys.path`` itself."""
        self.changes_path = False
        for node in ast.walk(self.entry.tree):
            if not isinstance(node, ast.Call) or not node.args:
                continue
            name = self.evaluator.dotted(node.func, self.entry.top)
            if name in ("sys.path.append", "sys.path.insert", "site.addsitedir"):
                found = self.evaluator.value(node.args[-1], self.entry.top)
                self.changes_path |= not found.is_known
                for folder in found.texts:
                    self._add_root(folder)
            elif name == "sys.path.extend":
                whole = self.evaluator.value(node.args[0], self.entry.top).one
                self.changes_path |= not isinstance(whole, tuple)
                for folder in whole if isinstance(whole, tuple) else ():
                    if isinstance(folder, str):
                        self._add_root(folder)

    def _imported(self) -> Iterator[Module]:
        """The person's own modules that the script imports, and those that they import."""
        todo, seen = [self.entry], {id(self.entry)}
        while todo:
            asking = todo.pop()
            for node in ast.walk(asking.tree):
                for dotted in _imported_names(node):
                    found = self.find(dotted, asking)
                    if found is not None and id(found) not in seen:
                        seen.add(id(found))
                        todo.append(found)
                        yield found

    def _set_variables(self, module: Module) -> Iterator[str]:
        """Variables of the environment a module sets itself."""
        top = module.top
        for node in ast.walk(module.tree):
            targets: list[ast.expr] = []
            if isinstance(node, ast.Assign):
                targets = node.targets
            for target in targets:
                if (
                    isinstance(target, ast.Subscript)
                    and self.evaluator.dotted(target.value, top) == "os.environ"
                ):
                    yield str(self.evaluator.value(target.slice, top).one)
            if isinstance(node, ast.Call):
                name = self.evaluator.dotted(node.func, top)
                if name in ("os.environ.setdefault", "os.putenv") and node.args:
                    yield str(self.evaluator.value(node.args[0], top).one)
                elif name == "os.environ.update" or name.rpartition(".")[2] == "load_dotenv":
                    self.sets_any = True

    def _chdirs(self) -> Iterator[int]:
        """Lines on which the script changes its folder."""
        for node in ast.walk(self.entry.tree):
            if (
                isinstance(node, ast.Call)
                and self.evaluator.dotted(node.func, self.entry.top) in ("os.chdir", "_nb_cd")
                and self.job.is_own(node.lineno)
            ):
                yield node.lineno

    def locate(self, dotted: str, package: str = "") -> str:
        """The file of a module of the person's own, or the folder of one without; "" for none.

        Args:
            dotted: As imported; leading dots are relative to ``package``.
            package: Folder of the package of the module that imports.
        """
        level = len(dotted) - len(dotted.lstrip("."))
        parts = [part for part in dotted.lstrip(".").split(".") if part]
        if level:
            if not package:
                return ""
            folder = package
            for _ in range(level - 1):
                folder = os.path.dirname(folder)
            return _in_folder(folder, parts) if parts else _package(folder)
        if not parts:
            return ""
        return next((found for root in self.roots if (found := _in_folder(root, parts))), "")

    def find(self, dotted: str, asking: Module) -> Module | None:
        """The module of the person's own that ``dotted`` names; None for any other."""
        path = self.locate(dotted, package_of(asking, self.job))
        return self.module(path) if path.endswith(".py") else None

    def module(self, path: str) -> Module | None:
        """The module in a file; None where it cannot be read."""
        real = os.path.realpath(path)
        if real not in self.modules:
            if len(self.modules) >= _MAX_MODULES:
                return None
            self.modules[real] = None  # a module that imports itself
            try:
                tree = parse_source(Path(path).read_bytes(), path)
            except OSError:
                tree = None
            if tree is not None:
                self.modules[real] = Module(tree, path, is_entry=False)
        return self.modules[real]

    def where(self, site: Site) -> str:
        """The place of a site, for people."""
        return self.job.where(site.line, site.module.path)


def package_of(module: Module, job: Job) -> str:
    """The folder relative imports of a module start from; "" where they cannot work."""
    if module.is_entry and not job.is_module:
        return ""
    return os.path.dirname(module.path)


def _imported_names(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        base = "." * node.level + (node.module or "")
        yield base
        dot = "" if base.endswith(".") else "."
        yield from (base + dot + alias.name for alias in node.names)


def _in_folder(folder: str, parts: Sequence[str]) -> str:
    for part in parts[:-1]:
        folder = os.path.join(folder, part)
        if not os.path.isdir(folder):
            return ""
    last = os.path.join(folder, parts[-1])
    package = _package(last)
    if package.endswith(".py"):
        return package
    if os.path.isfile(last + ".py"):
        return last + ".py"
    compiled = glob.glob(glob.escape(last) + ".*so") + glob.glob(glob.escape(last) + ".*pyd")
    if compiled:
        return compiled[0]
    if package and _has_modules(last):
        return last
    return ""


def _package(folder: str) -> str:
    init = os.path.join(folder, "__init__.py")
    if os.path.isfile(init):
        return init
    return folder if os.path.isdir(folder) else ""


def _has_modules(folder: str) -> bool:
    """Whether a folder without ``__init__.py`` holds modules; one of images is no package."""
    try:
        with os.scandir(folder) as found:
            return any(
                item.name.endswith(".py") or os.path.isfile(os.path.join(item, "__init__.py"))
                for item in found
            )
    except OSError:
        return False


@dataclass(frozen=True, slots=True)
class _Way:
    """How code is reached."""

    sure: bool = True
    in_try: bool = False
    straight: bool = True


class _Walk:
    """Follows the straight way through the script, into the functions it calls."""

    def __init__(self, program: Program) -> None:
        self._program = program
        self._evaluator = program.evaluator
        self._seen: dict[int, tuple[bool, bool]] = {}
        self._sites: list[Site] = []
        self._todo: list[tuple[_Code, Scope, _Way]] = []

    def run(self) -> Iterator[Site]:
        """All sites; each where it is reached most surely."""
        entry = self._program.entry
        self._body(entry.tree.body, entry.top, _Way())
        self._drain()
        # What nobody calls by name (hooks, __getitem__, callbacks) may still be called.
        for node in ast.walk(entry.tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
                self._function(node, entry, _Way(sure=False, straight=False))
        self._drain()
        best: dict[int, Site] = {}
        for site in self._sites:
            known = best.get(id(site.node))
            if known is None or (site.sure, not site.in_try) > (known.sure, not known.in_try):
                best[id(site.node)] = site
        yield from sorted(best.values(), key=lambda site: (site.module is not entry, site.line))

    def _drain(self) -> None:
        while self._todo:
            node, scope, way = self._todo.pop(0)
            if isinstance(node, ast.Lambda):
                self._expression(node.body, scope, way)
            else:
                self._body(node.body, scope, way)

    def _function(self, node: _Code, module: Module, way: _Way) -> None:
        """Remember to follow a function; again where it is reached more surely."""
        rank = (way.sure, not way.in_try)
        if self._seen.get(id(node), (False, False)) >= rank and id(node) in self._seen:
            return
        self._seen[id(node)] = rank
        scope = module.scopes.get(id(node))
        if scope is not None:
            inside = _Way(way.sure, way.in_try, straight=False)
            self._todo.append((node, scope, inside))

    def _body(self, statements: Sequence[ast.stmt], scope: Scope, way: _Way) -> None:
        """Follow statements; after one that leaves, nothing is reached."""
        for at, statement in enumerate(statements):
            self._statement(statement, scope, way)
            if isinstance(statement, ast.Return | ast.Raise | ast.Break | ast.Continue):
                return
            if way.sure and self._may_leave(statement, scope):
                rest = _Way(False, way.in_try, way.straight)
                self._body(statements[at + 1 :], scope, rest)
                return

    def _may_leave(self, statement: ast.stmt, scope: Scope) -> bool:
        if isinstance(statement, ast.If) and not is_main_guard(statement):
            told = self._evaluator.truth(statement.test, scope)
            if told is not None:
                reached = statement.body if told else statement.orelse
                return any(_may_leave(part) or _leaves(part) for part in reached)
        return _may_leave(statement)

    def _statement(self, node: ast.stmt, scope: Scope, way: _Way) -> None:
        maybe = _Way(False, way.in_try, way.straight)
        match node:
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                for part in [*node.decorator_list, *node.args.defaults]:
                    self._expression(part, scope, way)
            case ast.ClassDef():
                for part in [*node.decorator_list, *node.bases]:
                    self._expression(part, scope, way)
                inner = scope.module.scopes[id(node)]
                self._body(node.body, inner, way)
            case ast.If():
                self._expression(node.test, scope, _Way(way.sure, True, way.straight))
                told = (
                    scope.module.is_entry
                    if is_main_guard(node)
                    else self._evaluator.truth(node.test, scope)
                )
                if told is not False:
                    self._body(node.body, scope, way if told else maybe)
                if told is not True:
                    self._body(node.orelse, scope, way if told is False else maybe)
            case ast.For() | ast.AsyncFor():
                self._expression(node.iter, scope, way)
                self._body(node.body, scope, _Way(way.sure, way.in_try, False))
                self._body(node.orelse, scope, maybe)
            case ast.While():
                self._expression(node.test, scope, way)
                told = self._evaluator.truth(node.test, scope)
                self._body(node.body, scope, _Way(way.sure and bool(told), way.in_try, False))
                self._body(node.orelse, scope, maybe)
            case ast.Try() | ast.TryStar():
                caught = bool(node.handlers)
                self._body(node.body, scope, _Way(way.sure, way.in_try or caught, way.straight))
                for handler in node.handlers:
                    self._body(handler.body, scope, maybe)
                self._body(node.orelse, scope, maybe)
                self._body(node.finalbody, scope, way)
            case ast.With() | ast.AsyncWith():
                for item in node.items:
                    self._expression(item.context_expr, scope, way)
                suppresses = any(
                    isinstance(item.context_expr, ast.Call)
                    and self._evaluator.dotted(item.context_expr.func, scope)
                    == "contextlib.suppress"
                    for item in node.items
                )
                self._body(node.body, scope, _Way(way.sure, way.in_try or suppresses, way.straight))
            case ast.Match():
                self._expression(node.subject, scope, way)
                for case in node.cases:
                    self._body(case.body, scope, maybe)
            case ast.Import() | ast.ImportFrom():
                if way.sure and not way.in_try:
                    self._program.sure_imports.add(id(node))
            case _:
                for child in ast.iter_child_nodes(node):
                    if isinstance(child, ast.expr):
                        self._expression(child, scope, way)

    def _expression(self, node: ast.expr, scope: Scope, way: _Way) -> None:
        maybe = _Way(False, way.in_try, way.straight)
        match node:
            case ast.Lambda():
                for default in node.args.defaults:
                    self._expression(default, scope, way)
                return
            case ast.IfExp():
                self._expression(node.test, scope, way)
                told = self._evaluator.truth(node.test, scope)
                if told is not False:
                    self._expression(node.body, scope, way if told else maybe)
                if told is not True:
                    self._expression(node.orelse, scope, way if told is False else maybe)
                return
            case ast.BoolOp():
                self._expression(node.values[0], scope, way)
                for value in node.values[1:]:
                    self._expression(value, scope, maybe)
                return
            case ast.Call():
                self._sites.append(
                    Site(node, scope, scope.module, way.sure, way.in_try, way.straight)
                )
                self._called(node, scope, way)
            case ast.Subscript():
                self._sites.append(
                    Site(node, scope, scope.module, way.sure, way.in_try, way.straight)
                )
            case _:
                pass
        for part in ast.iter_child_nodes(node):
            if isinstance(part, ast.expr):
                self._expression(part, scope, way)
            elif isinstance(part, ast.keyword):
                self._expression(part.value, scope, way)
            elif isinstance(part, ast.comprehension):
                self._expression(part.iter, scope, way)
                for test in part.ifs:
                    self._expression(test, scope, maybe)

    def _called(self, node: ast.Call, scope: Scope, way: _Way) -> None:
        code = self._evaluator.local(node.func, scope)
        if code is None:
            return
        target, home = code
        if isinstance(target, ast.FunctionDef | ast.AsyncFunctionDef):
            if not _is_generator(target):
                self._function(target, home.module, way)
        elif isinstance(target, ast.ClassDef):
            for part in target.body:
                if isinstance(part, ast.FunctionDef) and part.name in (
                    "__init__", "__post_init__",
                ):  # fmt: skip
                    self._function(part, home.module, way)


def _is_generator(node: ast.AST) -> bool:
    return any(isinstance(part, ast.Yield | ast.YieldFrom) for part in ast.walk(node))


def _may_leave(statement: ast.stmt) -> bool:
    """Whether a compound statement may end the function, the loop or the program."""
    if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return False
    if isinstance(statement, ast.Expr):
        return _exits(statement)
    if not isinstance(statement, ast.If | ast.With | ast.Try | ast.Match):
        return False
    return any(
        isinstance(part, ast.Return | ast.Break | ast.Continue) or _exits(part)
        for part in _without_functions(statement)
    )


def _leaves(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.Return | ast.Break | ast.Continue)


def _without_functions(node: ast.AST) -> Iterator[ast.AST]:
    stack = [node]
    while stack:
        part = stack.pop()
        yield part
        if not isinstance(part, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            stack.extend(ast.iter_child_nodes(part))


def _exits(node: ast.AST) -> bool:
    if isinstance(node, ast.Expr):
        node = node.value
    if not isinstance(node, ast.Call):
        return False
    function = node.func
    if isinstance(function, ast.Attribute):
        base = function.value
        return isinstance(base, ast.Name) and (base.id, function.attr) in (
            ("sys", "exit"), ("os", "_exit"),
        )  # fmt: skip
    return isinstance(function, ast.Name) and function.id in ("exit", "quit")
