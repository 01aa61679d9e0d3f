"""Stop a run at the right moment: when it gets no better, when it diverges, or when the time is up.

The run is asked for 1,000 epochs. It stops when the held-out loss has not improved for five epochs, and the
model has the weights of its best epoch again. A second run, with too large a learning rate, is stopped within
its first epoch, and says at which minibatch the cost was a number no more.
"""

import numpy as np
from sklearn.datasets import load_digits

from trainsignal import (
    Callbacks,
    StopOnNaNCallback,
    StopWhenNotImprovingCallback,
    TimeLimitCallback,
)
from trainsignal.models.numpy_net import (
    Affine,
    ArrayIterator,
    Constant,
    CrossEntropyMulti,
    Gaussian,
    GeneralizedCost,
    GradientDescentMomentum,
    Model,
    Rectlin,
    Softmax,
)

pixels, digits = load_digits(return_X_y=True)
order = np.random.default_rng(0).permutation(len(digits))
pixels, digits = (pixels[order] / 16).astype(np.float32), digits[order]
train_set = ArrayIterator(pixels[:400], digits[:400], nclass=10, batch_size=40)
valid_set = ArrayIterator(pixels[1440:], digits[1440:], nclass=10, batch_size=40)


def train(learning_rate: float) -> None:
    """Train until one of the three says that it is enough, and tell why."""
    weights = Gaussian(scale=0.1)
    layers = [
        Affine(32, init=weights, bias=Constant(0), activation=Rectlin()),
        Affine(10, init=weights, bias=Constant(0), activation=Softmax()),
    ]
    model = Model(layers)
    callbacks = Callbacks(model, eval_set=valid_set, eval_freq=1, progress_bar=False)
    callbacks.add_callback(StopWhenNotImprovingCallback("cost/loss", patience=5, restore_best=True))
    callbacks.add_callback(StopOnNaNCallback())
    callbacks.add_callback(TimeLimitCallback("1m"))
    optimizer = GradientDescentMomentum(learning_rate, momentum_coef=0.9)
    model.fit(train_set, GeneralizedCost(CrossEntropyMulti()), optimizer, 1000, callbacks)
    print(callbacks.summary(), end="\n\n")


train(learning_rate=0.2)
with np.errstate(all="ignore"):
    train(learning_rate=1e20)
