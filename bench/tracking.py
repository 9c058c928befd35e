"""What tracking costs a training: a row of four numbers now and then, in a loop of 10 ms steps.

Every arm is a process of its own with the same loop: hashing, as much of it as takes 10 ms here, is
the step. Ours writes its ledger while the agent takes the rows to MLflow, as in any training; the
others are what their manuals say, in the training process: wandb offline, MLflow on sqlite. They
take turns, forwards and backwards.

"CPU" is what the process used beside the steps, its libraries' threads included and their own
processes left out; "wall" is how long the calls kept the loop. What the clocks take, measured by a
loop that logs nothing, is taken off both. Opening, closing and importing stand beside them. Run it
as ``python bench/tracking.py`` on a machine that is idle; it takes six minutes.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import subprocess
import sys
import tempfile
import time

import _measure as measure

_STEP_MS = 10.0
_NUM_STEPS = 500
_NUM_ROUNDS = 4
#: The first is a training's default; the last is the worst a user may ask for.
_INTERVALS = (50, 1)
_REACH_SHARE = 0.001

_NOTHING = """
def log(values, step):
    pass
def close():
    pass
"""
_OURS = """
from overnight.tracking import init_run
run = init_run("bench", track="mlflow", root=folder)
def log(values, step):
    run.log(values, step=step)
def close():
    run.finish()
"""
_WANDB = """
import wandb
run = wandb.init(project="bench", mode="offline", dir=folder, settings=wandb.Settings(silent=True))
def log(values, step):
    run.log(values, step=step)
def close():
    run.finish()
"""
_MLFLOW = """
import mlflow
mlflow.set_tracking_uri(f"sqlite:///{folder}/mlflow.db")
mlflow.set_experiment("bench")
mlflow.start_run()
def log(values, step):
    mlflow.log_metrics(values, step=step)
def close():
    mlflow.end_run()
"""
_LOOP = """
import hashlib, json, resource, sys, time
folder, num_bytes, num_steps, every = sys.argv[1], *map(int, sys.argv[2:])
begun = time.perf_counter()
{tracker}
log({{"train_loss": 1.0, "accuracy": 0.0, "lr": 3e-4, "grad_norm": 1.0}}, 0)
opened_s = time.perf_counter() - begun
data = b"x" * num_bytes
cpu, thread, wall = time.process_time, time.thread_time, time.perf_counter
steps_s = calls_s = 0.0
cpu_begun = cpu()
for step in range(1, num_steps + 1):
    begun = thread()
    hashlib.sha256(data).digest()
    steps_s += thread() - begun
    begun = wall()
    if step % every == 0:
        log({{"train_loss": 1 / step, "accuracy": step / 1e6, "lr": 3e-4, "grad_norm": 0.5}}, step)
    calls_s += wall() - begun
cpu_us = (cpu() - cpu_begun - steps_s) / num_steps * 1e6
begun = wall()
close()
closed_s = wall() - begun
peak_mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
print(json.dumps({{"cpu_us": cpu_us, "wall_us": calls_s / num_steps * 1e6, "opened_s": opened_s,
                   "closed_s": closed_s, "mib": peak_mib}}))
"""
ARMS = {"nothing": _NOTHING, "overnight": _OURS, "wandb offline": _WANDB, "MLflow sqlite": _MLFLOW}


def bytes_of_a_step() -> int:
    """How much is hashed in one step's time on this machine."""
    data = b"x" * (1 << 20)
    took_s = []
    for _ in range(30):
        begun = time.thread_time()
        hashlib.sha256(data).digest()
        took_s.append(time.thread_time() - begun)
    return int(len(data) * _STEP_MS / 1000 / sorted(took_s)[len(took_s) // 2])


def run(arm: str, num_bytes: int, num_steps: int, every: int) -> dict[str, float]:
    """One process of one arm, in a folder and with a user's folders of its own."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        own = {"XDG_STATE_HOME": f"{folder}/state", "XDG_CONFIG_HOME": f"{folder}/config"}
        own |= {"HOME": folder, "WANDB_DATA_DIR": folder, "WANDB_CACHE_DIR": folder}
        env = {**os.environ, **own, "WANDB_SILENT": "true", "MLFLOW_DISABLE_TELEMETRY": "true"}
        env.pop("OVERNIGHT_RUN_DIR", None)
        program = _LOOP.format(tracker=ARMS[arm])
        words = [folder, str(num_bytes), str(num_steps), str(every)]
        argv = [sys.executable, "-P", "-W", "ignore", "-c", program, *words]
        done = subprocess.run(
            argv, env=env, cwd=folder, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
        if arm == "overnight":  # its agent would still be at work beside the next arm
            stop = [sys.executable, "-P", "-m", "overnight", "agent", "stop"]
            subprocess.run(stop, env=env, cwd=folder, check=False, capture_output=True)
        found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def main() -> None:
    """Prints a table for each interval."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=_NUM_ROUNDS)
    parser.add_argument("--steps", type=int, default=_NUM_STEPS)
    options = parser.parse_args()
    for arm in ARMS:  # databases, caches, byte code
        run(arm, 1, 1, 1)
    machine = measure.calm()
    num_bytes = bytes_of_a_step()
    numbers: dict[str, object] = {"step_ms": _STEP_MS, "num_steps": options.steps}
    for every in _INTERVALS:
        found: dict[str, list[dict[str, float]]] = {arm: [] for arm in ARMS}
        for number in range(options.rounds):
            for arm in list(ARMS) if number % 2 == 0 else reversed(ARMS):
                found[arm].append(run(arm, num_bytes, options.steps, every))
        numbers[f"every {every}"] = found
        _show(f"a row each {every} steps of {_STEP_MS:.0f} ms", machine, found)
    measure.keep("tracking", machine, numbers)


def _show(title: str, machine: str, found: dict[str, list[dict[str, float]]]) -> None:
    def column(arm: str, key: str) -> tuple[float, ...]:
        """A round each; at least a nanosecond, so that a ratio can be had of it."""
        nothing = found["nothing"] if key.endswith("_us") else [{key: 0.0}] * len(found[arm])
        pairs = zip(found[arm], nothing, strict=True)
        return tuple(max(each[key] - less[key], 1e-3) for each, less in pairs)

    rows = []
    for arm in list(ARMS)[1:]:
        cpu, wall = (measure.Interval.of(column(arm, key)) for key in ("cpu_us", "wall_us"))
        start, end, mib = (
            measure.Interval.of(column(arm, key)).median for key in ("opened_s", "closed_s", "mib")
        )
        share = cpu.median / (_STEP_MS * 1000)
        pairs = measure.Pairs(column("overnight", "cpu_us"), column(arm, "cpu_us"))
        rows.append(
            [arm, f"{cpu:.1f}", f"{share:.3%}", f"{wall:.1f}", f"{pairs.ratio:.1f}"]
            + [f"{start:.1f}", f"{end:.2f}", f"{mib:.0f}"]
        )
    head = ["", "CPU, µs a step", f"of a step (reach {_REACH_SHARE:.1%})", "wall, µs a step"]
    head += ["CPU, times ours", "start, s", "end, s", "peak MiB"]
    measure.table(title, machine, head, rows)


if __name__ == "__main__":
    main()
