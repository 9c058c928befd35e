"""What a program asks to be told, and whom: checked at once, written into the run's notify.json.

What is wrong is said on stderr, and what is good of it counts.
"""

from __future__ import annotations

import contextlib
import math
import os
import sys
import time
from collections.abc import Iterable
from dataclasses import replace

from overnight.alerts.settings import Given, Settings, from_options, merge
from overnight.errors import UserError, UserErrors
from overnight.ledger import files
from overnight.ledger.complaint import complain
from overnight.ledger.job import Job
from overnight.ledger.paths import RunPaths
from overnight.outbox import follow, summon
from overnight.outbox.keep import channels_in, keep_channels, one_spelling

#: Nobody, as people and options say it: ``channels="none"``, or an empty list.
NOBODY = ["none"]
#: What a run is told of that asked for nothing but what it says itself.
_ITS_OWN = frozenset({"text"})
#: Runs that are followed already → when this process last saw to it that there is an agent, in
#: monotonic seconds; infinity where a supervisor or a witness does.
_followed: dict[str, float] = {}
_SUMMON_EVERY_S = 30.0
#: Channels that nobody has to add (channels/store.py, which an older Python cannot read).
_BUILT_IN = ("console", "desktop")


def first(job: Job, channels: object, alerts: object) -> None:
    """Writes what is to be told of a run of which nothing was to be told so far.

    Raises:
        OSError: The run's folder cannot be written.
    """
    settings = _settings(job.run, channels_of(channels), _texts(alerts))
    if settings is None:
        return
    # Of nobody too: what comes later in this run asks no further.
    files.replace(job.run.notify_json, files.to_json(settings.to_json()), sync=False)
    if settings.channels:
        _follow(job.run, settings.channels)


def more(job: Job, name: str | None, channels: object, alerts: object) -> None:
    """Adds what a block within a run asks for to what is told of the run.

    Raises:
        OSError: The run's folder cannot be written.
    """
    names, rules = channels_of(channels), _texts(alerts)
    job.event("Watched", {"name": name, "channels": names or [], "alerts": rules})
    there = files.read_json(job.run.notify_json)
    told = Settings.from_json(there)
    if there is None or told.events == _ITS_OWN:
        first(job, channels, alerts)
        return
    asked = merge([_options(names or [], rules)])
    texts = {rule.text: rule for rule in (*told.rules, *asked.rules)}
    both = replace(
        told,
        channels=tuple(dict.fromkeys((*told.channels, *asked.channels))),
        rules=tuple(texts.values()),
    )
    if both != told:
        files.replace(job.run.notify_json, files.to_json(both.to_json()), sync=False)
        if both.channels:
            _follow(job.run, both.channels)


def only_what_it_says(job: Job, names: list[str] | None) -> None:
    """Sees to it that what a run says itself is told, where nobody asked for more.

    Args:
        job: The run.
        names: Whom it has just named itself.

    Raises:
        OSError: The run's folder cannot be written.
    """
    run = job.run
    if run.dir not in _followed:
        there = files.read_json(run.notify_json)
        channels = Settings.from_json(there).channels
        if there is None:
            settings = _settings(run, None, [])
            if settings is None:
                return
            channels = settings.channels
            said = replace(settings, events=_ITS_OWN).to_json()
            files.create_once(run.notify_json, files.to_json(said))
        if not channels and not names:
            return
        if there is None or not channels:  # else whoever wrote it asked for it
            _follow(run, channels)
        is_attended = os.path.exists(run.keeper_json)
        _followed[run.dir] = math.inf if is_attended else -math.inf
    now_s = time.monotonic()
    if now_s - _followed[run.dir] >= _SUMMON_EVERY_S:
        _followed[run.dir] = now_s
        summon.summon()


def channels_of(channels: object) -> list[str] | None:
    """The names that were given and exist; None if none were given: the usual ones are meant."""
    if channels is None:
        return None
    is_whole = True
    if isinstance(channels, str):
        channels = channels.replace(",", " ").split()
    if not isinstance(channels, Iterable) or isinstance(channels, (bytes, dict)):
        complain("watch.channels_type", kind=type(channels).__name__)
        return None
    names = []
    for each in channels:
        if isinstance(each, str):
            names.append(one_spelling(each))
        else:
            complain("watch.channels_type", kind=type(each).__name__)
            is_whole = False
    if is_whole and all(name in NOBODY for name in names):
        return list(NOBODY)
    return list(_those_there_are(names, _known()))


def channels_without_a_run(names: list[str] | None) -> tuple[str, ...]:
    """Whom to tell where there is no run: those that were named, else the usual ones."""
    settings = _settings(None, names, [])
    return () if settings is None else settings.channels


def look_at_the_system() -> None:
    """Says so where nothing can be told of what is noted."""
    if sys.platform == "win32":
        complain("watch.windows")


def _settings(run: RunPaths | None, names: list[str] | None, rules: list[str]) -> Settings | None:
    """What is to be told, and whom; None, and it was said, where nobody can be."""
    places, known = [*_files(run), _options(names, rules)], _known()
    settings = merge(places, default_channels=known or ())
    if not settings.channels and names is None:
        if any(place.channels is not None for place in places):
            return settings  # of nobody, as the file says
        complain("watch.no_channel")
        return None
    channels = _those_there_are(settings.channels, known)
    if not channels and names != NOBODY:
        complain("watch.no_channel_left")
        return None
    return replace(settings, channels=channels)


def _those_there_are(names: Iterable[str], known: list[str] | None) -> tuple[str, ...]:
    """Each name once; what is no channel is said and left out."""
    found = []
    for name in dict.fromkeys(names):
        if known is None or one_spelling(name) in (*known, *_BUILT_IN):
            found.append(name)
        else:
            _refuse(name, known)
    return tuple(found)


def _files(run: RunPaths | None) -> list[Given]:
    """What the user's file and the project's say; nothing where they cannot be read."""
    found: list[UserError] = []
    places = []
    try:
        from overnight.alerts.settings_file import project_file, user_file

        places.append(user_file(found))
        if run is not None:
            places.append(project_file(run.root, found))
    except (ImportError, OSError) as error:  # a job's own Python, without PyYAML
        complain("watch.settings", error)
    for each in found:
        complain("watch.settings", each)
    return places


def _options(names: list[str] | None, rules: list[str]) -> Given:
    found: list[UserError] = []
    given = from_options(problems=found, channels=names, rules=rules, spelled={"rules": "alerts"})
    for each in found:
        complain("watch.rule", each)
    return given


def _texts(alerts: object) -> list[str]:
    """The rules that were given, as texts; what is none is said and left out."""
    if alerts is None:
        return []
    if isinstance(alerts, str):
        alerts = [alerts]
    if not isinstance(alerts, Iterable) or isinstance(alerts, (bytes, dict)):
        complain("watch.rule_type", kind=type(alerts).__name__)
        return []
    texts = []
    for each in alerts:
        if isinstance(each, str):
            texts.append(each)
        else:
            complain("watch.rule_type", kind=type(each).__name__)
    return texts


def _known() -> list[str] | None:
    """Every channel there is; None where that cannot be found out."""
    if sys.version_info < (3, 11):  # under `overnight run` the job may have an older Python
        return None
    try:
        from overnight.channels import store

        return list(store.load(os.environ))
    except (UserError, UserErrors, OSError) as error:
        complain("watch.channels_unread", error)
        return list(channels_in(os.environ)) or None


def keep(names: Iterable[str]) -> None:
    """Keeps for the agent what only this program's environment, or its terminal, says of channels.

    Raises:
        OSError: The user's state folder cannot be written.
    """
    env, names = dict(os.environ), list(names)
    if any(name in _BUILT_IN for name in names) and sys.version_info >= (3, 11):
        from overnight.channels import store

        with contextlib.suppress(UserError, UserErrors):  # unread: said by _known()
            env = store.with_terminal(env, names)
    keep_channels(names, env)


def _follow(run: RunPaths, channels: Iterable[str]) -> None:
    try:
        keep(channels)
        follow.ask(run, by_name=True)
    except OSError as error:  # the user's state folder: the witness asks again and again
        complain("watch.no_state", error)


def _refuse(name: str, known: list[str]) -> None:
    if ":" in name or "@" in name:  # an address, which may hold a secret
        complain("watch.address")
    else:
        complain("watch.unknown_channel", name=name[:40], known=", ".join(known) or "-")
