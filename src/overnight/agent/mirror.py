"""The process that takes runs' records to one tracker, and the only one that loads its library.

A child of the agent, one for each address and key. It may die at any moment: how far it was stands
in each run's cursor. It stays while a run that goes there is under way, and leaves at once where
the tracker does not answer; the agent starts another when that is to be tried again.
"""

from __future__ import annotations

import contextlib
import gc
import os
import sys
import threading
import time
import traceback
from collections.abc import Iterator
from itertools import islice
from typing import TYPE_CHECKING, Any

from overnight.agent.children import be_child
from overnight.agent.lane import BUSY, backoff_s
from overnight.agent.mirrors import claim_of
from overnight.errors import UserError
from overnight.ledger import files
from overnight.ledger.paths import RunPaths
from overnight.messages import say, speaking
from overnight.outbox import track
from overnight.outbox.folder import AgentPaths, agent_paths
from overnight.outbox.message import Message, put
from overnight.redact import redact
from overnight.trackers import open_tracker
from overnight.trackers.base import Retry, Tracker, patience_s
from overnight.trackers.copy import Copy

if TYPE_CHECKING:
    from overnight.alerts.settings import Settings

#: New rows go out this often: nobody looks at a curve more closely, and a batch costs a commit.
_LOOK_AGAIN_S = 2.0
#: Loading the libraries takes seconds: a moment's patience serves whoever comes next.
_LINGERS_S = 3.0
#: A call that takes so much longer than it may is given up, and this process with it: some
#: libraries wait for ever.
_GRACE_S = 15.0
_SIGN_EVERY_S = 5.0
#: A wrong key is put right by a person: then the agent sees that, and tries at once.
_REFUSED_WAIT_S = 3600.0
#: What a tracker's client loads where it is installed and needs for nothing of ours: 50 MB.
_DOES_WITHOUT = {"mlflow": ("pandas", "numpy")}
#: So many trials of searches are under way at a time: each is open in the tracker's library.
_MOST_PARTS = 8
_SECOND_US = 1_000_000
_MOST_ERROR_CHARS = 500


class Mirror:
    """Takes runs to one tracker. Only one at a time may exist for an address and key: see ``main``.

    Args:
        paths: The agent's.
        lane: Which one.
        lingers_s: How long it waits for more once all is sent.
    """

    def __init__(self, paths: AgentPaths, lane: str, lingers_s: float = _LINGERS_S) -> None:
        self.paths = paths
        self.lane = lane
        self.told_to_go = False
        self.copies: dict[str, Copy] = {}
        self._lingers_s = lingers_s
        self._parent = os.getppid()
        self._state = files.read_json(paths.tracker_state(lane)) or {}
        self._env: dict[str, str] = {}
        self._signed_at = 0.0
        #: A run's folder → its ``track.end_mark``, and the parts that were all there by then.
        self._arrived: dict[str, tuple[int, set[str]]] = {}

    def work(self) -> None:
        """Sends until nothing is left and nothing is to come, or the tracker does not answer.

        Raises:
            OSError: What is done cannot be written down, so nothing more is done.
        """
        tracker = self._open()
        if tracker is None:
            return
        idle_since: float | None = None
        while not self._must_go():
            self._sign()
            self._take_up(tracker)
            busy = self._look_at_all()
            if busy is None:
                return
            if busy:
                continue
            now = time.monotonic()
            idle_since = None if self.copies else now if idle_since is None else idle_since
            if idle_since is not None and now - idle_since >= self._lingers_s:
                break
            self._sleep(_LOOK_AGAIN_S if self.copies else 0.2)
        for copy in self.copies.values():
            with contextlib.suppress(Retry, UserError, OSError), self._deadline(copy):
                copy.leave()

    def _open(self) -> Tracker | None:
        said = files.read_json(self.paths.tracker(self.lane)) or {}
        env = said.get("env")
        self._env = {str(k): str(v) for k, v in (env if isinstance(env, dict) else {}).items()}
        name = str(said.get("tracker") or "")
        for library in _DOES_WITHOUT.get(name, ()):
            sys.modules.setdefault(library, None)  # type: ignore[arg-type]
        self._sign()
        try:
            with self._deadline(None):
                address, root = str(said.get("address") or ""), str(said.get("root") or "")
                tracker = open_tracker(name, address, root, self._env)
            # The libraries stay: looking through them for garbage costs a tenth of every batch.
            gc.freeze()
            return tracker
        except UserError as error:
            self._refused(error, [each for each in track.asked() if each.lane == self.lane])
        except OSError as error:
            self._retry(error.strerror or type(error).__name__)
        return None

    def _take_up(self, tracker: Tracker) -> None:
        for asked in track.asked():
            key = self._key(asked)
            if asked.lane == self.lane and key not in self.copies and not asked.wait_s():
                self.copies[key] = Copy(asked, tracker)
        num_parts = sum(_is_part(copy) for copy in self.copies.values())
        for whole in [copy for copy in self.copies.values() if copy.is_there]:
            room = max(0, _MOST_PARTS - num_parts)
            for asked in list(islice(self._parts_of(whole), room)):
                self.copies[self._key(asked)] = Copy(asked, tracker)
                num_parts += 1

    def _key(self, asked: track.Asked) -> str:
        return self.paths.mirrored(asked.run.dir, asked.tracker)

    def _parts_of(self, whole: Copy) -> Iterator[track.Asked]:
        """The parts of a run that are yet to be taken along, and not under way."""
        word, mark = whole.asked.tracker, track.end_mark(whole.run)
        was, arrived = self._arrived.get(whole.run.dir, (mark, set()))
        if was != mark:  # it has gone on: what was cut off with it may have as well
            arrived = set()
        self._arrived[whole.run.dir] = mark, arrived
        for part in track.parts(whole.run, word, but=arrived):
            asked = track.Asked(part, word, self.lane)
            if self._key(asked) in self.copies or track.stands_alone(part, word):
                continue
            if Copy(asked, whole.tracker).was_taken:
                arrived.add(part.dir)
            else:
                yield asked

    def _is_whole(self, copy: Copy) -> bool:
        """Whether nothing of a run, its parts included, is to come."""
        under_way = any(each.run.parent == copy.run for each in self.copies.values())
        return not under_way and next(self._parts_of(copy), None) is None

    def _look_at_all(self) -> bool | None:
        """One look at each run; whether more is at hand, None if the tracker is to be left alone.

        Where one run fails and another one arrives, the fault is not the tracker's, and the other
        one does not wait for it.
        """
        busy = has_answered = False
        failed: list[tuple[Copy, str]] = []
        begun = time.monotonic()
        for key, copy in sorted(self.copies.items(), key=lambda each: _is_part(each[1])):
            if _is_part(copy):
                if time.monotonic() - begun > _LOOK_AGAIN_S:
                    busy = True  # the runs themselves first: a thousand trials do not hold them up
                    break
                self.copies[key] = self.copies.pop(key)  # the next round begins with another one
            before = copy.num_answers
            try:
                busy = self._look(copy) or busy
                has_answered = has_answered or copy.num_answers > before
            except Retry as error:
                failed.append((copy, error.why))
                if len(failed) > 1:
                    break
            if copy.is_closed and (_is_part(copy) or self._is_whole(copy)):
                copy.has_all_parts()
            if copy.is_done and key in self.copies:
                track.done(copy.asked)
                busy = True
                del self.copies[key]
                self._arrived.pop(copy.run.dir, None)
            if self._must_go():
                break
        if not failed:
            return busy
        [copy, why], *others = failed
        if others or not has_answered:
            self._retry(why)
            return None
        why = redact(why, self._secrets())[:_MOST_ERROR_CHARS]
        self._defer(copy.asked, backoff_s(copy.asked.failures + 1), why)
        return True

    def _defer(self, asked: track.Asked, seconds: float, why: str) -> None:
        self.copies.pop(self._key(asked), None)
        if asked.run.parent is not None and not asked.said:
            asked = track.stand_alone(asked)
        track.defer(asked, seconds, why)

    def _look(self, copy: Copy) -> bool:
        """One look at one run; whether more is at hand. Raises Retry."""
        before = copy.num_answers
        try:
            with self._deadline(copy):
                more = copy.look()
        except Retry:
            raise
        except UserError as error:
            self._refused(error, [copy.asked], copy)
            return True  # perhaps that was the last one
        except OSError as error:
            # A full disk, or one that is away: this run's, and the others go on.
            self._log(f"{copy.run.dir}: {error}\n")
            copy.read_anew()
            return False
        except Exception as error:
            self._log(f"{copy.run.dir}\n{traceback.format_exc()}")
            raise Retry(f"{type(error).__name__}: {error}") from error
        if copy.num_answers > before:
            if self._state.get("failures"):
                self._save({})
            if copy.asked.failures:
                copy.asked = track.forgive(copy.asked)
        return more

    # -- what went wrong -----------------------------------------------------------------------

    def _retry(self, why: str) -> None:
        """The tracker does not answer: it is left alone for a while, and longer each time."""
        failures = int(self._state.get("failures") or 0) + 1
        why = redact(why, self._secrets())[:_MOST_ERROR_CHARS]
        now_us = time.time_ns() // 1000
        next_us = now_us + round(backoff_s(failures) * _SECOND_US)
        self._save({"failures": failures, "decided_us": now_us, "next_us": next_us, "why": why})

    def _refused(self, error: UserError, runs: list[track.Asked], copy: Copy | None = None) -> None:
        """Only a person can put it right; each run's person is told once, and the others go on."""
        what = redact(error.what, self._secrets())[:_MOST_ERROR_CHARS]
        fix = redact(error.fix, self._secrets())[:_MOST_ERROR_CHARS]
        for asked in runs:
            with contextlib.suppress(OSError):
                mine = copy or Copy(asked, _NONE)
                mine.note_trouble(what, fix)
                whole = asked.run.parent or asked.run
                tell(self.paths, whole, asked.tracker, f"{what}. {fix}")
            self._defer(asked, _REFUSED_WAIT_S, what)

    def _save(self, state: dict[str, Any]) -> None:
        self._state = state
        files.replace(self.paths.tracker_state(self.lane), files.to_json(state), sync=False)

    def _secrets(self) -> dict[str, str]:
        return {**os.environ, **self._env}

    def _log(self, text: str) -> None:
        """For whoever has to repair this; stderr is the agent's log."""
        sys.stderr.write(redact(text, self._secrets()))

    # -- time ----------------------------------------------------------------------------------

    def _must_go(self) -> bool:
        return self.told_to_go or os.getppid() != self._parent

    def _sign(self) -> None:
        """Shows whoever watches that this process gets on."""
        now = time.monotonic()
        if now - self._signed_at >= _SIGN_EVERY_S or not self._signed_at:
            self._signed_at = now
            path = self.paths.tracker_state(self.lane)
            if os.path.exists(path):
                os.utime(path)
            else:
                self._save({})

    def _sleep(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while not self._must_go() and (left_s := until - time.monotonic()) > 0:
            time.sleep(min(left_s, 0.2))

    @contextlib.contextmanager
    def _deadline(self, copy: Copy | None) -> Iterator[None]:
        """Within it a call that takes too long ends this process: a thread could not be ended."""
        over = threading.Event()

        def watch() -> None:
            begun = time.monotonic()
            while not over.wait(_SIGN_EVERY_S):
                may_take_s = _GRACE_S + (copy.patience_s if copy is not None else patience_s(0))
                if time.monotonic() - begun > may_take_s:
                    self._retry(say("track.too_long", seconds=round(may_take_s)))
                    os._exit(BUSY)
                with contextlib.suppress(OSError):
                    os.utime(self.paths.tracker_state(self.lane))

        thread = threading.Thread(target=watch, daemon=True)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()


def _is_part(copy: Copy) -> bool:
    return copy.run.parent is not None


class _None:
    """No tracker: for noting what keeps it from being opened."""

    name = ""

    def open(self, run: object) -> Any:
        """Is never called."""
        raise AssertionError(run)


_NONE = _None()


def tell(paths: AgentPaths, run: RunPaths, tracker: str, text: str) -> None:
    """Tells whoever is told of a run what is the matter with its tracker; the same thing once.

    Raises:
        OSError: The outbox cannot be written.
    """
    asked = files.read_json(run.notify_json)
    if asked is None:
        return
    from overnight.alerts.settings import Settings

    settings: Settings = Settings.from_json(asked)
    now_us = time.time_ns() // 1000
    with speaking("ko" if settings.language == "ko" else "en"):
        said = say("track.told", run=run.run_id, tracker=tracker, text=text)
    facts = {"event": "text", "text": said, "run_id": run.run_id, "now_us": now_us}
    for channel in settings.channels:
        message = Message(
            key=f"{run.dir}\0tracker\0{tracker}\0{text}",
            channel=channel,
            event="text",
            created_us=now_us,
            facts=facts,
            format=settings.formats.get(channel) or settings.format or "",
            language=settings.language,
            run_dir=run.dir,
        )
        put(paths, message)


def main(lane: str) -> int:
    """The child process of one tracker."""
    paths = agent_paths()
    return be_child(paths, claim_of(lane), lambda: Mirror(paths, lane))
