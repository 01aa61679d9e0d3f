"""Evaluate a loss, a metric of several values, and precision and recall of each digit, in one pass.

After each of five epochs there is a line for each digit, such as `[Precision: 97% Recall: 91% ] -> 8`. At the
end it says how often the held-out digits were passed through the network: once an epoch, though three
callbacks evaluate on them. The last lines are the digits that it is worst at, read from the archive.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
from sklearn.datasets import load_digits

from trainsignal import Callbacks, LossCallback, MetricCallback, MultiLabelStatsCallback, keys
from trainsignal.models.numpy_net import (
    Affine,
    ArrayIterator,
    Constant,
    CrossEntropyMulti,
    Gaussian,
    GeneralizedCost,
    GradientDescentMomentum,
    Model,
    PrecisionRecall,
    Rectlin,
    Softmax,
    TopKMisclassification,
)


class CountedSet(ArrayIterator):
    """A data set that counts how often it is passed through."""

    passes = 0

    def __iter__(self) -> Iterator[tuple[Any, Any]]:
        self.passes += 1
        return super().__iter__()


pixels, digits = load_digits(return_X_y=True)
order = np.random.default_rng(1234).permutation(len(digits))
pixels, digits = (pixels[order] / 16).astype(np.float32), digits[order]
train_set = ArrayIterator(pixels[:1440], digits[:1440], nclass=10)
valid_set = CountedSet(pixels[1440:], digits[1440:], nclass=10)

init = Gaussian(scale=0.1)
hidden = Affine(nout=32, init=init, bias=Constant(0), activation=Rectlin())
model = Model([hidden, Affine(nout=10, init=init, bias=Constant(0), activation=Softmax())])

callbacks = Callbacks(model, progress_bar=False)
callbacks.add_callback(LossCallback(valid_set))
callbacks.add_callback(MetricCallback(valid_set, TopKMisclassification(3)))
callbacks.add_callback(MultiLabelStatsCallback(valid_set, range(10), PrecisionRecall(10, binarize=True)))
model.fit(train_set, GeneralizedCost(CrossEntropyMulti()), GradientDescentMomentum(0.1, 0.9), 5, callbacks)
print(f"passes over the held-out digits: {valid_set.passes} in {callbacks.run.epochs_complete} epochs")
recall = {digit: callbacks.callback_data[keys.label_metric("Recall", str(digit))][-1] for digit in range(10)}
for digit in sorted(recall, key=recall.__getitem__)[:3]:
    print(f"of the {digit}s, {100 * recall[digit]:.1f} % were found")
