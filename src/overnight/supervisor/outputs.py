"""``outputs.json``: the models and tables a job wrote beside its code, found by their time.

A job that imports nothing says nowhere what it saved. In the morning a person asks for just that,
so the folder it ran in is searched once, at its end, for files of the usual kinds.
"""

from __future__ import annotations

import contextlib
import os
import time
from typing import Any

from overnight.ledger import files
from overnight.ledger.paths import RunPaths
from overnight.supervisor.launch import Launch

_KINDS = {
    "model": (".pt", ".pth", ".bin", ".ckpt", ".safetensors", ".onnx", ".joblib", ".pkl", ".pickle",
              ".keras", ".h5", ".tflite", ".gguf", ".cbm"),
    "table": (".csv", ".tsv", ".parquet", ".jsonl", ".xlsx"),
    "array": (".npy", ".npz"),
}  # fmt: skip
_SKIPPED = frozenset(["experiments", "logs", "wandb", "mlruns", "node_modules", "site-packages"])
#: A data folder may hold a million files: the search ends after this long and says so.
_SEARCH_S = 1.0
_DEPTH = 4
_NUM_FILES = 50


def find(run: RunPaths, launch: Launch, *, since_us: int) -> None:
    """Writes outputs.json. A disk that is full or a folder that is gone leaves none."""
    found, complete = _search(launch.cwd, run.root, since_us / 1e6)
    found.sort(key=lambda each: (each["kind"] != "model", -each["written_us"]))
    said = {"folder": launch.cwd, "files": found[:_NUM_FILES], "complete": complete}
    with contextlib.suppress(OSError):
        files.replace(run.outputs_json, files.to_json(said))


def _search(folder: str, root: str, since_s: float) -> tuple[list[dict[str, Any]], bool]:
    kind_of = {suffix: kind for kind, suffixes in _KINDS.items() for suffix in suffixes}
    until = time.monotonic() + _SEARCH_S
    found: list[dict[str, Any]] = []
    todo = [(folder, 0)]
    while todo:
        at, depth = todo.pop()
        if time.monotonic() > until:
            return found, False
        try:
            with os.scandir(at) as entries:
                for entry in entries:
                    kind = kind_of.get(os.path.splitext(entry.name)[1].lower())
                    if entry.name.startswith(".") or entry.name in _SKIPPED:
                        continue
                    if entry.is_dir(follow_symlinks=False):
                        # Another root below this folder is another project's.
                        if depth < _DEPTH and entry.path != root:
                            todo.append((entry.path, depth + 1))
                    elif kind is not None and entry.is_file(follow_symlinks=False):
                        stat = entry.stat(follow_symlinks=False)
                        if stat.st_mtime >= since_s:
                            found.append({"path": entry.path, "kind": kind, "bytes": stat.st_size,
                                          "written_us": int(stat.st_mtime * 1e6)})  # fmt: skip
        except OSError:
            continue  # a folder that may not be read, or has gone
    return found, True
