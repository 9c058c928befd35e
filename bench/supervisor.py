"""What keeper and supervisor cost while a job runs: memory and CPU.

Memory is PSS (``/proc/PID/smaps_rollup``): pages shared by both count once. CPU is what the kernel
counted for both (``/proc/PID/schedstat``) over a minute of a quiet job, first while people look on
(a look each second), then as it is for the rest of the night. Run it as
``python bench/supervisor.py``; it takes four minutes.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import _measure as measure
from overnight.ledger.files import read_json
from overnight.ledger.identity import Identity
from overnight.ledger.paths import RunPaths
from overnight.supervisor.detach import holder

_MEASURED_S = 60.0
#: The supervisor looks each second for two minutes, then each five.
_BRISK_S = 125.0
_TARGET_MB, _TARGET_PERCENT = 20.0, 0.1
#: Writes a line each second, as a training does, and otherwise waits.
_JOB = """
import time, overnight
for step in range(10**6):
    overnight.log({"loss": 1 / (step + 1), "lr": 3e-4, "accuracy": 0.5}, step=step)
    overnight.progress(step, 10**6)
    print(f"step {step} loss {1 / (step + 1):.4f}", flush=True)
    time.sleep(1)
"""


def _pss_mb(pid: int) -> float:
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) * 1024 / 1e6
    raise AssertionError("no Pss in smaps_rollup")


def _rss_mb(pid: int) -> float:
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def _cpu_s(pids: Sequence[int]) -> float:
    """Seconds on a CPU so far, of these processes and of the children they waited for."""
    total = 0.0
    for pid in pids:
        total += int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) / 1e9
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        total += (int(fields[13]) + int(fields[14])) / os.sysconf("SC_CLK_TCK")
    return total


def _percent(pids: Sequence[int]) -> float:
    """The share of one core over the next minute."""
    begun, cpu_s = time.monotonic(), _cpu_s(pids)
    time.sleep(_MEASURED_S)
    return 100 * (_cpu_s(pids) - cpu_s) / (time.monotonic() - begun)


def main() -> None:
    """Prints the table."""
    overnight = measure.own_environment().with_name("overnight")
    with tempfile.TemporaryDirectory(prefix="overnight-bench-") as folder:
        job = Path(folder) / "job.py"
        job.write_text(_JOB)
        env = {**os.environ, "XDG_STATE_HOME": str(Path(folder) / "state")}
        machine = measure.calm()
        said = subprocess.run(
            [overnight, "run", "--json", job], check=True, capture_output=True, env=env, cwd=folder
        ).stdout
        begun = time.monotonic()
        run = RunPaths(json.loads(said)["dir"])
        try:
            supervisor = holder(run)[1]
            keeper = Identity.from_json((read_json(run.keeper_json) or {}).get("keeper"))
            assert supervisor is not None
            assert keeper is not None
            pids = (supervisor.pid, keeper.pid)
            time.sleep(5)
            brisk = _percent(pids)
            time.sleep(max(0.0, begun + _BRISK_S - time.monotonic()))
            quiet = _percent(pids)
            pss = [_pss_mb(pid) for pid in pids]
            rss = [_rss_mb(pid) for pid in pids]
        finally:
            subprocess.run([overnight, "stop", "--now", run.run_id], env=env, check=True)
    num = len([1 for path in Path("/proc").glob("[0-9]*")])
    measure.table(
        f"Keeper and supervisor of a quiet job, {num} processes on the machine",
        machine,
        ["what", "supervisor", "keeper", "together", "reach"],
        [
            ["PSS, MB", f"{pss[0]:.1f}", f"{pss[1]:.1f}", f"{sum(pss):.1f}", f"≤ {_TARGET_MB:g}"],
            ["RSS, MB", f"{rss[0]:.1f}", f"{rss[1]:.1f}", "–", "–"],
            ["CPU, first minutes", "–", "–", f"{brisk:.3f} %", "–"],
            ["CPU, the rest of the night", "–", "–", f"{quiet:.3f} %", f"≤ {_TARGET_PERCENT} %"],
        ],
    )
    measure.keep(
        "supervisor", machine,
        {"pss_mb": pss, "rss_mb": rss, "cpu_percent_first": brisk, "cpu_percent": quiet},
    )  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())
