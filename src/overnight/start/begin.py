"""From what was checked to a job that really runs; a start that fails leaves nothing."""

from __future__ import annotations

import os
import shutil
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from overnight.errors import LedgerError, UserError, UserErrors
from overnight.ledger import files
from overnight.ledger.paths import RunPaths, create_run, name_from
from overnight.preflight.trial.abandoned import put_back_abandoned
from overnight.start import tell, track
from overnight.start.check import Asked, Ready, check
from overnight.start.describe import describe
from overnight.supervisor.detach import detach, kill, uninterrupted
from overnight.supervisor.launch import Launch, hide, kept, sha256

assert sys.platform != "win32"


@dataclass(frozen=True, slots=True)
class Started:
    """A job that really runs."""

    run: RunPaths
    name: str
    job_pid: int
    #: The script a notebook became; empty for anything else.
    script: str = ""
    #: What the notebook's conversion has to say (overnight.notebook.Finding).
    findings: Sequence[Any] = ()
    overrides_diff: str = ""
    #: Why the user's index could not take it; empty if it did.
    unlisted: str = ""
    #: The channels it will be told of on.
    channels: Sequence[str] = ()
    #: What a config asks for (overnight.spec.Spec).
    spec: Any = None


def start(asked: Asked, found: Sequence[UserError] = ()) -> Started:
    """Checks, makes the run's folder, starts the supervisor, and returns once the job runs.

    Args:
        asked: What to run.
        found: What is known to be wrong already, told together with all the rest.

    Raises:
        UserErrors: Everything that is wrong with what was asked; nothing was started or left.
    """
    # What a killed `check` has left would be taken for last night's, or be undone over tonight's.
    put_back_abandoned()
    return begin(check(asked, found))


def begin(ready: Ready) -> Started:
    """Makes the run's folder, starts the supervisor, and returns once the job runs.

    Raises:
        UserErrors: The system does not let it start; nothing is left.
    """
    asked, argv, env = ready.asked, list(ready.argv), dict(ready.env)
    name = asked.name or name_from(asked.target or asked.args[0])
    run: RunPaths | None = None
    try:
        with uninterrupted():
            run = create_run(ready.root, asked.kind, name)
        cwd, entry, notebook = os.getcwd(), "", ""
        needed: dict[str, str] = {}
        secrets: tuple[str, ...] = ()
        if ready.kind == "script":
            entry = os.path.abspath(asked.target)
            shutil.copyfile(entry, os.path.join(run.code, os.path.basename(entry)))
        elif ready.kind == "notebook":
            notebook = os.path.abspath(asked.target)
            # A notebook runs where it lies, and imports what lies beside it.
            cwd = os.path.dirname(notebook)
            entry = os.path.join(run.code, name_from(notebook) + ".py")
            files.replace(entry, ready.conversion.source.encode())
            argv[1] = entry
            env["PYTHONPATH"] = os.pathsep.join(filter(None, [cwd, env.get("PYTHONPATH", "")]))
        elif ready.kind == "config":
            from overnight.start import config

            spec = ready.spec
            if asked.track:  # on the command line: whoever does this again wants it again
                named = tuple(each for each in asked.track if each != "none")
                spec = spec.model_copy(update={"track": named})
            config.keep(spec, asked.target, run)
            if ready.keep is not None:
                ready.keep(run)
            needed, secrets = config.variables(ready.spec, env)
            # Nothing of it is relative any more, and the root is there as long as the run is.
            cwd, entry = run.root, run.config_yaml
            # -P: a torch.py or overnight/ that happens to lie in the root is none of ours.
            argv = [ready.python, "-P", "-m", "overnight.trainer", run.dir]
        elif ready.kind == "own":
            assert ready.keep is not None
            is_code = asked.target.lower().endswith((".py", ".ipynb"))  # a search over a script
            cwd, entry = run.root, os.path.abspath(asked.target) if is_code else run.config_yaml
            argv = ready.keep(run)
        launch = Launch(
            argv=hide(argv, env),
            cwd=cwd,
            env={**kept(env), **needed, **{k: v for k, v in asked.env.items() if v is not None}},
            env_names=(*(k for k, v in asked.env.items() if v is None), *secrets),
            entry=entry,
            entry_sha256=sha256(entry) if entry else "",
            notebook=notebook,
            notebook_sha256=sha256(notebook) if notebook else "",
            overrides={} if ready.kind == "config" else dict(asked.overrides),
            path_map=dict(asked.path_map),
            restart=asked.restart,
            stall_after_s=asked.stall_after_s,
            root=run.root,
        )
        launch.write(run)
        if ready.settings is not None:
            tell.write(run, ready.settings)
        track.write(run, ready.trackers)
        created_us = time.time_ns() // 1000
        describe(run, ready, name, launch, created_us, env)
        answer = detach(run, "start", tell.with_terminal(run, launch.environment(env)))
    except BaseException:  # a Ctrl-C too: a start that was not reported never was
        if run is not None:
            _undo(run)
        raise
    if not answer.started or answer.job_pid is None:
        crashed = ""
        try:
            with open(run.supervisor_log, encoding="utf-8", errors="replace") as log:
                crashed = log.read().strip()[-2000:]
        except OSError:
            pass
        _undo(run)
        if answer.errno is None:
            raise LedgerError("run.supervisor_died", where=crashed.rpartition("\n")[2])
        reason = os.strerror(answer.errno)
        raise UserErrors([UserError("run.cannot_start", where=answer.file, reason=reason)])
    diff = ready.conversion.overrides_diff if notebook else ""
    script = entry if notebook else ""
    channels = ready.settings.channels if ready.settings is not None else ()
    return Started(
        run, name, answer.job_pid, script, ready.findings, diff, answer.unlisted, channels,
        spec=ready.spec,
    )  # fmt: skip


def _undo(run: RunPaths) -> None:
    """Ends what a start that failed has begun, and removes what it has made."""
    kill(run)
    shutil.rmtree(run.dir, ignore_errors=True)
    files.discard(run.log)
