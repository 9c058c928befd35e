"""What a converted script shows, and that it needs neither Overnight nor IPython."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from overnight.notebook import Conversion, convert

Convert = Callable[..., Conversion]
Output = Callable[..., str]
#: A Matplotlib with just enough in it: the header must not need the real one.
PYPLOT = """
class Figure:
    axes = [1]
    def savefig(self, path, bbox_inches=None):
        with open(path, "w") as file:
            file.write("figure")
open_figures = {}
def plot(*a):
    open_figures.setdefault(len(open_figures) + 1, Figure())
    return ["line"]
def new():
    open_figures[len(open_figures) + 1] = made = Figure()
    return made
def get_fignums():
    return list(open_figures)
def figure(number):
    return open_figures[number]
def close(which):
    open_figures.clear()
def show():
    raise RuntimeError("no screen")
"""


@pytest.fixture
def pyplot(tmp_path: Path) -> Path:
    """A folder in which `import matplotlib.pyplot` finds the stand-in above."""
    folder = tmp_path / "matplotlib"
    folder.mkdir()
    (folder / "__init__.py").write_text("")
    (folder / "pyplot.py").write_text(PYPLOT)
    return tmp_path


def test_the_last_value_is_shown_as_in_the_notebook(converted: Convert, output_of: Output) -> None:
    out = output_of(
        converted(
            "1\n2", "3;", "x = 4", "'text'", "None", "print(5)", "x  # a comment", "x; # quiet",
            "(x\n + 1)", "7, 8", "if x:\n    9", "[y for y in 'ab']", "'''a\nb'''",
             "display(x, 'y')",
            "f'{x}'", "(n := 3)", "lambda: 1", "_ = 1\n{'k': _}",
        )
    )  # fmt: skip
    lines = out.splitlines()
    assert lines[:8] == ["2", "'text'", "5", "4", "5", "(7, 8)", "['a', 'b']", "'a\\nb'"]
    assert lines[8:12] == ["4", "y", "'4'", "3"]
    assert lines[13] == "{'k': 1}"


def test_everything_is_shown_on_request(converted: Convert, output_of: Output) -> None:
    conversion = converted(
        "from IPython.core.interactiveshell import InteractiveShell\n"
        "InteractiveShell.ast_node_interactivity = 'all'",
        "1\n2",
    )
    assert output_of(conversion).split() == ["1", "2"]


def test_objects_that_are_pictures(converted: Convert, output_of: Output, tmp_path: Path) -> None:
    out = output_of(
        converted(
            "class P:\n    def _repr_png_(self): return b'\\x89PNG'\nclass Q(P):\n"
            "    def _repr_png_(self): return None\n"
            "    def _repr_jpeg_(self): return b'\\xff\\xd8'",
            "class M:\n    def _repr_mimebundle_(self, include, exclude):\n"
            "        return {'image/png': 'iVBO', 'text/plain': 'M'}\n"
            "class H:\n    def _repr_html_(self): return '<b>'\n"
            "class S(H):\n    def __repr__(self): return 'S()'\n"
            "class B:\n    def _repr_png_(self): raise ValueError('no')\n"
            "    def __repr__(self): return 'B()'",
            "P()", "Q()\n", "M()", "H()", "S()", "B()", "display(P(), P())", "P",
        )
    )  # fmt: skip
    folder = tmp_path / "script_pictures"
    assert sorted(path.name for path in folder.iterdir()) == [
        "cell_3_1.png", "cell_4_1.jpg", "cell_5_1.png", "cell_6_1.html", "cell_9_1.png",
        "cell_9_2.png",
    ]  # fmt: skip
    assert (folder / "cell_5_1.png").read_bytes() == b"\x89PN"
    assert "S()" in out
    assert "[not shown] ValueError: no\nB()" in out
    assert f"[picture] {folder / 'cell_3_1.png'}" in out


def test_figures_are_saved_at_show_and_at_the_end_of_a_cell(
    converted: Convert, pyplot: Path
) -> None:
    conversion = converted(
        "import matplotlib.pyplot as plt",
        "plt.plot(1)\nplt.show()\nplt.plot(2)",
        "fig = plt.new()\nfig",
        "def draw():\n    plt.plot(3)\n    plt.show()",
        "for i in range(2):\n    draw()",
    )
    script = pyplot / "script.py"
    script.write_text(conversion.source, "utf-8")
    done = subprocess.run(
        [sys.executable, "-S", "script.py"], cwd=pyplot, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert sorted(path.name for path in (pyplot / "script_pictures").iterdir()) == [
        "cell_2_1.png", "cell_2_2.png", "cell_3_1.png", "cell_5_1.png", "cell_5_2.png",
    ]  # fmt: skip
    assert "['line']" in done.stdout


def test_a_picture_that_cannot_be_saved_does_not_end_the_run(
    converted: Convert, output_of: Output, tmp_path: Path
) -> None:
    (tmp_path / "script_pictures").write_text("a file is in the way")
    conversion = converted("class P:\n    def _repr_png_(self): return b'x'\nP()", "'after'")
    out = output_of(conversion)
    assert "[picture not saved] cell 1" in out
    assert "'after'" in out


def test_ipython_is_not_needed(converted: Convert, output_of: Output, tmp_path: Path) -> None:
    (tmp_path / "p.png").write_bytes(b"\x89PNG")
    out = output_of(
        converted(
            "import IPython\n"
            "from IPython.display import display, HTML, Image, Markdown, clear_output\n"
            "from IPython import get_ipython\nimport IPython.display as ipd",
            "clear_output(wait=True)\nprint('google.colab' in str(get_ipython()))",
            "display(Markdown('# head'), HTML('<i>'))",
            "Image(filename='p.png')",
            "ipd.Image('p.png', width=3)",
            "ipd.Audio([1], rate=2)",
        )
    )
    assert "False" in out
    assert "# head" in out
    assert "<IPython.display.Audio object>" in out
    assert sorted(path.name for path in (tmp_path / "script_pictures").iterdir()) == [
        "cell_3_1.html", "cell_4_1.png", "cell_5_1.png",
    ]  # fmt: skip


@pytest.mark.filterwarnings("default")
def test_pictures_of_a_run_are_kept_with_the_run(make: Callable[..., Path], tmp_path: Path) -> None:
    source = "class P:\n    def _repr_png_(self): return b'\\x89PNG'\nP()"
    run_dir = tmp_path / "experiments" / "run" / "20260101" / "a_20260101_0000"
    run_dir.mkdir(parents=True)
    script = tmp_path / "script.py"
    script.write_text(convert(make("1", source), env={}).source, "utf-8")
    package = Path(__file__).parents[2] / "src"
    done = subprocess.run(
        [sys.executable, "script.py"], cwd=tmp_path, capture_output=True, text=True, check=False,
        env={**os.environ, "OVERNIGHT_RUN_DIR": str(run_dir), "PYTHONPATH": str(package)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    (picture,) = [path for path in (run_dir / "media").rglob("*") if path.is_file()]
    assert "cell_2" in picture.name
    assert picture.read_bytes() == b"\x89PNG"
    assert str(picture) in done.stdout
    assert not (tmp_path / "script_pictures").exists()


def test_variables_named_like_builtins_do_no_harm(
    converted: Convert, output_of: Output, tmp_path: Path
) -> None:
    taken = "max id str open len type list repr hasattr isinstance getattr callable sys range"
    out = output_of(
        converted(
            "from google.colab import userdata\nfrom IPython.display import Image\nimport os as o\n"
            "class P:\n    def _repr_png_(self): return b'\\x89PNG'",
            "print_ = print\n" + " = ".join(taken.split()) + " = dict = 3",
            "P()",
            "!echo shell\nx = !echo line\nx",
            "%cd .\nuserdata.get('A_KEY')",
            "display(Image(data=b'\\x89PNG'))",
            "async def f():\n    return 'awaited'\nawait f()",
            "print = 3\n{'a': 1}",
            env={"A_KEY": "value"},
        ),
        env={"A_KEY": "value"},
    )
    for said in ("shell\n['line']\n", "'value'", "'awaited'", "{'a': 1}"):
        assert said in out
    assert sorted(path.name for path in (tmp_path / "script_pictures").iterdir()) == [
        "cell_3_1.png", "cell_6_1.png",
    ]  # fmt: skip


def test_worker_processes_do_not_run_the_script_again(
    converted: Convert, output_of: Output
) -> None:
    conversion = converted(
        "print('once')",
        "import multiprocessing as mp\nimport operator\n"
        "with mp.get_context('spawn').Pool(1) as pool:\n"
        "    print(pool.starmap(operator.add, [(1, 2)]))",
    )
    assert output_of(conversion).split("\n")[:2] == ["once", "[3]"]


def test_every_name_of_the_header_is_out_of_the_way(converted: Convert) -> None:
    names: dict[str, object] = {"__name__": "script"}
    everything = converted(
        "import IPython\nfrom google.colab import drive\n!ls" if os.name == "nt" else
        "import IPython\nfrom google.colab import drive\nx = !true"
    ).source.partition("\n# %% cell")[0]  # fmt: skip
    before = dict(sys.modules), list(sys.meta_path), dict(os.environ)
    try:
        exec(compile(everything, "header", "exec"), names)
    finally:
        for name in set(sys.modules) - set(before[0]):
            del sys.modules[name]
        sys.meta_path[:] = before[1]
        os.environ.clear()
        os.environ.update(before[2])
    public = {name for name in names if not name.startswith("_")}
    assert public == {"display", "get_ipython", "os"}
