"""A network trained in NumPy that draws what Keras 3 draws, colours and backspaces included."""

import sys
import time

import numpy as np

EPOCHS, STEPS, BATCH = 8, 900, 32
rng = np.random.default_rng(0)
x = rng.normal(size=(STEPS * BATCH, 128))
y = (x[:, :8].sum(1) > 0).astype(float)
hidden, out = rng.normal(size=(128, 256)) / 12, np.zeros(256)


def forward(batch):
    """Activations and scores."""
    active = np.maximum(batch @ hidden, 0)
    return active, 1 / (1 + np.exp(-np.clip(active @ out, -30, 30)))


for epoch in range(EPOCHS):
    print(f"Epoch {epoch + 1}/{EPOCHS}")
    start = drawn = time.time()
    width = 0
    for step in range(1, STEPS + 1):
        rows = slice((step - 1) * BATCH, step * BATCH)
        active, score = forward(x[rows])
        error = score - y[rows]
        grad = x[rows].T @ ((active > 0) * error[:, None] * out)
        out -= 0.01 * active.T @ error / BATCH
        hidden -= 0.01 * grad / BATCH
        loss = -np.mean(np.log(np.where(y[rows] > 0, score, 1 - score) + 1e-9))
        last = step == STEPS
        if not last and time.time() - drawn < 0.05:
            continue
        drawn = time.time()
        metrics = f" - accuracy: {np.mean((score > 0.5) == y[rows]):.4f} - loss: {loss:.4f}"
        if last:
            _, scores = forward(x)
            metrics += f" - val_accuracy: {np.mean((scores > 0.5) == y):.4f} - val_loss: {loss:.4f}"
        done = 20 * step // STEPS
        per_step = (drawn - start) / step
        left = f"{drawn - start:.0f}s" if last else f"{int(per_step * (STEPS - step))}s"
        bar = f"\x1b[32m{'━' * done}\x1b[0m\x1b[37m{'━' * (20 - done)}\x1b[0m"
        bar = f"\x1b[1m{step:3d}/{STEPS}\x1b[0m {bar}"
        line = f"{bar} \x1b[1m{left}\x1b[0m {per_step * 1000:.0f}ms/step{metrics}"
        sys.stdout.write("\b" * width + "\r" + line + ("\n" if last else ""))
        sys.stdout.flush()
        width = len(line) - 33
