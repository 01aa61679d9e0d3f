"""`TrainMulticostCallback`: the costs of a model with several branches, for each minibatch."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from trainsignal import keys
from trainsignal.abilities import Array, HasCost, to_float
from trainsignal.callback import Callback
from trainsignal.errors import CostError, MissingAbilityError
from trainsignal.minibatch_series import create_minibatch_series
from trainsignal.run_link import run_of
from trainsignal.shared_data import SharedData
from trainsignal.smoothed_cost import window_width


class TrainMulticostCallback(Callback):
    """Writes the costs of the branches of `model.cost.costs`, as neon's `Multicost` has them.

    "multicost/train" has a column for each: the mean of its last `wsz` costs, over the end of an epoch too.
    "multicost/train_allbranches" has a column for each branch that has no branches itself, depth first: its
    own cost at the minibatch. Source: neon's callback of this name, which subtracts there the other branches
    from the first, though this does not contain them.
    """

    needs = (HasCost,)
    writes = (keys.MULTICOST_TRAIN, keys.MULTICOST_BRANCHES)

    def __init__(self, wsz: int = 10) -> None:
        """Store the width of the window.

        Raises:
            ConfigurationError: `wsz` is no int of at least 1.
        """
        super().__init__()
        self.wsz = window_width(wsz)
        self._costs: deque[Array] = deque(maxlen=self.wsz)

    def on_train_begin(self, callback_data: SharedData, model: Any, epochs: int) -> None:
        _check_branches(model.cost)
        branches = len(list(_innermost(model.cost)))
        for key, columns in zip(self.writes, (len(model.cost.costs), branches), strict=True):
            create_minibatch_series(callback_data, key, columns=(columns,), dtype="f8", direction="min")
        self._costs.clear()

    def on_minibatch_end(self, callback_data: SharedData, model: Any, epoch: int, minibatch: int) -> None:
        row = run_of(self).minibatches_complete + minibatch
        self._costs.append(_values(model.cost.costs))
        callback_data[keys.MULTICOST_TRAIN][row] = sum(self._costs) / len(self._costs)
        callback_data[keys.MULTICOST_BRANCHES][row] = _values(_innermost(model.cost))


def _check_branches(cost: Any) -> None:
    """Refuse a cost without branches.

    Raises:
        MissingAbilityError: it has none.
    """
    if not _branches(cost):
        raise MissingAbilityError(
            f"TrainMulticostCallback needs a model with several costs, in model.cost.costs, and "
            f"{type(cost).__name__} has none. For a model with one cost leave this callback out, and "
            "multicost=True of Callbacks(multicost=True), so that TrainCostCallback takes its place."
        )


def _innermost(cost: Any) -> Iterator[Any]:
    """Yield the branches that have no branches themselves, depth first."""
    for branch in cost.costs:
        if _branches(branch):
            yield from _innermost(branch)
        else:
            yield branch


def _branches(cost: Any) -> Sequence[Any]:
    """Return the branches of a cost; none where it has not even an attribute for them."""
    return getattr(cost, "costs", ())


def _values(branches: Any) -> Array:
    """Return the cost of each branch at the last minibatch, (branches,) float64.

    Raises:
        CostError: one is not one number.
    """
    try:
        return np.array([to_float(branch.cost) for branch in branches])
    except TypeError as error:
        raise CostError(f"a branch of model.cost.costs has a cost that is not one number: {error}") from error
