"""The messages that wait, looked at again and again: only what is new is read.

A message's file is written once and never changed, so what was read stays true until the file is
gone. Where the folder itself was not touched, nothing is listed at all.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import replace

from overnight.ledger import files
from overnight.outbox.folder import AgentPaths
from overnight.outbox.message import Message

_SUFFIX = ".json"
#: A folder's time moves in steps (of up to two seconds on some disks): what comes within the step
#: in which it was listed leaves no trace. Also holds for a clock that was set back.
_STEP_NS = 2_000_000_000


class Pile:
    """What waits in the outbox.

    Args:
        paths: The agent's.
        wanted: Which channels' messages are kept whole; of the others, only what schedules them.
    """

    def __init__(self, paths: AgentPaths, wanted: Callable[[str], bool]) -> None:
        self._paths = paths
        self._wanted = wanted
        self._by_name: dict[str, Message | None] = {}
        self._listed_ns = -1

    def look(self) -> list[Message]:
        """Every message, the urgent first, then the oldest. Damaged files are left out."""
        try:
            changed_ns = os.stat(self._paths.outbox).st_mtime_ns
        except OSError:
            changed_ns = -1
        if changed_ns != self._listed_ns:
            settled = self._list() and abs(time.time_ns() - changed_ns) > _STEP_NS
            self._listed_ns = changed_ns if settled else -1
        there = [message for message in self._by_name.values() if message is not None]
        return sorted(there, key=lambda each: (not each.urgent, each.created_us, each.id))

    def _list(self) -> bool:
        """Reads what is new; False if something could not be read, and may be at the next look."""
        try:
            names = os.listdir(self._paths.outbox)
        except FileNotFoundError:
            names = []
        except OSError:
            return False
        there = {name for name in names if name.endswith(_SUFFIX)}
        for gone in self._by_name.keys() - there:
            del self._by_name[gone]
        is_whole = True
        for name in there - self._by_name.keys():
            is_whole = self._read(name) and is_whole
        return is_whole

    def _read(self, name: str) -> bool:
        path = os.path.join(self._paths.outbox, name)
        try:
            value = files.read_json(path)
        except OSError:
            return False
        if value is None and not os.path.exists(path):  # delivered in this moment
            return True
        message = Message.from_json(value or {})
        if message is not None and message.id + _SUFFIX != name:
            message = None  # not the file that settling it would remove
        if message is not None and not self._wanted(message.channel):
            message = replace(message, facts={}, template="", files=())
        self._by_name[name] = message
        return True
