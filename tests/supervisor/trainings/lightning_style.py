"""A network trained in NumPy that draws Lightning's Rich bar: counted from 0, wrapped lines."""

import sys
import time

import numpy as np

EPOCHS, STEPS, BATCH = 7, 150, 32
rng = np.random.default_rng(0)
x_ND = rng.normal(size=(STEPS * BATCH, 128))
y_N = (x_ND[:, :8].sum(1) > 0).astype(float)
hidden_DH, out_H = rng.normal(size=(128, 256)) / 12, np.zeros(256)


def draw(words, step, steps, begun, name, value):
    """One frame, over the last one."""
    full = 16 * step // steps
    spent = int(time.time() - begun)
    left = int((time.time() - begun) / max(step, 1) * (steps - step))
    bar = f"\x1b[35m{'━' * full}\x1b[0m\x1b[35m╸\x1b[0m\x1b[90m{'━' * (16 - full)}\x1b[0m"
    sys.stdout.write(
        f"\r\x1b[2K\x1b[1A\x1b[2K{words} {bar} {step}/{steps} \x1b[2m0:00:{spent:02d} •       \x1b[0m"
        f" \x1b[2;4m84.05it/s\x1b[0m \x1b[3m{name}: {value:.3f}\x1b[0m\n"
        f"                        \x1b[2m0:00:{left:02d}         \x1b[0m"
    )
    sys.stdout.flush()


for epoch in range(EPOCHS):
    begun = drawn = time.time()
    for step in range(1, STEPS + 1):
        rows = slice((step - 1) * BATCH, step * BATCH)
        active_BH = np.maximum(x_ND[rows] @ hidden_DH, 0)
        score_B = 1 / (1 + np.exp(-np.clip(active_BH @ out_H, -30, 30)))
        error_B = score_B - y_N[rows]
        grad_DH = x_ND[rows].T @ ((active_BH > 0) * error_B[:, None] * out_H)
        out_H -= 0.01 * active_BH.T @ error_B / BATCH
        hidden_DH -= 0.01 * grad_DH / BATCH
        if step == STEPS or time.time() - drawn > 0.1:
            drawn = time.time()
            draw(f"Epoch {epoch}/{EPOCHS - 1} ", step, STEPS, begun, "train_loss", np.abs(error_B).mean())
    begun = time.time()
    for step in range(1, 41):
        score_N = np.maximum(x_ND[:1600] @ hidden_DH, 0) @ out_H
        if step % 10 == 0:
            draw("Validation ", step, 40, begun, "val_loss", np.abs((score_N > 0) - y_N[:1600]).mean())
print("\n`Trainer.fit` stopped: `max_epochs=7` reached.")
