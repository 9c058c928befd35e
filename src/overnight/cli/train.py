"""``overnight train``: what a config asks for, supervised; the terminal may look on."""

from __future__ import annotations

import os
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


def register(app: typer.Typer) -> None:
    """Adds ``train``."""

    @app.command(help=say("train.help"))
    def train(
        target: Annotated[str, typer.Argument(help=say("train.config"), show_default=False)] = "",
        config: Annotated[
            str, typer.Option("--config", "-c", metavar="FILE", help=say("train.config"))
        ] = "",
        set_: Annotated[
            list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help=say("train.set"))
        ] = None,
        detach: Annotated[bool, typer.Option("--detach", "-d", help=say("train.detach"))] = False,
        name: Name = None,
        env: Env = None,
        restart: Restart = 0,
        stall_after: StallAfter = None,
        label: Label = None,
        notify: Notify = None,
        alert: Alert = None,
        heartbeat: Heartbeat = None,
        format_: Format = None,
        track: Track = None,
        root: Root = None,
        json: Json = False,
    ) -> int | None:
        from overnight.start import Asked, start

        problems: list[UserError] = []
        path = _config(target, config, problems)
        asked = Asked(
            target=path,
            name=name,
            overrides=pairs(set_ or (), "--set", problems),
            env=variables(env or ()),
            restart=restart,
            stall_after_s=parse_stall_after(stall_after, problems),
            labels=label or (),
            kind="train",
            root=root,
            notify=notify or (),
            alerts=alert or (),
            heartbeat=heartbeat,
            format=format_,
            track=track or (),
        )
        if not path:
            raise problems[0]
        started = start(asked, problems)
        if json:
            print_json(
                "train",
                run_id=started.run.run_id,
                name=started.name,
                dir=started.run.dir,
                log=started.run.log,
                job_pid=started.job_pid,
            )
            return None
        announce(started)
        if detach:
            return None
        from overnight.cli.follow import follow

        return follow(started.run)


def _config(target: str, option: str, problems: list[UserError]) -> str:
    """The config that was named, as an option or without one; empty where none can be meant."""
    path = option or target
    if target and option:
        problems.append(UserError("train.two_configs", where=f"{target} {option}", path=option))
    if not path:
        problems.append(UserError("train.no_config", where="--config"))
    elif os.path.splitext(path)[1].lower() not in (".yaml", ".yml"):
        problems.append(UserError("train.not_yaml", where=path, path=path))
        return ""
    return path
