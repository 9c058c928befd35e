"""``overnight stop``: end a run and everything it started."""

from __future__ import annotations

import getpass
import os
import sys
import time
from typing import Annotated

import typer

from overnight.cli.output import print_json
from overnight.cli.select import complete_run, find
from overnight.errors import LedgerError, RunConflict
from overnight.ledger.files import read_json
from overnight.ledger.identity import ALIVE, Identity
from overnight.ledger.paths import RunPaths
from overnight.ledger.state import ENDED, Elsewhere, Running, Unattended, exit_status, view, word
from overnight.messages import say

_LOOK_EVERY_S = 0.05

assert sys.platform != "win32"
#: The keeper and the supervisor leave this soon after the job, or something is wrong with them.
_TIDY_S = 30.0


def register(app: typer.Typer) -> None:
    """Adds ``stop``."""

    @app.command(help=say("stop.help"))
    def stop(
        run: Annotated[
            str | None, typer.Argument(help=say("stop.run"), autocompletion=complete_run)
        ] = None,
        now: Annotated[bool, typer.Option("--now", help=say("stop.now"))] = False,
        grace: Annotated[float, typer.Option(min=0, help=say("stop.grace"))] = 30.0,
        root: Annotated[str | None, typer.Option(help=say("run.root"))] = None,
        json: Annotated[bool, typer.Option("--json", help=say("cli.json"))] = False,
    ) -> None:
        found = find(run, root=root)
        before = view(found).state
        if isinstance(before, ENDED):
            raise RunConflict("stop.ended", where=found.run_id, state=say("state." + word(before)))
        if isinstance(before, Elsewhere) or (
            isinstance(before, Running) and before.seen_s is not None
        ):
            raise RunConflict("stop.elsewhere", where=found.run_id, host=before.host)
        _refuse_own(found)
        if not json and not now:
            print(say("stop.asked", run=found.run_id, grace=f"{grace:g}"))
        end(found, now=now, grace_s=grace)
        state = view(found).state
        if json:
            print_json("stop", run_id=found.run_id, state=word(state), code=exit_status(state))
        else:
            print(say("stop.done", run=found.run_id))


def end(run: RunPaths, *, now: bool, grace_s: float) -> None:
    """Asks for the stop and returns once nothing of the run is left.

    Raises:
        RunConflict: A program opened the run for itself: nobody is there to ask.
    """
    from overnight.supervisor.detach import detach, request
    from overnight.supervisor.launch import Launch

    _refuse_own(run)
    request(run, "stop", now=now, grace_s=grace_s, by=getpass.getuser())
    while not isinstance((seen := view(run)).state, ENDED):
        if isinstance(seen.state, Unattended):
            # Nobody looks after it: a new supervisor takes it over and finds the request.
            answer = detach(run, "adopt", Launch.read(run).environment(os.environ))
            if not answer.started and answer.why != "taken":
                raise LedgerError("run.supervisor_died", where=run.supervisor_log)
        time.sleep(_LOOK_EVERY_S)
    if seen.unsettled:
        from overnight.supervisor.ending import settle

        settle(run)
    _wait_until_gone(run)


def _refuse_own(run: RunPaths) -> None:
    info = read_json(run.run_json) or {}
    if info.get("supervised") is False:
        process = Identity.from_json(info.get("process"))
        raise RunConflict("stop.own", where=run.run_id, pid=process.pid if process else "?")


def _wait_until_gone(run: RunPaths) -> None:
    from overnight.supervisor.process import of_run

    keeper = Identity.from_json((read_json(run.keeper_json) or {}).get("keeper"))
    # By its lease: its claim is given back before its last duty, the run's page.
    supervisor = Identity.from_json((read_json(run.lease) or {}).get("supervisor"))
    me = Identity.of()
    until = time.monotonic() + _TIDY_S
    while time.monotonic() < until:
        theirs = [p for p in (keeper, supervisor) if p is not None and p != me]
        if not any(p.look() == ALIVE for p in theirs) and not of_run(run.dir, set()):
            return
        time.sleep(_LOOK_EVERY_S)
