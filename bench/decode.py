"""What an epoch's pictures cost: decoded each time with PIL, and from the cache in a second epoch.

And what the check before a training costs: the first time, and once the files are known.

JPEGs of 400x300 pixels, cut out of two photographs that scikit-learn brings; the shorter side is
brought to 224 px. Once alone in one process, once through a loader with two workers that crops,
flips and normalises, as a training has it. Run it as ``python bench/decode.py``.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from sklearn.datasets import load_sample_images
from torch.utils.data import DataLoader, Dataset

from _measure import calm, in_turn, keep, table
from overnight.ledger.paths import state_dir
from overnight.tasks.base import Example
from overnight.tasks.image_classification.cache import open_cache
from overnight.tasks.image_classification.config import Data
from overnight.tasks.image_classification.data import Reader

_NUM_IMAGES = 400
_SIZE_PX = 224
_BATCH = 32
_NUM_WORKERS = 2
_MEAN = torch.tensor([0.485, 0.456, 0.406]).view(3, 1, 1)
_STD = torch.tensor([0.229, 0.224, 0.225]).view(3, 1, 1)

Picture = Callable[[int], np.ndarray]


def _write(folder: Path) -> list[Path]:
    """Photographs: what a decoder meets."""
    rng = np.random.default_rng(0)
    photographs = [Image.fromarray(each) for each in load_sample_images().images]
    paths = []
    for i in range(_NUM_IMAGES):
        photograph = photographs[i % 2]
        left, top = (
            rng.integers(0, photograph.width - 400),
            rng.integers(0, photograph.height - 300),
        )
        path = folder / f"{i:04}.jpg"
        photograph.crop((left, top, left + 400, top + 300)).save(path, quality=90)
        paths.append(path)
    return paths


def _with_pil(path: Path) -> np.ndarray:
    """As one writes it: open, make RGB, resize."""
    with Image.open(path) as image:
        rgb = image.convert("RGB")
    scale = _SIZE_PX / min(rgb.size)
    size = (round(rgb.width * scale), round(rgb.height * scale))
    return np.array(rgb.resize(size, Image.Resampling.BICUBIC))


class _Pictures(Dataset[torch.Tensor]):
    """Crop, flip, normalise: the same draws for both sides."""

    def __init__(self, picture: Picture) -> None:
        self._picture = picture

    def __len__(self) -> int:
        return _NUM_IMAGES

    def __getitem__(self, index: int) -> torch.Tensor:
        rng = np.random.default_rng(index)
        pixels_HWC = self._picture(index)
        left = int(rng.integers(0, pixels_HWC.shape[1] - _SIZE_PX + 1))
        crop_HWC = pixels_HWC[:_SIZE_PX, left : left + _SIZE_PX]
        if rng.random() < 0.5:
            crop_HWC = crop_HWC[:, ::-1]
        pixels_CHW = torch.from_numpy(np.ascontiguousarray(crop_HWC)).permute(2, 0, 1)
        return pixels_CHW.float().div_(255).sub_(_MEAN).div_(_STD)


def _alone(picture: Picture) -> Callable[[], float]:
    def epoch() -> float:
        # Of this process alone: what others compute meanwhile is not in it.
        begin = time.process_time()
        for i in range(_NUM_IMAGES):
            picture(i)
        return time.process_time() - begin

    return epoch


def _loaded(picture: Picture) -> Callable[[], float]:
    loader = DataLoader(_Pictures(picture), _BATCH, shuffle=True, num_workers=_NUM_WORKERS)

    def epoch() -> float:
        begin = time.perf_counter()
        for _ in loader:
            pass
        return time.perf_counter() - begin

    return epoch


def _checked(paths: list[Path], *, is_known: bool) -> Callable[[], float]:
    """A scan of the whole set, with and without what an earlier one has found; its CPU seconds."""
    folder = paths[0].parent
    rows = "".join(f"{path.stem},{at % 2}\n" for at, path in enumerate(paths))
    (folder / "train.csv").write_text("ID,target\n" + rows)
    data = Data(format="csv", train_csv=folder / "train.csv", image_dir_train=folder)

    def scan() -> float:
        if not is_known:
            shutil.rmtree(Path(state_dir(), "looks"), ignore_errors=True)
        begin = time.process_time()
        Reader().scan(data)
        taken = time.process_time() - begin
        if not is_known:
            Reader().scan(data)  # for the other side's turn
        return taken

    return scan


def main() -> None:
    """Measure and print the table."""
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as state, tempfile.TemporaryDirectory() as folder:
        os.environ["XDG_STATE_HOME"] = state
        paths = _write(Path(folder))
        kilobytes = sum(path.stat().st_size for path in paths) / len(paths) / 1e3
        examples = [Example(path.name, {"image": str(path)}, 0) for path in paths]
        cache = open_cache(examples, _SIZE_PX, asked="on")
        machine = calm()
        first_s = _alone(cache.__getitem__)()
        rows, numbers = [], {}
        for name, epoch_of in (("one process, CPU", _alone), ("loader, 2 workers, wall", _loaded)):
            ours, theirs = epoch_of(cache.__getitem__), epoch_of(lambda i: _with_pil(paths[i]))
            pairs = in_turn(ours, theirs, num_pairs=10)
            numbers[name] = pairs
            ms = [1e3 * sum(each) / len(each) / _NUM_IMAGES for each in (pairs.ours, pairs.theirs)]
            rows.append([name, f"{ms[0]:.3f}", f"{ms[1]:.3f}", f"{pairs.ratio:.2f}"])
        title = f"{_NUM_IMAGES} JPEGs of 400x300, {kilobytes:.0f} KB each, to {_SIZE_PX} px"
        head = ["ms an image", "cache, second epoch", "PIL each time", "times as fast"]
        table(title, machine, head, rows)
        per_image = 1e3 * first_s / _NUM_IMAGES
        print(
            f"\nThe first epoch, which fills the cache: {per_image:.3f} ms an image, one process,"
            " CPU."
        )
        time.sleep(4)  # a file is known once its times have settled
        known, new = _checked(paths, is_known=True), _checked(paths, is_known=False)
        new()  # imports are no part of it
        pairs = in_turn(known, new, num_pairs=10)
        numbers["check, CPU"] = pairs
        ms = [1e3 * sum(each) / len(each) / _NUM_IMAGES for each in (pairs.ours, pairs.theirs)]
        print(
            f"The check before a training: {ms[1]:.3f} ms an image, and {ms[0]:.3f} ms once it is"
            f" known, CPU; {pairs.ratio:.1f} times as fast."
        )
        keep("decode", machine, {**numbers, "first_epoch_cpu_s": first_s})


if __name__ == "__main__":
    main()
