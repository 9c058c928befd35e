"""What was asked for, and everything that can be wrong with it, found in some milliseconds."""

from __future__ import annotations

import errno
import os
import shlex
import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

from overnight.errors import NotebookError, UserError, UserErrors
from overnight.ledger.paths import (
    MAX_NAME_CHARS,
    RunPaths,
    find_root,
    name_from,
    name_problem,
)
from overnight.preflight.python import job_python
from overnight.redact import is_secret_name, secret_values
from overnight.start.tell import whom_to_tell
from overnight.start.track import where_to_track
from overnight.start.wanted import Wanted

if TYPE_CHECKING:
    from overnight.alerts.settings import Settings

#: A job's first minutes of output and a checkpoint need at least this.
_FREE_MIB = 64
_TARGETS = (".py", ".ipynb", ".yaml", ".yml")
TargetKind = Literal["script", "notebook", "command", "config", "own"]


@dataclass(frozen=True, slots=True)
class Asked:
    """What a person asked to run.

    Attributes:
        target: A ``.py`` or ``.ipynb`` file, or a training's ``.yaml``; empty for a command.
        args: The job's arguments, or the whole command.
        overrides: A notebook's parameters, or a config's keys, to rewrite: name → text.
        path_map: Folders a notebook names (``/kaggle/input``) → folders here.
        env: Variables for the job; a None value is taken from this process's environment.
        stall_after_s: Quiet time that counts as a stall; None for the default.
        notify: Names of channels; none: as the files say; ``none``: nobody.
        alerts: Rules, as ``val_f1 > 0.9``.
        heartbeat: How often to give a sign of life: ``3h``.
        format: How messages are written: short, full or custom.
        track: Names of trackers; none: as the files say; ``none``: nowhere.
        wanted: What else a training's options ask for.
    """

    target: str = ""
    args: Sequence[str] = ()
    name: str | None = None
    overrides: Mapping[str, str] = field(default_factory=dict)
    path_map: Mapping[str, str] = field(default_factory=dict)
    env: Mapping[str, str | None] = field(default_factory=dict)
    python: str | None = None
    restart: int = 0
    stall_after_s: float | None = None
    labels: Sequence[str] = ()
    kind: str = "run"
    root: str | None = None
    notify: Sequence[str] = ()
    alerts: Sequence[str] = ()
    heartbeat: str | None = None
    format: str | None = None
    track: Sequence[str] = ()
    wanted: Wanted = Wanted()


@dataclass(frozen=True, slots=True)
class Ready:
    """What was asked for, with nothing left that is known to fail.

    Attributes:
        root: The root folder; it can be written.
        argv: How the job is called; a notebook's script is not there yet, so ``argv[1]`` is empty.
        env: The job's environment.
        python: The job's Python; empty for a command.
        conversion: Of a notebook (overnight.notebook.Conversion).
        findings: What the person should know of the notebook (overnight.notebook.Finding).
        settings: What is to be told of it, and where; None: nobody is told.
        spec: What a config asks for (overnight.spec.Spec).
        trackers: Where its records go, as track.json keeps it.
        keep: Of a process of ours that is no training (kind ``own``): writes what it reads into the
            run's folder, config.yaml among it, and gives how it is called.
    """

    asked: Asked
    kind: TargetKind
    root: str
    argv: Sequence[str]
    env: Mapping[str, str]
    python: str
    conversion: Any
    findings: Sequence[Any]
    settings: Settings | None = None
    spec: Any = None
    trackers: Sequence[dict[str, Any]] = ()
    keep: Callable[[RunPaths], list[str]] | None = None


def check(asked: Asked, found: Sequence[UserError] = ()) -> Ready:
    """Finds everything that is wrong with what was asked.

    Args:
        asked: What to run.
        found: What is known to be wrong already, told together with all the rest.

    Raises:
        UserErrors: All of it at once.
    """
    problems = list(found)
    ready = _gather(asked, problems)
    if ready is not None:
        problems += _blocks(ready)
        problems += _check_root(ready.root)
        if ready.kind == "config":
            from overnight.start import outlook

            problems += outlook.mistakes(ready.spec, ready.env)
    if ready is None or problems:
        raise UserErrors(problems)
    return ready


def prepare(asked: Asked, found: Sequence[UserError] = ()) -> Ready:
    """What was asked for, ready to be looked at: as :func:`check`, but of the job's own faults.

    What would stop a notebook at night stays among its findings, and the disk may be full: whoever
    looks at the job tells of it together with all the rest.

    Raises:
        UserErrors: What was asked for cannot even be looked at.
    """
    problems = list(found)
    ready = _gather(asked, problems)
    if ready is None or problems:
        raise UserErrors(problems)
    return ready


def own(
    asked: Asked,
    root: str,
    env: Mapping[str, str],
    keep: Callable[[RunPaths], list[str]],
    problems: list[UserError],
) -> Ready:
    """A run whose process is ours and no training: a prediction, a search.

    Args:
        asked: With its kind and its name.
        root: The root folder.
        env: The job's environment.
        keep: See ``Ready.keep``.
        problems: What is wrong with the name, the channels, the trackers or the root is added here.
    """
    if asked.name is not None and (why := name_problem(asked.name)) is not None:
        problems.append(UserError(f"run.name_{why}", where="--name", limit=MAX_NAME_CHARS))
    settings = whom_to_tell(asked, root, env, problems)
    trackers = where_to_track(asked.track, root, env, problems)
    problems += _check_root(root)
    return Ready(
        asked, "own", root, [], env, sys.executable, None, [], settings, None, trackers, keep
    )


def _gather(asked: Asked, problems: list[UserError]) -> Ready | None:
    """What was asked for, and into ``problems`` what is wrong with the asking."""
    kind = _kind_of_target(asked, problems)
    if asked.name is not None:
        why = name_problem(asked.name)
        if why is not None:
            problems.append(UserError(f"run.name_{why}", where="--name", limit=MAX_NAME_CHARS))
    if kind in ("script", "command"):
        problems += [
            UserError("run.set_on_script", where=f"--set {key}", key=key, target=asked.target)
            for key in asked.overrides
        ]
    cwd = os.getcwd()
    base = os.path.dirname(os.path.abspath(asked.target)) if asked.target else cwd
    root = find_root(base if os.path.isdir(base) else cwd, asked.root)
    env = environment(asked, root, problems)
    for value, secret in secret_values(env).items():
        problems += [
            UserError("run.set_secret", where=f"--set {key}=…", name=secret)
            for key, text in asked.overrides.items()
            if value in text
        ]
    if kind == "config":
        return _gather_config(asked, root, env, problems)
    conversion = _convert(asked, env, problems) if kind == "notebook" and not problems else None
    python = _python(asked, conversion, env, problems) if kind != "command" else ""
    argv = _argv(asked, kind, python, env, problems) if kind is not None else []
    findings: list[Any] = []
    if conversion is not None and python:
        findings = _check_notebook(asked.target, conversion, python)
    if kind is None:
        problems += _check_root(root)
        return None
    settings = whom_to_tell(asked, root, env, problems)
    trackers = where_to_track(asked.track, root, env, problems)
    return Ready(
        asked, kind, root, argv, env, python, conversion, findings, settings, trackers=trackers
    )


def _gather_config(
    asked: Asked, root: str, env: dict[str, str], problems: list[UserError]
) -> Ready | None:
    """A training as a config asks for it: read whole, and its paths looked for."""
    from overnight.start import config

    spec = config.read(asked, env, problems)
    if spec is None:
        whom_to_tell(asked, root, env, problems)
        problems += _check_root(root)
        return None
    if not (asked.root or os.environ.get("OVERNIGHT_ROOT")):
        own = config.root_of(spec)
        if own is not None and own != root:
            root = own
            env = environment(asked, root, [])
    asked = replace(
        asked,
        kind=spec.kind,
        name=asked.name or name_from(spec.project.name),
        target=os.path.abspath(asked.target),  # it is read again where the search leaves another
    )
    settings = whom_to_tell(asked, root, env, problems, config=spec.given)
    trackers = where_to_track(asked.track, root, env, problems, config=spec.track, is_training=True)
    return Ready(asked, "config", root, [], env, sys.executable, None, [], settings, spec, trackers)


def _kind_of_target(asked: Asked, problems: list[UserError]) -> TargetKind | None:
    if not asked.target:
        if not asked.args:
            problems.append(UserError("run.nothing"))
        return "command"
    suffix = os.path.splitext(asked.target)[1].lower()
    kinds: dict[str, TargetKind] = {
        ".py": "script", ".ipynb": "notebook", ".yaml": "config", ".yml": "config",
    }  # fmt: skip
    if not os.path.exists(asked.target):
        near = _near(asked.target)
        key = "run.no_such_file_near" if near else "run.no_such_file"
        problems.append(UserError(key, where=os.path.abspath(asked.target), near=near))
    elif os.path.isdir(asked.target):
        problems.append(UserError("run.is_folder", where=asked.target))
    elif suffix not in kinds:
        command = shlex.join([asked.target, *asked.args])
        problems.append(UserError("run.unknown_target", where=asked.target, command=command))
    elif not os.access(asked.target, os.R_OK):
        problems.append(UserError("run.unreadable", where=asked.target))
    else:
        return kinds[suffix]
    return None


def _near(target: str) -> str:
    """A file beside the missing one that was probably meant."""
    from difflib import get_close_matches

    folder = os.path.dirname(target)
    try:
        names = [name for name in os.listdir(folder or ".") if name.endswith(_TARGETS)]
    except OSError:
        return ""
    close = get_close_matches(os.path.basename(target), names, n=1)
    return os.path.join(folder, close[0]) if close else ""


def environment(asked: Asked, root: str, problems: list[UserError]) -> dict[str, str]:
    """This process's environment, the root's ``.env`` below it, ``--env`` above it."""
    env = with_dotenv(os.environ, root)
    for name, value in asked.env.items():
        if not name or "=" in name or "\0" in name:
            problems.append(UserError("run.env_form", where=f"--env {name}"))
        elif value is None:
            if name not in env:
                problems.append(UserError("run.env_missing", where=f"--env {name}", name=name))
        elif is_secret_name(name) and not value.isdigit():  # MAX_TOKENS=512 is no secret
            # Everybody on the machine could read it in ps, and the shell would keep it.
            problems.append(UserError("run.env_secret", where=f"--env {name}=…", name=name))
        else:
            env[name] = value
    return env


def with_dotenv(env: Mapping[str, str], root: str) -> dict[str, str]:
    """``env``, and below it what stands in the root's ``.env``: a real variable wins."""
    found = dict(env)
    path = os.path.join(root, ".env")
    if os.path.isfile(path):
        from dotenv import dotenv_values

        for name, value in dotenv_values(path, interpolate=False).items():
            if value is not None:
                found.setdefault(name, value)
    return found


def _convert(asked: Asked, env: Mapping[str, str], problems: list[UserError]) -> Any:
    from pathlib import Path

    from overnight.notebook import convert

    try:
        return convert(Path(asked.target), overrides=asked.overrides, paths=asked.path_map, env=env)
    except NotebookError as error:
        problems.append(error)
    except UserErrors as errors:
        problems += errors.errors
    return None


def _check_notebook(target: str, conversion: Any, python: str) -> list[Any]:
    """What a person should know of a notebook."""
    from pathlib import Path

    from overnight.notebook import Finding, check_installs

    folder = os.path.dirname(os.path.abspath(target))
    installs, imports = conversion.installs, conversion.imports
    found = [
        *conversion.findings,
        *check_installs(installs, python, imports=imports, folder=Path(folder)),
    ]
    for item in conversion.inputs:
        missing = not os.path.exists(os.path.join(folder, os.path.expanduser(item.path)))
        # Named twice, it is probably made by the notebook itself before it is read.
        if missing and conversion.source.count(os.path.basename(item.path)) == 1:
            fields = {"path": item.path}
            found.append(Finding("warns", item.cell, item.line, "run.input_missing", fields))
    return found


def _blocks(ready: Ready) -> list[UserError]:
    """What would stop a notebook at night."""
    problems: list[UserError] = []
    for finding in ready.findings:
        if finding.level == "blocks":
            where = f"{ready.asked.target}, cell {finding.cell}"
            where += f", line {finding.line}" if finding.line else ""
            problems.append(NotebookError("run.notebook_blocks", where=where, text=finding.text,
                                          fix=finding.fix))  # fmt: skip
    return problems


def _python(
    asked: Asked, conversion: Any, env: Mapping[str, str], problems: list[UserError]
) -> str:
    """The job's Python: ``--python``, the notebook's kernel, the active environment, or ours."""
    kernel = ""
    if conversion is not None and conversion.kernel:
        from overnight.notebook.kernel import kernel_python

        kernel = kernel_python(conversion.kernel, env)
    path, _ = job_python(asked.python or kernel, env)
    if not os.access(path, os.X_OK) or os.path.isdir(path):
        problems.append(UserError("run.no_such_python", where=f"--python {asked.python}"))
        return ""
    return os.path.abspath(path)


def _argv(
    asked: Asked,
    kind: TargetKind,
    python: str,
    env: Mapping[str, str],
    problems: list[UserError],
) -> list[str]:
    if kind == "script":
        return [python, os.path.abspath(asked.target), *asked.args]
    if kind == "notebook":
        return [python, "", *asked.args]  # the script's place is known once the folder is made
    if not asked.args:
        return []
    program = shutil.which(asked.args[0], path=env.get("PATH"))
    if program is None:
        exists = os.path.exists(asked.args[0])
        key = "run.not_executable" if exists else "run.no_such_command"
        problems.append(UserError(key, where=asked.args[0], command=asked.args[0]))
        return []
    # argv[0] as a full path: a venv's Python finds its packages by it.
    return [os.path.abspath(program), *asked.args[1:]]


def _check_root(root: str) -> list[UserError]:
    """Whether a run can be written there at all. Makes nothing: it may not come to a run."""
    there = os.path.join(root, "experiments")
    while not os.path.lexists(there):
        there = os.path.dirname(there)
    reason = 0
    if not os.path.isdir(there):
        reason = errno.ENOTDIR
    elif not os.access(there, os.W_OK | os.X_OK):
        reason = errno.EROFS if _is_read_only(there) else errno.EACCES
    if reason:
        return [UserError("run.root_unwritable", where=there, reason=os.strerror(reason))]
    if sys.platform != "win32":
        disk = os.statvfs(there)
        free_mib = disk.f_bavail * disk.f_frsize / 2**20
        if free_mib < _FREE_MIB:
            return [UserError("run.disk_full", where=root, free=f"{free_mib:.0f}", need=_FREE_MIB)]
        if disk.f_files and not disk.f_favail:
            return [UserError("run.inodes_full", where=root)]
    return []


def _is_read_only(folder: str) -> bool:
    return sys.platform != "win32" and bool(os.statvfs(folder).f_flag & os.ST_RDONLY)
