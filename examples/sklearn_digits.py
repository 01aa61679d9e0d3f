"""Train a network of scikit-learn minibatch by minibatch, with callbacks around `partial_fit`.

After each epoch the held-out loss and accuracy are computed in one pass. There are few digits to learn from,
so the loss gets worse again after a while. The run stops when it has not improved for five epochs, and the
network then has the weights of its best epoch again. "sklearn_digits.h5" holds the series.
"""

from functools import partial

import numpy as np
from sklearn.datasets import load_digits
from sklearn.metrics import accuracy_score, log_loss
from sklearn.neural_network import MLPClassifier

from trainsignal import Callbacks, MetricCallback, StopWhenNotImprovingCallback
from trainsignal.models.sklearn import SklearnModel

pixels, digits = load_digits(return_X_y=True)
order = np.random.default_rng(0).permutation(len(digits))
pixels, digits, classes = pixels[order] / 16, digits[order], np.unique(digits)
train_set = [(pixels[start : start + 25], digits[start : start + 25]) for start in range(0, 200, 25)]
valid_set = [(pixels[1000:], digits[1000:])]

network = MLPClassifier((64,), learning_rate_init=0.01, random_state=0)
model = SklearnModel(network, loss=partial(log_loss, labels=classes))
callbacks = Callbacks(
    model, eval_set=valid_set, eval_freq=1, output_file="sklearn_digits.h5", progress_bar=False
)
callbacks.add_callback(MetricCallback(valid_set, model.metric(accuracy_score, direction="max")))
callbacks.add_callback(StopWhenNotImprovingCallback(patience=5, restore_best=True))

with callbacks.training(epochs=100) as run:
    for _ in run.epochs():
        for x, y in run.minibatches(train_set):
            network.partial_fit(x, y, classes=classes)
            run.cost = network.loss_

print(callbacks.summary())
print(f"accuracy on held-out digits: {network.score(*valid_set[0]):.3f}")
