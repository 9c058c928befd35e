"""What no tracked file may hold: a registry's address, one machine's paths, unfinished work."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def tracked_files() -> list[Path]:
    """Every file that git tracks or would track."""
    if not (ROOT / ".git").exists():
        pytest.skip("not a git checkout: there is no list of tracked files")
    listing = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        check=True,
        capture_output=True,
    ).stdout
    paths = [ROOT / name.decode() for name in listing.split(b"\0") if name]
    return sorted({path for path in paths if path.is_file()})


# Each word is cut in two, so that this file does not hold it either.
FORBIDDEN = {
    "the host of a package registry": r"\b(?:pypi|pythonhosted|npmjs|conda\.anaconda)"
    + r"\.(?:org|com)\b",
    "the address of a package index": r"https?://\S*/simp" + r"le\b|index-u" + r"rl[ =]+https?:",
    "a folder of packages on one machine": r"/opt/(?:wh" + r"eels|py" + r"pi)",
    "an absolute path of one machine": r"(?<![\w.~}$])/wo"
    + r"rk/(?:main|shared)\b|/home/(?!user\b|me\b|you\b|ubuntu\b)[a-z]\w*/src",
    "the number of a task": r"\bissu" + r"es?\s+#?\d|\bFixes " + r"#\d",
    "a mark of unfinished work": r"\b(?:TO" + r"DO|FIX" + r"ME|XX" + r"X)\b(?!\w)",
    "an unresolved merge": r"^(?:<{7}|>{7}) ",
}


@pytest.mark.parametrize("what", FORBIDDEN)
def test_no_tracked_file_holds(what: str) -> None:
    pattern = re.compile(FORBIDDEN[what], re.M)
    found = []
    for path in tracked_files():
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue  # a picture or other binary file
        found += [
            f"{path.relative_to(ROOT)}:{text.count(chr(10), 0, match.start()) + 1}: {match[0]}"
            for match in pattern.finditer(text)
        ]
    assert found == []


def test_what_runs_leave_behind_is_ignored_by_git() -> None:
    tracked_files()
    left_behind = [
        ".env",
        "wandb/run-1/files/config.yaml",
        "run-1.wandb",
        "experiments/train/20260101/a_20260101_0000/run.json",
        "logs/20260101/run/run_20260101-0000_a.log",
        "mlruns/0/meta.yaml",
        "mlflow.db",
        ".venv/bin/python",
        "dist/overnight-0.1.0.tar.gz",
    ]
    ignored = subprocess.run(
        ["git", "check-ignore", "--no-index", *left_behind],
        cwd=ROOT,
        check=False,
        capture_output=True,
        text=True,
    ).stdout.splitlines()
    assert ignored == left_behind


def test_no_file_is_large() -> None:
    # A picture for the README is well below; a model or data set does not belong here.
    large = [path for path in tracked_files() if path.stat().st_size > 1_000_000]
    assert large == []
