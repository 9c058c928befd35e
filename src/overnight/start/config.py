"""A training as a config asks for it: its spec, where it leaves what it makes, what it needs.

Nothing here imports torch: what can be known without it is known in some milliseconds.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from overnight.errors import UserError, UserErrors
from overnight.ledger.paths import RunPaths
from overnight.redact import is_secret_name

if TYPE_CHECKING:
    from overnight.spec import Spec
    from overnight.start.check import Asked

#: A pip extra and one module of each library it brings: all that its trainings import.
_EXTRAS: Mapping[str, Sequence[str]] = {
    "train": (
        "torch", "torchvision", "transformers", "accelerate", "timm", "safetensors", "sklearn",
        "matplotlib",
    ),
}  # fmt: skip


def read(asked: Asked, env: Mapping[str, str], problems: list[UserError]) -> Spec | None:
    """What a config asks for; None where it cannot be told, and ``problems`` says why.

    Args:
        asked: Its target is the config.
        env: The job's environment: ``${VAR}`` must be in it.
        problems: What is wrong is added here: the config's mistakes, what is missing on the disk
            or in this installation, and options that are for other targets.
    """
    problems += asked.wanted.contradictions()
    problems += [
        UserError(f"train.{name}", where=where)
        for name, where in (
            ("args", " ".join(asked.args)),
            ("python", f"--python {asked.python}" if asked.python else ""),
            ("map", "--map" if asked.path_map else ""),
        )
        if where
    ]
    from overnight import spec as specs
    from overnight.start import until

    try:
        spec = specs.read(
            asked.target,
            asked.overrides,
            env,
            flags=asked.wanted.flags(),
            search_file=asked.wanted.optuna_config,
            until=until.parse,
            must_exist=True,
        )
    except UserErrors as error:
        problems += error.errors
        return None
    except UserError as error:
        problems.append(error)
        return None
    problems += _without_extra(spec)
    return spec


def _without_extra(spec: Spec) -> list[UserError]:
    """The one line for an installation that cannot train."""
    info = spec.info
    needed = [*_EXTRAS.get(info.extra, ()), *(("optuna",) if "tune" in spec.stages else ())]
    missing = [name for name in needed if find_spec(name) is None]
    if not missing:
        return []
    return [UserError("train.no_extra", where=", ".join(missing), extra=info.extra)]


def root_of(spec: Spec) -> str | None:
    """The root a config names itself: the parent of its ``output.exp_dir``; None if it does not."""
    folder = spec.output.exp_dir
    return None if folder is None else os.path.dirname(os.path.abspath(folder))


def variables(spec: Spec, env: Mapping[str, str]) -> tuple[dict[str, str], tuple[str, ...]]:
    """What the config's ``${VAR}`` need: values to be kept, and names of secrets, never kept."""
    needed = sorted(spec.variables)
    return (
        {name: env[name] for name in needed if name in env and not is_secret_name(name)},
        tuple(name for name in needed if is_secret_name(name)),
    )


def keep(spec: Spec, target: str, run: RunPaths) -> None:
    """Writes the whole spec as the run's config.yaml, and the config as it was into code/.

    Raises:
        OSError: The run's folder cannot be written.
    """
    from overnight import spec as specs

    specs.write(spec, Path(run.config_yaml))
    if spec.output.snapshots:
        shutil.copyfile(target, os.path.join(run.code, os.path.basename(target)))
