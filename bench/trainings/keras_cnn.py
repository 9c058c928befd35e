"""Image classification with Keras 3 and early stopping.

``--data`` holds ``train.csv`` (ID,target), ``train/`` with the pictures.
"""

import argparse
import csv
from pathlib import Path

import keras
import numpy as np
from PIL import Image

parser = argparse.ArgumentParser()
parser.add_argument("--data", type=Path, required=True)
parser.add_argument("--epochs", type=int, default=12)
args = parser.parse_args()
keras.utils.set_random_seed(0)

with open(args.data / "train.csv") as file:
    rows = list(csv.reader(file))[1:2001]
x = np.stack(
    [np.asarray(Image.open(args.data / "train" / name).convert("RGB")) for name, _ in rows]
)
y = np.array([int(target) for _, target in rows])
layers = keras.layers
model = keras.Sequential(
    [
        keras.Input((32, 32, 3)), layers.Rescaling(1 / 255),
        layers.Conv2D(24, 3, activation="relu"), layers.MaxPooling2D(),
        layers.Conv2D(48, 3, activation="relu"), layers.MaxPooling2D(),
        layers.Flatten(), layers.Dropout(0.3), layers.Dense(10, activation="softmax"),
    ]
)  # fmt: skip
model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
model.fit(
    x[:1600], y[:1600], batch_size=32, epochs=args.epochs, validation_data=(x[1600:], y[1600:]),
    callbacks=[
        keras.callbacks.EarlyStopping(patience=50, restore_best_weights=True),
        keras.callbacks.ModelCheckpoint("best.keras", save_best_only=True),
    ],
)  # fmt: skip
model.save("final.keras")
