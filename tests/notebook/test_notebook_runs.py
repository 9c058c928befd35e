"""Ten notebooks, each run the ordinary way and as a converted script: the results are the same."""

from __future__ import annotations

import asyncio
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from overnight.notebook import cell_of_line, convert

CASES = Path(__file__).parent / "cases"
NAMES = sorted(path.stem for path in CASES.glob("*.cells"))
#: One thread: sums come out bit for bit the same in both processes.
ENV = {
    **os.environ, "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "PIP_NO_INDEX": "1",
    "PIP_DISABLE_PIP_VERSION_CHECK": "1", "HF_TOKEN": "hf-token-of-the-test",
    "PATH": str(Path(sys.executable).parent) + os.pathsep + os.environ["PATH"],
    "JUPYTER_PLATFORM_DIRS": "1", "PYDEVD_DISABLE_FILE_VALIDATION": "1",
}  # fmt: skip
#: How the file of each notebook is called: names people really give.
FILES = {"01_korean_baseline": "[Image Classification] 베이스라인 코드 해설.ipynb"}


def notebook_of(case: str) -> dict[str, Any]:
    """A case's text as a notebook: cells begin with a line `=== code` or `=== markdown`."""
    parts = re.split(r"^=== (code|markdown)\n", (CASES / (case + ".cells")).read_text("utf-8"),
                     flags=re.MULTILINE)[1:]  # fmt: skip
    cells: list[dict[str, Any]] = []
    for kind, text in zip(parts[::2], parts[1::2], strict=True):
        cell: dict[str, Any] = {"cell_type": kind, "metadata": {}, "source": text.rstrip("\n")}
        if kind == "code":
            cell |= {"execution_count": None, "outputs": []}
        cells.append(cell)
    kernel = {"name": "python3", "language": "python", "display_name": "Python 3"}
    return {"cells": cells, "metadata": {"kernelspec": kernel}, "nbformat": 4, "nbformat_minor": 4}


def prepare(case: str, folder: Path) -> Path:
    """The notebook in `folder`, with the files it expects to find."""
    folder.mkdir(parents=True)
    if case.startswith("07"):
        data = folder / "drive" / "adapter"
        data.mkdir(parents=True)
        rows = [f"{i % 7},{i % 3},{i % 5},{i % 7 + i % 3},{i % 5}" for i in range(40)]
        (data / "train.csv").write_text("\n".join(["a,b,c,p,q", *rows]) + "\n")
    if case.startswith("08"):
        (folder / "source").mkdir()
        points = [f"{i % 4 + (10 if i % 2 else 0)},{i % 3}" for i in range(30)]
        (folder / "source" / "points.csv").write_text("\n".join(["x,y", *points]) + "\n")
    if case.startswith("10"):
        other = notebook_of(case)
        other["cells"] = [
            {"cell_type": "code", "metadata": {}, "execution_count": None, "outputs": [],
             "source": source}
            for source in ("%matplotlib inline\nshared = 10", 'STAGE_NAME = "first"\nshared')
        ]  # fmt: skip
        (folder / "other.ipynb").write_text(json.dumps(other))
        (folder / "extra.py").write_text("extra = shared + 1\n")
    path = folder / FILES.get(case, case + ".ipynb")
    path.write_text(json.dumps(notebook_of(case), ensure_ascii=False), "utf-8")
    return path


def run_as_notebook(path: Path) -> None:
    """All cells by nbclient, as Jupyter's `Restart and run all` does."""
    import nbclient
    import nbformat

    colab = path.parent / "google" / "colab"
    text = path.read_text("utf-8")
    if "google.colab" in text:  # what the notebook finds on Colab
        colab.mkdir(parents=True)
        (colab / "__init__.py").write_text("")
        (colab / "drive.py").write_text("def mount(path): pass\n")
        (colab / "userdata.py").write_text("import os\nget = os.environ.__getitem__\n")
        text = text.replace("/content/drive/MyDrive", str(path.parent / "drive"))
    notebook = nbformat.reads(text, as_version=4)
    client = nbclient.NotebookClient(
        notebook, timeout=240, kernel_name="python3", resources={"metadata": {"path": path.parent}}
    )
    client.execute(env=ENV)


def results(folder: Path) -> Iterator[tuple[str, Any]]:
    """Every table and model in `folder`, in a form that can be compared."""
    import numpy as np

    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.suffix in (".csv", ".json", ".txt") or path.name == "helper.py":
            yield name, path.read_bytes()
        elif path.suffix == ".npy":
            yield name, np.load(path).tolist()
        elif path.suffix == ".npz":
            with np.load(path) as arrays:
                yield name, {key: arrays[key].tolist() for key in arrays.files}
        elif path.suffix == ".pt":
            import torch

            state = torch.load(path, weights_only=True)
            yield name, {key: value.tolist() for key, value in state.items()}


@pytest.fixture(autouse=True)
def own_event_loop() -> Iterator[None]:
    """Nbclient leaves its event loop open."""
    yield
    try:
        loop = asyncio.get_event_loop_policy().get_event_loop()
    except RuntimeError:
        return
    if not loop.is_running():
        loop.close()
        asyncio.set_event_loop(None)


@pytest.mark.slow
@pytest.mark.filterwarnings("default")  # Jupyter's own
@pytest.mark.parametrize("case", NAMES)
def test_a_converted_notebook_gives_the_same_results(case: str, tmp_path: Path) -> None:
    reference = prepare(case, tmp_path / "as_notebook")
    path = prepare(case, tmp_path / "as_script")
    paths = {"/content/drive/MyDrive": str(path.parent / "drive")} if "07" in case else {}

    conversion = convert(path, paths=paths, env=ENV)
    assert [finding.text for finding in conversion.blocks] == []
    script = path.with_suffix(".py")
    script.write_text(conversion.source, "utf-8")
    done = subprocess.run(
        [sys.executable, script.name], cwd=path.parent, env=ENV, capture_output=True, text=True,
        stdin=subprocess.DEVNULL, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:] + done.stdout[-2000:]

    run_as_notebook(reference)
    expected = dict(results(reference.parent))
    found = dict(results(path.parent))
    assert found == expected
    assert any(name.endswith(".csv") for name in found)
    assert any(name.endswith((".npz", ".npy", ".pt", "model.json")) for name in found)


@pytest.mark.parametrize("case", NAMES)
def test_every_line_of_a_cell_can_be_found_again(case: str, tmp_path: Path) -> None:
    path = prepare(case, tmp_path / "it")
    source = convert(path, env=ENV).source
    lines = source.split("\n")
    cells = [c["source"] for c in notebook_of(case)["cells"] if c["cell_type"] == "code"]
    cells = [text for text in cells if text.strip()]
    places = {place: number for number in range(1, len(lines) + 1)
              if (place := cell_of_line(source, number))}  # fmt: skip
    for cell, text in enumerate(cells, 1):
        for number, line in enumerate(text.split("\n"), 1):
            assert (cell, number) in places, f"cell {cell}, line {number}: {line}"
            bare = line.strip()
            is_plain = re.fullmatch(r"(?:def|class|for|if|with|return)\b[^'\"{}]*", bare)
            if is_plain and "!" not in bare:
                assert lines[places[cell, number] - 1].strip() == bare


def test_conversion_is_the_same_every_time(tmp_path: Path) -> None:
    path = prepare("03_yolo_commands", tmp_path / "it")
    assert convert(path, env=ENV) == convert(path, env=ENV)


def test_pictures_and_texts_of_cells(tmp_path: Path) -> None:
    path = prepare("08_roboflow_paths", tmp_path / "it")
    script = path.with_name("out.py")
    script.write_text(convert(path, env=ENV).source, "utf-8")
    done = subprocess.run(
        [sys.executable, "out.py"], cwd=path.parent, env=ENV, capture_output=True, text=True,
        check=True,
    )  # fmt: skip
    folder = path.parent / "out_pictures"
    assert sorted(p.name for p in folder.iterdir()) == ["cell_4_1.png", "cell_5_1.png"]
    assert all(p.read_bytes().startswith(b"\x89PNG") for p in folder.iterdir())
    assert "['log.txt', 'points.csv']" in done.stdout
    assert "std" in done.stdout  # points.describe() as text
    assert done.stdout.rstrip().endswith("31")
