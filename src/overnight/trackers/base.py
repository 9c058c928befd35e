"""What a tracker is: something that takes a run's numbers, pictures and end, and shows them.

A tracker runs in a mirror, a process that may be killed at any moment; it keeps nothing that is not
there already. Everything it is given may come twice: the same point under the same number, a file
under the same name.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol

from overnight.errors import UserError

Kind = Literal["step", "epoch", "summary", "system"]
#: A line that is slower than this is none that a model goes over.
_SLOWEST_BYTES_PER_S = 100_000
_ANSWERS_WITHIN_S = 45.0


def patience_s(num_bytes: int) -> float:
    """How many seconds a call that carries so many bytes may take."""
    return _ANSWERS_WITHIN_S + num_bytes / _SLOWEST_BYTES_PER_S


class Retry(Exception):  # noqa: N818 - it says what to do
    """Not now, perhaps later: no connection, 5xx, 429, a timeout, a full disk.

    Attributes:
        why: For a person; holds no secret.
    """

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why


class Refused(UserError):  # noqa: N818 - it says what happened
    """The tracker answered and will not have us: a wrong key, a project that is not ours."""


class Gone(UserError):  # noqa: N818 - it says what happened
    """Somebody has deleted the run there. It is not made anew behind their back."""


@dataclass(frozen=True, slots=True)
class Whole:
    """The run that another one is a part of: the search of a trial."""

    run_id: str
    created_us: int


@dataclass(frozen=True, slots=True)
class RunInfo:
    """A run as a tracker shows it.

    Attributes:
        dir: Its folder.
        project: The experiment (MLflow) or project (W&B) it belongs to.
        generation: How often it had to be begun anew there, because a newer attempt went again
            over what was sent.
        tags: Name → text.
        labels: Words.
        config: What was asked for, nested.
        options: The tracker's own options in ``track.json``.
        known: It was there before: what is not found now was deleted.
        whole: What it is a part of; None: nothing.
        has_parts: Others are parts of it.
    """

    dir: Path
    run_id: str
    name: str
    kind: str
    project: str
    created_us: int
    generation: int
    tags: Mapping[str, str]
    labels: Sequence[str]
    config: Mapping[str, Any]
    options: Mapping[str, Any] = field(default_factory=dict)
    known: bool = False
    whole: Whole | None = None
    has_parts: bool = False


@dataclass(frozen=True, slots=True)
class Point:
    """A row of numbers.

    Attributes:
        number: Counts the run's rows in the merged order, from 1; the same for the same row.
        axis: Its step or epoch.
        prefix: Which part of the run it belongs to: ``fold0/``, or nothing.
        values: Full name (prefix and all) → value.
        file: The ledger it came from, and its ``_seq`` there.
    """

    number: int
    t_us: int
    kind: Kind
    axis: int
    prefix: str
    values: Mapping[str, float]
    file: str
    seq: int


@dataclass(frozen=True, slots=True)
class Rejected:
    """A value the tracker will not take. It stays in the ledger, and the rest goes on."""

    key: str
    why: str
    file: str
    seq: int


@dataclass(frozen=True, slots=True)
class Item:
    """A file of the run: a picture, a table, a model.

    Attributes:
        kind: As media.jsonl has it (figure, image, table, video, histogram, artifact), or
            ``config``, ``model``, ``dataset``.
        key: What it shows, its prefix in front; items of one key are a series.
        path: A file, or for a model a folder.
        record: All that the ledger says of it (boxes, masks, columns …).
        number: As a point's.
        aliases: Of an artifact with versions.
    """

    kind: str
    key: str
    path: Path
    step: int | None
    t_us: int
    number: int
    record: Mapping[str, Any] = field(default_factory=dict)
    aliases: Sequence[str] = ()

    @property
    def seq(self) -> int:
        """The number of its record within media.jsonl; 0 where it has none."""
        seq = self.record.get("_seq")
        return seq if isinstance(seq, int) else 0


@dataclass(frozen=True, slots=True)
class End:
    """How a run ended.

    Attributes:
        code: The job's exit code, 128 + n for a signal, 125 where nobody saw it.
        cause: ``cause.kind`` and its evidence; empty where it ended well.
    """

    state: Literal["finished", "failed", "killed"]
    code: int
    ended_us: int
    cause: str = ""
    evidence: str = ""


class Session(Protocol):
    """One run, open in a tracker. Every method raises Retry, Refused or Gone.

    Attributes:
        url: Where a person finds it.
        is_new: Nothing that was sent before is there: all of it has to come again.
        has: Where ``send`` only hands rows over to somebody who may lose them: the number of the
            last row that was there when the run was opened. What came after is sent again. None:
            what ``send`` has taken is there.
    """

    url: str
    is_new: bool
    has: int | None

    def send(self, batch: Sequence[Point | Item]) -> Sequence[Rejected]:
        """Takes points and files in their order; gives what it will never take."""
        ...

    def describe(self, facts: Mapping[str, str]) -> None:
        """Takes what became known of the run since it was opened: name → text."""
        ...

    def close(self, end: End) -> None:
        """The run is over; all of it was sent."""
        ...

    def leave(self) -> None:
        """Lets go of a run that goes on: whoever comes next opens it again."""
        ...


class Tracker(Protocol):
    """A tracker at one address, with one key.

    Attributes:
        name: The word in ``track:``, and of the run's cursor file.
    """

    name: str

    def open(self, run: RunInfo) -> Session:
        """Finds the run there, or makes it. Safe to repeat.

        Raises:
            Retry: Not now.
            Refused: Not with this key.
            Gone: It was there (``run.known``), and is no more.
        """
        ...
