"""What callbacks may need of a model or a data set: one small Protocol an ability, with neon's names.

A callback lists the Protocols that it needs in `needs`; before epoch 0 each is checked against the model
that the user gave. A real neon model satisfies them as it is. This module imports no framework.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Protocol, cast, runtime_checkable

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
State = Mapping[str, Any]
"""Nested dicts, lists, tuples, arrays and plain values: what a checkpoint holds."""


class Cost(Protocol):
    """A cost function object with what it last computed, as neon's `GeneralizedCost`."""

    cost: Any
    """Mean cost of the last minibatch: a float, or a (1, 1) array."""

    @property
    def outputs(self) -> Any:
        """(1, columns) float32: the cost of each column of the last minibatch."""
        ...

    def get_cost(self, inputs: Any, targets: Any) -> Any:
        """Compute `cost` and `outputs` from the network's outputs and the targets, (features, columns)."""
        ...


@runtime_checkable
class HasCost(Protocol):
    """The model keeps its cost object in `cost`."""

    cost: Cost


@runtime_checkable
class HasTotalCost(Protocol):
    """The model keeps the mean cost of the current epoch in `total_cost`: a float, or a (1, 1) array."""

    total_cost: Any


@runtime_checkable
class HasSize(Protocol):
    """The model knows the size of its training set once training has begun."""

    nbatches: int
    ndata: int


@runtime_checkable
class CanFinish(Protocol):
    """The training loop stops at the end of an epoch in which `finished` became True."""

    finished: bool


@runtime_checkable
class CanInfer(Protocol):
    """The model computes its outputs for a minibatch."""

    def fprop(self, x: Any, inference: bool = False) -> Any:
        """Return the outputs for `x`; `inference=True` changes no state of the model."""
        ...


@runtime_checkable
class CanEvaluate(Protocol):
    """The model computes a metric over a data set."""

    def eval(self, dataset: Any, metric: Any) -> Any:
        """Return the mean of each of the metric's values over the samples of `dataset`."""
        ...


@runtime_checkable
class CanSerialize(Protocol):
    """The model gives its whole state as nested plain values and arrays."""

    def serialize(self, *, keep_states: bool = True) -> State:
        """Return the state; `keep_states=False` leaves out the optimizer's."""
        ...


@runtime_checkable
class CanLoad(Protocol):
    """The model takes back what `serialize` gave."""

    def deserialize(self, state: State, *, load_states: bool = True) -> None:
        """Set parameters and, with `load_states`, the optimizer's state."""
        ...


class EvaluationSet(Protocol):
    """Minibatches of (inputs, targets), each (features, columns)."""

    @property
    def ndata(self) -> int:
        """Number of samples; columns of the last minibatch beyond it are wrapped-around and not counted."""
        ...

    def __iter__(self) -> Iterator[tuple[Any, Any]]:
        """Yield (inputs, targets) from the first sample on."""
        ...


@runtime_checkable
class HasPosition(Protocol):
    """A data set that can be put back to where it was."""

    def state_dict(self) -> dict[str, Any]:
        """Return the position as plain values."""
        ...

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go back to a position that `state_dict` gave."""
        ...


def to_float(value: object) -> float:
    """Return one number as a float, whatever it comes in: float, NumPy scalar, (1, 1) array, tensor.

    Raises:
        TypeError: `value` holds no number, or more than one.
    """
    if type(value) is float:  # nearly always, at each minibatch
        return value
    if isinstance(value, (float, int)) and not isinstance(value, bool):
        try:
            return float(value)
        except OverflowError as error:
            raise TypeError("an integer that is too large for a float is not one number") from error
    array = np.asarray(_on_the_host(value))
    if array.size != 1 or array.dtype.kind not in "iuf":
        raise TypeError(f"{value!r} is not one number")
    return float(array.reshape(()))


def _on_the_host(value: object) -> object:
    """Return what `value` holds as something that NumPy understands."""
    if isinstance(value, (np.ndarray, np.generic)):
        return cast("Array", value)
    for convert in ("get", "item"):  # neon's tensors; PyTorch's and JAX's
        method: object = getattr(value, convert, None)
        if callable(method):
            try:
                return method()
            except (TypeError, ValueError, RuntimeError) as error:  # a dict's get; more than one number
                raise TypeError(f"{value!r} is not one number") from error
    return value
