"""Train a network with two branches, and keep a record of the cost of each.

One hidden layer serves two tasks on handwritten digits: which digit it is, and whether it is odd. The lines
show both costs, smoothed over ten minibatches, the digit's first: both fall.
"""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from sklearn.datasets import load_digits

from trainsignal import Callbacks, ProgressBarCallback, TrainMulticostCallback


@dataclass
class Cost:
    """A cost, and its branches."""

    cost: float = 0.0
    costs: list["Cost"] = field(default_factory=list)


class TwoTasks:
    """64 pixels, 32 hidden units, and two heads of ten and two outputs: digit and parity."""

    def __init__(self) -> None:
        random = np.random.default_rng(0)
        self.hidden = 0.1 * random.standard_normal((64, 32))
        self.heads = [0.1 * random.standard_normal((32, classes)) for classes in (10, 2)]
        self.cost = Cost(costs=[Cost(), Cost()])

    def train(self, pixels: Any, labels: list[Any], rate: float = 0.1) -> None:
        """Take one step on pixels, (samples, 64), and the labels of each task, (samples,)."""
        units = np.maximum(pixels @ self.hidden, 0)
        error = np.zeros_like(units)
        for branch, head, label in zip(self.cost.costs, self.heads, labels, strict=True):
            scores = np.exp(units @ head)
            chances = scores / scores.sum(axis=1, keepdims=True)
            branch.cost = float(-np.log(chances[np.arange(len(label)), label]).mean())
            slope = (chances - np.eye(head.shape[1])[label]) / len(label)
            error += slope @ head.T
            head -= rate * units.T @ slope
        self.hidden -= rate * pixels.T @ (error * (units > 0))
        self.cost.cost = sum(branch.cost for branch in self.cost.costs)


pixels, digits = load_digits(return_X_y=True)
model = TwoTasks()
callbacks = Callbacks(model, progress_bar=False)
callbacks.callbacks = [TrainMulticostCallback(), ProgressBarCallback()]
with callbacks.training(epochs=20) as run:
    for _ in run.epochs():
        for rows in run.minibatches(np.array_split(np.arange(len(digits)), 56)):
            model.train(pixels[rows] / 16, [digits[rows], digits[rows] % 2])

digit, parity = callbacks.callback_data["multicost/train"][-1]
print(f"at the end: digit {digit:.2f}, parity {parity:.2f}")
