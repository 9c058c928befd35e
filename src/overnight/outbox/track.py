"""Asking for a run's records to be taken to its trackers; its ``track.json`` names them.

``track.json``: ``{"schema": 1, "trackers": [{"name", "address", "project", …}]}``, with no key in
it. An empty address is the tracker's own place below the run's root. What the environment holds of
keys is kept for the agent, which is older than the variable and outlives the program that had it.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from overnight.ledger import files
from overnight.ledger.paths import RunPaths
from overnight.ledger.reader import Tail, stems
from overnight.outbox.folder import AgentPaths, agent_paths, digest, file_name

SCHEMA_VERSION = 1
#: What of an environment a tracker needs to be reached, by the beginnings of the names. A tracker
#: of a plug-in has what begins with its own name.
_NEEDS = {
    "mlflow": ("MLFLOW_TRACKING_", "MLFLOW_S3_", "AWS_", "AZURE_STORAGE_", "DATABRICKS_",
               "GOOGLE_APPLICATION_CREDENTIALS"),
    "wandb": ("WANDB_API_KEY", "WANDB_IDENTITY_TOKEN_FILE", "NETRC"),
}  # fmt: skip
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
    """

    run: RunPaths
    tracker: str
    lane: str
    again: bool = False


@dataclass(frozen=True)
class Standing:
    """How far a tracker has come with a run.

    Attributes:
        url: Where a person finds the run; empty before it was there.
        sent: Records it has.
        left: Records it has not.
        closed: It has the run's end as well.
        num_rejected: Values it will not take: they are in the ledger only.
        rejected: Some of their names, and why.
        trouble: What a person has to put right, or why it is tried again later; may be empty.
        fix: What to do about it.
    """

    tracker: str
    url: str
    sent: int
    left: int
    closed: bool
    num_rejected: int
    rejected: Mapping[str, str]
    trouble: str
    fix: str


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
        found.append(Asked(run, each.name, str(said["lane"]), said.get("again") is True))
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
            found.append(Asked(RunPaths(where), tracker, lane, again))
    return found


def done(request: Asked) -> None:
    """All of a run was taken to one tracker."""
    files.discard(agent_paths().mirrored(request.run.dir, request.tracker))


def events_bytes(run: RunPaths) -> int:
    """The length of the supervisor's events: it grows when an ended run goes on."""
    try:
        return os.stat(run.at("events.jsonl")).st_size
    except OSError:
        return 0


def is_done(run: RunPaths, tracker: str) -> bool:
    """Whether a tracker has all of a run, its end included, and nothing happened since."""
    cursor = files.read_json(run.cursor(tracker)) or {}
    return cursor.get("closed") == events_bytes(run)


def standing(run: RunPaths) -> list[Standing]:
    """How far each tracker of a run has come."""
    found = []
    for each in wanted(run):
        cursor = files.read_json(run.cursor(each.name)) or {}
        rejected = cursor.get("rejected")
        rejected = rejected if isinstance(rejected, dict) else {}
        keys = rejected.get("keys")
        found.append(
            Standing(
                tracker=each.name,
                url=str(cursor.get("url") or ""),
                sent=_count(cursor.get("num_records")),
                left=left(run, each.name),
                closed=is_done(run, each.name),
                num_rejected=_count(rejected.get("num")),
                rejected={
                    str(key): str(said.get("why", ""))
                    for key, said in (keys.items() if isinstance(keys, dict) else ())
                    if isinstance(said, dict)
                },
                trouble=str(cursor.get("trouble") or ""),
                fix=str(cursor.get("fix") or ""),
            )
        )
    return found


def left(run: RunPaths, tracker: str) -> int:
    """How many records of a run a tracker has not yet."""
    return _num_after(run, positions_of(files.read_json(run.cursor(tracker)) or {}))


def total(run: RunPaths) -> int:
    """How many records of a run there are for trackers."""
    return _num_after(run, {})


def _num_after(run: RunPaths, positions: Mapping[str, tuple[int, int]]) -> int:
    number = 0
    for base in BASES:
        for stem in stems(run.dir, base):
            segment, seq = positions.get(stem, (0, -1))
            number += sum(1 for _ in Tail(run.dir, stem, segment=segment, after=seq).read())
    return number


def positions_of(cursor: Mapping[str, Any], key: str = "files") -> dict[str, tuple[int, int]]:
    """File → (segment, seq) of the last record that a tracker has, in a cursor file."""
    said = cursor.get(key)
    found = {}
    for stem, place in said.items() if isinstance(said, dict) else ():
        if isinstance(place, list) and len(place) == 2 and all(type(n) is int for n in place):
            found[stem] = (place[0], place[1])
    return found


def _count(value: Any) -> int:
    return value if type(value) is int and value > 0 else 0
