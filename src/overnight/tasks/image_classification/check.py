"""Reads every image through before the first step: several at a time, each file once ever."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

from overnight.tasks.base import Example
from overnight.tasks.image_classification.images import Look, look, quietly
from overnight.tasks.image_classification.looks import KnownLooks

_TELL_EVERY_S = 0.2
#: A worker takes so many at a time: asking for each image alone costs more than a small image.
_AT_A_TIME = 32


def look_at(
    examples: Sequence[Example],
    progress: Callable[[int, int], None] | None = None,
    known: KnownLooks | None = None,
) -> list[Look]:
    """What is known of the image of each example.

    Threads do: reading, decoding and hashing let others go on, and a job that has not begun yet
    forks nothing.

    Args:
        examples: Several may share a file.
        progress: Called with how many files are done, of how many; at most five times a second.
        known: What was looked at before is taken from there, the rest is written there.
    """
    first = {_file(example): example for example in examples}
    files = list(first)
    looks: dict[tuple[str, str], Look] = {}
    pieces = [files[at : at + _AT_A_TIME] for at in range(0, len(files), _AT_A_TIME)]
    told = 0.0

    def look_at_piece(piece: list[tuple[str, str]]) -> list[Look]:
        if known is None:
            return [look(first[file]) for file in piece]
        begun_ns = time.time_ns()
        found = []
        new = []
        for path, row in piece:
            seen = known.find(path) if not row else None  # a batch is read as a whole anyway
            if seen is None:
                seen = look(first[path, row])
                new += [(path, seen)] if not row else []
            found.append(seen)
        known.keep(new, begun_ns)
        return found

    with quietly(), ThreadPoolExecutor(_num_threads()) as pool:
        try:
            for piece, found in zip(pieces, pool.map(look_at_piece, pieces), strict=True):
                looks.update(zip(piece, found, strict=True))
                now = time.monotonic()
                is_over = len(looks) == len(files)
                if progress is not None and (now - told >= _TELL_EVERY_S or is_over):
                    told = now
                    progress(len(looks), len(files))
        except BaseException:
            # The run was asked to end: nobody waits for the rest.
            pool.shutdown(cancel_futures=True)
            raise
    return [looks[_file(example)] for example in examples]


def _file(example: Example) -> tuple[str, str]:
    return example.inputs["image"], example.inputs.get("row", "")


def _num_threads() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
