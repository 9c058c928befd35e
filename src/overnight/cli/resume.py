"""``overnight resume``: another attempt of a run that ended, or a hand for one left alone."""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from overnight.cli.output import print_json, quoted
from overnight.cli.select import complete_run, find
from overnight.errors import LedgerError, RunConflict, UserError
from overnight.ledger import files
from overnight.ledger.paths import RunPaths
from overnight.ledger.state import (
    Elsewhere,
    Failed,
    Finished,
    Lost,
    Running,
    Stopped,
    Unattended,
    View,
    view,
    word,
)
from overnight.messages import say
from overnight.start import with_dotenv, with_terminal
from overnight.supervisor.detach import detach
from overnight.supervisor.ending import settle
from overnight.supervisor.launch import Launch, sha256

#: A run on another machine is taken over once its lease is this old.
_LEASE_OLD_S = 300.0


assert sys.platform != "win32"


def register(app: typer.Typer) -> None:
    """Adds ``resume``."""

    @app.command(help=say("resume.help"))
    def resume(
        run: Annotated[
            str | None, typer.Argument(help=say("stop.run"), autocompletion=complete_run)
        ] = None,
        code: Annotated[
            str, typer.Option(metavar="kept|current", help=say("resume.code"))
        ] = "kept",
        follow: Annotated[bool, typer.Option("--follow", "-f", help=say("run.follow"))] = False,
        force: Annotated[bool, typer.Option("--force", help=say("resume.force"))] = False,
        root: Annotated[str | None, typer.Option(help=say("run.root"))] = None,
        json: Annotated[bool, typer.Option("--json", help=say("cli.json"))] = False,
    ) -> int | None:
        if code not in ("kept", "current"):
            raise UserError("resume.code_form", where=f"--code {code}")
        found = find(run, root=root)
        verb, job_pid = again(found, current=code == "current", force=force)
        if json:
            print_json("resume", run_id=found.run_id, dir=found.dir, job_pid=job_pid,
                       adopted=verb == "adopt")  # fmt: skip
            return None
        saved = has_checkpoint(found)
        key = "adopted" if verb == "adopt" else "with_checkpoint" if saved else "from_start"
        print(say("resume." + key, run=found.run_id, pid=job_pid, word=quoted(found.run_id)))
        if follow:
            from overnight.cli.follow import follow as follow_run

            return follow_run(found)
        return None


def again(run: RunPaths, *, current: bool, force: bool) -> tuple[str, int]:
    """Takes the run over, or starts its next attempt; (``adopt`` or ``resume``, the job's pid).

    Raises:
        RunConflict: It runs, or its code has changed, or it may run on another machine.
    """
    seen = view(run)
    if seen.unsettled:
        seen = settle(run)
    _check(run, seen, force)
    if (files.read_json(run.run_json) or {}).get("supervised") is False:
        raise RunConflict("resume.own", where=run.run_id)
    if not os.path.exists(run.launch_json):
        raise LedgerError("run.no_launch", where=run.launch_json)
    launch = Launch.read(run)
    verb = "adopt" if isinstance(seen.state, Unattended) else "resume"
    if verb == "resume":
        changed = launch.changed()
        if current:
            launch = _with_current_code(run, launch)
        elif changed and not os.path.exists(changed):
            raise RunConflict("resume.code_gone", where=changed)
        elif changed:
            raise RunConflict("resume.code_changed", where=changed, run=quoted(run.run_id))
    env = with_dotenv(os.environ, run.root)
    missing = [name for name in launch.env_names if name not in env]
    if missing and verb == "resume":
        raise UserError("resume.env_missing", where=run.run_id, names=", ".join(missing))
    answer = detach(run, verb, with_terminal(run, launch.environment(env)))
    if not answer.started or answer.job_pid is None:
        if answer.why == "taken":
            raise RunConflict("resume.taken", where=run.run_id)
        if answer.errno is None:
            raise LedgerError("run.supervisor_died", where=run.supervisor_log)
        raise UserError("run.cannot_start", where=answer.file, reason=os.strerror(answer.errno))
    return verb, answer.job_pid


def _check(run: RunPaths, seen: View, force: bool) -> None:
    state = seen.state
    if isinstance(state, Elsewhere) or (isinstance(state, Running) and state.seen_s is not None):
        old = state.seen_s is not None and state.seen_s > _LEASE_OLD_S
        if not (old or force):
            raise RunConflict("resume.elsewhere", where=run.run_id, host=state.host)
    elif not isinstance(state, (Failed, Finished, Stopped, Lost, Unattended)):
        raise RunConflict("resume.alive", where=run.run_id, state=say("state." + word(state)))


def _with_current_code(run: RunPaths, launch: Launch) -> Launch:
    """The launch with the code as it is now; a notebook is converted anew."""
    if launch.notebook:
        from overnight.notebook import convert

        if not os.path.exists(launch.notebook):
            raise RunConflict("resume.code_gone", where=launch.notebook)
        made = convert(
            Path(launch.notebook), overrides=launch.overrides, paths=launch.path_map,
            env=os.environ,
        )  # fmt: skip
        files.replace(launch.entry, made.source.encode())
        launch = replace(launch, notebook_sha256=sha256(launch.notebook))
    if launch.entry:
        if not os.path.exists(launch.entry):
            raise RunConflict("resume.code_gone", where=launch.entry)
        launch = replace(launch, entry_sha256=sha256(launch.entry))
    launch.write(run)
    return launch


def has_checkpoint(run: RunPaths) -> bool:
    """Whether the job left anything in the folder ``overnight.checkpoint_dir()`` gives.

    A prediction keeps the rows it has, a search its trials: they need none.
    """
    if os.path.exists(run.at("study.jsonl")):
        return True
    places = (run.ckpt, run.at("prediction"))
    return any(files_there for place in places for _, _, files_there in os.walk(place))
