"""A model folder as a training leaves it, of members that have learnt nothing: made in a second."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from overnight import model_folder
from overnight.tasks.image_classification import model as models
from overnight.tasks.image_classification.config import Model
from overnight.testing.fits import TINY


def make(
    folder: Path,
    labels: Sequence[str],
    *,
    name: str = TINY,
    size_px: int = 32,
    num_members: int = 2,
    temperature: float = 1.3,
    codes: Sequence[str] | None = None,
    seed: int = 0,
) -> Path:
    """Writes it, and gives its place.

    Args:
        folder: Made; its parents too.
        labels: The classes' names.
        name: Of timm.
        size_px: Of the input.
        num_members: Each with weights of its own.
        temperature: What logits are divided by.
        codes: What the training table writes for each class.
        seed: Of the weights.
    """
    for number in range(num_members):
        torch.manual_seed(seed + number)
        member = models.build(Model(name=name, pretrained=False), tuple(labels), size_px)
        # A fresh head says the same of every picture: here it is to say something.
        head: Any = member.timm_model.get_classifier()
        torch.nn.init.normal_(head.weight)
        member.save_pretrained(folder / f"fold{number}")
    shape = models.input_of(name, size_px)
    card = {
        "format": model_folder.FORMAT,
        "task": "image_classification",
        "output": "classes",
        "labels": list(labels),
        **({"codes": list(codes)} if codes is not None else {}),
        "input": {
            "kind": "image",
            "size_px": [size_px, size_px],
            "shorter_side_px": size_px * 8 // 7,
            "mean": shape["mean"],
            "std": shape["std"],
        },
        "members": [{"folder": f"fold{number}", "fold": number} for number in range(num_members)],
        "combine": "mean_probabilities",
        "postprocessing": {"temperature": temperature},
        "main_metric": "macro_f1",
        "metrics": {"macro_f1": 0.5},
        "source": {"run_id": "served_20261121_0700"},
        "files": model_folder.listing(folder),
    }
    (folder / model_folder.CARD).write_text(json.dumps(card), encoding="utf-8")
    return folder
