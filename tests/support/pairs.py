"""Fakes of a framework whose minibatches are pairs: a model, its tensors, losses and metrics."""

from __future__ import annotations

import contextlib
from collections.abc import Generator
from typing import Any

import numpy as np


class FrameworkTensor:
    """An array of a framework, which NumPy does not understand by itself."""

    def __init__(self, values: Any) -> None:
        self.values = np.asarray(values, np.float32)

    @property
    def shape(self) -> tuple[int, ...]:
        return self.values.shape

    def __len__(self) -> int:
        return len(self.values)

    def item(self) -> float:
        return float(self.values.item())


class PairModel:
    """A model that doubles its inputs, in evaluation mode alone, and counts its forward passes."""

    def __init__(self) -> None:
        self.is_evaluating = False
        self.forwards = 0

    @contextlib.contextmanager
    def evaluating(self) -> Generator[None]:
        self.is_evaluating = True
        try:
            yield
        finally:
            self.is_evaluating = False

    def predict(self, inputs: Any) -> Any:
        assert self.is_evaluating
        self.forwards += 1
        return FrameworkTensor(2 * inputs.values)

    def to_host(self, value: Any) -> Any:
        return value.values if isinstance(value, FrameworkTensor) else np.asarray(value)


class PairModelWithLoss(PairModel):
    """The same with a loss: the mean absolute error."""

    def loss(self, outputs: Any, targets: Any) -> Any:
        return FrameworkTensor(np.abs(outputs.values - targets.values).mean())


def batch(*inputs: float, target: float = 0.0) -> tuple[FrameworkTensor, FrameworkTensor]:
    """Return a minibatch of these samples, all with one target."""
    return FrameworkTensor(inputs), FrameworkTensor([target] * len(inputs))


def mean_output(outputs: Any, targets: Any) -> Any:
    """A metric: the mean output of the samples."""
    return FrameworkTensor(outputs.values.mean())


class Gathering:
    """A metric as those of torchmetrics: the largest output so far."""

    higher_is_better: bool | None = True

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        self.largest = -np.inf

    def update(self, outputs: Any, targets: Any) -> None:
        self.largest = max(self.largest, float(outputs.values.max()))

    def compute(self) -> Any:
        return FrameworkTensor(self.largest)


class Collection:
    """Several such metrics, as `torchmetrics.MetricCollection`: computes a dict."""

    def __init__(self, **metrics: Gathering) -> None:
        self.metrics = metrics

    def keys(self) -> Any:
        return self.metrics.keys()

    def __getitem__(self, name: str) -> Gathering:
        return self.metrics[name]

    def reset(self) -> None:
        for one in self.metrics.values():
            one.reset()

    def update(self, outputs: Any, targets: Any) -> None:
        for one in self.metrics.values():
            one.update(outputs, targets)

    def compute(self) -> dict[str, Any]:
        return {name: one.compute() for name, one in self.metrics.items()}


class StateMetric:
    """A metric as those of Keras: the sum of all targets; takes targets first, and cannot be copied."""

    name = "sum_of_targets"

    def __init__(self) -> None:
        self.total = 100.0  # of an earlier use

    def __deepcopy__(self, memo: Any) -> StateMetric:
        raise AssertionError("variables of a framework are not copied")

    def update_state(self, targets: Any, outputs: Any) -> None:
        self.total += float(targets.values.sum())

    def result(self) -> Any:
        return FrameworkTensor(self.total)

    def reset_state(self) -> None:
        self.total = 0.0
