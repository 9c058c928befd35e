"""Text of shell lines: Python values in it, parts of it, and what each part does."""

from __future__ import annotations

import ast
import re
import shlex
from collections.abc import Callable
from dataclasses import dataclass
from string import Formatter

from overnight.notebook.edit import parse_python

#: ``$name`` outside single quotes, as IPython reads it.
_DOLLAR = re.compile(r"(?P<head>.*?)\$(?P<name>\$?[\w.]+)(?=(?:[^']*'[^']*')*[^']*$)", re.DOTALL)


def python_text(command: str, is_bound: Callable[[str], bool]) -> str:
    """A Python expression for a command in which ``{expression}`` and ``$name`` are put in.

    IPython leaves the whole line as it is as soon as one part of it is no Python or not defined
    (``awk '{print $1}'``, ``$HOME``); so does this.

    Args:
        command: The text behind ``!``.
        is_bound: Whether the notebook defines a name.
    """
    parts = _parts(command, is_bound)
    if parts is None or all(isinstance(part, str) for part in parts):
        text = command if parts is None else "".join(str(part) for part in parts)
        return quoted(text)
    codes = [part.code for part in parts if isinstance(part, _Value)]
    if any("\\" in code or "\n" in code or "#" in code for code in codes):
        quote = ""
    else:
        quote = next((q for q in ('"', "'") if not any(q in code for code in codes)), "")
    if not quote:
        return " + ".join(
            quoted(part) if isinstance(part, str) else "str(" + part.code + ")" for part in parts
        )
    text = "".join(
        _escaped(part, quote).replace("{", "{{").replace("}", "}}")
        if isinstance(part, str)
        else "{" + (" " if part.code.startswith("{") else "") + part.code + "}"
        for part in parts
    )
    return "f" + quote + text + quote


@dataclass(frozen=True, slots=True)
class _Value:
    """An expression within a command."""

    code: str


def _parts(command: str, is_bound: Callable[[str], bool]) -> list[str | _Value] | None:
    parts: list[str | _Value] = []
    try:
        pieces = list(Formatter().parse(command))
    except ValueError:
        return None
    for literal, field, spec, conversion in pieces:
        at = 0
        for match in _DOLLAR.finditer(literal):
            parts.append(match["head"])
            name = match["name"]
            if name.startswith("$"):
                parts.append(name)
            elif not _is_known(name.rstrip("."), is_bound):
                return None
            else:
                parts.append(_Value(name.rstrip(".")))
                parts.append(name[len(name.rstrip(".")) :])
            at = match.end()
        parts.append(literal[at:])
        if field is None:
            continue
        code = (field + ":" + spec if spec else field).strip()
        if not _is_known(code, is_bound):
            return None
        if conversion:
            function = {"r": "repr", "s": "str", "a": "ascii"}.get(conversion)
            if function is None:
                return None
            code = function + "(" + code + ")"
        parts.append(_Value(code))
    return [part for part in parts if part != ""]


def _is_known(code: str, is_bound: Callable[[str], bool]) -> bool:
    """Whether ``code`` is an expression of which every name is defined."""
    if not code or "\n" in code:
        return False
    tree = parse_python("(" + code + ")")
    if tree is None or len(tree.body) != 1:
        return False
    statement = tree.body[0]
    if not isinstance(statement, ast.Expr) or any(
        isinstance(node, ast.Await | ast.Yield | ast.YieldFrom | ast.NamedExpr)
        for node in ast.walk(statement)
    ):
        return False
    inner = {node.arg for node in ast.walk(statement) if isinstance(node, ast.arg)}
    inner |= {
        node.id
        for node in ast.walk(statement)
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
    }
    return all(
        node.id in inner or is_bound(node.id)
        for node in ast.walk(statement)
        if isinstance(node, ast.Name)
    )


def _escaped(text: str, quote: str) -> str:
    out = text.replace("\\", "\\\\").replace(quote, "\\" + quote).replace("\n", "\\n")
    return "".join(char if char.isprintable() or char == " " else _code(char) for char in out)


def _code(char: str) -> str:
    number = ord(char)
    if number < 0x100:
        return f"\\x{number:02x}"
    return f"\\u{number:04x}" if number < 0x10000 else f"\\U{number:08x}"


def quoted(text: str) -> str:
    """A one-line Python string literal, in double quotes unless it holds some."""
    quote = "'" if '"' in text and "'" not in text else '"'
    return quote + _escaped(text, quote) + quote


def block(text: str) -> str:
    """A Python string literal that keeps the lines of ``text``."""
    out = text.replace("\\", "\\\\").replace('"""', '\\"\\"\\"')
    if out.endswith('"'):
        out = out[:-1] + '\\"'
    # A line that looks like a cell's mark must not be taken for one.
    out = re.sub(r"^#(?= ?%%)", r"\\x23", out, flags=re.MULTILINE)
    out = "".join(char if char.isprintable() or char in " \n\t" else _code(char) for char in out)
    return '"""' + out + '"""'


def segments(command: str) -> list[tuple[str, str]]:
    """A command's parts and the operator before each: ``a && b`` is [("", a), ("&&", b)].

    Splits at ``&&``, ``||`` and ``;`` outside quotes; ``|`` stays inside its part.
    """
    found: list[tuple[str, str]] = []
    operator, start, at, quote = "", 0, 0, ""
    while at < len(command):
        char = command[at]
        if char == "\\" and quote != "'":
            at += 2
            continue
        if quote:
            quote = "" if char == quote else quote
        elif char in "\"'":
            quote = char
        elif char == "#" and (at == 0 or command[at - 1].isspace()):
            break  # a comment
        elif command.startswith(("&&", "||"), at) or char == ";":
            found.append((operator, command[start:at].strip()))
            operator = ";" if char == ";" else command[at : at + 2]
            at += len(operator)
            start = at
            continue
        at += 1
    found.append((operator, command[start : max(start, at)].strip()))
    return [(operator, part) for operator, part in found if part]


def words(part: str) -> list[str]:
    """A command's words; a text that is not a whole command is cut at spaces."""
    try:
        return shlex.split(part, comments=True)
    except ValueError:
        return part.split()
