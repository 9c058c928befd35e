"""다섯 폴드 교차 검증: 폴드마다 에폭을 처음부터 세며, 조기 종료가 있습니다."""

import numpy as np

NUM_FOLDS, EPOCHS, PATIENCE = 5, 12, 2
rng = np.random.default_rng(0)
x_ND = rng.normal(size=(2000, 64))
y_N = ((x_ND[:, :8].sum(1) > 0) ^ (rng.random(2000) < 0.2)).astype(float)
for fold in range(NUM_FOLDS):
    print(f"===== 폴드 {fold + 1}/{NUM_FOLDS} =====")
    held_N = np.arange(2000) % NUM_FOLDS == fold
    train_ND, train_N = x_ND[~held_N], y_N[~held_N]
    weights_D, best, waited = np.zeros(64), 1e9, 0
    for epoch in range(EPOCHS):
        for i in range(0, len(train_ND), 1):
            score = 1 / (1 + np.exp(-np.clip(train_ND[i] @ weights_D, -30, 30)))
            weights_D -= 0.05 * (score - train_N[i]) * train_ND[i]
            np.dot(train_ND[:900], weights_D)
        score_N = 1 / (1 + np.exp(-np.clip(x_ND[held_N] @ weights_D, -30, 30)))
        loss = float(np.mean((score_N - y_N[held_N]) ** 2))
        print(f"에폭 {epoch + 1}/{EPOCHS} - 손실: {loss:.4f}")
        best, waited = (loss, 0) if loss < best else (best, waited + 1)
        if waited >= PATIENCE and epoch >= 5:
            print(f"조기 종료: {epoch + 1}번째 에폭에서 멈췄습니다.")
            break
