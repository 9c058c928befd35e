"""A small detector on made-up pictures, for two epochs, from scratch."""

from pathlib import Path

import cv2
import numpy as np
from ultralytics import YOLO

import overnight
from overnight.integrations.ultralytics import attach

rng = np.random.default_rng(0)
for part in ("train", "val"):
    images, labels = Path(f"data/images/{part}"), Path(f"data/labels/{part}")
    images.mkdir(parents=True)
    labels.mkdir(parents=True)
    for number in range(8):
        picture = rng.integers(0, 80, (64, 64, 3), dtype=np.uint8)
        picture[20:44, 20:44] = 255
        cv2.imwrite(str(images / f"{number}.png"), picture)
        (labels / f"{number}.txt").write_text("0 0.5 0.5 0.375 0.375\n")
config = Path("data/data.yaml")
config.write_text(
    f"path: {Path('data').absolute()}\ntrain: images/train\nval: images/val\nnames: [box]\n"
)
overnight.init("ultralytics")
attach(YOLO("yolo11n.yaml")).train(
    data=str(config), epochs=2, imgsz=64, batch=4, device="cpu", workers=0, plots=False,
    project=str(Path("runs").absolute()), name="detect", verbose=False,
)  # fmt: skip
