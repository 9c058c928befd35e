"""The pass over all inputs: what the saved members say, whoever was killed in between."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

pytest.importorskip("torch")

import torch

from overnight import model_folder
from overnight.errors import UserError
from overnight.prediction import stream
from overnight.prediction.rows import RowsFile
from overnight.tasks.image_classification.inputs import Images
from overnight.tasks.image_classification.predict import Predictor
from overnight.tasks.predictor import BadInput, Views
from overnight.testing import fits, served
from overnight.testing.prediction_proof import Plain

if TYPE_CHECKING:
    from overnight.model_folder import Card

# More of them wait for each other where tests share the cores.
torch.set_num_threads(1)
LABELS = ("cat", "dog", "bird")
N, B = 11, 4


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("served")
    served.make(folder / "model", LABELS)
    fits.images(folder / "images", N, size_px=50)  # larger than what is kept: they are reduced
    (folder / "images" / "0006.png").write_bytes(b"no picture")
    return folder


@pytest.fixture(scope="module")
def card(place: Path) -> Card:
    return model_folder.verify(place / "model")


@pytest.fixture(scope="module")
def images(place: Path) -> Images:
    names = [f"{number:04}.png" for number in range(N)]
    paths = [str(place / "images" / name) for name in names]
    paths[9] = ""  # one that is not there at all
    return Images(names, paths)


def run(card: Card, images: Images, folder: Path, views: Views = "none", **more: Any) -> RowsFile:
    predictor = Predictor.load(card, views=views)
    with RowsFile(folder, N, len(LABELS), B, "one") as rows:
        stream.run(predictor, images, rows, **{"num_workers": 0, **more})
    return rows


def stops_after(num: int) -> Callable[[], bool]:
    asked = iter(range(num + 1))
    return lambda: next(asked) < num


@pytest.mark.parametrize("views", ["none", "flip", "crops"])
def test_each_row_is_what_the_members_say_in_a_plain_loop(
    card: Card, images: Images, tmp_path: Path, views: Views
) -> None:
    lost: list[str] = []
    rows = run(card, images, tmp_path, views, lost=lambda example: lost.append(example.id))
    found_NK = np.load(rows.path, allow_pickle=False)
    assert lost == ["0006.png", "0009.png"]
    assert np.flatnonzero(np.isnan(found_NK).any(axis=1)).tolist() == [6, 9]
    plain = Plain(card.folder)
    for place in (0, 10):
        again_K = plain.served(images[place].inputs["image"], views)
        assert np.abs(found_NK[place] - again_K).max() < 1e-5


def test_killed_between_batches_it_ends_with_the_same_bytes(
    card: Card, images: Images, tmp_path: Path
) -> None:
    whole = run(card, images, tmp_path / "whole").path.read_bytes()
    told: list[tuple[int, int]] = []
    for num in (1, 0, 1):
        with pytest.raises(stream.Interrupted):
            run(card, images, tmp_path / "cut", go_on=stops_after(num))
    rows = run(
        card, images, tmp_path / "cut", num_workers=1,
        progress=lambda done, total: told.append((done, total)),
    )  # fmt: skip
    assert rows.path.read_bytes() == whole
    # The batch of the unreadable one is looked at again.
    assert told[0] == (B, N)
    assert told[-1] == (N, N)


def test_one_picture_and_its_bytes_are_predicted_alike(
    card: Card, images: Images, place: Path
) -> None:
    predictor = Predictor.load(card)
    path = images[1].inputs["image"]
    items = [
        predictor.prepare({"image": path}),
        predictor.prepare({"image": Path(path).read_bytes()}),
    ]
    assert len({predictor.batch_key(item) for item in items}) == 1
    one, other = predictor.predict(items)
    assert one == other
    assert one.label in LABELS
    assert one.confidence == max(one.probabilities.values())
    with pytest.raises(BadInput):
        predictor.prepare({"image": str(place / "images" / "0006.png")})
    with pytest.raises(BadInput):
        predictor.prepare({"image": b""})


def test_a_batch_too_large_for_the_card_is_asked_in_halves(
    card: Card, images: Images, monkeypatch: pytest.MonkeyPatch
) -> None:
    predictor = Predictor.load(card)
    dataset = predictor.dataset(images)
    batch = predictor.collate([dataset[place] for place in range(4)])
    expected = predictor.probabilities(batch)
    asked = predictor._logits

    def small(pixels_NV3SS: torch.Tensor) -> Any:
        if len(pixels_NV3SS) > 2:
            raise torch.cuda.OutOfMemoryError
        return asked(pixels_NV3SS)

    monkeypatch.setattr(predictor, "_logits", small)
    assert np.allclose(predictor.probabilities(batch), expected, atol=1e-6)


def test_a_model_put_together_anew_of_the_same_members_is_the_same(
    card: Card, images: Images, place: Path
) -> None:
    said = dict(card.said)
    path = card.folder / model_folder.CARD
    before = path.read_bytes()
    identities = {stream.identity(card, "none", images, B)}
    try:
        for change in ({"source": {"run_id": "other"}}, {"postprocessing": {"temperature": 2.0}}):
            path.write_text(_json({**said, **change}), "utf-8")
            other = model_folder.verify(card.folder)
            assert other.sha256 != card.sha256
            identities.add(stream.identity(other, "none", images, B))
            assert len(identities) == (1 if "source" in change else 2)
    finally:
        path.write_bytes(before)


def test_a_model_that_asks_for_other_files_is_refused(place: Path, tmp_path: Path) -> None:
    folder = served.make(tmp_path / "model", LABELS, num_members=1)
    config = folder / "fold0" / "config.json"
    said = config.read_text("utf-8")
    for change in ('"checkpoint_path": "evil.pt", "drop_rate"', '"pretrained": true, "drop_rate"'):
        config.write_text(said.replace('"drop_rate"', change), "utf-8")
        card_path = folder / model_folder.CARD
        card_path.write_text(
            _json({**model_folder.read(folder).said, "files": model_folder.listing(folder)})
        )
        with pytest.raises(UserError, match="architecture"):
            Predictor.load(model_folder.verify(folder))


def _json(value: object) -> str:
    import json

    return json.dumps(value)
