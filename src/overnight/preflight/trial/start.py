"""Trying a job: where it can be done."""

from __future__ import annotations

import sys
from collections.abc import Callable

from overnight.preflight.trial.asked import Moment, Ranges, TrialAsked, TrialResult


def run(asked: TrialAsked, on_progress: Callable[[Moment], object] = lambda _: None) -> TrialResult:
    """Tries a job. Whatever happens, also at Ctrl-C, nothing of it is left running or changed.

    Args:
        asked: The job.
        on_progress: Called a few times a second.
    """
    if sys.platform == "win32":
        return TrialResult([], Ranges(why_unknown="unsupported"))
    else:  # noqa: RET505 (mypy leaves out what is behind it on Windows)
        from overnight.preflight.trial.attempt import attempt

        return attempt(asked, on_progress)
