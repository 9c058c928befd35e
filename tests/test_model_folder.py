"""A model folder is taken whole, as it was trained, or not at all."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from overnight import messages, model_folder
from overnight.errors import UserErrors
from overnight.ledger.artifact import version
from overnight.ledger.paths import RunPaths
from overnight.ledger.shelf import Shelf
from overnight.model_folder import CARD, Card, read, verify

#: What a training of version 1 has left.
GOLDEN = Path(__file__).parent / "golden" / "v1" / "runs" / "flowers_20260101_0900" / "model"


@pytest.fixture
def model(tmp_path: Path) -> Path:
    place = tmp_path / "모델 'one'"
    shutil.copytree(GOLDEN, place)
    return place


def refused(place: Path, look: Callable[..., Card] = verify, **wanted: str) -> list[str]:
    with pytest.raises(UserErrors) as error:
        look(place, **wanted)
    for each in error.value.errors:
        for language in ("en", "ko"):
            with messages.speaking(language):
                assert messages.say(each.key + ".fix", is_="", want="", known="", name="")
    return [each.key.removeprefix("model.") for each in error.value.errors]


def edit(place: Path, change: Callable[[dict[str, Any]], object]) -> None:
    said = json.loads((place / CARD).read_text(encoding="utf-8"))
    change(said)
    (place / CARD).write_text(json.dumps(said), encoding="utf-8")


# ── what is right ───────────────────────────────────────────────────────────────────────────


def test_a_model_of_version_1_is_read(model: Path) -> None:
    card = verify(model, task="image_classification", output="classes")
    assert card.folder == model
    assert card.labels == ("장미", "백합", "국화")
    assert [(each.folder, each.fold, each.ended) for each in card.members] == [
        (model / "fold0", 0, "finished"),
        (model / "fold1", 1, "finished"),
    ]
    assert card.members[0].metrics["epoch"] == 2
    assert (card.temperature, card.combine) == (1.0, "mean_probabilities")
    assert card.run_id == "flowers_20260101_0900"
    names = ("config.json", "member.json", "model.safetensors")
    assert set(card.files) == {f"fold{fold}/{name}" for fold in (0, 1) for name in names}
    assert read(model) == card


def test_its_sha256_is_the_one_that_trackers_have(model: Path) -> None:
    noted = version(Shelf(RunPaths(str(model.parent)), "", 0), str(model))
    assert verify(model).sha256 == noted.sha256
    before = verify(model).sha256
    edit(model, lambda said: said["postprocessing"].update(temperature=1.5))
    card = verify(model)
    assert card.temperature == 1.5
    assert card.sha256 != before


def test_a_link_to_it_leads_to_it(model: Path, tmp_path: Path) -> None:
    link = tmp_path / "latest"
    link.symlink_to(model, target_is_directory=True)
    assert verify(link).folder == model


def test_what_a_later_minor_version_adds_is_kept_and_ignored(model: Path) -> None:
    edit(model, lambda said: said.update(mood="good"))
    assert verify(model).said["mood"] == "good"


# ── what is wrong ───────────────────────────────────────────────────────────────────────────


def test_one_byte_is_enough(model: Path) -> None:
    weights = model / "fold1" / "model.safetensors"
    whole = weights.read_bytes()
    weights.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    assert refused(model) == ["changed"]
    assert read(model), "the card alone says nothing of it"
    weights.write_bytes(whole + b"\n")
    assert refused(model) == ["changed"]


def test_all_of_it_is_told_at_once(model: Path, tmp_path: Path) -> None:
    (model / "fold0" / "config.json").unlink()
    (model / "fold0" / "member.json").write_text("{}")
    (model / "notes.txt").write_text("mine")
    (model / "fold1" / "old.PT").write_bytes(b"\x80\x04")
    outside = tmp_path / "outside.json"
    outside.write_text("{}")
    (model / "fold1" / "config.json").unlink()
    (model / "fold1" / "config.json").symlink_to(outside)
    assert sorted(refused(model)) == ["changed", "extra", "link", "missing", "pickle"]


def test_a_link_out_is_refused_even_where_it_leads_to_the_same(model: Path, tmp_path: Path) -> None:
    weights = model / "fold0" / "model.safetensors"
    weights.rename(tmp_path / "elsewhere")
    weights.symlink_to(tmp_path / "elsewhere")
    assert refused(model) == ["link"]
    (tmp_path / "elsewhere").rename(model / "fold0" / "model.safetensors")
    (model / "fold2").symlink_to(tmp_path, target_is_directory=True)
    assert refused(model) == ["link"]
    (model / "fold2").unlink()
    (model / CARD).rename(tmp_path / "card")
    (model / CARD).symlink_to(tmp_path / "card")
    assert refused(model) == ["link"]


def test_a_pipe_keeps_nobody_waiting(model: Path) -> None:
    name = model / "fold0" / "config.json"
    name.unlink()
    os.mkfifo(name)
    assert refused(model) == ["changed"]


def test_a_pickle_is_refused_even_where_the_card_names_it(model: Path) -> None:
    content = b"cos\nsystem\n"
    (model / "fold0" / "pytorch_model.bin").write_bytes(content)
    said = {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}
    edit(model, lambda card: card["files"].update({"fold0/pytorch_model.bin": said}))
    assert refused(model) == ["pickle"]


def test_another_model_than_is_wanted(model: Path) -> None:
    assert refused(model, read, task="detection") == ["other_task"]
    assert refused(model, read, task="detection", output="boxes") == ["other_task", "other_output"]


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("", "no_json"),
        ("[1]", "no_json"),
        ('{"format": "overnight-model/2"}', "newer"),
        ('{"format": "overnight-model/12", "files": 3}', "newer"),
        ('{"format": "overnight-model/0"}', "other_format"),
        ('{"format": "onnx"}', "other_format"),
        ("{}", "other_format"),
    ],
)
def test_what_is_no_card_of_this_version(model: Path, text: str, key: str) -> None:
    (model / CARD).write_text(text)
    assert refused(model, read) == [key]


@pytest.mark.parametrize(
    "change",
    [
        {"members": []},
        {"members": [{"folder": "../fold0"}]},
        {"members": [{"folder": "fold7"}]},
        {"members": ["fold0"]},
        {"files": {}},
        {"files": {"fold0/../../x": {"sha256": "0" * 64, "bytes": 1}}},
        {"files": {"/etc/passwd": {"sha256": "0" * 64, "bytes": 1}}},
        {"files": {"fold0/config.json": {"sha256": "0", "bytes": 1}}},
        {"files": {"fold0/config.json": "0" * 64}},
        {"labels": []},
        {"labels": [1, 2, 3]},
        {"labels": "abc"},
        {"postprocessing": {"temperature": 0}},
        {"postprocessing": {"temperature": "NaN"}},
        {"postprocessing": {"temperature": True}},
        {"task": None},
        {"combine": ""},
    ],
)
def test_an_edited_card_is_refused_before_a_file_is_opened(
    model: Path, change: dict[str, Any]
) -> None:
    edit(model, lambda said: said.update(change))
    assert "odd_key" in refused(model, read)


def test_what_is_no_model_folder(tmp_path: Path) -> None:
    assert refused(tmp_path / "nowhere") == ["no_folder"]
    assert refused(tmp_path) == ["no_card"]
    (tmp_path / "file").write_text("")
    assert refused(tmp_path / "file") == ["no_folder"]
    assert model_folder.listing(tmp_path) == {
        "file": {"sha256": hashlib.sha256(b"").hexdigest(), "bytes": 0}
    }
