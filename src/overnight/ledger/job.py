"""The job's side of the ledger: what ``overnight.log`` and its sisters do inside a training.

Nothing here raises into the job or waits for anything but the local disk. What cannot be written
is said once on stderr and counted.
"""

from __future__ import annotations

import atexit
import hashlib
import os
import shutil
import sys
import time
from pathlib import Path
from typing import Any, Dict, Mapping, Optional, Set

from overnight.ledger import files, index
from overnight.ledger.format import AXES, EPOCH, SCHEMA_VERSION, STEP, SUMMARY, number
from overnight.ledger.identity import Identity, here
from overnight.ledger.paths import RunPaths, create_run, find_root, name_from, name_problem
from overnight.ledger.reader import Tail, stems
from overnight.ledger.writer import Pen

#: A process of a higher rank than 0 is silent: rank 0 speaks for all.
_RANK_VARIABLES = ("RANK", "LOCAL_RANK", "SLURM_PROCID", "OMPI_COMM_WORLD_RANK")
_PROGRESS_EVERY_S = 1.0


class Job:
    """The pens of one process. Made on first use; a forked child gets its own."""

    def __init__(self, run: RunPaths, attempt: int) -> None:
        self.run = run
        self.attempt = attempt
        self.pid = os.getpid()
        identity = Identity.of()
        claim = os.path.join(run.claims, "job.%d" % attempt)
        mine = files.to_json(identity.to_json() if identity else {"pid": self.pid})
        first = files.create_once(claim, mine)
        if not first:
            held = Identity.from_json(files.read_json(claim))
            first = held is not None and held == identity
        self.suffix = "" if first else ".p%d" % self.pid
        self._pens: Dict[str, Pen] = {}
        self._next_step: Optional[int] = None
        self._progress_at = 0.0

    def pen(self, base: str) -> Pen:
        """The pen of ``metrics``, ``job`` or ``media``."""
        if base not in self._pens:
            self._pens[base] = Pen(self.run.dir, base + self.suffix, attempt=self.attempt)
        return self._pens[base]

    def metrics(
        self,
        kind: str,
        values: Mapping[str, Any],
        step: Optional[int],
        epoch: Optional[int],
        fold: Optional[int],
    ) -> None:
        """Writes one metrics row."""
        record: Dict[str, Any] = {"_kind": kind}
        if fold is not None:
            record["fold"] = fold
        if kind == STEP:
            if step is None:
                step = self._own_step()
            else:
                self._next_step = step + 1
        if step is not None:
            record["step"] = step
        if epoch is not None:
            record["epoch"] = epoch
        record.update(values)
        self.pen("metrics").append(record)

    def _own_step(self) -> int:
        """The step of a row that names none: one more than the last; after a resume it goes on."""
        if self._next_step is None:
            self._next_step = 0
            if os.environ.get("OVERNIGHT_RESUME") == "1" and _has_files(self.run.ckpt):
                for stem in stems(self.run.dir, "metrics"):
                    for record in Tail(self.run.dir, stem).read():
                        if isinstance(record.get("step"), int):
                            self._next_step = max(self._next_step, record["step"] + 1)
        self._next_step += 1
        return self._next_step - 1

    def event(self, name: str, fields: Mapping[str, Any]) -> None:
        """Writes one of the job's own events."""
        self.pen("job").append({"_event": name, **fields})

    def progress(self, done: float, total: Optional[float], unit: str) -> None:
        """Writes how far the job is, at most once a second; the last step is always written."""
        now = time.monotonic()
        if now - self._progress_at < _PROGRESS_EVERY_S and done != total:
            return
        self._progress_at = now
        self.event("Progress", {"done": done, "total": total, "unit": unit})

    def figure(self, figure: Any, key: str, step: Optional[int]) -> str:
        """Stores a picture under media/ and notes it."""
        os.makedirs(self.run.media, mode=0o700, exist_ok=True)
        source = os.fspath(figure) if isinstance(figure, (str, os.PathLike)) else None
        suffix = os.path.splitext(str(source))[1].lower() if source else ".png"
        pen = self.pen("media")
        name = "%s%s_%06d%s" % (name_from(key + "."), self.suffix, pen.next_seq, suffix or ".png")
        path = os.path.join(self.run.media, name)
        if source is not None:
            shutil.copyfile(source, path)
        else:
            figure.savefig(path, bbox_inches="tight")
        with open(path, "rb") as file:
            digest = hashlib.sha256(file.read()).hexdigest()
        record = {"_kind": "figure", "key": key, "path": "media/" + name, "sha256": digest}
        if step is not None:
            record["step"] = step
        pen.append(record)
        return path


_job: Optional[Job] = None
_said: Set[str] = set()


def _silent() -> bool:
    for name in _RANK_VARIABLES:
        value = os.environ.get(name, "")
        if value.isdigit() and int(value) > 0:
            return True
    return False


def _say_once(what: str) -> None:
    if what not in _said:
        _said.add(what)
        try:
            sys.stderr.write("overnight: " + what + "\n")
        except (OSError, ValueError, AttributeError):
            return  # a closed stderr must not end a training


def _current() -> Optional[Job]:
    """This process's pens, opened from the environment the supervisor gave; None without a run."""
    global _job
    if _job is not None and _job.pid == os.getpid():
        return _job
    if _job is not None:  # a forked child of the process that opened the run
        _job = Job(_job.run, _job.attempt)
        return _job
    folder = os.environ.get("OVERNIGHT_RUN_DIR")
    if not folder or not os.path.isdir(folder):
        return None
    attempt = os.environ.get("OVERNIGHT_ATTEMPT", "0")
    _job = Job(RunPaths(folder), int(attempt) if attempt.isdigit() else 0)
    return _job


def init(name: Optional[str] = None, *, root: Optional[str] = None, **labels: Any) -> Optional[Path]:
    """Opens a run for this process, where none is open, and gives its folder.

    Under ``overnight run`` the run is open already and this does nothing. On its own it makes a
    run of the same layout, without a supervisor: numbers are recorded, ``overnight ls`` shows it.

    Args:
        name: The run's name; the script's by default.
        root: The root folder; found as docs/architecture.md says by default.
        **labels: Kept in ``run.json``.

    Returns:
        The run's folder, or None where none could be opened (said once on stderr).
    """
    global _job
    if _silent():
        return None
    try:
        job = _current()
        if job is None:
            job = _job = _open_alone(name, root, labels)
    except (OSError, ValueError) as error:
        _say_once("no run could be opened: %s" % error)
        return None
    return Path(job.run.dir)


def _open_alone(name: Optional[str], root: Optional[str], labels: Mapping[str, Any]) -> Job:
    script = sys.argv[0] if sys.argv and sys.argv[0] not in ("", "-c") else ""
    if name is not None and name_problem(name):
        raise ValueError("%r cannot name a run" % name)
    start = os.path.dirname(os.path.abspath(script)) if script else os.getcwd()
    run = create_run(find_root(start, root), "run", name or name_from(script))
    created_us = time.time_ns() // 1000
    identity = Identity.of()
    info = {
        "schema_version": SCHEMA_VERSION,
        "run_id": run.run_id,
        "name": name or name_from(script),
        "kind": run.kind,
        "target": script,
        "cwd": os.getcwd(),
        "root": run.root,
        "python": sys.executable,
        "platform": sys.platform,
        "host": here()[3],
        "created_us": created_us,
        "labels": {str(key): str(value) for key, value in labels.items()},
        "supervised": False,
        "process": identity.to_json() if identity else None,
    }
    files.replace(run.run_json, files.to_json(info))
    index.add(run, name=str(info["name"]), created_us=created_us)
    begun = time.monotonic()
    failed = []
    previous_hook = sys.excepthook

    def note_failure(*args: Any) -> None:
        failed.append(True)
        previous_hook(*args)

    def note_end() -> None:
        if os.getpid() != job.pid:
            return
        end = {
            "attempt": 0,
            "code": 1 if failed else 0,
            "signal": None,
            "ran_s": time.monotonic() - begun,
            "ended_us": time.time_ns() // 1000,
        }
        try:
            files.replace(run.exit_json, files.to_json(end))
        except OSError as error:
            _say_once("the run's end could not be written: %s" % error)

    job = Job(run, 0)
    sys.excepthook = note_failure
    atexit.register(note_end)
    return job


def log(
    values: Mapping[str, Any],
    *,
    step: Optional[int] = None,
    epoch: Optional[int] = None,
    fold: Optional[int] = None,
    summary: bool = False,
) -> None:
    """Records numbers: ``overnight.log({"loss": 0.31}, step=120)``.

    One ``write`` to a file of the run's folder; what was logged survives ``kill -9``. Without a
    run it does nothing until ``init()`` opens one.

    Args:
        values: Name → number (Python, NumPy, a one-element tensor; NaN and infinities too).
        step: Where on the axis; by default one more than the last row's.
        epoch: With an epoch and no step the row is an epoch row.
        fold: The fold of a cross-validation this belongs to.
        summary: Final values that belong to no step.
    """
    try:
        # The two conditions that end most calls early, tested without a function call.
        job = _job if _job is not None and _job.pid == os.getpid() else None
        if job is None:
            if _silent():
                return
            job = _current()
            if job is None:
                return
        plain = {}
        for key, value in values.items():
            if type(value) is float or type(value) is int:
                if key in AXES or key[:1] == "_":
                    step, epoch, fold = _take_axis(key, value, step, epoch, fold)
                else:
                    plain[key] = value
            else:
                _take_strange(plain, key, value)
        kind = SUMMARY if summary else (EPOCH if epoch is not None and step is None else STEP)
        job.metrics(kind, plain, step, epoch, fold)
    except OSError as error:
        _say_once("a row could not be written (%s); the training goes on" % error)
    except Exception as error:  # whatever a value's own methods raise is not the job's business
        _say_once("a row could not be recorded (%s: %s)" % (type(error).__name__, error))


def _take_axis(
    key: str, value: float, step: Optional[int], epoch: Optional[int], fold: Optional[int]
) -> "tuple[Optional[int], Optional[int], Optional[int]]":
    """A value named like an axis is that axis, where the call did not name it itself."""
    if key == "step" and step is None:
        return int(value), epoch, fold
    if key == "epoch" and epoch is None:
        return step, int(value), fold
    if key == "fold" and fold is None:
        return step, epoch, int(value)
    if key[:1] == "_":
        _say_once("log: %r is left out; names that begin with _ are reserved" % key)
    return step, epoch, fold


def _take_strange(plain: Dict[str, Any], key: Any, value: Any) -> None:
    key = str(key)
    if key in AXES or key[:1] == "_":
        _say_once("log: %r is left out; it is not a whole number" % key)
        return
    try:
        plain[key] = number(value)
    except (TypeError, ValueError, RuntimeError) as error:
        _say_once("log: %r is left out (%s)" % (key, error))


def progress(done: float, total: Optional[float] = None, *, unit: str = "step") -> None:
    """Says how far the job is: ``overnight.progress(epoch, epochs, unit="epoch")``.

    It is what Overnight trusts most when it says how long is left. Cheap to call often: at most
    one record a second is written.
    """
    try:
        if not _silent():
            job = _current()
            if job is not None:
                job.progress(number(done), None if total is None else number(total), str(unit))
    except Exception as error:  # see log()
        _say_once("progress could not be recorded (%s: %s)" % (type(error).__name__, error))


def checkpoint_dir() -> Path:
    """The folder for the job's checkpoints: the run's own, the same one after a resume.

    Without a run it is ``./ckpt``. The folder exists when this returns, if the disk allows.
    ``$OVERNIGHT_RESUME`` is ``1`` in an attempt that may find a checkpoint here.
    """
    folder = Path("ckpt")
    try:
        job = _current()
        if job is not None:
            folder = Path(job.run.ckpt)
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except (OSError, ValueError) as error:
        _say_once("the checkpoint folder could not be made: %s" % error)
    return folder


def figure(figure: Any, key: str = "figure", *, step: Optional[int] = None) -> Optional[Path]:
    """Keeps a picture with the run.

    Args:
        figure: A path to a picture, or an object with ``savefig`` (Matplotlib).
        key: What it shows; pictures of one key form a series.
        step: Where on the axis.

    Returns:
        Where it was stored; None without a run, or where it could not be (said once on stderr).
    """
    try:
        if _silent():
            return None
        job = _current()
        return None if job is None else Path(job.figure(figure, str(key), step))
    except Exception as error:  # see log()
        _say_once("a picture could not be kept (%s: %s)" % (type(error).__name__, error))
        return None


def _has_files(folder: str) -> bool:
    try:
        return bool(os.listdir(folder))
    except OSError:
        return False
