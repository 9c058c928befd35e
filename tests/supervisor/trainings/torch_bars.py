"""A heading, a bar for training and one for validation in each epoch, the bars without words."""

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset
from tqdm import tqdm

num_epochs = 8
torch.manual_seed(0)
torch.set_num_threads(1)
x = torch.randn(12800, 64)
y = (x[:, :8].sum(1) > 0).long()
train = DataLoader(TensorDataset(x, y), batch_size=8, shuffle=True)
valid = DataLoader(TensorDataset(x[:6400], y[:6400]), batch_size=8)
model = nn.Sequential(nn.Linear(64, 256), nn.ReLU(), nn.Linear(256, 2))
optimizer = torch.optim.SGD(model.parameters(), lr=1e-2)
criterion = nn.CrossEntropyLoss()

for epoch in range(num_epochs):
    print(f"Epoch {epoch}/{num_epochs - 1}")
    print("-" * 10)
    for images, labels in tqdm(train):
        optimizer.zero_grad()
        loss = criterion(model(images), labels)
        loss.backward()
        optimizer.step()
    correct = 0
    with torch.no_grad():
        for images, labels in tqdm(valid):
            correct += int((model(images).argmax(1) == labels).sum())
    print(f"val Loss: {loss.item():.4f} Acc: {correct / 6400:.4f}")
