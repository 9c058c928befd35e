"""Scikit-learn's handwritten digits as other people's data comes: folders of images and tables.

python examples/digits_images.py FOLDER
"""

import csv
import sys
from pathlib import Path

from PIL import Image
from sklearn.datasets import load_digits

#: Scans of 8 x 8, enlarged: as small as a network with four halvings takes.
SIDE_PX = 32
#: So many scans apart lie those that are to be predicted; nobody is told what they show.
TEST_EVERY = 5


def main(folder: Path) -> None:
    """Writes train.csv and images/, test/ and sample_submission.csv, and says so."""
    digits = load_digits()
    tables = {"images": [["ID", "target"]], "test": [["ID", "target"]]}
    for place in tables:
        (folder / place).mkdir(parents=True, exist_ok=True)
    for number, (scan, target) in enumerate(zip(digits.images, digits.target, strict=True)):
        is_test = number % TEST_EVERY == 0
        place = "test" if is_test else "images"
        picture = Image.fromarray((scan * 15.9).astype("uint8"))
        picture = picture.resize((SIDE_PX, SIDE_PX), Image.Resampling.BICUBIC)
        name = f"scan_{number:04d}"
        picture.save(folder / place / f"{name}.png")
        tables[place].append([name, "digit 0" if is_test else f"digit {target}"])
    for file_name, place in (("train.csv", "images"), ("sample_submission.csv", "test")):
        with (folder / file_name).open("w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows(tables[place])
    num_train, num_test = len(tables["images"]) - 1, len(tables["test"]) - 1
    sys.stdout.write(
        f"{num_train:,} images with their table, {num_test} to be predicted: {folder}\n"
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]))
