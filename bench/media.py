"""What keeping a picture costs a training, side by side with Pillow's own PNG.

A call of ``overnight.image`` writes the file, its sha256 and its record; what one would write by
hand is ``Image.fromarray(array).save(path)``, and no record of it. Processor time, since a training
waits for nothing else. The pictures are slow waves under a sensor's noise: photographs pack about
as well. Run it as ``python bench/media.py``.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

import _measure as measure
import overnight
from overnight.ledger import job

_NUM_PAIRS = 20
_RNG = np.random.default_rng(0)


def _photo(size: int) -> Any:
    wave = np.sin(np.linspace(0, 6, size))
    shades = 128 + 100 * wave[:, None] * wave[None]
    colours = np.stack([shades, 0.8 * shades, 0.6 * shades], axis=-1)
    return (colours + _RNG.normal(0, 6, colours.shape)).clip(0, 255).astype(np.uint8)


def _cpu_ms(work: Callable[[], object]) -> float:
    begun = time.process_time()
    done = work()
    assert done is not None, "what was timed was not kept"
    return (time.process_time() - begun) * 1e3


def _save(array: Any, path: Path) -> Path:
    Image.fromarray(array).save(path)
    return path


def _save_film(frames: Any, path: Path) -> Path:
    first, *others = (Image.fromarray(frame) for frame in frames)
    first.save(path, save_all=True, append_images=others, duration=100)
    return path


def _cases(folder: Path) -> dict[str, tuple[Callable[[], object], Callable[[], object]]]:
    small, large = _photo(224), _photo(1024)
    floats = np.ascontiguousarray(small.transpose(2, 0, 1) / np.float32(255))
    mask = small[..., 0].astype(np.int64) % 7
    film = np.stack([np.roll(_photo(128), 8 * at, axis=1) for at in range(16)])
    there = folder / "by_hand.png"

    def from_floats() -> Path:
        return _save((floats * 255).round().astype(np.uint8).transpose(1, 2, 0), there)

    def with_mask() -> Path:
        _save(mask.astype(np.uint8), folder / "mask.png")
        return _save(small, there)

    return {
        "224 px, bytes": (lambda: overnight.image(small), lambda: _save(small, there)),
        "224 px, floats, channels first": (lambda: overnight.image(floats), from_floats),
        "224 px with a mask": (lambda: overnight.image(small, masks={"m": mask}), with_mask),
        "1024 px, bytes": (lambda: overnight.image(large), lambda: _save(large, there)),
        "film, 16 x 128 px": (lambda: overnight.video(film), lambda: _save_film(film, there)),
    }


def main() -> None:
    """Prints the table."""
    with tempfile.TemporaryDirectory() as name:
        os.environ["XDG_STATE_HOME"] = str(Path(name, "state"))
        opened = job.open_run("media", root=name, is_listed=False)
        machine = measure.calm()
        found = {}
        for what, (ours, theirs) in _cases(Path(name)).items():
            ours(), theirs()
            found[what] = measure.in_turn(
                partial(_cpu_ms, ours), partial(_cpu_ms, theirs), num_pairs=_NUM_PAIRS
            )
        job.close_run(opened, {"attempt": 0, "code": 0, "signal": None})
    shown = [
        (what, f"{measure.Interval.of(pairs.ours):.1f}", f"{measure.Interval.of(pairs.theirs):.1f}",
         f"{pairs.ratio:.1f}")
        for what, pairs in found.items()
    ]  # fmt: skip
    head = ("ms of processor time", "overnight", "Pillow by hand", "Pillow / overnight")
    measure.table("Keeping pictures", machine, head, shown)
    measure.keep("media", machine, found)


if __name__ == "__main__":
    main()
