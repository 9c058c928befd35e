"""The demo notebook is all ✓; broken copies of it are not, each fault by its cell and line."""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from overnight.notebook import check_installs, convert
from overnight.preflight.target import Finding, Job, look

DEMO = Path(__file__).parents[2] / "examples" / "digits.ipynb"
CASES = Path(__file__).parents[1] / "notebook" / "cases"
#: What depends on the machine the tests run on.
MACHINE = {"disk", "memory", "shm"}


def examine(path: Path, env: dict[str, str] | None = None) -> list[Finding]:
    """Looks at a notebook as ``overnight check`` does."""
    env = {**os.environ, **(env or {})}
    conversion = convert(path, env=env)
    found = [
        *conversion.findings,
        *check_installs(
            conversion.installs, sys.executable, imports=conversion.imports, folder=path.parent
        ),
    ]
    folder = str(path.parent)
    job = Job(
        "notebook", str(path), (), sys.executable, env, folder, folder,
        conversion=conversion, found=found,
    )  # fmt: skip
    return look(job)


def wrong(found: list[Finding]) -> list[Finding]:
    return [item for item in found if item.level in ("bad", "warn") and item.name not in MACHINE]


@pytest.fixture
def demo(tmp_path: Path) -> Callable[..., Path]:
    """A copy of the demo notebook with something in its source replaced."""

    def copy(old: str = "", new: str = "", *, also: tuple[str, str] | None = None) -> Path:
        notebook = json.loads(DEMO.read_text("utf-8"))
        for before, after in [(old, new), *([also] if also else [])]:
            hits = 0
            for cell in notebook["cells"]:
                text = "".join(cell["source"])
                hits += text.count(before) if before else 0
                if before and cell["cell_type"] == "code":
                    cell["source"] = text.replace(before, after).splitlines(keepends=True)
            assert hits or not before, f"{before!r} is not in the demo"
        path = tmp_path / "digits.ipynb"
        path.write_text(json.dumps(notebook), "utf-8")
        return path

    return copy


def test_the_demo_is_all_right(demo: Callable[..., Path]) -> None:
    found = examine(demo())
    assert [(item.name, item.code, item.text) for item in wrong(found)] == []
    assert {"code", "imports", "installs", "inputs", "outputs", "prompts"} <= {
        item.name for item in found if item.level == "ok"
    }


@pytest.mark.parametrize(
    ("old", "new", "name", "code", "where"),
    [
        ("import numpy as np\n", "import numpy as np\nimport a_missing_module\n",
         "imports", "import_missing", "2:7"),
        ("digits = load_digits()\n", 'digits = load_digits()\nnames = open("labels/names.txt")\n',
         "inputs", "missing", "4:2"),
        ("EPOCHS = 15\n", 'EPOCHS = int(input("epochs? "))\n', "prompts", "asks_person", "3:1"),
        ("!pip install -q torch", "!pip install -q numpy>=900 torch",
         "installs", "install_differs", "1:2"),
        ("np.array(history)", "np.array(histroy)", "names", "name_close", "10:1"),
        ("def evaluate():", "def evaluate(:", "code", "cell_not_python", "9:1"),
        ('device = "cuda" if torch.cuda.is_available() else "cpu"', 'device = "cuda"',
         "gpu", "hidden", "7:10"),
        ("SEED = 7\n", 'SEED = int(os.environ["DIGITS_SEED"])\n',
         "environment", "env_missing", "3:4"),
    ],
)  # fmt: skip
def test_broken_copies(
    demo: Callable[..., Path], old: str, new: str, name: str, code: str, where: str
) -> None:
    found = wrong(examine(demo(old, new), {"CUDA_VISIBLE_DEVICES": ""}))
    assert (name, code, where) in {(item.name, item.code, item.where) for item in found}
    told = next(item for item in found if (item.name, item.code) == (name, code))
    assert told.level == ("warn" if code == "install_differs" else "bad")
    assert told.text
    assert told.fix


def test_an_output_folder_nobody_makes(demo: Callable[..., Path]) -> None:
    write = ('output / "predictions.csv"', '"results/predictions.csv"')
    unsure = [item for item in examine(demo(*write)) if item.name == "outputs"]
    assert [(item.level, item.code, item.where) for item in unsure] == [
        ("unknown", "may_be_made", "12:4")  # the checkpoint's folder is known only to the run
    ]
    made = "checkpoint.parent.mkdir(parents=True, exist_ok=True)"
    sure = [item for item in examine(demo(*write, also=(made, "pass"))) if item.name == "outputs"]
    assert [(item.level, item.code, item.where) for item in sure] == [("bad", "missing", "12:4")]
    assert sure[0].fix == "mkdir -p results"


def test_all_faults_are_told_at_once(demo: Callable[..., Path]) -> None:
    path = demo(
        "import numpy as np\n", "import numpy as np\nimport a_missing_module\n",
        also=('open(output / "predictions.csv", "w")', 'open(input(), "w")'),
    )  # fmt: skip
    codes = {item.code for item in wrong(examine(path))}
    assert {"import_missing", "asks_person"} <= codes


def notebook_of(case: Path, folder: Path) -> Path:
    """A case's cells as a notebook."""
    cells = []
    for kind, text in re.findall(
        r"^=== (markdown|code)\n(.*?)(?=^=== |\Z)", case.read_text("utf-8"), re.M | re.S
    ):
        source = text.rstrip("\n").splitlines(keepends=True)
        made = {"cell_type": kind, "metadata": {}, "source": source}
        if kind == "code":
            made |= {"outputs": [], "execution_count": None}
        cells.append(made)
    metadata = {"kernelspec": {"name": "python3", "language": "python"}}
    path = folder / (case.stem + ".ipynb")
    path.write_text(json.dumps({"cells": cells, "metadata": metadata, "nbformat": 4}), "utf-8")
    return path


@pytest.mark.parametrize("case", sorted(CASES.glob("*.cells")), ids=lambda case: case.stem)
def test_healthy_notebooks_are_not_refused(case: Path, tmp_path: Path) -> None:
    """Nothing ✗ beside what the conversion itself refuses here (a login, a hosted folder)."""
    (tmp_path / "source").mkdir()
    (tmp_path / "source" / "points.csv").write_text("x,y\n1,2\n", "utf-8")
    (tmp_path / "extra.py").write_text("extra = shared + 1\n", "utf-8")
    path = notebook_of(case, tmp_path)
    found = examine(path, {"HF_TOKEN": "hf_" + "x" * 20})
    hosted = {"platform_path", "run_missing"}
    bad = [item for item in found if item.level == "bad" and item.code not in hosted]
    assert [(item.name, item.code, item.where, item.text) for item in bad] == []
