"""Whatever the script holds, looking at it gives findings: no traceback, no hang, nothing run."""

from __future__ import annotations

import ast
import os
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from overnight.preflight.target import Finding, Job
from overnight.preflight.target.code import check_arguments, check_names, check_variables
from overnight.preflight.target.disk import Disk
from overnight.preflight.target.imports import Imports
from overnight.preflight.target.installed import read_answer
from overnight.preflight.target.needs import check_hub
from overnight.preflight.target.program import Program, parse_source
from overnight.preflight.target.prompts import check_prompts

NAMES = st.sampled_from(["a", "b", "path", "cfg", "args", "os", "self", "Path", "open", "f"])
TEXTS = st.sampled_from(
    ['"data"', '"data/x.csv"', '"/"', '""', '"~"', '"\\0"', '"%s/%d"', '"{}"', "None", "0", "-1",
     "True", "1e400", '"x" * 10**9', "10 ** 10 ** 10", '"a" "b"', "b'x'", "..."]
)  # fmt: skip


def _inside(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    pair = st.tuples(inner, inner)
    return st.one_of(
        pair.map(lambda p: f"({p[0]} + {p[1]})"),
        pair.map(lambda p: f"({p[0]} / {p[1]})"),
        pair.map(lambda p: f"({p[0]} % {p[1]})"),
        pair.map(lambda p: f"({p[0]} or {p[1]})"),
        pair.map(lambda p: f"({p[0]} if {p[1]} else {p[0]})"),
        pair.map(lambda p: f"os.path.join({p[0]}, {p[1]})"),
        pair.map(lambda p: f"{p[0]}[{p[1]}]"),
        pair.map(lambda p: f"({p[0]} == {p[1]})"),
        inner.map(lambda p: f"Path({p})"),
        inner.map(lambda p: f"open({p})"),
        inner.map(lambda p: f"f({p}, k={p})"),
        inner.map(lambda p: f"({p}).parent"),
        inner.map(lambda p: f"os.makedirs({p})"),
        inner.map(lambda p: f"[{p}, *{p}]"),
        inner.map(lambda p: f"{{{p}: {p}}}"),
        inner.map(lambda p: f"parser.add_argument({p}, default={p})"),
        inner.map(lambda p: f"os.environ[{p}]"),
        inner.map(lambda p: f"f'{{{p}}}/x'".replace("''", "'")),
    )


EXPRESSIONS = st.recursive(st.one_of(NAMES, TEXTS), _inside, max_leaves=12)
STATEMENTS = st.one_of(
    st.tuples(NAMES, EXPRESSIONS).map(lambda p: f"{p[0]} = {p[1]}"),
    st.tuples(NAMES, EXPRESSIONS).map(lambda p: f"{p[0]} += {p[1]}"),
    EXPRESSIONS,
    st.tuples(NAMES, EXPRESSIONS).map(lambda p: f"for {p[0]} in {p[1]}: open({p[0]})"),
    st.tuples(NAMES, EXPRESSIONS).map(lambda p: f"def {p[0]}(path={p[1]}): return {p[0]}(path)"),
    st.tuples(NAMES, EXPRESSIONS).map(lambda p: f"class {p[0]}:\n    {p[0]} = {p[1]}"),
    EXPRESSIONS.map(lambda p: f"if {p}: open({p})"),
    st.just("from . import a"), st.just("import os; from pathlib import Path"),
    st.just("import argparse; parser = argparse.ArgumentParser(); args = parser.parse_args()"),
    st.just("if __name__ == '__main__': f()"),
)  # fmt: skip
SETTINGS = settings(
    max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def examine(source: bytes, folder: Path) -> list[Finding]:
    """All that is found without asking the job's Python."""
    tree = parse_source(source, "train.py")
    if tree is None:
        return []
    path = str(folder / "train.py")
    job = Job("script", path, ("--x", "1"), sys.executable, dict(os.environ), str(folder), "/")
    program = Program(job, tree)
    found = [*Disk(program).check(), *Imports(program).findings]
    for part in (check_names, check_arguments, check_prompts, check_variables, check_hub):
        found += part(program)
    for finding in found:
        assert finding.text
        assert isinstance(finding.fix, str)
        finding.to_json()
    return found


@SETTINGS
@given(st.lists(STATEMENTS, max_size=8))
def test_any_script(tmp_path: Path, statements: list[str]) -> None:
    examine("\n".join(statements).encode(), tmp_path)
    assert list(tmp_path.iterdir()) == []


@SETTINGS
@given(st.binary(max_size=200))
def test_any_bytes(tmp_path: Path, source: bytes) -> None:
    examine(source, tmp_path)


@SETTINGS
@given(
    st.one_of(st.text(max_size=100), st.text(max_size=60).map("@@overnight-imports@@ {}".format))
)
def test_any_answer(said: str) -> None:
    read_answer(said)


@pytest.mark.parametrize(
    "source",
    [
        "a = 'x'\n" + "a = a + a\n" * 60 + "open(a)\n",
        "x0 = 'a'\n" + "".join(f"x{i + 1} = x{i} + x{i}\n" for i in range(200)) + "open(x200)\n",
        "def f(p): return g(p)\ndef g(p): return f(p)\nopen(f(g('x')))\n",
        "a = b\nb = a\nopen(a)\n",
        "class A(A): x = A.x\nopen(A().x)\n",
        "x = '%1000000000d' % 1\nopen(x)\n",
        "x = '{:>1000000000}'.format(1)\nopen(f'{x:>999999999}')\n",
        "x = 2 ** 10 ** 8\ny = 'a' * 10 ** 10\nopen(y)\n",
        "x = 9 * " + " * ".join(["99999999999"] * 500) + "\nopen(str(x))\n",
        "open(" + "(" * 60 + "'x'" + ")" * 60 + ")\n",
        "x = [" + "0," * 100_000 + "]\nopen(x[5])\n",
        "import os\nos.listdir('/' + 'a/' * 5000)\n",
        "import glob\nglob.glob('[')\nglob.glob('**' * 50)\n",
        "import sys\nsys.path.append('\\0')\nimport somewhere_else\n",
        "import os\nopen(os.path.join('\\ud800', 'x'))\n",
    ],
)
def test_scripts_that_would_blow_up(tmp_path: Path, source: str) -> None:
    examine(source.encode("utf-8", "surrogatepass"), tmp_path)


def test_nothing_of_the_script_is_run(tmp_path: Path) -> None:
    mark = tmp_path / "ran"
    examine(f"open({str(mark)!r}, 'w').close()\n".encode(), tmp_path)
    assert not mark.exists()
    assert isinstance(ast.parse("1"), ast.Module)
