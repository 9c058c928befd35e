"""Reads back what a trial wrote: is it whole, and can it be loaded?

Nothing is unpickled here. A checkpoint is loaded in the job's Python with ``weights_only=True``;
everything else is judged by its format's own marks, checksums and sizes.
"""

from __future__ import annotations

import ast
import csv
import json
import pickletools
import re
import struct
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from overnight.preflight.ask import ask

Kind = Literal["model", "table", "array", "picture", "text"]
#: ``pickle``: whole, but loading it runs code. ``nonfinite``: whole, with NaN or Inf in it.
#: ``ragged``: a table with rows longer than its head.
State = Literal["read", "pickle", "nonfinite", "ragged", "empty", "broken", "skipped"]

_TORCH_TIMEOUT_S = 120.0
_ROWS_READ = 200_000
_JSON_BYTES = 64 << 20
#: Runs in the job's Python; one line of JSON for each file.
_TORCH_SCRIPT = r"""
import json, sys
import torch
def numbers(value, depth=0):
    if isinstance(value, torch.Tensor):
        yield value
    elif isinstance(value, dict) and depth < 6:
        for each in value.values():
            yield from numbers(each, depth + 1)
    elif isinstance(value, (list, tuple)) and depth < 6:
        for each in value:
            yield from numbers(each, depth + 1)
for path in sys.argv[1:]:
    said = {"path": path, "state": "read", "why": ""}
    try:
        found = torch.load(path, map_location="cpu", weights_only=True)
        weights = found
        if isinstance(found, dict):
            for key in ("model", "state_dict", "model_state_dict", "weights"):
                if isinstance(found.get(key), dict):
                    weights = found[key]
                    break
        for tensor in numbers(weights):
            if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
                said["state"] = "nonfinite"
                break
    except Exception as error:
        text = str(error).strip().splitlines() or [""]
        pickled = "weights_only" in str(error) or "Weights only" in str(error)
        said.update(state="pickle" if pickled else "broken", why=text[0][:200])
    print(json.dumps(said), flush=True)
"""


@dataclass(frozen=True, slots=True)
class Output:
    """A file that the trial wrote.

    Attributes:
        path: Where it is.
        kind: What it is, by its name.
        size: In bytes.
        state: What reading it back showed.
        why: What is wrong with it, in the format's own terms.
    """

    path: Path
    kind: Kind
    size: int
    state: State = "skipped"
    why: str = ""


_SUFFIXES: Mapping[Kind, tuple[str, ...]] = {
    "model": (".pt", ".pth", ".bin", ".ckpt", ".safetensors", ".onnx", ".joblib", ".pkl",
              ".pickle", ".keras", ".h5", ".hdf5", ".tflite", ".gguf", ".cbm", ".json.gz"),
    "table": (".csv", ".tsv", ".parquet", ".jsonl", ".feather", ".xlsx"),
    "array": (".npy", ".npz"),
    "picture": (".png", ".jpg", ".jpeg", ".svg", ".pdf", ".gif", ".webp"),
    "text": (".json", ".txt", ".log", ".md", ".yaml", ".yml", ".html"),
}  # fmt: skip


def outputs(paths: Sequence[str]) -> list[Output]:
    """The files among ``paths`` that are results by their names, models first."""
    found = []
    for each in sorted(paths):
        path = Path(each)
        kind = next((kind for kind, ends in _SUFFIXES.items() if path.name.lower().endswith(ends)),
                    None)  # fmt: skip
        if kind is not None and path.is_file() and not path.is_symlink():
            found.append(Output(path, kind, path.stat().st_size))
    order = list(_SUFFIXES)
    return sorted(found, key=lambda each: (order.index(each.kind), str(each.path)))


def read_back(found: Sequence[Output], python: str) -> list[Output]:
    """The same with what reading each of them showed.

    Args:
        found: What :func:`outputs` gave.
        python: The job's Python, for what only its torch can read; empty where there is none.
    """
    checked = [_checked(each) for each in found]
    torch_files = [
        each for each in checked
        if each.state == "read" and each.path.suffix.lower() in (".pt", ".pth", ".bin", ".ckpt")
    ]  # fmt: skip
    if torch_files and python:
        said = _ask_torch([str(each.path) for each in torch_files], python)
        for at, each in enumerate(checked):
            if str(each.path) in said:
                state, why = said[str(each.path)]
                checked[at] = Output(each.path, each.kind, each.size, state, why)
    return checked


def _ask_torch(paths: Sequence[str], python: str) -> dict[str, tuple[State, str]]:
    answer = ask([python, "-c", _TORCH_SCRIPT, *paths], timeout_s=_TORCH_TIMEOUT_S)
    said: dict[str, tuple[State, str]] = {}
    for line in answer.stdout.splitlines():
        if line.startswith("{"):
            each = json.loads(line)
            said[each["path"]] = each["state"], each["why"]
    return said


class _BrokenError(Exception):
    """Why a file is not whole."""


def _checked(output: Output) -> Output:
    if output.size == 0:
        return Output(output.path, output.kind, 0, "empty")
    reader = _READERS.get(output.path.suffix.lower())
    state: State = "skipped"
    why = ""
    try:
        if reader is not None:
            state = reader(output.path) or "read"
    except _BrokenError as error:
        state, why = "broken", str(error)
    except (AttributeError, ValueError, KeyError, TypeError, IndexError, OverflowError, EOFError,
            RecursionError, SyntaxError, MemoryError, struct.error, zipfile.BadZipFile, csv.Error,
            NotImplementedError, RuntimeError) as error:  # fmt: skip
        state, why = "broken", (str(error).splitlines() or [type(error).__name__])[0][:200]
    except OSError as error:
        state, why = "broken", error.strerror or str(error)
    return Output(output.path, output.kind, output.size, state, why)


def _zip(path: Path) -> State | None:
    """Every member's checksum."""
    with zipfile.ZipFile(path) as archive:
        bad = archive.testzip()
        if bad is not None:
            raise _BrokenError(f"checksum of {bad}")
        if path.suffix.lower() == ".npz":
            for name in archive.namelist():
                with archive.open(name) as member:
                    if _npy_header(member.read(1 << 16))[1]:
                        return "pickle"
    return None


#: The first bytes of pickles, by protocol.
_PICKLES = frozenset([b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05"])


def _torch(path: Path) -> State | None:
    with path.open("rb") as file:
        head = file.read(4)
    if head == b"PK\x03\x04":
        _zip(path)
        with zipfile.ZipFile(path) as archive:
            own = any(name.endswith("data.pkl") for name in archive.namelist())
        return None if own else "skipped"  # whole, but none of torch.save's: torch.export
    return _pickle(path) if head[:2] in _PICKLES else "skipped"


def _pickle(path: Path) -> State | None:
    """Its operations one by one, none of them carried out; the last must be the end."""
    with path.open("rb") as file:
        if file.read(2) not in _PICKLES:
            return "skipped"  # compressed by joblib
        file.seek(0)
        for _, value, _ in pickletools.genops(file):
            if isinstance(value, str) and "NumpyArrayWrapper" in value:
                return "skipped"  # joblib's: raw arrays stand between its operations
    return "pickle"


def _safetensors(path: Path) -> State | None:
    size = path.stat().st_size
    with path.open("rb") as file:
        (length,) = struct.unpack("<Q", file.read(8))
        if length > min(size - 8, 100_000_000):
            raise _BrokenError("header longer than the file")
        header = json.loads(file.read(length))
    ends = [each["data_offsets"][1] for name, each in header.items() if name != "__metadata__"]
    if 8 + length + max(ends, default=0) != size:
        raise _BrokenError(f"{size} bytes instead of {8 + length + max(ends, default=0)}")
    return None


def _npy(path: Path) -> State | None:
    with path.open("rb") as file:
        num_bytes, has_objects = _npy_header(file.read(1 << 16))
    if has_objects:
        return "pickle"
    if path.stat().st_size < num_bytes:  # behind the first array may stand more of them
        raise _BrokenError(f"{path.stat().st_size} bytes instead of {num_bytes}")
    return None


def _npy_header(data: bytes) -> tuple[int, bool]:
    """The whole file's size as its header says, and whether objects are in it."""
    if data[:6] != b"\x93NUMPY":
        raise _BrokenError("not an array")
    wide = data[6] >= 2
    (length,) = struct.unpack_from("<I" if wide else "<H", data, 8)
    begin = 12 if wide else 10
    header = ast.literal_eval(data[begin : begin + length].decode("utf-8"))
    descr, count = header["descr"], 1
    for each in header["shape"]:
        count *= each
    if not isinstance(descr, str):  # a record: its size is not worked out
        return begin + length, True
    digits = re.search(r"\d+", descr)
    item = int(digits[0]) if digits else 1
    return begin + length + count * item * (4 if "U" in descr else 1), "O" in descr


def _table(path: Path) -> State | None:
    """Rows with no more fields than the head has."""
    with path.open(encoding="utf-8-sig", errors="replace", newline="") as file:
        first = file.readline()
        file.seek(0)
        rows = csv.reader(file, delimiter=max("\t;|,", key=first.count))
        number = width = 0
        try:
            width = len(next(rows, ()))
            for number, row in enumerate(rows, 1):
                if number == 1:
                    width = max(width, len(row))  # an index has no name in the head
                if len(row) > width > 1:
                    return "ragged"
                if number >= _ROWS_READ:
                    break
        except csv.Error:  # a field of more than 128 KiB: an embedding, an image
            return "skipped"
    return None if number and width else "empty"


def _json(path: Path) -> State | None:
    if path.stat().st_size > _JSON_BYTES:
        return "skipped"
    try:
        json.loads(path.read_bytes())
    except ValueError:
        return _json_lines(path)  # some loggers call their lines so
    return None


def _json_lines(path: Path) -> State | None:
    with path.open("rb") as file:
        for number, line in enumerate(file):
            if line.strip():
                json.loads(line)
            if number >= _ROWS_READ:
                break
    return None


#: The first bytes of pictures; the name of one often tells another format.
_PICTURES = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"GIF8", b"RIFF", b"BM", b"II*\0", b"MM\0*")


def _picture(path: Path) -> State | None:
    with path.open("rb") as file:
        head = file.read(8)
        file.seek(max(0, path.stat().st_size - 12))
        tail = file.read()
    if not head.startswith(_PICTURES) or (head == _PICTURES[0] and b"IEND" not in tail):
        raise _BrokenError("not a whole picture")
    return None


def _marks(begin: bytes, end: bytes = b"") -> Callable[[Path], State | None]:
    def check(path: Path) -> State | None:
        with path.open("rb") as file:
            head = file.read(len(begin))
            file.seek(max(0, path.stat().st_size - len(end)))
            tail = file.read()
        if head != begin or (end and not tail.endswith(end)):
            raise _BrokenError("its first or last bytes are not this format's")
        return None

    return check


_READERS: Mapping[str, Callable[[Path], State | None]] = {
    ".pt": _torch, ".pth": _torch, ".bin": _torch, ".ckpt": _torch,
    ".safetensors": _safetensors,
    ".pkl": _pickle, ".pickle": _pickle, ".joblib": _pickle,
    ".keras": _zip, ".npz": _zip, ".xlsx": _zip,
    ".h5": _marks(b"\x89HDF\r\n\x1a\n"), ".hdf5": _marks(b"\x89HDF\r\n\x1a\n"),
    ".gguf": _marks(b"GGUF"), ".cbm": _marks(b"CBM1"),
    ".npy": _npy,
    ".csv": _table, ".tsv": _table, ".jsonl": _json_lines,
    ".parquet": _marks(b"PAR1", b"PAR1"), ".feather": _marks(b"ARROW1", b"ARROW1"),
    ".png": _picture, ".jpg": _picture, ".jpeg": _picture,
    ".pdf": _marks(b"%PDF"),
    ".json": _json,
}  # fmt: skip


def scaled_mib(
    written: Sequence[tuple[str, int]], turns: tuple[int, int] | None
) -> tuple[float, float]:
    """What the full run leaves on the disk, lowest and highest.

    Files whose names differ by a number alone are taken for an epoch's each; whether it keeps all
    of them or the newest only is not known, hence both.

    Args:
        written: Path and bytes of each file that the trial left.
        turns: Epochs that it ran, and those of the full run.
    """
    families: dict[str, list[int]] = {}
    for path, size in written:
        families.setdefault(re.sub(r"\d+", "#", path), []).append(size)
    low = high = 0.0
    for name, sizes_ in families.items():
        low += sum(sizes_)
        grows = turns is not None and "#" in name and len(sizes_) > 1
        share = max(1.0, turns[1] / max(1, turns[0])) if grows and turns is not None else 1.0
        high += sum(sizes_) * share
    return low / 2**20, high / 2**20


def sizes(paths: Sequence[str]) -> Iterator[tuple[str, int]]:
    """Path and bytes of those that are files."""
    for each in paths:
        path = Path(each)
        if path.is_file():
            yield each, path.lstat().st_size
