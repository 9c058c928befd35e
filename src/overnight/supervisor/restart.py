"""Whether a failed job is started again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

#: The first wait, doubled each time: long enough for a driver or a disk to come back …
_FIRST_WAIT_S = 5.0
#: … and short enough that a night is not lost waiting.
_LONGEST_WAIT_S = 300.0

Refusal = Literal["none_left", "same_failure", "code_changed"]


@dataclass(frozen=True, slots=True)
class Restart:
    """Start again after ``in_s`` seconds; ``left`` further restarts are then allowed."""

    in_s: float
    left: int


def decide(
    allowed: int, failures: Sequence[Mapping[str, Any]], *, code_changed: bool
) -> Restart | Refusal:
    """What follows a failure.

    Args:
        allowed: ``--restart N``.
        failures: The causes (JSON) of all failed attempts since a person last asked for one, the
            newest last.
        code_changed: The entry file is not what it was.
    """
    done = len(failures) - 1
    if done >= allowed:
        return "none_left"
    if code_changed:
        return "code_changed"
    if len(failures) > 1 and _signature(failures[-1]) == _signature(failures[-2]) is not None:
        return "same_failure"
    return Restart(min(_FIRST_WAIT_S * 2**done, _LONGEST_WAIT_S), allowed - done - 1)


#: Ends that a second try meets again: the program's own doing, not the machine's.
_DETERMINISTIC = frozenset(
    ["exception", "missing_module", "device_assert", "nan_loss", "exit_code"]
)


def _signature(cause: Mapping[str, Any]) -> tuple[str, str] | None:
    kind = str(cause.get("kind"))
    return (kind, str(cause.get("evidence", ""))) if kind in _DETERMINISTIC else None
