"""A bar over the epochs, an inner one over the batches that vanishes after each epoch."""

import numpy as np
from tqdm import tqdm, trange

rng = np.random.default_rng(0)
x_ND = rng.normal(size=(4000, 64))
y_N = (x_ND[:, :8].sum(1) > 0).astype(float)
weights_D = np.zeros(64)
for _ in trange(15):
    for i in tqdm(range(0, 4000), leave=False):
        score = 1 / (1 + np.exp(-x_ND[i : i + 1] @ weights_D))
        weights_D -= 0.01 * x_ND[i : i + 1].T @ (score - y_N[i : i + 1])
        np.linalg.norm(x_ND[:900] @ weights_D)
