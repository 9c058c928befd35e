"""A network trained in NumPy that draws what Keras 3 draws, colours and backspaces included."""

import sys
import time

import numpy as np

EPOCHS, STEPS, BATCH = 8, 300, 32
rng = np.random.default_rng(0)
x_ND = rng.normal(size=(STEPS * BATCH, 128))
y_N = (x_ND[:, :8].sum(1) > 0).astype(float)
hidden_DH, out_H = rng.normal(size=(128, 256)) / 12, np.zeros(256)


def forward(batch_BD):
    """Activations and scores."""
    active_BH = np.maximum(batch_BD @ hidden_DH, 0)
    return active_BH, 1 / (1 + np.exp(-np.clip(active_BH @ out_H, -30, 30)))


for epoch in range(EPOCHS):
    print(f"Epoch {epoch + 1}/{EPOCHS}")
    start = drawn = time.time()
    width = 0
    for step in range(1, STEPS + 1):
        rows = slice((step - 1) * BATCH, step * BATCH)
        active_BH, score_B = forward(x_ND[rows])
        error_B = score_B - y_N[rows]
        grad_DH = x_ND[rows].T @ ((active_BH > 0) * error_B[:, None] * out_H)
        out_H -= 0.01 * active_BH.T @ error_B / BATCH
        hidden_DH -= 0.01 * grad_DH / BATCH
        loss = -np.mean(np.log(np.where(y_N[rows] > 0, score_B, 1 - score_B) + 1e-9))
        last = step == STEPS
        if not last and time.time() - drawn < 0.05:
            continue
        drawn = time.time()
        metrics = f" - accuracy: {np.mean((score_B > 0.5) == y_N[rows]):.4f} - loss: {loss:.4f}"
        if last:
            _, score_N = forward(x_ND)
            metrics += f" - val_accuracy: {np.mean((score_N > 0.5) == y_N):.4f} - val_loss: {loss:.4f}"
        done = 20 * step // STEPS
        per_step = (drawn - start) / step
        left = f"{drawn - start:.0f}s" if last else f"{int(per_step * (STEPS - step))}s"
        bar = f"\x1b[1m{step:3d}/{STEPS}\x1b[0m \x1b[32m{'━' * done}\x1b[0m\x1b[37m{'━' * (20 - done)}\x1b[0m"
        line = f"{bar} \x1b[1m{left}\x1b[0m {per_step * 1000:.0f}ms/step{metrics}"
        sys.stdout.write("\b" * width + "\r" + line + ("\n" if last else ""))
        sys.stdout.flush()
        width = len(line) - 33
