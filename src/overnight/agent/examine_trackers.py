"""Which trackers do not take what runs have sent them: findings for ``overnight doctor``."""

from __future__ import annotations

from overnight.outbox import standing
from overnight.preflight.check import Check, Json

_NAME = "trackers"


def examine_trackers() -> list[Check]:
    """One finding for each run and tracker that something keeps apart, or one that all is well."""
    waiting = standing.waiting()
    found = []
    for run, each in waiting:
        if each.trouble:
            facts: dict[str, Json] = {
                "run_id": run.run_id,
                "tracker": each.tracker,
                "left": each.left,
                "failures": each.failures,
                "retry_s": each.retry_s,
            }
            fields = {"run": run.run_id, "left": each.left, "why": each.trouble, "fix": each.fix}
            code = "refused" if each.fix else "waits"
            found.append(Check(_NAME, "bad" if each.fix else "warn", code, facts, fields))
    if not found:
        num_runs = len({run.dir for run, _ in waiting})
        code = "under_way" if num_runs else "none"
        found.append(Check(_NAME, "ok", code, {"num_runs": num_runs}, {"number": num_runs}))
    return found
