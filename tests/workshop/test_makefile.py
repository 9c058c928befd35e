"""What `make` offers, and what setting up says where it cannot go on."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest

import overnight

ROOT = Path(__file__).parents[2]
WORKFLOW = (ROOT / ".github" / "workflows" / "check.yml").read_text(encoding="utf-8")

pytestmark = pytest.mark.skipif(os.name == "nt", reason="the Makefile is for Linux and macOS")


def test_help_lists_every_target_with_a_line() -> None:
    shown = subprocess.run(
        ["make", "--no-print-directory", "help"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    listed = set(re.findall(r"^  make ([a-z-]+) +\S", shown, re.M))
    assert listed >= {"help", "setup", "demo", "test", "test-fast", "check"}
    assert listed >= {"bench", "dist", "storm", "docs", "lock"}
    phony = set(re.findall(r"^\.PHONY: (.+)$", (ROOT / "Makefile").read_text("utf-8"), re.M))
    assert phony == listed


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A fresh clone, as far as setting up looks at it, on a machine that has no Python yet."""
    folder = tmp_path / "a clone"
    folder.mkdir()
    for name in ("Makefile", "pyproject.toml", "requirements.lock"):
        shutil.copy(ROOT / name, folder / name)
    shutil.copytree(ROOT / "workshop", folder / "workshop")
    tools = tmp_path / "bin"
    tools.mkdir()
    for tool in ("sh", "make", "dirname", "awk", "df", "uname", "mktemp", "find", "rm", "env"):
        found = shutil.which(tool)
        assert found, f"{tool} is not on PATH"
        (tools / tool).symlink_to(found)
    return folder


def make_setup(clone: Path, *settings: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["make", "--no-print-directory", "setup", *settings],
        cwd=clone,
        env={"PATH": str(clone.parent / "bin"), "HOME": str(clone.parent)},
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
    )


def add_tool(clone: Path, name: str, script: str) -> None:
    tool = clone.parent / "bin" / name
    tool.write_text("#!/bin/sh\n" + script, encoding="utf-8")
    tool.chmod(0o755)


def test_without_python_setup_says_what_to_install(clone: Path) -> None:
    done = make_setup(clone)
    assert done.returncode != 0
    assert "error: no Python from 3.11 to 3.14" in done.stderr
    assert "sudo apt install python3 python3-venv" in done.stderr
    assert not (clone / ".venv").exists()


def test_an_older_python_and_a_dead_shim_are_passed_over(clone: Path) -> None:
    add_tool(clone, "python3.13", "echo 'python3.13: command not found' >&2; exit 127\n")
    add_tool(clone, "python3", "exit 1  # sys.exit(True): too old\n")
    done = make_setup(clone)
    assert "error: no Python from 3.11 to 3.14" in done.stderr


def test_a_python_without_ensurepip_is_named_with_the_package_to_install(clone: Path) -> None:
    # Debian's python3 without python3-venv.
    add_tool(
        clone,
        "python3.12",
        'case "$*" in *ensurepip*) exit 1;; *print*) echo 3.12;; *) echo Python 3.12.3;; esac\n',
    )
    done = make_setup(clone)
    assert done.returncode != 0
    assert "cannot make virtual environments" in done.stderr
    assert "sudo apt install python3.12-venv" in done.stderr
    assert not (clone / ".venv").exists()


def test_a_python_that_does_not_run_is_refused_by_its_name(clone: Path) -> None:
    done = make_setup(clone, "PYTHON=/nowhere/python3")
    assert "PYTHON=/nowhere/python3" in done.stderr


def test_a_broken_environment_is_named(clone: Path) -> None:
    (clone / ".venv" / "bin").mkdir(parents=True)
    done = make_setup(clone)
    assert done.returncode != 0
    assert "rm -r .venv" in done.stderr


def test_a_full_disk_is_seen_before_the_download(clone: Path) -> None:
    python = clone / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text("#!/bin/sh\nexit 0\n", encoding="utf-8")
    python.chmod(0o755)
    (clone.parent / "bin" / "df").unlink()
    add_tool(clone, "df", "echo header; echo '/dev/sda1 1000 900 100 90% /'\n")
    done = make_setup(clone)
    assert done.returncode != 0
    assert "100 MiB are free here" in done.stderr


def test_the_workflow_runs_what_a_developer_runs_and_pins_what_it_uses() -> None:
    assert "run: .ci/run" in WORKFLOW
    assert "make check" in (ROOT / ".ci" / "run").read_text("utf-8")
    used = re.findall(r"uses: (\S+)", WORKFLOW)
    assert used
    assert all(re.fullmatch(r"actions/[a-z-]+@[0-9a-f]{40}", action) for action in used)
    assert "secrets." not in WORKFLOW
    assert re.search(r"^permissions:\n  contents: read$", WORKFLOW, re.M)


def test_one_version_is_named_everywhere() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["version"]
    assert overnight.__version__ == version
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert re.search(rf"^## \[{re.escape(version)}\]", changelog, re.M)


@pytest.mark.parametrize(
    "script",
    [*sorted(ROOT.glob("workshop/*.sh")), ROOT / ".ci" / "run"],
    ids=lambda path: path.name,
)
def test_the_scripts_are_executable_and_parse(script: Path) -> None:
    assert os.access(script, os.X_OK)
    shell = script.read_text("utf-8").splitlines()[0].rpartition("/")[2].split()[-1]
    subprocess.run([shell, "-n", str(script)], check=True)
