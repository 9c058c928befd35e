"""What a run is called, where it goes, and whether its config is whole."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from overnight.errors import UserError, UserErrors
from overnight.ledger.paths import find_root, name_from, name_problem, runs_of
from overnight.start import with_dotenv
from overnight.trackers.about import default_project
from overnight.trackers.key import has_key
from overnight.watching.trial import is_trial

if TYPE_CHECKING:
    from overnight.spec import Spec

#: ``resnet-50`` is a name and ``baseline-050`` its fiftieth run: a suffix has this many digits.
_PAD = 3
#: Beyond it a number is a date.
_MOST_DIGITS = 5


@dataclass(frozen=True, slots=True)
class WandbConfig:
    """How W&B will be met.

    Attributes:
        entity: The team or user; None: W&B's default for the key.
        mode: ``online``, ``offline`` or ``disabled``.
        address: Of its server.
        has_key: Whether a key was found, in the environment, the root's ``.env`` or ``.netrc``.
    """

    project: str
    entity: str | None
    mode: str
    tags: tuple[str, ...]
    address: str
    has_key: bool


def auto_increment_run_suffix(
    name: str, *, taken: Iterable[str] | None = None, pad: int = _PAD
) -> str:
    """The name of the next run: ``baseline`` → ``baseline-001`` → ``baseline-002``.

    Args:
        name: A run's name, with or without a number.
        taken: Names that exist: the result is one above the highest of them with the same stem.
        pad: Digits of a number; what has fewer belongs to the name (``resnet-50``).
    """
    stem, gap, number, width = _parts(name, pad)
    for other in taken or ():
        other_stem, _, other_number, other_width = _parts(other, pad)
        if other_stem == stem and other_number is not None:
            number = max(-1 if number is None else number, other_number)
            width = max(width, other_width)
    return f"{stem}{gap}{1 if number is None else number + 1:0{width}d}"


def _parts(name: str, pad: int) -> tuple[str, str, int | None, int]:
    """Stem, what stands before the number, the number if there is one, its digits."""
    digits = f"{{{pad},{max(pad, _MOST_DIGITS)}}}"
    found = re.fullmatch(rf"(?s)(.+?)([-_])([0-9]{digits})", name)
    if found is None:
        return name, "-", None, pad
    return found[1], found[2], int(found[3]), len(found[3])


def create_run_name(experiment: str | None = None, *, root: str | Path | None = None) -> str:
    """The next name of a series: ``<experiment>-001``, then ``-002``; nobody is given it twice.

    It is taken with this call, by whichever process asks first, whether or not a run comes of it.

    Args:
        experiment: What is being tried; ``get_experiment_name()`` by default.
        root: The root; found as docs/architecture.md says by default.
    """
    stem = name_from((experiment or get_experiment_name(root=root)) + ".")
    while name_problem(f"{stem}-{'9' * _MOST_DIGITS}"):  # room for its number
        stem = stem[:-1]
    folder = find_root(".", None if root is None else str(root))
    taken = {run.run_id.rsplit("_", 2)[0] for run in runs_of(folder)}
    while True:
        name = auto_increment_run_suffix(stem, taken=taken)
        if is_trial() or _take(folder, name):
            return name
        taken.add(name)


def _take(root: str, name: str) -> bool:
    """Whether a name was free; from now on it is not."""
    folder = Path(root, "experiments", ".names")
    try:
        folder.mkdir(parents=True, mode=0o700, exist_ok=True)
    except OSError:  # no run can be opened there either, and that is said then
        return True
    try:
        os.close(os.open(folder / name, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    except FileExistsError:
        return False
    except OSError:
        return True
    return True


def get_experiment_name(
    config: Spec | Mapping[str, Any] | str | Path | None = None, *, root: str | Path | None = None
) -> str:
    """What runs of a config, or of this root, are kept under.

    Args:
        config: A config's path, a spec, or a mapping with ``project: {name: …}``; None: what the
            environment names (``WANDB_PROJECT``, ``MLFLOW_EXPERIMENT_NAME``), else the root's name.
        root: The root; found as docs/architecture.md says by default.

    Raises:
        UserErrors: The config has mistakes.
    """
    if isinstance(config, str | Path):
        config = validate_config(config)
    if isinstance(config, Mapping):
        project = config.get("project")
        name = project.get("name") if isinstance(project, Mapping) else project
        if name:
            return str(name)
    elif config is not None:
        return config.project.name
    folder = find_root(".", None if root is None else str(root))
    env = with_dotenv(os.environ, folder)
    named = env.get("WANDB_PROJECT") or env.get("MLFLOW_EXPERIMENT_NAME")
    return named or default_project(folder)


def get_wandb_config(root: str | Path | None = None) -> WandbConfig:
    """How W&B will be met: the environment, the root's ``.env``, then its ``overnight.yaml``.

    Raises:
        UserErrors: ``overnight.yaml`` has mistakes, or wandb is not installed.
    """
    from overnight.start.track import where_to_track

    folder = find_root(".", None if root is None else str(root))
    env = with_dotenv(os.environ, folder)
    problems: list[UserError] = []
    found = where_to_track(["wandb"], folder, env, problems)
    if problems:
        raise UserErrors(problems)
    entry = found[0]
    found_key = has_key(env, str(entry["address"]))
    return WandbConfig(
        project=str(entry.get("project") or default_project(folder)),
        entity=entry.get("entity"),
        mode=str(entry.get("mode") or ("online" if found_key else "offline")),
        tags=tuple(entry.get("tags", ())),
        address=str(entry["address"]),
        has_key=found_key,
    )


def validate_config(config: str | Path, overrides: Mapping[str, str] | None = None) -> Spec:
    """The spec of a config; what it reads from has to be there.

    Args:
        config: Its path.
        overrides: ``train.lr`` → ``3e-4``, as ``--set`` takes them.

    Raises:
        UserErrors: Every mistake, by its line.
    """
    from overnight.spec import read

    return read(config, overrides, must_exist=True)
