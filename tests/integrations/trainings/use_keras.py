"""A Keras training that stops early: its validation is on noise."""

import keras
import numpy as np

import overnight
from overnight.integrations.keras import LedgerCallback

keras.utils.set_random_seed(0)
overnight.init("keras")
rng = np.random.default_rng(0)
model = keras.Sequential([keras.layers.Input((4,)), keras.layers.Dense(3, activation="softmax")])
model.compile("sgd", "sparse_categorical_crossentropy", metrics=["accuracy"])


class Worse(keras.callbacks.Callback):
    """What EarlyStopping sees gets worse from the second epoch on."""

    def on_epoch_end(self, epoch, logs=None):
        logs["val_loss"] = 1.0 + epoch


model.fit(
    rng.normal(size=(64, 4)),
    rng.integers(0, 3, 64),
    validation_split=0.25,
    batch_size=8,
    epochs=12,
    verbose=0,
    callbacks=[Worse(), LedgerCallback(), keras.callbacks.EarlyStopping("val_loss", patience=3)],
)
