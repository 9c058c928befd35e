"""A Trainer that stops early: its evaluation never gets better than the first one."""

import numpy as np
import torch
from transformers import EarlyStoppingCallback, Trainer, TrainingArguments

import overnight
from overnight.integrations.transformers import LedgerCallback


class Model(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Linear(4, 2)

    def forward(self, x, labels=None):
        logits = self.layer(x)
        return {"loss": torch.nn.functional.cross_entropy(logits, labels), "logits": logits}


overnight.init("transformers")
generator = torch.Generator().manual_seed(0)
rows = [
    {"x": torch.randn(4, generator=generator), "labels": torch.tensor(i % 2)} for i in range(32)
]
scores = iter(np.linspace(0.9, 0.1, 50))
Trainer(
    model=Model(),
    args=TrainingArguments(
        "out",
        num_train_epochs=10,
        per_device_train_batch_size=8,
        logging_steps=2,
        eval_strategy="epoch",
        save_strategy="epoch",
        metric_for_best_model="macro_f1",
        greater_is_better=True,
        load_best_model_at_end=True,
        report_to=[],
        disable_tqdm=True,
        use_cpu=True,
    ),
    train_dataset=rows,
    eval_dataset=rows,
    compute_metrics=lambda _: {"macro_f1": float(next(scores))},
    callbacks=[LedgerCallback(), EarlyStoppingCallback(early_stopping_patience=3)],
).train()
