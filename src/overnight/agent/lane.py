"""What is known of one channel between two of its couriers: a small file.

Written by the channel's courier alone (it holds a claim while it lives), read by the agent, which
starts a courier when something may be sent, and by whoever shows the person how a channel is doing.
Every wait is written with the moment it was decided: a clock that is set back voids it.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, cast, get_args

from overnight.agent.budget import Budget
from overnight.ledger import files
from overnight.ledger.paths import config_dir
from overnight.messages import say
from overnight.outbox.folder import AgentPaths, digest
from overnight.outbox.message import DELIVERED, Message
from overnight.outbox.reserve import FULL, with_room

_SECOND_US = 1_000_000
_FIRST_WAIT_S, _LONGEST_WAIT_S = 5.0, 3600.0
#: A service that asks for more than this is taken at its word for a day.
_LONGEST_ASKED_S = 86_400.0
#: Couriers that started at the same moment must not come back at the same moment.
_JITTER = 0.25
#: A message that failed so often by itself lets the others pass.
NUM_TRIES = 3
_NUM_TRIES_KEPT, _NUM_LIVE_KEPT = 64, 50
#: Files on a disk take whole blocks anyway; so the next state fits where this one lies.
_BLOCK_BYTES = 4096

#: The exit status of a courier that found another one at work (EX_TEMPFAIL of sysexits.h).
BUSY = 75

#: Why nothing, or nothing but urgent messages, is sent at the moment.
Why = Literal["", "retry", "budget", "pace", "undefined", "unusable"]


@dataclass(slots=True)
class Tries:
    """How often one message failed.

    Attributes:
        num: In all.
        bare: Of these, without the service saying when to come back: its picture may be the cause.
        next_at_us: Not before.
    """

    num: int = 0
    bare: int = 0
    next_at_us: int = 0


@dataclass(slots=True)
class Trouble:
    """What the service refused last; gone with the next delivery."""

    why: str
    fix: str
    since_us: int


@dataclass(slots=True)
class Digest:
    """Several messages that go as one; kept until all of them are noted."""

    key: str
    members: list[str]

    def as_message(self, channel: str, created_us: int = 0) -> Message:
        """The digest itself, as it is noted."""
        return Message(self.key, channel, "digest", created_us)


@dataclass(slots=True)
class Lane:
    """The state of one channel.

    Attributes:
        channel: Its name.
        next_at_us: Nothing is sent before.
        normal_at_us: Nothing that is not urgent is sent before.
        decided_us: When these two were set.
        why: What for.
        error: What the service, or the way to it, said last; holds no secret. Empty after success.
        failures: How often in a row.
        sending: The id of what is being sent: still here after a death, for that one's account.
        last_sent_us: The last delivery.
        num_expired: Messages that were given up after a day.
        digests: What was begun together; a new one only where none of these may yet go.
    """

    channel: str
    next_at_us: int = 0
    normal_at_us: int = 0
    decided_us: int = 0
    why: Why = ""
    error: str = ""
    failures: int = 0
    sending: str = ""
    last_sent_us: int = 0
    num_expired: int = 0
    trouble: Trouble | None = None
    digests: list[Digest] = field(default_factory=list)
    budget: Budget = field(default_factory=Budget)
    tries: dict[str, Tries] = field(default_factory=dict)
    live: dict[str, str] = field(default_factory=dict)

    def due_us(self, message: Message, now_us: int) -> int:
        """When a message may be sent, as far as the lane knows."""
        if now_us < self.decided_us:  # the clock was set back
            return now_us
        at_us = self.next_at_us if message.urgent else max(self.next_at_us, self.normal_at_us)
        begun = next((each for each in self.digests if message.id in each.members), None)
        tries = self.tries.get((begun.as_message(self.channel) if begun else message).id)
        return max(at_us, tries.next_at_us if tries else 0)

    def lets_others_pass(self, message_id: str) -> bool:
        """Whether a message, or a digest, failed so often that another one is to be tried.

        While all fail, nobody knows whose fault it is. Once another one has arrived, this one has
        its turn again; if it fails then, the fault is its own.
        """
        tries = self.tries.get(message_id)
        if tries is None or tries.num < NUM_TRIES:
            return False
        return self.failures > 0 or tries.next_at_us > 0

    def defined_since_ns(self, paths: AgentPaths) -> int:
        """When the person changed a channel after the lane began to wait for it; 0 if not."""
        if self.why not in ("undefined", "unusable", "retry"):
            return 0
        kept = paths.kept_channel(self.channel)
        found_ns = max(changed_ns(config_dir()), changed_ns(kept))
        return found_ns if found_ns // 1000 > self.decided_us else 0

    def wait(self, why: Why, now_us: int, *, next_us: int = 0, normal_us: int = 0) -> None:
        """Nothing (or nothing normal) is sent for so long; 0 lifts an earlier wait."""
        self.why, self.decided_us = why, now_us
        self.next_at_us = now_us + next_us if next_us else 0
        self.normal_at_us = now_us + normal_us if normal_us else 0

    def begin(self, message_id: str, now_us: int, *, urgent: bool) -> None:
        """Counts a message that is about to be sent."""
        self.sending = message_id
        self.budget = self.budget.counted(now_us, urgent=urgent)

    def delivered(self, message_id: str, now_us: int) -> None:
        """It arrived: what was wrong with the channel is over."""
        self.sending = self.error = ""
        self.failures = 0
        self.trouble = None
        self.last_sent_us = now_us
        self.tries.pop(message_id, None)
        if self.why in ("retry", "undefined", "unusable"):
            self.wait("", now_us, normal_us=max(0, self.normal_at_us - now_us))

    def refused(self, message_id: str, now_us: int, why: str, fix: str) -> None:
        """The service will never take it."""
        self.sending = ""
        self.failures = 0
        since_us = self.trouble.since_us if self.trouble is not None else now_us
        self.trouble = Trouble(why, fix, since_us)
        self.tries.pop(message_id, None)

    def failed(self, message_id: str, now_us: int, why: str, after_s: float | None) -> None:
        """It did not arrive, and may at another time."""
        self.sending = ""
        tries = self.tries.pop(message_id, None) or Tries()
        tries.num += 1
        tries.bare += after_s is None
        while len(self.tries) >= _NUM_TRIES_KEPT:
            del self.tries[next(iter(self.tries))]
        self.tries[message_id] = tries
        own_us = round(backoff_s(tries.num) * _SECOND_US)
        if tries.num > NUM_TRIES and not self.failures and after_s is None:
            # The others arrive: this one is the trouble, and nobody waits for it.
            tries.next_at_us = now_us + own_us
            self.decided_us = now_us
            return
        self.failures += 1
        self.error = why
        wait_s = backoff_s(self.failures) if after_s is None else min(after_s, _LONGEST_ASKED_S)
        normal_us = max(0, self.normal_at_us - now_us)
        self.wait("retry", now_us, next_us=round(wait_s * _SECOND_US), normal_us=normal_us)

    def died(self, now_us: int) -> None:
        """If the courier before this one died while it sent: that has failed once by this."""
        victim, self.sending = self.sending, ""
        if victim:
            tries = self.tries.setdefault(victim, Tries())
            tries.num += 1
            tries.bare += 1
            if tries.num >= NUM_TRIES:
                tries.next_at_us = now_us + round(backoff_s(tries.num) * _SECOND_US)
                self.decided_us = now_us

    def expired(self, message_id: str) -> None:
        """A message was given up."""
        self.num_expired += 1
        self.tries.pop(message_id, None)

    def keep_live(self, run_dir: str, reference: str) -> None:
        """Remembers a run's one live message."""
        self.live.pop(run_dir, None)
        while len(self.live) >= _NUM_LIVE_KEPT:
            del self.live[next(iter(self.live))]
        self.live[run_dir] = reference

    def save(self, paths: AgentPaths, *, sync: bool) -> None:
        """Writes the file; on a full disk over the old one, whose blocks are ours already.

        Where there is none yet, or it is too small, with the room that was set aside.

        Args:
            paths: The agent's.
            sync: It must survive a power cut: what was counted of a budget.

        Raises:
            OSError: It could not be written.
        """
        data = files.to_json(asdict(self))
        data = data.ljust(-(-len(data) // _BLOCK_BYTES) * _BLOCK_BYTES, b" ")
        path = paths.lane(self.channel)

        def write() -> bool:
            try:
                files.replace(path, data, sync=sync)
            except OSError as error:
                if error.errno not in FULL or not _write_over(path, data):
                    raise
            return True

        with_room(paths, write)


def _write_over(path: str, data: bytes) -> bool:
    try:
        if os.stat(path).st_size < len(data):
            return False
        fd = os.open(path, os.O_WRONLY | getattr(os, "O_CLOEXEC", 0))
        try:
            files.write_all(fd, data.ljust(os.fstat(fd).st_size, b" "))
        finally:
            os.close(fd)
    except OSError:
        return False
    return True


def changed_ns(path: str) -> int:
    """When a file or folder was changed, in nanoseconds since 1970; -1 if there is none."""
    try:
        return os.stat(path).st_mtime_ns
    except OSError:
        return -1


def claim_of(channel: str) -> str:
    """What the courier of a channel claims, so that there is one."""
    return "courier-" + digest(channel)


def backoff_s(failures: int) -> float:
    """How long to wait after so many failures in a row: 5 s, 10 s … 1 h, and a bit by chance."""
    import random  # not in the agent, which only reads

    wait_s = _FIRST_WAIT_S * 2.0 ** min(max(failures, 1) - 1, 16)
    return min(_LONGEST_WAIT_S, wait_s * random.uniform(1, 1 + _JITTER))


def read(paths: AgentPaths, channel: str) -> Lane | None:
    """A channel's lane; None if it has none yet, or its file is damaged."""
    try:
        value = files.read_json(paths.lane(channel))
    except OSError:
        return None
    return None if value is None else from_json(value, channel)


def open_lane(paths: AgentPaths, channel: str, now_us: int) -> Lane:
    """A channel's lane, for its courier.

    A lost or damaged file forgets waits, and nothing of the budget: that is counted anew from what
    is noted as sent, and one more, which may have been on its way.
    """
    lane = read(paths, channel)
    if lane is not None:
        return lane
    lane = Lane(channel)
    sent = _sent_of(paths, channel)
    for settled_us, urgent in sorted(sent):
        if settled_us <= now_us:
            lane.budget = lane.budget.counted(settled_us, urgent=urgent)
            lane.last_sent_us = settled_us
    if os.path.exists(paths.lane(channel)):
        lane.budget = lane.budget.counted(now_us, urgent=False)
    return lane


def _sent_of(paths: AgentPaths, channel: str) -> list[tuple[int, bool]]:
    found = []
    try:
        names = os.listdir(paths.sent)
    except OSError:
        names = []
    for name in names:
        if not name.endswith(".json"):  # left by a death while it was written
            continue
        try:
            told = files.read_json(os.path.join(paths.sent, name)) or {}
        except OSError:
            continue
        # On a full disk the message itself was moved there: it says when it was put.
        settled_us = told.get("settled_us", told.get("created_us"))
        ours = (told.get("channel"), told.get("outcome", DELIVERED)) == (channel, DELIVERED)
        if ours and type(settled_us) is int and settled_us >= 0:
            found.append((settled_us, told.get("urgent") is True))
    return found


def describe(lane: Lane, now_us: int) -> list[str]:
    """What a person should know of a channel, in sentences; nothing where all is well."""
    found = []
    blocked = now_us < lane.next_at_us and now_us >= lane.decided_us
    held = now_us < lane.normal_at_us and now_us >= lane.decided_us
    minutes = -(-max(0, lane.next_at_us - now_us) // (60 * _SECOND_US))
    normal_minutes = -(-max(0, lane.normal_at_us - now_us) // (60 * _SECOND_US))
    if lane.trouble is not None:
        found.append(say("agent.refused", why=lane.trouble.why, fix=lane.trouble.fix))
    match lane.why:
        case "retry" if lane.failures:
            found.append(
                say("agent.retry", why=lane.error, number=lane.failures, minutes=max(1, minutes))
            )
        case "budget" if blocked:
            found.append(say("agent.budget", hours=-(-minutes // 60)))
        case "pace" if held:
            found.append(say("agent.pace", minutes=normal_minutes))
        case "undefined":
            found.append(say("agent.undefined", channel=lane.channel))
        case "unusable":
            found.append(say("agent.unusable", why=lane.error))
        case _:
            pass
    if lane.num_expired:
        found.append(say("agent.expired", number=lane.num_expired))
    return found


def from_json(value: Mapping[str, Any], channel: str) -> Lane | None:
    """What ``save`` wrote; None for anything that it cannot have written."""
    lane = Lane(channel)
    for name in ("next_at_us", "normal_at_us", "decided_us", "failures", "last_sent_us",
                 "num_expired"):  # fmt: skip
        number = value.get(name)
        if type(number) is not int or not 0 <= number < 1 << 60:
            return None
        setattr(lane, name, number)
    for name in ("error", "sending"):
        text = value.get(name)
        if not isinstance(text, str):
            return None
        setattr(lane, name, text)
    why, budget = value.get("why"), Budget.from_json(value.get("budget"))
    tries, live = value.get("tries"), value.get("live")
    if not isinstance(why, str) or why not in get_args(Why) or budget is None:
        return None
    if not isinstance(tries, dict) or not isinstance(live, dict):
        return None
    lane.why, lane.budget = cast("Why", why), budget
    lane.live = {run: ref for run, ref in live.items() if isinstance(ref, str)}
    for message_id, entry in tries.items():
        found = _tries(entry)
        if found is not None:
            lane.tries[message_id] = found
    lane.trouble = _trouble(value.get("trouble"))
    digests = value.get("digests")
    found_digests = map(_digest, digests if isinstance(digests, list) else ())
    lane.digests = [each for each in found_digests if each is not None]
    return lane


def _tries(value: object) -> Tries | None:
    if not isinstance(value, Mapping):
        return None
    num, bare, next_at_us = (value.get(key) for key in ("num", "bare", "next_at_us"))
    if type(num) is not int or type(bare) is not int or type(next_at_us) is not int:
        return None
    return Tries(num, bare, next_at_us)


def _trouble(value: object) -> Trouble | None:
    if not isinstance(value, Mapping):
        return None
    why, fix, since_us = (value.get(key) for key in ("why", "fix", "since_us"))
    if not isinstance(why, str) or not isinstance(fix, str) or type(since_us) is not int:
        return None
    return Trouble(why, fix, since_us)


def _digest(value: object) -> Digest | None:
    if not isinstance(value, Mapping):
        return None
    key, members = value.get("key"), value.get("members")
    if not isinstance(key, str) or not isinstance(members, list):
        return None
    return Digest(key, [each for each in members if isinstance(each, str)])
