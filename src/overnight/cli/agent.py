"""``overnight agent``: the process that follows runs and delivers messages."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from typing import Annotated

import typer

from overnight.cli.output import echo, print_json
from overnight.errors import OvernightError, UserError
from overnight.messages import say

#: For it to begin; to leave, with what its couriers have in hand.
_WITHIN_S = 10.0
_LOOK_AGAIN_S = 0.05
_ACTIONS = ("status", "start", "stop")


def register(app: typer.Typer) -> None:
    """Adds ``agent``."""

    @app.command(help=say("agent.help"))
    def agent(
        action: Annotated[str, typer.Argument(help=say("agent.action"))] = "status",
        install: Annotated[bool, typer.Option("--install", help=say("agent.install"))] = False,
        uninstall: Annotated[
            bool, typer.Option("--uninstall", help=say("agent.uninstall"))
        ] = False,
        json: Annotated[bool, typer.Option("--json", help=say("cli.json"))] = False,
    ) -> int:
        if action not in _ACTIONS:
            raise UserError(
                "agent.no_action", where=action, action=action, actions=", ".join(_ACTIONS)
            )
        if install and uninstall:
            raise UserError("agent.both", where="--install --uninstall")
        if install or uninstall:
            return _install() if install else _uninstall()
        if action == "start":
            from overnight.outbox.summon import summon

            summon()
            _until_alive()
        elif action == "stop":
            _stop()
        return _status(json=json)


def _install() -> int:
    from overnight.agent.install import install

    found = install()
    echo(say("agent.installed", how=found.how, where=found.where))
    if not found.lingers:
        echo(say("agent.linger"))
    return 0


def _uninstall() -> int:
    from overnight.agent.install import uninstall

    found = uninstall()
    if found is None:
        echo(say("agent.was_not_installed"))
    else:
        echo(say("agent.uninstalled", where=found.where))
    return 0


def _until_alive() -> None:
    from overnight.outbox.summon import alive

    give_up = time.monotonic() + _WITHIN_S
    while alive() is None:
        if time.monotonic() > give_up:
            from overnight.outbox.folder import agent_paths

            raise OvernightError("agent.not_started", where=agent_paths().log)
        time.sleep(_LOOK_AGAIN_S)


def _stop() -> None:
    from overnight.ledger.identity import ALIVE
    from overnight.outbox.summon import alive

    found = alive()
    if found is None:
        return
    if found.look() != ALIVE:
        raise UserError("agent.elsewhere", where=found.host, host=found.host)
    force_at = time.monotonic() + _WITHIN_S
    give_up_at = force_at + _WITHIN_S
    number = signal.SIGTERM
    while found.look() == ALIVE:
        with contextlib.suppress(ProcessLookupError):  # gone in this moment
            os.kill(found.pid, number)
        until = time.monotonic() + 1.0
        while found.look() == ALIVE and time.monotonic() < until:
            time.sleep(_LOOK_AGAIN_S)
        if time.monotonic() > give_up_at:  # the kernel waits for a disk on its behalf
            raise OvernightError("agent.not_stopped", where=f"pid {found.pid}")
        if time.monotonic() > force_at:
            number = signal.SIGKILL


def _status(*, json: bool) -> int:
    from overnight.agent.install import installed
    from overnight.outbox import follow
    from overnight.outbox.folder import agent_paths
    from overnight.outbox.message import waiting
    from overnight.outbox.summon import alive

    paths = agent_paths()
    found, set_up = alive(paths), installed()
    runs, messages = follow.all_asked(), waiting(paths)
    log = paths.log if os.path.exists(paths.log) and os.path.getsize(paths.log) else None
    if json:
        print_json(
            "agent",
            pid=found.pid if found else None,
            runs=[run.run_id for run in runs],
            num_waiting=len(messages),
            installed=set_up.how if set_up else None,
            folder=paths.dir,
            log=log,
        )
        return 0
    echo(say("agent.alive", pid=found.pid) if found else say("agent.not_alive"))
    for run in runs:
        echo(say("agent.follows", run=run.run_id))
    if messages:
        echo(say("agent.waiting", num=len(messages)))
    if set_up is not None:
        echo(say("agent.is_installed", how=set_up.how, where=set_up.where))
    else:
        echo(say("agent.is_not_installed"))
    if log:
        echo(say("agent.log", path=log))
    return 0
