"""The agent: follows the runs that asked for it, and has what is to be told put on its way.

All its state is in files, so it may be killed at any moment: the next one reads the runs anew,
finds the same alerts under the same keys, and puts none twice. It leaves when nothing is to be
done, and any supervisor's tick starts another. Standard library only: it stays all night, while
what talks to others (couriers, mirrors: children of its own) comes and goes.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable
from functools import partial

from overnight.agent import logins
from overnight.agent.couriers import Couriers, forget_channels
from overnight.agent.followed import Followed
from overnight.agent.lane import BUSY
from overnight.agent.mirrors import Mirrors
from overnight.agent.ping import Ping
from overnight.ledger import claims
from overnight.ledger.identity import ALIVE
from overnight.ledger.paths import RunPaths
from overnight.outbox import follow, keep
from overnight.outbox.folder import AgentPaths, agent_paths
from overnight.outbox.reserve import set_aside
from overnight.outbox.summon import alive
from overnight.supervisor import process
from overnight.supervisor.wake import Wake

assert sys.platform != "win32"

#: A nudge wakes it at once; this is for what changes without one (values, the time left).
_TICK_S = 2.0
_IDLE_TICK_S = 5.0
#: Where a run has more to tell than fits into one look.
_SHORT_TICK_S = 0.05
_LEAVES_AFTER_S = 60.0
_SIGN_OF_LIFE_S = 20.0
#: Whoever has just kept a channel is about to say what for.
_CHANNELS_KEPT_S = 60.0
_LOGINS_EVERY_S = 6 * 3600.0
#: An agent that stays lets one that was there before finish what it has in hand.
_TAKES_OVER_WITHIN_S = 15.0
_LOOK_AGAIN_S = 0.05


class Agent:
    """One user's agent on this machine.

    Args:
        paths: Where it keeps what it works on.
        number: Its claim.
        stays: It was installed: it does not leave when there is nothing to do.
    """

    def __init__(self, paths: AgentPaths, number: int, *, stays: bool) -> None:
        self.paths = paths
        self.number = number
        self.stays = stays
        self.runs: dict[str, Followed] = {}
        #: Runs that cannot be followed by this agent: a bug of ours, written to the log once.
        self.given_up: set[str] = set()
        self.couriers = Couriers(paths)
        self.mirrors = Mirrors(paths)
        self.ping = Ping()
        self.leaving = False
        self._idle_since: float | None = None
        self._signed_at = 0.0
        self._forgot_at = 0.0
        self._logins_at = -_LOGINS_EVERY_S
        self.wake = Wake(self._on_sigterm)

    def _on_sigterm(self) -> None:
        self.leaving = True

    def serve(self) -> None:
        """Works until nothing is left to be done, or somebody asks it to go."""
        while not self.leaving:
            self.give_sign_of_life()
            self.look_at_runs()
            wait_s = self.couriers.look(time.monotonic())
            wait_s = min(wait_s, self.mirrors.look(time.monotonic()))
            self.ping.look(time.monotonic(), wanted=bool(self.runs) or self.stays)
            self.forget_channels()
            if self.is_free() and self.leave():
                return
            tick_s = _TICK_S if self.runs else _IDLE_TICK_S
            if any(followed.has_more for followed in self.runs.values()):
                tick_s = _SHORT_TICK_S
            self.wake.sleep(max(_SHORT_TICK_S, min(wait_s, tick_s)))
        self.couriers.stop()
        self.mirrors.stop()
        self.ping.stop()
        self.give_back()

    def look_at_runs(self) -> None:
        """Takes up runs that ask for it, and puts into the outbox what is new in each."""
        for run in follow.all_asked():
            if run.dir not in self.runs and run.dir not in self.given_up:
                self.attempt(run.dir, partial(self.take_up, run))
        look_at_logins = time.monotonic() - self._logins_at >= _LOGINS_EVERY_S
        if look_at_logins:
            self._logins_at = time.monotonic()
        for folder, followed in list(self.runs.items()):
            self.attempt(folder, followed.look)
            if look_at_logins:
                self.attempt(folder, partial(logins.tell, self.paths, followed.settings))
            if followed.is_done:
                self.attempt(folder, partial(self.let_go, followed.run))

    def take_up(self, run: RunPaths) -> None:
        """Begins to follow a run."""
        self.runs[run.dir] = Followed(self.paths, run)
        self._logins_at = -_LOGINS_EVERY_S

    def let_go(self, run: RunPaths) -> None:
        """All of a run was told."""
        follow.done(run)
        del self.runs[run.dir]

    def forget_channels(self) -> None:
        """Removes the channels kept from environments that nothing needs any more."""
        now = time.monotonic()
        if now - self._forgot_at < _CHANNELS_KEPT_S / 2:
            return
        self._forgot_at = now
        needed = keep.kept_lately(_CHANNELS_KEPT_S)
        for followed in self.runs.values():
            needed.update(followed.channels)
        # One whose disk is away needs who knows what; one that this agent cannot follow will be
        # followed by a later version.
        read = {folder for folder, followed in self.runs.items() if followed.is_read}
        asked = {run.dir for run in follow.all_asked()}
        if asked <= read and not self.given_up:
            forget_channels(self.paths, needed)
        if not asked:
            keep.forget_heartbeat(_CHANNELS_KEPT_S)

    def attempt(self, folder: str, do: Callable[[], None]) -> None:
        """Does something for one run; what goes wrong there must not cost the others theirs."""
        try:
            do()
        except OSError:
            return  # a full disk, or one that is away: at the next tick
        except Exception:
            sys.stderr.write(folder + "\n" + traceback.format_exc())
            self.given_up.add(folder)
            self.runs.pop(folder, None)

    def give_sign_of_life(self) -> None:
        """For those that cannot see this process: another container on the same machine."""
        now = time.monotonic()
        if now - self._signed_at >= _SIGN_OF_LIFE_S:
            with contextlib.suppress(OSError):  # a full or read-only disk
                claims.touch(self.paths.claims, "agent", self.number)
            if self.runs and not self.couriers.busy:  # nothing needs the room at the moment
                set_aside(self.paths)
            self._signed_at = now

    def is_free(self) -> bool:
        """Whether nothing was to be done for a minute."""
        now = time.monotonic()
        if self.stays or self.runs or self.couriers.busy or self.mirrors.busy:
            self._idle_since = None
            return False
        self._idle_since = self._idle_since or now
        return now - self._idle_since >= _LEAVES_AFTER_S

    def leave(self) -> bool:
        """Gives the place back; False, and it is taken again, if work has come meanwhile."""
        self._forgot_at = -_CHANNELS_KEPT_S
        self.forget_channels()
        self.give_back()
        if not self.has_work():
            return True
        number = claims.take(self.paths.claims, "agent")
        if number is None:  # another one has begun
            return True
        self.number = number
        self._idle_since = None
        return False

    def give_back(self) -> None:
        """Lets whoever looks from now on find nobody here."""
        with contextlib.suppress(OSError):  # a disk gone read-only: the claim is void with us
            claims.leave(self.paths.claims, "agent", self.number)

    def has_work(self) -> bool:
        """Whether anything waits on the disk."""
        asked = {run.dir for run in follow.all_asked()} - self.given_up
        kept = keep.kept_lately(_CHANNELS_KEPT_S)
        return bool(asked or kept) or self.couriers.has_waiting() or self.mirrors.has_waiting()


def main(words: list[str]) -> int:
    """The process."""
    process.set_name("ov-agent")
    # Before the claim shows who is to be woken: it would end a process that does not expect it.
    signal.signal(signal.SIGUSR1, signal.SIG_IGN)
    os.chdir("/")  # a folder that somebody may want to unmount
    paths = agent_paths().make()
    stays = "--stay" in words
    number = _take_over(paths) if stays else _take(paths)
    if number is None:
        # Who has started one that stays tries again, if it does not end well.
        return BUSY if stays else 0
    claims.forget_older(paths.claims, "agent", number)
    Agent(paths, number, stays=stays).serve()
    return 0


def _take(paths: AgentPaths) -> int | None:
    return claims.take(paths.claims, "agent", stale_s=3 * _SIGN_OF_LIFE_S)


def _take_over(paths: AgentPaths) -> int | None:
    """For one that stays: has the one that somebody's need has started make room."""
    until = time.monotonic() + _TAKES_OVER_WITHIN_S
    while (number := _take(paths)) is None and time.monotonic() < until:
        found = alive(paths)
        if found is not None and found.look() == ALIVE:
            process.send(found.pid, signal.SIGTERM)
        time.sleep(_LOOK_AGAIN_S)
    return number
