"""다섯 폴드 교차 검증: 폴드마다 에폭을 처음부터 세며, 조기 종료가 있습니다."""

import numpy as np

NUM_FOLDS, EPOCHS, PATIENCE = 5, 12, 2
rng = np.random.default_rng(0)
x = rng.normal(size=(5000, 64))
y = ((x[:, :8].sum(1) > 0) ^ (rng.random(5000) < 0.2)).astype(float)
for fold in range(NUM_FOLDS):
    print(f"===== 폴드 {fold + 1}/{NUM_FOLDS} =====")
    held = np.arange(5000) % NUM_FOLDS == fold
    x_train, y_train = x[~held], y[~held]
    weights, best, waited = np.zeros(64), 1e9, 0
    for epoch in range(EPOCHS):
        for i in range(len(x_train)):
            score = 1 / (1 + np.exp(-np.clip(x_train[i] @ weights, -30, 30)))
            weights -= 0.05 * (score - y_train[i]) * x_train[i]
            np.dot(x_train[:900], weights)
        scores = 1 / (1 + np.exp(-np.clip(x[held] @ weights, -30, 30)))
        loss = float(np.mean((scores - y[held]) ** 2))
        print(f"에폭 {epoch + 1}/{EPOCHS} - 손실: {loss:.4f}")
        best, waited = (loss, 0) if loss < best else (best, waited + 1)
        if waited >= PATIENCE and epoch >= 5:
            print(f"조기 종료: {epoch + 1}번째 에폭에서 멈췄습니다.")
            break
