"""Scikit-learn's handwritten digits as other people's data comes: a folder of images and a table.

python examples/digits_images.py FOLDER
"""

import csv
import sys
from pathlib import Path

from PIL import Image
from sklearn.datasets import load_digits

#: Scans of 8 x 8, enlarged: as small as a network with four halvings takes.
SIDE_PX = 32


def main(folder: Path) -> None:
    """Writes FOLDER/train.csv and FOLDER/images/*.png, and says so."""
    digits = load_digits()
    images = folder / "images"
    images.mkdir(parents=True, exist_ok=True)
    with (folder / "train.csv").open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(["ID", "target"])
        for number, (scan, target) in enumerate(zip(digits.images, digits.target, strict=True)):
            picture = Image.fromarray((scan * 15.9).astype("uint8"))
            name = f"scan_{number:04d}"
            picture = picture.resize((SIDE_PX, SIDE_PX), Image.Resampling.BICUBIC)
            picture.save(images / f"{name}.png")
            table.writerow([name, f"digit {target}"])
    sys.stdout.write(f"{len(digits.target):,} images and their table are in {folder}\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
