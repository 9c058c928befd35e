"""What goes next on a channel: one message, several as a digest, or nothing until later.

First what is urgent, then the oldest; what fails time and again after all others. Only a channel
with a quota gets digests: elsewhere each message is worth its own.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass

from overnight.agent.budget import Quota, is_limited
from overnight.agent.lane import Digest, Lane, Why
from overnight.outbox.folder import AgentPaths, digest
from overnight.outbox.message import Message

#: So many that wait for a channel with a quota go as one.
_NUM_MAKE_A_DIGEST = 4
_MOST_IN_A_DIGEST = 500


@dataclass(frozen=True, slots=True)
class Item:
    """What is sent at once: a message, or several as a digest."""

    messages: tuple[Message, ...]
    #: The digest; None for a single message.
    begun: Digest | None = None

    @property
    def as_one(self) -> Message | None:
        """The digest itself, as it is noted; None for a single message."""
        if self.begun is None:
            return None
        return self.begun.as_message(self.messages[0].channel, self.created_us)

    @property
    def id(self) -> str:
        """What it is known by in the lane."""
        return (self.as_one or self.messages[0]).id

    @property
    def urgent(self) -> bool:
        """Whether any of it is."""
        return any(message.urgent for message in self.messages)

    @property
    def created_us(self) -> int:
        """When the oldest of it was put into the outbox."""
        return min(message.created_us for message in self.messages)


def next_item(
    paths: AgentPaths, lane: Lane, quota: Quota, due: Sequence[Message], now_us: int
) -> Item | None:
    """What is to be sent now; None if the quota allows nothing, and then the lane waits.

    Args:
        paths: The agent's.
        lane: The channel's.
        quota: Its limits.
        due: The messages that the lane lets through.
        now_us: Now.
    """
    items = _begun(paths, lane, due)
    members = {message.id for item in items for message in item.messages}
    due = [message for message in due if message.id not in members]
    if is_limited(quota):
        items = _within(lane, quota, items, due, now_us)
    else:
        items += [Item((message,)) for message in due]

    def rank(item: Item) -> tuple[bool, bool, int, str]:
        return lane.lets_others_pass(item.id), not item.urgent, item.created_us, item.id

    return min(items, key=rank) if items else None


def _begun(paths: AgentPaths, lane: Lane, due: Sequence[Message]) -> list[Item]:
    """The digests that earlier attempts have begun: again with the same members."""
    found = []
    for begun in list(lane.digests):
        members = [message for message in due if message.id in begun.members]
        if members:
            found.append(_as_one(begun, members))
        elif not any(os.path.exists(paths.waiting(each)) for each in begun.members):
            lane.digests.remove(begun)
    return found


def _within(
    lane: Lane, quota: Quota, begun: list[Item], due: Sequence[Message], now_us: int
) -> list[Item]:
    """What a quota allows; where it allows nothing, the lane waits."""
    budget = lane.budget
    wait_us = budget.wait_us(quota, now_us, urgent=True)
    if wait_us:
        lane.wait("budget", now_us, next_us=wait_us)
        return []
    left = budget.left(quota, now_us) or 0
    urgent = [message for message in due if message.urgent]
    normal = [message for message in due if not message.urgent]
    many = _NUM_MAKE_A_DIGEST if len(urgent) * 2 > left else _MOST_IN_A_DIGEST
    items = begun + _together(lane, urgent, many)
    held_us = budget.wait_us(quota, now_us, urgent=False)
    if not held_us:
        after = budget.counted(now_us, urgent=False)
        is_last = after.wait_us(quota, now_us, urgent=False) > 0
        return items + _together(lane, normal, 2 if is_last else _NUM_MAKE_A_DIGEST)
    items = [item for item in items if item.urgent]
    if not items:
        why: Why = "budget" if left <= quota.num_reserved else "pace"
        lane.wait(why, now_us, normal_us=held_us)
    return items


def _together(lane: Lane, messages: Sequence[Message], many: int) -> list[Item]:
    """Messages one by one; where there are ``many``, as one.

    While a digest is under way there is no second: unless it fails time and again, and the others
    would have to wait for it, or go one by one for a day.
    """
    begun = (each.as_message(lane.channel).id for each in lane.digests)
    if len(messages) < many or not all(map(lane.lets_others_pass, begun)):
        return [Item((message,)) for message in messages]
    members = list(messages[:_MOST_IN_A_DIGEST])
    key = "digest:" + digest("\0".join(sorted(message.id for message in members)))
    return [_as_one(Digest(key, [message.id for message in members]), members)]


def _as_one(begun: Digest, members: Sequence[Message]) -> Item:
    in_order = sorted(members, key=lambda message: (message.created_us, message.id))
    return Item(tuple(in_order), begun)
