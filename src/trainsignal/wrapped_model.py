"""`WrappedModel`, `PredictingModel`: neon's names on a framework's model; bases of the wrappers in `models/`.

What a neon callback looks for on a model is told from the run: nothing is kept twice.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from contextlib import AbstractContextManager
from typing import Any

import numpy as np

from trainsignal.abilities import Array
from trainsignal.evaluation import MetricTally, Request, evaluate, pair_minibatches
from trainsignal.run_link import RunLink
from trainsignal.tensor import HostTensor


class RunningCost:
    """The model's `cost`, with neon's `cost` of the last minibatch."""

    def __init__(self) -> None:
        self.run: RunLink | None = None

    @property
    def cost(self) -> float:
        """Cost of the current minibatch, as the loop told it; waits for the device it may be on.

        Raises:
            AttributeError: nobody has told one.
        """
        told = None if self.run is None else self.run.minibatch_cost.told()
        if told is None:
            raise AttributeError("no cost of this minibatch is known")
        return told


class WrappedModel:
    """What all wrappers have in common.

    Attributes:
        finished: set it to True to stop at the end of the epoch, as in neon.
        cost: object whose `cost` is that of the current minibatch.
        ndata: samples in the training set, where somebody told; else 0.
    """

    def __init__(self) -> None:
        self.finished = False
        self.ndata = 0
        self.cost = RunningCost()

    def follow(self, run: RunLink) -> None:
        """Tell from now on of this run."""
        self.cost.run = run

    @property
    def epoch_index(self) -> int:
        """The current epoch, 0-based."""
        return 0 if self.cost.run is None else self.cost.run.epoch

    @property
    def nbatches(self) -> int:
        """Minibatches of an epoch; 0 where unknown."""
        return 0 if self.cost.run is None else self.cost.run.minibatches_per_epoch or 0

    @property
    def total_cost(self) -> HostTensor:
        """(1, 1) float64: mean cost of the current epoch's minibatches so far; NaN where nobody told."""
        mean = None if self.cost.run is None else self.cost.run.epoch_cost
        return np.array([[np.nan if mean is None else mean]]).view(HostTensor)


class PredictingModel(WrappedModel, ABC):
    """A wrapper of a model that predicts: satisfies `abilities.EvaluatesPairs`, and neon's names for it."""

    @abstractmethod
    def evaluating(self) -> AbstractContextManager[object]:
        """Be in evaluation mode, without gradients, inside the `with` block; afterwards all is as before."""

    @abstractmethod
    def predict(self, inputs: Any) -> Any:
        """Return the outputs for a minibatch, in the framework's own type, samples in the first axis."""

    @abstractmethod
    def to_host(self, value: Any) -> Array:
        """Return an array of the framework's own type as a NumPy array."""

    def fprop(self, x: Any, inference: bool = False) -> Any:
        """Return the outputs for a minibatch `x`; with `inference`, in evaluation mode."""
        if not inference:
            return self.predict(x)
        with self.evaluating():
            return self.predict(x)

    def eval(self, dataset: Iterable[Any], metric: Any) -> Array:
        """Return (values,) float32: the metric over a data set of pairs (inputs, targets).

        Raises:
            DataError: the data set yields no pairs.
        """
        values: Array = evaluate(self, [Request(dataset, MetricTally, metric)])[0].result()
        return values

    def get_outputs(self, dataset: Iterable[Any]) -> Array:
        """Return the outputs for all samples of a data set of pairs, samples first, as a NumPy array.

        Raises:
            DataError: the data set yields no pairs.
        """
        with self.evaluating():
            return np.concatenate([self.to_host(one.outputs) for one in pair_minibatches(self, dataset)])
