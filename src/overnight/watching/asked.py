"""What a program asks to be told, and whom: checked at once, written into the run's notify.json.

What is wrong is said on stderr, and what is good of it counts.
"""

from __future__ import annotations

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

#: What a run is told of that asked for nothing but what it says itself.
_ITS_OWN = frozenset({"text"})
#: Runs that are followed already → when this process last saw to it that there is an agent, in
#: monotonic seconds; infinity where a supervisor or a witness does.
_followed: dict[str, float] = {}
_SUMMON_EVERY_S = 30.0


def first(job: Job, channels: object, alerts: object) -> None:
    """Writes what is to be told of a run of which nothing was to be told so far.

    Raises:
        OSError: The run's folder cannot be written.
    """
    names = channels_of(channels)
    settings = _settings(job.run, names, _texts(alerts))
    if not settings.channels:
        complain("watch.no_channel" if names is None else "watch.no_channel_left")
        return
    files.replace(job.run.notify_json, files.to_json(settings.to_json()), sync=False)
    _follow(job.run, settings)


def more(job: Job, name: str | None, channels: object, alerts: object) -> None:
    """Adds what a block within a run asks for to what is told of the run.

    Raises:
        OSError: The run's folder cannot be written.
    """
    names, rules = channels_of(channels), _texts(alerts)
    job.event("Watched", {"name": name, "channels": names or [], "alerts": rules})
    there = files.read_json(job.run.notify_json)
    told = Settings.from_json(there)
    if there is None or not told.channels or told.events == _ITS_OWN:
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
        _follow(job.run, both)


def only_what_it_says(job: Job) -> None:
    """Sees to it that what a run says itself is told, where nobody asked for more.

    Raises:
        OSError: The run's folder cannot be written.
    """
    run = job.run
    if run.dir not in _followed:
        if not os.path.exists(run.notify_json):
            settings = replace(_settings(run, None, []), events=_ITS_OWN)
            if not settings.channels:
                complain("watch.no_channel")
                return
            files.create_once(run.notify_json, files.to_json(settings.to_json()))
            _follow(run, settings)
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
    if isinstance(channels, str):
        channels = channels.replace(",", " ").split()
    if not isinstance(channels, Iterable) or isinstance(channels, (bytes, dict)):
        complain("watch.channels_type", kind=type(channels).__name__)
        return None
    known, names = _known(), []
    for each in channels:
        if not isinstance(each, str):
            complain("watch.channels_type", kind=type(each).__name__)
            continue
        name = one_spelling(each)
        if known is not None and name not in known:
            _refuse(name, known)
        else:
            names.append(name)
    return list(dict.fromkeys(names))


def default_channels() -> list[str]:
    """Those of ``notify.yaml``, else all there are."""
    return list(_settings(None, None, []).channels)


def _settings(run: RunPaths | None, names: list[str] | None, rules: list[str]) -> Settings:
    places = [*_files(run), _options(names, rules)]
    settings = merge(places)
    if not settings.channels and names is None:
        settings = replace(settings, channels=tuple(_known() or ()))
    return settings


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


def _follow(run: RunPaths, settings: Settings) -> None:
    try:
        keep_channels(settings.channels, os.environ)
        follow.ask(run)
    except OSError as error:  # the user's state folder: the witness asks again and again
        complain("watch.no_state", error)


def _refuse(name: str, known: list[str]) -> None:
    if ":" in name or "@" in name:  # an address, which may hold a secret
        complain("watch.address")
    else:
        complain("watch.unknown_channel", name=name[:40], known=", ".join(known) or "-")
