"""``overnight run``: start a job that outlives the terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Annotated

import typer

from overnight.cli.asked import (
    Alert,
    Env,
    Format,
    Heartbeat,
    Json,
    Label,
    Name,
    Notify,
    Restart,
    Root,
    StallAfter,
    Track,
    announce,
    pairs,
    parse_stall_after,
    variables,
)
from overnight.cli.output import print_json
from overnight.errors import UserError
from overnight.messages import say

#: Options of ``run`` and whether they take a value: the command line is split by them before
#: typer sees it, since behind TARGET what is not ours is the job's.
_OPTIONS = {
    "--name": True, "--set": True, "--map": True, "--env": True, "--python": True,
    "--restart": True, "--stall-after": True, "--label": True, "--kind": True, "--root": True,
    "--notify": True, "--alert": True, "--heartbeat": True, "--format": True, "--track": True,
    "--check": False, "--follow": False, "-f": False, "--json": False, "--help": False, "-h": False,
}  # fmt: skip
_KINDS = ("run", "train", "optimization", "infer", "pipeline")


def arrange(
    words: Sequence[str], options: Mapping[str, bool] = MappingProxyType(_OPTIONS)
) -> list[str]:
    """Puts our options in front, so that all behind ``--`` is the target and the job's arguments.

    Before TARGET an option we do not know is an error; behind it, it is the job's. Behind ``--``
    everything is the job's, and without a TARGET before it everything is the command.

    Args:
        words: The command line, the verb first.
        options: The verb's options, and whether they take a value.
    """
    ours: list[str] = [words[0]]
    theirs: list[str] = []
    target = False
    at = 1
    while at < len(words):
        word = words[at]
        at += 1
        if word == "--":
            rest = list(words[at:])
            return [*ours, "--", *(theirs if target else [""]), *rest]
        name, equals, _ = word.partition("=")
        # Behind TARGET a short option is the job's: -f and -h mean too many things elsewhere.
        if name in options and (word.startswith("--") or not (equals or target)):
            ours.append(word)
            if options[name] and not equals and at < len(words) and words[at] != "--":
                ours.append(words[at])
                at += 1
        elif not target and word.startswith("-") and word != "-":
            ours.append(word)  # typer says what is wrong with it
        else:
            target = True
            theirs.append(word)
    return [*ours, "--", *theirs] if theirs else ours


def register(app: typer.Typer) -> None:
    """Adds ``run``."""

    @app.command(help=say("run.help"), no_args_is_help=True)
    def run(
        target: Annotated[str, typer.Argument(help=say("run.target"), show_default=False)] = "",
        args: Annotated[list[str] | None, typer.Argument(help=say("run.args"))] = None,
        name: Name = None,
        follow: Annotated[bool, typer.Option("--follow", "-f", help=say("run.follow"))] = False,
        set_: Annotated[
            list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help=say("run.set"))
        ] = None,
        map_: Annotated[
            list[str] | None, typer.Option("--map", metavar="FROM=TO", help=say("run.map"))
        ] = None,
        env: Env = None,
        python: Annotated[str | None, typer.Option(help=say("run.python"))] = None,
        restart: Restart = 0,
        stall_after: StallAfter = None,
        label: Label = None,
        notify: Notify = None,
        alert: Alert = None,
        heartbeat: Heartbeat = None,
        format_: Format = None,
        check: Annotated[bool, typer.Option("--check", help=say("run.check"))] = False,
        kind: Annotated[str, typer.Option(help=say("run.kind"))] = "run",
        track: Track = None,
        root: Root = None,
        json: Json = False,
    ) -> int | None:
        from overnight.start import Asked, start

        problems: list[UserError] = []
        asked = Asked(
            target=target,
            args=args or (),
            name=name,
            overrides=pairs(set_ or (), "--set", problems),
            path_map=pairs(map_ or (), "--map", problems),
            env=variables(env or ()),
            python=python,
            restart=restart,
            stall_after_s=parse_stall_after(stall_after, problems),
            labels=label or (),
            kind=_kind(kind, problems),
            root=root,
            notify=notify or (),
            alerts=alert or (),
            heartbeat=heartbeat,
            format=format_,
            track=track or (),
        )
        if json and follow:
            problems.append(UserError("run.json_and_follow", where="--json --follow"))
        if json and check:
            problems.append(UserError("run.json_and_check", where="--json --check"))
        if check and not problems:
            from overnight.cli.check import check_first

            if not check_first(asked):
                return 1
        started = start(asked, problems)
        if json:
            print_json(
                "run",
                run_id=started.run.run_id,
                name=started.name,
                dir=started.run.dir,
                log=started.run.log,
                job_pid=started.job_pid,
                script=started.script or None,
                findings=[
                    {"level": f.level, "cell": f.cell, "line": f.line, "key": f.key}
                    for f in started.findings
                ],
            )
            return None
        announce(started)
        if follow:
            from overnight.cli.follow import follow as follow_run

            return follow_run(started.run)
        return None


def _kind(kind: str, problems: list[UserError]) -> str:
    if kind not in _KINDS:
        kinds = ", ".join(_KINDS)
        problems.append(UserError("run.kind_form", where=f"--kind {kind}", kinds=kinds))
    return kind
