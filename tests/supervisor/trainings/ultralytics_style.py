"""A network trained in NumPy that prints what Ultralytics prints, validation included."""

import sys
import time

import numpy as np

EPOCHS, STEPS, BATCH = 8, 400, 32
rng = np.random.default_rng(0)
x = rng.normal(size=(STEPS * BATCH, 128))
y = (x[:, :8].sum(1) > 0).astype(float)
hidden, out = rng.normal(size=(128, 256)) / 12, np.zeros(256)


def draw(words, step, steps, begun):
    """One frame, over the last one."""
    spent = time.time() - begun
    full = 12 * step // steps
    bar = "━" * full + "─" * (12 - full)
    left = "" if step == steps else f"<{spent / step * (steps - step):.1f}s"
    rate = f"{step / max(spent, 1e-3):.1f}it/s"
    sys.stdout.write(
        f"\r\x1b[K{words}: {100 * step // steps}% {bar} {step}/{steps} {rate} {spent:.1f}s{left}"
    )
    sys.stdout.flush()


print(
    "\x1b[34m\x1b[1mtrain: \x1b[0mScanning labels.cache... 128 images, 0 corrupt: "
    "100% ━━━━━━━━━━━━ 128/128 0.0s"
)
print(f"Starting training for {EPOCHS} epochs...")
for epoch in range(EPOCHS):
    print("\n      Epoch    GPU_mem   box_loss   cls_loss   dfl_loss  Instances       Size")
    begun = drawn = time.time()
    for step in range(1, STEPS + 1):
        rows = slice((step - 1) * BATCH, step * BATCH)
        active = np.maximum(x[rows] @ hidden, 0)
        error = 1 / (1 + np.exp(-np.clip(active @ out, -30, 30))) - y[rows]
        grad = x[rows].T @ ((active > 0) * error[:, None] * out)
        out -= 0.01 * active.T @ error / BATCH
        hidden -= 0.01 * grad / BATCH
        if step == STEPS or time.time() - drawn > 0.1:
            drawn = time.time()
            loss = np.abs(error).mean()
            numbers = f"{loss:>11.4g}{loss:>11.4g}{1.1:>11}{8:>11}{640:>11}"
            words = f"{epoch + 1:>9}/{EPOCHS}{'0G':>11}{numbers}"
            draw(words, step, STEPS, begun)
    print()
    begun = time.time()
    names = ("Images", "Instances", "Box(P", "R", "mAP50", "mAP50-95)")
    words = f"{'Class':>22}" + "".join(f"{name:>11}" for name in names)
    for step in range(1, 121):
        accuracy = np.mean((np.maximum(x[:1600] @ hidden, 0) @ out > 0) == y[:1600])
        if step % 10 == 0:
            draw(words, step, 120, begun)
    print(f"\n{'all':>22}{128:>11}{929:>11}{accuracy:>11.3g}{0.5:>11}{0.6:>11}{0.4:>11}")
print(f"\n{EPOCHS} epochs completed in 0.002 hours.")
