"""Works out what expressions of a script are worth: paths, options, numbers, flags.

It runs nothing of the script: it follows assignments, parameters, class attributes, ``os.path`` and
``pathlib``, f-strings, ``argparse`` and modules that lie beside the script.

One file, since every kind of expression is one arm of the one recursion.
"""

from __future__ import annotations

import ast
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from overnight.preflight.target.scope import Binding, Function, Module, Scope, reaching
from overnight.preflight.target.values import (
    CONSTANTS,
    FUNCTIONS,
    HOLE,
    HUGE,
    MAX_CHARS,
    MAX_VALUES,
    NOTHING,
    PATH_CLASSES,
    UNKNOWN,
    Instance,
    Known,
    Options,
    PathText,
    Values,
    either,
    formatted,
    has,
    is_plain_value,
    operate,
    path_member,
    shown,
    truth_of,
    unique,
)

_MAX_DEPTH = 40
#: Of one expression; a chain of sums of sums would never end.
_MAX_STEPS = 3000


class Evaluator:
    """Evaluates expressions of a script and of the modules beside it."""

    def __init__(
        self,
        *,
        path: str,
        args: Sequence[str],
        env: Mapping[str, str],
        cwd: str,
        has_file: bool,
        find_module: Callable[[str, Module], Module | str | None],
    ) -> None:
        """Make one.

        Args:
            path: The script.
            args: What it is given.
            env: Its environment.
            cwd: The folder it runs in.
            has_file: Whether ``__file__`` says where it lies.
            find_module: Dotted name → a module of the person's own, the name of one in it, or None.
        """
        self._path = path
        self._args = list(args)
        self._env = env
        self._cwd = cwd
        self._has_file = has_file
        self._find_module = find_module
        self._busy: set[tuple[int, str]] = set()
        self._depth = self._steps = 0
        self._options: dict[int, Options | None] = {}
        self.set_names: set[str] = set()
        #: Line from which on the script may run in another folder.
        self.first_chdir: int | None = None
        self._functions = FUNCTIONS | {
            "os.path.expanduser": self._expanduser, "os.path.expandvars": self._expandvars,
            "os.path.abspath": self._absolute, "os.path.realpath": self._absolute,
            "os.path.exists": self._exists, "os.path.isfile": self._exists,
            "os.path.isdir": self._exists,
        }  # fmt: skip

    # -- names ----------------------------------------------------------------------------------

    def dotted(self, node: ast.expr, scope: Scope) -> str:
        """``np.load`` as ``numpy.load``; "" where it is no imported or built-in thing."""
        parts: list[str] = []
        while isinstance(node, ast.Attribute):
            parts.append(node.attr)
            node = node.value
        if not isinstance(node, ast.Name):
            return ""
        _, found = self._lookup(node.id, scope)
        if not found or node.id.startswith("_nb_"):  # a converted notebook's own commands
            return ".".join([node.id, *reversed(parts)])
        imports = {item.value for item in found if item.kind == "import"}
        # A value beside the import is the usual `except ImportError: thing = None`.
        kinds = {item.kind for item in found}
        if not imports or not kinds <= {"import", "value"}:
            return ""
        return ".".join([sorted(imports)[0], *reversed(parts)])

    def _lookup(self, name: str, scope: Scope) -> tuple[Scope | None, list[Binding]]:
        here: Scope | None = scope
        is_first = True
        while here is not None:
            is_class = isinstance(here.node, ast.ClassDef)
            if name in here.names and name not in here.foreign and (is_first or not is_class):
                return here, here.names[name]
            here, is_first = here.parent, False
        return None, []

    def local(self, node: ast.expr, scope: Scope) -> tuple[ast.AST, Scope] | None:
        """The function or class of the script that a name stands for."""
        if isinstance(node, ast.Name):
            where, found = self._lookup(node.id, scope)
            if where is not None and found and found[-1].kind in ("function", "class"):
                return found[-1].value, where
            if where is not None and len(found) == 1 and found[0].kind == "import":
                return self._imported_code(found[0].value, where.module)
        elif isinstance(node, ast.Attribute):
            dotted = self.dotted(node, scope)
            if dotted:
                found_code = self._imported_code(dotted, scope.module)
                if found_code is not None:
                    return found_code
            for base in self.value(node.value, scope).items:
                known = base.of if isinstance(base, Instance) else base
                if isinstance(known, Known):
                    method = _method(known, node.attr)
                    if method is not None:
                        return method, known.scope.module.scope_of(known.node)
        return None

    def _imported_code(self, dotted: str, module: Module) -> tuple[ast.AST, Scope] | None:
        base, _, name = dotted.rpartition(".")
        found = self._find_module(base, module) if base.strip(".") or base else None
        if isinstance(found, Module):
            bindings = found.top.names.get(name, [])
            if bindings and bindings[-1].kind in ("function", "class"):
                return bindings[-1].value, found.top
        return None

    # -- values ---------------------------------------------------------------------------------

    def value(self, node: ast.expr | None, scope: Scope) -> Values:
        """What an expression may be worth."""
        self._steps = self._steps + 1 if self._depth else 0
        if node is None or self._depth > _MAX_DEPTH or self._steps > _MAX_STEPS:
            return NOTHING
        self._depth += 1
        try:
            found = self._value(node, scope)
        finally:
            self._depth -= 1
        if len(found.items) > MAX_VALUES:
            return NOTHING
        return found

    def truth(self, node: ast.expr, scope: Scope) -> bool | None:
        """Whether a condition holds; None where that cannot be known."""
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
            inner = self.truth(node.operand, scope)
            return None if inner is None else not inner
        if isinstance(node, ast.BoolOp):
            parts = [self.truth(part, scope) for part in node.values]
            decides = isinstance(node.op, ast.Or)
            if decides in parts:
                return decides
            return None if None in parts else not decides
        found = self.value(node, scope)
        told = {truth_of(item) for item in found.items}
        return told.pop() if len(told) == 1 else None

    def _value(self, node: ast.expr, scope: Scope) -> Values:
        match node:
            case ast.Constant():
                return Values((node.value,))
            case ast.Name():
                return self._name(node, scope)
            case ast.Attribute():
                return self._attribute(node, scope)
            case ast.JoinedStr():
                return self._joined([self._piece(part, scope) for part in node.values])
            case ast.BinOp():
                return self._binary(node, scope)
            case ast.BoolOp():
                return self._boolean(node, scope)
            case ast.UnaryOp():
                return self._unary(node, scope)
            case ast.Compare() if len(node.ops) == 1:
                return self._compare(node, scope)
            case ast.IfExp():
                told = self.truth(node.test, scope)
                if told is not None:
                    return self.value(node.body if told else node.orelse, scope)
                return either(self.value(node.body, scope), self.value(node.orelse, scope))
            case ast.Call():
                return self._call(node, scope)
            case ast.Subscript():
                return self._subscript(node, scope)
            case ast.List() | ast.Tuple():
                if len(node.elts) > 64 or any(isinstance(e, ast.Starred) for e in node.elts):
                    return NOTHING
                return Values((tuple(self.value(part, scope).one for part in node.elts),))
            case ast.Dict():
                return self._dict(node, scope)
            case ast.NamedExpr() | ast.Await():
                return self.value(node.value, scope)
            case _:
                return NOTHING

    def _name(self, node: ast.Name, scope: Scope) -> Values:
        where, found = self._lookup(node.id, scope)
        if where is None:
            if node.id == "__file__" and self._has_file:
                return Values((scope.module.path,))
            if node.id == "__name__":
                return Values(("__main__" if scope.module.is_entry else "",))
            return NOTHING
        mark = (where.key, node.id)
        if mark in self._busy:
            return NOTHING
        self._busy.add(mark)
        try:
            if where is scope:
                found = reaching(found, node.lineno)
            results = [self._binding(item, node.id, where) for item in found]
        finally:
            self._busy.discard(mark)
        return either(*results) if results else NOTHING

    def _binding(self, item: Binding, name: str, scope: Scope) -> Values:
        match item.kind:
            case "value":
                return self.value(item.value, scope)
            case "augmented":
                # The name on its right is the one before it.
                earlier = [b for b in scope.names[name] if b.line < item.line and b.straight]
                if not earlier or not item.straight:
                    return NOTHING
                left = self._binding(earlier[-1], name, scope)
                return self._binary(item.value, scope, left=left)
            case "class":
                return Values((Known(item.value, scope),))
            case "parameter":
                return self._parameter(name, item.value, scope)
            case "item":
                return self._item(self.value(item.value, scope))
            case "value[]":
                value, index = item.value
                whole = self.value(value, scope).one
                return Values((whole[index],)) if has(whole, index) else NOTHING
            case "item[]":
                return NOTHING
            case "import":
                return self._imported(item.value, scope.module)
            case _:
                return NOTHING

    @staticmethod
    def _item(found: Values) -> Values:
        whole = found.one
        if isinstance(whole, tuple) and 0 < len(whole) <= MAX_VALUES:
            return Values(whole, each=True)
        return NOTHING

    def _imported(self, dotted: str, module: Module) -> Values:
        base, _, name = dotted.rpartition(".")
        found = self._find_module(base, module)
        if isinstance(found, Module):
            bindings = found.top.names.get(name, [])
            mark = (found.top.key, name)
            if bindings and mark not in self._busy:
                self._busy.add(mark)
                try:
                    return either(*[self._binding(b, name, found.top) for b in bindings])
                finally:
                    self._busy.discard(mark)
        return NOTHING

    def _parameter(self, name: str, index: int, scope: Scope) -> Values:
        function = scope.node
        if isinstance(function, ast.Lambda | ast.Module | ast.ClassDef):
            return NOTHING
        owner = scope.parent.node if scope.parent is not None else None
        is_method = isinstance(owner, ast.ClassDef)
        if not _is_plain(function):
            return NOTHING
        if is_method:
            if index == 0 and not _is_static(function):
                assert isinstance(owner, ast.ClassDef)
                assert scope.parent is not None
                assert scope.parent.parent is not None
                return Values((Instance(Known(owner, scope.parent.parent)),))
            if function.name != "__init__":
                return NOTHING
        called = owner.name if is_method and isinstance(owner, ast.ClassDef) else function.name
        calls = scope.module.calls.get(called)
        if not calls:
            return NOTHING
        at = index - 1 if is_method else index
        plain = len(function.args.posonlyargs) + len(function.args.args) - int(is_method)
        results = [
            self._argument(call, at if at < plain else -1, name, here, function, scope)
            for call, here in calls
        ]
        found = either(*results)
        return Values(
            found.items, each=len(results) > 1 and all(len(r.items) == 1 for r in results)
        )

    def _argument(
        self,
        call: ast.Call,
        at: int,
        name: str,
        here: Scope,
        function: Function,
        scope: Scope,
    ) -> Values:
        for keyword in call.keywords:
            if keyword.arg == name:
                return self.value(keyword.value, here)
        if 0 <= at < len(call.args):
            if any(isinstance(part, ast.Starred) for part in call.args[: at + 1]):
                return NOTHING
            return self.value(call.args[at], here)
        if any(keyword.arg is None for keyword in call.keywords):
            return NOTHING
        return self._default(name, function, scope)

    def _default(self, name: str, function: Function, scope: Scope) -> Values:
        arguments = function.args
        plain = [*arguments.posonlyargs, *arguments.args]
        outer = scope.parent or scope
        for item, value in zip(reversed(plain), reversed(arguments.defaults), strict=False):
            if item.arg == name:
                return self.value(value, outer)
        for item, each in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True):
            if item.arg == name:
                return self.value(each, outer)
        return NOTHING

    # -- attributes -----------------------------------------------------------------------------

    def _attribute(self, node: ast.Attribute, scope: Scope) -> Values:
        dotted = self.dotted(node, scope)
        if dotted in CONSTANTS:
            return Values((CONSTANTS[dotted],))
        if dotted == "sys.argv":
            return Values(((self._path, *self._args),))
        if dotted and "." in dotted:
            found = self._imported(dotted, scope.module)
            if found.is_known:
                return found
        results = [self._member(base, node.attr) for base in self.value(node.value, scope).items]
        return either(*results)

    def _member(self, base: Any, name: str) -> Values:
        if isinstance(base, PathText):
            return path_member(base, name)
        if isinstance(base, Options):
            if name in base.values:
                return Values((base.values[name],))
            return NOTHING
        known = base.of if isinstance(base, Instance) else base
        if not isinstance(known, Known):
            return NOTHING
        if isinstance(base, Instance) and name in base.given:
            return Values((base.given[name],))
        module = known.scope.module
        inner = module.scope_of(known.node)
        results: list[Values] = []
        mark = (inner.key, name)
        if mark in self._busy:
            return NOTHING
        self._busy.add(mark)
        try:
            results += [self._binding(item, name, inner) for item in inner.names.get(name, [])
                        if item.kind in ("value", "class")]  # fmt: skip
            for target, value, scope in module.attributes.get(name, []):
                if _concerns(target, known, scope):
                    results.append(self.value(value, scope))
        finally:
            self._busy.discard(mark)
        if not results:
            for base_node in known.node.bases:
                for item in self.value(base_node, known.scope).items:
                    if isinstance(item, Known) and item.node is not known.node:
                        return self._member(item, name)
            return NOTHING
        return either(*results)

    # -- operators ------------------------------------------------------------------------------

    def _piece(self, node: ast.expr, scope: Scope) -> Values:
        if isinstance(node, ast.FormattedValue):
            found = self.value(node.value, scope)
            if node.format_spec is not None or node.conversion not in (-1, 115):
                spec = node.format_spec
                text = self.value(spec, scope).one if spec is not None else ""
                if isinstance(text, str) and HOLE not in text and found.is_known:
                    return Values(tuple(formatted(item, text) for item in found.items))
                return Values((HOLE,))
            return Values(tuple(shown(item) for item in found.items), found.each)
        return self.value(node, scope)

    @staticmethod
    def _joined(pieces: list[Values]) -> Values:
        texts = [""]
        for piece in pieces:
            items = [item if isinstance(item, str) else HOLE for item in piece.items]
            texts = [text + item for text in texts for item in items]
            if len(texts) > MAX_VALUES or any(len(text) > MAX_CHARS for text in texts):
                return NOTHING
        each = any(piece.each for piece in pieces)
        return Values(tuple(dict.fromkeys(texts)), each)

    def _binary(self, node: ast.BinOp, scope: Scope, left: Values | None = None) -> Values:
        lefts = self.value(node.left, scope) if left is None else left
        rights = self.value(node.right, scope)
        found: list[Any] = []
        for one in lefts.items:
            for other in rights.items:
                found.append(operate(node.op, one, other))
        return Values(tuple(unique(found)), lefts.each or rights.each)

    def _boolean(self, node: ast.BoolOp, scope: Scope) -> Values:
        results: list[Values] = []
        for part in node.values:
            found = self.value(part, scope)
            told = {truth_of(item) for item in found.items}
            decides = isinstance(node.op, ast.Or)
            if told == {decides}:
                results.append(found)
                return either(*results)
            if told != {not decides}:
                kept = tuple(item for item in found.items if truth_of(item) is not (not decides))
                results.append(Values(kept, found.each))
            elif part is node.values[-1]:
                results.append(found)
        return either(*results) if results else NOTHING

    def _unary(self, node: ast.UnaryOp, scope: Scope) -> Values:
        if isinstance(node.op, ast.Not):
            told = self.truth(node.operand, scope)
            return NOTHING if told is None else Values((not told,))
        one = self.value(node.operand, scope).one
        if isinstance(node.op, ast.USub) and isinstance(one, int | float):
            return Values((-one,))
        return NOTHING

    def _compare(self, node: ast.Compare, scope: Scope) -> Values:
        # The modules of hosted notebooks are not here.
        right = node.comparators[0]
        if isinstance(right, ast.Attribute) and self.dotted(right, scope) == "sys.modules":
            name = self.value(node.left, scope).one
            if name == "google.colab":
                return Values((isinstance(node.ops[0], ast.NotIn),))
        if self.dotted(right, scope) == "os.environ" and isinstance(
            node.ops[0], ast.In | ast.NotIn
        ):
            name = self.value(node.left, scope).one
            if not isinstance(name, str) or name in self.set_names:
                return NOTHING
            return Values(((name in self._env) == isinstance(node.ops[0], ast.In),))
        left, other = self.value(node.left, scope).one, self.value(right, scope).one
        if not is_plain_value(left) or not is_plain_value(other):
            return NOTHING
        try:
            match node.ops[0]:
                case ast.Eq():
                    return Values((left == other,))
                case ast.NotEq():
                    return Values((left != other,))
                case ast.Is():
                    return Values((left is None and other is None,)) if None in (
                        left, other) else NOTHING  # fmt: skip
                case ast.IsNot():
                    return Values((not (left is None and other is None),)) if None in (
                        left, other) else NOTHING  # fmt: skip
                case ast.In():
                    return Values((left in other,))
                case ast.NotIn():
                    return Values((left not in other,))
                case ast.Gt():
                    return Values((left > other,))
                case ast.GtE():
                    return Values((left >= other,))
                case ast.Lt():
                    return Values((left < other,))
                case ast.LtE():
                    return Values((left <= other,))
                case _:
                    return NOTHING
        except TypeError:
            return NOTHING

    def _dict(self, node: ast.Dict, scope: Scope) -> Values:
        made: dict[Any, Any] = {}
        if len(node.keys) > 200:
            return NOTHING
        for key, value in zip(node.keys, node.values, strict=True):
            name = self.value(key, scope).one if key is not None else UNKNOWN
            if not isinstance(name, str | int):
                return NOTHING
            made[name] = self.value(value, scope).one
        return Values((made,))

    def _subscript(self, node: ast.Subscript, scope: Scope) -> Values:
        index = self.value(node.slice, scope).one
        if self.dotted(node.value, scope) == "os.environ":
            return self._variable(index, UNKNOWN)
        results = []
        for whole in self.value(node.value, scope).items:
            if isinstance(whole, dict) and isinstance(index, str | int):
                results.append(Values((whole.get(index, UNKNOWN),)))
            elif isinstance(whole, tuple | str) and has(whole, index) and HOLE not in whole:
                results.append(Values((whole[index],)))
            else:
                return NOTHING
        return either(*results)

    def _variable(self, name: Any, default: Any) -> Values:
        if not isinstance(name, str) or name in self.set_names:
            return NOTHING
        return Values((self._env.get(name, default),))

    # -- calls ----------------------------------------------------------------------------------

    def _call(self, node: ast.Call, scope: Scope) -> Values:
        dotted = self.dotted(node.func, scope)
        if dotted in ("os.environ.get", "os.getenv") and node.args:
            default = self.value(node.args[1], scope).one if len(node.args) > 1 else None
            return self._variable(self.value(node.args[0], scope).one, default)
        if dotted in PATH_CLASSES:
            return self._path_call([self.value(part, scope) for part in node.args])
        if dotted in ("pathlib.Path.cwd", "os.getcwd"):
            if self.first_chdir is not None and node.lineno >= self.first_chdir:
                return NOTHING
            return Values((PathText(self._cwd) if "Path" in dotted else self._cwd,))
        if dotted == "pathlib.Path.home":
            return Values((PathText(self._home()),))
        if dotted in self._functions:
            return self._function(self._functions[dotted], node, scope)
        if dotted == "len" and len(node.args) == 1:
            whole = self.value(node.args[0], scope).one
            return Values((len(whole),)) if isinstance(whole, tuple) else NOTHING
        if isinstance(node.func, ast.Attribute):
            if node.func.attr in ("parse_args", "parse_known_args"):
                from overnight.preflight.target.options import parse

                if id(node) not in self._options:
                    self._options[id(node)] = None  # while it is being followed
                    self._options[id(node)] = parse(self, node, scope, self._args)
                options = self._options[id(node)]
                if options is not None:
                    whole_is = node.func.attr == "parse_args"
                    return Values((options if whole_is else (options, UNKNOWN),))
            return self._method_call(node, node.func, scope)
        code = self.local(node.func, scope)
        if code is not None and isinstance(code[0], ast.ClassDef):
            given = {
                word.arg: self.value(word.value, scope).one for word in node.keywords if word.arg
            }
            has_init = _method(Known(code[0], code[1]), "__init__") is not None
            return Values((Instance(Known(code[0], code[1]), {} if has_init else given),))
        if code is not None and isinstance(code[0], ast.FunctionDef):
            return self._returned(code[0], code[1])
        return NOTHING

    def _returned(self, function: ast.FunctionDef, scope: Scope) -> Values:
        """What a function without parameters gives: ``def get_args(): …; return args``."""
        if any(isinstance(part, ast.Yield | ast.YieldFrom) for part in ast.walk(function)):
            return NOTHING
        inner = scope.module.scopes.get(id(function))
        returns = [part for part in _own_nodes(function) if isinstance(part, ast.Return)]
        mark = (id(function), "()")
        if inner is None or len(returns) != 1 or mark in self._busy:
            return NOTHING
        self._busy.add(mark)
        try:
            return self.value(returns[0].value, inner)
        finally:
            self._busy.discard(mark)

    def _function(self, function: Callable[..., Any], node: ast.Call, scope: Scope) -> Values:
        results: list[list[Any]] = [[]]
        each = False
        for part in node.args:
            if isinstance(part, ast.Starred):
                return NOTHING
            found = self.value(part, scope)
            each |= found.each
            results = [[*done, item] for done in results for item in found.items]
            if len(results) > MAX_VALUES:
                return NOTHING
        made = []
        for arguments in results:
            try:
                made.append(function(*arguments))
            except (TypeError, ValueError, OverflowError, OSError):
                made.append(UNKNOWN)
        return Values(tuple(unique(made)), each)

    def _path_call(self, parts: list[Values]) -> Values:
        texts = [""] if parts else ["."]
        for part in parts:
            items = [item if isinstance(item, str) else HOLE for item in part.items]
            if items == [HOLE] and len(parts) == 1:
                return NOTHING
            texts = [os.path.join(text, item) for text in texts for item in items]
        if len(texts) > MAX_VALUES:
            return NOTHING
        made = tuple(PathText(os.path.normpath(text)) for text in dict.fromkeys(texts))
        return Values(made, any(part.each for part in parts))

    def _method_call(self, node: ast.Call, function: ast.Attribute, scope: Scope) -> Values:
        bases = self.value(function.value, scope)
        arguments = [self.value(part, scope) for part in node.args]
        results = [self._method(base, function.attr, arguments) for base in bases.items]
        found = either(*results)
        if not found.is_known:
            code = self.local(function, scope)
            if code is not None and isinstance(code[0], ast.FunctionDef):
                return self._returned(code[0], code[1])
        return Values(found.items, found.each or bases.each)

    def _method(self, base: Any, name: str, arguments: list[Values]) -> Values:
        first = arguments[0].one if arguments else None
        if isinstance(base, PathText):
            match name:
                case "joinpath":
                    return self._path_call([Values((base,)), *arguments])
                case "resolve" | "absolute":
                    return Values((PathText(self._absolute(base)),))
                case "expanduser":
                    return Values((PathText(self._expanduser(base)),))
                case "as_posix" | "__str__":
                    return Values((str(base),))
                case "exists" | "is_file" | "is_dir":
                    return Values((self._exists(base),))
                case "with_suffix" if isinstance(first, str):
                    return Values((PathText(os.path.splitext(base)[0] + first),))
                case "with_name" if isinstance(first, str):
                    return Values((PathText(os.path.join(os.path.dirname(base), first)),))
                case _:
                    return NOTHING
        if isinstance(base, str):
            match name:
                case "format" | "join" | "replace" | "strip" | "rstrip" | "lower" | "upper":
                    return self._text_method(base, name, arguments)
                case "split" if not arguments and HOLE not in base:
                    return Values((tuple(base.split()),))
                case "startswith" | "endswith" if isinstance(first, str) and HOLE not in base:
                    told = base.startswith(first) if name[0] == "s" else base.endswith(first)
                    return Values((told,))
        if isinstance(base, dict) and name == "get" and isinstance(first, str | int):
            default = arguments[1].one if len(arguments) > 1 else None
            return Values((base.get(first, default),))
        return NOTHING

    @staticmethod
    def _text_method(base: str, name: str, arguments: list[Values]) -> Values:
        given = [part.one for part in arguments]
        if name == "format":
            is_known = all(isinstance(part, str | int | float) for part in given)
            if given and is_known and not HUGE.search(base):
                try:
                    return Values((base.format(*given),))
                except (KeyError, IndexError, ValueError, AttributeError, TypeError, OverflowError):
                    return NOTHING
            return NOTHING
        if name == "join":
            parts = given[0] if given else None
            if isinstance(parts, tuple) and all(isinstance(part, str) for part in parts):
                return _short(base.join(parts))
            return NOTHING
        if HOLE in base or not all(isinstance(part, str) for part in given):
            return NOTHING
        return _short(getattr(base, name)(*given))

    # -- the file system ------------------------------------------------------------------------

    def _home(self) -> str:
        return self._env.get("HOME") or self._env.get("USERPROFILE") or os.path.expanduser("~")

    def _expanduser(self, path: Any) -> Any:
        if isinstance(path, str) and (path == "~" or path.startswith("~/")):
            return self._home() + path[1:]
        return path if isinstance(path, str) and not path.startswith("~") else UNKNOWN

    def _expandvars(self, path: Any) -> Any:
        return path if isinstance(path, str) and "$" not in path else UNKNOWN

    def _absolute(self, path: Any) -> Any:
        if not isinstance(path, str):
            return UNKNOWN
        if self.first_chdir is not None and not os.path.isabs(path):
            return UNKNOWN
        return os.path.normpath(os.path.join(self._cwd, path))

    def _exists(self, path: Any) -> Any:
        """Whether a path is there now. The script may make it: only its absence is open."""
        if not isinstance(path, str) or HOLE in path or not path or "\0" in path:
            return UNKNOWN
        return os.path.exists(os.path.join(self._cwd, path))


def _short(text: str) -> Values:
    return Values((text,)) if len(text) <= MAX_CHARS else NOTHING


def _method(known: Known, name: str) -> Function | None:
    for part in known.node.body:
        if isinstance(part, Function) and part.name == name:
            return part
    return None


def _is_static(function: Function) -> bool:
    names = {part.id for part in function.decorator_list if isinstance(part, ast.Name)}
    return "staticmethod" in names


def hides_parameters(function: Function, scope: Scope) -> bool:
    """Whether what a function of this scope is given is not followed into it."""
    is_method = isinstance(scope.node, ast.ClassDef) and function.name != "__init__"
    return is_method or not _is_plain(function)


def _is_plain(function: Function) -> bool:
    """Whether its decorators leave its parameters alone."""
    harmless = {"staticmethod", "classmethod", "property", "no_grad", "inference_mode", "cache"}
    for part in function.decorator_list:
        target = part.func if isinstance(part, ast.Call) else part
        name = target.attr if isinstance(target, ast.Attribute) else getattr(target, "id", "")
        if name not in harmless:
            return False
    return True


def _concerns(target: ast.Attribute, known: Known, scope: Scope) -> bool:
    """Whether ``x.name = …`` sets an attribute of this class or its objects."""
    base = target.value
    if not isinstance(base, ast.Name):
        return False
    if base.id in ("self", "cls"):
        here: Scope | None = scope
        while here is not None and not isinstance(here.node, ast.ClassDef):
            here = here.parent
        return here is not None and here.node is known.node
    return base.id == known.node.name or base.id in ("cfg", "CFG", "config", "args", "opt")


def _own_nodes(function: ast.AST) -> Iterator[ast.AST]:
    stack = list(ast.iter_child_nodes(function))
    while stack:
        part = stack.pop()
        yield part
        if not isinstance(part, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Lambda):
            stack.extend(ast.iter_child_nodes(part))
