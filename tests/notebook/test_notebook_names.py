"""Names a fresh run cannot know, and few false alarms."""

from __future__ import annotations

import ast
import builtins
from collections.abc import Callable

import pytest

from overnight.notebook import Conversion

Convert = Callable[..., Conversion]


def named(conversion: Conversion) -> list[tuple[str, str, int, str]]:
    return [
        (f.level, f.key.partition("name_")[2], f.cell, f.fields["name"])
        for f in conversion.findings
        if "name_" in f.key
    ]


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        # surely needed, nowhere bound
        (["x = missing"], ("blocks", "undefined", 1, "missing")),
        (["def f():\n    return missing", "f()"], ("blocks", "undefined", 1, "missing")),
        (["def f():\n    g()", "def g():\n    print(missing)", "f()"],
         ("blocks", "undefined", 2, "missing")),
        (["class A:\n    def __init__(self):\n        self.x = missing", "A()"],
         ("blocks", "undefined", 1, "missing")),
        (["for i in range(3):\n    print(i, missing)"], ("blocks", "undefined", 1, "missing")),
        (["[missing for i in range(3)]"], ("blocks", "undefined", 1, "missing")),
        (["with open('a') as f:\n    missing(f)"], ("blocks", "undefined", 1, "missing")),
        (["x += 1"], ("blocks", "later_line", 1, "x")),
        (["class A(Missing): pass"], ("blocks", "undefined", 1, "Missing")),
        (["@missing\ndef f(): pass"], ("blocks", "undefined", 1, "missing")),
        (["def f(x=missing): pass"], ("blocks", "undefined", 1, "missing")),
        (["class A:\n    n = 1\n    def f(self):\n        return n"], ("warns", "undefined", 1,
         "n")),
        # bound only later
        (["print(x)", "x = 1"], ("blocks", "later", 1, "x")),
        (["def f():\n    return x", "f()", "x = 1"], ("blocks", "later", 1, "x")),
        # perhaps needed
        (["def f():\n    return missing"], ("warns", "undefined", 1, "missing")),
        (["if a_flag:\n    pass"], ("blocks", "undefined", 1, "a_flag")),
        (["a = 1\nif a:\n    missing()"], ("warns", "undefined", 1, "missing")),
        (["try:\n    missing\nexcept NameError:\n    pass"], ("warns", "undefined", 1, "missing")),
        (["f = lambda x: x + missing"], ("warns", "undefined", 1, "missing")),
        (["def f(x):\n    if x:\n        return 1\n    return missing", "f(1)"],
         ("warns", "undefined", 1, "missing")),
        # typing mistakes and the notebook's memory
        (["learning_rate = 1", "print(learning_rte)"], ("blocks", "close", 2, "learning_rte")),
        (["Out[3]"], ("blocks", "history", 1, "Out")),
    ],
)  # fmt: skip
def test_found(converted: Convert, cells: list[str], expected: tuple[str, str, int, str]) -> None:
    assert named(converted(*cells)) == [expected]


@pytest.mark.parametrize(
    "cells",
    [
        ["def f():\n    return x", "x = 1", "f()"],
        ["def f():\n    return g()", "def g(): return 1", "f()"],
        ["from numpy import *", "print(array([1]))"],
        ["%pylab inline", "plot([1])"],
        ["%run x.py", "print(whatever)"],
        ["exec('y = 1')", "print(y)"],
        ["globals()['z'] = 1\nz"],
        ["try:\n    import a\nexcept ImportError:\n    a = None", "a"],
        ["for i in range(3): pass", "print(i)"],
        ["with open('a') as f: pass", "f.name"],
        ["import os.path as p, sys", "p, sys"],
        ["[x for x in range(3) if x]", "{k: v for k, v in {}.items()}"],
        ["if (n := 10) > 5: print(n)", "print(n)"],
        ["def f():\n    global shared\n    shared = 1", "f()", "print(shared)"],
        ["def outer():\n    x = 1\n    def inner():\n        return x\n    return inner",
         "outer()()"],
        ["class A:\n    n = 1\n    m = n + 1\n    def f(self):\n        return self.n", "A().f()"],
        ["def f(*args, key=None, **kwargs):\n    return args, key, kwargs", "f()"],
        ["a, (b, *c) = 1, (2, 3)", "a, b, c"],
        ["match [1]:\n    case [x, *rest]:\n        print(x, rest)\n    case {'k': v, **more}:\n"
         "        v, more"],
        ["def fact(n):\n    return 1 if n < 2 else n * fact(n - 1)", "fact(3)"],
        ["display(1); get_ipython()", "print(_, __name__, __doc__)"],
        ["x: int = 1", "x"],
        ["x = !ls", "x"],
        ["%%capture out\n1", "out.show()"],
        ["def gen():\n    yield later", "g = gen()", "later = 1", "list(g)"],
        ["import json\nasync def f():\n    return json", "await f()"],
        ["try:\n    pass\nexcept* ValueError as e:\n    print(e)"],
        ["del_me = 1\ndel del_me"],
        ["lst = [lambda: y for y in range(3)]"],
        ["def f():\n    for i in range(2):\n        if i:\n            break\n    else:\n"
         "        i = 1\n    return i",
         "f()"],
    ],
)  # fmt: skip
def test_no_false_alarm(converted: Convert, cells: list[str]) -> None:
    assert named(converted(*cells)) == []


def test_each_name_is_told_once_and_with_its_gravest_place(converted: Convert) -> None:
    conversion = converted("def f():\n    return missing", "missing", "print(missing)")
    assert named(conversion) == [("blocks", "undefined", 2, "missing")]


def test_order_of_the_last_run(converted: Convert) -> None:
    conversion = converted("a = 1", "b = 2", "c = 3", counts=[5, 2, 7])
    (finding,) = conversion.findings
    assert (finding.level, finding.key, finding.cell) == ("warns", "notebook.out_of_order", 2)
    assert converted("a = 1", "b = 2", counts=[3, 9]).findings == ()


def test_the_standard_library_raises_no_alarm(converted: Convert) -> None:
    """Real modules as cells: whatever they use is defined."""
    import argparse
    import collections
    import csv
    import dataclasses
    import inspect
    import textwrap

    for module in (argparse, csv, dataclasses, textwrap, collections, inspect):
        source = inspect.getsource(module)
        ast.parse(source)
        found = [
            entry for entry in named(converted(source))
            if not hasattr(builtins, entry[3]) and entry[3] not in ("__file__", "__path__")
        ]  # fmt: skip
        assert found == [], module
