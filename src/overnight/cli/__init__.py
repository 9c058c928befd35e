"""The ``overnight`` command: parse, call, print.

One module per group of verbs, loaded only when its verb is asked for: ``overnight run`` must have
the job running in 0.3 s, and a help page may take longer than a verb.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any

from overnight.errors import OvernightError, UserError, UserErrors
from overnight.messages import say

if TYPE_CHECKING:
    import typer

#: Each verb is the module of its name, in the order the help page shows.
VERBS = (
    "run", "new", "train", "tune", "calibrate", "predict", "report", "check", "ls", "status",
    "logs", "top", "stop", "resume", "wait", "rm", "sync", "ui", "notify", "agent", "convert",
    "doctor",
)  # fmt: skip
#: On Windows these work; the others need processes as Linux and macOS have them.
_EVERYWHERE = ("convert", "doctor")
#: Verbs of ``notify`` that ask for something secret: a word too many may be it.
_TAKES_SECRETS = ("add", "login", "remove", "heartbeat")


def app(verb: str | None = None) -> typer.Typer:
    """The command with all its verbs, or with one of them."""
    import typer

    from overnight.cli.help import App, Verbs

    made = App(
        cls=Verbs,
        name="overnight",
        help=say("cli.help"),
        no_args_is_help=True,
        add_completion=verb is None,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
        context_settings={"help_option_names": ["-h", "--help"]},
    )

    @made.callback(invoke_without_command=True)
    def overnight(
        version: bool = typer.Option(False, "--version", help=say("cli.version")),
        debug: bool = typer.Option(False, "--debug", help=say("cli.debug")),
    ) -> None:
        if version:
            from overnight import __version__

            print("overnight", __version__)
            raise typer.Exit

    for name in VERBS if verb is None else (verb,):
        import_module("overnight.cli." + name).register(made)
    return made


def main(argv: Sequence[str] | None = None) -> int:
    """Runs a command line and returns its exit code: 2 for what the person can put right."""
    words = list(sys.argv[1:] if argv is None else argv)
    debug = bool(os.environ.get("OVERNIGHT_DEBUG"))
    while words[:1] == ["--debug"]:
        debug, words = True, words[1:]
    completing = "_OVERNIGHT_COMPLETE" in os.environ
    if words[:1] == ["run"]:
        from overnight.cli.run import arrange

        words = arrange(words)
    elif words[:1] == ["check"]:
        from overnight.cli.check import OPTIONS
        from overnight.cli.run import arrange

        words = arrange(words, OPTIONS)
    # A --help behind `--` is the job's.
    ours = words[: words.index("--")] if "--" in words else words
    helping = any(word in ("-h", "--help") for word in ours)
    verb = words[0] if words and words[0] in VERBS and not helping and not completing else None
    try:
        if sys.platform == "win32" and verb is not None and verb not in _EVERYWHERE:
            raise UserError("cli.not_on_windows", where="overnight " + verb)
        import typer.main

        command = typer.main.get_command(app(verb))
        answer = command.main(words, prog_name="overnight", standalone_mode=completing)
        if verb not in (None, "agent"):  # whoever stops it does not want it back at once
            _wake_agent()
        return answer if isinstance(answer, int) else 0
    except UserErrors as error:
        return _complain(error.errors, debug)
    except OvernightError as error:
        return _complain([error], debug)
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # Whoever read the output (head, less) has gone; the interpreter must not flush into it.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except Exception as error:
        if debug:
            raise
        return _translate(error)


def _wake_agent() -> None:
    """After a reboot nobody tells what is left to tell, until somebody types a command."""
    from overnight.outbox import follow, summon
    from overnight.outbox.folder import agent_paths

    try:
        paths = agent_paths()
        waits = os.path.isdir(paths.outbox) and os.listdir(paths.outbox)
        if (waits or follow.all_asked()) and summon.alive(paths) is None:
            summon.summon()
    except OSError:
        return  # a home folder that cannot be read: the verb has answered all the same


def _complain(errors: Sequence[OvernightError], debug: bool) -> int:
    """Prints what, where, how to fix; with ``--debug`` the traceback follows."""
    if debug:
        raise errors[0]
    listed = [error for error in errors if error.place is not None and error.place.name]
    for file in dict.fromkeys(error.place.file for error in listed if error.place is not None):
        _list_mistakes(file, [e for e in listed if e.place is not None and e.place.file == file])
    for error in errors:
        if error not in listed:
            _say_error(error.what, error.where, error.fix)
    return max(error.exit_code for error in errors)


def _list_mistakes(file: str, errors: Sequence[OvernightError]) -> None:
    """Prints what is wrong with one file, a line each: where, at which key, what, how to fix."""
    from overnight.cli.output import cells, pad
    from overnight.redact import redact

    head = say(
        "yaml.mistake" if len(errors) == 1 else "yaml.mistakes", count=len(errors), file=file
    )
    rows: list[tuple[str, str, str]] = []
    for error in errors:
        assert error.place is not None
        line = say("yaml.line", line=error.place.line) if error.place.line else ""
        said = "; ".join(filter(None, (error.what, error.fix)))
        rows.append((error.place.option or line, error.place.name, said))
    lines, names = (max(cells(row[column]) for row in rows) for column in (0, 1))
    text = [say("cli.error", what=head)]
    text += [f"  {pad(line, lines)}  {pad(name, names)}  {said}" for line, name, said in rows]
    print(redact("\n".join(text)), file=sys.stderr)


def _say_error(what: str, where: str = "", fix: str = "") -> None:
    from overnight.redact import redact

    lines = [say("cli.error", what=what)]
    lines += [say("cli.error_where", where=where)] if where else []
    lines += [say("cli.error_fix", fix=fix)] if fix else []
    print(redact("\n".join(lines)), file=sys.stderr)


def _translate(error: Exception) -> int:
    """What the parser or the system refused, in the reader's language and three lines."""
    import typer
    import typer._click.exceptions as click

    if isinstance(error, typer.Exit):
        return error.exit_code
    if isinstance(error, typer.Abort):
        return 130
    if isinstance(error, click.UsageError):
        return _usage_error(error)
    if isinstance(error, OSError):
        where = error.filename or ""
        reason = os.strerror(error.errno) if error.errno else str(error)
        problem = UserError("cli.system_refused", where=where, reason=reason)
        return _complain([problem], debug=False)
    _say_error(say("cli.bug", name=type(error).__name__, text=str(error)), fix=say("cli.bug.fix"))
    return 1


def _usage_error(error: Any) -> int:
    command = error.ctx.command_path if error.ctx is not None else "overnight"
    kind = type(error).__name__
    if kind == "NoArgsIsHelpError":  # its message is the help page
        print(error.format_message().rstrip("\n"), file=sys.stderr)
        return 2
    if command.startswith("overnight notify") and _may_quote_a_secret(error):
        return _complain([UserError("notify.secret_argument", where=command + " …")], debug=False)
    if kind == "NoSuchOption":
        near = ", ".join(error.possibilities or ())
        what = say("cli.no_such_option", option=error.option_name)
        fix = say("cli.did_you_mean", near=near) if near else say("cli.see_help", command=command)
    elif kind == "MissingParameter":
        what = say("cli.missing", name=(error.param.human_readable_name if error.param else ""))
        fix = say("cli.see_help", command=command)
    elif kind == "NoSuchCommand" or error.message.startswith("No such command"):
        from difflib import get_close_matches

        word = error.message.partition("'")[2].partition("'")[0]
        near = ", ".join(get_close_matches(word, getattr(error.ctx.command, "commands", VERBS)))
        what = say("cli.no_such_verb", verb=word)
        fix = say("cli.did_you_mean", near=near) if near else say("cli.see_help", command=command)
    else:
        what = error.format_message()
        fix = say("cli.see_help", command=command)
    _say_error(what, command, fix)
    return 2


def _may_quote_a_secret(error: Any) -> bool:
    """Whether the parser's words repeat a word that may be a channel's address or token."""
    from overnight.cli.notify_add import looks_secret

    verb = error.ctx.info_name
    if verb == "notify":  # and what follows is no verb of its
        return any(map(looks_secret, re.split(r"[\s'()]+", error.message)))
    return "unexpected extra argument" in error.message and verb in _TAKES_SECRETS
