"""A bar over the epochs, an inner one over the batches that vanishes after each epoch."""

import numpy as np
from tqdm import tqdm, trange

rng = np.random.default_rng(0)
x = rng.normal(size=(10000, 64))
y = (x[:, :8].sum(1) > 0).astype(float)
weights = np.zeros(64)
for _ in trange(15):
    for i in tqdm(range(10000), leave=False):
        score = 1 / (1 + np.exp(-x[i : i + 1] @ weights))
        weights -= 0.01 * x[i : i + 1].T @ (score - y[i : i + 1])
        np.linalg.norm(x[:900] @ weights)
