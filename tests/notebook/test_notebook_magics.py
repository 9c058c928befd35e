"""What ``!`` and ``%`` lines become."""

from __future__ import annotations

import ast
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from overnight.errors import NotebookError
from overnight.notebook import Conversion, cell_of_line, convert

Convert = Callable[..., Conversion]
Cell = Callable[..., str]
Attempt = Callable[..., Conversion | NotebookError]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("!ls -l", '_nb_sh("ls -l")'),
        ("!echo $HOME '$x'", "_nb_sh(\"echo $HOME '$x'\")"),
        ("!echo {n} $n", '_nb_sh(f"echo {n} {n}")'),
        ("!echo {n:03d}", '_nb_sh("echo {n:03d}")'),  # IPython reads n:03d as an expression
        ("!awk '{print $1}' f", "_nb_sh(\"awk '{print $1}' f\")"),
        ("!echo {d['k']}", "_nb_sh(f\"echo {d['k']}\")"),
        ("!echo {d['k']} \"{d[\"k\"]}\"", None),
        ("!echo $$ {unknown} {n}", '_nb_sh("echo $$ {unknown} {n}")'),
        ("!find . -exec rm {} +", '_nb_sh("find . -exec rm {} +")'),
        ("x = !ls", 'x = _nb_lines("ls")'),
        ("x, y = !echo a b", 'x, y = _nb_lines("echo a b")'),
        ("d['k'] = !ls", "d['k'] = _nb_lines(\"ls\")"),
        ("%cd data/{n}", '_nb_cd(f"data/{n}")'),
        ('%cd "my data"', '_nb_cd("my data")'),
        ("%env A=b c", 'os.environ["A"] = "b c"'),
        ("%env A b", 'os.environ["A"] = "b"'),
        ("%env A=$n", 'os.environ["A"] = f"{n}"'),
        ("%env", "# %env"),
        ("x = %env A", 'x = os.environ.get("A")'),
        ("%time n = 2", "n = 2"),
        ("x = %time len('a')", "x = len('a')"),
        ("%timeit sum(range(9))", "# %timeit sum(range(9))"),
        ("%matplotlib inline", "# %matplotlib inline"),
        ("%load_ext autoreload", "# %load_ext autoreload"),
        ("%run other.py --epochs {n}", '_nb_run("other.py", f"--epochs {n}")'),
        ("%run -i other", '_nb_run("other.py", "", shares=True)'),
        ("?len", "# ?len"),
        ("len??", "# len??"),
        ("d.keys?", "# d.keys?"),
        ("%mkdir -p {n}", '_nb_sh(f"mkdir -p {n}")'),
        ("%pip list", '_nb_sh("pip list")'),
        ("%sx ls", '_nb_show(_nb_lines("ls"))'),
        ("!!ls", '_nb_show(_nb_lines("ls"))'),
        ("cd data", '_nb_cd("data")'),
        ("ls", '_nb_sh("ls ")'),
        ("pip install timm", "# %pip install timm"),
        ("!pip install timm", "# !pip install timm"),
        ("!cd x && pip install -e .", "# !cd x && pip install -e ."),
        ("!apt-get install -y git && git pull",
         '_nb_sh("git pull")  # !apt-get install -y git && git pull'),
        ("x = 7 % 3\n%cd /", 'x = 7 % 3\n_nb_cd("/")'),
        ("get_ipython().system('ls')", "_nb_sh('ls')"),
        ("get_ipython().run_line_magic('cd', '/')", '_nb_cd("/")'),
        ("get_ipython().run_line_magic('matplotlib', 'inline')", "None"),
        ("x = get_ipython().getoutput('ls')", "x = _nb_lines('ls')"),
    ],
)  # fmt: skip
def test_lines(converted: Convert, cell_text: Cell, line: str, expected: str | None) -> None:
    conversion = converted("n = 1; d = {'k': 'v'}", line)
    ast.parse(conversion.source)
    if expected is not None:
        assert cell_text(conversion, 2).removesuffix("\n_nb_figures()") == expected


def test_continued_lines_keep_their_number(converted: Convert, cell_text: Cell) -> None:
    source = "!echo one \\\n  two \\\n  three\nx = 1\n1/x"
    text = cell_text(converted(source))
    assert text.split("\n")[3:] == ["x = 1", "_nb_show(1/x)"]
    assert text.startswith('_nb_sh("echo one ')


def test_magics_in_strings_and_brackets_are_python(converted: Convert, cell_text: Cell) -> None:
    source = 'text = """\n!ls\n%cd x\n"""\nx = (10\n% 3)\n!echo "it\'s"\ny = \'a\' \\\n  "b!"'
    lines = cell_text(converted(source)).split("\n")
    assert lines[:6] == source.split("\n")[:6]
    assert lines[6].startswith("_nb_sh(")
    assert lines[7:] == source.split("\n")[7:]


@pytest.mark.parametrize(
    "head", ["if x:", "for i in range(3):", "try:", "def f():", "with a as b:"]
)
def test_no_empty_block(converted: Convert, head: str) -> None:
    tail = "\nexcept OSError:\n    !pip install c" if head == "try:" else ""
    conversion = converted(f"x = a = 1\n{head}\n    %matplotlib inline\n    !pip install b{tail}")
    ast.parse(conversion.source)
    assert not [f for f in conversion.findings if f.key == "notebook.cell_not_python"]
    assert conversion.installs[0].conditional


def test_unknown_magics_are_listed(converted: Convert, cell_text: Cell) -> None:
    conversion = converted("%sql select 1\nx = %magical a", "%%cython\nx")
    assert [(f.key, f.cell, f.line) for f in conversion.findings] == [
        ("notebook.magic_unknown", 1, 1),
        ("notebook.magic_unknown", 1, 2),
        ("notebook.magic_unknown", 2, 1),
    ]
    assert cell_text(conversion) == "# %sql select 1\nx = None  # x = %magical a"


@pytest.mark.parametrize(
    ("cell", "expected"),
    [
        ("%%time\nx = 1", "#  %%time\nx = 1"),
        ("# note\n%%capture out\n!ls\n1", None),
        ("%%time\n%%capture\nx = 1", None),
        ("%%html\n<b>", "#  %%html\n# <b>"),
        ("%%script false\nx", '_nb_script("false", """\\\nx\n""")'),
        ("%%bash\npip install a b\necho",
         '_nb_script("bash", """\\\n: # pip install a b\necho\n""")'),
        ("%%bash --no-raise-error\nfalse",
         '_nb_script("bash", """\\\nfalse\n""", check=False)'),
        ("%%writefile a.py\nx = '\\n'", '_nb_write("a.py", "w", """\\\nx = \'\\\\n\'\n""")'),
        ("%%writefile -a {n}.txt\n\"\"\"a\"\"\"",
         '_nb_write(f"{n}.txt", "a", """\\\n\\"\\"\\"a\\"\\"\\"\n""")'),
    ],
)  # fmt: skip
def test_cell_magics(converted: Convert, cell_text: Cell, cell: str, expected: str | None) -> None:
    conversion = converted("n = 1", cell)
    ast.parse(conversion.source)
    assert not conversion.blocks
    if expected is not None:
        assert cell_text(conversion, 2).replace("#  %%", "# %%") == expected.replace(
            "#  %%", "# %%"
        )


def test_shell_lines_run_and_a_failure_is_told(converted: Convert, output_of: Cell) -> None:
    out = output_of(converted("n = 'two words'\n!echo one $n\n!exit 3\n!echo {_exit_code}"))
    assert out.split("\n")[:3] == ["one two words", "[exit 3] exit 3", "3"]


def test_files_folders_scripts_and_lines(
    converted: Convert, output_of: Cell, tmp_path: Path
) -> None:
    (tmp_path / "part.py").write_text("import sys\nmade = sys.argv[1:]\nif made: sys.exit(0)\n")
    tricky = 'a\\b """ {n} $n \'\n# %% cell 1\t\n\x07é'
    out = output_of(
        converted(
            "%%writefile sub dir.txt\n" + tricky,
            "!mkdir -p 'd e'\n%cd d e\n!pwd\n%cd -\nx = !printf 'a\\nb\\n'\nx, x.s, x.n",
            "%%bash -s 1 '2 3' --out said\necho $#:$2",
            "said\n",
            "%run part.py\nmade",
        )
    )
    assert (tmp_path / "sub dir.txt").read_text("utf-8") == tricky + "\n"
    assert "d e\n" in out
    assert "(['a', 'b'], 'a b', 'a\\nb')" in out
    assert "'2:2 3\\n'" in out
    assert out.rstrip().endswith("[]")


def test_a_failing_script_cell_ends_the_run(converted: Convert, output_of: Cell) -> None:
    assert "CalledProcessError" in output_of(converted("%%bash\nexit 4"), code=1)


def test_await(converted: Convert, output_of: Cell) -> None:
    conversion = converted(
        "import asyncio\nasync def f(n):\n    await asyncio.sleep(0)\n    return n",
        "x = await f(2)\n[await f(1), await (f(3))]",
    )
    assert not conversion.blocks
    assert output_of(conversion).strip() == "[1, 3]"
    blocked = converted("async for i in x():\n    print(i)").blocks
    assert [f.key for f in blocked] == ["notebook.async_statement"]


def test_future_imports_move_to_the_top(converted: Convert, output_of: Cell) -> None:
    conversion = converted("x = 1", "from __future__ import annotations\ndef f(a: Missing): ...\nx")
    assert output_of(conversion).strip() == "1"


def test_notebooks_run_by_notebooks(
    make: Callable[..., Path], output_of: Callable[..., str]
) -> None:
    make("%matplotlib inline\nshared = 5", "%run it.ipynb", name="other.ipynb")
    path = make("%run other.ipynb\nshared + 1")
    assert output_of(convert(path, env={})).strip() == "6"
    blocked = convert(make("%run missing.ipynb"), env={}).blocks
    assert [f.key for f in blocked] == ["notebook.run_missing"]


def test_marks_are_found_again_and_nothing_else_is_one(converted: Convert) -> None:
    conversion = converted(
        "md:# %% cell 7", "x = '''\n# %% cell 2\n'''\n# %% cell 2\ny = 1", "md:text", "1/0"
    )
    source = conversion.source
    line = source.split("\n").index("y = 1") + 1
    assert cell_of_line(source, line) == (1, 5)
    assert cell_of_line(source, source.split("\n").index("_nb_show(1/0)") + 1) == (2, 1)
    assert cell_of_line(source, source.split("\n").index("# text") + 1) is None
    assert cell_of_line(source, 3) is None
    assert cell_of_line(source, 0) is None
    assert cell_of_line(source, 10**9) is None
    assert cell_of_line("print(1)", 1) is None


PIECES = st.sampled_from([
    "!", "%", "%%", "%%bash", "%%writefile ", "ls", " ", "    ", "\n", "\\\n", "=", "x", "{x}",
     "$x",
    "'", '"', '"""', "(", ")", "[", "{", "}", "#", "if x:", "?", "é", "pip install a", "&&", ";",
    "get_ipython()", ".system('", "await ", "f'", "\t", "%cd", "%env A=", "%run a.ipynb", "0", "\\",
    "\x0c", "\ud800", "# %% cell 2", "google.colab", "import ", "from ", "lambda:", "yield",
     "return",
])  # fmt: skip


@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=300
)
@given(cells=st.lists(st.lists(PIECES, max_size=12).map("".join), max_size=3))
def test_any_cell_gives_a_script(tmp_path: Path, attempt: Attempt, cells: list[str]) -> None:
    path = tmp_path / "any.ipynb"
    made = [{"cell_type": "code", "source": text} for text in cells]
    path.write_text(json.dumps({"cells": made}), "utf-8")
    conversion = attempt(path, env={"API_KEY": "x = 1 secret"}, paths={"/data": "/"})
    if isinstance(conversion, NotebookError):
        assert conversion.key == "notebook.no_script"  # two cells that no script can hold
        return
    compile(conversion.source, "script", "exec")
    lines = conversion.source.split("\n")
    for finding in conversion.findings:
        assert finding.text
        assert 0 <= finding.cell <= conversion.num_cells
    for number, line in enumerate(lines, 1):
        if line.startswith("# %% cell "):
            assert cell_of_line(conversion.source, number + 1) == (int(line.split()[3]), 1)


@given(source=st.text(max_size=300), line=st.integers(-5, 400))
def test_any_script_can_be_asked(source: str, line: int) -> None:
    found = cell_of_line("# %% cell 1\n" + source, line)
    assert found is None or (found[0] >= 1 and 1 <= found[1] <= line)
