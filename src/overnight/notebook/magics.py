"""A cell's ``!`` and ``%`` lines as Python, line for line.

Only cells that are no Python as they stand come here. What each becomes::

    !cmd, %sx cmd            _nb_sh("cmd")            x = !cmd        x = _nb_lines("cmd")
    %cd d                    _nb_cd("d")              %env A=b        os.environ["A"] = "b"
    %run f.py                _nb_run("f.py")          %run f.ipynb    _nb_include("f.ipynb")
    %time f()                f()                      %timeit, ?f     a comment
    %%bash, %%script x       _nb_script("bash", …)    %%writefile f   _nb_write("f", …)
    %%time, %%capture        the cell as it is        %%html, %%js    a comment
    !pip install, %pip …     a comment; gathered      anything else   a comment; listed

One file: the table above, row by row.
"""

from __future__ import annotations

import builtins
import re
import shlex
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from overnight.notebook.conversion import Finding, Install, Level
from overnight.notebook.edit import parse_python
from overnight.notebook.installs import install_line, requirements_file
from overnight.notebook.lines import (
    assigned_magic,
    is_help,
    is_magic,
    joined,
    statement_lines,
)
from overnight.notebook.shell import block, python_text, quoted, segments, words

#: They change how a notebook looks or is edited: nothing is lost without them.
_COSMETIC = frozenset({
    "matplotlib", "load_ext", "reload_ext", "unload_ext", "autoreload", "config", "precision",
    "xmode", "colors", "pprint", "autosave", "automagic", "gui", "notebook", "logstart", "logstop",
    "tensorflow_version", "who", "who_ls", "whos", "history", "hist", "lsmagic", "pinfo", "pinfo2",
    "pdoc", "psource", "pfile", "pdef", "page", "quickref", "magic", "tensorboard", "doctest_mode",
    "alias_magic", "alias", "rehashx", "dhist", "timeit", "memit", "mprun", "lprun", "pdb", "debug",
    "flake8_on", "pycodestyle_on", "watermark", "nb_black", "connect_info", "killbgscripts", "load",
    "loadpy", "bookmark", "macro", "recall", "rerun", "save", "pastebin", "reset_selective",
})  # fmt: skip
#: Their argument is a statement, which runs without being measured.
_STATEMENT = frozenset({"time", "prun", "snakeviz", "scalene"})
_SHELL_WORDS = frozenset({
    "ls", "ll", "la", "lf", "lk", "lx", "ldir", "cat", "mkdir", "rmdir", "rm", "mv", "cp", "less",
    "more", "man", "dir", "ddir", "copy", "ren", "echo",
})  # fmt: skip
_INSTALLERS = frozenset({"pip", "pip3", "conda", "mamba", "micromamba", "uv"})
#: Cells that hold Python and are only measured, captured or timed.
_PLAIN_CELLS = frozenset({
    "time", "timeit", "capture", "prun", "memit", "snakeviz", "scalene", "mprun", "heat",
    "wandb", "skip_exception", "notify", "nbdev_export", "inject",
})  # fmt: skip
_LOOKS_ONLY_CELLS = frozenset({
    "html", "HTML", "javascript", "js", "svg", "SVG", "markdown", "latex", "css", "shell_help",
})  # fmt: skip
_INTERPRETERS = frozenset(
    {"bash", "sh", "zsh", "python", "python2", "python3", "perl", "ruby", "node"}
)
#: What automagic runs without a %; only in cells that are no Python otherwise.
_AUTOMAGIC = re.compile(
    r"^(?P<name>pip|pip3|conda|mamba|cd|ls|ll|mkdir|rmdir|rm|mv|cp|cat|pwd|matplotlib|env|time|run|"
    r"load_ext|autoreload|timeit|who|whos)(?P<rest>(?:\s+[^=(\[.,:\s].*)?)$"
)
_CELL_MAGIC = re.compile(r"^%%(?P<name>[^\W\d][\w.]*|!)(?P<rest>.*)$")
_LINE_MAGIC = re.compile(r"^%(?P<name>[^\W\d][\w.]*)(?P<rest>.*)$", re.DOTALL)
_LOGINS = {
    ("huggingface-cli", "login"): "HF_TOKEN",
    ("hf", "auth"): "HF_TOKEN",
    ("wandb", "login"): "WANDB_API_KEY",
}


@dataclass(slots=True)
class Gathered:
    """What turns up on the way through the notebook, in the order of the cells.

    Attributes:
        assigned: Every name the notebook gives a value anywhere.
        folder: The notebook's folder, for the files its lines name.
        include: Converts another notebook for ``%run``; False where it cannot.
        logins: Variable, cell, line and whether conditional, of shell logins that were dropped.
        commands_from: Cell and line of the first command the notebook runs.
    """

    assigned: frozenset[str]
    folder: Path
    include: Callable[[str, int, int], bool]
    findings: list[Finding] = field(default_factory=list)
    installs: list[Install] = field(default_factory=list)
    logins: list[tuple[str, int, int, bool]] = field(default_factory=list)
    commands_from: tuple[int, int] | None = None

    def add(self, level: Level, cell: int, line: int, key: str, **fields: str) -> None:
        """Gather one finding of the ``notebook`` room."""
        self.findings.append(Finding(level, cell, line, "notebook." + key, fields))

    def runs_command(self, cell: int, line: int) -> None:
        """Take note of a command: from here on it may have made files and modules."""
        self.commands_from = min((cell, line), self.commands_from or (cell, line))

    def may_be_made(self, cell: int, line: int) -> bool:
        """Whether a file or module used here may come from a command of the notebook."""
        return self.commands_from is not None and self.commands_from < (cell, line)

    def is_bound(self, name: str) -> bool:
        """Whether the notebook or Python itself defines a name."""
        return name in self.assigned or hasattr(builtins, name)


def line_magic(text: str, cell: int, line: int, gathered: Gathered) -> str:
    """One magic line as one line of Python; a comment where nothing is left to do."""
    return _Cell(cell, gathered).line(text, line, conditional=False)


def plain_python(source: str) -> str:
    """``source`` with a harmless statement for every magic, for a first look at its names."""
    lines: list[str] = []
    in_magic = False
    for line in statement_lines(source):
        text = line.text
        if line.starts:
            in_magic = is_magic(text)
        if in_magic:
            indent = text[: len(text) - len(text.lstrip())]
            assigned = assigned_magic(text.strip()) if line.starts else None
            text = indent + (assigned[0] + " = 0" if assigned else "pass") if line.starts else "#"
        lines.append(text)
    return "\n".join(lines)


def _head(lines: list[str]) -> tuple[int, str]:
    """Index and text of the first line that is neither blank nor a comment."""
    for index, line in enumerate(lines):
        bare = line.strip()
        if bare and not (bare.startswith("#") and not bare.startswith("#!%%")):
            return index, bare
    return 0, ""


def to_python(source: str, cell: int, gathered: Gathered) -> str | None:
    """A cell as Python with as many lines (a block at its end may add one).

    Returns:
        None where it is no Python even without its magics.
    """
    if parse_python(source) is not None:
        return _bare_automagic(source, cell, gathered)
    return _Cell(cell, gathered).convert(source)


def _bare_automagic(source: str, cell: int, gathered: Gathered) -> str:
    """Lines such as ``ls``, which are Python names and IPython commands alike."""
    bare = source.strip()
    if bare in ("ls", "ll", "pwd") and not gathered.is_bound(bare):
        return source.replace(bare, _Cell(cell, gathered).line("%" + bare, 1, conditional=False))
    return source


class _Cell:
    """One cell on its way to Python."""

    def __init__(self, number: int, gathered: Gathered) -> None:
        self._cell = number
        self._gathered = gathered

    def convert(self, source: str) -> str | None:
        lines = source.split("\n")
        index, head = _head(lines)
        match = _CELL_MAGIC.match(head)
        if match is not None:
            return self._cell_magic(lines, index, match["name"], match["rest"].strip())
        converted = self._lines(source)
        if parse_python(converted) is not None:
            return converted
        converted = self._lines(source, automagic=True)
        return converted if parse_python(converted) is not None else None

    # -- lines --------------------------------------------------------------------------------

    def _lines(self, source: str, first: int = 1, *, automagic: bool = False) -> str:
        out: list[str] = []
        if automagic:  # a second look: what the first one gathered comes again
            self._forget()
        lines = list(statement_lines(source))
        at = 0
        while at < len(lines):
            line = lines[at]
            at += 1
            bare = line.text.strip()
            is_auto = (
                automagic and line.starts and _AUTOMAGIC.match(bare) and not parse_python(bare)
            )
            if not (line.starts and (is_magic(line.text) or is_auto)):
                out.append(line.text)
                continue
            pending = [line]
            while at < len(lines) and pending[-1].text.rstrip().endswith("\\"):
                pending.append(lines[at])
                at += 1
            indent = line.text[: len(line.text) - len(line.text.lstrip())]
            text = joined([part.text for part in pending]).strip()
            if is_auto:
                text = "%" + text
            new = self.line(text, line.number + first - 1, conditional=bool(indent))
            if indent and new.startswith("#"):
                new = "pass  " + new  # never an empty block
            out.append(indent + new)
            out.extend("" for _ in pending[1:])
        return "\n".join(out)

    def _forget(self) -> None:
        gathered = self._gathered
        gathered.findings[:] = [f for f in gathered.findings if f.cell != self._cell]
        gathered.installs[:] = [i for i in gathered.installs if i.cell != self._cell]
        gathered.logins[:] = [entry for entry in gathered.logins if entry[1] != self._cell]

    def line(self, text: str, number: int, *, conditional: bool) -> str:
        """One magic line as one line of Python, without its indentation."""
        assigned = assigned_magic(text)
        if text.startswith("!"):
            command = text.lstrip("!").strip()
            if text.startswith("!!"):
                return "_nb_show(_nb_lines(" + self._text(command) + "))"
            return self._shell(command, number, conditional=conditional)
        if text.startswith("%"):
            match = _LINE_MAGIC.match(text)
            if match is None:
                return self._unknown(text, number)
            return self._magic(
                match["name"], match["rest"].strip(), number, text, conditional=conditional
            )
        if assigned is not None:
            target, mark, rest = assigned
            if parse_python(target + " = 0") is None:
                return self._unknown(text, number)
            if mark == "!":
                return target + " = _nb_lines(" + self._text(rest) + ")"
            return target + " = " + self._value(rest, number, text)
        if is_help(text):
            return _comment(text)
        return self._unknown(text, number)

    def _text(self, command: str) -> str:
        return python_text(command, self._gathered.is_bound)

    def _unknown(self, text: str, number: int) -> str:
        shown = text.split("\n")[0][:60]
        self._gathered.add("warns", self._cell, number, "magic_unknown", magic=shown)
        return _comment(text)

    def _shell(self, command: str, number: int, *, conditional: bool) -> str:
        kept: list[tuple[str, str]] = []
        dropped = False
        for operator, part in segments(command):
            if self._install(part, number, conditional=conditional) or self._login(
                part, number, conditional=conditional
            ):
                dropped = True
            else:
                kept.append((operator, part))
        if not dropped:
            if not command or command.startswith("#"):
                return _comment("!" + command)
            self._notice(command, number)
            return "_nb_sh(" + self._text(command) + ")"
        if all(words(part)[:1] in (["cd"], ["set"], ["true"], []) for _, part in kept):
            return _comment("!" + command)
        rest = "".join(
            (operator + " " if index else "") + part + " "
            for index, (operator, part) in enumerate(kept)
        ).strip()
        self._notice(rest, number)
        return "_nb_sh(" + self._text(rest) + ")  " + _comment("!" + command)

    def _notice(self, command: str, number: int) -> None:
        """What a command that is run may bring about."""
        self._gathered.runs_command(self._cell, number)
        first = words(command)[:2]
        if first[:1] == ["cd"] and len(segments(command)) == 1:
            self._gathered.add("notes", self._cell, number, "cd_in_shell", command=command)

    def _install(self, part: str, number: int, *, conditional: bool) -> bool:
        found = install_line(part)
        if found is None:
            return False
        named = list(found.requirements)
        for name in found.files:
            listed = requirements_file(self._gathered.folder / name) if "\0" not in name else []
            named += listed or ["-r " + name]
        self._gathered.installs.extend(
            Install(requirement, self._cell, number, found.tool, conditional)
            for requirement in named
        )
        return True

    def _login(self, part: str, number: int, *, conditional: bool) -> bool:
        found = words(part)
        variable = _LOGINS.get(tuple(found[:2])) if len(found) > 1 else None  # type: ignore[arg-type]
        if variable is None or (found[:2] == ["hf", "auth"] and found[2:3] != ["login"]):
            return False
        rest = found[3:] if found[0] == "hf" else found[2:]
        if any("token" in word for word in rest) or any(not word.startswith("-") for word in rest):
            return False
        self._gathered.logins.append((variable, self._cell, number, conditional))
        return True

    def _magic(self, name: str, rest: str, number: int, text: str, *, conditional: bool) -> str:
        if name in _INSTALLERS:
            command = name + " " + rest
            if self._install(command, number, conditional=conditional):
                return _comment(text)
            return "_nb_sh(" + self._text(command) + ")"
        if name in _STATEMENT:
            return self._statement(rest, number, text)
        if name in _COSMETIC:
            return _comment(text)
        if name in ("sx", "system"):
            return "_nb_show(_nb_lines(" + self._text(rest) + "))"
        if name in ("shell", "bash", "sh"):
            return self._shell(rest, number, conditional=conditional)
        if name in _SHELL_WORDS:
            return "_nb_sh(" + self._text(("ls -l" if name == "ll" else name) + " " + rest) + ")"
        if name == "cd":
            return "_nb_cd(" + self._text(_unquoted(re.sub(r"^-q\s*", "", rest))) + ")"
        if name == "pwd":
            return "_nb_show(_nb_cwd())"
        if name in ("env", "set_env"):
            return self._env(rest, text)
        if name == "run":
            return self._run(rest, number, text)
        if name == "pylab":
            return "import numpy as np, matplotlib.pyplot as plt; from pylab import *"
        if name in ("dotenv", "load_dotenv"):
            self._gathered.add("notes", self._cell, number, "dotenv")
            return _comment(text)
        return self._unknown(text, number)

    def _statement(self, rest: str, number: int, text: str) -> str:
        statement = re.sub(r"^(?:-[a-zA-Z]+\s+(?:\S+\s+)?)*", "", rest) if rest[:1] == "-" else rest
        if not statement:
            return _comment(text)
        if is_magic(statement):
            return self.line(statement, number, conditional=False)
        return statement if parse_python(statement) is not None else self._unknown(text, number)

    def _value(self, rest: str, number: int, text: str) -> str:
        """The right-hand side of ``x = %magic``."""
        name, _, argument = rest.partition(" ")
        argument = argument.strip()
        if name in ("sx", "system"):
            return "_nb_lines(" + self._text(argument) + ")"
        if name in ("pwd",):
            return "_nb_cwd()"
        if name == "env" and re.fullmatch(r"\w+", argument):
            return "os.environ.get(" + quoted(argument) + ")"
        if name in _STATEMENT and parse_python("x = " + argument) is not None:
            return argument
        if name in _SHELL_WORDS:
            return "_nb_lines(" + self._text(rest) + ")"
        self._unknown(text, number)
        return "None  " + _comment(text)

    def _env(self, rest: str, text: str) -> str:
        match = re.match(r"^(?P<name>\w+)(?:\s*=\s*|\s+)(?P<value>.*)$", rest, re.DOTALL)
        if match is None:
            if re.fullmatch(r"\w+", rest):
                return "_nb_show(os.environ.get(" + quoted(rest) + "))"
            return _comment(text)  # all variables would be written out, secrets with them
        return "os.environ[" + quoted(match["name"]) + "] = " + self._text(match["value"].strip())

    def _run(self, rest: str, number: int, text: str) -> str:
        options = re.match(r"^(?:-[a-zA-Z]+\s+)*", rest)
        flags = options.group() if options else ""
        rest = rest[len(flags) :].strip()
        found = words(rest)
        if not found:
            return _comment(text)
        if found[0].endswith(".ipynb"):
            if self._gathered.include(found[0], self._cell, number):
                return "_nb_include(" + quoted(found[0]) + ")"
            self._gathered.add("blocks", self._cell, number, "run_missing", file=found[0])
            return _comment(text)
        shares = "-i" in flags.split()
        arguments = rest[len(rest.split(None, 1)[0]) :].strip()
        name = found[0] if rest[:1] in "\"'" else rest.split(None, 1)[0]
        if rest[:1] in "\"'":
            arguments = " ".join(found[1:])
        call = "_nb_run(" + self._text(name if name.endswith(".py") else name + ".py")
        if arguments or shares:
            call += ", " + self._text(arguments)
        return call + (", shares=True)" if shares else ")")

    # -- cells --------------------------------------------------------------------------------

    def _cell_magic(self, lines: list[str], index: int, name: str, rest: str) -> str | None:
        body = lines[index + 1 :]
        before = lines[:index]
        number = index + 1
        if name in _PLAIN_CELLS:
            first = _comment("%%" + name + (" " + rest if rest else ""))
            if name == "capture":
                target = next((w for w in words(rest) if not w.startswith("-")), "")
                if target.isidentifier():
                    first = target + " = _NbCaptured()  " + first
            elif name == "timeit" and rest and not rest.startswith("-"):
                first = rest  # setup code
            inner = _Cell(self._cell, self._gathered)
            head_index, head = _head(body)
            match = _CELL_MAGIC.match(head)
            padding = [*before, first]
            if match is not None:
                converted = inner._cell_magic(
                    [""] * len(padding) + body,
                    len(padding) + head_index,
                    match["name"],
                    match["rest"].strip(),
                )
                if converted is None:
                    return None
                return "\n".join(padding + converted.split("\n")[len(padding) :])
            text = "\n".join(body)
            if parse_python(text) is None:
                text = inner._lines(text, number + 1)
                if parse_python(text) is None:
                    return None
            return "\n".join([*padding, text])
        while body and not body[-1].strip():
            body = body[:-1]
        whole = "\n".join(body) + ("\n" if body else "")
        if name in ("writefile", "file"):
            return self._blocked(before, *self._write(rest, whole, number))
        if (
            name in ("bash", "sh", "script", "!", "sx", "system", "cmd", "shell")
            or name in _INTERPRETERS
        ):
            if name == "script":
                name, _, rest = rest.partition(" ")
            elif name in ("!", "sx", "system", "cmd", "shell"):
                name = "bash"
            return self._blocked(before, *self._script(name, rest.strip(), body, number))
        if name in _LOOKS_ONLY_CELLS:
            self._gathered.add("notes", self._cell, number, "cell_dropped", magic="%%" + name)
        else:
            self._gathered.add("warns", self._cell, number, "magic_unknown", magic="%%" + name)
        return "\n".join(before + [_comment(line) if line else "" for line in lines[index:]])

    @staticmethod
    def _blocked(before: list[str], head: str, text: str, tail: str) -> str:
        """A call whose last argument is a block that begins on the magic's own line."""
        return "\n".join(
            [*before, head + block("\\\n" + text).replace('"""\\\\', '"""\\', 1) + tail]
        )

    def _write(self, rest: str, body: str, number: int) -> tuple[str, str, str]:
        appends = re.match(r"^(?:-a|--append)\s+", rest)
        name = _unquoted(rest[appends.end() :] if appends else rest).strip()
        if name.endswith(".py"):
            self._gathered.runs_command(self._cell, number)
        if not name:
            self._gathered.add("warns", self._cell, number, "magic_unknown", magic="%%writefile")
        mode = '"a"' if appends else '"w"'
        return "_nb_write(" + self._text(name) + ", " + mode + ", ", body, ")"

    def _script(
        self, program: str, rest: str, body: list[str], number: int
    ) -> tuple[str, str, str]:
        self._gathered.runs_command(self._cell, number)
        target, fails, arguments = "", True, []
        found = words(rest)
        at = 0
        while at < len(found):
            word = found[at]
            if word in ("--out", "--err") and at + 1 < len(found):
                target = found[at + 1] if word == "--out" else target
                at += 1
            elif word == "--no-raise-error":
                fails = False
            elif word == "--proc" and at + 1 < len(found):
                at += 1
            elif word not in ("--bg", "--raise-error"):
                arguments.append(word)
            at += 1
        if program in ("bash", "sh", "zsh"):
            body = [self._script_line(line, index + number + 1) for index, line in enumerate(body)]
        line = " ".join([program, *(_one_word(argument) for argument in arguments)])
        head = "_nb_script(" + self._text(line) + ", "
        if target.isidentifier():
            head = target + " = " + head
        tail = ("" if fails else ", check=False") + (", keep=True)" if target else ")")
        return head, "\n".join(body) + "\n", tail

    def _script_line(self, line: str, number: int) -> str:
        """A line of a shell cell; installs in it are gathered, not run."""
        bare = line.strip()
        if not bare or bare.endswith("\\"):
            return line
        parts = segments(bare)
        if parts and all(
            self._install(part, number, conditional=line[:1].isspace()) for _, part in parts
        ):
            return line[: len(line) - len(line.lstrip())] + ": # " + bare
        return line


def _comment(text: str) -> str:
    return "# " + text.replace("\n", " ").strip()


def _one_word(argument: str) -> str:
    has_space = not argument or any(char.isspace() for char in argument)
    return shlex.quote(argument) if has_space else argument


def _unquoted(text: str) -> str:
    if len(text) > 1 and text[0] in "\"'" and text[-1] == text[0]:
        return text[1:-1]
    return text
