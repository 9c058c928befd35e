"""What a mirror costs: CPU per metric and memory, beside MLflow's own ``log_metric``.

Each arm is a process of its own on a fresh database whose tables are made beforehand; the metrics
are the same. CPU time, since the wall's depends on who else is at work.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path

ROWS, KEYS = 5_000, 4
OURS = """
import json, os, resource, sys, time
folder, rows, keys = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
os.environ["XDG_STATE_HOME"] = folder + "/state"
from overnight.agent.mirror import Mirror
from overnight.ledger import files
from overnight.ledger.paths import create_run
from overnight.ledger.writer import Pen
from overnight.outbox import track
from overnight.outbox.folder import agent_paths
root = folder + "/root"
run = create_run(root, "run", "bench")
files.replace(run.run_json, files.to_json({"run_id": run.run_id, "created_us": 1}))
pen = Pen(run.dir, "metrics", attempt=0)
for step in range(rows):
    pen.append({"_kind": "step", "step": step, **{f"key{n}": step + n for n in range(keys)}})
track.write(run, [{"name": "mlflow", "address": ""}])
files.replace(run.exit_json, files.to_json({"attempt": 0, "code": 0}))
[asked] = track.ask(run)
mirror = Mirror(agent_paths(), asked.lane, lingers_s=0.0)
mirror._open().client().search_experiments(max_results=1)  # imports and connections are no metric's
begun = time.process_time()
mirror.work()
took_s = time.process_time() - begun
assert track.standing(run)[0].closed
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
print(json.dumps({"us": took_s / rows / keys * 1e6, "mib": peak}))
"""
THEIRS = """
import json, resource, sys, time
folder, rows, keys = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
from mlflow import MlflowClient
client = MlflowClient(tracking_uri=f"sqlite:///{folder}/root/mlflow.db")
run = client.create_run(client.create_experiment("bench")).info.run_id
begun = time.process_time()
for step in range(rows):
    for n in range(keys):
        client.log_metric(run, f"key{n}", step + n, step=step)
took_s = time.process_time() - begun
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
print(json.dumps({"us": took_s / rows / keys * 1e6, "mib": peak}))
"""
MAKE = """
import sys
from pathlib import Path
from overnight.trackers.mlflow import Mlflow
Mlflow("", Path(sys.argv[1], "root"), {}).client()
"""


def measure(program: str, rows: int) -> dict[str, float]:
    """One arm, in a folder of its own."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "root").mkdir()
        words = [folder, str(rows), str(KEYS)]
        subprocess.run([sys.executable, "-P", "-c", MAKE, *words], check=True, capture_output=True)
        done = subprocess.run(
            [sys.executable, "-P", "-c", program, *words], check=True, stdout=subprocess.PIPE
        )
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def main() -> None:
    """Prints the table."""
    print(f"{'':24}{'CPU a metric':>14}{'peak memory':>14}")
    for name, program, rows in (
        ("mirror", OURS, ROWS),
        ("MLflow log_metric", THEIRS, ROWS // 50),
        ("mirror", OURS, ROWS),
    ):
        found = measure(program, rows)
        print(f"{name:24}{found['us']:>11.0f} µs{found['mib']:>10.0f} MiB")


if __name__ == "__main__":
    main()
