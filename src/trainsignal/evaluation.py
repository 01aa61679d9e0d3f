"""One pass over an evaluation set.

Leaves the model's own cost as it was, so that the training cost of the last minibatch is still there.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from trainsignal.abilities import Array
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
        dataset: an `EvaluationSet`; begun anew where it has `reset()`, and put back to where it was where it
            has `state_dict()`, so that a training set may be evaluated on.

    Raises:
        DataError: it yields no minibatch.
    """
    position = dataset.state_dict() if hasattr(dataset, "state_dict") else None
    if hasattr(dataset, "reset"):
        dataset.reset()
    before = np.copy(host_array(model.cost.cost))
    total, seen = 0.0, 0
    try:
        for inputs, targets in dataset:
            model.cost.get_cost(model.fprop(inputs, inference=True), targets)
            costs = host_array(model.cost.outputs).reshape(-1)[: dataset.ndata - seen]
            total += float(costs.sum(dtype=np.float64))
            seen += costs.size
    finally:
        _put_back(model.cost, before)
        if position is not None:
            dataset.load_state_dict(position)
    if seen == 0:
        raise DataError(f"{type(dataset).__name__} yielded no minibatch to evaluate on")
    return total / seen


def host_array(value: Any) -> Array:
    """Return a NumPy array of what may be a tensor with neon's `get()`."""
    return np.asarray(value.get() if hasattr(value, "get") else value)


def _put_back(cost: Any, before: Array) -> None:
    """Restore `cost.cost`: a float as a float, an array or tensor in place."""
    if hasattr(cost.cost, "__setitem__"):
        cost.cost[:] = before
    else:
        cost.cost = before.item()
