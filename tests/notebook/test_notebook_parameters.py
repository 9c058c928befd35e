"""``--set``: the notebook's own literals, rewritten where they stand."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from overnight.errors import NotebookError
from overnight.notebook import Conversion

Convert = Callable[..., Conversion]
Cell = Callable[..., str]


@pytest.mark.parametrize(
    ("before", "name", "value", "after"),
    [
        ("EPOCHS = 20  # many", "EPOCHS", "1", "EPOCHS = 1  # many"),
        ("lr: float = 1e-3", "lr", "3e-4", "lr: float = 3e-4"),
        ("A, B = 1, (2, 3)", "B", "(4, 5)", "A, B = 1, (4, 5)"),
        ("[A, B] = [1, 2]", "A", "9", "[A, B] = [9, 2]"),
        ("a = b = 3", "b", "4", "a = b = 4"),
        ("N = 32 * 4", "N", "8", "N = 8"),
        ("N = -1", "N", "-2", "N = -2"),
        ("이름 = '가'", "이름", "나", '이름 = "나"'),
        ("name = 'x'", "name", "it's", 'name = "it\'s"'),
        ("name = 'x'", "name", "2024", 'name = "2024"'),
        ("name = 'x'", "name", "'quoted'", 'name = "quoted"'),
        ("debug = True", "debug", "false", "debug = False"),
        ("path = None", "path", "a/b", 'path = "a/b"'),
        ("sizes = [1, 2]", "sizes", "[3]", "sizes = [3]"),
        ("class CFG:\n    epochs = 10 # x\n    lr: float = 1", "CFG.epochs", "2",
         "class CFG:\n    epochs = 2 # x\n    lr: float = 1"),
        ("cfg = {'lr': 1, 'bs': 2}", "cfg.bs", "4", "cfg = {'lr': 1, 'bs': 4}"),
        ("cfg = dict(lr=1,\n  bs=2)", "cfg.bs", "4", "cfg = dict(lr=1,\n  bs=4)"),
        ("class A: pass\nargs = A()\nargs.n = 5", "args.n", "6",
         "class A: pass\nargs = A()\nargs.n = 6"),
        ("cfg = {}\ncfg['n'] = 5", "cfg.n", "6", "cfg = {}\ncfg['n'] = 6"),
        ("LAYERS = [\n  1,\n  2,\n]\nx = 1", "LAYERS", "[9]", "LAYERS = ([9]\n\n\n)\nx = 1"),
        ("N = 1\nN = 1", "N", "2", "N = 2\nN = 2"),
        ("N = 1\nif N > 5:\n    N = 3", "N", "2", "N = 2\nif N > 5:\n    N = 3"),
        ("%matplotlib inline\nN = 1\n!echo $N", "N", "2",
         '# %matplotlib inline\nN = 2\n_nb_sh(f"echo {N}")'),
    ],
)  # fmt: skip
def test_rewritten(
    converted: Convert, cell_text: Cell, before: str, name: str, value: str, after: str
) -> None:
    conversion = converted(before, overrides={name: value})
    assert cell_text(conversion).removesuffix("\n_nb_figures()") == after
    assert conversion.overrides_diff.startswith("--- cell 1\n+++ cell 1\n")


@pytest.mark.parametrize(
    ("cell", "name", "value", "says"),
    [
        ("EPOCHS = 1", "EPOCH", "2", "EPOCHS"),
        ("EPOCHS = 1", "epochs", "2", "EPOCHS"),
        ("class CFG:\n    lr = 1", "lr", "2", "CFG.lr"),
        ("A = 1; B = 2", "zzz", "2", "A, B"),
        ("print(1)", "A", "2", "no literal"),
        ("A = int('3')", "A", "2", "cell 1, line 1"),
        ("A = 1\nA = A + 1", "A", "2", "cell 1, line 2"),
        ("A = 1\nA += 1", "A", "2", "cell 1, line 2"),
        ("A = 1\nA = 2", "A", "3", "1:1, 1:2"),
        ("A, B = f()", "A", "3", "cell 1, line 1"),
        ("A = 10", "A", "ten", "ten"),
    ],
)
def test_refused(converted: Convert, cell: str, name: str, value: str, says: str) -> None:
    with pytest.raises(NotebookError) as caught:
        converted(cell, overrides={name: value})
    assert caught.value.key == "notebook.bad_overrides"
    assert says in caught.value.what


def test_all_mistakes_at_once(converted: Convert) -> None:
    with pytest.raises(NotebookError) as caught:
        converted("A = 1\nB = 2", overrides={"A": "x", "C": "1", "B": "3"})
    assert "2 of the --set" in caught.value.what
    assert "  A: " in caught.value.what
    assert "  C: " in caught.value.what


def test_derived_values_follow(converted: Convert, output_of: Cell) -> None:
    conversion = converted("N = 10", "M = N * 2", "M", overrides={"N": "3"})
    assert output_of(conversion).strip() == "6"


def test_the_diff_shows_what_changed(converted: Convert) -> None:
    diff = converted("x = 0\nN = 10", "M = 5", overrides={"N": "3", "M": "6"}).overrides_diff
    assert diff.split("\n") == [
        "--- cell 1", "+++ cell 1", "@@ -2 +2 @@", "-N = 10", "+N = 3",
        "--- cell 2", "+++ cell 2", "@@ -1 +1 @@", "-M = 5", "+M = 6",
    ]  # fmt: skip


def test_a_secret_never_reaches_the_script_or_the_diff(converted: Convert) -> None:
    secret = "sesame-open-1234"
    conversion = converted(
        "KEY = 'none'\nKEY", overrides={"KEY": secret}, env={"MY_API_KEY": secret}
    )
    assert secret not in conversion.source + conversion.overrides_diff
    assert 'KEY = os.environ["MY_API_KEY"]' in conversion.source


@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=200
)
@given(name=st.sampled_from(["N", "S", "C.x", "D.k", "L", "nope", ""]), value=st.text(max_size=30))
def test_any_value(
    make: Callable[..., Path],
    attempt: Callable[..., Conversion | NotebookError],
    name: str,
    value: str,
) -> None:
    cell = "N = 1\nS = 's'\nL = [1,\n 2]\nclass C:\n    x = None\nD = {'k': True}\n1/1"
    conversion = attempt(make(cell), overrides={name: value})
    if isinstance(conversion, NotebookError):
        assert conversion.key == "notebook.bad_overrides"
    else:
        compile(conversion.source, "script", "exec")
