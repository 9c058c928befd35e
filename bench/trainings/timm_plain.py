"""Image classification from scratch with timm's parts and the defaults of timm's own train.py.

``--data`` holds ``train/`` and ``validation/``, a folder for each class in both. Writes
``predictions.npz`` (of the best epoch) and ``times.json``.
"""

import argparse
import json
import time
from pathlib import Path

STARTED = time.time()

import numpy as np  # noqa: E402
import torch  # noqa: E402
from sklearn.metrics import f1_score  # noqa: E402
from timm import create_model  # noqa: E402
from timm.data import create_dataset, create_loader, resolve_data_config  # noqa: E402
from timm.loss import LabelSmoothingCrossEntropy  # noqa: E402
from timm.optim import create_optimizer_v2  # noqa: E402
from timm.scheduler import create_scheduler_v2  # noqa: E402
from timm.utils import random_seed  # noqa: E402

parser = argparse.ArgumentParser()
parser.add_argument("--data", type=Path, required=True)
parser.add_argument("--model", default="resnet18")
parser.add_argument("--img-size", type=int, default=64)
parser.add_argument("--epochs", type=int, required=True)
parser.add_argument("--seed", type=int, default=42)
parser.add_argument("--workers", type=int, default=1)
parser.add_argument("--output", type=Path, default=Path("outputs"))
# These are train.py's own, as of timm 1.0.
parser.add_argument("--batch-size", type=int, default=128)
parser.add_argument("--opt", default="sgd")
parser.add_argument("--momentum", type=float, default=0.9)
parser.add_argument("--weight-decay", type=float, default=2e-5)
parser.add_argument("--lr", type=float)
parser.add_argument("--lr-base", type=float, default=0.1)
parser.add_argument("--lr-base-size", type=int, default=256)
parser.add_argument("--warmup-lr", type=float, default=1e-5)
parser.add_argument("--warmup-epochs", type=int, default=5)
parser.add_argument("--scale", type=float, nargs=2, default=[0.08, 1.0])
parser.add_argument("--hflip", type=float, default=0.5)
parser.add_argument("--color-jitter", type=float, default=0.4)
parser.add_argument("--aa", default=None)
parser.add_argument("--reprob", type=float, default=0.0)
parser.add_argument("--train-interpolation", default="random")
parser.add_argument("--smoothing", type=float, default=0.1)
args = parser.parse_args()
args.output.mkdir(parents=True, exist_ok=True)

imported = time.time()
random_seed(args.seed)
device = torch.device("cpu")
num_classes = sum(1 for each in (args.data / "train").iterdir() if each.is_dir())
model = create_model(args.model, pretrained=False, num_classes=num_classes)
config = resolve_data_config({"img_size": args.img_size}, model=model)
shared = {
    "input_size": config["input_size"], "batch_size": args.batch_size, "mean": config["mean"],
    "std": config["std"], "num_workers": args.workers, "device": device,
}  # fmt: skip
train = create_loader(
    create_dataset("", root=str(args.data), split="train", is_training=True),
    is_training=True, scale=args.scale, hflip=args.hflip, color_jitter=args.color_jitter,
    auto_augment=args.aa, re_prob=args.reprob, interpolation=args.train_interpolation, **shared,
)  # fmt: skip
valid = create_loader(
    create_dataset("", root=str(args.data), split="validation"),
    interpolation=config["interpolation"], crop_pct=config["crop_pct"], **shared,
)  # fmt: skip

if args.lr is None:  # by the batch, or by its root for optimizers that adapt
    ratio = args.batch_size / args.lr_base_size
    args.lr = args.lr_base * (ratio**0.5 if "ada" in args.opt else ratio)
optimizer = create_optimizer_v2(
    model, opt=args.opt, lr=args.lr, weight_decay=args.weight_decay, momentum=args.momentum
)
# Five epochs of warm-up are meant for 300: of a short training they take a fifth here.
warmup_epochs = min(args.warmup_epochs, args.epochs // 5)
scheduler, _ = create_scheduler_v2(
    optimizer, sched="cosine", num_epochs=args.epochs, warmup_lr=args.warmup_lr,
    warmup_epochs=warmup_epochs,
)  # fmt: skip
loss_of = LabelSmoothingCrossEntropy(args.smoothing)

best, scores, ended = -1.0, [], []
for epoch in range(args.epochs):
    model.train()
    for images, targets in train:
        loss = loss_of(model(images), targets)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    model.eval()
    meant, found = [], []
    with torch.inference_mode():
        for images, targets in valid:
            found.append(model(images).argmax(1).numpy())
            meant.append(targets.numpy())
    meant, found = np.concatenate(meant), np.concatenate(found)
    scores.append(float(f1_score(meant, found, average="macro")))
    state = {"epoch": epoch, "state_dict": model.state_dict(), "optimizer": optimizer.state_dict()}
    torch.save(state, args.output / "last.pth.tar")
    if scores[-1] > best:
        best = scores[-1]
        torch.save(state, args.output / "model_best.pth.tar")
        np.savez(args.output / "predictions.npz", meant=meant, found=found)
    scheduler.step(epoch + 1)
    ended.append(time.time())
    print(f"epoch {epoch + 1}/{args.epochs} loss {loss.item():.3f} macro F1 {scores[-1]:.4f}")

times = {"started": STARTED, "imported": imported, "epochs_ended": ended, "macro_f1": scores}
(args.output / "times.json").write_text(json.dumps(times))
