"""Whom to tell of a run, found out before it starts: never at night."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from overnight.errors import UserError, UserErrors
from overnight.ledger import files
from overnight.ledger.paths import RunPaths

if TYPE_CHECKING:
    from overnight.alerts.settings import Given, Settings
    from overnight.start.check import Asked

#: How the settings are called as options of ``run``.
_SPELLED = {
    "channels": "--notify", "rules": "--alert", "heartbeat": "--heartbeat", "format": "--format",
}  # fmt: skip


def whom_to_tell(
    asked: Asked,
    root: str,
    env: Mapping[str, str],
    problems: list[UserError],
    *,
    config: Given | None = None,
) -> Settings | None:
    """What is to be told of a run; None where nobody could be.

    Where no file and no option names a channel, all that the person has set up are told. Where one
    says that nobody is, it stands in the settings: what the job itself asks for goes by it.

    Args:
        asked: What to run.
        root: Its root, whose ``overnight.yaml`` counts.
        env: The job's environment: it may define channels.
        problems: What is wrong with any of it is added here.
        config: What a training's config says under ``notify:``; it wins over ``overnight.yaml``.
    """
    from overnight.alerts.settings import from_options, settings_of
    from overnight.channels import store

    wrong: list[UserError] = []
    options = from_options(
        problems=wrong,
        channels=asked.notify or None,
        rules=asked.alerts,
        heartbeat=asked.heartbeat,
        format=asked.format,
        spelled=_SPELLED,
    )
    try:
        known = store.load(env)
        settings = settings_of(root, options, wrong, config=config, default_channels=tuple(known))
    except UserErrors as error:
        problems += error.errors
        return None
    except UserError as error:
        problems += [*wrong, error]
        return None
    wrong = unknown_channels(settings.channels, {**store.built_in(), **known})
    if not settings.channels and (asked.alerts or asked.heartbeat) and not asked.notify:
        wrong.append(UserError("notify.none", where=str(store.path())))
    problems += wrong
    return None if wrong or not (settings.channels or known) else settings


def unknown_channels(names: Sequence[str], known: Mapping[str, object]) -> list[UserError]:
    """An error for each channel that nobody has defined."""
    from overnight.channels.store import canonical
    from overnight.plugins import nearest

    wrong = []
    for name in names:
        if canonical(name) not in known:
            near = nearest(name, known)
            key = "notify.unknown" if near is None else "notify.misspelt"
            shown = ", ".join(known) or "–"
            wrong.append(UserError(key, where=name[:40], near=near, names=shown))
    return wrong


def write(run: RunPaths, settings: Settings) -> None:
    """Writes notify.json; the supervisor asks for the run to be followed.

    Raises:
        OSError: The run's folder cannot be written.
    """
    files.replace(run.notify_json, files.to_json(settings.to_json()))


def with_terminal(run: RunPaths, env: Mapping[str, str]) -> dict[str, str]:
    """``env``, and in it the terminal that a run is to be told on, if it is: the one we sit at.

    Raises:
        UserError: The person's channels cannot be read.
    """
    names = (files.read_json(run.notify_json) or {}).get("channels")
    if not names:
        return dict(env)
    from overnight.channels import store

    return store.with_terminal(env, names)
