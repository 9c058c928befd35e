"""Asking for a run's records to be taken to its trackers; its ``track.json`` names them.

``track.json``: ``{"schema": 1, "trackers": [{"name", "address", "project", …}]}``, with no key in
it. An empty address is the tracker's own place below the run's root. What the environment holds of
keys is kept for the agent, which is older than the variable and outlives the program that had it.
"""

from __future__ import annotations

import os
import time
from collections.abc import Container, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from overnight.ledger import files
from overnight.ledger.paths import RunPaths
from overnight.outbox.folder import AgentPaths, agent_paths, digest, file_name

SCHEMA_VERSION = 1
#: What of an environment a tracker needs to be reached, by the beginnings of the names. A tracker
#: of a plug-in has what begins with its own name.
_NEEDS = {
    "mlflow": ("MLFLOW_TRACKING_", "MLFLOW_S3_", "AWS_", "AZURE_STORAGE_", "DATABRICKS_",
               "GOOGLE_APPLICATION_CREDENTIALS"),
    "wandb": ("WANDB_API_KEY", "WANDB_IDENTITY_TOKEN_FILE", "NETRC"),
}  # fmt: skip
_OF_SWEEPS = ("id", "sweep")
#: The ledgers that go to trackers.
BASES = ("metrics", "system", "media", "job")


@dataclass(frozen=True)
class Wanted:
    """One tracker of a run, as ``track.json`` has it."""

    name: str
    address: str
    options: Mapping[str, Any]


@dataclass(frozen=True)
class Asked:
    """A run whose records are to be taken to a tracker.

    Attributes:
        lane: By which mirror.
        again: A person asks for it: what was deleted there is made anew.
        said: All that its file says.
    """

    run: RunPaths
    tracker: str
    lane: str
    again: bool = False
    said: Mapping[str, Any] = field(default_factory=dict)

    @property
    def failures(self) -> int:
        """How often this run, and not the tracker, was the trouble."""
        return whole(self.said.get("failures"))

    def wait_s(self) -> float:
        """In how many seconds it is to be tried; 0: now."""
        return wait_s(self.said)


def wanted(run: RunPaths) -> list[Wanted]:
    """The trackers of a run; none where it has no ``track.json``, or a damaged one."""
    said = (files.read_json(run.track_json) or {}).get("trackers")
    found = []
    for each in said if isinstance(said, list) else ():
        name = each.get("name") if isinstance(each, dict) else None
        if isinstance(name, str) and name == file_name(name):
            found.append(Wanted(name, str(each.get("address") or ""), each))
    return found


def write(run: RunPaths, trackers: list[dict[str, Any]]) -> None:
    """Writes ``track.json``.

    Raises:
        OSError: The run's folder cannot be written.
    """
    said = {"schema": SCHEMA_VERSION, "trackers": trackers}
    files.replace(run.track_json, files.to_json(said))


def take_along(part: RunPaths, **wandb: str) -> None:
    """Has a part of a run, a trial of its search, taken to the trackers of that run.

    Nobody is asked and nobody woken: who carries the whole looks for its parts, so a thousand
    trials are one request. Safe to repeat.

    Args:
        part: The part's folder, which is there.
        wandb: What the server of a W&B sweep has decided for it: its ``id``, its ``sweep``. What
            was given once stays.

    Raises:
        OSError: The part's folder cannot be written, or the whole's not be read.
    """
    for each in wanted(part):
        wandb = {key: each.options[key] for key in _OF_SWEEPS if key in each.options} | wandb
    said = files.read_json(part.parent.track_json) if part.parent is not None else None
    trackers = (said or {}).get("trackers")
    if isinstance(trackers, list):
        write(part, [{**each, **wandb} if each.get("name") == "wandb" else each
                     for each in trackers if isinstance(each, dict)])  # fmt: skip


def children(run: RunPaths) -> Iterator[RunPaths]:
    """The parts of a run that are runs themselves, in their order."""
    try:
        names = sorted(os.listdir(run.children), key=lambda name: (len(name), name))
    except OSError:
        return
    for name in names:
        yield run.child(name)


def parts(run: RunPaths, tracker: str, but: Container[str] = ()) -> Iterator[RunPaths]:
    """Those of them that go to a tracker.

    Args:
        run: The whole.
        tracker: Its word.
        but: The folders of parts that are not looked at.
    """
    for part in children(run):
        if part.dir not in but and any(each.name == tracker for each in wanted(part)):
            yield part


def ask(run: RunPaths, env: Mapping[str, str] | None = None, *, again: bool = False) -> list[Asked]:
    """Asks for a run's records to be taken to its trackers. Cheap to call often.

    Args:
        run: The run.
        env: Where the trackers' keys stand; this process's own by default.
        again: Also where all of a run was taken there already.

    Returns:
        What is yet to be done.

    Raises:
        OSError: The user's state folder cannot be written.
    """
    if not os.path.exists(run.track_json):
        return []
    env = os.environ if env is None else env
    paths, found = agent_paths(), []
    for each in wanted(run):
        path = paths.mirrored(run.dir, each.name)
        said = files.read_json(path) or {}
        if said.get("dir") != run.dir:
            if not again and is_done(run, each.name):
                continue
            said = {}
        lane = _lane(run, each, env)
        if again or not said:
            paths.make()
            _keep(paths, lane, run, each, env)
            said = {"dir": run.dir, "tracker": each.name, "lane": lane, "again": again}
            files.replace(path, files.to_json(said))
        found.append(Asked(run, each.name, str(said["lane"]), said.get("again") is True, said))
    return found


def _needed(name: str, address: str, env: Mapping[str, str]) -> dict[str, str]:
    if not address:
        return {}  # below the root: nobody asks who we are
    needs = _NEEDS.get(name, (name.upper().replace("-", "_") + "_",))
    return {key: value for key, value in sorted(env.items()) if key.startswith(needs)}


def _lane(run: RunPaths, each: Wanted, env: Mapping[str, str]) -> str:
    needed = _needed(each.name, each.address, env)
    place = each.address or "root:" + run.root
    return digest("\0".join([each.name, place, *(k + "=" + v for k, v in needed.items())]))


def _keep(
    paths: AgentPaths, lane: str, run: RunPaths, each: Wanted, env: Mapping[str, str]
) -> None:
    said = {
        "tracker": each.name,
        "address": each.address,
        "root": "" if each.address else run.root,
        "env": _needed(each.name, each.address, env),
    }
    if files.read_json(paths.tracker(lane)) == said:
        os.utime(paths.tracker(lane))  # wanted again: not to be tidied away with an earlier run's
    else:
        files.replace(paths.tracker(lane), files.to_json(said), mode=0o600)


def asked() -> list[Asked]:
    """Everything that is to be taken to a tracker from this machine."""
    folder = agent_paths().mirror
    try:
        names = sorted(os.listdir(folder))
    except OSError:
        return []
    found = []
    for name in names:
        if not name.endswith(".json"):
            continue
        try:
            said = files.read_json(os.path.join(folder, name)) or {}
        except OSError:  # one that cannot be read must not hide the others
            continue
        where, tracker, lane = said.get("dir"), said.get("tracker"), said.get("lane")
        if not (isinstance(where, str) and isinstance(tracker, str) and isinstance(lane, str)):
            continue
        if os.path.isabs(where) and lane.isalnum():
            again = said.get("again") is True
            found.append(Asked(RunPaths(where), tracker, lane, again, said))
    return found


def defer(request: Asked, seconds: float, why: str) -> None:
    """One run cannot be taken to its tracker now: it is tried again later.

    Raises:
        OSError: The user's state folder cannot be written.
    """
    now_us = time.time_ns() // 1000
    waits = {"decided_us": now_us, "next_us": now_us + round(seconds * 1e6), "why": why}
    _rewrite(request, {**waits, "failures": request.failures + 1})


def forgive(request: Asked) -> Asked:
    """The way back, once it has got through.

    Raises:
        OSError: The user's state folder cannot be written.
    """
    return _rewrite(request, {})


def _rewrite(request: Asked, waits: Mapping[str, Any]) -> Asked:
    path = agent_paths().mirrored(request.run.dir, request.tracker)
    own = ("dir", "tracker", "lane", "again")
    said = {key: each for key, each in request.said.items() if key in own} | dict(waits)
    # A person may have asked anew meanwhile, with another key: that counts.
    if (files.read_json(path) or {}).get("lane") == request.lane:
        files.replace(path, files.to_json(said), sync=False)
    return replace(request, said=said)


def wait_s(said: Mapping[str, Any]) -> float:
    """How long something is left alone that was decided upon; a clock set back ends that."""
    now_us = time.time_ns() // 1000
    if now_us < whole(said.get("decided_us")):
        return 0.0
    return max(0.0, (whole(said.get("next_us")) - now_us) / 1e6)


def done(request: Asked) -> None:
    """All of a run was taken to one tracker."""
    files.discard(agent_paths().mirrored(request.run.dir, request.tracker))


def stand_alone(request: Asked) -> Asked:
    """Asks for a part of a run by itself: something keeps it, and the others do not wait for it.

    Raises:
        OSError: The user's state folder cannot be written.
    """
    said = {"dir": request.run.dir, "tracker": request.tracker, "lane": request.lane}
    files.replace(agent_paths().mirrored(request.run.dir, request.tracker), files.to_json(said))
    return replace(request, said=said)


def stands_alone(run: RunPaths, tracker: str) -> bool:
    """Whether a run is asked for by itself."""
    return os.path.exists(agent_paths().mirrored(run.dir, tracker))


def end_mark(run: RunPaths) -> int:
    """Another number once an ended run has gone on: the length of the supervisor's events.

    A part of a run is over when its ``exit.json`` says so, else together with the whole.
    """
    if run.parent is not None:
        ended = files.read_json(run.exit_json)
        return end_mark(run.parent) if ended is None else whole(ended.get("ended_us")) or -1
    try:
        return os.stat(run.at("events.jsonl")).st_size
    except OSError:
        return 0


def is_done(run: RunPaths, tracker: str) -> bool:
    """Whether a tracker has all of a run, its end and its parts included, and no news since."""
    cursor, mark = files.read_json(run.cursor(tracker)) or {}, end_mark(run)
    is_whole = cursor.get("parts") == mark or not os.path.isdir(run.children)
    return cursor.get("closed") == mark and is_whole


def positions_of(cursor: Mapping[str, Any], key: str = "files") -> dict[str, tuple[int, int]]:
    """File → (segment, seq) of the last record that a tracker has, in a cursor file."""
    said = cursor.get(key)
    found = {}
    for stem, place in said.items() if isinstance(said, dict) else ():
        if isinstance(place, list) and len(place) == 2 and all(type(n) is int for n in place):
            found[stem] = (place[0], place[1])
    return found


def whole(value: Any) -> int:
    """A number that counts something; 0 for whatever else a file says."""
    return value if type(value) is int and value > 0 else 0
