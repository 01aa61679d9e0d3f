"""XGBoost learns handwritten digits; what it evaluates anyway becomes series that callbacks read.

Each boosting round is an epoch. The loss on held-out digits is XGBoost's own "valid-mlogloss": training stops
when three rounds in a row were no improvement, the booster goes back to its best round, and that is what
`best.h5` and the archive `digits.h5` tell too. At the end the summary says which round it was.
"""

import numpy as np
import xgboost
from sklearn.datasets import load_digits

from trainsignal import Callbacks, CSVCallback, SaveBestStateCallback, StopWhenNotImprovingCallback
from trainsignal.loops.xgboost import XGBoostLoop
from trainsignal.models.xgboost import XGBoostModel

ROUNDS = 200

pixels, digits = load_digits(return_X_y=True)
order = np.random.default_rng(0).permutation(len(digits))
pixels, digits = pixels[order], digits[order]
train_set = xgboost.DMatrix(pixels[:400], digits[:400])
valid_set = xgboost.DMatrix(pixels[1400:], digits[1400:])
parameters = {
    "objective": "multi:softprob",
    "num_class": 10,
    "max_depth": 3,
    "eta": 0.8,
    "eval_metric": ["merror", "mlogloss"],
}

callbacks = Callbacks(XGBoostModel(), output_file="digits.h5", progress_bar=False)
callbacks.add_callback(SaveBestStateCallback("best.h5"))
callbacks.add_callback(StopWhenNotImprovingCallback("cost/loss", patience=3, restore_best=True))
callbacks.add_callback(CSVCallback("digits.csv"))

with callbacks:  # XGBoost tells its callbacks nothing when training raises
    booster = xgboost.train(
        parameters,
        train_set,
        ROUNDS,
        evals=[(valid_set, "valid")],
        verbose_eval=False,
        callbacks=[XGBoostLoop(callbacks, epochs=ROUNDS, loss="valid-mlogloss")],
    )

wrong = np.mean(booster.predict(valid_set).argmax(axis=1) != digits[1400:])
print(callbacks.summary())
print(
    f"{booster.num_boosted_rounds()} rounds are kept; {wrong:.1%} of the held-out digits are taken for others"
)
