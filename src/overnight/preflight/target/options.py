"""The options of a script that uses ``argparse``, with the values of this run."""

from __future__ import annotations

import argparse
import ast
from collections.abc import Iterator, Sequence
from typing import Any, NoReturn

from overnight.preflight.target.evaluator import Evaluator
from overnight.preflight.target.scope import Scope
from overnight.preflight.target.values import HOLE, UNKNOWN, Options, PathText

_TYPES: dict[str, Any] = {
    "int": int,
    "float": float,
    "str": str,
    "pathlib.Path": PathText,
    "pathlib.PurePath": PathText,
}
_KINDS = tuple(_TYPES.values())
#: Of one option; argparse makes a pattern of that many letters.
_MAX_VALUES = 1000
_TAKEN = ("default", "action", "dest", "required", "choices", "nargs", "const", "type")
_ACTIONS = frozenset({
    "store", "store_true", "store_false", "store_const", "append", "count", "help", "version",
})  # fmt: skip


class RefusedError(Exception):
    """The script would refuse its arguments; the text is argparse's own."""


class _Parser(argparse.ArgumentParser):
    """A parser that neither prints nor exits."""

    def error(self, message: str) -> NoReturn:
        raise RefusedError(message)

    def exit(self, status: int = 0, message: str | None = None) -> NoReturn:
        raise RefusedError(message or "")


def parse(
    evaluator: Evaluator, call: ast.Call, scope: Scope, args: Sequence[str]
) -> Options | None:
    """What ``parser.parse_args()`` gives; None where the parser is no argparse one we can follow.

    Arguments the parser would refuse leave every option unknown; :func:`refusal` says why.
    """
    found = _follow(evaluator, call, scope)
    if found is None:
        return None
    parser, is_whole = found
    try:
        told, _ = parser.parse_known_args(list(args))
    except (RefusedError, TypeError, ValueError, AttributeError):  # also of a default unknown here
        return Options({}, is_whole=False)
    return Options({name: _value(value) for name, value in vars(told).items()}, is_whole=is_whole)


def refusal(evaluator: Evaluator, call: ast.Call, scope: Scope, args: Sequence[str]) -> str | None:
    """Why the script would refuse its arguments; None where it would not, or it cannot be told."""
    found = _follow(evaluator, call, scope)
    if found is None or not found[1]:
        return None
    try:
        _, rest = found[0].parse_known_args(list(args))
    except RefusedError as error:
        return str(error) or None
    except (TypeError, ValueError, AttributeError):
        return None
    if rest and isinstance(call.func, ast.Attribute) and call.func.attr == "parse_args":
        return "unrecognized arguments: " + " ".join(rest)
    return None


def _follow(evaluator: Evaluator, call: ast.Call, scope: Scope) -> tuple[_Parser, bool] | None:
    """The parser as far as it can be followed, and whether that is the whole of it."""
    if call.args or call.keywords or not isinstance(call.func, ast.Attribute):
        return None  # given its arguments by the script itself
    name = call.func.value
    if not isinstance(name, ast.Name):
        return None
    home, makers = scope, []
    while True:
        makers = [item for item in home.names.get(name.id, []) if item.kind == "value"]
        if makers or home.parent is None:
            break
        home = home.parent
    if len(makers) != 1 or not isinstance(makers[0].value, ast.Call):
        return None
    made = makers[0].value
    if evaluator.dotted(made.func, home) != "argparse.ArgumentParser":
        return None
    parser = _Parser(add_help=False, allow_abbrev=True)
    parser.add_argument("-h", "--help", action="store_true", dest="_help")
    is_whole = not any(
        word.arg in (None, "parents", "fromfile_prefix_chars", "prefix_chars")
        for word in made.keywords
    )
    groups = {name.id}
    for node in _calls(home.node):
        function = node.func
        if not (isinstance(function, ast.Attribute) and isinstance(function.value, ast.Name)):
            if _mentions(node, groups):
                is_whole = False
            continue
        if function.value.id not in groups:
            is_whole &= not _mentions(node, groups)
        elif function.attr == "add_argument":
            is_whole &= _add(evaluator, parser, node, home)
        elif function.attr in ("add_argument_group", "add_mutually_exclusive_group"):
            groups |= _assigned_from(home.node, node)
        elif function.attr == "set_defaults":
            is_whole &= _set_defaults(evaluator, parser, node, home)
        elif function.attr not in ("parse_args", "parse_known_args", "print_help", "format_help"):
            is_whole = False
    return parser, is_whole


def _calls(node: ast.AST) -> Iterator[ast.Call]:
    found = [part for part in ast.walk(node) if isinstance(part, ast.Call)]
    yield from sorted(found, key=lambda part: (part.lineno, part.col_offset))


def _mentions(node: ast.Call, names: set[str]) -> bool:
    """Whether the parser is handed to something else, which may add to it."""
    given = [*node.args, *(word.value for word in node.keywords)]
    return any(isinstance(part, ast.Name) and part.id in names for part in given)


def _assigned_from(tree: ast.AST, call: ast.Call) -> set[str]:
    return {
        target.id
        for part in ast.walk(tree)
        if isinstance(part, ast.Assign) and part.value is call
        for target in part.targets
        if isinstance(target, ast.Name)
    }


def _add(evaluator: Evaluator, parser: _Parser, node: ast.Call, scope: Scope) -> bool:
    """Adds an argument; whether it could be understood."""
    flags = [evaluator.value(part, scope).one for part in node.args]
    if not flags or not all(isinstance(flag, str) and flag and HOLE not in flag for flag in flags):
        return False
    given: dict[str, Any] = {}
    for word in node.keywords:
        if word.arg is None:
            return False
        if word.arg not in _TAKEN:
            continue
        if word.arg == "type":
            kind = _TYPES.get(evaluator.dotted(word.value, scope))
            given["type"] = kind if kind is not None else (lambda _: UNKNOWN)
            continue
        value = evaluator.value(word.value, scope).one
        if word.arg == "action":
            if evaluator.dotted(word.value, scope) == "argparse.BooleanOptionalAction":
                value = argparse.BooleanOptionalAction
            elif value not in _ACTIONS:
                return False
        if word.arg == "choices":
            if not isinstance(value, tuple | dict) or UNKNOWN in tuple(value):
                continue
            value = tuple(value)
        elif value is UNKNOWN and word.arg != "default":
            return False
        if word.arg == "nargs" and isinstance(value, int) and not 0 < value < _MAX_VALUES:
            return False
        given[word.arg] = value
    if any(word.arg == "type" for word in node.keywords) and given["type"] not in _KINDS:
        given.pop("choices", None)  # what the type makes of an argument is not known
    default = given.get("default")
    if given.get("action") in ("help", "version"):
        given = {"action": "store_true"}
    if isinstance(default, str) and not isinstance(default, PathText) and given.get("type"):
        # argparse converts a default that is a text.
        try:
            given["default"] = given["type"](default)
        except ValueError:
            return False
    try:
        parser.add_argument(*flags, **given)
    except (TypeError, ValueError, argparse.ArgumentError):
        return False
    return True


def _set_defaults(evaluator: Evaluator, parser: _Parser, node: ast.Call, scope: Scope) -> bool:
    for word in node.keywords:
        if word.arg is None:
            return False
        parser.set_defaults(**{word.arg: evaluator.value(word.value, scope).one})
    return True


def _value(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value
