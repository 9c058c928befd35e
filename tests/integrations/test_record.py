"""What a framework measures, under the ledger's names."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from overnight.integrations.record import plain


@pytest.mark.parametrize(
    ("measured", "kept"),
    [
        ({"train_loss": 0.5, "train_loss_step": 0.9, "train_loss_epoch": 0.5}, {"train_loss": 0.5}),
        ({"train_loss_step": 0.9, "train_loss_epoch": 0.5}, {"train_loss": 0.5}),
        ({"score_step": 0.9, "score_epoch": 0.5, "score": 0.5}, {"score": 0.5}),
        ({"last_step": 3, "epoch": 4, "at_epoch": 5}, {"last_step": 3, "at_epoch": 5}),
        ({"eval_loss": 0.5, "eval_runtime": 9.0, "eval_macro_f1": 0.7, "epoch": 1.0},
         {"valid_loss": 0.5, "macro_f1": 0.7}),
        ({"acc": 0.99, "val_acc": 0.7}, {"train_accuracy": 0.99, "accuracy": 0.7}),
        ({"acc": 0.7, "note": "text"}, {"accuracy": 0.7}),
    ],
)  # fmt: skip
def test_a_number_is_kept_once_under_its_name(
    measured: dict[str, Any], kept: dict[str, float]
) -> None:
    assert plain(measured) == kept


def test_the_best_of_a_trainer_is_the_one_it_was_asked_for(tmp_path: Path) -> None:
    from transformers import TrainerControl, TrainerState, TrainingArguments

    from overnight.integrations.transformers import LedgerCallback

    asked = TrainingArguments(
        str(tmp_path), metric_for_best_model="loss", greater_is_better=False, report_to=[]
    )
    callback, state = LedgerCallback(), TrainerState(epoch=1.0, max_steps=4)
    callback.on_train_begin(asked, state, TrainerControl())
    for loss, accuracy in ((0.5, 0.7), (0.4, 0.6)):
        measured = {"eval_accuracy": accuracy, "eval_loss": loss}
        callback.on_evaluate(asked, state, TrainerControl(), metrics=measured)
    assert (callback.best.metric, callback.best.value) == ("valid_loss", 0.4)
