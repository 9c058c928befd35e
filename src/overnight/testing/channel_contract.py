"""What every channel keeps to: the suite that ours and a plug-in author's run alike.

::

    from overnight.testing.channel_contract import Case, check

    def test_my_channel(tmp_path):
        with a_server_that_plays_the_service() as server:
            check(Case(
                open=lambda: MyChannel("phone", "myservice://token1234/room"),
                secrets=("token1234",),
                received=lambda: server.texts,
                break_down=server.answer_503,
                refuse=server.answer_401,
            ), tmp_path)

A broken promise is an AssertionError that names it. docs/add-a-channel.md walks through it.
"""

from __future__ import annotations

import logging
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from overnight.channels.base import Channel, Limits, Refused, Retry
from overnight.channels.fit import length

#: What a message may hold: marks of several services, markup, Hangul, an emoji, a title's brackets.
AWKWARD = "val_f1 *0.9* <class 'int'> & `x` 손실 0.031 \U0001f389"
_TITLE = "[완료] run_1"
#: A picture of one pixel.
_PNG = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000001000000010802000000907753de0000000c49444154"
    "08d763f8cfc000000301010018dd8db00000000049454e44ae426082"
)


@dataclass(frozen=True, slots=True)
class Case:
    """A channel and the service it talks to, played on this machine.

    Attributes:
        open: Makes the channel, as ``open_channel`` would.
        secrets: Parts of its URL that nobody may see.
        received: Every text that has arrived so far, as the person would read it; for one that was
            edited, its newest. None where that cannot be known.
        break_down: Has the service fail once in a way that passes. None where it cannot.
        refuse: Has the service refuse once for good. None where it cannot.
        received_files: The names of the files that have arrived so far.
    """

    open: Callable[[], Channel]
    secrets: Sequence[str]
    received: Callable[[], Sequence[str]] | None = None
    break_down: Callable[[], None] | None = None
    refuse: Callable[[], None] | None = None
    received_files: Callable[[], Sequence[str]] | None = None


def check(case: Case, folder: Path) -> None:
    """Holds a channel to everything that is expected of one.

    Args:
        case: The channel.
        folder: An empty one, for the files that are sent.

    Raises:
        AssertionError: It breaks a promise; the text says which.
    """
    with _listening() as records:
        _is_a_channel(case)
        _delivers(case)
        _cuts(case)
        _edits(case)
        _takes_or_ignores_files(case, folder)
        _says_later(case)
        _says_never(case)
    written = logging.Formatter()  # with the traceback, where a line has one
    for record in records:
        _assert_no_secret(case, written.format(record), f"a line in the log of {record.name}")


def _is_a_channel(case: Case) -> None:
    channel = case.open()
    assert isinstance(channel.name, str), "name: what the person calls it"
    assert channel.name, "name: what the person calls it"
    assert isinstance(channel.service, str), "service: which service it is"
    assert channel.service, "service: which service it is"
    limits = channel.limits
    assert isinstance(limits, Limits), "limits: an overnight.channels.Limits"
    for count in (limits.num_chars, limits.per_day, limits.per_month):
        assert count is None or count > 0, "limits: a count is at least 1; None is no limit"
    budgets = [each for each in (limits.per_day, limits.per_month) if each is not None]
    most = min(budgets, default=None)
    if most is None:
        assert limits.num_reserved == 0, "limits: nothing is reserved of no limit"
    else:
        assert 0 <= limits.num_reserved < most, "limits: some of the budget is for the rest"
    assert limits.min_gap_s >= 0, "limits: a gap is not negative"
    _assert_no_secret(case, repr(channel), "repr(channel)")
    _assert_no_secret(case, str(channel), "str(channel)")


def _delivers(case: Case) -> None:
    channel = case.open()
    before = _texts(case)
    reference = channel.send(AWKWARD, title=_TITLE, key="contract-1")
    assert reference is None or isinstance(reference, str), "send gives a str or None"
    assert channel.limits.edits or reference is None, "a reference is for channels that edit"
    if before is not None:
        arrived = _texts(case)
        assert arrived is not None
        assert len(arrived) == len(before) + 1, "one send is one message"
        assert AWKWARD in arrived[-1], f"the text arrives as it was sent, not as {arrived[-1]!r}"
    channel.send("no title, no key")
    channel.send("", title=_TITLE)


def _cuts(case: Case) -> None:
    channel = case.open()
    most = channel.limits.num_chars
    if most is None:
        return
    channel.send("가나다라 " * most, title=_TITLE * most, key="contract-long")
    arrived = _texts(case)
    if arrived is not None:
        size = length(arrived[-1])
        assert size <= most, f"a text of {size} went to a service that takes {most}"


def _edits(case: Case) -> None:
    channel = case.open()
    if not channel.limits.edits:
        return
    reference = channel.send("epoch 1", key="contract-live")
    assert reference, "a channel that edits gives a reference"
    before = _texts(case)
    again = channel.send("epoch 2", key="contract-live", edit=reference)
    assert again, "an edit gives a reference again"
    arrived = _texts(case)
    if before is not None and arrived is not None:
        assert len(arrived) == len(before), "an edit is no new message"
        assert "epoch 2" in arrived[-1], "an edit replaces the text"
    assert channel.send("epoch 3", edit="no such message"), "what cannot be edited is sent anew"


def _takes_or_ignores_files(case: Case, folder: Path) -> None:
    channel = case.open()
    picture = folder / "손실 곡선 #1?.png"
    picture.write_bytes(_PNG)
    channel.send("with a picture", title=_TITLE, files=[picture])
    if channel.limits.attaches and case.received_files is not None:
        names = case.received_files()
        assert picture.name in names, f"the picture's name arrives, not {names!r}"
    # A picture may be gone by the time its message is sent.
    channel.send("its picture is gone", files=[folder / "gone.png"])
    arrived = _texts(case)
    if arrived is not None:
        assert any("its picture is gone" in text for text in arrived[-2:]), (
            "a text is never lost for a picture"
        )


def _says_later(case: Case) -> None:
    if case.break_down is None:
        return
    channel = case.open()
    case.break_down()
    retry = _raised(channel, "during the breakdown")
    assert isinstance(retry, Retry), f"a service that fails for now is Retry, not {retry!r}"
    assert retry.why, "Retry.why says what happened"
    assert retry.after_s is None or retry.after_s >= 0, "Retry.after_s is in the future"
    _assert_no_secret(case, _whole(retry), "Retry")
    channel.send("after the breakdown", key="contract-during the breakdown")
    arrived = _texts(case)
    if arrived is not None:
        assert "after the breakdown" in arrived[-1], "it works again afterwards"


def _says_never(case: Case) -> None:
    if case.refuse is None:
        return
    channel = case.open()
    case.refuse()
    refusal = _raised(channel, "refused")
    assert isinstance(refusal, Refused), f"a refusal for good is Refused, not {refusal!r}"
    assert refusal.what, "Refused says what happened"
    assert refusal.fix, "Refused says how to fix it"
    told = " ".join((_whole(refusal), refusal.what, refusal.fix, refusal.where, refusal.said))
    _assert_no_secret(case, told, "Refused")


def _raised(channel: Channel, text: str) -> Exception | None:
    """What sending raises; anything but Retry and Refused is the channel's mistake."""
    try:
        channel.send(text, key="contract-" + text)
    except (Retry, Refused) as error:
        return error
    return None


def _whole(error: Exception) -> str:
    """All that a traceback in a log would show."""
    return "".join(traceback.format_exception(error)) + repr(error)


def _texts(case: Case) -> list[str] | None:
    return None if case.received is None else list(case.received())


def _assert_no_secret(case: Case, text: str, where: str) -> None:
    for secret in case.secrets:
        assert secret not in text, f"{where} holds a secret: {text[:200]!r}"


@contextmanager
def _listening() -> Iterator[list[logging.LogRecord]]:
    """Every record that any logger makes, however detailed."""
    records: list[logging.LogRecord] = []

    class Listener(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            records.append(record)

    root = logging.getLogger()
    listener, level = Listener(), root.level
    root.addHandler(listener)
    root.setLevel(logging.NOTSET + 1)
    try:
        yield records
    finally:
        root.removeHandler(listener)
        root.setLevel(level)
