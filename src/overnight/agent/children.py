"""The agent's children of one sort: started, watched and ended; and what each begins with.

A child shows that it gets on by changing a file of its own. One that does not is ended: some
servers answer a byte a minute for ever. Whatever must survive lies in files of the child's; what
is kept here may be lost.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from overnight.agent.lane import BUSY, changed_ns
from overnight.ledger import claims
from overnight.ledger.identity import ALIVE
from overnight.outbox.folder import AgentPaths
from overnight.outbox.reserve import with_room

assert sys.platform != "win32"

_AGENT = os.path.dirname(os.path.abspath(__file__))
#: Longer than what any child does between two signs of life: a courier's message with its pictures
#: takes 40 s at most (channels/attach.py), a mirror signs every 5 s.
NO_PROGRESS_S = 90.0
#: While a child lives one looks this often; SIGCHLD tells of its end.
LOOK_AGAIN_S = 2.0
#: After a child that achieved nothing: 1 s, 2 s … 5 min.
_FIRST_HOLD_S, _LONGEST_HOLD_S = 1.0, 300.0
#: A child of another container that gave no sign of life for so long is gone.
_STALE_S = 600.0
#: A stopped agent's children finish what they have in hand.
_STOPS_WITHIN_S = 3.0


@dataclass(slots=True)
class _Child:
    """A process that this agent started.

    Attributes:
        seen_ns: Its file's time when that was last seen to change.
        moved_at: When that was, or when it began, by the monotonic clock.
        killed: It was ended because it made no progress.
    """

    pid: int
    seen_ns: int
    moved_at: float
    worked: bool = False
    killed: bool = False


@dataclass(slots=True)
class Hold:
    """Keeps one from being started again at once."""

    until: float = 0.0
    times: int = 0


class Children:
    """Children of one sort, at most one for a name.

    Args:
        paths: The agent's.
        word: What the agent's program is told to be: ``courier``.
        progress: Name → the file that the child changes when it gets on.
        claim: Name → what the child claims while it lives.
    """

    def __init__(
        self,
        paths: AgentPaths,
        word: str,
        *,
        progress: Callable[[str], str],
        claim: Callable[[str], str],
    ) -> None:
        self.paths = paths
        self.word = word
        self.holds: dict[str, Hold] = {}
        self._progress, self._claim = progress, claim
        self._living: dict[str, _Child] = {}
        #: Children of an agent that is gone: name → their file's time, and since when.
        self._orphans: dict[str, tuple[int, float]] = {}

    @property
    def pids(self) -> dict[str, int]:
        """Name → process, of those that live."""
        return {name: child.pid for name, child in self._living.items()}

    def look(self, now_s: float) -> None:
        """Takes note of those that ended, and ends those that are frozen."""
        self._reap(now_s)
        for child in self._living.values():
            if now_s - child.moved_at > NO_PROGRESS_S:
                child.killed = True
                _send(child.pid, signal.SIGKILL)

    def wait_s(self, name: str, now_s: float) -> float:
        """In how many seconds one may be started; 0: now."""
        hold = self.holds.get(name)
        if hold is not None and now_s < hold.until:
            return hold.until - now_s
        return LOOK_AGAIN_S if self._has_orphan(name, now_s) else 0.0

    def start(self, name: str, now_s: float) -> None:
        """Starts one."""
        argv = [sys.executable, "-I", _AGENT, self.word, name]
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT
        actions = [
            (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
            (os.POSIX_SPAWN_OPEN, 1, self.paths.log, flags, 0o600),
            (os.POSIX_SPAWN_DUP2, 1, 2),
        ]
        try:
            pid = os.posix_spawn(sys.executable, argv, os.environ, file_actions=actions)
        except OSError:  # no process, or no memory, is left to be had
            self._hold(name, now_s)
            return
        self._living[name] = _Child(pid, changed_ns(self._progress(name)), now_s)

    def stop(self) -> None:
        """Asks them to finish what they have in hand; one that takes longer goes alone."""
        for child in self._living.values():
            _send(child.pid, signal.SIGTERM)
        until = time.monotonic() + _STOPS_WITHIN_S
        while self._living and time.monotonic() < until:
            self._reap(time.monotonic())
            time.sleep(0.02)

    def _has_orphan(self, name: str, now_s: float) -> bool:
        """Whether one that is not this agent's is at work; ends it if it is frozen."""
        _, identity = claims.holder(self.paths.claims, self._claim(name))
        if identity is None or identity.look() != ALIVE:
            self._orphans.pop(name, None)
            return False
        found_ns = changed_ns(self._progress(name))
        seen_ns, since = self._orphans.get(name, (-2, now_s))
        if found_ns != seen_ns:
            self._orphans[name] = (found_ns, now_s)
        elif now_s - since > NO_PROGRESS_S and identity.look() == ALIVE:
            _send(identity.pid, signal.SIGKILL)
        return True

    def _reap(self, now_s: float) -> None:
        for name, child in list(self._living.items()):
            self._watch(name, child, now_s)
            try:
                pid, status = os.waitpid(child.pid, os.WNOHANG)
            except ChildProcessError:
                pid, status = child.pid, 0
            if not pid:
                continue
            del self._living[name]
            code = os.waitstatus_to_exitcode(status)
            if code == 0 and child.worked:
                self.holds.pop(name, None)
                continue
            if child.worked and not child.killed:
                self.holds.pop(name, None)
            # It died, or had nothing to do though we thought so: not again and again at once.
            self._hold(name, now_s, longest=_FIRST_HOLD_S if code == BUSY else _LONGEST_HOLD_S)

    def _watch(self, name: str, child: _Child, now_s: float) -> None:
        found_ns = changed_ns(self._progress(name))
        if found_ns != child.seen_ns:
            child.seen_ns, child.moved_at, child.worked = found_ns, now_s, True

    def _hold(self, name: str, now_s: float, *, longest: float = _LONGEST_HOLD_S) -> None:
        hold = self.holds.setdefault(name, Hold())
        hold.times += 1
        hold.until = now_s + min(longest, _FIRST_HOLD_S * 2.0 ** min(hold.times - 1, 16))


class Worker(Protocol):
    """What a child is there for.

    Attributes:
        told_to_go: Somebody asks it to finish what it has in hand.
    """

    told_to_go: bool

    def work(self) -> None:
        """Works until nothing is left. Raises OSError where the disk does not let it."""
        ...


def be_child(paths: AgentPaths, claim: str, make: Callable[[], Worker]) -> int:
    """The main program of a child: does its work if it is the only one.

    Args:
        paths: The agent's.
        claim: What it claims while it lives.
        make: Makes the worker, once the claim is had.

    Returns:
        The exit status.
    """
    number = with_room(paths, lambda: claims.take(paths.claims, claim, stale_s=_STALE_S))
    if number is None:
        return BUSY
    try:
        claims.forget_older(paths.claims, claim, number)
        worker = make()
        for number_of in (signal.SIGHUP, signal.SIGINT):
            signal.signal(number_of, signal.SIG_IGN)

        def on_sigterm(*_: object) -> None:
            worker.told_to_go = True

        signal.signal(signal.SIGTERM, on_sigterm)
        worker.work()
    except OSError:  # a disk that is full or away: no bug, and it is told by what does not come
        return 1
    finally:
        with contextlib.suppress(OSError):
            claims.leave(paths.claims, claim, number)
    return 0


def _send(pid: int, number: int) -> None:
    with contextlib.suppress(OSError):
        os.kill(pid, number)
