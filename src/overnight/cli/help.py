"""Help pages: plain text, in the reader's language, in columns that hold with Hangul too.

The parser's own pages count a Hangul syllable as one column, or cut it off at a cell's edge.
"""

from __future__ import annotations

from typing import Any

import typer
from typer.core import TyperArgument, TyperCommand, TyperGroup

from overnight.cli.output import cells, columns, pad, wrap
from overnight.messages import say

#: Wider lines are hard to read, narrower terminals than this are phones.
_WIDEST, _NARROWEST = 100, 40
#: Names longer than this stand on a line of their own.
_NAMES = 28
#: Options that the parser brings along, and our sentence for each.
_OWN = {
    "--help": "cli.help_option",
    "--install-completion": "cli.install_completion",
    "--show-completion": "cli.show_completion",
}


class App(typer.Typer):
    """A Typer whose commands have our help pages."""

    def command(self, *args: Any, **kwargs: Any) -> Any:
        """As Typer's."""
        kwargs.setdefault("cls", Verb)
        return super().command(*args, **kwargs)


class Verb(TyperCommand):
    """One verb."""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Writes the page."""
        formatter.write(_page(self, ctx))


class Verbs(TyperGroup):
    """The command with all its verbs."""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Writes the page."""
        rows = []
        for name in self.list_commands(ctx):
            command = self.get_command(ctx, name)
            if command is not None and not command.hidden:
                rows.append((name, (command.help or "").partition("\n\n")[0]))
        formatter.write(_page(self, ctx) + _section("cli.commands", rows))


def _width() -> int:
    return max(_NARROWEST, min(columns() or 80, _WIDEST))


def _page(command: Any, ctx: Any) -> str:
    pieces = " ".join(command.collect_usage_pieces(ctx))
    text = say("cli.usage", usage=f"{ctx.command_path} {pieces}") + "\n\n"
    for paragraph in (command.help or "").split("\n\n"):
        lines = paragraph.splitlines()
        # Typer takes the indentation away.
        if lines and all(line.lstrip().startswith("overnight ") for line in lines):
            text += "".join(map(_example, lines)) + "\n"
        else:
            text += "\n".join(wrap(paragraph, _width())) + "\n\n"
    arguments, options = [], []
    for param in command.get_params(ctx):
        if isinstance(param, TyperArgument):
            arguments.append(((param.name or "").upper(), param.help or ""))
        elif not getattr(param, "hidden", False):
            options.append((_names(param), _help(param, ctx)))
    return (
        text.rstrip("\n")
        + "\n"
        + _section("cli.arguments", arguments)
        + _section("cli.options", options)
    )


def _example(line: str) -> str:
    """A command to be copied: never broken; the remark behind it goes below where it must."""
    command, _, remark = (part.strip() for part in line.strip().partition("   "))
    whole = f"  {line.strip()}\n"
    if not remark or cells(whole) <= _width() + 1:
        return whole
    return f"  {command}\n" + "".join(f"      {each}\n" for each in wrap(remark, _width() - 6))


def _names(param: Any) -> str:
    short_first = sorted(param.opts, key=lambda name: name.startswith("--"))
    names = ", ".join(short_first)
    if param.is_flag:
        return names
    is_number = isinstance(param.default, (int, float))
    return f"{names} {param.metavar or ('N' if is_number else 'TEXT')}"


def _help(param: Any, ctx: Any) -> str:
    own = next((_OWN[name] for name in param.opts if name in _OWN), None)
    text = say(own) if own is not None else str(param.help or "")
    default = param.get_default(ctx)
    if param.is_flag or default in (None, "", [], ()) or callable(default):
        return text
    return f"{text} [{say('cli.default', value=default)}]"


def _section(title: str, rows: list[tuple[str, str]]) -> str:
    if not rows:
        return ""
    names = min(max(cells(name) for name, _ in rows), _NAMES)
    room = max(_width() - names - 4, 20)
    lines = ["", say(title)]
    for name, text in rows:
        wrapped = wrap(text, room) or [""]
        if cells(name) > names:
            lines.append("  " + name)
        else:
            lines.append("  " + pad(name, names) + "  " + wrapped.pop(0))
        lines += [" " * (names + 4) + each for each in wrapped]
    return "\n".join(line.rstrip() for line in lines) + "\n"
