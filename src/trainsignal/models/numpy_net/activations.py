"""Transforms: the functions that an `Activation` layer applies to each column.

`bprop` gives the derivative by the transform's input, told from its output `y`. Softmax, and Logistic with
`shortcut`, give 1 there, as in neon: the derivative of a cross-entropy through them is simply `y - t`, which
the cost gives at once, so that nothing is divided by a vanishing output. `GeneralizedCost.initialize` refuses
a cost and a last layer that do not belong together in this way.
"""

# ruff: noqa: D102 - a method that overrides another inherits its docstring

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np

from trainsignal.models.numpy_net.arrays import Floats


class Transform(ABC):
    """A function of the columns of an array, with its derivative."""

    @property
    def leaves_derivative_to_cost(self) -> bool:
        """Whether `bprop` gives 1 because the cost's derivative already holds this transform's."""
        return False

    @abstractmethod
    def __call__(self, x: Floats) -> Floats:
        """Return the outputs for `x`, (features, columns) both."""

    @abstractmethod
    def bprop(self, y: Floats) -> Floats | float:
        """Return the derivative by the input where the output is `y`, (features, columns)."""


@dataclass(frozen=True)
class Rectlin(Transform):
    """The rectified linear unit, max(x, 0)."""

    def __call__(self, x: Floats) -> Floats:
        return np.maximum(x, 0)

    def bprop(self, y: Floats) -> Floats:
        return (y > 0).astype(y.dtype)


@dataclass(frozen=True)
class Tanh(Transform):
    """The hyperbolic tangent."""

    def __call__(self, x: Floats) -> Floats:
        return np.tanh(x)

    def bprop(self, y: Floats) -> Floats:
        return 1 - y * y


@dataclass(frozen=True)
class Logistic(Transform):
    """The logistic function 1 / (1 + exp(-x)).

    Args:
        shortcut: leave the derivative to the cost; as neon's, for `CrossEntropyBinary`.
    """

    shortcut: bool = False

    @property
    def leaves_derivative_to_cost(self) -> bool:
        """True with `shortcut`."""
        return self.shortcut

    def __call__(self, x: Floats) -> Floats:
        return (1 + np.tanh(x / 2)) / 2  # equal to 1 / (1 + exp(-x)), without its overflow

    def bprop(self, y: Floats) -> Floats | float:
        return 1.0 if self.shortcut else y * (1 - y)


@dataclass(frozen=True)
class Softmax(Transform):
    """exp(x) / sum(exp(x)) of each column: probabilities; for `CrossEntropyMulti`."""

    @property
    def leaves_derivative_to_cost(self) -> bool:
        """True: as in neon, Softmax is for the last layer only."""
        return True

    def __call__(self, x: Floats) -> Floats:
        exponentials = np.exp(x - x.max(axis=0))
        probabilities: Floats = exponentials / exponentials.sum(axis=0)
        return probabilities

    def bprop(self, y: Floats) -> float:
        return 1.0
