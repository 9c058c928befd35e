"""The witness: looks after a run that a program opened for itself with ``overnight.watch``.

A process of its own, so that a ``kill -9`` of the program is told as well. It is a supervisor that
only looks: it starts nothing, signals nobody, ends nothing that is left. The run is over when the
block says so (``exit.json``; a notebook's kernel then goes on) or when the process is gone.
"""

from __future__ import annotations

import contextlib
import gc
import os
import signal
import sys
import time
from dataclasses import replace

from overnight.ledger import files
from overnight.ledger.identity import ALIVE, Identity
from overnight.ledger.own_run import boot_s
from overnight.ledger.paths import RunPaths
from overnight.ledger.reader import read
from overnight.ledger.state import ENDED, view
from overnight.supervisor import ending, keeper, outputs, own, process
from overnight.supervisor.detach import holder, take
from overnight.supervisor.launch import Launch
from overnight.supervisor.loop import Supervisor
from overnight.supervisor.oom import OomCounters
from overnight.supervisor.watch import Watch

assert sys.platform != "win32"


class BlockWatch(Watch):
    """Follows a block of a process that may be much older than the block.

    Args:
        run: The run.
        launch: What is known of the program.
        begun_boot_s: When the block began, in seconds since the machine was started; None = now.
    """

    def __init__(self, run: RunPaths, launch: Launch, begun_boot_s: float | None) -> None:
        super().__init__(run, launch)
        now_s = _boot_s()
        is_past = begun_boot_s is not None and 0 <= begun_boot_s <= now_s
        self._begun_s = begun_boot_s if is_past and begun_boot_s is not None else now_s

    def begin(self, kept: keeper.Kept, attempt: int) -> None:
        """Begins to watch; what the block has written before the witness came counts too."""
        super().begin(kept, attempt)
        self._tails.clear()

    def elapsed_s(self) -> float:
        """Seconds since the block began."""
        return _boot_s() - self._begun_s


def _boot_s() -> float:
    now_s = boot_s()
    return time.monotonic() if now_s is None else now_s


class Witness(Supervisor):
    """Looks after one block, from the claim to the last line.

    Args:
        run: The run; its ``run.json`` names the process.
        generation: The claim.
        target: The process that is watched.
        pidfd: A descriptor of it; one is opened where None is given.
    """

    def __init__(
        self, run: RunPaths, generation: int, target: Identity, pidfd: int | None = None
    ) -> None:
        info = files.read_json(run.run_json) or {}
        program = str(info.get("target") or "")
        cwd = str(info.get("cwd") or "/")
        # Of the script it may be read how many epochs there will be.
        entry = os.path.join(cwd, program) if program.endswith(".py") else ""
        launch = Launch(argv=(program,), cwd=cwd, env={}, entry=entry)
        super().__init__(run, generation, umask=0o077, launch=launch)
        self.kept = keeper.Kept(target, target)
        self._pidfd_of_target = pidfd
        pidfd_open = getattr(os, "pidfd_open", None)
        if pidfd is None and pidfd_open is not None and target.look() == ALIVE:
            with contextlib.suppress(OSError):  # gone in this moment
                self._pidfd_of_target = pidfd_open(target.pid)
        begun_boot_s = info.get("begun_boot_s")
        self.watch = BlockWatch(
            run, launch, begun_boot_s if isinstance(begun_boot_s, float) else None
        )

    def serve(self) -> None:
        """Watches until the block is over, and writes down how it ended."""
        assert self.kept is not None
        if any(each.get("_event") == "Started" for each in read(self.run.dir, "events").records):
            self.note("Adopted", generation=self.generation, job_pid=self.kept.job.pid)
            self.watch.resume(self.kept, self.attempt)
        else:
            oom = OomCounters.read(self.kept.job.pid).to_json()
            self.note("Started", job_pid=self.kept.job.pid, resumed=False, oom=oom, log_bytes=0)
            self.watch.begin(self.kept, self.attempt)
        self.watch_attempt()
        end = self.end_of_attempt()
        outputs.find(self.run, self.launch, since_us=self.started_us)
        self.close(end, ending.cause_of(self.run, end, launch=None))

    def is_over(self) -> bool:
        """Whether the block has said that it is, or its process is gone."""
        assert self.kept is not None
        ended = files.read_json(self.run.exit_json) or {}
        return ended.get("attempt") == self.attempt or self.kept.job.look() != ALIVE

    def end_of_attempt(self) -> ending.End:
        """How the block ended; or how its process did in the middle, as far as that is told."""
        assert self.kept is not None
        ran_s = round(self.watch.elapsed_s(), 3)
        events = read(self.run.dir, "events").records + self._pending
        ended = files.read_json(self.run.exit_json) or {}
        end = ending.end_from_disk(self.run, self.attempt, ended, events)
        if not end.lost or end.lost == "reboot":
            return end
        started = next((each for each in events if each.get("_event") == "Started"), {})
        end = replace(end, ran_s=ran_s, oom_kills=ending.oom_kills_since(started.get("oom")))
        status = own.wait_status(self.kept.job.pid, self._pidfd_of_target)
        if status is None:
            return end
        if os.WIFSIGNALED(status):
            return replace(end, lost="", signal=os.WTERMSIG(status))
        code = os.WEXITSTATUS(status)
        return replace(end, lost="", code=code, left=code == 0)

    def answer_requests(self) -> None:
        """None is answered: who wants to end the program tells it so."""

    def climb_the_ladder(self) -> None:
        """No signal is ever sent."""


def main(pidfd: int | None, run_dir: str) -> int:
    """The process: belongs to nobody, and leaves at once where another one watches already."""
    with contextlib.suppress(OSError):  # leads a session already
        os.setsid()
    process.set_name("ov-witness")
    process.close_all_but(2 if pidfd is None else pidfd)
    os.umask(0o077)
    os.chdir("/")  # a folder that somebody may want to unmount
    # Before the claim shows who is to be woken: it would end a process that does not expect it.
    signal.signal(signal.SIGUSR1, lambda *_: None)
    run = RunPaths(run_dir)
    target = Identity.from_json((files.read_json(run.keeper_json) or {}).get("job"))
    if target is None or (generation := take(run)) is None:
        return 1
    seen = view(run)
    if isinstance(seen.state, ENDED) and not seen.unsettled:
        return 1  # a block so short that somebody else has written its end down already
    # What is imported stays: not looked at again.
    gc.freeze()
    Witness(run, generation, target, pidfd).serve()
    newest, _ = holder(run)
    return 0 if newest == generation else 1
