"""LightGBM learns handwritten digits, is cut short, and goes on from the checkpoint as if it had not been.

Each boosting round is an epoch, and the first metric of the first validation set is the loss. The first run
is stopped after 8 of 20 rounds. The second, with `resume=True`, does the other 12: LightGBM is given the
rounds of the checkpoint as `init_model`, and the archive `digits.h5` has all 20. A run in one piece has the
same losses.
"""

import lightgbm
import numpy as np
from sklearn.datasets import load_digits

from trainsignal import Callbacks
from trainsignal.loops.lightgbm import LightGBMLoop
from trainsignal.models.lightgbm import LightGBMModel, saved_booster

pixels, digits = load_digits(return_X_y=True)
order = np.random.default_rng(0).permutation(len(digits))
pixels, digits = pixels[order], digits[order]
parameters = {
    "objective": "multiclass",
    "num_class": 10,
    "num_leaves": 8,
    "deterministic": True,
    "verbosity": -1,
}


def train(path: str | None, stop_after: int | None = None) -> Callbacks:
    """Train 20 rounds, with checkpoints at `path`, going on from the one that is there."""
    train_set = lightgbm.Dataset(pixels[:600], digits[:600])
    valid_set = lightgbm.Dataset(pixels[1400:], digits[1400:], reference=train_set)
    archive = None if path is None else "digits.h5"
    callbacks = Callbacks(
        LightGBMModel(), save_path=path, resume=path is not None, output_file=archive, progress_bar=False
    )
    if stop_after is not None:
        callbacks.bus.subscribe("epoch_end", lambda: callbacks.stop("a cut"), at=[stop_after - 1])
    with callbacks:  # LightGBM tells its callbacks nothing when training raises
        lightgbm.train(
            parameters,
            train_set,
            20,
            valid_sets=[valid_set],
            init_model=None if path is None else saved_booster(path),
            callbacks=[*LightGBMLoop(callbacks)],
        )
    return callbacks


print(train("model.h5", stop_after=8).summary(), end="\n\n")
resumed = train("model.h5")
whole = train(None)
is_same = np.array_equal(resumed.callback_data["cost/loss"], whole.callback_data["cost/loss"])
print(resumed.summary())
print("the losses are those of a run in one piece" if is_same else "the losses differ")
