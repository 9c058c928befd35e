"""The process that delivers the messages of one channel, and leaves when none may be sent.

A child of the agent, and the only part of it that loads the libraries which talk to services. It
may die at any moment. What is being sent is noted before (so that a message which kills its courier
is known), what became of it right after: only an answer lost between the two is asked for twice.

Long for one file, because sending and noting belong together: what may be done after which step is
what keeps a message from being lost or told twice.
"""

from __future__ import annotations

import contextlib
import copy
import os
import shutil
import sys
import time
import traceback
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from overnight import crashpoint
from overnight.agent.budget import is_limited
from overnight.agent.children import be_child
from overnight.agent.choice import Item, next_item
from overnight.agent.lane import Digest, claim_of, open_lane
from overnight.agent.pile import Pile
from overnight.errors import UserError
from overnight.ledger import files
from overnight.ledger.paths import RunPaths
from overnight.messages import say
from overnight.outbox.folder import AgentPaths, agent_paths
from overnight.outbox.message import DELIVERED, EXPIRED, MERGED, REFUSED, Message, settle
from overnight.redact import redact

if TYPE_CHECKING:
    from overnight.alerts.compose import Text
    from overnight.alerts.settings import Format
    from overnight.channels.base import Channel
    from overnight.messages import Language

_SECOND_US = 1_000_000
#: What could not be delivered in a day says nothing new any more.
_GIVEN_UP_AFTER_US = 86_400 * _SECOND_US
#: Loading the libraries takes a second: a moment's patience serves whoever comes next.
_LINGERS_S = 2.0
_LOOK_AGAIN_S = 0.1
#: After so long it makes room where several other channels wait for a courier.
_SLICE_S = 20.0
_NUM_OTHERS_WAIT = 2
#: A channel that is not defined; the agent looks again at once when a definition changes.
_UNDEFINED_WAIT_US = 600 * _SECOND_US
#: A gap that is longer than this is waited for without a process.
_LONGEST_PAUSE_S = 15.0
_NOTE_TRIES = 60
_MOST_ERROR_CHARS = 500
#: Events that come with the loss curve.
_WITH_CURVE = frozenset(["finished", "early_stopped", "crashed"])
#: Of these the job's own newest pictures go along too.
_WITH_PICTURES = frozenset(["finished", "early_stopped"])


class Courier:
    """Delivers one channel's messages. Only one at a time may exist for a channel: see ``main``.

    Args:
        paths: The agent's.
        channel: The channel's name.
        lingers_s: How long it waits for more once all is told.
    """

    def __init__(self, paths: AgentPaths, channel: str, lingers_s: float = _LINGERS_S) -> None:
        self.paths = paths
        self._lingers_s = lingers_s
        self.name = channel
        self.lane = open_lane(paths, channel, _now_us())
        self.told_to_go = False
        self._pile = Pile(paths, channel.__eq__)
        self._channel: Channel | None = None
        self._format = ""
        self._url = ""
        self._parent = os.getppid()
        self._begun = time.monotonic()
        self._num_others = 0

    def work(self) -> None:
        """Delivers until nothing may be sent.

        Raises:
            OSError: What is done cannot be written down, so nothing more is done.
        """
        self._look_back()
        idle_since: float | None = None
        while not self._must_go():
            mine = self._look()
            item = self._next(mine)
            if item is not None:
                idle_since = None
                self._deliver(item)
                continue
            if mine or self._channel is None:
                return  # what is left has to wait, and the lane says for how long
            idle_since = time.monotonic() if idle_since is None else idle_since
            if time.monotonic() - idle_since >= self._lingers_s:
                return
            time.sleep(_LOOK_AGAIN_S)

    def _must_go(self) -> bool:
        if self.told_to_go or os.getppid() != self._parent:
            return True
        late = time.monotonic() - self._begun > _SLICE_S
        return late and self._num_others >= _NUM_OTHERS_WAIT

    # -- what was, what waits ------------------------------------------------------------------

    def _look_back(self) -> None:
        """Takes up what a courier that died had begun.

        Written only where something has changed: whoever watches takes a new time of the lane for
        progress.
        """
        before = copy.deepcopy(self.lane)
        if self.lane.sending and not os.path.exists(self.paths.told(self.lane.sending)):
            self.lane.died(_now_us())
        self.lane.sending = ""
        if self.lane.defined_since_ns(self.paths):
            self.lane.wait("", _now_us())
        for begun in list(self.lane.digests):
            if os.path.exists(self.paths.told(begun.as_message(self.name).id)):
                there = {message.id: message for message in self._look()}
                self._note_members(begun, [there[each] for each in begun.members if each in there])
        if self.lane != before:
            self.lane.save(self.paths, sync=False)

    def _look(self) -> list[Message]:
        """This channel's messages; those told already (a death in between) are cleared away."""
        mine: list[Message] = []
        others = set()
        for message in self._pile.look():
            if message.channel != self.name:
                others.add(message.channel)
            elif os.path.exists(self.paths.told(message.id)):
                files.discard(self.paths.waiting(message.id))
            else:
                mine.append(message)
        self._num_others = len(others)
        return mine

    # -- what is next --------------------------------------------------------------------------

    def _next(self, mine: Sequence[Message]) -> Item | None:
        """What may be sent now; None if nothing may, and then the lane says why."""
        now_us = _now_us()
        mine = self._without_the_old(mine, now_us)
        due = [message for message in mine if self.lane.due_us(message, now_us) <= now_us]
        if not due:
            return None
        channel = self._open(now_us)
        if channel is None:
            return None
        due = self._newest_news(due, edits=channel.limits.edits)
        item = next_item(self.paths, self.lane, channel.limits, due, now_us)
        if item is None:
            self.lane.save(self.paths, sync=False)  # it says what is waited for
        return item

    def _without_the_old(self, mine: Sequence[Message], now_us: int) -> list[Message]:
        """Gives up what is a day old. An urgent one that was never tried gets its try."""
        left = []
        for message in mine:
            if now_us - message.created_us > _GIVEN_UP_AFTER_US:
                untried = message.id not in self.lane.tries
                may_go = self.lane.due_us(message, now_us) <= now_us
                if not (message.urgent and untried and may_go):
                    why = self.lane.error or say("agent.why_" + (self.lane.why or "late"))
                    self._note(message, EXPIRED, why=why)
                    self.lane.expired(message.id)
                    self.lane.save(self.paths, sync=False)
                    continue
            left.append(message)
        return left

    def _newest_news(self, due: list[Message], *, edits: bool) -> list[Message]:
        """Where a run's one live message is edited, only its newest state is worth telling."""
        if not edits:
            return due
        newest: dict[str, Message] = {}
        for message in due:
            known = newest.get(message.run_dir, message)
            if message.live and message.created_us >= known.created_us:
                newest[message.run_dir] = message
        left = []
        for message in due:
            into = newest.get(message.run_dir, message) if message.live else message
            if into is message:
                left.append(message)
            else:
                self._note(message, MERGED, into=into.id)
        return left

    # -- the channel ---------------------------------------------------------------------------

    def _open(self, now_us: int) -> Channel | None:
        """The channel, opened once; None if it is not defined, or not usable."""
        if self._channel is not None:
            return self._channel
        from overnight.channels import open_channel

        try:
            found = self._definition()
            if found is None:
                self._wait_for_definition("undefined", "", now_us)
                return None
            self._url, self._format = found
            self._channel = open_channel(self.name, self._url)
        except UserError as error:
            self._wait_for_definition("unusable", error.what, now_us)
        except Exception as error:  # a plug-in may raise anything, and the messages must wait
            self._log()
            self._wait_for_definition("unusable", type(error).__name__, now_us)
        return self._channel

    def _definition(self) -> tuple[str, str] | None:
        kept = files.read_json(self.paths.kept_channel(self.name))
        if kept is not None and isinstance(kept.get("url"), str):
            return kept["url"], str(kept.get("format") or "")
        from overnight.channels import store

        named = store.load({}).get(self.name)
        return None if named is None else (named.url, named.format or "")

    def _wait_for_definition(
        self, why: Literal["undefined", "unusable"], error: str, now_us: int
    ) -> None:
        self.lane.error = redact(error)[:_MOST_ERROR_CHARS]
        self.lane.wait(why, now_us, next_us=_UNDEFINED_WAIT_US)
        self.lane.save(self.paths, sync=False)

    # -- delivering ----------------------------------------------------------------------------

    def _deliver(self, item: Item) -> None:
        channel = self._channel
        assert channel is not None
        if not self._pause(channel.limits.min_gap_s):
            return
        limited = is_limited(channel.limits)
        tries = self.lane.tries.get(item.id)
        if item.begun is not None and item.begun not in self.lane.digests:
            self.lane.digests.append(item.begun)
        self.lane.begin(item.id, _now_us(), urgent=item.urgent)
        self.lane.save(self.paths, sync=limited)
        crashpoint.reach("message.counted")
        try:
            with self._pictures(item, with_any=tries is None or not tries.bare) as pictures:
                reference = self._send(channel, item, pictures)
        except UserError as error:  # Refused, and whatever else can only be put right by a person
            self._refused(item, error)
        except Exception as error:  # Retry; a plug-in may raise anything, and it must not get lost
            self._failed(item, error)
        else:
            crashpoint.reach("message.sent")
            self._delivered(item, reference)

    def _pause(self, gap_s: float) -> bool:
        """Waits until the channel may send again; False if it is time to go instead."""
        since_s = (_now_us() - self.lane.last_sent_us) / _SECOND_US
        left_s = gap_s - max(0.0, since_s) if self.lane.last_sent_us else 0.0
        if left_s > _LONGEST_PAUSE_S:
            self.lane.wait("pace", _now_us(), next_us=round(left_s * _SECOND_US))
            self.lane.save(self.paths, sync=False)
            return False
        until = time.monotonic() + left_s
        while (rest_s := until - time.monotonic()) > 0:
            if self._must_go():
                return False
            time.sleep(min(rest_s, _LOOK_AGAIN_S))
        return True

    def _send(self, channel: Channel, item: Item, pictures: Sequence[Path]) -> str | None:
        text = self._text(channel, item)
        first = item.messages[0]
        live = channel.limits.edits and item.as_one is None and first.live
        hidden = {**os.environ, "OVERNIGHT_CHANNEL_SECRET": self._url}
        return channel.send(
            redact(text.body, hidden),
            title=redact(text.title, hidden),
            key=item.id,
            files=pictures if channel.limits.attaches else (),
            edit=self.lane.live.get(first.run_dir) if live else None,
        )

    def _text(self, channel: Channel, item: Item) -> Text:
        from overnight.alerts import compose

        first = item.messages[0]
        form = _format(first.format or self._format, channel.limits.format)
        spoken: Language = "ko" if first.language == "ko" else "en"
        most = channel.limits.num_chars
        if item.as_one is not None:
            pairs = [(message.event, message.facts) for message in item.messages]
            return compose.digest(pairs, format=form, language=spoken, max_chars=most)
        return compose.render(
            first.event,
            first.facts,
            format=form,
            language=spoken,
            template=first.template,
            max_chars=most,
        )

    @contextlib.contextmanager
    def _pictures(self, item: Item, *, with_any: bool) -> Iterator[list[Path]]:
        """The files that go along; none on a second try, since they may be what is refused."""
        assert self._channel is not None
        if not (with_any and self._channel.limits.attaches) or item.as_one is not None:
            yield []
            return
        message = item.messages[0]
        folder = Path(self.paths.pictures(message.id))
        found = [Path(file) for file in message.files if os.path.isfile(file)]
        try:
            if message.event in _WITH_CURVE and message.run_dir:
                found += self._curve(message.run_dir, folder)
            if message.event in _WITH_PICTURES and message.run_dir:
                found += self._kept_pictures(message.run_dir)
            yield found
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def _kept_pictures(self, run_dir: str) -> list[Path]:
        from overnight.alerts.plot import pictures_of

        return [Path(path) for path in pictures_of(RunPaths(run_dir))]

    def _curve(self, run_dir: str, folder: Path) -> list[Path]:
        from overnight.alerts.plot import loss_curve

        picture = folder / "loss.png"
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            return [picture] if loss_curve(RunPaths(run_dir), picture) else []
        except OSError:  # a full disk, a run that was removed: the words count more
            return []
        except Exception:  # a bug of ours in the drawing; likewise
            self._log()
            return []

    # -- what became of it ---------------------------------------------------------------------

    def _delivered(self, item: Item, reference: str | None) -> None:
        now_us = _now_us()
        as_one = item.as_one
        if as_one is None or item.begun is None:
            message = item.messages[0]
            self._note(message, DELIVERED, urgent=item.urgent)
            if reference and message.live and message.run_dir:
                self.lane.keep_live(message.run_dir, reference)
        else:
            with contextlib.suppress(OSError):  # no room: its members, each moved, say the same
                settle(self.paths, as_one, DELIVERED, urgent=item.urgent)
            crashpoint.reach("message.merged")
            self._note_members(item.begun, item.messages)
        self.lane.delivered(item.id, now_us)
        self.lane.save(self.paths, sync=False)

    def _note_members(self, begun: Digest, messages: Sequence[Message]) -> None:
        for message in messages:
            self._note(message, MERGED, into=begun.as_message(self.name).id)
            self.lane.tries.pop(message.id, None)
        self.lane.digests.remove(begun)

    def _refused(self, item: Item, error: UserError) -> None:
        now_us = _now_us()
        self._give_back(item, now_us)
        why = redact(error.what)[:_MOST_ERROR_CHARS]
        fix = redact(error.fix)[:_MOST_ERROR_CHARS]
        for message in item.messages:
            self._note(message, REFUSED, why=why, fix=fix)
        if item.begun is not None:
            self.lane.digests.remove(item.begun)
        self.lane.refused(item.id, now_us, why, fix)
        self.lane.save(self.paths, sync=False)

    def _failed(self, item: Item, error: Exception) -> None:
        from overnight.channels.base import Retry

        now_us = _now_us()
        if isinstance(error, Retry):
            why, after_s = error.why, error.after_s
        else:
            self._log()
            why, after_s = f"{type(error).__name__}: {error}", None
        # A first failure stays counted: perhaps only the answer was lost. The others are given
        # back: an evening without a network must not cost the day's quota.
        if item.id in self.lane.tries:
            self._give_back(item, now_us)
        self.lane.failed(item.id, now_us, redact(why)[:_MOST_ERROR_CHARS], after_s)
        self.lane.save(self.paths, sync=False)

    def _give_back(self, item: Item, now_us: int) -> None:
        self.lane.budget = self.lane.budget.counted(now_us, -1, urgent=item.urgent)

    def _note(self, message: Message, outcome: str, **said: object) -> None:
        """Settles a message. On a disk that takes nothing, waits: unnoted it would come twice."""
        for tries_left in range(_NOTE_TRIES, -1, -1):
            try:
                settle(self.paths, message, outcome, **said)
            except OSError:
                if not tries_left:
                    raise
                time.sleep(1.0)
            else:
                return

    def _log(self) -> None:
        """A traceback for whoever has to repair this; stderr is the agent's log."""
        hidden = {**os.environ, "OVERNIGHT_CHANNEL_SECRET": self._url}
        sys.stderr.write(redact(traceback.format_exc(), hidden))


def main(channel: str) -> int:
    """The child process of one channel."""
    paths = agent_paths()
    return be_child(paths, claim_of(channel), lambda: Courier(paths, channel))


def _format(chosen: str, default: Format) -> Format:
    match chosen:
        case "short" | "full" | "custom":
            return chosen
        case _:
            return default


def _now_us() -> int:
    return time.time_ns() // 1000
