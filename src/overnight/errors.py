"""Every error Overnight raises on purpose.

::

    OvernightError            what happened · where · how to fix it      exit 1
    ├── UserError             the input, the options or the machine      exit 2
    │   ├── NotebookError     a notebook that cannot become a script
    │   ├── RunNotFound       no run, or several, of that name
    │   └── RunConflict       the run is in the wrong state for the verb
    ├── UserErrors            several UserError at once
    └── LedgerError           a run folder that cannot be read or written

An error is made from a key of the messages catalogue, so it reads in the reader's language. The
key ``K`` gives the first line, ``K.fix`` the last; ``where`` is the file, the line or the option.
"""

from __future__ import annotations

from collections.abc import Sequence

from overnight.messages import say


class Place(str):
    """A place in a file that a person wrote, as an error's ``where``.

    Its text is for a single error; its parts are for a list of all that is wrong with the file.

    Args:
        file: As the person knows it.
        line: From 1; 0 where it stands on no line.
        name: The key, ``train.epochs``.
        option: What set it instead of the file: ``--set``.
    """

    file: str
    line: int
    name: str
    option: str

    def __new__(cls, file: str, line: int = 0, name: str = "", option: str = "") -> Place:
        """Writes it out."""
        if option:
            text = f"{option} {name}"
        elif line:
            key = "yaml.at_line" if name else "yaml.at_file"
            text = say(key, file=file, line=line, key=name)
        else:
            text = f"{file}: {name}" if name else file
        made = super().__new__(cls, text)
        made.file, made.line, made.name, made.option = file, line, name, option
        return made


class OvernightError(Exception):
    """An error with three lines for a person: what, where, how to fix.

    Args:
        key: Catalogue key of the first line; ``<key>.fix`` is the line that says how to fix it.
        where: The file, line, option or run it is about.
        **fields: Values the two sentences name.
    """

    exit_code = 1

    def __init__(self, key: str, /, *, where: object = "", **fields: object) -> None:
        self.key = key
        self.where = str(where)
        self.place = where if isinstance(where, Place) else None
        self.what = say(key, **fields)
        self.fix = say(key + ".fix", **fields)
        super().__init__(self.what)


class UserError(OvernightError, ValueError):
    """Something the person can put right: a file, an option, a name, the machine."""

    exit_code = 2


class UserErrors(Exception):
    """Every mistake of an input, so that it is put right in one go."""

    def __init__(self, errors: Sequence[UserError]) -> None:
        self.errors = tuple(errors)
        super().__init__("; ".join(error.what for error in errors))

    def __str__(self) -> str:
        """A line each, as Python shows it: where, what, how to put it right."""
        lines = [
            ": ".join(filter(None, (error.where, "; ".join(filter(None, (error.what, error.fix))))))
            for error in self.errors
        ]
        return "\n".join(lines if len(lines) == 1 else ["", *(f"  {line}" for line in lines)])


class NotebookError(UserError):
    """A notebook that cannot be read, or that cannot become a script that runs alone."""


class RunNotFound(UserError):
    """No run answers to this name, or more than one does."""


class RunConflict(UserError):
    """The run is not in a state in which this verb makes sense."""


class LedgerError(OvernightError):
    """A run folder that cannot be read or written as docs/ledger-format.md says."""
