"""Image classification: a small ResNet on JPEGs listed in a CSV, with data loader workers.

``--data`` holds ``train.csv`` (ID,target), ``train/`` with the pictures.
"""

import argparse
import csv
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import nn
from torch.utils.data import DataLoader, Dataset

parser = argparse.ArgumentParser()
parser.add_argument("--data", type=Path, required=True)
parser.add_argument("--epochs", type=int, default=36)
parser.add_argument("--batch-size", type=int, default=32)
parser.add_argument("--workers", type=int, default=2)
parser.add_argument("--output", type=Path, default=Path("outputs"))
args = parser.parse_args()
torch.manual_seed(0)


class Pictures(Dataset):
    """Pictures and their classes, flipped at random for training."""

    def __init__(self, rows, train):
        self.rows, self.train = rows, train

    def __len__(self):
        return len(self.rows)

    def __getitem__(self, i):
        name, target = self.rows[i]
        pixels = np.asarray(Image.open(args.data / "train" / name).convert("RGB"), np.float32)
        if self.train and np.random.rand() < 0.5:
            pixels = pixels[:, ::-1].copy()
        return torch.from_numpy(pixels).permute(2, 0, 1) / 127.5 - 1, int(target)


class Block(nn.Module):
    """Two convolutions and a way around them."""

    def __init__(self, num_in, num_out, stride):
        super().__init__()
        self.path = nn.Sequential(
            nn.Conv2d(num_in, num_out, 3, stride, 1, bias=False), nn.BatchNorm2d(num_out),
            nn.ReLU(),
            nn.Conv2d(num_out, num_out, 3, 1, 1, bias=False), nn.BatchNorm2d(num_out),
        )  # fmt: skip
        self.way = nn.Conv2d(num_in, num_out, 1, stride) if stride > 1 else nn.Identity()

    def forward(self, x):
        return torch.relu(self.path(x) + self.way(x))


with open(args.data / "train.csv") as file:
    rows = list(csv.reader(file))[1:]
train_loader = DataLoader(
    Pictures(rows[:1600], True), args.batch_size, shuffle=True, num_workers=args.workers
)
valid_loader = DataLoader(Pictures(rows[1600:2000], False), 100, num_workers=args.workers)
model = nn.Sequential(
    nn.Conv2d(3, 16, 3, padding=1), Block(16, 16, 1), Block(16, 32, 2), Block(32, 64, 2),
    nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 10),
)  # fmt: skip
optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9, weight_decay=5e-4)
scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, args.epochs)
args.output.mkdir(exist_ok=True)


def evaluate():
    model.eval()
    predictions, targets = [], []
    with torch.no_grad():
        for images, labels in valid_loader:
            predictions.append(model(images).argmax(1))
            targets.append(labels)
    predictions, targets = torch.cat(predictions), torch.cat(targets)
    return predictions, (predictions == targets).float().mean().item()


best = 0.0
for epoch in range(1, args.epochs + 1):
    model.train()
    total = 0.0
    for images, labels in train_loader:
        loss = nn.functional.cross_entropy(model(images), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        total += loss.item()
    scheduler.step()
    predictions, accuracy = evaluate()
    print(
        f"Epoch {epoch}/{args.epochs} train_loss {total / len(train_loader):.4f} "
        f"accuracy {accuracy:.4f}"
    )
    if accuracy > best:
        best = accuracy
        torch.save(model.state_dict(), args.output / "best.pt")
with open(args.output / "predictions.csv", "w") as file:
    file.write("ID,target\n")
    for (name, _), prediction in zip(rows[1600:2000], predictions.tolist(), strict=True):
        file.write(f"{name},{prediction}\n")
