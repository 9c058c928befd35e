"""How the benches measure on a machine that others use too.

Two things are measured in turn, ours first and theirs first alternately (ABBA), and compared pair
by pair, so that a slow minute hits both. A table shows the median and, in brackets, the interval
that holds it with 95 % (bootstrap); a ratio is only worth saying if its interval leaves out 1. The
machine's load stands above the table, every single number in ``bench/results/``.
"""

from __future__ import annotations

import json
import os
import platform
import random
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

BENCH = Path(__file__).parent
ROOT = BENCH.parent
#: Above it something else is computing; at least one core is left alone below it.
CALM_LOAD = 1.0
_CALM_WAIT_S = 120.0
_NUM_RESAMPLES = 2000


@dataclass(frozen=True, slots=True)
class Interval:
    """A median and what holds it with 95 %."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Interval:
        """The median of ``values``, resampled with a fixed seed."""
        rng = random.Random(0)
        medians = sorted(
            statistics.median(rng.choices(values, k=len(values))) for _ in range(_NUM_RESAMPLES)
        )
        low, high = medians[_NUM_RESAMPLES // 40], medians[-_NUM_RESAMPLES // 40]
        return cls(statistics.median(values), low, high)

    def __format__(self, spec: str) -> str:
        return f"{self.median:{spec}} [{self.low:{spec}}, {self.high:{spec}}]"


@dataclass(frozen=True, slots=True)
class Pairs:
    """Measurements of two things, taken in turn."""

    ours: tuple[float, ...]
    theirs: tuple[float, ...]

    @property
    def ratio(self) -> Interval:
        """How many times ours fits into theirs."""
        return Interval.of([b / a for a, b in zip(self.ours, self.theirs, strict=True)])


def in_turn(
    ours: Callable[[], float], theirs: Callable[[], float], *, num_pairs: int = 10
) -> Pairs:
    """Measures in the order ABBA ABBA and so on."""
    a: list[float] = []
    b: list[float] = []
    for pair in range(num_pairs):
        for mine in (True, False) if pair % 2 == 0 else (False, True):
            (a if mine else b).append(ours() if mine else theirs())
    return Pairs(tuple(a), tuple(b))


def calm() -> str:
    """Waits until the machine has little else to do; says how busy it is when measuring begins."""
    until = time.monotonic() + _CALM_WAIT_S
    while _load() > CALM_LOAD and time.monotonic() < until:
        time.sleep(2)
    load = _load()
    busy = "" if load <= CALM_LOAD else " (busy: take the numbers for what they are)"
    return (
        f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}, "
        f"load {load:.2f} at the start{busy}"
    )


def _load() -> float:
    # The run queue of this moment; the averages remember the last minutes. This process is in it.
    running = Path("/proc/loadavg")
    if running.exists():
        return float(running.read_text().split()[3].partition("/")[0]) - 1
    return os.getloadavg()[0]


def table(title: str, machine: str, head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Prints a table in Markdown."""
    load = f"{os.getloadavg()[0]:.1f} over the last minute" if hasattr(os, "getloadavg") else ""
    print(f"\n**{title}** · {machine}, {load}\n")
    print("| " + " | ".join(head) + " |")
    print("|" + " --- |" * len(head))
    for row in rows:
        print("| " + " | ".join(row) + " |")


def keep(name: str, machine: str, numbers: Mapping[str, object]) -> None:
    """Writes every single number to ``bench/results/<name>-<time>.json``."""
    folder = BENCH / "results"
    folder.mkdir(exist_ok=True)
    path = folder / f"{name}-{time.strftime('%Y%m%d-%H%M%S')}.json"
    plain = {k: asdict(v) if isinstance(v, Pairs) else v for k, v in numbers.items()}
    path.write_text(json.dumps({"machine": machine, **plain}, indent=1) + "\n")
    print(f"\nEvery number: {path.relative_to(ROOT)}")


def environment(name: str, *requirements: str) -> Path:
    """The Python of ``bench/envs/<name>``, with ``requirements`` and nothing else in it.

    Raises:
        SystemExit: It could not be made (no network); the message says so.
    """
    folder = BENCH / "envs" / name
    python = folder / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
    mark = folder / "requirements"
    wanted = "\n".join(requirements)
    if python.exists() and mark.exists() and mark.read_text() == wanted:
        return python
    print(f"Making bench/envs/{name}: {', '.join(Path(each).name for each in requirements)}")
    for step in (
        [uv(), "venv", "--quiet", "--clear", "--python", sys.executable, str(folder)],
        [uv(), "pip", "install", "--quiet", "--python", str(python), *requirements],
    ):
        if subprocess.run(step, env=uv_environment(), check=False).returncode:
            raise SystemExit(
                f"bench/envs/{name} could not be made; is a package registry reachable?"
            )
    mark.write_text(wanted)
    return python


def own_environment() -> Path:
    """The Python of an environment that holds the package as it is now, and what it needs."""
    mark = BENCH / "envs" / "overnight" / "requirements"
    if mark.exists() and mark.stat().st_mtime < (ROOT / "pyproject.toml").stat().st_mtime:
        mark.unlink()  # what it needs may have changed: made anew
    python = environment("overnight", str(ROOT))
    again = ["pip", "install", "--quiet", "--python", str(python), "--no-deps", "--reinstall"]
    subprocess.run([uv(), *again, str(ROOT)], env=uv_environment(), check=True)
    return python


def uv() -> str:
    """The installer beside the Python that runs the bench."""
    return str(Path(sys.executable).with_name("uv"))


def uv_environment() -> dict[str, str]:
    """This environment for uv, which reads none of pip's settings by itself."""
    env = dict(os.environ)
    for uv, pip in (("UV_DEFAULT_INDEX", "PIP_INDEX_URL"), ("SSL_CERT_FILE", "PIP_CERT")):
        if uv not in env and pip in env:
            env[uv] = env[pip]
    return env


def size_of(python: Path) -> tuple[int, float]:
    """How many packages an environment holds, and their size in MB."""
    asked = "import sysconfig; print(sysconfig.get_paths()['purelib'])"
    done = subprocess.run([python, "-c", asked], capture_output=True, text=True, check=True)
    packages = Path(done.stdout.strip())
    files = [path for path in packages.rglob("*") if path.is_file() and path.suffix != ".pyc"]
    return len(list(packages.glob("*.dist-info"))), sum(f.stat().st_size for f in files) / 1e6
