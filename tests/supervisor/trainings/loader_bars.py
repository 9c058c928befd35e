"""Nothing but a bar over the loader, begun anew in every epoch; epochs from the command line."""

import argparse

import torch
from torch import nn
from tqdm import tqdm

parser = argparse.ArgumentParser()
parser.add_argument("--epochs", type=int, default=100)
args = parser.parse_args()
torch.manual_seed(0)
torch.set_num_threads(1)
x = torch.randn(9600, 64)
y = (x[:, :8].sum(1) > 0).long()
model = nn.Sequential(nn.Linear(64, 256), nn.ReLU(), nn.Linear(256, 2))
optimizer = torch.optim.SGD(model.parameters(), lr=1e-2)

for _ in range(args.epochs):
    bar = tqdm(range(0, len(x), 4), desc="training")
    for i in bar:
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model(x[i : i + 4]), y[i : i + 4])
        loss.backward()
        optimizer.step()
        if i % 800 == 0:
            bar.set_postfix(loss=f"{loss.item():.3f}")
