"""The options of ``overnight run`` as the parser knows them: for its help page, and for mistakes.

A command line without mistakes never comes here: ``run.plain`` takes it without the parser.
"""

from __future__ import annotations

from typing import Annotated

import typer

from overnight.cli.run import go
from overnight.messages import say


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
        kind: Annotated[str, typer.Option(help=say("run.kind"))] = "run",
        root: Annotated[str | None, typer.Option(help=say("run.root"))] = None,
        json: Annotated[bool, typer.Option("--json", help=say("cli.json"))] = False,
    ) -> int | None:
        return go(
            target=target,
            args=args or (),
            name=name,
            follow=follow,
            set_=set_ or (),
            map_=map_ or (),
            env=env or (),
            python=python,
            restart=restart,
            stall_after=stall_after,
            label=label or (),
            kind=kind,
            root=root,
            json=json,
        )
