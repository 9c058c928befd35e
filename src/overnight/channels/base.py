"""What a channel is: something with a name that can be handed a text.

A channel is made from ``(name, url)`` and contacts nobody until :meth:`Channel.send`. It does not
wait and try again itself: whoever sends keeps the message on disk and decides when.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

from overnight.errors import UserError


@dataclass(frozen=True, slots=True)
class Limits:
    """What a service takes, and how much of it.

    Attributes:
        num_chars: Longest text, title included where the service folds it into the text.
        per_day: Messages in a day; None where there is no such limit.
        per_month: Messages in a month.
        num_reserved: How many of a day's (or a month's) are kept for urgent messages.
        min_gap_s: Seconds between two messages.
        attaches: Whether it takes files.
        edits: Whether a sent text can be replaced; ``send`` then returns a reference.
        format: How a message is written for it unless the person says otherwise.
    """

    num_chars: int | None = None
    per_day: int | None = None
    per_month: int | None = None
    num_reserved: int = 0
    min_gap_s: float = 0.0
    attaches: bool = False
    edits: bool = False
    format: Literal["short", "full"] = "full"


class Retry(Exception):  # noqa: N818 - it says what to do
    """Not delivered now, perhaps later: 5xx, 429, a timeout, no connection, no such host yet.

    Attributes:
        why: For a person; holds no secret.
        after_s: When the service says so, how many seconds to wait.
    """

    def __init__(self, why: str, after_s: float | None = None) -> None:
        super().__init__(why)
        self.why = why
        self.after_s = after_s


class Refused(UserError):  # noqa: N818 - it says what happened
    """The service understood and refused: the same message will not be taken later either.

    Attributes:
        said: What it answered, where it did: status and its own words, without secrets.
    """

    said: str = ""

    @classmethod
    def because(cls, why: str, *, fix: str, where: object = "") -> Refused:
        """For a channel whose sentences are not in the catalogue: a plug-in's."""
        return cls("channel.refused", where=where, why=why, fix=fix)


class Channel(Protocol):
    """Somewhere a text can be sent.

    Attributes:
        name: What the person calls it (``phone``).
        service: Which service it is (``kakao``, ``slack``, …).
    """

    name: str
    service: str
    limits: Limits

    def send(
        self,
        text: str,
        *,
        title: str = "",
        key: str = "",
        files: Sequence[Path] = (),
        edit: str | None = None,
    ) -> str | None:
        """Delivers a text.

        Args:
            text: Already within ``limits.num_chars``; a longer one is cut, never split.
            title: One line; put in front of the text where the service has no titles.
            key: The same for the same message sent again; for services that know such keys.
            files: Pictures and the like. A channel that takes none ignores them.
            edit: The reference of an earlier message to replace; sent anew where it is gone.

        Returns:
            A reference for a later ``edit``, where ``limits.edits``.

        Raises:
            Retry: Not now.
            Refused: Not ever, with what to do about it.
        """
        ...
