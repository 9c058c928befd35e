"""How an attempt ended: its cause, the line in events.jsonl, the last line of the log.

Done by the supervisor; where it is dead, by the next reader, through ``settle``.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from overnight.errors import LedgerError
from overnight.ledger import claims, files, index
from overnight.ledger.paths import RunPaths, latest_dir
from overnight.ledger.reader import Tail, read
from overnight.ledger.state import View, state_to_json, view
from overnight.ledger.writer import Pen
from overnight.supervisor import outputs, own
from overnight.supervisor.detach import take
from overnight.supervisor.diagnose import Cause, Ending, diagnose
from overnight.supervisor.launch import Launch
from overnight.supervisor.oom import OomCounters, OomKills

assert sys.platform != "win32"

#: Kinds of run that train a model, for the log's last line.
_TRAININGS = ("train", "pipeline")
#: The cause stands at the end of the log.
TAIL_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True)
class End:
    """An attempt that is over, before anybody has asked why."""

    attempt: int
    code: int | None
    signal: int | None
    ran_s: float | None
    max_rss_kib: int | None
    stop_asked: bool
    oom_kills: OomKills
    #: ``reboot`` or ``unseen``, where nobody saw the job's exit code.
    lost: str = ""
    #: Where this attempt's output begins in the log.
    log_from: int = 0
    #: Whether any step, epoch or bar was seen; None where nobody looked.
    steps_seen: bool | None = None
    #: The exception that ended it, as the job wrote it itself; then the log is not asked.
    traceback: str = ""
    #: The process left with code 0, but the watched block in it was not over.
    left: bool = False


def cause_of(run: RunPaths, end: End, *, launch: Launch | None) -> Cause:
    """Why the attempt ended as it did."""
    script = None
    if launch is not None and launch.notebook and launch.entry:
        with contextlib.suppress(OSError), open(launch.entry, encoding="utf-8") as file:
            script = file.read()
    honoured = any(
        record.get("_event") == "StopHonoured" and record.get("_attempt") == end.attempt
        for record in Tail(run.dir, "job").read()
    )
    found = diagnose(
        Ending(
            code=end.code,
            signal=end.signal,
            stop_asked=end.stop_asked,
            stop_honoured=honoured,
            log_tail=end.traceback or log_tail(run, since=end.log_from),
            oom_kills=end.oom_kills,
            max_rss_kib=end.max_rss_kib,
            ran_s=end.ran_s or 0.0,
            script=script,
            steps_seen=end.steps_seen,
            disk_free_bytes=_disk_free_bytes(run),
        )
    )
    return own.retold(found, left=end.left) if own.is_own(run) else found


def _disk_free_bytes(run: RunPaths) -> int | None:
    try:
        disk = os.statvfs(os.path.dirname(run.log))
    except OSError:
        return None
    return disk.f_bavail * disk.f_frsize


def log_tail(run: RunPaths, num_bytes: int = TAIL_BYTES, *, since: int = 0) -> str:
    """The end of the job's output, as text; nothing of what was written before ``since``."""
    try:
        with open(run.log, "rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(since if since <= size else 0, size - num_bytes))
            return file.read().decode("utf-8", "replace")
    except OSError:
        return ""


def exited(end: End, cause: Cause, *, final: bool) -> dict[str, Any]:
    """The fields of the ``Exited`` event."""
    outcome = "failed" if cause.failed else "finished"
    if end.stop_asked:
        outcome = "stopped"
    elif end.lost:
        outcome = "lost"
    fields: dict[str, Any] = {
        "_event": "Exited",
        "code": end.code,
        "signal": end.signal,
        "known": end.code is not None or end.signal is not None,
        "ran_s": end.ran_s,
        "max_rss_mib": None if end.max_rss_kib is None else round(end.max_rss_kib / 1024, 1),
        "cause": cause.to_json(),
        "outcome": outcome,
        "final": final,
    }
    if end.lost:
        fields["why"] = end.lost
    return fields


def exit_line(kind: str, end: End, cause: Cause) -> str:
    """``[EXIT] SUCCESS code=0`` or ``[EXIT] ERROR code=N cause=…``."""
    is_training = kind in _TRAININGS
    head = "[EXIT] TRAINING" if is_training else "[EXIT]"
    if not (cause.failed or end.lost or end.stop_asked):
        return f"{head} SUCCESS code=0"
    code: object = "unknown"
    if end.signal is not None:
        code = 128 + end.signal
    elif end.code is not None:
        code = end.code
    if is_training:
        return f"{head} ERROR code={code}"
    return f"{head} ERROR code={code} cause={'lost' if end.lost else cause.kind}"


def write_log_line(run: RunPaths, line: str) -> None:
    """Appends a line of ours to the job's log, on a line of its own.

    Raises:
        OSError: The log cannot be written (a full disk, a removed folder).
    """
    os.makedirs(os.path.dirname(run.log), mode=0o700, exist_ok=True)
    fd = os.open(run.log, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        size = os.fstat(fd).st_size
        starts_line = size == 0 or os.pread(fd, 1, size - 1) == b"\n"
        files.write_all(fd, (("" if starts_line else "\n") + line + "\n").encode())
    finally:
        os.close(fd)


def close(run: RunPaths, pen: Pen, end: End, cause: Cause) -> None:
    """Writes a run's final end: the log's last line, the newest link, the event, the index.

    The event is what makes the run ended: whoever dies before it is followed by another, who does
    all of this again.

    Raises:
        OSError: The disk is full; call it again later. Nothing is written twice.
    """
    line = exit_line(run.kind, end, cause)
    # A run that a program opened for itself has no log, and needs none for this line.
    if not own.is_own(run) and not log_tail(run, 512).rstrip("\n").endswith(line):
        write_log_line(run, line)
    if not (cause.failed or end.lost or end.stop_asked):
        with contextlib.suppress(OSError):  # a convenience: no reason for a run not to end
            point_latest(run)
    if not _is_closed(run, end.attempt):
        pen.append(exited(end, cause, final=True))
    with contextlib.suppress(OSError):  # a full home folder: readers look at the run itself
        index.end(run, state_to_json(view(run).state))


def _is_closed(run: RunPaths, attempt: int) -> bool:
    book = read(run.dir, "events")
    return any(
        record.get("_event") == "Exited"
        and record.get("_attempt") == attempt
        and record.get("final") is True
        for record in book.records
    )


def point_latest(run: RunPaths) -> None:
    """Makes ``latest-<kind>`` hold a link to this run and to no other."""
    import shutil  # brings three compressors along

    folder = latest_dir(run.root, run.kind)
    os.makedirs(folder, mode=0o700, exist_ok=True)
    # Listed before ours is there: two runs that end at once never remove each other's.
    others = [name for name in os.listdir(folder) if name != run.run_id]
    link = os.path.join(folder, run.run_id)
    if not os.path.lexists(link):
        try:
            os.symlink(os.path.relpath(run.dir, folder), link)
        except OSError:  # a disk without links gets a copy
            shutil.copytree(run.dir, link)
    for name in others:
        other = os.path.join(folder, name)
        if os.path.isdir(other) and not os.path.islink(other):
            shutil.rmtree(other, ignore_errors=True)
        else:
            files.discard(other)


def settle(run: RunPaths) -> View:
    """Writes down the end of a run whose supervisor died before it could; gives its view.

    Called by whoever looks next. A run that is not over, that another process is settling, or
    whose disk cannot be written is left as it is.
    """
    now = view(run)
    if now.unsettled:
        with contextlib.suppress(OSError):
            generation = take(run)
            if generation is not None:
                _settle(run, now.attempt)
                # Given back: who settles a run to resume it lives when its supervisor takes it.
                claims.leave(run.claims, "supervisor", generation)
                return view(run)
    return now


def _settle(run: RunPaths, attempt: int) -> None:
    ended = files.read_json(run.exit_json) or {}
    events = read(run.dir, "events").records
    before = _before_restart(events)
    if before is not None:
        end, cause = before
    else:
        end = end_from_disk(run, attempt, ended, events)
        launch = None
        if os.path.exists(run.launch_json):
            with contextlib.suppress(LedgerError):  # damaged: the log still tells
                launch = Launch.read(run)
        cause = cause_of(run, end, launch=launch)
        started_us = view(run).started_us
        if launch is not None and started_us is not None:
            outputs.find(run, launch, since_us=started_us)
    pen = Pen(run.dir, "events", attempt=attempt, sync=True)
    try:
        close(run, pen, end, cause)
    finally:
        pen.close()


def _before_restart(events: list[dict[str, Any]]) -> tuple[End, Cause] | None:
    """The end that stands if the supervisor died while it waited to restart; None if it did not.

    The attempt it was waiting for never was: the job's own end is the run's.
    """
    exited: dict[str, Any] = {}
    waiting, stop_asked = 0, False
    for record in events:
        match record.get("_event"):
            case "Exited":
                exited = record
            case "Restarting":
                waiting, stop_asked = record.get("_attempt") or 0, False
            case "Stopping":
                stop_asked = True
            case "Started" | "Resumed":
                waiting = 0
    if not waiting or exited.get("final", True):
        return None
    end = End(
        waiting, exited.get("code"), exited.get("signal"), exited.get("ran_s"), None, stop_asked,
        oom_kills_since(None), lost=str(exited.get("why", "")),
    )  # fmt: skip
    return end, Cause.from_json(exited.get("cause"))


def end_from_disk(
    run: RunPaths, attempt: int, ended: Mapping[str, Any], events: list[dict[str, Any]]
) -> End:
    """The end of an attempt as exit.json tells it; ``lost`` where there is none of this attempt."""
    of_attempt = [record for record in events if record.get("_attempt") == attempt]
    stop_asked = any(record.get("_event") == "Stopping" for record in of_attempt)
    started = next((record for record in of_attempt if record.get("_event") == "Started"), {})
    log_from = started.get("log_bytes")
    seen = ended.get("attempt") == attempt
    lost = ""
    if not seen:
        keeper = (files.read_json(run.keeper_json) or {}).get("job")
        lost = "reboot" if _rebooted(keeper) else "unseen"
    return End(
        attempt=attempt,
        code=ended.get("code") if seen else None,
        signal=ended.get("signal") if seen else None,
        ran_s=ended.get("ran_s") if seen else None,
        max_rss_kib=ended.get("max_rss_kib") if seen else None,
        stop_asked=stop_asked or (seen and ended.get("outcome") == "stopped"),
        oom_kills=oom_kills_since(started.get("oom") if seen else None),
        lost=lost,
        log_from=log_from if isinstance(log_from, int) else 0,
        traceback=own.traceback_of(ended) if seen else "",
    )


def _rebooted(job: object) -> bool:
    from overnight.ledger.identity import Identity

    identity = Identity.from_json(job)
    return identity is not None and identity.rebooted


def oom_kills_since(before: object) -> OomKills:
    """How many processes the kernel has killed for memory since ``before`` was read."""
    earlier = OomCounters.from_json(before)
    return earlier.again().since(earlier)
