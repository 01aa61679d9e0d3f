"""Cost functions with neon's formulas, and `GeneralizedCost`, which remembers what it last computed.

A cross-entropy's `bprop` is the derivative by the input of the last layer's transform: see `activations`.
"""

# ruff: noqa: D102 - a method that overrides another inherits its docstring

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np

from trainsignal.errors import ConfigurationError
from trainsignal.models.numpy_net.activations import Logistic, Softmax, Transform
from trainsignal.models.numpy_net.arrays import Floats, check_same_shape, safe_log
from trainsignal.models.numpy_net.layers import Activation, Layer
from trainsignal.tensor import HostTensor


class CostFunction(ABC):
    """Cost of each column, and its derivative."""

    through: ClassVar[Transform | None] = None
    """The transform whose derivative `bprop` holds already; None: `bprop` is by the outputs themselves."""

    @abstractmethod
    def __call__(self, y: Floats, t: Floats) -> Floats:
        """Return the cost of each column, (1, columns), for outputs `y`, targets `t`, (features, columns)."""

    @abstractmethod
    def bprop(self, y: Floats, t: Floats) -> Floats:
        """Return the derivative of the summed cost, (features, columns)."""


@dataclass(frozen=True)
class CrossEntropyMulti(CostFunction):
    """-sum(t log y): for one-hot targets and outputs of Softmax."""

    through: ClassVar[Transform | None] = Softmax()

    def __call__(self, y: Floats, t: Floats) -> Floats:
        cost: Floats = -(t * safe_log(y)).sum(axis=0, keepdims=True)
        return cost

    def bprop(self, y: Floats, t: Floats) -> Floats:
        return y - t


@dataclass(frozen=True)
class CrossEntropyBinary(CostFunction):
    """-sum(t log y + (1 - t) log(1 - y)): for targets of 0 and 1 and outputs of Logistic(shortcut=True)."""

    through: ClassVar[Transform | None] = Logistic(shortcut=True)

    def __call__(self, y: Floats, t: Floats) -> Floats:
        cost: Floats = -(t * safe_log(y) + (1 - t) * safe_log(1 - y)).sum(axis=0, keepdims=True)
        return cost

    def bprop(self, y: Floats, t: Floats) -> Floats:
        return y - t


@dataclass(frozen=True)
class MeanSquared(CostFunction):
    """Half the mean over the features of (y - t)^2."""

    def __call__(self, y: Floats, t: Floats) -> Floats:
        cost: Floats = np.square(y - t).mean(axis=0, keepdims=True) / 2
        return cost

    def bprop(self, y: Floats, t: Floats) -> Floats:
        return (y - t) / len(y)


@dataclass(eq=False)
class GeneralizedCost:
    """A cost function with the cost of the minibatch that it was last given.

    Args:
        costfunc: such as CrossEntropyMulti().
    """

    costfunc: CostFunction
    cost: float = field(default=float("nan"), init=False)
    """Mean cost of the columns last given; NaN until then."""
    outputs: HostTensor = field(
        default_factory=lambda: np.zeros((1, 0), np.float32).view(HostTensor), init=False, repr=False
    )
    """(1, columns) float32: the cost of each column last given."""

    def initialize(self, last: Layer) -> None:
        """Check that the derivatives of the cost and of the model's last layer fit together.

        Raises:
            ConfigurationError: they do not, and every gradient would be wrong.
        """
        transform = last.transform if isinstance(last, Activation) else None
        expected = self.costfunc.through
        leaves_to_cost = transform is not None and transform.leaves_derivative_to_cost
        if transform == expected or (expected is None and not leaves_to_cost):
            return
        kind = type(self.costfunc).__name__
        if expected is None:
            raise ConfigurationError(
                f"{kind} after {transform!r}, which leaves its derivative to a cross-entropy cost. "
                "Choose another activation for the last layer, or the cross-entropy that belongs to it."
            )
        raise ConfigurationError(
            f"{kind} needs activation={expected!r} in the last layer, which is {last}. "
            "Its derivative holds that of this activation."
        )

    def get_cost(self, inputs: Floats, targets: Floats) -> float:
        """Compute `outputs` and `cost` from the network's outputs and the targets, (features, columns) both.

        A network that diverged costs inf or NaN, and NumPy warns of neither: the callbacks are told the cost.

        Raises:
            DataError: the two shapes differ.
        """
        check_same_shape(inputs, targets)
        with np.errstate(over="ignore"):
            outputs = np.asarray(self.costfunc(np.asarray(inputs), np.asarray(targets)))
            self.cost = float(outputs.mean())
        self.outputs = outputs.view(HostTensor)
        return self.cost

    def get_errors(self, inputs: Floats, targets: Floats) -> Floats:
        """Return what `Model.bprop` starts from, (features, columns): summed, not averaged, over columns."""
        return self.costfunc.bprop(np.asarray(inputs), np.asarray(targets))
