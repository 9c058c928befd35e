"""Where everything lies. No other module puts two path parts together."""

from __future__ import annotations

import os
import re
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass

#: A file name on Linux holds 255 bytes; a log's name holds kind, date and run id around the name.
MAX_NAME_BYTES = 120
MAX_NAME_CHARS = 80
_CHILDREN = "children"
_ROOT_MARK = "overnight.yaml"
_PROJECT_MARKS = (".git", "pyproject.toml")
_RUN_ID = re.compile(
    r"(?P<name>.+)_(?P<date>[0-9]{8})_(?P<time>[0-9]{4})(?:-(?P<slot>[0-9]{3,}))?", re.DOTALL
)
#: What moves a terminal's cursor or its reading direction, or ends a line.
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]+")


def find_root(start: str, explicit: str | None = None) -> str:
    """The root for something in the folder ``start``.

    ``explicit`` (``--root``), else ``$OVERNIGHT_ROOT``, else the nearest parent with
    ``overnight.yaml``, else with ``.git`` or ``pyproject.toml``, else ``start``.
    """
    chosen = explicit or os.environ.get("OVERNIGHT_ROOT")
    if chosen:
        return os.path.abspath(os.path.expanduser(chosen))
    start = os.path.abspath(start)
    parents = [start]
    while os.path.dirname(parents[-1]) != parents[-1]:
        parents.append(os.path.dirname(parents[-1]))
    for marks in ((_ROOT_MARK,), _PROJECT_MARKS):
        for folder in parents:
            if any(os.path.exists(os.path.join(folder, mark)) for mark in marks):
                return folder
    return start


def state_dir() -> str:
    """The user's own folder for what concerns all roots: the index, the job's import path."""
    home = os.path.expanduser("~")
    if sys.platform == "win32":
        base = os.environ.get("LOCALAPPDATA") or os.path.join(home, "AppData", "Local")
    elif sys.platform == "darwin":
        base = os.path.join(home, "Library", "Application Support")
    else:
        base = os.environ.get("XDG_STATE_HOME") or os.path.join(home, ".local", "state")
    return os.path.join(base, "overnight")


def config_dir() -> str:
    """The user's own folder for what a person has set: channels, tokens, rules for all runs."""
    home = os.path.expanduser("~")
    if sys.platform == "win32":
        base = os.environ.get("APPDATA") or os.path.join(home, "AppData", "Roaming")
    elif sys.platform == "darwin":
        base = os.path.join(home, "Library", "Application Support")
    else:
        base = os.environ.get("XDG_CONFIG_HOME") or os.path.join(home, ".config")
    return os.path.join(base, "overnight")


def name_problem(name: str) -> str | None:
    """Why ``name`` cannot name a run (a word of the catalogue's ``run.name_*``), or None."""
    if not name or not name.strip():
        return "empty"
    if _CONTROL.search(name):
        return "control"
    if "/" in name or "\\" in name or name.startswith("."):
        return "path"
    if name.startswith("-"):
        return "dash"
    try:
        too_long = len(name) > MAX_NAME_CHARS or len(name.encode()) > MAX_NAME_BYTES
    except UnicodeEncodeError:
        return "control"
    return "long" if too_long else None


def name_from(target: str) -> str:
    """A run's name made from a file name or a command: whatever it holds, the result is allowed."""
    stem = os.path.splitext(os.path.basename(target))[0]
    stem = stem.encode("utf-8", "replace").decode()
    name = re.sub(r"[/\\\s]+", "_", _CONTROL.sub("_", stem)).strip("._- ")
    while len(name.encode()) > MAX_NAME_BYTES or len(name) > MAX_NAME_CHARS:
        name = name[:-1]
    return name.strip("._- ") or "run"


@dataclass(frozen=True)
class RunPaths:
    """Every path inside one run's folder."""

    dir: str

    def __post_init__(self) -> None:
        object.__setattr__(self, "dir", os.path.abspath(self.dir))

    def at(self, *parts: str) -> str:
        """A path below the run's folder."""
        return os.path.join(self.dir, *parts)

    @property
    def parent(self) -> RunPaths | None:
        """The run that this one is a part of: a trial lies in ``children/`` of its search."""
        folder = os.path.dirname(self.dir)
        is_child = os.path.basename(folder) == _CHILDREN
        return RunPaths(os.path.dirname(folder)) if is_child else None

    @property
    def children(self) -> str:
        """The folder of its parts that are runs themselves."""
        return self.at(_CHILDREN)

    def child(self, name: str) -> RunPaths:
        """A part of this run that is a run itself; nothing is made."""
        return RunPaths(self.at(_CHILDREN, name))

    @property
    def run_id(self) -> str:
        """The run's id: its folder's name, of a child its parent's before it."""
        name, parent = os.path.basename(self.dir), self.parent
        return name if parent is None else f"{parent.run_id}-{name}"

    @property
    def root(self) -> str:
        """The root, read off the folder's own place: a moved root moves its runs along."""
        parent = self.parent
        if parent is not None:
            return parent.root
        return os.path.abspath(os.path.join(self.dir, "..", "..", "..", ".."))

    @property
    def kind(self) -> str:
        """The kind it is filed under."""
        parent = self.parent
        if parent is not None:
            return parent.kind
        return os.path.basename(os.path.abspath(os.path.join(self.dir, "..", "..")))

    @property
    def date(self) -> str:
        """The day it was started, ``YYYYMMDD``."""
        parent = self.parent
        return os.path.basename(os.path.dirname(self.dir)) if parent is None else parent.date

    @property
    def run_json(self) -> str:
        """Who, what, where; written once."""
        return self.at("run.json")

    @property
    def machine_json(self) -> str:
        """What it stood on; written once, moments later."""
        return self.at("machine.json")

    @property
    def config_yaml(self) -> str:
        """What was asked for, for people."""
        return self.at("config.yaml")

    @property
    def launch_json(self) -> str:
        """How the job is started, exactly."""
        return self.at("launch.json")

    @property
    def notify_json(self) -> str:
        """What is to be told of the run, and on which channels; none of their addresses."""
        return self.at("notify.json")

    @property
    def code(self) -> str:
        """Entry file, converted notebook, git diff."""
        return self.at("code")

    @property
    def track_json(self) -> str:
        """Which trackers its records go to; none of their keys."""
        return self.at("track.json")

    @property
    def cursors(self) -> str:
        """How far each tracker has come, one file each."""
        return self.at("cursors")

    def cursor(self, tracker: str) -> str:
        """How far one tracker has come."""
        return os.path.join(self.cursors, tracker + ".json")

    @property
    def keeper_json(self) -> str:
        """Which process keeps which job."""
        return self.at("keeper.json")

    @property
    def exit_json(self) -> str:
        """How the newest finished attempt ended."""
        return self.at("exit.json")

    @property
    def lease(self) -> str:
        """The supervisor's sign of life."""
        return self.at("lease")

    @property
    def status_json(self) -> str:
        """A cache of what the supervisor has worked out."""
        return self.at("status.json")

    @property
    def outputs_json(self) -> str:
        """Models and tables the job wrote where it ran."""
        return self.at("outputs.json")

    @property
    def control(self) -> str:
        """Requests to the supervisor."""
        return self.at("control")

    @property
    def claims(self) -> str:
        """Slots taken by atomic create."""
        return self.at("claims")

    @property
    def ckpt(self) -> str:
        """The job's checkpoints."""
        return self.at("ckpt")

    @property
    def report(self) -> str:
        """What happened, as a page."""
        return self.at("report.html")

    @property
    def media(self) -> str:
        """The job's pictures."""
        return self.at("media")

    @property
    def supervisor_log(self) -> str:
        """Tracebacks of Overnight's own."""
        return self.at("supervisor.log")

    @property
    def log(self) -> str:
        """The job's output, in the root's logs folder; a child's lies in the child's own."""
        if self.parent is not None:
            return self.at("output.log")
        parts = _RUN_ID.fullmatch(self.run_id)
        minute = f"{parts['date']}-{parts['time']}" if parts else self.date
        name = f"{self.kind}_{minute}_{self.run_id}.log"
        return os.path.join(self.root, "logs", self.date, self.kind, name)

    def make(self) -> None:
        """Makes the folders a run writes into."""
        for folder in (self.code, self.control, self.claims):
            os.makedirs(folder, mode=0o700, exist_ok=True)
        os.makedirs(os.path.dirname(self.log), mode=0o700, exist_ok=True)


def kind_dir(root: str, kind: str) -> str:
    """The folder of all runs of a kind."""
    return os.path.join(root, "experiments", kind)


def latest_dir(root: str, kind: str) -> str:
    """The folder that holds the link to the newest finished run of a kind."""
    return os.path.join(kind_dir(root, kind), "latest-" + kind)


def create_run(root: str, kind: str, name: str, *, now_s: float | None = None) -> RunPaths:
    """Takes a new run's folder; two callers in the same minute get different ones.

    Raises:
        OSError: The root cannot be written.
    """
    now = time.localtime(time.time() if now_s is None else now_s)
    date, minute = time.strftime("%Y%m%d", now), time.strftime("%H%M", now)
    day = os.path.join(kind_dir(root, kind), date)
    os.makedirs(day, mode=0o700, exist_ok=True)
    slot = 1
    while True:
        suffix = "" if slot == 1 else f"-{slot:03d}"
        run = RunPaths(os.path.join(day, f"{name}_{date}_{minute}{suffix}"))
        try:
            os.mkdir(run.dir, 0o700)
        except FileExistsError:
            slot += 1
        else:
            run.make()
            return run


def runs_of(root: str) -> Iterator[RunPaths]:
    """Every run below a root, newest day first. For roots the index does not know."""
    for kind in _folders(os.path.join(root, "experiments")):
        for day in _folders(kind):
            if re.fullmatch(r"\d{8}", os.path.basename(day)):
                for folder in _folders(day):
                    if os.path.exists(os.path.join(folder, "run.json")):
                        yield RunPaths(folder)


def _folders(path: str) -> tuple[str, ...]:
    try:
        with os.scandir(path) as entries:
            found = [entry.path for entry in entries if entry.is_dir(follow_symlinks=False)]
    except OSError:
        return ()
    return tuple(sorted(found, reverse=True))
