"""Small image sets, made on the spot."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from overnight.tasks.base import DataIndex, Problem
from overnight.tasks.image_classification.config import Data
from overnight.tasks.image_classification.data import Reader

Draw = Callable[..., Path]


@pytest.fixture(autouse=True)
def _alone(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    monkeypatch.setenv("OVERNIGHT_LANG", "en")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path_factory.mktemp("state")))


@pytest.fixture
def draw(tmp_path: Path) -> Draw:
    """Writes a picture; another seed gives another one."""

    def write(name: str, seed: int = 0, size: tuple[int, int] = (12, 10)) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        drawn_HW3 = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), np.uint8)
        # Some formats go by their usual name alone.
        Image.fromarray(drawn_HW3).save(path)
        return path

    return write


@pytest.fixture
def table(tmp_path: Path) -> Callable[..., Path]:
    """Writes a text as it is."""

    def write(text: str, name: str = "train.csv", encoding: str = "utf-8") -> Path:
        path = tmp_path / name
        path.write_bytes(text.encode(encoding))
        return path

    return write


@pytest.fixture
def scan(tmp_path: Path) -> Callable[..., DataIndex]:
    """Reads ``train.csv`` and ``train/`` below the test's folder, unless told otherwise."""

    def read(**given: object) -> DataIndex:
        if "format" not in given and "image_dir_train" not in given:
            given.setdefault("train_csv", tmp_path / "train.csv")
        given.setdefault("image_dir_train", tmp_path / "train")
        given.setdefault("folds", 2)
        return Reader().scan(Data.model_validate(given))

    return read


@pytest.fixture
def pets(draw: Draw, table: Callable[..., Path]) -> Mapping[str, str]:
    """Four cats and four dogs: IDs and labels."""
    rows = {f"{i:03}": "cat" if i < 4 else "dog" for i in range(8)}
    for seed, id in enumerate(rows):
        draw(f"train/{id}.png", seed)
    table("ID,target\n" + "".join(f"{id},{label}\n" for id, label in rows.items()))
    return rows


@pytest.fixture
def problem_of() -> Callable[[DataIndex, str], Problem]:
    """The one problem of a key."""

    def pick(index: DataIndex, key: str) -> Problem:
        (found,) = [each for each in index.problems if each.key == key]
        return found

    return pick
