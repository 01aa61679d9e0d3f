"""Keras's own fit, with callbacks that were not written for Keras.

Keras evaluates; what it logs goes into the archive keras_digits.h5: its "val_loss" is the series "cost/loss"
that SaveBestStateCallback and StopWhenNotImprovingCallback read, its accuracy is "metrics/val_accuracy". The
best weights are in best.h5, and are loaded again at the end. Run it with KERAS_BACKEND=jax for the other
backend: all else stays the same.
"""

import os

os.environ.setdefault("KERAS_BACKEND", "torch")  # Keras reads it once, when it is imported

import keras
from sklearn.datasets import load_digits

from trainsignal import Callbacks, SaveBestStateCallback, StopWhenNotImprovingCallback
from trainsignal.checkpoint import load_state
from trainsignal.loops.keras import KerasLoop
from trainsignal.models.keras import KerasModel

pixels, digits = load_digits(return_X_y=True)
pixels = pixels.astype("float32") / 16
train_set, valid_set = (pixels[:1440], digits[:1440]), (pixels[1440:], digits[1440:])

keras.utils.set_random_seed(1)
network = keras.Sequential(
    [
        keras.Input((64,)),
        keras.layers.Dense(64, activation="relu"),
        keras.layers.Dropout(0.3),
        keras.layers.Dense(10, activation="softmax"),
    ]
)
network.compile(
    optimizer=keras.optimizers.Adam(0.01), loss="sparse_categorical_crossentropy", metrics=["accuracy"]
)

model = KerasModel(network)
callbacks = Callbacks(model, output_file="keras_digits.h5")
callbacks.add_callback(SaveBestStateCallback("best.h5"))
callbacks.add_callback(StopWhenNotImprovingCallback(patience=2))

with callbacks:
    network.fit(
        *train_set,
        validation_data=valid_set,
        batch_size=64,
        epochs=20,
        verbose=0,
        callbacks=[KerasLoop(callbacks)],
    )

print(callbacks.summary())
model.deserialize(load_state("best.h5"))
print(
    "accuracy with the best weights:", network.evaluate(*valid_set, verbose=0, return_dict=True)["accuracy"]
)
