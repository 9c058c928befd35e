"""What a run left behind: pictures in its folder, models and tables in the job's own."""

from __future__ import annotations

import os
from collections.abc import Iterator

from overnight.cli.glance import Glance
from overnight.cli.output import plain
from overnight.ledger.paths import RunPaths
from overnight.messages import say

_MODEL_SUFFIXES = (
    ".pt", ".pth", ".bin", ".ckpt", ".safetensors", ".onnx", ".keras", ".h5", ".joblib", ".pkl",
    ".pickle", ".gguf", ".tflite",
)  # fmt: skip
_TABLE_SUFFIXES = (".csv", ".tsv", ".parquet", ".jsonl", ".xlsx")
_PICTURE_SUFFIXES = (".png", ".jpg", ".jpeg", ".svg", ".gif", ".webp", ".html", ".pdf")
_SKIPPED_FOLDERS = frozenset(
    ["experiments", "logs", "wandb", "mlruns", "node_modules", "__pycache__", "site-packages"]
)
#: A folder of a million images is not walked through for a summary.
_LOOKED_AT_MOST, _DEPTH_AT_MOST, _NAMED_AT_MOST = 20_000, 3, 4


def pictures(run: RunPaths) -> int:
    """How many pictures lie in the run's media folder."""
    return sum(
        name.lower().endswith(_PICTURE_SUFFIXES)
        for _, _, names in _walk(run.media, skipped=frozenset())
        for name in names
    )


def has_files(folder: str) -> bool:
    """Whether anything lies in a folder."""
    try:
        with os.scandir(folder) as found:
            return any(True for _ in found)
    except OSError:
        return False


def written(seen: Glance) -> tuple[str, str]:
    """Models and tables that were written in the job's folder while it ran, as two texts.

    An unchanged script tells nobody where it saves; what changed meanwhile says it.
    """
    cwd = seen.info.get("cwd")
    begun, ended = seen.view.started_us, seen.view.ended_us
    if not isinstance(cwd, str) or not os.path.isabs(cwd) or begun is None or ended is None:
        return "", ""
    # File systems keep times to two seconds at worst.
    from_s, to_s = begun / 1e6 - 2, ended / 1e6 + 2
    models: list[str] = []
    tables: list[str] = []
    for folder, _, names in _walk(cwd, skipped=_SKIPPED_FOLDERS):
        for name in names:
            kind = name.lower()
            found = models if kind.endswith(_MODEL_SUFFIXES) else tables
            if found is models or kind.endswith(_TABLE_SUFFIXES):
                path = os.path.join(folder, name)
                try:
                    changed_s = os.stat(path).st_mtime
                except OSError:
                    continue
                if from_s <= changed_s <= to_s:
                    found.append(path)
    return _listed(models, cwd), _listed(tables, cwd)


def _listed(paths: list[str], cwd: str) -> str:
    if len(paths) == 1:
        return plain(paths[0])
    shown = [plain(os.path.relpath(path, cwd), 80) for path in sorted(paths)[:_NAMED_AT_MOST]]
    more = len(paths) - len(shown)
    text = ", ".join(shown) + (f" … (+{more})" if more else "")
    return say("show.in_folder", files=text, folder=plain(cwd)) if paths else ""


def _walk(top: str, *, skipped: frozenset[str]) -> Iterator[tuple[str, list[str], list[str]]]:
    """``os.walk`` that neither goes deep nor takes long."""
    looked = 0
    depth_of_top = top.rstrip(os.sep).count(os.sep)
    for folder, folders, names in os.walk(top):
        yield folder, folders, names
        looked += len(names) + len(folders)
        if looked > _LOOKED_AT_MOST:
            return
        deep = folder.rstrip(os.sep).count(os.sep) - depth_of_top >= _DEPTH_AT_MOST
        folders[:] = (
            []
            if deep
            else [name for name in folders if name not in skipped and not name.startswith(".")]
        )
