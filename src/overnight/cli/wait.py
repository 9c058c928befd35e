"""``overnight wait``: block until a run has ended, and leave with its exit code."""

from __future__ import annotations

import time
from typing import Annotated

import typer

from overnight.cli.glance import Glance, glance, look
from overnight.cli.output import parse_span, plain, print_json, span, warn
from overnight.cli.portrait import remark, title
from overnight.cli.select import complete_run, find, is_there
from overnight.errors import RunNotFound
from overnight.ledger.paths import RunPaths
from overnight.ledger.state import ENDED, Elsewhere, View, exit_status
from overnight.messages import say

#: As timeout(1) has it.
TIMED_OUT = 124
_FIRST_LOOK_S, _LAST_LOOK_S, _SLOWER = 0.02, 0.5, 1.5


def register(app: typer.Typer) -> None:
    """Adds ``wait``."""

    @app.command(help=say("show.wait_help"))
    def wait(
        run: Annotated[
            str | None, typer.Argument(help=say("show.run"), autocompletion=complete_run)
        ] = None,
        timeout: Annotated[
            str | None, typer.Option(metavar="10m", help=say("show.wait_timeout"))
        ] = None,
        root: Annotated[str | None, typer.Option(help=say("show.root"))] = None,
        json: Annotated[bool, typer.Option("--json", help=say("cli.json"))] = False,
    ) -> int:
        timeout_s = None if timeout is None else parse_span(timeout, "--timeout")
        found = find(run, root=root)
        now = until_ended(found, timeout_s)
        ended = isinstance(now.state, (*ENDED, Elsewhere))
        status = exit_status(now.state) if ended else TIMED_OUT
        assert status is not None
        seen = glance(found, now)
        if json:
            print_json("wait", **{**seen.to_json(), "exit_status": status, "timed_out": not ended})
        else:
            _tell(seen, timeout_s if not ended else None)
        return status


def until_ended(run: RunPaths, timeout_s: float | None = None) -> View:
    """Blocks until the run has ended, cannot be seen from here, or the time is over.

    Raises:
        RunNotFound: Its folder was removed meanwhile.
    """
    until = None if timeout_s is None else time.monotonic() + timeout_s
    pause_s = _FIRST_LOOK_S
    while True:
        now = look(run)
        if not is_there(run):
            raise RunNotFound("show.folder_gone", where=plain(run.dir))
        if isinstance(now.state, (*ENDED, Elsewhere)):
            return now
        left_s = _LAST_LOOK_S if until is None else until - time.monotonic()
        if left_s <= 0:
            return now
        time.sleep(min(pause_s, left_s))
        pause_s = min(_LAST_LOOK_S, pause_s * _SLOWER)


def _tell(seen: Glance, timed_out_s: float | None) -> None:
    run = plain(seen.run.run_id)
    if timed_out_s is not None:
        warn(say("show.wait_timed_out", run=run, span=span(timed_out_s)))
        return
    warn(f"{run}: {title(seen.view.state)}")
    if note := remark(seen.view.state):
        warn("  " + note)
