"""A small network that can all that any callback asks of a model."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np

from tests.support.runs import tiny_set
from trainsignal.models.numpy_net import (
    Affine,
    ArrayIterator,
    Constant,
    Conv,
    CrossEntropyMulti,
    DataSet,
    Gaussian,
    GeneralizedCost,
    Model,
    Rectlin,
    Softmax,
)


class SeveralCosts(GeneralizedCost):
    """A cost with two branches, the second twice as dear as the first."""

    @property
    def costs(self) -> list[Any]:
        return [SimpleNamespace(cost=times * self.cost) for times in (1, 2)]


class Versatile(Model):
    """neon's model in all its kinds: with branches, and as one that trains a generator at each minibatch."""

    current_batch = last_gen_batch = gen_iter = 1
    cost_dis = (0.5,)
    data_batch = noise_batch = np.zeros((28 * 28, 16), np.float32)

    def initialize(self, dataset: DataSet, cost: GeneralizedCost | None = None) -> None:
        super().initialize(dataset, None if cost is None else SeveralCosts(cost.costfunc))


def tiny_images() -> ArrayIterator:
    """Return `tiny_set`, its samples as images of one pixel with two channels."""
    return tiny_set(lshape=(2, 1, 1))


def versatile_model() -> Versatile:
    """Return such a network for `tiny_images`; it has a convolution and batch normalization, too."""
    init = Gaussian(scale=0.1)
    model = Versatile(
        [
            Conv((1, 1, 2), init=init, batch_norm=True, activation=Rectlin()),
            Affine(nout=2, init=init, bias=Constant(0), activation=Softmax()),
        ]
    )
    model.initialize(tiny_images(), GeneralizedCost(CrossEntropyMulti()))
    return model
