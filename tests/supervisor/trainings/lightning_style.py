"""A network trained in NumPy that draws Lightning's Rich bar: counted from 0, wrapped lines."""

import sys
import time

import numpy as np

EPOCHS, STEPS, BATCH = 7, 500, 32
rng = np.random.default_rng(0)
x = rng.normal(size=(STEPS * BATCH, 128))
y = (x[:, :8].sum(1) > 0).astype(float)
hidden, out = rng.normal(size=(128, 256)) / 12, np.zeros(256)


def draw(words, step, steps, begun, name, value):
    """One frame, over the last one."""
    full = 16 * step // steps
    spent = int(time.time() - begun)
    left = int((time.time() - begun) / max(step, 1) * (steps - step))
    bar = f"\x1b[35m{'━' * full}\x1b[0m\x1b[35m╸\x1b[0m\x1b[90m{'━' * (16 - full)}\x1b[0m"
    sys.stdout.write(
        f"\r\x1b[2K\x1b[1A\x1b[2K{words} {bar} {step}/{steps} "
        f"\x1b[2m0:00:{spent:02d} •       \x1b[0m"
        f" \x1b[2;4m84.05it/s\x1b[0m \x1b[3m{name}: {value:.3f}\x1b[0m\n"
        f"                        \x1b[2m0:00:{left:02d}         \x1b[0m"
    )
    sys.stdout.flush()


for epoch in range(EPOCHS):
    begun = drawn = time.time()
    for step in range(1, STEPS + 1):
        rows = slice((step - 1) * BATCH, step * BATCH)
        active = np.maximum(x[rows] @ hidden, 0)
        score = 1 / (1 + np.exp(-np.clip(active @ out, -30, 30)))
        error = score - y[rows]
        grad = x[rows].T @ ((active > 0) * error[:, None] * out)
        out -= 0.01 * active.T @ error / BATCH
        hidden -= 0.01 * grad / BATCH
        if step == STEPS or time.time() - drawn > 0.1:
            drawn = time.time()
            draw(
                f"Epoch {epoch}/{EPOCHS - 1} ",
                step,
                STEPS,
                begun,
                "train_loss",
                np.abs(error).mean(),
            )
    begun = time.time()
    for step in range(1, 121):
        scores = np.maximum(x[:1600] @ hidden, 0) @ out
        if step % 10 == 0:
            draw(
                "Validation ",
                step,
                120,
                begun,
                "val_loss",
                np.abs((scores > 0) - y[:1600]).mean(),
            )
print("\n`Trainer.fit` stopped: `max_epochs=7` reached.")
