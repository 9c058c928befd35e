"""Images decoded once, kept where all of a loader's workers see them.

What it gives is what :func:`pixels` gives, to the last bit, kept or not: whether there is memory to
keep it in changes the time a training takes and nothing else.

The pictures of a process lie in one store, by file and size. A fold that opens what another fold
opened before finds it decoded. Nothing is decoded ahead: whoever needs a picture first, worker or
trainer, leaves it there.
"""

from __future__ import annotations

import mmap
import os
import sys
import tempfile
import weakref
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from overnight.preflight.cgroup import controller_folders, lowest_limit
from overnight.tasks.base import Example
from overnight.tasks.image_classification.images import fitted, pixels, size_of

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_Key = tuple[str, str]
#: In front of each picture: its height and width, written after the picture itself.
_HEAD_BYTES = 8
_SHARE = 4
_CGROUPS = Path("/sys/fs/cgroup")


class Segment:
    """Shared memory for a number of pictures.

    On Linux it is memory without a name: ``/dev/shm`` has 64 MB in most containers. Elsewhere it is
    a file that is gone with the process. Pickled, it is opened again by whoever gets it, as long as
    its maker lives.
    """

    def __init__(self, num_bytes: int) -> None:
        self.num_bytes = max(1, num_bytes)
        if sys.platform == "linux":
            file = os.memfd_create("overnight-images")
            self._path = f"/proc/{os.getpid()}/fd/{file}"
        else:
            file, self._path = tempfile.mkstemp(prefix="overnight-images-")
            weakref.finalize(self, os.unlink, self._path)
        # Open as long as the path may be asked for.
        weakref.finalize(self, os.close, file)
        os.truncate(file, self.num_bytes)
        self.memory = mmap.mmap(file, self.num_bytes)

    def __getstate__(self) -> tuple[str, int]:
        return self._path, self.num_bytes

    def __setstate__(self, state: tuple[str, int]) -> None:
        self._path, self.num_bytes = state
        file = os.open(self._path, os.O_RDWR)
        try:
            self.memory = mmap.mmap(file, self.num_bytes)
        finally:
            os.close(file)


#: Which picture lies where, by size. What is in it is in use by the next fold, too.
_STORES: dict[int, dict[_Key, tuple[Segment, int]]] = {}


class Cache:
    """The pictures of a list of examples, reduced to one size.

    Attributes:
        is_kept: Whether they are kept; if not, each is decoded whenever it is asked for.
    """

    def __init__(
        self, examples: Sequence[Example], size: int, places: Sequence[tuple[Segment, int]] | None
    ) -> None:
        self._examples = examples
        self._size = size
        self._places = places
        self.is_kept = places is not None

    def __len__(self) -> int:
        return len(self._examples)

    def __getitem__(self, index: int) -> NDArray[np.uint8]:
        """A picture of its own as ``(H, W, 3)``: it may be changed.

        Raises:
            BadImageError: It cannot be read.
        """
        import numpy as np

        if self._places is None:
            return pixels(self._examples[index], self._size)
        segment, at = self._places[index]
        begin = at + _HEAD_BYTES
        height, width = np.frombuffer(segment.memory, np.uint32, 2, at).tolist()
        if height:
            kept = np.frombuffer(segment.memory, np.uint8, height * width * 3, begin)
            return kept.reshape(height, width, 3).copy()
        picture_HWC = pixels(self._examples[index], self._size)
        height, width, _ = picture_HWC.shape
        segment.memory[begin : begin + picture_HWC.size] = picture_HWC.tobytes()
        # Last: only from here on it is there. Two who decode it at once write the same.
        segment.memory[at:begin] = np.array([height, width], np.uint32).tobytes()
        return picture_HWC


def open_cache(
    examples: Sequence[Example],
    size: int,
    *,
    asked: Literal["auto", "on", "off"] = "auto",
    free_bytes: int | None = None,
) -> Cache:
    """The pictures of these examples.

    Args:
        examples: In the order of the cache's numbers.
        size: Of the shorter side, in pixels; smaller images stay as they are.
        asked: ``auto`` keeps them where all fit into a quarter of what is free.
        free_bytes: What is free; None: what this machine and this container say.

    Raises:
        BadImageError: One of them cannot be read.
    """
    if asked == "off" or not examples:
        return Cache(examples, size, None)
    places = _STORES.setdefault(size, {})
    new = {_key(e): e for e in examples if _key(e) not in places}
    starts, num_bytes = _room([*new.values()], size)
    if asked == "auto" and new and not _fits(num_bytes, free_bytes):
        # A trial of a search before this one may have had another size.
        for other in [each for each in _STORES if each != size]:
            del _STORES[other]
        if not _fits(num_bytes, free_bytes):
            return Cache(examples, size, None)
    if new:
        segment = Segment(num_bytes)
        places.update(zip(new, ((segment, at) for at in starts), strict=True))
    return Cache(examples, size, [places[_key(example)] for example in examples])


def _fits(num_bytes: int, free_bytes: int | None) -> bool:
    taken = _taken()
    free = _free_bytes() if free_bytes is None else free_bytes
    # What is taken already was free before.
    return free is not None and taken + num_bytes <= (free + taken) // _SHARE


def forget() -> None:
    """Gives back all memory, once nobody uses it any more."""
    _STORES.clear()


def _key(example: Example) -> _Key:
    return example.inputs["image"], example.inputs.get("row", "")


def _taken() -> int:
    segments = {id(each): each for places in _STORES.values() for each, _ in places.values()}
    return sum(segment.num_bytes for segment in segments.values())


def _room(examples: Sequence[Example], size: int) -> tuple[list[int], int]:
    """Where each picture begins, and how many bytes all of them take."""
    with ThreadPoolExecutor() as pool:
        sizes = list(pool.map(size_of, examples, chunksize=64)) if examples else []
    starts = []
    end = 0
    for width, height in sizes:
        width, height = fitted(width, height, size)
        starts.append(end)
        # The next head begins where a number of 32 bits may.
        end += _HEAD_BYTES + -(-width * height * 3 // 4) * 4
    return starts, end


def _free_bytes() -> int | None:
    """What the machine and the containers around this process leave; None where nobody says."""
    return _free_on_linux() if sys.platform == "linux" else _free_elsewhere()


def _free_elsewhere() -> int:
    import psutil

    return int(psutil.virtual_memory().available)


def _free_on_linux() -> int | None:
    available = None
    for line in Path("/proc/meminfo").read_text("ascii").splitlines():
        if line.startswith("MemAvailable:"):
            available = int(line.split()[1]) * 1024
    groups = controller_folders(Path("/proc/self/cgroup").read_text(), "memory", _CGROUPS)
    for folder in groups:
        left = _left_in(folder)
        if left is not None:
            available = left if available is None else min(available, left)
    return available


def _left_in(folder: Path) -> int | None:
    """What a cgroup's limit leaves; what the kernel keeps of files and can drop counts as free."""
    limit = lowest_limit([folder], "memory.max", "memory.high", "memory.limit_in_bytes")
    if limit is None:
        return None
    used = lowest_limit([folder], "memory.current", "memory.usage_in_bytes") or 0
    droppable = 0
    try:
        for line in (folder / "memory.stat").read_text("ascii").splitlines():
            name, _, value = line.partition(" ")
            if name in {"inactive_file", "total_inactive_file"}:
                droppable = int(value)
    except OSError:
        pass  # an old kernel: then what it could drop counts as used
    return max(0, limit - used + droppable)
