"""What twenty runs that are all told of cost together: memory of every process of Overnight's.

Keepers, supervisors, the one agent, and a courier in the moment it has Apprise loaded. Memory is
PSS (``/proc/PID/smaps_rollup``): pages shared by several processes count once. Run it as
``python bench/fleet.py``; it takes two minutes.
"""

from __future__ import annotations

import http.server
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import _measure as measure
from overnight.supervisor.process import name_of

_NUM_RUNS = 20
_TARGET_MB = 600.0
#: Long enough that all of them live at once, with numbers and a bar as a training has them.
_JOB = """
import sys, time, overnight
for step in range(90):
    overnight.log({"loss": 1 / (step + 1), "accuracy": step / 100}, step=step)
    print(f"Epoch {step + 1}/90 loss {1 / (step + 1):.4f}", flush=True)
    time.sleep(1)
"""
_OURS = ("ov-supervisor", "ov-keeper", "ov-agent", "ov-courier")


class _Mailbox(http.server.BaseHTTPRequestHandler):
    num = 0

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        _Mailbox.num += 1
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Keeps the table clean."""


def _pss_mb(pid: int) -> float:
    try:
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024 / 1e6
    except (FileNotFoundError, ProcessLookupError):
        pass  # it has just ended
    return 0.0


def _memory(state: bytes) -> dict[str, tuple[int, float]]:
    """Name → how many such processes of this bench there are, and their PSS together."""
    found = dict.fromkeys(_OURS, (0, 0.0))
    for path in Path("/proc").glob("[0-9]*"):
        name = name_of(int(path.name))
        try:
            mine = name in found and state in (path / "environ").read_bytes()
        except OSError:
            continue
        if mine:
            num, mb = found[name]
            found[name] = (num + 1, mb + _pss_mb(int(path.name)))
    return found


def main() -> None:
    """Prints the table."""
    overnight = measure.own_environment().with_name("overnight")
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Mailbox)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    with tempfile.TemporaryDirectory(prefix="overnight-bench-") as folder:
        job = Path(folder) / "job.py"
        job.write_text(_JOB)
        env = {
            **os.environ,
            "XDG_STATE_HOME": folder + "/state",
            "XDG_CONFIG_HOME": folder + "/config",
            "OVERNIGHT_CHANNEL_BENCH": f"json://127.0.0.1:{server.server_port}/",
        }
        machine = measure.calm()
        run_ids = []
        for number in range(_NUM_RUNS):
            words = ["run", "--json", "--name", f"run{number}", "--alert", "accuracy > 0.5", job]
            said = subprocess.run(
                [overnight, *words], check=True, capture_output=True, env=env, cwd=folder
            ).stdout
            run_ids.append(json.loads(said)["run_id"])
        try:
            most: dict[str, tuple[int, float]] = {}
            until = time.monotonic() + 75
            while time.monotonic() < until:
                now = _memory(folder.encode())
                if sum(mb for _, mb in now.values()) > sum(mb for _, mb in most.values()):
                    most = now
                time.sleep(0.5)
        finally:
            for run_id in run_ids:
                subprocess.run([overnight, "stop", "--now", run_id], env=env, check=False,
                               capture_output=True)  # fmt: skip
            time.sleep(5)
            subprocess.run([overnight, "agent", "stop"], env=env, check=False, capture_output=True)
    total = sum(mb for _, mb in most.values())
    rows = [[name, str(num), f"{mb:.1f}", ""] for name, (num, mb) in most.items()]
    rows.append(["together", "", f"{total:.1f}", f"≤ {_TARGET_MB:g}"])
    title = (
        f"{_NUM_RUNS} runs that are told of, at the most expensive moment; {_Mailbox.num} messages"
    )
    measure.table(title, machine, ["process", "number", "PSS, MB", "reach"], rows)
    measure.keep("fleet", machine, {"pss_mb": most, "messages": _Mailbox.num})


if __name__ == "__main__":
    sys.exit(main())
