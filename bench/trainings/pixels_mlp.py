"""scikit-learn in a loop of one's own: a perceptron on raw pixels, one pass over them an epoch.

``--data`` holds ``train.csv`` (ID,target), ``train/`` with the pictures.
"""

import argparse
import csv
import time
from pathlib import Path

import joblib
import numpy as np
from PIL import Image
from sklearn.metrics import accuracy_score, f1_score
from sklearn.neural_network import MLPClassifier

N_EPOCHS = 250
parser = argparse.ArgumentParser()
parser.add_argument("--data", type=Path, required=True)
args = parser.parse_args()
rng = np.random.default_rng(0)

with open(args.data / "train.csv") as file:
    rows = list(csv.reader(file))[1:2101]
pictures = [Image.open(args.data / "train" / name).convert("RGB") for name, _ in rows]
x = np.stack([np.asarray(each, np.float32).ravel() / 255 for each in pictures])
y = np.array([int(target) for _, target in rows])
x_train, y_train, x_valid, y_valid = x[:1700], y[:1700], x[1700:2100], y[1700:2100]
model = MLPClassifier((256, 128), learning_rate_init=5e-4, batch_size=64, random_state=0)
log = []
for e in range(N_EPOCHS):
    begun = time.time()
    order = rng.permutation(len(x_train))
    for start in range(0, len(order), 850):
        part = order[start : start + 850]
        model.partial_fit(x_train[part], y_train[part], classes=range(10))
    guess = model.predict(x_valid)
    accuracy, f1 = accuracy_score(y_valid, guess), f1_score(y_valid, guess, average="macro")
    log.append([e, accuracy, f1])
    print(f"[{e + 1:3d}/{N_EPOCHS}] acc={accuracy:.3f} f1={f1:.3f} ({time.time() - begun:.1f}s)")
joblib.dump(model, "mlp.joblib")
np.savetxt("log.csv", log, delimiter=",", header="epoch,accuracy,f1", comments="")
