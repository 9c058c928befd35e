"""docs/add-a-channel.md, followed step by step as a plug-in's author would."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[2] / "docs" / "add-a-channel.md"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """The page's files, and its entry point as pip would leave it."""
    text = PAGE.read_text(encoding="utf-8")
    for block in re.findall(r"^```python\n(# (\w+\.py)\n.*?)^```$", text, re.M | re.S):
        (tmp_path / block[1]).write_text(block[0], encoding="utf-8")
    entry = re.search(r'entry-points\."([\w.]+)"\]\n(\w+) = "([\w:]+)"', text)
    assert entry is not None
    about = tmp_path / "board-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: board\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text(f"[{entry[1]}]\n{entry[2]} = {entry[3]}\n")
    return tmp_path


def test_the_pages_channel_passes_the_pages_test(project: Path) -> None:
    assert sorted(path.name for path in project.glob("*.py")) == ["board.py", "test_board.py"]
    env = os.environ | {"PYTHONPATH": str(project), "XDG_CONFIG_HOME": str(project / "config")}
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-W", "error", "-p", "no:cacheprovider", "."],
        cwd=project,
        env=env,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 passed" in done.stdout
