"""A script's scopes: which names it binds where, which attributes it sets, who calls what."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from overnight.notebook.places import is_main_guard

Function = ast.FunctionDef | ast.AsyncFunctionDef
ScopeNode = ast.Module | ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Lambda


@dataclass(frozen=True, slots=True)
class Binding:
    """One place where a name gets its value.

    Attributes:
        value: The expression; None where the value cannot be told.
        line: Where.
        straight: Not under an ``if``, a loop, a ``try``.
    """

    kind: str
    value: Any
    line: int
    straight: bool


class Scope:
    """A module, a function or a class, with the names bound in it."""

    def __init__(self, node: ScopeNode, parent: Scope | None, module: Module) -> None:
        self.node = node
        self.parent = parent
        self.module = module
        self.names: dict[str, list[Binding]] = {}
        self.foreign: set[str] = set()
        if not isinstance(node, ast.Module | ast.ClassDef):
            self._parameters(node.args)
        body = node.body if isinstance(node.body, list) else []
        self._statements(body, straight=True)

    @property
    def key(self) -> int:
        """What tells scopes apart."""
        return id(self.node)

    def _bind(self, name: str, kind: str, value: Any, line: int, straight: bool) -> None:
        self.names.setdefault(name, []).append(Binding(kind, value, line, straight))

    def _parameters(self, arguments: ast.arguments) -> None:
        plain = [*arguments.posonlyargs, *arguments.args]
        for index, item in enumerate([*plain, *arguments.kwonlyargs]):
            self._bind(item.arg, "parameter", index, item.lineno, True)
        for extra in (arguments.vararg, arguments.kwarg):
            if extra is not None:
                self._bind(extra.arg, "opaque", None, extra.lineno, True)

    def _statements(self, statements: Sequence[ast.stmt], *, straight: bool) -> None:
        for statement in statements:
            self._statement(statement, straight)

    def _statement(self, node: ast.stmt, straight: bool) -> None:
        line = node.lineno
        for walrus in _walruses(node):
            if isinstance(walrus.target, ast.Name):
                self._bind(walrus.target.id, "value", walrus.value, line, False)
        match node:
            case ast.Assign():
                for target in node.targets:
                    self._target(target, node.value, line, straight)
            case ast.AnnAssign() if node.value is not None:
                self._target(node.target, node.value, line, straight)
            case ast.AugAssign():
                joined = ast.BinOp(_loaded(node.target), node.op, node.value)
                ast.copy_location(joined, node)
                if isinstance(node.target, ast.Name):
                    self._bind(node.target.id, "augmented", joined, line, straight)
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                self._bind(node.name, "function", node, line, straight)
            case ast.ClassDef():
                self._bind(node.name, "class", node, line, straight)
            case ast.Import():
                for alias in node.names:
                    dotted = alias.name if alias.asname else alias.name.partition(".")[0]
                    self._bind(alias.asname or dotted, "import", dotted, line, straight)
            case ast.ImportFrom():
                base = "." * node.level + (node.module or "")
                for alias in node.names:
                    dotted = base + ("" if base.endswith(".") else ".") + alias.name
                    self._bind(alias.asname or alias.name, "import", dotted, line, straight)
            case ast.For() | ast.AsyncFor():
                self._target(node.target, node.iter, line, False, kind="item")
                self._statements([*node.body, *node.orelse], straight=False)
            case ast.While():
                self._statements([*node.body, *node.orelse], straight=False)
            case ast.If():
                # What stands under the main guard is the script's own straight way.
                keeps = straight and is_main_guard(node) and self.module.is_entry
                self._statements(node.body, straight=keeps)
                self._statements(node.orelse, straight=False)
            case ast.With() | ast.AsyncWith():
                for item in node.items:
                    if item.optional_vars is not None:
                        self._target(item.optional_vars, item.context_expr, line, straight)
                self._statements(node.body, straight=straight)
            case ast.Try() | ast.TryStar():
                for handler in node.handlers:
                    self._statements(handler.body, straight=False)
                self._statements([*node.body, *node.orelse], straight=False)
                self._statements(node.finalbody, straight=straight)
            case ast.Match():
                for case in node.cases:
                    self._statements(case.body, straight=False)
            case ast.Global() | ast.Nonlocal():
                self.foreign.update(node.names)
            case _:
                pass

    def _target(
        self, target: ast.expr, value: ast.expr, line: int, straight: bool, kind: str = "value"
    ) -> None:
        if isinstance(target, ast.Name):
            self._bind(target.id, kind, value, line, straight)
        elif isinstance(target, ast.Tuple | ast.List):
            parts = (
                value.elts if isinstance(value, ast.Tuple | ast.List) and kind == "value" else []
            )
            fits = len(parts) == len(target.elts)
            for index, part in enumerate(target.elts):
                if fits:
                    self._target(part, parts[index], line, straight)
                elif isinstance(part, ast.Name):
                    self._bind(part.id, kind + "[]", (value, index), line, straight)
                elif isinstance(part, ast.Starred) and isinstance(part.value, ast.Name):
                    self._bind(part.value.id, "opaque", None, line, straight)
        elif isinstance(target, ast.Attribute):
            self.module.set_attribute(target, value, self)


def _loaded(node: ast.expr) -> ast.expr:
    if isinstance(node, ast.Name):
        return ast.copy_location(ast.Name(node.id, ast.Load()), node)
    return node


def _walruses(node: ast.stmt) -> Iterator[ast.NamedExpr]:
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return
    for part in ast.iter_child_nodes(node):
        if isinstance(part, ast.expr):
            yield from (each for each in ast.walk(part) if isinstance(each, ast.NamedExpr))


class Module:
    """One file, its scopes, and who calls what in it."""

    def __init__(self, tree: ast.Module, path: str, *, is_entry: bool) -> None:
        self.tree = tree
        self.path = path
        self.is_entry = is_entry
        self.scopes: dict[int, Scope] = {}
        #: Attribute → the expressions assigned to it on ``self`` or on a name, with their scope.
        self.attributes: dict[str, list[tuple[ast.Attribute, ast.expr, Scope]]] = {}
        #: Function or class name → its calls; None where it is also handed around.
        self.calls: dict[str, list[tuple[ast.Call, Scope]] | None] = {}
        self.top = self._scope(tree, None)
        self._note_calls(tree, self.top)

    def set_attribute(self, target: ast.Attribute, value: ast.expr, scope: Scope) -> None:
        """Take note of ``self.folder = …`` or ``CFG.folder = …``."""
        self.attributes.setdefault(target.attr, []).append((target, value, scope))

    def _scope(self, node: ScopeNode, parent: Scope | None) -> Scope:
        scope = self.scopes[id(node)] = Scope(node, parent, self)
        for child in _inner(node):
            self._scope(child, scope)
        return scope

    def scope_of(self, node: ScopeNode) -> Scope:
        """The scope a function, class or module opens."""
        return self.scopes[id(node)]

    def _note_calls(self, node: ast.AST, scope: Scope) -> None:
        called: set[int] = set()
        stack: list[tuple[ast.AST, Scope]] = [(node, scope)]
        while stack:
            part, here = stack.pop()
            inside = self.scopes.get(id(part), here)
            if isinstance(part, ast.Call) and isinstance(part.func, ast.Name):
                called.add(id(part.func))
                calls = self.calls.setdefault(part.func.id, [])
                if calls is not None:
                    calls.append((part, here))
            elif (
                isinstance(part, ast.Name)
                and isinstance(part.ctx, ast.Load)
                and id(part) not in called
                # A class is also asked for its attributes: `CFG.seed` hands nothing around.
                and any(item.kind == "function" for item in self.top.names.get(part.id, ()))
                and not any(item.kind == "class" for item in self.top.names[part.id])
            ):
                self.calls[part.id] = None
            if isinstance(part, ast.ClassDef):
                for base in part.bases:  # a base class is not handed around
                    called.add(id(base))
            # A call is met before its own name.
            stack.extend((child, inside) for child in reversed(list(ast.iter_child_nodes(part))))


def _inner(node: ast.AST) -> Iterator[ScopeNode]:
    """The functions, classes and lambdas directly inside."""
    stack = list(ast.iter_child_nodes(node))
    while stack:
        part = stack.pop()
        if isinstance(part, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Lambda):
            yield part
        else:
            stack.extend(ast.iter_child_nodes(part))


def reaching(found: list[Binding], line: int) -> list[Binding]:
    """The bindings whose value may still hold at a line of the same scope."""
    before = [item for item in found if item.line <= line]
    if not before:
        return found
    last = max((at for at, item in enumerate(before) if item.straight), default=0)
    # A loop may bring a later value back to an earlier line.
    return before[last:] + [item for item in found if item.line > line and not item.straight]
