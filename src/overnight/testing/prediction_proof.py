"""Every row that a run predicted, computed again by a loop of a few lines.

``python -m overnight.testing.prediction_proof RUN``. The loop opens a picture with PIL, asks the
saved members one picture at a time, and knows nothing of our predictor, loader or files: it takes
of us which file an ID means, and nothing else. On a processor the rows agree within 1e-5, and the
class of each is the same. What was trained on a card in bf16 has rows that do not.

Shapes: M members, V views, K classes.
"""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageOps
from torch.nn import functional

from overnight.ledger.paths import RunPaths
from overnight.prediction import asked as asking
from overnight.tasks.base import Example
from overnight.tasks.predictor import Source
from overnight.trainer.spec_of_run import read_spec

TOLERANCE = 1e-5


@dataclass(frozen=True, slots=True)
class Found:
    """How two ways to one set of rows compare.

    Attributes:
        largest: The largest difference of two probabilities.
        num_other: Rows whose class is another one.
        num_wrong_words: Rows of the submission that do not say what their probabilities say.
    """

    name: str
    num: int
    largest: float
    num_other: int
    num_wrong_words: int = 0

    @property
    def agrees(self) -> bool:
        """Whether all of it is the same."""
        return self.largest <= TOLERANCE and not (self.num_other or self.num_wrong_words)


def prove(folder: str | Path) -> list[Found]:
    """Compares what a run has left: out-of-fold rows, and its submission.

    Args:
        folder: Of a finished training, pipeline or prediction.
    """
    run = RunPaths(str(folder))
    if run.kind == "infer":
        asked = asking.read(run.config_yaml)
        return [_submission(run, asked.model.folder, asked.source, asked.tta, asked.info)]
    spec = read_spec(run)
    found = []
    if Path(run.at("oof", "oof_logits.npy")).exists():
        found.append(_out_of_fold(run, spec))
    if Path(run.at("submission.csv")).exists():
        source = Source(Path(run.root), data=spec.data)
        found.append(_submission(run, Path(run.at("model")), source, spec.predict.tta, spec.info))
    return found


# ── the loop ────────────────────────────────────────────────────────────────────────────────────


class Plain:
    """The saved members, and a picture at a time.

    Args:
        folder: The model folder.
    """

    def __init__(self, folder: Path) -> None:
        self.card: dict[str, Any] = json.loads((folder / "overnight.json").read_text("utf-8"))
        self.members = {
            each["fold"]: _member(folder / each["folder"]) for each in self.card["members"]
        }

    def logits(self, path: str, member: Any, views: str) -> list[NDArray[np.float64]]:
        """``(K,)`` a view."""
        said = self.card["input"]
        side, kept = said["size_px"][0], said["shorter_side_px"]
        mean, std = (torch.tensor(said[name]).view(1, 3, 1, 1) for name in ("mean", "std"))
        with Image.open(path) as file:
            width, height = file.size
            if min(width, height) > kept:
                share = kept / min(width, height)
                size = (max(1, round(width * share)), max(1, round(height * share)))
                file.draft(None, (2 * size[0], 2 * size[1]))
                picture = ImageOps.exif_transpose(file).convert("RGB")
                picture = picture.resize(size, Image.Resampling.BICUBIC)
            else:
                picture = ImageOps.exif_transpose(file).convert("RGB")
        pixels = torch.from_numpy(np.array(picture)).permute(2, 0, 1)[None]
        windows = [pixels]
        if views == "crops":
            height, width = pixels.shape[-2:]
            rows, columns = max(1, round(height * 7 / 8)), max(1, round(width * 7 / 8))
            down, right = height - rows, width - columns
            corners = [(0, 0), (0, right), (down, 0), (down, right), (down // 2, right // 2)]
            windows = [pixels[..., y : y + rows, x : x + columns] for y, x in corners]
        found = []
        for window in windows:
            seen = window
            if window.shape[-2:] != (side, side):
                seen = functional.interpolate(window, (side, side), mode="bilinear", antialias=True)
            values = (seen.float() / 255 - mean) / std
            for mirrored in (False, True) if views != "none" else (False,):
                with torch.no_grad():
                    put_out = member(values.flip(-1) if mirrored else values).logits[0]
                found.append(put_out.double().numpy())
        return found

    def served(self, path: str, views: str) -> NDArray[np.float64]:
        """``(K,)``: what the whole model says."""
        temperature = self.card["postprocessing"]["temperature"]
        all_logits = [
            logits_K
            for member in self.members.values()
            for logits_K in self.logits(path, member, views)
        ]
        return np.asarray(np.mean([_softmax(each / temperature) for each in all_logits], axis=0))


def _member(folder: Path) -> Any:
    """As anybody opens what ``save_pretrained`` left; our own pooling nobody else can build."""
    if "overnight_timm_gem" in (folder / "config.json").read_text("utf-8"):
        from overnight.tasks.image_classification import model

        return model.load(folder)
    from transformers import AutoModelForImageClassification

    return AutoModelForImageClassification.from_pretrained(folder).eval()


def _softmax(logits_K: NDArray[np.float64]) -> NDArray[np.float64]:
    powers_K = np.exp(logits_K - logits_K.max())
    return np.asarray(powers_K / powers_K.sum())


# ── what a run has left ─────────────────────────────────────────────────────────────────────────


def _out_of_fold(run: RunPaths, spec: Any) -> Found:
    """Each example's row beside that of the one member that has not learnt from it."""
    plain = Plain(Path(run.at("model")))
    index = _named(spec.info.reader).scan(spec.data)
    paths = {example.id: example.inputs["image"] for example in index.examples}
    ids, folds, logits_NK = (
        np.load(run.at("oof", f"oof_{name}.npy"), allow_pickle=False)
        for name in ("ids", "folds", "logits")
    )
    rows = (
        (_softmax(kept_K.astype(np.float64)), _softmax(plain.logits(paths[id], member, "none")[0]))
        for id, member, kept_K in zip(
            ids.tolist(), (plain.members[fold] for fold in folds.tolist()), logits_NK, strict=True
        )
    )
    return _compare("out of fold", rows)


def _submission(run: RunPaths, folder: Path, source: Source, views: str, info: Any) -> Found:
    """Each row of the results beside what the saved members say now."""
    plain = Plain(folder)
    examples: Sequence[Example] = _named(info.inputs).find(source).examples
    kept_NK = np.load(run.at("probabilities.npy"), allow_pickle=False)
    rows = (
        (kept_K.astype(np.float64), plain.served(example.inputs["image"], views))
        for example, kept_K in zip(examples, kept_NK, strict=True)
        if not np.isnan(kept_K).any()
    )
    found = _compare("submission", rows)
    wrong = sum(
        id != example.id or not any(word in cells for word in words)
        for (id, cells), example, words in zip(
            _written(run, examples), examples, _words(plain, kept_NK), strict=True
        )
    )
    return Found(found.name, found.num, found.largest, found.num_other, wrong)


def _written(run: RunPaths, examples: Sequence[Example]) -> Iterator[tuple[str, list[str]]]:
    """The IDs and cells of a submission whose one column is the class; its separator is guessed."""
    path = Path(run.at("submission.csv"))
    head = path.read_text("utf-8-sig").partition("\n")[0]
    separator = max(",;\t|", key=head.count)
    with path.open(encoding="utf-8-sig", newline="") as file:
        for cells, example in zip(
            list(csv.reader(file, delimiter=separator))[1:], examples, strict=True
        ):
            yield example.id if example.id in cells else "", cells


def _words(plain: Plain, kept_NK: NDArray[np.float32]) -> Iterator[list[str]]:
    """What a row may say: the name or the number of its class, or that class's probability."""
    labels, codes = plain.card["labels"], plain.card.get("codes")
    for row_K in kept_NK:
        if np.isnan(row_K).any():
            yield [""]
            continue
        best = int(row_K.argmax())
        yield [labels[best], *([codes[best]] if codes else []), f"{row_K[best]:.9g}"]


def _compare(name: str, rows: Iterator[tuple[NDArray[np.float64], NDArray[np.float64]]]) -> Found:
    num, num_other, largest = 0, 0, 0.0
    for kept_K, again_K in rows:
        num += 1
        num_other += int(kept_K.argmax() != again_K.argmax())
        largest = max(largest, float(np.abs(kept_K - again_K).max()))
    return Found(name, num, largest, num_other)


def _named(place: str) -> Any:
    module, _, name = place.partition(":")
    return getattr(import_module(module), name)()


def main(words: Sequence[str]) -> int:
    """Prints what it found; 1 where something differs."""
    if len(words) != 1:
        print("usage: python -m overnight.testing.prediction_proof RUN_DIR")  # noqa: T201
        return 2
    torch.set_num_threads(1)
    found = prove(words[0])
    for each in found:
        sign = "agrees" if each.agrees else "DIFFERS"
        print(  # noqa: T201
            f"{each.name:12}  {each.num:>7,} rows  largest difference {each.largest:.1e}"
            f"  other class {each.num_other}  other word {each.num_wrong_words}  {sign}"
        )
    return 0 if found and all(each.agrees for each in found) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
