"""Reads every image through before the first step: several at a time, each file once."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

from overnight.tasks.base import Example
from overnight.tasks.image_classification.images import Look, look, quietly

_TELL_EVERY_S = 0.2
#: A worker takes so many at a time: asking for each image alone costs more than a small image.
_AT_A_TIME = 32


def look_at(
    examples: Sequence[Example], progress: Callable[[int, int], None] | None = None
) -> list[Look]:
    """What is known of the image of each example.

    Threads do: reading, decoding and hashing let others go on, and a job that has not begun yet
    forks nothing.

    Args:
        examples: Several may share a file.
        progress: Called with how many files are done, of how many; at most five times a second.
    """
    first = {_file(example): example for example in examples}
    files = list(first)
    looks: dict[tuple[str, str], Look] = {}
    pieces = [files[at : at + _AT_A_TIME] for at in range(0, len(files), _AT_A_TIME)]
    told = 0.0

    def look_at_piece(piece: list[tuple[str, str]]) -> list[Look]:
        return [look(first[file]) for file in piece]

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
