"""The Trainer of transformers on a model of its own making, evaluated after every epoch."""

import tempfile

import torch
from transformers import BertConfig, BertForSequenceClassification, Trainer, TrainingArguments

torch.manual_seed(0)
torch.set_num_threads(1)
model = BertForSequenceClassification(
    BertConfig(
        vocab_size=100,
        hidden_size=48,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=96,
        max_position_embeddings=32,
    )
)
data = [
    {"input_ids": torch.randint(0, 100, (24,)), "labels": torch.tensor(i % 2)} for i in range(1600)
]
with tempfile.TemporaryDirectory() as folder:
    arguments = TrainingArguments(
        folder,
        num_train_epochs=4,
        per_device_train_batch_size=8,
        eval_strategy="epoch",
        logging_steps=20,
        save_strategy="no",
        report_to=[],
        use_cpu=True,
    )
    Trainer(model, arguments, train_dataset=data, eval_dataset=data[:640]).train()
