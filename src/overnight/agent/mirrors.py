"""In the agent: which trackers have records to come, and the children that take them there.

One child for each tracker's address and keys: six that open a fresh ``mlflow.db`` at once would
break five of themselves. It stays while a run that goes there is under way.
"""

from __future__ import annotations

import contextlib
import os
import time

from overnight.agent.children import LOOK_AGAIN_S, Children
from overnight.agent.lane import changed_ns
from overnight.ledger import files
from overnight.outbox import track
from overnight.outbox.folder import AgentPaths

_NOTHING_S = 3600.0
_FORGET_EVERY_S = 300.0
#: Whoever has just kept an address is about to say what for.
_KEPT_S = 60.0


def claim_of(lane: str) -> str:
    """What a mirror claims, so that there is one."""
    return "mirror-" + lane


class Mirrors:
    """Starts, watches and ends the mirrors of one agent.

    Args:
        paths: The agent's.
    """

    def __init__(self, paths: AgentPaths) -> None:
        self.paths = paths
        self.children = Children(paths, "mirror", progress=paths.tracker_state, claim=claim_of)
        self._forgot_at = -_FORGET_EVERY_S

    @property
    def busy(self) -> bool:
        """Whether a mirror is at work, or a run waits for one."""
        return bool(self.children.pids) or self.has_waiting()

    def has_waiting(self) -> bool:
        """Whether records of a run are yet to be taken to a tracker."""
        return bool(self._asked())

    def look(self, now_s: float) -> float:
        """Does what is due.

        Args:
            now_s: The monotonic clock, in seconds.

        Returns:
            After how many seconds to call again.
        """
        self.children.look(now_s)
        if now_s - self._forgot_at >= _FORGET_EVERY_S:
            self._forgot_at = now_s
            self.forget()
        wait_s = _NOTHING_S
        for lane, asked_s in self._asked().items():
            if lane in self.children.pids:
                continue
            in_s = max(self.children.wait_s(lane, now_s), self._state_wait_s(lane), asked_s)
            if in_s > 0:
                wait_s = min(wait_s, in_s)
            else:
                self.children.start(lane, now_s)
        return min(wait_s, LOOK_AGAIN_S) if self.children.pids else wait_s

    def stop(self) -> None:
        """Asks the mirrors to finish what they have in hand."""
        self.children.stop()

    def forget(self) -> None:
        """Removes the addresses and keys that no run needs any more."""
        lanes = {request.lane for request in track.asked()}
        with contextlib.suppress(OSError), os.scandir(self.paths.trackers) as entries:
            for entry in entries:
                with contextlib.suppress(OSError):  # gone in this moment
                    unused = entry.name.partition(".")[0] not in lanes
                    if unused and time.time() - entry.stat().st_mtime > _KEPT_S:
                        files.discard(entry.path)

    def _asked(self) -> dict[str, float]:
        """The mirrors that have something to do, and in how many seconds the first of it is due."""
        found: dict[str, float] = {}
        for request in track.asked():
            found[request.lane] = min(request.wait_s(), found.get(request.lane, _NOTHING_S))
        return found

    def _state_wait_s(self, lane: str) -> float:
        """How long a tracker that did not answer is left alone."""
        state = None
        with contextlib.suppress(OSError):
            state = files.read_json(self.paths.tracker_state(lane))
        state = state or {}
        # The person has changed a key since, or asked for it to be tried now.
        if changed_ns(self.paths.tracker(lane)) // 1000 > track.whole(state.get("decided_us")):
            return 0.0
        return track.wait_s(state)
