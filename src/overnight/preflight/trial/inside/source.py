"""Loops of the job's own code: found in its syntax tree, where lines keep their numbers.

Only loops over numbers (``range``, a bar over one), over torch's DataLoader and, where they train,
over other sequences of known length. A loop is an epoch's by the name it counts with or counts to,
or because a loop that trains stands in it; it trains if ``.backward()`` is called in it. Nothing
else is touched: a loop that prepares data has to be run whole, and so has one inside a ``while``,
which alone knows how often it comes again.
"""

from __future__ import annotations

import ast
import builtins
import importlib.machinery
import os
import re
import sys
from collections.abc import Iterator
from typing import Any

from overnight.preflight.trial.inside.passes import Pass, turns

NAME = "__overnight_loop__"
_EPOCH = re.compile(r"(?i)epoch|에폭|에포크|^ep$")
_NUMBERS = frozenset(["range", "trange", "tnrange", "arange"])
_NO_LOADERS = _NUMBERS | {"zip", "sorted", "reversed", "map", "filter", "list"}
_TRAINING_CALLS = frozenset(["backward", "training_step", "train_on_batch", "train_step"])
_NOT_OURS = (os.sep + "site-packages" + os.sep, os.sep + "dist-packages" + os.sep)


def compiled(source: bytes, path: str, mode: str = "exec") -> Any:
    """The code of a file with its loops watched; as it is where that cannot be."""
    tree: Any = compile(source, path, mode, ast.PyCF_ONLY_AST, dont_inherit=True)
    finder = _Loops(os.path.basename(path))
    finder.generic_visit(tree)
    setattr(builtins, NAME, loop)
    return compile(ast.fix_missing_locations(tree), path, mode, dont_inherit=True)


def watch_modules(folders: list[str]) -> None:
    """Does the same for modules below ``folders``, without touching their kept bytecode."""
    places = tuple(os.path.join(os.path.realpath(each), "") for each in folders)
    loader = importlib.machinery.SourceFileLoader
    original = loader.get_code

    def get_code(self: Any, fullname: str) -> Any:
        path = os.path.realpath(self.get_filename(fullname))
        if not path.startswith(places) or any(part in path for part in _NOT_OURS):
            return original(self, fullname)
        if path.startswith((os.path.realpath(sys.prefix) + os.sep, os.path.dirname(os.__file__))):
            return original(self, fullname)
        return compiled(self.get_data(path), self.get_filename(fullname))

    loader.get_code = get_code  # type: ignore[method-assign]


class _Loops(ast.NodeTransformer):
    """Wraps what the loops run over: ``for x in Y`` becomes ``for x in NAME(Y, site, kind)``."""

    def __init__(self, file: str) -> None:
        self._file = file
        self._in_epoch = False
        self._in_while = False
        #: Where no loop can be seen, the number of epochs is lowered: its name and value.
        self._name, _, self._value = os.environ.get("OVERNIGHT_TRIAL_SET", "").partition("=")

    def visit_For(self, node: ast.For) -> ast.For:
        kind = _kind(node)
        if self._in_while:
            kind = None
        elif kind is None:
            kind = "watch" if self._in_epoch else None if _is_no_loader(node.iter) else "loader"
        outer, self._in_epoch = self._in_epoch, kind == "epoch"
        self.generic_visit(node)
        self._in_epoch = outer
        if kind is not None:
            place = f"{self._file}:{node.lineno}"
            node.iter = _wrapped(node.iter, place, kind)
        return node

    def visit_While(self, node: ast.While) -> ast.While:
        outer, self._in_while = self._in_while, True
        self.generic_visit(node)
        self._in_while = outer
        return node

    def visit_Assign(self, node: ast.Assign) -> ast.Assign:
        if any(_last(target) == self._name for target in node.targets):
            self._lower(node)
        return self.generic_visit(node)  # type: ignore[return-value]

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AnnAssign:
        if _last(node.target) == self._name:
            self._lower(node)
        return self.generic_visit(node)  # type: ignore[return-value]

    def visit_keyword(self, node: ast.keyword) -> ast.keyword:
        if node.arg == self._name:
            self._lower(node)
        return self.generic_visit(node)  # type: ignore[return-value]

    def _lower(self, node: Any) -> None:
        value = getattr(node.value, "value", None)
        if self._name and type(value) is int and value > 0:
            node.value = ast.copy_location(ast.Constant(value=int(self._value)), node.value)

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.FunctionDef:
        outer = self._in_epoch, self._in_while
        self._in_epoch = self._in_while = False
        self.generic_visit(node)
        self._in_epoch, self._in_while = outer
        return node


def _is_no_loader(over: ast.expr) -> bool:
    """Whether that can be seen, so that small loops cost nothing."""
    if isinstance(over, ast.Call) and isinstance(over.func, ast.Name):
        return over.func.id in _NO_LOADERS
    return isinstance(over, (ast.Constant, ast.Tuple, ast.List, ast.Set, ast.Dict, ast.ListComp))


def _last(node: ast.expr) -> str:
    return node.id if isinstance(node, ast.Name) else getattr(node, "attr", "")


def _wrapped(over: ast.expr, place: str, kind: str) -> ast.expr:
    called = over.func if isinstance(over, ast.Call) else None
    if isinstance(called, ast.Name) and called.id == "enumerate" and isinstance(over, ast.Call):
        if over.args and not isinstance(over.args[0], ast.Starred):
            over.args[0] = _wrapped(over.args[0], place, kind)
        return over
    call = ast.Call(
        func=ast.Name(id=NAME, ctx=ast.Load()),
        args=[over, ast.Constant(value=place), ast.Constant(value=kind)],
        keywords=[],
    )
    return ast.copy_location(call, over)


def _kind(node: ast.For) -> str | None:
    inner = [_kind(each) for each in _loops_in(node)]
    if "epoch" in inner:
        # A fold's loop is run whole: what comes after it wants a model of every fold.
        return None
    if "train" in inner or _is_epochs(node):
        return "epoch"
    return "train" if _trains(node) else None


def _loops_in(node: ast.For) -> Iterator[ast.For]:
    """All loops inside a loop, not those of functions defined in it."""
    todo: list[ast.AST] = [*node.body]
    while todo:
        each = todo.pop()
        if isinstance(each, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda)):
            continue
        if isinstance(each, ast.For):
            yield each
        todo.extend(ast.iter_child_nodes(each))


def _is_epochs(node: ast.For) -> bool:
    """By the name it counts with, or by the number it counts to."""
    counted: list[ast.AST] = [node.target]
    over = node.iter
    while isinstance(over, ast.Call) and over.args and _last(over.func) not in _NUMBERS:
        over = over.args[0]  # a bar, enumerate: what stands in them; not their captions
    if isinstance(over, ast.Call) and _last(over.func) in _NUMBERS:
        counted += over.args
    return any(
        _EPOCH.search(part.id if isinstance(part, ast.Name) else part.attr)
        for side in counted
        for part in ast.walk(side)
        if isinstance(part, (ast.Name, ast.Attribute))
    )


def _trains(node: ast.For) -> bool:
    return any(
        isinstance(part, ast.Call)
        and isinstance(part.func, ast.Attribute)
        and part.func.attr in _TRAINING_CALLS
        for statement in node.body
        for part in ast.walk(statement)
    )


def loop(items: Any, site: str, kind: str) -> Any:
    """What a watched loop runs over in the trial."""
    plain = _inside_bar(items)
    is_numbers = isinstance(plain, range) or type(plain).__name__ == "ndarray"
    is_loader = _is_loader(plain)
    if is_loader:
        kind = "train" if kind in ("train", "epoch") else "loader"
    elif kind == "loader" or not (is_numbers or kind == "train"):
        return items
    try:
        total = len(plain)
    except (TypeError, NotImplementedError):  # an endless stream
        return items
    if total < 2:
        return items
    if kind in ("train", "loader") and not _may_train():
        kind = "eval" if is_loader else "watch"
    last = [plain[-1]] if is_numbers and kind in ("epoch", "train") else None
    return turns(items, Pass(site, kind, total), last)


def _inside_bar(items: Any) -> Any:
    """What a bar of tqdm runs over."""
    while type(items).__module__.startswith("tqdm") and hasattr(items, "iterable"):
        items = items.iterable
    return items


def _is_loader(items: Any) -> bool:
    data: Any = sys.modules.get("torch.utils.data")
    return data is not None and isinstance(items, data.DataLoader)


def _may_train() -> bool:
    torch: Any = sys.modules.get("torch")
    return torch is None or bool(torch.is_grad_enabled())


def loops_of(tree: ast.Module) -> list[str]:
    """The kinds of loops of a script that a trial would shorten."""
    kinds = []
    todo: list[tuple[ast.AST, bool]] = [(tree, False)]
    while todo:
        node, in_while = todo.pop()
        if isinstance(node, ast.For) and not in_while:
            kinds.append(_kind(node))
        in_while = isinstance(node, ast.While) or (
            in_while and not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
        )
        todo.extend((each, in_while) for each in ast.iter_child_nodes(node))
    return [kind for kind in kinds if kind is not None]
