"""Names a fresh run cannot know: the cells are followed once, top to bottom, without running them.

A notebook's kernel remembers deleted cells and does not mind in which order cells were run. Here
every statement that is surely run is followed in order, into the functions it calls, with the
names bound so far. A wrong block is worse than a warning, so only what surely fails blocks:
a name that is needed on the straight path and bound nowhere, or only later.

One file, since every statement's way is part of the one walk.
"""

from __future__ import annotations

import ast
import builtins
import difflib
from collections.abc import Iterator, Mapping, Sequence

from overnight.notebook.conversion import Finding, Level
from overnight.notebook.places import is_main_guard

_GIVEN = frozenset(dir(builtins)) | {
    "__name__", "__doc__", "__builtins__", "__spec__", "__loader__", "__package__", "__debug__",
    "__annotations__", "__class__", "__module__", "__qualname__", "display", "get_ipython", "os",
    "exit", "quit", "_", "_exit_code", "reveal_type",
}  # fmt: skip
#: After one of these any name may exist.
_DYNAMIC_CALLS = frozenset({"exec", "globals", "locals", "vars", "_nb_run"})
_Function = ast.FunctionDef | ast.AsyncFunctionDef


def check(
    cells: Sequence[tuple[int, ast.Module]], included: Mapping[str, Sequence[ast.Module]]
) -> list[Finding]:
    """Undefined names, each once, at its first place.

    Args:
        cells: Number and tree of every code cell, in order.
        included: Trees of the notebooks that ``%run`` brings in, by name.
    """
    flow = _Flow(included)
    for number, tree in cells:
        for found in _all_bindings(tree):
            flow.bound_anywhere.setdefault(found, number)
        flow.declare(tree)
    for trees in included.values():
        for tree in trees:
            for found in _all_bindings(tree):
                flow.bound_anywhere.setdefault(found, 0)
    for number, tree in cells:
        flow.cell = number
        flow.body(tree.body, sure=True)
    flow.rest()
    order: dict[Level, int] = {"blocks": 0, "warns": 1, "notes": 2}
    chosen: dict[str, Finding] = {}
    for finding in flow.findings:
        name = finding.fields["name"]
        if name not in chosen or order[finding.level] < order[chosen[name].level]:
            chosen[name] = finding
    return sorted(chosen.values(), key=lambda finding: (finding.cell, finding.line))


def all_names(tree: ast.AST) -> set[str]:
    """Every name that is bound anywhere in ``tree``, in whatever scope."""
    found: set[str] = set()
    for node in ast.walk(tree):
        found |= _binds(node)
        if isinstance(node, ast.arg):
            found.add(node.arg)
    return found


def _binds(node: ast.AST) -> set[str]:
    """Names one node binds by itself."""
    if isinstance(node, ast.Name):
        return {node.id} if isinstance(node.ctx, ast.Store) else set()
    if isinstance(node, ast.Import):
        return {alias.asname or alias.name.partition(".")[0] for alias in node.names}
    if isinstance(node, ast.ImportFrom):
        return {alias.asname or alias.name for alias in node.names if alias.name != "*"}
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return {node.name}
    if isinstance(node, ast.ExceptHandler | ast.MatchAs | ast.MatchStar):
        return {node.name} if node.name else set()
    if isinstance(node, ast.MatchMapping):
        return {node.rest} if node.rest else set()
    return set()


def _all_bindings(tree: ast.Module) -> set[str]:
    """Names a module's code can bind as globals: its own scope, and ``global`` in functions."""
    found: set[str] = set()
    stack: list[ast.AST] = list(tree.body)
    while stack:
        node = stack.pop()
        found |= _binds(node)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda | ast.ClassDef):
            for inner in ast.walk(node):
                if isinstance(inner, ast.Global):
                    found.update(inner.names)
        else:
            stack.extend(ast.iter_child_nodes(node))
    return found


def _local_names(function: _Function | ast.Lambda) -> set[str]:
    """Names that are a function's own: parameters and whatever it binds."""
    arguments = function.args
    found = {item.arg for item in [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]}
    found |= {item.arg for item in (arguments.vararg, arguments.kwarg) if item is not None}
    shared: set[str] = set()
    stack: list[ast.AST] = (
        list(function.body) if isinstance(function.body, list) else [function.body]
    )
    while stack:
        node = stack.pop()
        found |= _binds(node)
        if isinstance(node, ast.Global):
            shared.update(node.names)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Lambda):
            continue
        stack.extend(ast.iter_child_nodes(node))
    return found - shared


class _ClassScope(set[str]):
    """A class body's names: its methods do not see them."""


class _Flow:
    """The names known while the cells are followed."""

    def __init__(self, included: Mapping[str, Sequence[ast.Module]]) -> None:
        self.findings: list[Finding] = []
        self.bound_anywhere: dict[str, int] = {}
        self.cell = 0
        self._included = included
        self._bound: set[str] = set()
        self._is_open = False  # a star import or exec: any name may be there
        self._functions: dict[str, tuple[int, ast.AST]] = {}
        self._later: list[tuple[int, ast.AST, list[set[str]]]] = []
        self._followed: set[int] = set()
        self._scopes: list[set[str]] = []
        self._depth = 0

    def declare(self, tree: ast.Module) -> None:
        """Names that functions may bind at any time: they say ``global``."""
        for node in ast.walk(tree):
            if isinstance(node, ast.Global):
                self._bound.update(node.names)

    # -- statements ---------------------------------------------------------------------------

    def body(self, statements: Sequence[ast.stmt], *, sure: bool) -> None:
        """Follow statements in order."""
        for statement in statements:
            self._statement(statement, sure=sure)

    def _statement(self, node: ast.stmt, *, sure: bool) -> None:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            for value in [*node.decorator_list, *_defaults(node.args)]:
                self._expression(value, sure=sure)
            self._define(node)
        elif isinstance(node, ast.ClassDef):
            for value in [*node.decorator_list, *node.bases, *(k.value for k in node.keywords)]:
                self._expression(value, sure=sure)
            self._scopes.append(_ClassScope())
            self.body(node.body, sure=sure)
            self._scopes.pop()
            self._define(node)
        elif isinstance(node, ast.Import | ast.ImportFrom):
            self._bind(_binds(node))
            if any(alias.name == "*" for alias in node.names):
                self._is_open = True
        elif isinstance(node, ast.If):
            self._expression(node.test, sure=sure)
            is_main = is_main_guard(node)
            self.body(node.body, sure=sure and is_main)
            self.body(node.orelse, sure=False)
        elif isinstance(node, ast.For | ast.AsyncFor):
            self._expression(node.iter, sure=sure)
            self._target(node.target, sure=sure)
            self.body(node.body, sure=sure and not _leaves_early(node.body))
            self.body(node.orelse, sure=False)
        elif isinstance(node, ast.While):
            self._expression(node.test, sure=sure)
            self.body(node.body, sure=sure and not _leaves_early(node.body))
            self.body(node.orelse, sure=False)
        elif isinstance(node, ast.With | ast.AsyncWith):
            for item in node.items:
                self._expression(item.context_expr, sure=sure)
                if item.optional_vars is not None:
                    self._target(item.optional_vars, sure=sure)
            self.body(node.body, sure=sure)
        elif isinstance(node, ast.Try | ast.TryStar):
            self.body(node.body, sure=sure and not node.handlers)
            for handler in node.handlers:
                if handler.type is not None:
                    self._expression(handler.type, sure=False)
                self._bind(_binds(handler))
                self.body(handler.body, sure=False)
            self.body(node.orelse, sure=False)
            self.body(node.finalbody, sure=sure)
        elif isinstance(node, ast.Match):
            self._expression(node.subject, sure=sure)
            for case in node.cases:
                for part in ast.walk(case.pattern):
                    self._bind(_binds(part))
                if case.guard is not None:
                    self._expression(case.guard, sure=False)
                self.body(case.body, sure=False)
        elif isinstance(node, ast.Assign | ast.AnnAssign | ast.AugAssign):
            if isinstance(node, ast.AugAssign) and isinstance(node.target, ast.Name):
                self._use(node.target, sure=sure)
            if node.value is not None:
                self._expression(node.value, sure=sure)
            for target in node.targets if isinstance(node, ast.Assign) else [node.target]:
                if not (isinstance(node, ast.AnnAssign) and node.value is None):
                    self._target(target, sure=sure)
        elif not isinstance(node, ast.Delete):
            for part in ast.iter_child_nodes(node):
                if isinstance(part, ast.expr):
                    self._expression(part, sure=sure)

    def _define(self, node: _Function | ast.ClassDef) -> None:
        self._bind({node.name})
        if len(self._scopes) == 0:
            self._functions[node.name] = (self.cell, node)
        if not isinstance(node, ast.ClassDef):
            self._later.append((self.cell, node, self._closure()))

    def _closure(self) -> list[set[str]]:
        """The scopes a function made here can see."""
        return [scope for scope in self._scopes if not isinstance(scope, _ClassScope)]

    def _target(self, node: ast.expr, *, sure: bool) -> None:
        for part in ast.walk(node):
            if isinstance(part, ast.Name) and isinstance(part.ctx, ast.Load):
                self._use(part, sure=sure)
            elif isinstance(part, ast.Call):
                self._call(part, sure=sure)
        for part in ast.walk(node):
            self._bind(_binds(part))

    def _bind(self, names: set[str]) -> None:
        if self._scopes:
            self._scopes[-1] |= names
        else:
            self._bound |= names

    # -- expressions --------------------------------------------------------------------------

    def _expression(self, node: ast.AST, *, sure: bool) -> None:
        if isinstance(node, ast.Name):
            if isinstance(node.ctx, ast.Load):
                self._use(node, sure=sure)
        elif isinstance(node, ast.Lambda):
            for value in _defaults(node.args):
                self._expression(value, sure=sure)
            self._later.append((self.cell, node, self._closure()))
        elif isinstance(node, ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp):
            self._comprehension(node, sure=sure)
        elif isinstance(node, ast.IfExp):
            self._expression(node.test, sure=sure)
            self._expression(node.body, sure=False)
            self._expression(node.orelse, sure=False)
        elif isinstance(node, ast.BoolOp):
            for index, operand in enumerate(node.values):
                self._expression(operand, sure=sure and index == 0)
        elif isinstance(node, ast.NamedExpr):
            self._expression(node.value, sure=sure)
            self._bind({node.target.id})
        elif isinstance(node, ast.Call):
            for part in ast.iter_child_nodes(node):
                self._expression(part, sure=sure)
            self._call(node, sure=sure)
        else:
            for part in ast.iter_child_nodes(node):
                self._expression(part, sure=sure)

    def _comprehension(
        self, node: ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp, *, sure: bool
    ) -> None:
        inside = sure and not isinstance(node, ast.GeneratorExp)
        own: set[str] = set()
        for index, generator in enumerate(node.generators):
            self._scopes.append(own)
            if index == 0:
                self._scopes.pop()
            self._expression(generator.iter, sure=sure and index == 0)
            if index == 0:
                self._scopes.append(own)
            for part in ast.walk(generator.target):
                own |= _binds(part)
            for test in generator.ifs:
                self._expression(test, sure=inside)
            self._scopes.pop()
        self._scopes.append(own)
        # The element may never be made: the iterable may be empty, a condition false.
        is_filtered = any(generator.ifs for generator in node.generators)
        elements = [node.key, node.value] if isinstance(node, ast.DictComp) else [node.elt]
        for element in elements:
            self._expression(element, sure=inside and not is_filtered)
        self._scopes.pop()

    def _call(self, node: ast.Call, *, sure: bool) -> None:
        name = node.func.id if isinstance(node.func, ast.Name) else ""
        if name in _DYNAMIC_CALLS:
            self._is_open = True
        elif name == "_nb_include":
            for argument in node.args:
                if isinstance(argument, ast.Constant):
                    for tree in self._included.get(str(argument.value), ()):
                        self.body(tree.body, sure=False)
        elif sure and name in self._functions and not any(name in scope for scope in self._scopes):
            self._enter(name)

    def _enter(self, name: str) -> None:
        """Follow a function of the notebook that is surely called, with what is bound by now."""
        cell, node = self._functions[name]
        if isinstance(node, ast.ClassDef):
            node = next(
                (part for part in node.body
                 if isinstance(part, ast.FunctionDef) and part.name == "__init__"), node,
            )  # fmt: skip
        if not isinstance(node, ast.FunctionDef) or id(node) in self._followed or self._depth > 30:
            return
        if _is_generator(node) or node.decorator_list:
            return
        self._followed.add(id(node))
        self._depth += 1
        before = self.cell, self._scopes
        self.cell, self._scopes = cell, [_local_names(node)]
        self._straight(node.body)
        self.cell, self._scopes = before
        self._depth -= 1

    def _straight(self, statements: Sequence[ast.stmt]) -> None:
        """A function's body, as far as it is surely reached: up to a conditional return."""
        sure = True
        for statement in statements:
            self._statement(statement, sure=sure)
            if _leaves_early([statement]):
                sure = False

    def rest(self) -> None:
        """Function bodies that may be called at any time: every global of the notebook counts."""
        self._bound |= set(self.bound_anywhere)
        while self._later:
            self.cell, node, scopes = self._later.pop(0)
            assert isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
            self._scopes = [*scopes, _local_names(node)]
            if isinstance(node, ast.Lambda):
                self._expression(node.body, sure=False)
            else:
                self.body(node.body, sure=False)
        self._scopes = []

    # -- a name is needed ---------------------------------------------------------------------

    def _use(self, node: ast.Name, *, sure: bool) -> None:
        name = node.id
        if (
            name in self._bound
            or name in _GIVEN
            or self._is_open
            or name.startswith(("_nb_", "_Nb"))
            or any(name in scope for scope in self._scopes)
        ):
            return
        later = self.bound_anywhere.get(name)
        fields = {"name": name}
        if later is not None:
            if not sure:
                return
            fields["later"] = str(later)
            key = "notebook.name_later" if later != self.cell else "notebook.name_later_line"
        elif name in ("In", "Out", "__", "___") or (name[:2] == "_i" and name[2:].isdigit()):
            key = "notebook.name_history"
        else:
            key = "notebook.name_undefined"
            known = difflib.get_close_matches(name, sorted(self.bound_anywhere), 1, 0.84)
            fields["close"] = known[0] if known else ""
            if not known:
                del fields["close"]
            else:
                key = "notebook.name_close"
        level: Level = "blocks" if sure else "warns"
        self.findings.append(Finding(level, self.cell, node.lineno, key, fields))


def _defaults(arguments: ast.arguments) -> Iterator[ast.expr]:
    yield from arguments.defaults
    yield from (value for value in arguments.kw_defaults if value is not None)


def _is_generator(node: ast.FunctionDef) -> bool:
    return any(isinstance(part, ast.Yield | ast.YieldFrom) for part in ast.walk(node))


def _leaves_early(statements: Sequence[ast.stmt]) -> bool:
    """Whether a body may be left before its end: what follows is not surely run."""
    return any(
        isinstance(part, ast.Return | ast.Break | ast.Continue | ast.Raise)
        for statement in statements
        for part in ast.walk(statement)
    )
