"""The job's side of the ledger: what ``overnight.log`` and its sisters do inside a training.

Nothing here raises into the job or waits for anything but the local disk. What cannot be written
is said once on stderr and counted.

One file, since all of it shares the process's one set of pens.
"""

from __future__ import annotations

import atexit
import os
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from threading import current_thread, main_thread
from typing import Any, NoReturn

from overnight.ledger import files, own_run
from overnight.ledger.complaint import complain
from overnight.ledger.format import AXES, EPOCH, STEP, SUMMARY, number
from overnight.ledger.identity import Identity
from overnight.ledger.paths import RunPaths
from overnight.ledger.reader import Tail, stems
from overnight.ledger.writer import Pen

#: A process of a higher rank than 0 is silent: rank 0 speaks for all.
_RANK_VARIABLES = ("RANK", "LOCAL_RANK", "SLURM_PROCID", "OMPI_COMM_WORLD_RANK")
_PROGRESS_EVERY_S = 1.0
#: What other readers of JSON (a browser, jq) take for a whole number: 2^53.
_MAX_AXIS = 2**53


class Job:
    """The pens of one process. Made on first use; a forked child gets its own."""

    def __init__(self, run: RunPaths, attempt: int) -> None:
        self.run = run
        self.attempt = attempt
        self.pid = os.getpid()
        identity = Identity.of()
        claim = os.path.join(run.claims, f"job.{attempt}")
        mine = files.to_json(identity.to_json() if identity else {"pid": self.pid})
        first = files.create_once(claim, mine)
        if not first:
            held = Identity.from_json(files.read_json(claim))
            first = held is not None and held == identity
        self.suffix = "" if first else f".p{self.pid}"
        self._pens: dict[str, Pen] = {}
        self._next_step: int | None = None
        self._progress_at = 0.0

    def pen(self, base: str) -> Pen:
        """The pen of ``metrics``, ``job`` or ``media``."""
        pen = self._pens.get(base)
        if pen is None:
            mine = Pen(self.run.dir, base + self.suffix, attempt=self.attempt)
            # Two threads may both come here first; one pen is kept, and the other wrote nothing.
            pen = self._pens.setdefault(base, mine)
            if pen is not mine:
                mine.close()
        return pen

    def close(self) -> None:
        """Gives the files back; whoever writes now in another thread is told that they are."""
        for pen in self._pens.values():
            pen.close()

    def metrics(
        self,
        kind: str,
        values: Mapping[str, Any],
        step: int | None,
        epoch: int | None,
        fold: int | None,
    ) -> None:
        """Writes one metrics row."""
        record: dict[str, Any] = {"_kind": kind}
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

    def progress(self, done: float, total: float | None, unit: str) -> None:
        """Writes how far the job is, at most once a second; the last step is always written."""
        now = time.monotonic()
        if now - self._progress_at < _PROGRESS_EVERY_S and done != total:
            return
        self._progress_at = now
        self.event("Progress", {"done": done, "total": total, "unit": unit})


_job: Job | None = None
#: Jobs by process number: threads that come here first at once agree on one.
_jobs: dict[int, Job] = {}


def is_silent() -> bool:
    """Whether another process speaks for this one: its rank is above 0."""
    for name in _RANK_VARIABLES:
        value = os.environ.get(name, "")
        if value.strip("0") and value.isascii() and value.isdigit():
            return True
    return False


def current() -> Job | None:
    """This process's pens, from the environment the supervisor gave; None without a run or a say.

    Opens no run.
    """
    global _job
    if is_silent():
        return None
    if _job is not None and _job.pid == os.getpid():
        return _job
    if _job is not None:  # a forked child of the process that opened the run
        run, attempt = _job.run, _job.attempt
    else:
        given = _given_run()
        if given is None:
            return None
        run, attempt = given, _number_of(os.environ.get("OVERNIGHT_ATTEMPT", ""))
    _job = _jobs.setdefault(os.getpid(), Job(run, attempt))
    return _job


def _given_run() -> RunPaths | None:
    """The run that the supervisor gave this job."""
    folder = os.environ.get("OVERNIGHT_RUN_DIR")
    return RunPaths(folder) if folder and os.path.isdir(folder) else None


def _number_of(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else 0


def init(name: str | None = None, *, root: str | None = None, **labels: Any) -> Path | None:
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
    try:
        if is_silent():
            return None
        job = current()
        if job is None:
            job = _job = _jobs[os.getpid()] = _open_alone(name, root, labels)
        return Path(job.run.dir)
    except Exception as error:  # see log()
        complain("job.no_run", error)
        return None


def _open_alone(name: str | None, root: str | None, labels: Mapping[str, Any]) -> Job:
    run = own_run.make(name, root, labels)
    _list(run)
    begun = time.monotonic()
    codes = [0]
    previous_hook, previous_exit = sys.excepthook, sys.exit

    def note_failure(*args: Any) -> None:
        codes.append(1)
        previous_hook(*args)

    def note_exit(status: Any = None, /) -> NoReturn:
        # The hook is not called for it, and at the interpreter's end it is forgotten.
        if current_thread() is main_thread():
            codes.append(status & 0xFF if isinstance(status, int) else int(status is not None))
        previous_exit(status)

    def note_end() -> None:
        if os.getpid() != job.pid:
            return
        end = {
            "attempt": 0,
            "code": codes[-1],
            "signal": None,
            "ran_s": time.monotonic() - begun,
            "ended_us": time.time_ns() // 1000,
        }
        try:
            files.replace(run.exit_json, files.to_json(end))
        except OSError as error:
            complain("job.no_end", error)

    job = Job(run, 0)
    sys.excepthook, sys.exit = note_failure, note_exit
    atexit.register(note_end)
    return job


def open_run(
    name: str | None,
    *,
    root: str | None = None,
    labels: Sequence[str] = (),
    parent: str | None = None,
    is_listed: bool = True,
) -> Job:
    """Opens a run for a part of this process, which says itself when that is over (close_run).

    Nothing of the process is changed for it, and the run's end is not the process's.

    Args:
        name: The run's name; the script's by default.
        root: The root folder; found as docs/architecture.md says by default.
        labels: Words kept in ``run.json``.
        parent: The folder of the run that this one is a part of.
        is_listed: Whether ``overnight ls`` is to find it.

    Raises:
        OSError: The root cannot be written.
        ValueError: ``name`` cannot name a run.
    """
    run = own_run.make(name, root, list(labels), parent=parent)
    own_run.reserve_end(run)
    if is_listed:
        _list(run)
    job = Job(run, 0)
    switch_to(job)
    return job


def switch_to(job: Job | None) -> None:
    """What is logged from now on is this run's; None: that of the environment, if there is one."""
    global _job
    _job = job
    if job is None:
        _jobs.pop(os.getpid(), None)
    else:
        _jobs[os.getpid()] = job


def close_run(job: Job, end: Mapping[str, Any]) -> None:
    """Writes how a run of ``open_run`` ended, and lets go of it: what is logged now is no run's.

    Raises:
        OSError: The run's folder cannot be written.
    """
    if _job is job:
        switch_to(None)
    job.close()
    own_run.write_end(job.run, end)


def _list(run: RunPaths) -> None:
    try:
        own_run.list_in_index(run)
    except OSError as error:  # a home folder that cannot be written: the numbers are recorded
        complain("job.unlisted", error)


def log(
    values: Mapping[str, Any],
    *,
    step: int | None = None,
    epoch: int | None = None,
    fold: int | None = None,
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
            job = current()
            if job is None:
                return
    except Exception as error:  # its files cannot be opened; nothing of that is the job's business
        complain("job.row_unwritten", error)
    else:
        log_to(job, values, step=step, epoch=epoch, fold=fold, summary=summary)


def log_to(
    job: Job,
    values: Mapping[str, Any],
    *,
    step: int | None = None,
    epoch: int | None = None,
    fold: int | None = None,
    summary: bool = False,
) -> None:
    """As ``log``, into a run of several that this process has open."""
    try:
        axes: dict[str, Any] = {"step": step, "epoch": epoch, "fold": fold}
        plain: dict[str, Any] = {}
        for key, value in values.items():
            if type(key) is not str or key in AXES or key[:1] == "_":
                _take_strange(plain, axes, key, value)
            elif type(value) is float or type(value) is int:
                plain[key] = value
            else:
                _take_strange(plain, axes, key, value)
        for key, value in axes.items():
            if value is not None and (type(value) is not int or abs(value) > _MAX_AXIS):
                axes[key] = _whole(key, value)
        step, epoch = axes["step"], axes["epoch"]
        kind = SUMMARY if summary else (EPOCH if epoch is not None and step is None else STEP)
        job.metrics(kind, plain, step, epoch, axes["fold"])
    except OSError as error:
        complain("job.row_unwritten", error)
    except Exception as error:  # whatever a value's own methods raise is not the job's business
        complain("job.row_unrecorded", error)


def _take_strange(plain: dict[str, Any], axes: dict[str, Any], key: Any, value: Any) -> None:
    """Takes a value that is no plain float or integer, or whose name is not free."""
    try:
        key = str(key)
        if key in axes:
            # A value named like an axis is that axis, where the call did not name it itself.
            if axes[key] is None:
                axes[key] = value
        elif key in AXES or key[:1] == "_":
            complain("job.reserved", key=repr(key))
        else:
            plain[key] = number(value)
    except Exception as error:  # see log()
        complain("job.left_out", error, key=repr(key if isinstance(key, str) else type(key)))


def axes(step: Any, epoch: Any, fold: Any) -> dict[str, int]:
    """Those of a record's axes that were given, as integers."""
    given = {"step": step, "epoch": epoch, "fold": fold}
    found = {key: _whole(key, value) for key, value in given.items() if value is not None}
    return {key: value for key, value in found.items() if value is not None}


def _whole(key: str, value: Any) -> int | None:
    """An axis as an integer: 2.7 epochs are within epoch 2. None, said once, where it is none."""
    try:
        whole = int(number(value))
        if abs(whole) > _MAX_AXIS:
            raise OverflowError("too large")
        return whole
    except Exception as error:  # see log()
        complain("job.not_whole", error, key=repr(key))
        return None


def progress(done: float, total: float | None = None, *, unit: str = "step") -> None:
    """Says how far the job is: ``overnight.progress(epoch, epochs, unit="epoch")``.

    It is what Overnight trusts most when it says how long is left. Cheap to call often: at most
    one record a second is written.
    """
    try:
        job = current()
        if job is not None:
            job.progress(number(done), None if total is None else number(total), str(unit))
    except Exception as error:  # see log()
        complain("job.no_progress", error)


def checkpoint_dir() -> Path:
    """The folder for the job's checkpoints: the run's own, the same one after a resume.

    Without a run it is ``./ckpt``. The folder exists when this returns, if the disk allows.
    ``$OVERNIGHT_RESUME`` is ``1`` in an attempt that may find a checkpoint here.
    """
    folder = Path("ckpt")
    try:
        # Every rank may ask; only the first one's log() opens the run's files.
        run = _job.run if _job is not None else _given_run()
        if run is not None:
            folder = Path(run.ckpt)
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except (OSError, ValueError) as error:
        complain("job.no_checkpoint_dir", error)
    return folder


def event(name: str, /, **fields: Any) -> None:
    """Notes one of the job's own events (docs/ledger-format.md); never raises.

    Without a run it does nothing.
    """
    try:
        job = current()
        if job is not None:
            job.event(name, {k: v for k, v in fields.items() if v is not None})
    except Exception as error:  # see log()
        complain("job.no_event", error)


def num_written() -> int:
    """Metrics rows of this process that are whole on disk, earlier attempts' included.

    For proofs; unlike its sisters it may raise.

    Raises:
        OSError: The ledger cannot be opened (a full disk).
    """
    job = current()
    return 0 if job is None else job.pen("metrics").next_seq


def _has_files(folder: str) -> bool:
    try:
        return bool(os.listdir(folder))
    except OSError:
        return False
