"""What ``run`` and ``train`` take alike, and what both say when it runs."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Sequence
from typing import Annotated, Any

import typer

from overnight.cli.output import quoted
from overnight.errors import UserError
from overnight.messages import say

#: Options that mean the same wherever something is started.
Name = Annotated[str | None, typer.Option(help=say("run.name"))]
Env = Annotated[list[str] | None, typer.Option("--env", metavar="K=V", help=say("run.env"))]
Restart = Annotated[int, typer.Option(min=0, help=say("run.restart"))]
StallAfter = Annotated[str | None, typer.Option(metavar="10m", help=say("run.stall_after"))]
Label = Annotated[list[str] | None, typer.Option(help=say("run.label"))]
Notify = Annotated[
    list[str] | None, typer.Option("--notify", metavar="NAME", help=say("run.notify"))
]
Alert = Annotated[list[str] | None, typer.Option("--alert", metavar="RULE", help=say("run.alert"))]
Heartbeat = Annotated[str | None, typer.Option(metavar="3h", help=say("run.heartbeat"))]
Format = Annotated[str | None, typer.Option("--format", help=say("run.format"))]
Track = Annotated[
    list[str] | None, typer.Option("--track", metavar="NAME", help=say("track.option"))
]
Root = Annotated[str | None, typer.Option(help=say("run.root"))]
Json = Annotated[bool, typer.Option("--json", help=say("cli.json"))]
#: Of a search. Texts, so that what is wrong with them is told together with the config's mistakes.
Trials = Annotated[str | None, typer.Option("--n-trials", metavar="N", help=say("train.n_trials"))]
OptunaConfig = Annotated[
    str, typer.Option("--optuna-config", metavar="FILE", help=say("train.optuna_config"))
]

_SPAN = re.compile(r"(\d+(?:\.\d+)?)\s*(s|m|h)?")


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
