"""``python -m overnight.trainer RUN_DIR``: one attempt of a training run, or of a prediction.

Exit codes: 0 finished; 2 what the person can put right; 143 asked to stop, and left whole.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from overnight.errors import OvernightError, UserErrors
from overnight.ledger.paths import RunPaths
from overnight.trainer.console import Console
from overnight.trainer.stop import SignalStop, Stopped

#: 128 + SIGTERM, as a shell says it.
_STOPPED = 143


def main(words: list[str]) -> int:
    """Trains or predicts, and gives the process's exit code."""
    console = Console()
    if len(words) != 1 or not Path(words[0], "config.yaml").is_file():
        console.line("ERROR", "usage: python -m overnight.trainer RUN_DIR (with config.yaml)")
        return 2
    stop = SignalStop()
    stop.install()
    run = RunPaths(words[0])
    os.environ["OVERNIGHT_RUN_DIR"] = run.dir
    from overnight.ledger import job
    from overnight.ledger.reader import Tail

    try:
        if run.kind == "infer":
            from overnight.trainer.infer import predict

            predict(run, console, stop)
        else:
            from overnight.trainer.session import Session

            Session(run, console, stop).train()
    except Stopped:
        attempt = int(os.environ.get("OVERNIGHT_ATTEMPT", "0") or 0)
        told = any(
            record.get("_event") == "StopHonoured" and record.get("_attempt") == attempt
            for record in Tail(run.dir, "job").read()
        )
        if not told:  # between two fits nobody has
            job.event("StopHonoured", by="signal")
        console.line("DONE", "stopped; overnight resume goes on from here")
        return _STOPPED
    except UserErrors as error:
        console.refuse(error.errors)
        return 2
    except OvernightError as error:
        console.refuse([error])
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
