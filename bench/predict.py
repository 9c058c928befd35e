"""Images predicted in a second, beside the bare forward pass of the same models on the same loader.

The other side asks its loader for a batch and its models for their outputs, and nothing else: no
probabilities, no file, no progress. Both have the same batches, decoded by the same workers. Run it
as ``python bench/predict.py``; with a card it is measured there.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch.utils.data import DataLoader

from _measure import Interval, calm, in_turn, keep, table
from overnight import model_folder
from overnight.prediction import stream
from overnight.prediction.rows import RowsFile
from overnight.tasks.image_classification.inputs import Images
from overnight.tasks.image_classification.predict import Batch, Predictor
from overnight.testing import served

_NUM_IMAGES = 1_024
_BATCH = 64
_NUM_WORKERS = 2
_SIZE_PX = 96
_NUM_MEMBERS = 2
_NUM_CLASSES = 10
_MODEL = "resnet18"
_NUM_PAIRS = 6


def main() -> None:
    """Measures and prints."""
    busy = calm()
    torch.set_num_threads(1)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        labels = [f"class {index}" for index in range(_NUM_CLASSES)]
        made = served.make(
            folder / "model", labels, name=_MODEL, size_px=_SIZE_PX, num_members=_NUM_MEMBERS
        )
        card = model_folder.verify(made)
        predictor = Predictor.load(card, device=device)
        examples = _images(folder / "images")

        def ours() -> float:
            begun_s = time.perf_counter()
            rows = RowsFile(
                folder / f"rows{time.monotonic_ns()}", len(examples), _NUM_CLASSES, _BATCH, "bench"
            )
            stream.run(predictor, examples, rows, num_workers=_NUM_WORKERS, pin=device == "cuda")
            rows.close()
            return time.perf_counter() - begun_s

        def bare() -> float:
            begun_s = time.perf_counter()
            loader = DataLoader(
                predictor.dataset(examples),
                _BATCH,
                collate_fn=predictor.collate,
                num_workers=_NUM_WORKERS,
                pin_memory=device == "cuda",
            )
            for batch in loader:
                _forward(predictor, batch, device)
            if device == "cuda":
                torch.cuda.synchronize()
            return time.perf_counter() - begun_s

        ours()  # caches of files, threads of the loader
        pairs = in_turn(ours, bare, num_pairs=_NUM_PAIRS)
    rate = Interval.of([_NUM_IMAGES / each for each in pairs.ours])
    what = f"{_NUM_MEMBERS} x {_MODEL}, {_SIZE_PX} px, {_NUM_WORKERS} workers, {device}"
    head = ["what", "images/s", "of the bare forward pass", "reach"]
    table("Predicting", busy, head, [[what, f"{rate:.0f}", f"{pairs.ratio:.2f}", ">= 0.9"]])
    keep("predict", busy, {"seconds": pairs, "device": device})


def _forward(predictor: Predictor, batch: Batch, device: str) -> None:
    with torch.inference_mode():
        pixels = batch.pixels_NV3SS.to(device, non_blocking=True)[:, 0]
        if device == "cuda":
            pixels = pixels.contiguous(memory_format=torch.channels_last)
        for member in predictor._members:
            member(pixels)


def _images(folder: Path) -> Images:
    """Pictures of 160 x 120: noise, which JPEG has the most to do with."""
    folder.mkdir()
    rng = np.random.default_rng(0)
    names = [f"{number:05}.jpg" for number in range(_NUM_IMAGES)]
    for name in names:
        coarse = Image.fromarray(rng.integers(0, 256, (15, 20, 3), dtype=np.uint8))
        coarse.resize((160, 120)).save(folder / name, quality=90)
    return Images(names, [str(folder / name) for name in names])


if __name__ == "__main__":
    main()
