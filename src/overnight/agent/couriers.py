"""In the agent: which channels have something to send, and the children that send it.

At most two at once (with Apprise loaded each takes 50 MB), the urgent first, then who waited
longest. A child that makes no progress is ended: some servers answer a byte a minute for ever.
Everything that must survive lies in the lanes and the outbox; what is kept here may be lost.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

from overnight.agent import lane as lanes
from overnight.agent.lane import BUSY, Lane, changed_ns, claim_of
from overnight.agent.pile import Pile
from overnight.ledger import claims, files
from overnight.ledger.identity import ALIVE, Identity
from overnight.outbox.folder import AgentPaths
from overnight.outbox.message import Message

assert sys.platform != "win32"

_AGENT = os.path.dirname(os.path.abspath(__file__))
_MOST_AT_ONCE = 2
#: Apprise waits 4 s for a connection and 4 s for an answer, mail 15 s; pictures take their time.
_NO_PROGRESS_S = 90.0
#: While a child lives one looks this often; SIGCHLD tells of its end.
_WITH_CHILD_S = 2.0
_NOTHING_S = 3600.0
#: After a child that achieved nothing: 1 s, 2 s … 5 min.
_FIRST_HOLD_S, _LONGEST_HOLD_S = 1.0, 300.0
#: A stopped agent's children finish the message in hand.
_STOPS_WITHIN_S = 3.0
_TIDY_EVERY_S = 6 * 3600.0
_DAY_S = 86_400.0
#: A month's quota can be counted from what is noted as sent.
_SENT_KEPT_S = 31 * _DAY_S
_LEFTOVER_S = 3600.0


@dataclass(slots=True)
class _Child:
    """A courier that this agent started.

    Attributes:
        pid: Its process.
        seen_ns: The lane file's time when it was last seen to change.
        moved_at: When that was, or when it began, by the monotonic clock.
        killed: It was ended because it made no progress.
    """

    pid: int
    seen_ns: int
    moved_at: float
    worked: bool = False
    killed: bool = False


@dataclass(slots=True)
class _Hold:
    """Keeps a channel from being tried again at once."""

    until: float = 0.0
    times: int = 0


@dataclass(slots=True)
class _Known:
    """A lane as it was last read."""

    changed_ns: int = -2
    lane: Lane | None = None
    #: For which state of the definitions a wait was cut short.
    defined_ns: int = field(default=-1)


class Couriers:
    """Starts, watches and ends the couriers of one agent.

    Args:
        paths: The agent's.
    """

    def __init__(self, paths: AgentPaths) -> None:
        self.paths = paths
        self._pile = Pile(paths, lambda _: False)
        self._children: dict[str, _Child] = {}
        self._holds: dict[str, _Hold] = {}
        self._known: dict[str, _Known] = {}
        #: Couriers of an agent that is gone: channel → the lane's time, and since when.
        self._orphans: dict[str, tuple[int, float]] = {}
        self._started_at: dict[str, float] = {}
        self._tidied_at = -_TIDY_EVERY_S

    @property
    def busy(self) -> bool:
        """Whether a child lives, or a message waits."""
        return bool(self._children) or self.has_waiting()

    def has_waiting(self) -> bool:
        """Whether a message waits, be it for its hour."""
        return bool(self._pile.look())

    def look(self, now_s: float) -> float:
        """Does what is due.

        Args:
            now_s: The monotonic clock, in seconds.

        Returns:
            After how many seconds to call again; SIGCHLD and new messages are reasons to call
            earlier.
        """
        self._reap(now_s)
        self._end_frozen(now_s)
        if now_s - self._tidied_at >= _TIDY_EVERY_S:
            self._tidied_at = now_s
            tidy(self.paths)
        wait_s = _NOTHING_S
        waiting = self._by_channel()
        for gone in [name for name in self._known if name not in waiting]:
            del self._known[gone]
        ready = []
        for channel, messages in waiting.items():
            if channel in self._children:
                continue
            in_s, urgent = self._due(channel, messages, now_s)
            if in_s > 0:
                wait_s = min(wait_s, in_s)
            else:
                ready.append((not urgent, self._started_at.get(channel, 0.0), channel))
        for _, _, channel in sorted(ready):
            if len(self._children) >= _MOST_AT_ONCE:
                break
            self._start(channel, now_s)
        return min(wait_s, _WITH_CHILD_S) if self._children or ready else wait_s

    def stop(self) -> None:
        """Asks the children to finish what they have in hand; one that takes longer goes alone."""
        for child in self._children.values():
            _send(child.pid, signal.SIGTERM)
        until = time.monotonic() + _STOPS_WITHIN_S
        while self._children and time.monotonic() < until:
            self._reap(time.monotonic())
            time.sleep(0.02)

    # -- what is due ---------------------------------------------------------------------------

    def _by_channel(self) -> dict[str, list[Message]]:
        found: dict[str, list[Message]] = {}
        for message in self._pile.look():
            found.setdefault(message.channel, []).append(message)
        return found

    def _due(self, channel: str, messages: Sequence[Message], now_s: float) -> tuple[float, bool]:
        """In how many seconds a channel's next message may go, and whether an urgent one may."""
        hold = self._holds.get(channel)
        if hold is not None and now_s < hold.until:
            return hold.until - now_s, False
        if self._has_orphan(channel, now_s):
            return _WITH_CHILD_S, False
        lane = self._lane(channel)
        if lane is None:
            return 0.0, any(message.urgent for message in messages)
        now_us = time.time_ns() // 1000
        if self._is_defined_anew(channel, lane):
            return 0.0, any(message.urgent for message in messages)
        earliest_us, urgent = -1, False
        for message in messages:  # the urgent come first
            due_us = lane.due_us(message, now_us)
            if due_us <= now_us:
                return 0.0, message.urgent
            earliest_us = due_us if earliest_us < 0 else min(earliest_us, due_us)
        return max(0.05, (earliest_us - now_us) / 1e6), urgent

    def _lane(self, channel: str) -> Lane | None:
        known = self._known.setdefault(channel, _Known())
        found_ns = changed_ns(self.paths.lane(channel))
        if found_ns != known.changed_ns:
            known.lane = lanes.read(self.paths, channel)
            known.changed_ns = found_ns
        return known.lane

    def _is_defined_anew(self, channel: str, lane: Lane) -> bool:
        """Whether the person changed something since; for each change once."""
        since_ns = lane.defined_since_ns(self.paths)
        known = self._known[channel]
        if not since_ns or since_ns == known.defined_ns:
            return False
        known.defined_ns = since_ns
        return True

    def _has_orphan(self, channel: str, now_s: float) -> bool:
        """Whether a courier that is not this agent's is at work; ends it if it is frozen."""
        _, identity = claims.holder(self.paths.claims, claim_of(channel))
        if identity is None or identity.look() != ALIVE:
            self._orphans.pop(channel, None)
            return False
        found_ns = changed_ns(self.paths.lane(channel))
        seen_ns, since = self._orphans.get(channel, (-2, now_s))
        if found_ns != seen_ns:
            self._orphans[channel] = (found_ns, now_s)
        elif now_s - since > _NO_PROGRESS_S:
            _kill(identity)
        return True

    # -- children ------------------------------------------------------------------------------

    def _start(self, channel: str, now_s: float) -> None:
        argv = [sys.executable, "-I", _AGENT, "courier", channel]
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT
        actions = [
            (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
            (os.POSIX_SPAWN_OPEN, 1, self.paths.log, flags, 0o600),
            (os.POSIX_SPAWN_DUP2, 1, 2),
        ]
        try:
            pid = os.posix_spawn(sys.executable, argv, os.environ, file_actions=actions)
        except OSError:  # no process, or no memory, is left to be had
            self._hold(channel, now_s)
            return
        self._started_at[channel] = now_s
        self._children[channel] = _Child(pid, changed_ns(self.paths.lane(channel)), now_s)

    def _reap(self, now_s: float) -> None:
        for channel, child in list(self._children.items()):
            self._watch(channel, child, now_s)
            try:
                pid, status = os.waitpid(child.pid, os.WNOHANG)
            except ChildProcessError:
                pid, status = child.pid, 0
            if not pid:
                continue
            del self._children[channel]
            code = os.waitstatus_to_exitcode(status)
            if code == 0 and child.worked:
                self._holds.pop(channel, None)
                continue
            if child.worked and not child.killed:
                self._holds.pop(channel, None)
            # It died, or had nothing to do though we thought so: not again and again at once.
            self._hold(channel, now_s, longest=_FIRST_HOLD_S if code == BUSY else _LONGEST_HOLD_S)

    def _watch(self, channel: str, child: _Child, now_s: float) -> None:
        found_ns = changed_ns(self.paths.lane(channel))
        if found_ns != child.seen_ns:
            child.seen_ns, child.moved_at, child.worked = found_ns, now_s, True

    def _end_frozen(self, now_s: float) -> None:
        for child in self._children.values():
            if now_s - child.moved_at > _NO_PROGRESS_S:
                child.killed = True
                _send(child.pid, signal.SIGKILL)

    def _hold(self, channel: str, now_s: float, *, longest: float = _LONGEST_HOLD_S) -> None:
        hold = self._holds.setdefault(channel, _Hold())
        hold.times += 1
        hold.until = now_s + min(longest, _FIRST_HOLD_S * 2.0 ** min(hold.times - 1, 16))


def tidy(paths: AgentPaths) -> None:
    """Removes what nobody needs any more: old notes, and what deaths have left behind.

    What is told of a run that is still followed stays noted: an agent that begins anew reads the
    run from its start.
    """
    now_s = time.time()
    for name, age_s in _ages(paths.sent, now_s):
        path = os.path.join(paths.sent, name)
        if age_s > _SENT_KEPT_S and not _is_followed(paths, path):
            _discard(path)
    for folder in (paths.outbox, paths.sent, paths.lanes, paths.channels, paths.follow):
        for name, age_s in _ages(folder, now_s):
            if name.endswith(".tmp") and age_s > _LEFTOVER_S:
                _discard(os.path.join(folder, name))
    for name, age_s in _ages(paths.outbox, now_s):
        path = os.path.join(paths.outbox, name)
        if name.endswith(".json") and age_s > _DAY_S and _is_damaged(path):
            _discard(path)
    pictures = os.path.dirname(paths.pictures("any"))
    for name, age_s in _ages(pictures, now_s):
        if age_s > _LEFTOVER_S:
            made_for = os.path.join(pictures, name)
            for file, _ in _ages(made_for, now_s):
                _discard(os.path.join(made_for, file))
            with contextlib.suppress(OSError):
                os.rmdir(made_for)


def forget_channels(paths: AgentPaths, needed: Collection[str]) -> None:
    """Removes the channels kept from environments that nobody needs any more.

    Args:
        paths: The agent's.
        needed: The channels of all runs that are followed; those of waiting messages are added.
    """
    pile = Pile(paths, lambda _: False)
    keep = set(needed) | {message.channel for message in pile.look()}
    kept = {os.path.basename(paths.kept_channel(channel)) for channel in keep}
    for name, _ in _ages(paths.channels, time.time()):
        if name.endswith(".json") and name not in kept:
            _discard(os.path.join(paths.channels, name))


def _ages(folder: str, now_s: float) -> list[tuple[str, float]]:
    found = []
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            with contextlib.suppress(OSError):  # gone in this moment
                found.append((entry.name, now_s - entry.stat(follow_symlinks=False).st_mtime))
    return found


def _is_followed(paths: AgentPaths, told: str) -> bool:
    try:
        run_dir = (files.read_json(told) or {}).get("run_dir")
    except OSError:
        return True
    return isinstance(run_dir, str) and run_dir != "" and os.path.exists(paths.followed(run_dir))


def _is_damaged(path: str) -> bool:
    try:
        return Message.from_json(files.read_json(path) or {}) is None
    except OSError:
        return False


def _discard(path: str) -> None:
    with contextlib.suppress(OSError):
        files.discard(path)


def _kill(identity: Identity) -> None:
    if identity.look() == ALIVE:
        _send(identity.pid, signal.SIGKILL)


def _send(pid: int, number: int) -> None:
    with contextlib.suppress(OSError):
        os.kill(pid, number)
