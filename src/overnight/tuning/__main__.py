"""``python -m overnight.tuning RUN_DIR``: one attempt of a search over a script's options.

Exit codes: 0 finished; 2 what the person can put right; 143 asked to stop, and left whole.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from pathlib import Path

from overnight.errors import OvernightError, UserErrors
from overnight.ledger.paths import RunPaths
from overnight.messages import say
from overnight.redact import redact

#: 128 + SIGTERM, as a shell says it.
_STOPPED = 143


def main(words: list[str]) -> int:
    """Searches, and gives the process's exit code."""
    if len(words) != 1 or not Path(words[0], "script.json").is_file():
        sys.stderr.write("usage: python -m overnight.tuning RUN_DIR (with script.json)\n")
        return 2
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    run = RunPaths(words[0])
    os.environ["OVERNIGHT_RUN_DIR"] = run.dir
    from overnight.ledger import job
    from overnight.tuning.script import Script
    from overnight.tuning.search import Search, Stopped

    try:
        Search(run, Script.read(run), stop).run()
    except Stopped:
        job.event("StopHonoured", by="signal")
        print("[DONE] stopped; overnight resume goes on from here", flush=True)  # noqa: T201
        return _STOPPED
    except UserErrors as error:
        return _refuse(list(error.errors))
    except OvernightError as error:
        return _refuse([error])
    return 0


def _refuse(errors: list[OvernightError]) -> int:
    """Says what keeps the search from going on; the last line says it in one."""
    for error in errors:
        for key, fields in (
            ("cli.error", {"what": error.what}),
            ("cli.error_fix", {"fix": error.fix}),
        ):
            print(redact(say(key, **fields)))  # noqa: T201
    print(f"[ERROR] {redact(errors[0].what)}", flush=True)  # noqa: T201
    return max(error.exit_code for error in errors)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
