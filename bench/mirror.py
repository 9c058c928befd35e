"""What a mirror costs: CPU per metric and memory, beside MLflow's own ``log_metric``.

Each arm is a process of its own on a fresh database whose tables are made beforehand; the metrics
are the same. ``log_batch`` alone, 1,000 at a time, is what no client can get below. CPU time, since
the wall's depends on who else is at work; the arms take turns, forwards and backwards. Run it as
``python bench/mirror.py``; it takes a minute.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path

import _measure as measure

ROWS, KEYS, ROUNDS = 5_000, 4, 4
REACH_US, REACH_MIB = 80, 160
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
assert files.read_json(run.cursor("mlflow"))["closed"] is not None
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
BATCHES = """
import json, resource, sys, time
folder, rows, keys = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
for library in ("pandas", "numpy"):  # as in the mirror
    sys.modules[library] = None
from mlflow import MlflowClient
from mlflow.entities import Metric
client = MlflowClient(tracking_uri=f"sqlite:///{folder}/root/mlflow.db")
run = client.create_run(client.create_experiment("bench")).info.run_id
begun = time.process_time()
for first in range(0, rows, 250):
    steps = range(first, first + 250)
    client.log_batch(run, metrics=[
        Metric(f"key{n}", float(step + n), 1_800_000_000_000 + step, step)
        for step in steps for n in range(keys)
    ])
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


def run(program: str, rows: int) -> dict[str, float]:
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
    arms = {"mirror": (OURS, ROWS), "log_batch alone": (BATCHES, ROWS)}
    arms["log_metric"] = (THEIRS, ROWS // 50)
    machine = measure.calm()
    found: dict[str, list[dict[str, float]]] = {name: [] for name in arms}
    for number in range(ROUNDS):
        for name in list(arms) if number % 2 == 0 else reversed(arms):
            found[name].append(run(*arms[name]))
    rows = []
    for name, rounds in found.items():
        us = tuple(each["us"] for each in rounds)
        times = measure.Pairs(tuple(each["us"] for each in found["mirror"]), us).ratio
        mib = measure.Interval.of([each["mib"] for each in rounds])
        rows.append([name, f"{measure.Interval.of(us):.0f}", f"{times:.2f}", f"{mib.median:.0f}"])
    head = ["", f"CPU, µs a metric (reach {REACH_US})", "times the mirror"]
    measure.table("mirror", machine, [*head, f"peak MiB (reach {REACH_MIB})"], rows)
    measure.keep("mirror", machine, dict(found))


if __name__ == "__main__":
    main()
