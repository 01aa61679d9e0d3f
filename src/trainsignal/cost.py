"""The cost of a minibatch: what the loop set, or else what the model keeps.

Becomes a float when it is set or read; knows no run and no callback.
"""

from __future__ import annotations

from typing import Any

from trainsignal.abilities import to_float
from trainsignal.errors import CostError


class MinibatchCost:
    """The cost of the current minibatch, and the mean over the epoch of those that the loop set."""

    def __init__(self, model: Any) -> None:
        """Begin with no cost.

        Args:
            model: whose `cost.cost`, neon's place for it, counts where the loop sets none.
        """
        self._model = model
        self._latest: float | None = None
        self._is_told = False
        self.new_epoch()

    def new_epoch(self) -> None:
        """Begin a new mean."""
        self._sum, self._count = 0.0, 0

    def set(self, value: object) -> None:
        """Note what the loop says.

        Raises:
            CostError: it is not one number.
        """
        try:
            cost = to_float(value)
        except TypeError as error:
            raise CostError(f"run.cost was set to something that is not one number: {error}") from error
        self._latest, self._is_told = cost, True
        self._sum += cost
        self._count += 1

    def forget(self) -> None:
        """Begin a minibatch of which the loop has said nothing yet."""
        self._latest = None

    def get(self) -> float | None:
        """Return what the loop set for this minibatch, or else `model.cost.cost`.

        None where the loop does set costs, but none for this minibatch.

        Raises:
            CostError: nobody ever set one, or it is not one number.
        """
        if self._latest is not None or self._is_told:
            return self._latest
        try:
            return to_float(self._model.cost.cost)
        except AttributeError:
            raise CostError(
                "no cost of this minibatch: set run.cost = loss before the minibatch ends (inside "
                "`with callbacks.training(epochs) as run`), or give Callbacks a model with model.cost.cost"
            ) from None
        except TypeError as error:
            raise CostError(f"model.cost.cost is not one number: {error}") from error

    def state_dict(self) -> dict[str, Any]:
        """Return what is known so far, as plain values."""
        return {"latest": self._latest, "is_told": self._is_told, "sum": self._sum, "count": self._count}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from what `state_dict` returned."""
        self._latest, self._is_told = state["latest"], state["is_told"]
        self._sum, self._count = state["sum"], state["count"]

    @property
    def epoch_mean(self) -> float | None:
        """Mean of what the loop set in this epoch; None where it set nothing."""
        return self._sum / self._count if self._count else None
