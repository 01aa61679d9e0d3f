"""Fits of Keras on JAX by one and by two devices, which a test starts: `keras_devices_program.py FOLDER`.

The second device is an XLA device of the host, for which the environment asks. Leaves FOLDER/devices.json.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import jax
import keras
import numpy as np

from tests.support.rank_program import BATCH, SAMPLES, Fate, data
from trainsignal import Callbacks
from trainsignal.loops.keras import KerasLoop
from trainsignal.models.keras import KerasModel

EVALUATED = 48
"""Samples, in two minibatches; Keras wants the size of each to be a multiple of the number of devices."""


def fit(archive: Path, fate: dict[str, Any]) -> dict[str, Any]:
    """Train for three epochs, and return what became of it."""
    keras.utils.set_random_seed(0)
    inputs, targets = data()
    model = keras.Sequential([keras.Input((5,)), keras.layers.Dense(8, "tanh"), keras.layers.Dense(1)])
    model.compile(optimizer=keras.optimizers.SGD(0.01), loss="mse")
    held_out = (inputs[-EVALUATED:], targets[-EVALUATED:])
    eval_set = list(zip(*(np.split(array, 2) for array in held_out), strict=True))
    callbacks = Callbacks(
        KerasModel(model), output_file=archive, save_path=archive.with_suffix(".keras.h5"),
        progress_bar=False, eval_set=eval_set, eval_freq=1,
    )  # fmt: skip
    callbacks.add_callback(Fate(fate, 0))
    told: dict[str, Any] = {"error": None}
    try:
        with callbacks:
            history = model.fit(
                inputs[:SAMPLES], targets[:SAMPLES], batch_size=BATCH, epochs=3, shuffle=False, verbose=0,
                validation_data=held_out, validation_batch_size=EVALUATED // 2,
                callbacks=[KerasLoop(callbacks)],
            )  # fmt: skip
        told["val_loss"] = history.history["val_loss"]
    except ValueError as error:
        told["error"] = str(error)
    run = callbacks.run
    weights = [one.value for one in model.trainable_variables]
    return {
        **told, "reason": run.exit_reason, "done": run.minibatches_done, "ranks": run.ranks is not None,
        "devices": len(weights[0].sharding.device_set),
        "loss": callbacks.callback_data["cost/loss"][:].tolist(),
        "train": callbacks.callback_data["cost/train"][: run.minibatches_done].tolist(),
    }  # fmt: skip


def main() -> None:
    folder = Path(sys.argv[1])
    told: dict[str, Any] = {"visible": len(jax.devices()), "one": fit(folder / "one.h5", {})}
    keras.distribution.set_distribution(
        keras.distribution.DataParallel(devices=keras.distribution.list_devices())
    )
    fates = {
        "two": {},
        "stopped": {"do": "stop", "rank": 0, "epoch": 1, "minibatch": 1},
        "failed": {"do": "raise", "rank": 0, "epoch": 1, "minibatch": 1},
    }
    told |= {name: fit(folder / f"{name}.h5", fate) for name, fate in fates.items()}
    (folder / "devices.json").write_text(json.dumps(told))


if __name__ == "__main__":
    main()
