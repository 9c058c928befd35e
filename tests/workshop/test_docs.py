"""The documents: every link leads somewhere, every command exists, every marked example runs.

A fenced ``bash`` or ``python`` block right after the line ``<!-- run -->`` is an example that is
run. The blocks of one document run in order, in one empty folder.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("examples/**/*.md")])

FENCE = re.compile(r"^(<!-- run -->\n+)?```(\w*)\n(.*?)^```$", re.M | re.S)
LINK = re.compile(r"!?\[[^\]]*\]\(\s*<?([^)\s>]+)>?(?:\s+\"[^\"]*\")?\s*\)")


def ids(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def prose(path: Path) -> str:
    """The document without its fenced blocks and inline code."""
    return re.sub(r"`[^`\n]+`", "", FENCE.sub("", path.read_text(encoding="utf-8")))


def anchors(path: Path) -> set[str]:
    """The names that GitHub gives to the document's headings."""
    text = FENCE.sub("", path.read_text(encoding="utf-8"))
    names: set[str] = set()
    for heading in re.findall(r"^#+ +(.+?) *#*$", text, re.M):
        plain = re.sub(r"[*`]|\[([^\]]*)\]\([^)]*\)", r"\1", heading).lower()
        name = re.sub(r"[^\w\- ]", "", plain).replace(" ", "-")
        count = sum(known == name or known.startswith(name + "-") for known in names)
        names.add(f"{name}-{count}" if name in names else name)
    return names


@pytest.mark.parametrize("document", DOCUMENTS, ids=ids)
def test_every_link_leads_somewhere(document: Path) -> None:
    broken = []
    for target in LINK.findall(prose(document)):
        if re.match(r"[a-z]+:", target):
            assert target.startswith(("https://", "mailto:")), f"{target}: not https"
            continue
        name, _, anchor = target.partition("#")
        file = (document.parent / name).resolve() if name else document
        if not file.exists():
            broken.append(f"{target}: no such file")
        elif not file.is_relative_to(ROOT):
            broken.append(f"{target}: outside of the project")
        elif anchor and anchor not in anchors(file):
            broken.append(f"{target}: no such heading")
    assert broken == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=ids)
def test_every_make_target_that_is_named_exists(document: Path) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text("utf-8"), re.M))
    text = document.read_text(encoding="utf-8")
    code = [*re.findall(r"`([^`\n]+)`", text), *(block[3] for block in FENCE.finditer(text))]
    named = {
        name for part in code for name in re.findall(r"^\s*(?:\$ )?make ([a-z-]+)", part, re.M)
    }
    assert named <= targets


def verbs(path: Path) -> set[str]:
    """The verbs that a document's shell blocks type."""
    blocks = (
        block[3]
        for block in FENCE.finditer(path.read_text("utf-8"))
        if block[2] in {"bash", "sh", "console"}
    )
    return {
        verb
        for block in blocks
        for verb in re.findall(r"^\s*(?:\$ )?overnight ([a-z]+)", block, re.M)
    }


def test_every_verb_that_is_typed_exists() -> None:
    typed = sorted(set().union(*(verbs(path) for path in DOCUMENTS)))
    unknown = [
        verb
        for verb in typed
        if subprocess.run(
            [sys.executable, "-c", "from overnight.cli import main; main()", verb, "--help"],
            check=False,
            capture_output=True,
        ).returncode
    ]
    assert unknown == []


def examples(path: Path) -> list[tuple[str, str]]:
    return [(block[2], block[3]) for block in FENCE.finditer(path.read_text("utf-8")) if block[1]]


def test_the_readmes_show_an_example_that_is_run() -> None:
    assert examples(ROOT / "README.md")
    assert examples(ROOT / "README.ko.md")


@pytest.mark.slow
@pytest.mark.parametrize("document", [path for path in DOCUMENTS if examples(path)], ids=ids)
def test_every_marked_example_runs(document: Path, tmp_path: Path) -> None:
    folder = tmp_path / "project"
    folder.mkdir()
    env = os.environ | {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "HOME": str(tmp_path),
        "XDG_STATE_HOME": str(tmp_path / "state"),
        "XDG_CONFIG_HOME": str(tmp_path / "config"),
        "OVERNIGHT_LANG": "en",
    }
    env.pop("OVERNIGHT_ROOT", None)
    for language, source in examples(document):
        command = {"bash": ["bash", "-euo", "pipefail", "-c"], "python": [sys.executable, "-c"]}
        done = subprocess.run(
            [*command[language], source],
            cwd=folder,
            env=env,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )
        assert done.returncode == 0, f"{source}\n{done.stdout}\n{done.stderr}"
