"""Runs a trial: starts the job confined, watches it, reads back what it wrote, puts all back."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from overnight.ledger.paths import RunPaths, create_run, name_from, state_dir
from overnight.preflight.trial import harmless, inside, produced, ranges, seccomp, shorten
from overnight.preflight.trial.abandoned import own, put_back_abandoned, trials
from overnight.preflight.trial.aside import Aside, put_back, written
from overnight.preflight.trial.asked import Moment, Ranges, TrialAsked, TrialResult
from overnight.preflight.trial.tell import (
    LAST_LOG,
    Trial,
    changes,
    findings,
    left_findings,
    not_tried,
)
from overnight.preflight.trial.watch import Seen, Watch

assert sys.platform != "win32"

#: From SIGTERM to SIGKILL for what a trial leaves behind.
_GRACE_S = 3.0
_LOOK_AGAIN_S = 0.02
#: Between the start of the confined job's Python and its filter.
_CONFINING_S = 30.0
_HERE = Path(__file__).parent
_SITECUSTOMIZE = """\
from overnight.preflight.trial.inside.begin import begin, next_sitecustomize

begin()
next_sitecustomize({folder!r})
"""


def attempt(asked: TrialAsked, on_progress: Callable[[Moment], object]) -> TrialResult:
    """Makes the trial (see :func:`overnight.preflight.trial.run`)."""
    base = trials()
    base.mkdir(mode=0o700, parents=True, exist_ok=True)
    left = put_back_abandoned(told=True)
    plan = shorten.plan(asked.argv, asked.source, asked.cwd)
    if not asked.may_send and harmless.senders_in(plan.sources):
        return TrialResult([*left_findings(left), *not_tried(plan)], None)
    begun_s = time.monotonic()
    with _signals_raise():
        first = _attempt(asked, plan, base, on_progress, epochs=1 if plan.epochs else None)
        trial, lowered = first, None
        if plan.epochs is not None and plan.epochs > 1 and first.seen.code == 0:
            left_s = asked.time_limit_s - (time.monotonic() - begun_s)
            # A second one that would not fit tells nothing.
            if left_s > 1.5 * first.seen.elapsed_s:
                trial = _attempt(asked, plan, base, on_progress, epochs=2, time_limit_s=left_s)
                if trial.seen.code == 0:
                    lowered = ranges.Lowered(
                        plan.epochs, (1, _virtual_s(first.seen)), (2, _virtual_s(trial.seen))
                    )
    turns = (2, plan.epochs) if lowered and plan.epochs else ranges.epochs_run(trial.seen.reports)
    sizes = produced.scaled_mib(trial.sizes, turns)
    found = ranges.work_out(
        trial.seen,
        disk_mib=sizes if trial.seen.code == 0 else None,
        may_stop_early=plan.may_stop_early,
        lowered=lowered,
    )
    if plan.epochs is not None and plan.epochs > 1 and lowered is None and not found.why_unknown:
        found = Ranges(peak_ram_mib=found.peak_ram_mib, why_unknown="not_ended")
    return TrialResult(
        [*left_findings(left), *findings(asked, plan, trial, found)],
        found,
        changes(plan, trial),
        time.monotonic() - begun_s,
    )


def _virtual_s(seen: Seen) -> float:
    return seen.elapsed_s + ranges.saved_s(seen.reports)[1]


def _attempt(
    asked: TrialAsked,
    plan: shorten.Plan,
    base: Path,
    on_progress: Callable[[Moment], object],
    *,
    epochs: int | None,
    time_limit_s: float | None = None,
) -> Trial:
    """One start of the job, from nothing to nothing."""
    folder = _make_folder(base)
    trial = Trial()
    aside = Aside(str(folder))
    try:
        place = create_run(str(folder / "root"), "run", name_from(asked.name))
        job = _Job(asked, plan, folder, place, aside, epochs)
        watch = Watch(place, folder, plan.source, [*asked.argv[1:]], on_progress)
        try:
            with job:
                trial.seen = watch.until_end(
                    job.pid, job.poll, asked.time_limit_s if time_limit_s is None else time_limit_s
                )
                trial.is_guarded = job.is_guarded
        finally:
            watch.close()
        trial.log_tail = _log_tail(place)
        shutil.copyfile(place.log, base / LAST_LOG)
        on_progress(Moment("reading", trial.seen.elapsed_s))
        if not job.is_guarded:
            _take_over(aside, str(folder))
        paths = [*_written(aside), *_files_below(place.at("ckpt"))]
        trial.sizes = list(produced.sizes(paths))
        python = asked.argv[0] if plan.script_at is not None else sys.executable
        trial.outputs = produced.read_back(produced.outputs(paths), python)
        trial.folder = str(folder)
    finally:
        with _unbroken():
            aside.close()
            trial.not_put_back = put_back(str(folder), keep=asked.keep)
            trial.refused = sorted(aside.refused)
            if not trial.not_put_back:
                shutil.rmtree(folder, ignore_errors=True)
    return trial


def _make_folder(base: Path) -> Path:
    for number in range(1_000_000):
        folder = base / f"{os.getpid()}-{number}"
        with contextlib.suppress(FileExistsError):
            folder.mkdir(mode=0o700)
            own(folder)
            return folder
    raise AssertionError("a million trials")


class _Job:
    """The job's process, confined; leaving the block ends it and all it started."""

    def __init__(
        self,
        asked: TrialAsked,
        plan: shorten.Plan,
        folder: Path,
        place: RunPaths,
        aside: Aside,
        epochs: int | None,
    ) -> None:
        self._asked = asked
        self._plan = plan
        self._folder = folder
        self._place = place
        self._aside = aside
        self._epochs = epochs
        self._listener: seccomp.Listener | None = None
        self.is_guarded = False
        """Whether the kernel tells of each file before it is written."""

    def __enter__(self) -> _Job:
        argv, env = self._argv(), self._environment()
        # Where the kernel can tell, `confined` takes it out again.
        env["OVERNIGHT_TRIAL_ASIDE"] = str(self._folder)
        near, far = socket.socketpair()
        log = os.open(self._place.log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        confine = seccomp.is_supported()
        if confine:
            head = [sys.executable, "-I", "-S", str(_HERE / "confined.py"), str(far.fileno())]
            argv = [*head, *argv]
        with near, far:
            try:
                self._child = subprocess.Popen(
                    argv,
                    cwd=self._asked.cwd,
                    env=env,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    pass_fds=[far.fileno()],
                    start_new_session=True,
                )
            finally:
                os.close(log)
            self.pid = self._child.pid
            far.close()
            if confine:
                try:
                    self._confine(near)
                except BaseException:
                    self._end()
                    raise
        return self

    def _confine(self, channel: socket.socket) -> None:
        channel.settimeout(_CONFINING_S)
        said, fds, _, _ = socket.recv_fds(channel, 1, 1)
        if said == b"+" and fds:
            self._listener = seccomp.Listener(fds[0], self._aside)
            self.is_guarded = True
        # Refused (a container's own filter may): the job's Python looks after its own writing.
        channel.sendall(b"+" if self.is_guarded else b"-")

    def poll(self) -> int | None:
        """The exit code, or None while it runs."""
        self._aside.sign()
        return self._child.poll()

    def __exit__(self, *_: object) -> None:
        self._end()

    def _end(self) -> None:
        from overnight.supervisor import process

        with _unbroken():
            process.end_all(
                lambda: process.of_run(self._place.dir, {self.pid}) - self._reaped(),
                _GRACE_S,
                lambda: time.sleep(_LOOK_AGAIN_S),
            )
            self._child.wait()
            if self._listener is not None:
                self._listener.close()
                self._listener = None

    def _reaped(self) -> set[int]:
        return {self.pid} if self._child.poll() is not None else set()

    def _argv(self) -> list[str]:
        asked, plan = self._asked, self._plan
        argv = list(asked.argv)
        if self._epochs is not None:
            argv = plan.argv_with(argv, self._epochs)
        if asked.source:
            script = self._folder / "code" / (name_from(asked.name) + ".py")
            script.parent.mkdir()
            script.write_text(asked.source, encoding="utf-8")
            argv[1] = str(script)
        if plan.script_at is not None:
            argv.insert(plan.script_at, str(Path(inside.__file__).with_name("main.py")))
        return argv

    def _environment(self) -> dict[str, str]:
        from overnight.supervisor.launch import import_path, job_environment

        asked, folder = self._asked, self._folder
        site = folder / "site"
        site.mkdir()
        (site / "sitecustomize.py").write_text(_SITECUSTOMIZE.format(folder=str(site)))
        env = job_environment(
            harmless.environment(asked.env, str(folder)),
            self._place,
            cwd=asked.cwd,
            attempt=0,
            resumed=False,
            import_path=import_path(state_dir()),
        )
        script = self._plan.script
        own = [asked.cwd, os.path.dirname(os.path.abspath(script))] if script else [asked.cwd]
        # A notebook imports what lies beside it, wherever its script is.
        first = [str(site), asked.cwd] if asked.source else [str(site)]
        env["PYTHONPATH"] = os.pathsep.join([*first, env["PYTHONPATH"]])
        env["OVERNIGHT_TRIAL_DIR"] = str(folder)
        env["OVERNIGHT_TRIAL_FOLDERS"] = os.pathsep.join(own)
        if asked.full_epoch:
            env["OVERNIGHT_TRIAL_FULL_EPOCH"] = "1"
        in_script = self._plan.flag_at is None and not self._plan.flag.startswith("-")
        if self._epochs is not None and in_script:
            env["OVERNIGHT_TRIAL_SET"] = f"{self._plan.flag}={self._epochs}"
        return env


def _take_over(aside: Aside, folder: str) -> None:
    """What the job put aside by itself stands in the journal."""
    for entry in written(folder):
        if entry["op"] == "made":
            aside.made.add(entry["path"])
        elif entry["op"] == "aside":
            aside.overwritten.add(entry["path"])
        elif entry["op"] == "refused":
            aside.refused.add(entry["path"])


def _written(aside: Aside) -> list[str]:
    """The files of the job's that it made or wrote over, and that are still there."""
    return sorted(path for path in aside.made | aside.overwritten if os.path.isfile(path))


def _files_below(folder: str) -> Iterator[str]:
    for at, _, names in os.walk(folder):
        yield from (os.path.join(at, name) for name in names)


#: Our own frames in a traceback, each with its line of code and its markers.
_OWN_FRAMES = re.compile(
    r'^  File "' + re.escape(str(_HERE)) + r"[^\n]*\n(?:    [^\n]*\n)*", re.MULTILINE
)
_TAIL_BYTES = 64 * 1024


def _log_tail(place: RunPaths) -> str:
    with open(place.log, "rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - _TAIL_BYTES))
        text = file.read().decode("utf-8", "replace")
    linked = text.replace(os.path.join(state_dir(), "import"), "\0")
    text = re.sub(r"\0/[0-9a-f]{8}/overnight", lambda _: str(_HERE.parent.parent), linked)
    return _OWN_FRAMES.sub("", text.replace("\0", os.path.join(state_dir(), "import")))


@contextlib.contextmanager
def _unbroken() -> Iterator[None]:
    """No Ctrl-C and no SIGTERM inside: what was begun to be put back is put back."""
    held = {signal.SIGINT, signal.SIGTERM, signal.SIGHUP}
    masked = signal.pthread_sigmask(signal.SIG_BLOCK, held)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, masked)


@contextlib.contextmanager
def _signals_raise() -> Iterator[None]:
    """SIGTERM and SIGHUP leave like Ctrl-C does, so that everything is put back first."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def leave(number: int, _: object) -> None:
        raise SystemExit(128 + number)

    before = {number: signal.signal(number, leave) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
