"""A loop as people write it: one line an epoch, nothing but print."""

import torch
from torch import nn

EPOCHS = 12
torch.manual_seed(0)
torch.set_num_threads(1)
x = torch.randn(8000, 64)
y = (x[:, :8].sum(1) > 0).long()
x_valid, y_valid = x[:600], y[:600]
model = nn.Sequential(
    nn.Linear(64, 256), nn.ReLU(), nn.Linear(256, 256), nn.ReLU(), nn.Linear(256, 2)
)
optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
criterion = nn.CrossEntropyLoss()

for epoch in range(1, EPOCHS + 1):
    model.train()
    total = 0.0
    for i in range(0, len(x), 8):
        optimizer.zero_grad()
        loss = criterion(model(x[i : i + 8]), y[i : i + 8])
        loss.backward()
        optimizer.step()
        total += loss.item()
    model.eval()
    with torch.no_grad():
        accuracy = (model(x_valid).argmax(1) == y_valid).float().mean().item()
    print(f"Epoch {epoch}/{EPOCHS} - train loss: {total / 1000:.4f}, val acc: {accuracy:.4f}")
print("Saved to nowhere. Best accuracy at epoch 3.")
