"""Fakes of what an evaluation sees: data sets of given columns, a model that scales its inputs, metrics."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np


class Tensor:
    """An array as neon's tensors are: read by `get()`, assigned to in place, no NumPy array."""

    def __init__(self, values: Any) -> None:
        self.values = np.array(values, np.float32)

    @property
    def shape(self) -> tuple[int, ...]:
        return self.values.shape

    def get(self) -> Any:
        return self.values.copy()

    def __setitem__(self, index: Any, value: Any) -> None:
        self.values[index] = value


class Batches:
    """A data set of given columns, whose targets are its inputs; counts how often it was iterated."""

    def __init__(self, ndata: int, *batches: list[float]) -> None:
        self.ndata = ndata
        self.passes = 0
        self.resets = 0
        self.batches = batches

    def __iter__(self) -> Iterator[tuple[Any, Any]]:
        self.passes += 1
        for columns in self.batches:
            yield np.array([columns], np.float32), np.array([columns], np.float32)

    def reset(self) -> None:
        self.resets += 1


class Absolute:
    """A cost whose columns cost what the outputs are."""

    def __init__(self, cost: Any = 42.0) -> None:
        self.cost = cost
        self.outputs: Any = None

    def get_cost(self, inputs: Any, targets: Any) -> None:
        numbers = inputs.get() if hasattr(inputs, "get") else inputs
        self.outputs = Tensor(numbers) if isinstance(inputs, Tensor) else numbers
        if hasattr(self.cost, "__setitem__"):
            self.cost[:] = numbers.mean()
        else:
            self.cost = float(numbers.mean())


class Scaling:
    """A model that multiplies its inputs, must not be trained, and counts its forward passes."""

    finished = False

    def __init__(self, cost: Any = None) -> None:
        self.cost = Absolute() if cost is None else cost
        self.scale = 1.0
        self.forwards = 0

    def fprop(self, x: Any, inference: bool = False) -> Any:
        assert inference
        self.forwards += 1
        return x * np.float32(self.scale)

    def eval(self, dataset: Any, metric: Any) -> Any:
        raise AssertionError("what can infer is evaluated by fprop")


class Mean:
    """A metric in neon's way: the mean output over the columns that count; remembers its calls."""

    def __init__(self, name: str = "Mean", times: float = 1.0) -> None:
        self.metric_names = [name]
        self.times = times
        self.calls = 0

    def __call__(self, y: Any, t: Any, calcrange: Any = slice(0, None)) -> Any:
        self.calls += 1
        return np.array([self.times * y[0, calcrange].mean()])


class Overwriting(Mean):
    """A metric that writes into the outputs, as neon's PrecisionRecall does."""

    def __call__(self, y: Any, t: Any, calcrange: Any = slice(0, None)) -> Any:
        value = super().__call__(y, t, calcrange)
        y[:] = -1
        t[:] = -1
        return value


class Raising(Mean):
    """A metric that cannot be computed."""

    def __call__(self, y: Any, t: Any, calcrange: Any = slice(0, None)) -> Any:
        super().__call__(y, t, calcrange)
        raise ZeroDivisionError("this metric alone")
