"""One pass over an evaluation set.

Leaves the model's own cost as it was, so that the training cost of the last minibatch is still there.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Generator
from typing import Any

import numpy as np

from trainsignal.abilities import Array, HasPosition
from trainsignal.errors import DataError


def check_evaluation_set(dataset: Any, name: str) -> None:
    """Refuse what cannot be evaluated on.

    Args:
        dataset: what was given.
        name: of the argument, for the message.

    Raises:
        DataError: it yields no minibatches, does not tell its size, or is empty.
    """
    kind = type(dataset).__name__
    if dataset is None or not hasattr(dataset, "__iter__"):
        raise DataError(f"{name}={dataset!r}: expected a data set that yields (inputs, targets) minibatches")
    if not hasattr(dataset, "ndata"):
        raise DataError(f"{name}: {kind} does not tell its size; give it an attribute `ndata` (samples)")
    if dataset.ndata < 1:
        raise DataError(f"{name}: {kind} is empty; evaluating needs at least one sample")


def mean_cost(model: Any, dataset: Any) -> float:
    """Return the mean cost over the samples of a data set.

    Columns of the last minibatch beyond the data set's end are wrapped around and not counted. Source:
    neon's loss callback.

    Args:
        model: satisfies `CanInfer` and `HasCost`.
        dataset: an `EvaluationSet`; see `from_first_sample`.

    Raises:
        DataError: it yields no minibatch.
    """
    before = np.copy(host_array(model.cost.cost))
    total, seen = 0.0, 0
    try:
        with from_first_sample(dataset):
            for inputs, targets in dataset:
                model.cost.get_cost(model.fprop(inputs, inference=True), targets)
                costs = host_array(model.cost.outputs).reshape(-1)[: dataset.ndata - seen]
                total += float(costs.sum(dtype=np.float64))
                seen += costs.size
    finally:
        _put_back(model.cost, before)
    if seen == 0:
        raise DataError(f"{type(dataset).__name__} yielded no minibatch to evaluate on")
    return total / seen


@contextlib.contextmanager
def from_first_sample(dataset: Any) -> Generator[None]:
    """Have iterations inside the `with` block begin with the first sample; then put the data set back.

    So an evaluation on the training set leaves training where it was. A data set without `reset()` begins
    anew by itself, and one that cannot be put back stays where the evaluation left it.
    """
    placed: HasPosition | None = dataset if isinstance(dataset, HasPosition) else None
    position = None if placed is None else placed.state_dict()
    reset: Callable[[], object] | None = getattr(dataset, "reset", None)
    if reset is not None:
        reset()
    try:
        yield
    finally:
        if placed is not None and position is not None:
            placed.load_state_dict(position)


def host_array(value: Any) -> Array:
    """Return a NumPy array of what may be a tensor with neon's `get()`."""
    return np.asarray(value.get() if hasattr(value, "get") else value)


def _put_back(cost: Any, before: Array) -> None:
    """Restore `cost.cost`: a float as a float, an array or tensor in place."""
    if hasattr(cost.cost, "__setitem__"):
        cost.cost[:] = before
    else:
        cost.cost = before.item()
