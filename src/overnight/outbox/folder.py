"""Where the agent of a user and machine keeps what it works on. All of it is files.

::

    <state>/agent/<machine>/
      claims/agent.<n>    who is the agent
      follow/<id>.json    runs that asked to be followed; gone once all of a run was told
      follow/<id>.judge   what was seen of such a run that stands nowhere else
      outbox/<id>.json    messages that wait, one file per message and channel
      sent/<id>.json      what became of each, kept for a month: nothing is told twice
      lanes/<channel>.json  of each channel: when it may send again, what of its budget is used
      channels/<name>.json  channels that an environment defined, until all of theirs is told; 0600
      heartbeat           the heartbeat URL of an environment, likewise
      mirror/<id>.json    runs whose records are to be taken to a tracker; gone once all were
      trackers/<lane>.json  a tracker's address and keys, until nothing more goes there; 0600
      trackers/<lane>.state  how it went there lately
      pictures/<id>/      made for the message that is being sent
      attached/<time>/    pictures that a program attached to a message of no run, for a week
      reserve             room, so that an end is told on a disk that it filled
      agent.log           tracebacks of Overnight's own; empty unless it has a bug
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass

try:
    # hashlib would bring OpenSSL along: 4 MB that a supervisor does without all night.
    from _blake2 import blake2b  # type: ignore[import-not-found, unused-ignore]
except ImportError:
    from hashlib import blake2b

from overnight.ledger.identity import here
from overnight.ledger.paths import state_dir

#: Tells an agent which folder is its own: by then the machine may have another name.
VARIABLE = "OVERNIGHT_AGENT_DIR"


@dataclass(frozen=True)
class AgentPaths:
    """Every path of one agent."""

    dir: str

    @property
    def claims(self) -> str:
        """Who is the agent."""
        return os.path.join(self.dir, "claims")

    @property
    def follow(self) -> str:
        """Runs to be followed."""
        return os.path.join(self.dir, "follow")

    @property
    def outbox(self) -> str:
        """Messages that wait."""
        return os.path.join(self.dir, "outbox")

    @property
    def sent(self) -> str:
        """What became of the others."""
        return os.path.join(self.dir, "sent")

    @property
    def lanes(self) -> str:
        """The state of each channel."""
        return os.path.join(self.dir, "lanes")

    @property
    def channels(self) -> str:
        """Channels that an environment defined."""
        return os.path.join(self.dir, "channels")

    @property
    def mirror(self) -> str:
        """Runs whose records go to a tracker."""
        return os.path.join(self.dir, "mirror")

    @property
    def trackers(self) -> str:
        """Where trackers are, and how it went there lately."""
        return os.path.join(self.dir, "trackers")

    @property
    def heartbeat(self) -> str:
        """The heartbeat URL that an environment defined."""
        return os.path.join(self.dir, "heartbeat")

    @property
    def reserve(self) -> str:
        """Room that is given back on a full disk."""
        return os.path.join(self.dir, "reserve")

    @property
    def log(self) -> str:
        """Tracebacks of Overnight's own."""
        return os.path.join(self.dir, "agent.log")

    def waiting(self, message_id: str) -> str:
        """A message's file while it waits."""
        return os.path.join(self.outbox, message_id + ".json")

    def told(self, message_id: str) -> str:
        """What became of a message."""
        return os.path.join(self.sent, message_id + ".json")

    def lane(self, channel: str) -> str:
        """The state of a channel."""
        return os.path.join(self.lanes, file_name(channel) + ".json")

    def kept_channel(self, channel: str) -> str:
        """A channel that an environment defined."""
        return os.path.join(self.channels, file_name(channel) + ".json")

    def pictures(self, message_id: str) -> str:
        """Pictures that are made for one message, while it is being sent."""
        return os.path.join(self.dir, "pictures", message_id)

    def followed(self, run_dir: str) -> str:
        """The request to follow a run."""
        return os.path.join(self.follow, digest(run_dir) + ".json")

    def judged(self, run_dir: str) -> str:
        """What the agent keeps of a run that it follows."""
        return os.path.join(self.follow, digest(run_dir) + ".judge")

    def mirrored(self, run_dir: str, tracker: str) -> str:
        """The request to take a run's records to a tracker."""
        return os.path.join(self.mirror, digest(run_dir + "\0" + tracker) + ".json")

    def tracker(self, lane: str) -> str:
        """A tracker's address and keys."""
        return os.path.join(self.trackers, lane + ".json")

    def tracker_state(self, lane: str) -> str:
        """How it went there lately; changed while a mirror is at work."""
        return os.path.join(self.trackers, lane + ".state")

    def make(self) -> AgentPaths:
        """Makes the folders. Raises OSError if the user's state folder cannot be written."""
        folders = (
            self.claims, self.follow, self.outbox, self.sent, self.lanes, self.channels,
            self.mirror, self.trackers,
        )  # fmt: skip
        for folder in folders:
            os.makedirs(folder, mode=0o700, exist_ok=True)
        return self


def agent_paths() -> AgentPaths:
    """The agent of this user on this machine. A home on a network disk holds one per machine."""
    machine, _, _, host = here()
    said = os.environ.get(VARIABLE, "")
    # On a home that several machines share, all of them find the folder in what one has installed.
    name, _, mark = os.path.basename(said).rpartition("-")
    if name and mark == _mark(machine, name):
        return AgentPaths(said)
    name = f"{file_name(host)}-{_mark(machine, host)}"
    return AgentPaths(os.path.join(state_dir(), "agent", name))


def _mark(machine: str, host: str) -> str:
    return digest(machine + host)[:8]


def digest(text: str) -> str:
    """A short name for any text."""
    made: str = blake2b(text.encode("utf-8", "surrogateescape"), digest_size=12).hexdigest()
    return made


def file_name(text: str) -> str:
    """A text as a file's name: itself where it can be one."""
    if re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,60}", text):
        return text
    return "x-" + digest(text)
