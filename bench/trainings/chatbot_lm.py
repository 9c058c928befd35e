"""A small language model on question and answer pairs with transformers' Trainer.

``--data`` holds ``ChatbotData.csv`` (Q,A,label). Syllables are the tokens.
"""

import argparse
import csv
from pathlib import Path

import torch
from transformers import GPT2Config, GPT2LMHeadModel, Trainer, TrainingArguments

parser = argparse.ArgumentParser()
parser.add_argument("--data", type=Path, required=True)
parser.add_argument("--num_train_epochs", type=float, default=12)
parser.add_argument("--output_dir", default="chatbot")
args = parser.parse_args()
torch.manual_seed(0)

with open(args.data / "ChatbotData.csv", encoding="utf-8") as file:
    pairs = [row[:2] for row in list(csv.reader(file))[1:] if len(row) == 3]
texts = [f"{question}\t{answer}\n" for question, answer in pairs][:2400]
letters = sorted(set("".join(texts)))
number = {letter: i + 1 for i, letter in enumerate(letters)}
LENGTH = 48


def encoded(text):
    ids = [number[letter] for letter in text][:LENGTH]
    mask = [1] * len(ids) + [0] * (LENGTH - len(ids))
    ids += [0] * (LENGTH - len(ids))
    labels = [i if m else -100 for i, m in zip(ids, mask, strict=True)]
    return {"input_ids": ids, "attention_mask": mask, "labels": labels}


data = [encoded(text) for text in texts]
model = GPT2LMHeadModel(
    GPT2Config(vocab_size=len(letters) + 1, n_positions=LENGTH, n_embd=96, n_layer=2, n_head=4)
)
trainer = Trainer(
    model,
    TrainingArguments(
        args.output_dir,
        num_train_epochs=args.num_train_epochs,
        per_device_train_batch_size=16,
        per_device_eval_batch_size=64,
        learning_rate=1e-3,
        eval_strategy="epoch",
        save_strategy="epoch",
        save_total_limit=2,
        load_best_model_at_end=True,
        logging_steps=25,
        report_to=[],
        use_cpu=True,
    ),
    train_dataset=data[:2000],
    eval_dataset=data[2000:],
)
trainer.train()
trainer.save_model(args.output_dir + "/final")
print(trainer.evaluate())
