"""The supervisor of one run: a loop with its duties listed in order.

It may be killed at any moment and started again: what it must remember is on disk before it acts
on it, and the keeper holds the job meanwhile. A full disk delays what it writes and loses nothing.
Everything is imported at the start, so an upgrade of the package under a live run changes nothing.

One file, since the duties share the run's state and their order is the point: what each does in
detail stands in a file of its own (watch, ending, restart, stop, keeper).
"""

from __future__ import annotations

import contextlib
import gc
import json
import os
import sys
import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from overnight.ledger import claims, files, index
from overnight.ledger.identity import ALIVE, Identity, here
from overnight.ledger.paths import RunPaths, state_dir
from overnight.ledger.reader import read
from overnight.ledger.state import LEASE_EVERY_S, view
from overnight.ledger.writer import Pen
from overnight.outbox import follow, summon, track
from overnight.supervisor import ending, keeper, outputs, process, report
from overnight.supervisor.detach import holder, reserve_requests, take
from overnight.supervisor.diagnose import Cause
from overnight.supervisor.launch import Launch, import_path, job_environment, reveal
from overnight.supervisor.oom import OomCounters
from overnight.supervisor.restart import Restart, decide
from overnight.supervisor.stop import Stop
from overnight.supervisor.wake import Wake
from overnight.supervisor.watch import Watch

assert sys.platform != "win32"

#: At first people look on; later nobody does, and ticks cost CPU.
_BRISK_TICK_S, _BRISK_FOR_S = 1.0, 120.0
_TICK_S = 5.0
#: What a job left behind gets SIGTERM, and SIGKILL after this long.
_LEFTOVERS_GRACE_S = 3.0
_LOOK_AGAIN_S = 0.05


class Supervisor:
    """One run's supervisor, from the claim to the last line."""

    def __init__(
        self, run: RunPaths, generation: int, *, umask: int, launch: Launch | None = None
    ) -> None:
        self.run = run
        self.generation = generation
        #: The mask of whoever asked, for the job; our own keeps the run private.
        self.umask = umask
        self.launch = launch or Launch.read(run)
        self.attempt = view(run).attempt
        self.pen = Pen(run.dir, "events", attempt=self.attempt, sync=True)
        self.kept: keeper.Kept | None = None
        self.stop: Stop | None = None
        self.watch = Watch(run, self.launch)
        #: When the first attempt of this run started: what is newer in its folder is its work.
        self.started_us = view(run).started_us or time.time_ns() // 1000
        #: The machine is being shut down: what ends now is not started again.
        self.terminating = False
        self._pending: list[dict[str, Any]] = []
        #: Requests whose event is on its way to the disk.
        self._answered: set[str] = set()
        self._lease_at = 0.0
        self._describer: int | None = None
        self.wake = Wake(self._on_sigterm)
        self.renew_lease()

    def _on_sigterm(self) -> None:
        self.terminating = True

    # ── starting ────────────────────────────────────────────────────────────────────────

    def start(self, *, resumed: bool) -> None:
        """Starts an attempt. Raises OSError if the program cannot be run."""
        try:
            path = import_path(state_dir())
        except OSError:  # a home folder that is full or read-only
            path = import_path(self.run.dir)
        env = job_environment(
            os.environ,
            self.run,
            cwd=self.launch.cwd,
            attempt=self.attempt,
            resumed=resumed,
            import_path=path,
        )
        self.pen.attempt = self.attempt
        begin = keeper.Start(
            argv=reveal(self.launch.argv, env),
            cwd=self.launch.cwd,
            env=env,
            log=self.run.log,
            attempt=self.attempt,
            umask=self.umask,
        )
        with contextlib.suppress(OSError):  # the keeper needs some too, and says so
            reserve_requests(self.run)
        log_bytes = self.log_size()
        self.kept = keeper.keep(self.run, begin)
        self.note(
            "Started",
            job_pid=self.kept.job.pid,
            keeper_pid=self.kept.keeper.pid,
            resumed=resumed,
            oom=OomCounters.read(self.kept.job.pid).to_json(),
            log_bytes=log_bytes,
        )
        self.watch.begin(self.kept, self.attempt)

    def log_size(self) -> int:
        """The size of the log before an attempt: what stands there is an earlier one's."""
        try:
            return os.stat(self.run.log).st_size
        except FileNotFoundError:
            return 0

    def adopt(self) -> None:
        """Takes over a job that lives already."""
        said = files.read_json(self.run.keeper_json) or {}
        kept_keeper = Identity.from_json(said.get("keeper"))
        job = Identity.from_json(said.get("job"))
        assert kept_keeper is not None
        assert job is not None
        self.kept = keeper.Kept(kept_keeper, job)
        self.stop = self.stop_under_way()
        self.note("Adopted", generation=self.generation, job_pid=job.pid)
        self.watch.resume(self.kept, self.attempt)

    def stop_under_way(self) -> Stop | None:
        """The stop that the supervisor before this one had begun."""
        found = None
        for record in read(self.run.dir, "events").records:
            if record.get("_event") == "Stopping" and record.get("_attempt") == self.attempt:
                asked = Stop.from_json(record)
                # The first signal is out: a second one might end the saving.
                found = replace(asked, step=1, next_at=time.monotonic() + asked.grace_s)
        return found

    def resume(self) -> None:
        """Begins another attempt because a person asked for it. Raises OSError."""
        # First what a full disk refuses, so that a refusal leaves everything as it was.
        with contextlib.suppress(OSError):
            index.reopen(self.run)
        ending.write_log_line(self.run, f"[RESUME] attempt {self.attempt + 2}")
        self.attempt += 1
        self.pen.attempt = self.attempt
        self.clear_requests()
        first = (files.read_json(self.run.run_json) or {}).get("entry_sha256")
        same = first == (self.launch.notebook_sha256 or self.launch.entry_sha256)
        self.note("Resumed", code="kept" if same else "current")
        try:
            self.start(resumed=True)
        except OSError:
            with contextlib.suppress(OSError):  # the next reader says that it is lost
                self.write_lost_attempt()
            raise

    def write_lost_attempt(self) -> None:
        """Notes that an attempt could not even be started."""
        end = ending.End(self.attempt, 127, None, 0.0, None, False, ending.oom_kills_since(None))
        ending.close(self.run, self.pen, end, ending.cause_of(self.run, end, launch=self.launch))

    # ── the loop ────────────────────────────────────────────────────────────────────────

    def serve(self) -> None:
        """Watches attempt after attempt until the run has ended for good."""
        self.describe_machine()
        while True:
            self.watch_attempt()
            end = self.end_of_attempt()
            outputs.find(self.run, self.launch, since_us=self.started_us)
            cause = ending.cause_of(self.run, end, launch=self.launch)
            again = self.what_follows(end, cause)
            if again is None:
                self.close(end, cause)
                return
            self.note_event(ending.exited(end, cause, final=False))
            self.attempt += 1
            self.pen.attempt = self.attempt
            self.note("Restarting", in_s=again.in_s, restarts_left=again.left)
            if not self.wait_for_restart(again):
                return

    def watch_attempt(self) -> None:
        """The duties, in order, until the keeper is gone and with it the job."""
        assert self.kept is not None
        begun = time.monotonic()
        with self._pidfd(self.kept.keeper) as keeper_fd, self._pidfd(self.kept.job) as job_fd:
            while not self.is_over():
                self.write_pending()
                self.answer_requests()
                self.climb_the_ladder()
                self.renew_lease()
                self.see_to_agent()
                change = self.watch.look()
                if change is not None:
                    self.note(change, silent_s=round(self.watch.quiet_s, 1))
                brisk = time.monotonic() - begun < _BRISK_FOR_S
                keeper_lives = self.kept.keeper.look() == ALIVE
                tick_s = _BRISK_TICK_S if brisk else _TICK_S
                self.sleep(tick_s, keeper_fd if keeper_lives else job_fd)
        self.watch.look()

    def is_over(self) -> bool:
        """Whether the attempt has ended. A job that lost its keeper is waited for by us."""
        assert self.kept is not None
        self._reap({self.kept.keeper.pid})
        if self._describer is not None and self._reap({self._describer}):
            self._describer = None
        if self.kept.keeper.look() == ALIVE:
            return False
        ended = files.read_json(self.run.exit_json) or {}
        if ended.get("attempt") == self.attempt:
            return True
        # The keeper was killed. We are a subreaper: if we started it, its child is ours now.
        status: int | None = None
        with contextlib.suppress(ChildProcessError):
            pid, status_seen = os.waitpid(self.kept.job.pid, os.WNOHANG)
            if pid:
                status = status_seen
        if status is not None:
            ran_s = self.watch.elapsed_s()
            keeper.write_exit(self.run, self.attempt, status, ran_s=ran_s, max_rss_kib=None)
            return True
        return self.kept.job.look() != ALIVE

    def end_of_attempt(self) -> ending.End:
        """Ends what the job left behind, and reads how it ended."""
        self.end_leftovers()
        ended = files.read_json(self.run.exit_json) or {}
        events = read(self.run.dir, "events").records + self._pending
        end = ending.end_from_disk(self.run, self.attempt, ended, events)
        self.stop = None
        # Only of a Python program can it be said that it should have trained.
        is_python = self.launch.entry.endswith(".py")
        return replace(end, steps_seen=self.watch.steps_seen if is_python else None)

    def close(self, end: ending.End, cause: Cause) -> None:
        """The run's final end."""
        self.insist(lambda: ending.close(self.run, self.pen, end, cause))
        self.see_to_agent(wake=True)
        self.watch.close()
        if self._describer is not None:
            process.kill_all({self._describer})
        if not self.terminating:
            self.report()

    def report(self) -> None:
        """Has the page about the run made; by now nobody waits for this process any more."""
        with contextlib.suppress(OSError):
            # Whoever resumes the run need not wait for the page either.
            claims.leave(self.run.claims, "supervisor", self.generation)
            pid = report.begin(self.run)
            until = time.monotonic() + report.WITHIN_S
            while not self._reap({pid}):
                if self.terminating or time.monotonic() > until:
                    report.give_up(pid)
                    break
                self.wake.sleep(_BRISK_TICK_S)
            self.see_to_agent(wake=True)

    def what_follows(self, end: ending.End, cause: Cause) -> Restart | None:
        """The next attempt, or None if this was the last one."""
        if end.stop_asked or self.terminating or not (cause.failed or end.lost):
            return None
        failures = [*self.failures(), cause.to_json()]
        follows = decide(self.launch.restart, failures, code_changed=bool(self.launch.changed()))
        if isinstance(follows, Restart):
            return follows
        if self.launch.restart:
            self.note("RestartRefused", why=follows)
        return None

    def failures(self) -> list[Mapping[str, Any]]:
        """The causes of the attempts that failed since a person last asked for one."""
        found: list[Mapping[str, Any]] = []
        for record in read(self.run.dir, "events").records:
            if record.get("_event") == "Resumed":
                found = []
            elif record.get("_event") == "Exited" and record.get("outcome") in ("failed", "lost"):
                found.append(record.get("cause") or {})
        return found

    def wait_for_restart(self, again: Restart) -> bool:
        """Waits out the backoff and starts the next attempt; False if the run ended instead."""
        line = f"[RESTART] attempt {self.attempt + 1} in {again.in_s:.0f} s"
        self.insist(lambda: ending.write_log_line(self.run, line))
        until = time.monotonic() + again.in_s
        while time.monotonic() < until and self.stop is None and not self.terminating:
            self.write_pending()
            self.renew_lease()
            self.sleep(min(_BRISK_TICK_S, max(0.0, until - time.monotonic())), None)
            self.answer_requests()
        if self.stop is None and not self.terminating:
            try:
                self.start(resumed=True)
            except OSError:
                self.insist(self.write_lost_attempt)
                return False
            return True
        nothing = ending.oom_kills_since(None)
        end = ending.End(self.attempt, None, None, 0.0, None, self.stop is not None, nothing)
        self.close(end, ending.cause_of(self.run, end, launch=self.launch))
        return False

    # ── duties ──────────────────────────────────────────────────────────────────────────

    def note(self, event: str, **fields: Any) -> None:
        """Writes an event; on a full disk, as soon as there is room."""
        self.note_event({"_event": event, **fields})

    def note_event(self, record: dict[str, Any]) -> None:
        """Writes an event from its fields."""
        self._pending.append({**record, "_attempt": self.attempt})
        self.write_pending()
        if self.kept is not None:  # the job comes first
            self.see_to_agent(wake=True)

    def write_pending(self) -> None:
        """Writes what could not be written before, in order."""
        with contextlib.suppress(OSError):  # still no room: at the next tick
            while self._pending:
                self.pen.append(self._pending[0])
                del self._pending[0]

    def insist(self, write: Any) -> None:
        """Repeats a write until the disk takes it, or the run's folder is gone."""
        while os.path.isdir(self.run.dir):
            try:
                self.write_pending()
                if not self._pending:
                    write()
                    return
            except OSError:
                pass
            self.renew_lease()
            self.sleep(_BRISK_TICK_S, None)

    def renew_lease(self) -> None:
        """Gives the sign of life."""
        now = time.monotonic()
        if self._lease_at and now - self._lease_at < LEASE_EVERY_S:
            return
        me = Identity.of()
        said = {
            "generation": self.generation,
            "supervisor": me.to_json() if me else None,
            "renewed_us": time.time_ns() // 1000,
        }
        try:
            files.replace(self.run.lease, files.to_json(said), sync=False)
        except OSError:
            return  # a full disk: at the next tick
        self._lease_at = now

    def see_to_agent(self, *, wake: bool = False) -> None:
        """Where this run is told of or tracked: there is an agent, and it hears of events."""
        with contextlib.suppress(OSError):  # a full home folder, no process left: at the next tick
            wanted = [follow.ask(self.run), bool(track.ask(self.run))]
            if any(wanted) and (wake or summon.alive() is None):
                # The agent is nobody's: neither ours to wait for, nor of this job's tree.
                process.be_no_subreaper()
                try:
                    summon.summon()
                finally:
                    process.become_subreaper()

    def answer_requests(self) -> None:
        """Reads control/. The request is deleted once its event is on disk."""
        for path in self.requests():
            said = files.read_json(path) or {}
            if said.get("verb") == "stop":
                asked = Stop.from_json(said)
                if path not in self._answered:
                    self._answered.add(path)
                    self.note("Stopping", by=asked.by, now=asked.now, grace_s=asked.grace_s)
                    if self.stop is None or asked.now:
                        self.stop = asked
            if not self._pending:
                with contextlib.suppress(OSError):  # a disk gone read-only, or full
                    files.discard(path)
                    reserve_requests(self.run)

    def requests(self) -> list[str]:
        """The requests that wait, oldest first."""
        try:
            names = sorted(os.listdir(self.run.control))
        except OSError:
            return []
        return [os.path.join(self.run.control, name) for name in names if name.endswith(".json")]

    def clear_requests(self) -> None:
        """Drops requests that were meant for an earlier attempt."""
        for path in self.requests():
            files.discard(path)

    def climb_the_ladder(self) -> None:
        """The next signal of a stop, if one is due."""
        if self.stop is not None:
            assert self.kept is not None
            self.stop.climb(self.kept.job.pid, self.everyone)

    def everyone(self) -> set[int]:
        """Every living process of the job."""
        assert self.kept is not None
        roots = {identity.pid for identity in (self.kept.keeper, self.kept.job)
                 if identity.look() == ALIVE}  # fmt: skip
        return process.of_run(self.run.dir, roots) | (roots & {self.kept.job.pid})

    def end_leftovers(self) -> None:
        """Ends what is left of the job after its end, wherever it has gone."""

        def left() -> set[int]:
            return process.of_run(self.run.dir, {os.getpid()}) - self.own_children()

        process.end_all(left, _LEFTOVERS_GRACE_S, lambda: self.sleep(_LOOK_AGAIN_S, None))

    def describe_machine(self) -> None:
        """Asks what takes long, in a child: the job runs already and nobody waits for it."""
        if os.path.exists(self.run.machine_json):
            return
        argv = [sys.executable, "-I", "-S", os.path.dirname(__file__), "describe", self.run.dir]
        with contextlib.suppress(OSError):  # no process left to be had: the run goes on without
            self._describer = os.posix_spawn(sys.executable, argv, dict(os.environ))

    def own_children(self) -> set[int]:
        """Children of this process that are not the job's."""
        pids = self.watch.own_children()
        return pids if self._describer is None else pids | {self._describer}

    def _reap(self, pids: set[int]) -> bool:
        """Waits for those that have ended; whether any had."""
        found = False
        for pid in pids:
            with contextlib.suppress(ChildProcessError):
                found |= os.waitpid(pid, os.WNOHANG)[0] != 0
        return found

    def sleep(self, seconds: float, pidfd: int | None) -> None:
        """Sleeps until a signal, a request, the keeper's end, or the time is over."""
        stop = self.stop
        if stop is not None:
            seconds = min(seconds, max(0.02, stop.next_at - time.monotonic()))
        self.wake.sleep(seconds, *([] if pidfd is None else [pidfd]))

    @contextlib.contextmanager
    def _pidfd(self, identity: Identity) -> Any:
        """A descriptor that becomes readable when the process ends, where the kernel has those."""
        fd, pidfd_open = None, getattr(os, "pidfd_open", None)
        if pidfd_open is not None:
            with contextlib.suppress(OSError):
                fd = pidfd_open(identity.pid)
        try:
            yield fd
        finally:
            if fd is not None:
                os.close(fd)


def main(argv: list[str]) -> int:
    """The process: claims the run, says on ``READY_FD`` what came of it, then serves."""
    if argv[0] == "describe":
        from overnight.supervisor import machine

        run = RunPaths(argv[1])
        machine.describe(run, Launch.read(run))
        return 0
    if argv[0] == "witness":
        from overnight.supervisor import witness

        return witness.main(int(argv[1]) if argv[1] != "-1" else None, argv[2])
    verb, ready_fd, run_dir = argv[0], int(argv[1]), argv[2]
    os.set_inheritable(ready_fd, False)
    process.set_name("ov-supervisor")
    process.become_subreaper()
    process.close_all_but(ready_fd)
    umask = os.umask(0o077)
    os.chdir("/")  # a folder that somebody may want to unmount
    run = RunPaths(run_dir)
    generation = take(run, force=verb == "resume")
    if generation is None:
        return _answer(ready_fd, {"started": False, "why": "taken"})
    unlisted = ""
    # What is imported stays: not looked at again, its pages are shared with the keeper for good.
    gc.freeze()
    supervisor = Supervisor(run, generation, umask=umask)
    try:
        if verb == "adopt":
            supervisor.adopt()
        elif verb == "resume":
            supervisor.resume()
        else:
            supervisor.note("Queued", host=here()[3])
            supervisor.start(resumed=False)
            unlisted = _list(run)
    except OSError as error:
        said = {"started": False, "errno": error.errno, "file": str(error.filename or "")}
        return _answer(ready_fd, said)
    assert supervisor.kept is not None
    job_pid = supervisor.kept.job.pid
    _answer(ready_fd, {"started": True, "job_pid": job_pid, "unlisted": unlisted})
    # The terminal has its answer; from here on nothing holds on to it.
    supervisor.serve()
    newest, _ = holder(run)
    return 0 if newest == generation else 1


def _list(run: RunPaths) -> str:
    """Adds the run to the user's index; why it could not be done, or an empty string.

    Only now: what never ran is no run. And by us: whoever asked may be gone.
    """
    said = files.read_json(run.run_json) or {}
    try:
        index.add(run, name=str(said.get("name")), created_us=int(said.get("created_us") or 0))
    except OSError as error:
        return os.strerror(error.errno or 0)
    return ""


def _answer(fd: int, said: Mapping[str, Any]) -> int:
    with contextlib.suppress(OSError):  # whoever asked is gone
        os.write(fd, json.dumps(said).encode() + b"\n")
    os.close(fd)
    return 0 if said["started"] else 1
