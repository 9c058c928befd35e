"""The README's tree shows the folders that are there, each with a remark, and leaves none out."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

FENCE = re.compile(r"^```[a-z]*\n(.*?)^```$", re.M | re.S)
# A path, two blanks or more, and the remark.
ENTRY = re.compile(r"^(\S+) {2,}(\S.*)$")
# Folders that tools make, or that hold one file a reader knows by its name.
NOT_SHOWN = {"dist", "build", "demo-output", "experiments", "logs", "wandb", "mlruns"}


def tree_of(readme: Path, heading: str) -> dict[str, str]:
    """Path → remark of the fenced block under ``heading``."""
    _, found, after = readme.read_text(encoding="utf-8").partition(f"\n## {heading}\n")
    assert found, f"{readme.name} has no '## {heading}'"
    block = FENCE.search(after.split("\n## ", 1)[0])
    assert block, f"no fenced block under '## {heading}'"
    entries = {}
    for line in block[1].splitlines():
        if line.strip():
            match = ENTRY.match(line)
            assert match, f"not 'path  remark': {line!r}"
            entries[match[1]] = match[2]
    return entries


@pytest.fixture(scope="module")
def tree() -> dict[str, str]:
    return tree_of(ROOT / "README.md", "What is where")


def test_every_path_of_the_tree_exists(tree: dict[str, str]) -> None:
    missing = [
        path
        for path in tree
        if not ((ROOT / path).is_dir() if path.endswith("/") else (ROOT / path).is_file())
    ]
    assert missing == []


def test_every_folder_is_in_the_tree(tree: dict[str, str]) -> None:
    package = ROOT / "src" / "overnight"
    folders = [
        path
        for parent in (ROOT, package)
        for path in parent.iterdir()
        if path.is_dir()
        and not path.name.startswith((".", "__"))
        and path.name not in NOT_SHOWN
        and any(path.rglob("*.*"))
    ]
    shown = [path.rstrip("/") for path in tree]
    missing = [
        name
        for name in sorted(path.relative_to(ROOT).as_posix() for path in folders)
        if not any(path == name or path.startswith(name + "/") for path in shown)
    ]
    assert missing == []


def test_the_korean_readme_shows_the_same_tree(tree: dict[str, str]) -> None:
    text = (ROOT / "README.ko.md").read_text(encoding="utf-8")
    trees = [
        [match[1] for line in block[1].splitlines() if (match := ENTRY.match(line))]
        for block in FENCE.finditer(text)
    ]
    assert list(tree) in trees
