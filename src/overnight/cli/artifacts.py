"""What a run left behind: pictures in its folder, models and tables in the job's own."""

from __future__ import annotations

import os

from overnight.cli.output import plain
from overnight.ledger.files import read_json
from overnight.ledger.paths import RunPaths
from overnight.messages import say

_PICTURE_SUFFIXES = (".png", ".jpg", ".jpeg", ".svg", ".gif", ".webp", ".html", ".pdf")
#: More names than this are counted instead.
_NAMED_AT_MOST = 4


def pictures(run: RunPaths) -> int:
    """How many pictures lie in the run's media folder."""
    try:
        return sum(name.lower().endswith(_PICTURE_SUFFIXES) for name in os.listdir(run.media))
    except OSError:
        return 0


def has_files(folder: str) -> bool:
    """Whether anything lies in a folder."""
    try:
        with os.scandir(folder) as found:
            return any(True for _ in found)
    except OSError:
        return False


def written(run: RunPaths) -> tuple[str, str]:
    """Models and tables that the job wrote where it ran, as two texts."""
    said = read_json(run.outputs_json) or {}
    folder, files = said.get("folder"), said.get("files")
    if not isinstance(folder, str) or not isinstance(files, list):
        return "", ""
    paths: dict[str, list[str]] = {"model": [], "table": []}
    for each in files:
        if isinstance(each, dict) and each.get("kind") in paths and isinstance(each["path"], str):
            paths[each["kind"]].append(each["path"])
    return _listed(paths["model"], folder), _listed(paths["table"], folder)


def _listed(paths: list[str], folder: str) -> str:
    if len(paths) == 1:
        return plain(paths[0])
    shown = [plain(os.path.relpath(path, folder), 80) for path in sorted(paths)[:_NAMED_AT_MOST]]
    more = len(paths) - len(shown)
    text = ", ".join(shown) + (f" … (+{more})" if more else "")
    return say("show.in_folder", files=text, folder=plain(folder)) if paths else ""
