"""One message on its way to one channel: a small file, written once.

A message is known by its key and channel. Put again, when a killed agent reads a run anew, it is
not put twice; sent and noted in ``sent/``, it is not sent twice. Only an answer that was lost on
its way (the process died between sending and noting) makes a message come twice.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from overnight import crashpoint
from overnight.ledger import files
from overnight.outbox.folder import AgentPaths, digest
from overnight.outbox.reserve import FULL, with_room

#: What a message can have come to.
DELIVERED, MERGED, REFUSED, EXPIRED = "delivered", "merged", "refused", "expired"


@dataclass(frozen=True)
class Message:
    """What is to be told on one channel.

    Attributes:
        key: What it is about: the same again when the same thing is found again.
        channel: The channel's name; never its address.
        event: As alerts.judge has it.
        facts: What may be said of it (alerts.facts), JSON values only.
        urgent: It may use the slots kept for crash and finish, and goes first.
        live: News of progress: may edit the run's one live message instead of adding to the pile.
        format: ``short``, ``full``, ``custom``; empty for the channel's own.
        files: Pictures to attach where the channel can.
        run_dir: The run, or empty.
    """

    key: str
    channel: str
    event: str
    created_us: int
    facts: Mapping[str, Any] = field(default_factory=dict)
    urgent: bool = False
    live: bool = False
    format: str = ""
    template: str = ""
    language: str = "en"
    files: tuple[str, ...] = ()
    run_dir: str = ""

    @property
    def id(self) -> str:
        """Its file's name."""
        return digest(self.key + "\0" + self.channel)

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Message | None:
        """The message in a JSON object; None if it does not hold one."""
        known = {f.name: value[f.name] for f in fields(cls) if f.name in value}
        for name, kind in _KINDS.items():
            if name in known and type(known[name]) is not kind:
                return None
        if not all(known.get(name) for name in ("key", "channel", "event")):
            return None
        if not 0 <= known.get("created_us", -1) < 1 << 60:
            return None
        pictures = tuple(each for each in known.pop("files", ()) if isinstance(each, str))
        return cls(**known, files=pictures)


#: How each field is spelled in JSON.
_KINDS: dict[str, type] = {
    **dict.fromkeys(("key", "channel", "event", "format", "template", "language", "run_dir"), str),
    **dict.fromkeys(("urgent", "live"), bool),
    "created_us": int,
    "facts": dict,
    "files": list,
}


def is_known(paths: AgentPaths, message: Message) -> bool:
    """Whether a message waits, or was told already."""
    return any(map(os.path.exists, (paths.told(message.id), paths.waiting(message.id))))


def put(paths: AgentPaths, message: Message) -> bool:
    """Puts a message into the outbox; False if it is there, or was told already.

    Raises:
        OSError: The disk is full, or the user's state folder cannot be written.
    """
    told = paths.told(message.id)
    if os.path.exists(told):
        return False
    waiting = paths.waiting(message.id)
    crashpoint.reach("message.before")
    data = files.to_json(asdict(message))
    if not with_room(paths, lambda: files.create_once(waiting, data, sync=True)):
        return False
    crashpoint.reach("message.put")
    if os.path.exists(told):  # it was told between the two looks
        files.discard(waiting)
        return False
    return True


def waiting(paths: AgentPaths) -> list[Message]:
    """All messages that wait, the urgent first, then the oldest. Damaged files are left out."""
    found: list[Message] = []
    try:
        names = os.listdir(paths.outbox)
    except OSError:
        names = []
    for name in names:
        if name.endswith(".json"):
            with contextlib.suppress(OSError):  # just sent by somebody else
                message = Message.from_json(files.read_json(os.path.join(paths.outbox, name)) or {})
                if message is not None and not os.path.exists(paths.told(message.id)):
                    found.append(message)
    return sorted(found, key=lambda message: (not message.urgent, message.created_us, message.id))


def settle(paths: AgentPaths, message: Message, outcome: str, **said: Any) -> None:
    """Notes what became of a message, and takes it out of the outbox.

    On a full disk the message's own file becomes the note: without one it would be told again.

    Raises:
        OSError: It could not be noted; the message still waits.
    """
    record = {
        "outcome": outcome,
        "channel": message.channel,
        "event": message.event,
        "key": message.key,
        "run_dir": message.run_dir,
        "created_us": message.created_us,
        "settled_us": time.time_ns() // 1000,
        **said,
    }
    try:
        files.replace(paths.told(message.id), files.to_json(record))
    except OSError as error:
        if error.errno not in FULL:
            raise
        files.rename(paths.waiting(message.id), paths.told(message.id))
        return
    crashpoint.reach("message.noted")
    files.discard(paths.waiting(message.id))
