"""Install lines are gathered, and compared with what the job's Python has."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from overnight.notebook import Conversion, Finding, Import, Install, check_installs
from overnight.notebook.installs import install_line, meets

Convert = Callable[..., Conversion]


@pytest.mark.parametrize(
    ("line", "tool", "requirements"),
    [
        ("pip install timm", "pip", ("timm",)),
        ("pip3 install -q -U 'timm>=1.0' torch==2.1", "pip", ("timm>=1.0", "torch==2.1")),
        ("python -m pip install x[a,b]~=1.2", "pip", ("x[a,b]~=1.2",)),
        ("{sys.executable} -m pip install x", "pip", ("x",)),
        ("pip install -f https://x.y/z -i https://a b", "pip", ("b",)),
        ("pip install git+https://github.com/a/b.git", "pip", ("git+https://github.com/a/b.git",)),
        ("pip install -e .", "pip", (".",)),
        ("pip install x > /dev/null 2>&1", "pip", ("x",)),
        ("pip install x 2>/dev/null | tail -1", "pip", ("x",)),
        ("uv pip install --torch-backend=auto torch", "pip", ("torch",)),
        ("sudo apt-get install -y -qq libgl1 git-lfs", "system", ("libgl1", "git-lfs")),
        ("apt update", "system", ()),
        ("conda install -y -c pytorch faiss-cpu", "conda", ("faiss-cpu",)),
        ("pip uninstall -y x", "pip", ()),
    ],
)
def test_install_lines(line: str, tool: str, requirements: tuple[str, ...]) -> None:
    found = install_line(line)
    assert found is not None
    assert (found.tool, found.requirements) == (tool, requirements)


@pytest.mark.parametrize(
    "line", ["pip list", "pip show x", "ls", "git clone x", "python train.py install", "",
     "conda env list", "apt list"]
)  # fmt: skip
def test_other_lines(line: str) -> None:
    assert install_line(line) is None


def test_where_and_whether_conditional(converted: Convert, tmp_path: Path) -> None:
    (tmp_path / "requirements.txt").write_text("# x\ntimm>=1 # why\n\n-f https://x\neinops\n")
    conversion = converted(
        "x = 1\n%pip install a\nif x:\n    !pip install b && pip install c",
        "%%capture\n!pip install -r requirements.txt\n%conda install d",
        "!pip install -r none.txt && apt-get install -y e",
    )
    found = [(i.requirement, i.cell, i.line, i.tool, i.conditional) for i in conversion.installs]
    assert found == [
        ("a", 1, 2, "pip", False),
        ("b", 1, 4, "pip", True),
        ("c", 1, 4, "pip", True),
        ("timm>=1", 2, 2, "pip", False),
        ("einops", 2, 2, "pip", False),
        ("d", 2, 3, "conda", False),
        ("-r none.txt", 3, 1, "pip", False),
        ("e", 3, 1, "system", False),
    ]


def levels(findings: list[Finding]) -> list[tuple[str, str]]:
    return [(f.level, f.key.partition(".")[2]) for f in findings]


@pytest.mark.parametrize(
    ("requirement", "expected"),
    [
        ("pytest", []),
        ("PyTest>=1", []),
        ("pytest>=1,<1000", []),
        ("pytest[all]!=0.1", []),
        ("pytest==0.1", [("warns", "install_differs")]),
        ("no-such-distribution-here", [("blocks", "install_missing")]),
        ("git+https://x.y/z", [("notes", "install_unknown")]),
        (".", [("notes", "install_unknown")]),
        ("pytest; python_version < '3'", [("notes", "install_unknown")]),
        ("-r none.txt", [("notes", "install_unknown")]),
        ("{package}", [("notes", "install_unknown")]),
    ],
)
def test_asked_of_the_jobs_python(requirement: str, expected: list[tuple[str, str]]) -> None:
    found = check_installs([Install(requirement, 1, 1)], sys.executable)
    assert levels(found) == expected
    assert all(f.text and f.fix for f in found)


def test_what_is_conditional_or_not_imported_only_warns() -> None:
    missing = "no-such-distribution-here"
    conditional = Install(missing, 1, 1, conditional=True)
    assert levels(check_installs([conditional], sys.executable)) == [("warns", "install_missing")]
    imports = [Import("json", 1, 1), Import("pytest", 1, 2)]
    found = check_installs([Install(missing, 1, 1)], sys.executable, imports=imports)
    assert levels(found) == [("warns", "install_missing")]
    system = Install("libgl1", 1, 1, tool="system")
    assert levels(check_installs([system], sys.executable)) == [("notes", "install_system")]


def test_modules_that_are_missing(tmp_path: Path) -> None:
    (tmp_path / "beside.py").write_text("")
    imports = [
        Import("beside", 1, 1),
        Import("nowhere_to_be_found", 2, 1, conditional=True),
        Import("nowhere_to_be_found", 3, 4),
    ]
    (found,) = check_installs([], sys.executable, imports=imports, folder=tmp_path)
    assert (found.level, found.cell, found.line) == ("blocks", 3, 4)


def test_a_python_that_does_not_answer(tmp_path: Path) -> None:
    broken = tmp_path / "python"
    broken.write_text("#!/bin/sh\necho nonsense\n")
    broken.chmod(0o755)
    for python in (str(broken), str(tmp_path / "none"), "/bin/false"):
        found = check_installs([Install("x", 1, 1)], python)
        assert levels(found) == [("warns", "python_silent")]


def test_imports_of_a_notebook(converted: Convert) -> None:
    conversion = converted(
        "import os, torch.nn as nn\nfrom google.colab import drive\nfrom IPython import display\n"
        "try:\n    import apex\nexcept ImportError:\n    apex = None",
        "!git clone x\nimport cloned",
    )
    assert [(i.module, i.cell, i.line, i.conditional) for i in conversion.imports] == [
        ("torch", 1, 1, False),
        ("apex", 1, 5, True),
        ("cloned", 2, 2, True),
    ]


@pytest.mark.parametrize(
    ("version", "spec", "expected"),
    [
        ("1.2.3", "", True),
        ("1.2.3", "==1.2.3", True),
        ("1.2", "==1.2.0", True),
        ("1.2.3", "==1.2.*", True),
        ("1.3.0", "==1.2.*", False),
        ("1.2.3", "!=1.2.*", False),
        ("1.10", ">1.9", True),
        ("2.0", "<2", False),
        ("2.0rc1", "<2", False),
        ("2.0rc1", "<2.0rc2", True),
        ("2.0.post1", ">2.0", False),
        ("2.0.post1", ">=2.0", True),
        ("2.15.0+cu130", "==2.15.0", True),
        ("1.4.5", "~=1.4.2", True),
        ("1.5.0", "~=1.4.2", False),
        ("1.5.0", "~=1.4", True),
        ("1.5", "~=1", None),
        ("1.5", ">=1,<2", True),
        ("1.5", "=1.5", True),
        ("1.5", "==banana", None),
        ("banana", ">=1", None),
        ("1!1.0", ">=1", None),
    ],
)
def test_versions(version: str, spec: str, expected: bool | None) -> None:
    assert meets(version, spec) is expected


@given(version=st.text(max_size=20), spec=st.text(max_size=30))
def test_any_version(version: str, spec: str) -> None:
    assert meets(version, spec) in (True, False, None)


@given(line=st.text(max_size=80))
def test_any_line(line: str) -> None:
    install_line(line)
    install_line("pip install " + line)
