"""In the agent: which channels have something to send, and the children that send it.

At most two at once (with Apprise loaded each takes 50 MB), the urgent first, then who waited
longest. Everything that must survive lies in the lanes and the outbox; what is kept here may be
lost.
"""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

from overnight.agent import lane as lanes
from overnight.agent.children import LOOK_AGAIN_S, Children
from overnight.agent.lane import Lane, changed_ns, claim_of
from overnight.agent.pile import Pile
from overnight.ledger import files
from overnight.outbox.folder import AgentPaths
from overnight.outbox.message import Message

assert sys.platform != "win32"

_MOST_AT_ONCE = 2
_NOTHING_S = 3600.0
_TIDY_EVERY_S = 6 * 3600.0
_DAY_S = 86_400.0
#: A month's quota can be counted from what is noted as sent.
_SENT_KEPT_S = 31 * _DAY_S
_LEFTOVER_S = 3600.0


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
        self.children = Children(paths, "courier", progress=paths.lane, claim=claim_of)
        self._known: dict[str, _Known] = {}
        self._started_at: dict[str, float] = {}
        self._tidied_at = -_TIDY_EVERY_S

    @property
    def busy(self) -> bool:
        """Whether a child lives, or a message waits."""
        return bool(self.children.pids) or self.has_waiting()

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
        self.children.look(now_s)
        if now_s - self._tidied_at >= _TIDY_EVERY_S:
            self._tidied_at = now_s
            tidy(self.paths)
        wait_s = _NOTHING_S
        waiting = self._by_channel()
        for gone in [name for name in self._known if name not in waiting]:
            del self._known[gone]
        ready = []
        for channel, messages in waiting.items():
            if channel in self.children.pids:
                continue
            in_s, urgent = self._due(channel, messages, now_s)
            if in_s > 0:
                wait_s = min(wait_s, in_s)
            else:
                ready.append((not urgent, self._started_at.get(channel, 0.0), channel))
        for _, _, channel in sorted(ready):
            if len(self.children.pids) >= _MOST_AT_ONCE:
                break
            self._started_at[channel] = now_s
            self.children.start(channel, now_s)
        return min(wait_s, LOOK_AGAIN_S) if self.children.pids or ready else wait_s

    def stop(self) -> None:
        """Asks the children to finish what they have in hand; one that takes longer goes alone."""
        self.children.stop()

    # -- what is due ---------------------------------------------------------------------------

    def _by_channel(self) -> dict[str, list[Message]]:
        found: dict[str, list[Message]] = {}
        for message in self._pile.look():
            found.setdefault(message.channel, []).append(message)
        return found

    def _due(self, channel: str, messages: Sequence[Message], now_s: float) -> tuple[float, bool]:
        """In how many seconds a channel's next message may go, and whether an urgent one may."""
        wait_s = self.children.wait_s(channel, now_s)
        if wait_s > 0:
            return wait_s, False
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
