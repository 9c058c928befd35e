"""How long a notebook of 50 cells takes to become a script, against nbconvert.

Run it with `python bench/convert.py`. nbconvert lives in an environment of its own,
`bench/envs/nbconvert` (made on the first run; never part of the lock). Pairs are measured in ABBA
order; the ratio is the median over pairs with a bootstrap interval.
"""

from __future__ import annotations

import json
import os
import random
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

HERE = Path(__file__).parent
ENVIRONMENT = HERE / "envs" / "nbconvert"
NUM_CELLS = 50
NUM_PAIRS = 12
CELLS = [
    "%matplotlib inline\nimport os, random\nimport numpy as np\nimport matplotlib.pyplot as plt",
    "!pip install -q scikit-learn tqdm",
    "EPOCHS, BATCH_SIZE = 20, 64\nLR = 1e-3  # learning rate\nSEED = 42",
    "class CFG:\n    model = 'resnet18'\n    lr: float = 1e-3\n    folds = [0, 1, 2, 3, 4]",
    "def train_one_epoch(loader, model, optimizer):\n    total = 0.0\n    for x, y in loader:\n"
    "        loss = ((model @ x - y) ** 2).mean()\n        total += float(loss)\n"
    "    return total / max(len(loader), 1)",
    "history = []\nfor epoch in range(EPOCHS):\n    history.append(epoch / EPOCHS)\n"
    "    if epoch % 5 == 0:\n        !echo epoch {epoch}",
    "plt.plot(history)\nplt.title('loss')\nplt.show()",
    "%%time\npredictions = np.zeros((10, 3))\npredictions.argmax(1)",
    "files = !ls\nlen(files)",
    "np.save('model.npy', predictions)\n{'accuracy': 0.9, 'loss': history[-1]}",
]
#: What is measured inside one interpreter: imports are paid before, as in a long-lived process.
OURS = """
import sys, time
from pathlib import Path
from overnight.notebook import convert
convert(Path(sys.argv[1]), env={})
for _ in range(int(sys.argv[2])):
    start = time.thread_time()
    convert(Path(sys.argv[1]), env={})
    print(time.thread_time() - start)
"""
THEIRS = """
import sys, time
from nbconvert import PythonExporter
exporter = PythonExporter()
exporter.from_filename(sys.argv[1])
for _ in range(int(sys.argv[2])):
    start = time.thread_time()
    exporter.from_filename(sys.argv[1])
    print(time.thread_time() - start)
"""


def notebook(path: Path) -> Path:
    """The notebook: 50 cells of code with 10 texts between them."""
    cells: list[dict[str, object]] = []
    for index in range(NUM_CELLS):
        if index % 5 == 0:
            cells.append({"cell_type": "markdown", "id": f"t{index}", "metadata": {},
                          "source": f"## Part {index}\nWhat happens *here*."})  # fmt: skip
        cells.append({"cell_type": "code", "id": f"c{index}", "metadata": {}, "outputs": [],
                      "execution_count": None, "source": CELLS[index % len(CELLS)]})  # fmt: skip
    kernel = {"name": "python3", "language": "python", "display_name": "Python 3"}
    language = {"name": "python", "file_extension": ".py"}
    document = {"cells": cells, "nbformat": 4, "nbformat_minor": 5,
                "metadata": {"kernelspec": kernel, "language_info": language}}  # fmt: skip
    path.write_text(json.dumps(document), encoding="utf-8")
    return path


def rival() -> Path:
    """Nbconvert's Python, made if it is not there."""
    python = ENVIRONMENT / "bin" / "python"
    if not python.exists():
        print("making", ENVIRONMENT, flush=True)
        uv = [sys.executable, "-m", "uv"]
        subprocess.run([*uv, "venv", "-q", "-p", sys.executable, ENVIRONMENT], check=True)
        packages = ["nbconvert", "ipython"]
        subprocess.run([*uv, "pip", "install", "-q", "-p", python, *packages], check=True)
    return python


def inside(python: str | Path, code: str, path: Path) -> float:
    """Milliseconds of processor time for one conversion, imports paid before."""
    done = subprocess.run(
        [python, "-c", code, path, "5"], capture_output=True, text=True, check=True
    )
    return 1000 * statistics.median(float(line) for line in done.stdout.split())


def outside(command: list[str | Path]) -> float:
    """Milliseconds a person waits for a command."""
    start = time.perf_counter()
    subprocess.run(command, capture_output=True, check=False)
    return 1000 * (time.perf_counter() - start)


def compare(
    name: str, ours: Callable[[], float], theirs: Callable[[], float]
) -> tuple[str, list[float], list[float]]:
    """Pairs in ABBA order."""
    left: list[float] = []
    right: list[float] = []
    for pair in range(NUM_PAIRS):
        if pair % 2:
            right.append(theirs())
            left.append(ours())
        else:
            left.append(ours())
            right.append(theirs())
    return name, left, right


def interval(values: list[float]) -> tuple[float, float]:
    """95 % bootstrap interval of the median."""
    draw = random.Random(7)
    medians = sorted(statistics.median(draw.choices(values, k=len(values))) for _ in range(2000))
    return medians[50], medians[1949]


def main() -> None:
    """Measure and print the table."""
    python = rival()
    ENVIRONMENT.mkdir(parents=True, exist_ok=True)
    path = notebook(ENVIRONMENT / "fifty.ipynb")
    here = Path(sys.executable).with_name("overnight")
    there = python.with_name("jupyter-nbconvert")
    load = os.getloadavg()[0]
    out = ENVIRONMENT / "fifty.py"
    rows = [
        compare(
            "in-process (CPU)", lambda: inside(sys.executable, OURS, path),
            lambda: inside(python, THEIRS, path),
        ),
        compare(
            "command (waiting)", lambda: outside([here, "convert", path, "-o", out]),
            lambda: outside([there, "--to", "python", path, "--output", "theirs"]),
        ),
    ]  # fmt: skip
    print(f"{NUM_CELLS} code cells, {NUM_PAIRS} pairs, load {load:.2f} → {os.getloadavg()[0]:.2f}")
    print("| | overnight | nbconvert | nbconvert ÷ overnight (95 %) |")
    print("|---|---|---|---|")
    for name, ours, theirs in rows:
        ratios = [b / a for a, b in zip(ours, theirs, strict=True)]
        low, high = interval(ratios)
        claim = f"{statistics.median(ratios):.1f} ({low:.1f}–{high:.1f})"
        if low <= 1 <= high:
            claim += ", no difference shown"
        print(
            f"| {name} | {statistics.median(ours):.0f} ms | {statistics.median(theirs):.0f} ms "
            f"| {claim} |"
        )
    raw = {name: {"overnight_ms": ours, "nbconvert_ms": theirs} for name, ours, theirs in rows}
    (ENVIRONMENT / "raw.json").write_text(json.dumps(raw, indent=1))
    print("raw numbers:", ENVIRONMENT / "raw.json")


if __name__ == "__main__":
    main()
