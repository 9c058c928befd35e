"""The lock: complete, hashed, free of addresses, and in step with pyproject.toml."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).parents[2]
LOCK = (ROOT / "requirements.lock").read_text(encoding="utf-8")
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))

PIN = re.compile(r"^([a-z0-9][a-z0-9.-]*)==([^ ;]+)(?: ; ([^\\]+))? \\$", re.M)
PINS = {match[1]: Version(match[2]) for match in PIN.finditer(LOCK)}


def requirements() -> list[str]:
    project = PYPROJECT["project"]
    # The page of MLflow is tried where somebody has installed it: it would be 250 MB more.
    locked = {
        name: lines for name, lines in project["optional-dependencies"].items() if name != "ui"
    }
    extras = [line for lines in locked.values() for line in lines]
    build = PYPROJECT["build-system"]["requires"]
    return [*project["dependencies"], *extras, *PYPROJECT["dependency-groups"]["dev"], *build]


@pytest.mark.parametrize("line", requirements())
def test_what_pyproject_asks_for_is_pinned_as_it_asks(line: str) -> None:
    requirement = Requirement(line)
    pinned = PINS.get(canonicalize_name(requirement.name))
    assert pinned is not None, "not in requirements.lock: run `make lock`"
    assert requirement.specifier.contains(pinned), "requirements.lock is older: run `make lock`"


def test_there_is_one_version_of_each_package_whatever_the_python() -> None:
    names = [match[1] for match in PIN.finditer(LOCK)]
    assert sorted(names) == sorted(set(names))
    assert len(names) > 100


def test_every_package_has_hashes_and_nothing_else_is_in_the_lock() -> None:
    hashes = 0
    for line in LOCK.splitlines():
        if PIN.match(line):
            assert hashes != 0 or line == LOCK.splitlines()[2], f"no hash before {line}"
            hashes = 0
        elif re.fullmatch(r"    --hash=sha256:[0-9a-f]{64}( \\)?", line):
            hashes += 1
        else:
            assert re.match(r"\s*#", line), f"neither a pin, a hash nor a remark: {line}"
    assert hashes > 0


def test_the_lock_names_no_address() -> None:
    assert "://" not in LOCK
    assert not re.search(r"^\s*--(?!hash=)", LOCK, re.M), "an option beside --hash"
