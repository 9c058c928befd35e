"""The process that writes ``report.html`` when a run has ended."""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path

from overnight.ledger import files
from overnight.ledger.paths import RunPaths
from overnight.messages import Language, language, say
from overnight.redact import redact

#: A bit more than the supervisor waits.
_AT_MOST_S = 75


def main(run_dir: str) -> int:
    """Writes the page; 1 where that cannot be done, and a line says why."""
    run = RunPaths(run_dir)
    if sys.platform != "win32":  # whoever would end it may be gone
        signal.alarm(_AT_MOST_S)
    try:
        from overnight.reporting.page import write

        write([run], Path(run.report), language_of(run))
    except Exception as error:  # whatever is wrong with a page, the run's end stands as it is
        if not Path(run.dir).is_dir():  # removed in this moment
            return 0
        why = os.strerror(error.errno) if isinstance(error, OSError) and error.errno else str(error)
        now = time.strftime("%Y-%m-%d %H:%M:%S")
        said = redact(f"{type(error).__name__}: {why}").replace("\n", " ")[:500]
        sys.stderr.write(say("report.failed", time=now, why=said) + "\n")
        return 1
    return 0


def language_of(run: RunPaths) -> Language:
    """The language of a run's page: its messages', else that of whoever started it."""
    said = (files.read_json(run.notify_json) or {}).get("language")
    if said == "ko":
        return "ko"
    return "en" if said == "en" else language()
