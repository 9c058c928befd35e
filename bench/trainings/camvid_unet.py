"""Semantic segmentation: a small U-Net on street scenes, a bar over the epochs and one inside.

``--data`` holds ``{train,val}/{images,masks}``; class 11 is not counted.
"""

import argparse
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import nn
from torch.utils.data import DataLoader, Dataset
from tqdm import tqdm

EPOCHS = 90
VOID = 11
parser = argparse.ArgumentParser()
parser.add_argument("--data", type=Path, required=True)
args = parser.parse_args()
torch.manual_seed(0)


class Streets(Dataset):
    """Scenes at a quarter of their size; all are read at the start."""

    def __init__(self, part):
        self.items = []
        for path in sorted((args.data / part / "images").iterdir()):
            image = Image.open(path).convert("RGB").resize((120, 88))
            mask = Image.open(args.data / part / "masks" / path.name).resize((120, 88), 0)
            self.items.append(
                (
                    torch.from_numpy(np.array(image)).permute(2, 0, 1).float() / 255,
                    torch.from_numpy(np.array(mask)).long(),
                )
            )

    def __len__(self):
        return len(self.items)

    def __getitem__(self, i):
        return self.items[i]


def double(num_in, num_out):
    return nn.Sequential(
        nn.Conv2d(num_in, num_out, 3, padding=1), nn.BatchNorm2d(num_out), nn.ReLU(),
        nn.Conv2d(num_out, num_out, 3, padding=1), nn.BatchNorm2d(num_out), nn.ReLU(),
    )  # fmt: skip


class UNet(nn.Module):
    """Three levels."""

    def __init__(self):
        super().__init__()
        self.a, self.b, self.c = double(3, 12), double(12, 24), double(24, 48)
        self.up_b, self.up_a = nn.ConvTranspose2d(48, 24, 2, 2), nn.ConvTranspose2d(24, 12, 2, 2)
        self.d, self.e = double(48, 24), double(24, 12)
        self.out = nn.Conv2d(12, 11, 1)

    def forward(self, x):
        a = self.a(x)
        b = self.b(nn.functional.max_pool2d(a, 2))
        c = self.c(nn.functional.max_pool2d(b, 2))
        x = self.d(torch.cat([self.up_b(c), b], 1))
        return self.out(self.e(torch.cat([self.up_a(x), a], 1)))


train_loader = DataLoader(Streets("train"), 4, shuffle=True, drop_last=True)
valid_loader = DataLoader(Streets("val"), 4)
model = UNet()
optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
criterion = nn.CrossEntropyLoss(ignore_index=VOID)
history = []

for epoch in tqdm(range(EPOCHS), desc="epochs"):
    model.train()
    for images, masks in train_loader:
        loss = criterion(model(images), masks)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
    model.eval()
    inter = union = torch.zeros(11)
    with torch.inference_mode():
        for images, masks in valid_loader:
            guess = model(images).argmax(1)
            for c in range(11):
                known = masks != VOID
                inter = (
                    inter
                    + nn.functional.one_hot(torch.tensor(c), 11)
                    * ((guess == c) & (masks == c)).sum()
                )
                union = union + nn.functional.one_hot(torch.tensor(c), 11) * (
                    (((guess == c) & known) | (masks == c)).sum()
                )
    miou = (inter / union.clamp(min=1)).mean().item()
    history.append(miou)
    tqdm.write(f"epoch {epoch + 1} loss {loss.item():.4f} val_miou {miou:.4f}")
    torch.save({"model": model.state_dict(), "epoch": epoch}, "unet_last.pt")
    if miou == max(history):
        torch.save(model.state_dict(), "unet_best.pt")

np.save("history.npy", np.array(history))
