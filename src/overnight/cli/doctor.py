"""``overnight doctor``: is this machine fit to be left alone with a job?"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from overnight.cli.findings import patience, show, show_summary
from overnight.cli.output import print_json
from overnight.messages import say

if TYPE_CHECKING:
    from overnight.preflight.check import Check


def register(app: typer.Typer) -> None:
    """Adds ``doctor``."""

    @app.command(help=say("doctor.help"))
    def doctor(
        python: Annotated[
            str | None, typer.Option(metavar="PATH", help=say("doctor.help.python"))
        ] = None,
        root: Annotated[
            str | None, typer.Option(metavar="DIR", help=say("doctor.help.root"))
        ] = None,
        json: Annotated[bool, typer.Option("--json", help=say("doctor.help.json"))] = False,
    ) -> int:
        from overnight.ledger.paths import find_root
        from overnight.preflight.doctor import examine

        place = Path(find_root(str(Path.cwd()), root))
        more: dict[str, Callable[[], list[Check]]] = {}
        if sys.platform != "win32":  # the agent needs processes as Linux and macOS have them
            from overnight.agent.examine import examine_channels

            more["channels"] = examine_channels
            from overnight.agent.examine_trackers import examine_trackers

            more["trackers"] = examine_trackers
        if json:
            checks = examine(place, python, more=more)
            print_json("doctor", checks=[check.to_json() for check in checks])
        else:
            with patience(say("doctor.examining")):
                checks = examine(place, python, more=more)
            show(checks, lambda check: check.text)
            show_summary(checks, "doctor")
        return int(any(check.level == "bad" for check in checks))
