"""Watch what a model makes of a sequence while it learns to be an echo.

Each bit of a sequence is to be repeated two steps later; the model sees the last three. After the first and
the last epoch, inputs, outputs and targets of one sequence are shown, cut to its length: the outputs, at
first all near 0.5, have become the targets.
"""

import logging
import sys
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import numpy as np

from trainsignal import Callbacks, WatchTickerCallback

SEQUENCES, STEPS, DELAY = 16, 12, 2
logging.basicConfig(format="%(message)s", stream=sys.stdout)


class EchoTask:
    """Minibatches of (inputs, (targets, mask)), each (1, steps * sequences), of 6 to 12 steps."""

    batch_size = SEQUENCES

    def __init__(self, minibatches: int, seed: int) -> None:
        self.minibatches, self.seed = minibatches, seed

    def __iter__(self) -> Iterator[Any]:
        random = np.random.default_rng(self.seed)
        for _ in range(self.minibatches):
            bits = random.integers(0, 2, (STEPS, SEQUENCES)).astype(np.float64)
            echo = np.concatenate([np.zeros((DELAY, SEQUENCES)), bits[:-DELAY]])
            mask = np.arange(STEPS * SEQUENCES) < random.integers(6, STEPS + 1) * SEQUENCES
            yield bits.reshape(1, -1), (echo.reshape(1, -1), mask.reshape(1, -1))


def window(x: Any) -> Any:
    """Return the inputs of each step and of those before, and 1: (features, columns)."""
    earlier = [np.pad(x, ((0, 0), (step * SEQUENCES, 0)))[:, : x.shape[1]] for step in range(DELAY + 1)]
    return np.concatenate([*earlier, np.ones_like(x)])


def outputs(x: Any, inference: bool = False) -> Any:
    """Return the model's outputs, a logistic function of the last inputs: (1, steps * sequences)."""
    return 1 / (1 + np.exp(-weights @ window(x)))


weights, train_set = np.zeros((1, DELAY + 2)), EchoTask(10, seed=0)
model = SimpleNamespace(fprop=outputs)
callbacks = Callbacks(model, progress_bar=False)
callbacks.callbacks = [WatchTickerCallback(model, EchoTask(1, seed=1), epoch_freq=[0, 99])]
with callbacks.training(epochs=100) as run:
    for _ in run.epochs():
        for inputs, (targets, mask) in run.minibatches(train_set):
            error = (outputs(inputs) - targets) * mask
            weights -= 0.5 * error @ window(inputs).T / mask.sum()
