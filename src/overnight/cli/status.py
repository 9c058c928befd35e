"""``overnight status``: one run, and what to type next."""

from __future__ import annotations

from typing import Annotated

import typer

from overnight.cli import tracked
from overnight.cli.glance import Glance, cause_of, glance
from overnight.cli.output import echo, print_json
from overnight.cli.portrait import portrait
from overnight.cli.select import complete_run, find
from overnight.messages import say


def register(app: typer.Typer) -> None:
    """Adds ``status``."""

    @app.command(help=say("show.status_help"))
    def status(
        run: Annotated[
            str | None, typer.Argument(help=say("show.run"), autocompletion=complete_run)
        ] = None,
        root: Annotated[str | None, typer.Option(help=say("show.root"))] = None,
        json: Annotated[bool, typer.Option("--json", help=say("cli.json"))] = False,
    ) -> None:
        seen = glance(find(run, root=root))
        if json:
            print_json("status", **to_json(seen))
            return
        echo("\n".join(portrait(seen)))


def to_json(seen: Glance) -> dict[str, object]:
    """The run as ``status --json`` shows it: with its cause and what it was started with."""
    info = seen.info
    told = {key: info.get(key) for key in ("target", "argv", "cwd", "labels", "host", "git_commit")}
    trackers = tracked.to_json(seen.run)
    return {**seen.to_json(), **told, "cause": cause_of(seen.view), "trackers": trackers}
