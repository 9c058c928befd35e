"""``overnight run``: start a job that outlives the terminal."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Annotated, Any

import typer

from overnight.cli.output import print_json, quoted
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
_SPAN = re.compile(r"(\d+(?:\.\d+)?)\s*(s|m|h)?")


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
        name: Annotated[str | None, typer.Option(help=say("run.name"))] = None,
        follow: Annotated[bool, typer.Option("--follow", "-f", help=say("run.follow"))] = False,
        set_: Annotated[
            list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help=say("run.set"))
        ] = None,
        map_: Annotated[
            list[str] | None, typer.Option("--map", metavar="FROM=TO", help=say("run.map"))
        ] = None,
        env: Annotated[
            list[str] | None, typer.Option("--env", metavar="K=V", help=say("run.env"))
        ] = None,
        python: Annotated[str | None, typer.Option(help=say("run.python"))] = None,
        restart: Annotated[int, typer.Option(min=0, help=say("run.restart"))] = 0,
        stall_after: Annotated[
            str | None, typer.Option(metavar="10m", help=say("run.stall_after"))
        ] = None,
        label: Annotated[list[str] | None, typer.Option(help=say("run.label"))] = None,
        notify: Annotated[
            list[str] | None, typer.Option("--notify", metavar="NAME", help=say("run.notify"))
        ] = None,
        alert: Annotated[
            list[str] | None, typer.Option("--alert", metavar="RULE", help=say("run.alert"))
        ] = None,
        heartbeat: Annotated[
            str | None, typer.Option(metavar="3h", help=say("run.heartbeat"))
        ] = None,
        format_: Annotated[str | None, typer.Option("--format", help=say("run.format"))] = None,
        check: Annotated[bool, typer.Option("--check", help=say("run.check"))] = False,
        kind: Annotated[str, typer.Option(help=say("run.kind"))] = "run",
        track: Annotated[
            list[str] | None, typer.Option("--track", metavar="NAME", help=say("track.option"))
        ] = None,
        root: Annotated[str | None, typer.Option(help=say("run.root"))] = None,
        json: Annotated[bool, typer.Option("--json", help=say("cli.json"))] = False,
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


def announce(started: Any) -> None:
    """Says that it runs, and how to follow, stop and find it."""
    if started.overrides_diff:
        print(started.overrides_diff.rstrip("\n"), file=sys.stderr)
    for finding in started.findings:
        if finding.level == "warns":
            where = say("run.cell", cell=finding.cell, line=finding.line)
            print(f"! {where} {finding.text}", file=sys.stderr)
    run = started.run
    if started.unlisted:
        unlisted = say("run.unlisted", reason=started.unlisted, root=quoted(run.root))
        print(f"! {unlisted}", file=sys.stderr)
    word = quoted(run.run_id)
    print(say("run.started", name=started.name, pid=started.job_pid, run=word, log=run.log))
    if started.script:
        print(say("run.script", script=started.script))
    if started.channels:
        print(say("run.tells", names=", ".join(started.channels)))
        from overnight.agent import logins
        from overnight.start import with_dotenv

        env = with_dotenv(os.environ, run.root)
        for problem in logins.problems(started.channels, env).values():
            print(f"! {problem.text}\n  → {problem.fix}", file=sys.stderr)


def pairs(items: Sequence[str], option: str, problems: list[UserError]) -> dict[str, str]:
    """``KEY=VALUE`` items as a mapping."""
    found: dict[str, str] = {}
    for item in items:
        key, equals, value = item.partition("=")
        if not key or not equals:
            problems.append(UserError("run.pair_form", where=f"{option} {item}", option=option))
        found[key] = value
    return found


def variables(items: Sequence[str]) -> dict[str, str | None]:
    """``K=V`` items as a mapping; a bare ``K`` stands for this process's own value."""
    found: dict[str, str | None] = {}
    for item in items:
        name, equals, value = item.partition("=")
        found[name] = value if equals else None
    return found


def parse_stall_after(text: str | None, problems: list[UserError]) -> float | None:
    """``90``, ``90s``, ``10m``, ``2h`` in seconds."""
    if text is None:
        return None
    match = _SPAN.fullmatch(text.strip())
    seconds = float(match[1]) * {"s": 1, "m": 60, "h": 3600}[match[2] or "s"] if match else 0.0
    if seconds <= 0:
        problems.append(UserError("run.span_form", where=f"--stall-after {text}"))
        return None
    return seconds


def _kind(kind: str, problems: list[UserError]) -> str:
    if kind not in _KINDS:
        kinds = ", ".join(_KINDS)
        problems.append(UserError("run.kind_form", where=f"--kind {kind}", kinds=kinds))
    return kind
