"""How fast ``status`` and ``ls`` answer, side by side with the help pages of mlflow and wandb.

A help page is the least those can show. Each lives in an environment of its own with nothing else
in it. Cold means that the kernel has forgotten every file, the interpreter's included; only root
can make it forget. Run it as ``python bench/verbs.py``.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import _measure as measure
from overnight.ledger import files, index
from overnight.ledger.paths import create_run
from overnight.ledger.state import state_to_json, view
from overnight.ledger.writer import Pen

_NUM_ROUNDS = 10
_DROP_CACHES = Path("/proc/sys/vm/drop_caches")
_FAILED = {
    "kind": "cuda_oom", "sentence": "cuda_oom", "fields": {},
    "evidence": "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB",
}  # fmt: skip
_FINISHED = {"kind": "finished", "sentence": "finished", "evidence": "", "fields": {}}


def _make_runs(root: str, num: int) -> None:
    """Ended runs, one in ten failed, a minute apart, known to the index."""
    now_s = int(time.time())
    for number in range(num):
        made_s = now_s - 60 * (num - number)
        run = create_run(root, "run", "train", now_s=made_s)
        failed = number % 10 == 0
        info = {
            "run_id": run.run_id, "name": "train", "kind": "run", "created_us": made_s * 10**6,
            "cwd": root, "argv": ["python", "train.py"], "target": "train.py", "supervised": True,
        }  # fmt: skip
        files.replace(run.run_json, files.to_json(info), sync=False)
        pen = Pen(run.dir, "events", attempt=0)
        pen.append({"_event": "Queued", "host": "bench"})
        pen.append({"_event": "Started", "job_pid": 1, "keeper_pid": 2, "log_bytes": 0})
        pen.append(
            {
                "_event": "Exited", "code": int(failed), "signal": None, "known": True,
                "ran_s": 12.5, "cause": _FAILED if failed else _FINISHED,
                "outcome": "failed" if failed else "finished", "final": True,
            }
        )  # fmt: skip
        pen.close()
        status = {"attempt": 0, "estimate": None, "metrics": {"loss": 0.5}, "updated_us": 1}
        files.replace(run.status_json, files.to_json(status), sync=False)
        index.add(run, name="train", created_us=made_s * 10**6)
        index.end(run, state_to_json(view(run).state))


def _seconds(argv: Sequence[str | Path], state: str, *, cold: bool) -> float:
    """Wall clock of a command whose output goes into a pipe."""
    env = {k: v for k, v in os.environ.items() if not k.startswith(("OVERNIGHT_", "PYTHON"))}
    if state:
        env["XDG_STATE_HOME"] = state
    if cold:
        os.sync()
        _DROP_CACHES.write_text("3\n")
    begun = time.perf_counter()
    subprocess.run(argv, check=True, env=env, cwd="/", stdout=subprocess.PIPE)
    return time.perf_counter() - begun


def main() -> None:
    """Prints the table."""
    ours = measure.own_environment()
    verb = ours.with_name("overnight")
    rivals = {name: measure.environment(name, name).with_name(name) for name in ("mlflow", "wandb")}
    can_forget = _DROP_CACHES.exists() and os.access(_DROP_CACHES, os.W_OK)
    (measure.BENCH / "results").mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=measure.BENCH / "results") as folder:
        states = {num: str(Path(folder, f"state{num}")) for num in (1_000, 10_000)}
        for num, state in states.items():
            os.environ["XDG_STATE_HOME"] = state
            _make_runs(str(Path(folder, f"root{num}")), num)
        few, many = states[1_000], states[10_000]
        timers: dict[str, Callable[[], float]] = {
            "`status`, 1,000 runs": _timer([verb, "status"], few),
            "`ls`, 1,000 runs": _timer([verb, "ls"], few),
            "`ls --all`, 1,000 runs": _timer([verb, "ls", "--all"], few),
            "`ls`, 10,000 runs": _timer([verb, "ls"], many),
            **{f"`{name} --help`": _timer([rival, "--help"]) for name, rival in rivals.items()},
        }
        for timer in timers.values():
            timer()  # compiles and fills the file cache
        if can_forget:
            timers["`ls`, 10,000 runs, cold"] = _timer([verb, "ls"], many, cold=True)
            for name, rival in rivals.items():
                timers[f"`{name} --help`, cold"] = _timer([rival, "--help"], cold=True)
        machine = measure.calm()
        seconds: dict[str, list[float]] = {title: [] for title in timers}
        for number in range(_NUM_ROUNDS):
            # There and back again, so that a slow minute hits all alike.
            for title in list(timers)[:: 1 if number % 2 == 0 else -1]:
                seconds[title].append(timers[title]())
    rows = []
    for title, ours_s in seconds.items():
        row = [title, f"{measure.Interval.of(ours_s):.2f}"]
        for name in rivals:
            rival = f"`{name} --help`" + (", cold" if title.endswith("cold") else "")
            pairs = measure.Pairs(tuple(ours_s), tuple(seconds[rival]))
            row.append("" if "--help" in title else f"{pairs.ratio:.1f}")
        rows.append(row)
    head = ["command", "s", *(f"× faster than `{name} --help`" for name in rivals)]
    measure.table("How soon a verb answers", machine, head, rows)
    if not can_forget:
        print("\nAll of it warm: only root can make the kernel forget its files.")
    measure.keep("verbs", machine, seconds)


def _timer(
    argv: Sequence[str | Path], state: str = "", *, cold: bool = False
) -> Callable[[], float]:
    return lambda: _seconds(argv, state, cold=cold)


if __name__ == "__main__":
    main()
