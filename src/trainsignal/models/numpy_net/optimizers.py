"""Rules by which gradients change parameters, in place."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import KW_ONLY, dataclass
from typing import Protocol

import numpy as np

from trainsignal.errors import ConfigurationError
from trainsignal.models.numpy_net.layers import Layer


class Optimizer(Protocol):
    """What `Model.fit` needs of an optimizer."""

    def optimize(self, layer_list: Iterable[Layer], epoch: int, *, batch_size: int) -> None:
        """Update the parameters of `layer_list` from their gradients.

        Args:
            layer_list: layers whose gradients the last `bprop` set.
            epoch: 0-based index.
            batch_size: number of columns that the gradients are summed over.
        """
        ...


@dataclass(eq=False)
class GradientDescentMomentum:
    """neon's gradient descent with momentum.

    With gradient g, summed over the columns, and parameter w:
    `v = momentum_coef * v - learning_rate * (clip(g / columns) + wdecay * w)`, then `w = w + v`.
    The attributes may be changed during training.

    Args:
        learning_rate: 0 or more.
        momentum_coef: within [0, 1).
        wdecay: weight decay, 0 or more, of every parameter, biases too.
        gradient_clip_value: clip each entry of the mean gradient to [-value, value]; None clips nothing.

    Raises:
        ConfigurationError: a value is out of its range.
    """

    learning_rate: float
    momentum_coef: float
    _: KW_ONLY
    wdecay: float = 0.0
    gradient_clip_value: float | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.learning_rate < math.inf:
            raise ConfigurationError(f"learning_rate={self.learning_rate!r} must be a number of 0 or more.")
        if not 0 <= self.momentum_coef < 1:
            raise ConfigurationError(
                f"momentum_coef={self.momentum_coef!r} must be at least 0 and less than 1."
            )
        if not 0 <= self.wdecay < math.inf:
            raise ConfigurationError(f"wdecay={self.wdecay!r} must be a number of 0 or more.")
        if self.gradient_clip_value is not None and not self.gradient_clip_value > 0:
            raise ConfigurationError(
                f"gradient_clip_value={self.gradient_clip_value!r} must be greater than 0, "
                "or None to clip nothing."
            )

    def optimize(self, layer_list: Iterable[Layer], epoch: int, *, batch_size: int) -> None:
        """Update the parameters of `layer_list` from gradients summed over `batch_size` columns."""
        for layer in layer_list:
            for parameter, gradient, states in layer.get_params():
                if not states:
                    states.append(np.zeros_like(parameter))
                (velocity,) = states
                step = gradient / batch_size
                if self.gradient_clip_value is not None:
                    np.clip(step, -self.gradient_clip_value, self.gradient_clip_value, out=step)
                step += self.wdecay * parameter
                velocity *= self.momentum_coef
                velocity -= self.learning_rate * step
                parameter += velocity
