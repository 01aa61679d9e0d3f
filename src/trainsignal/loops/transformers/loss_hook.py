"""`LossHook`: the losses in a model's outputs, which the Trainer shows to no callback."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, cast


class LossHook:
    """Keeps the losses that a model returns while it trains; a forward hook of the model.

    Refers to nothing else, so that a model that is copied or pickled with it takes nothing along.
    """

    def __init__(self) -> None:
        self._losses: list[Any] = []
        self._are_shares = False

    def __call__(self, module: Any, args: object, kwargs: Mapping[str, Any], output: Any) -> None:
        """Keep the loss of one batch, of which `module` has returned `output`."""
        if not module.training:
            return
        loss = _loss_in(output)
        if getattr(loss, "ndim", None) == 0:  # else the outputs, of which the Trainer computes a loss
            self._losses.append(loss)
            self._are_shares = kwargs.get("num_items_in_batch") is not None

    def __reduce__(self) -> tuple[type[LossHook], tuple[()]]:
        """Return how to make a copy, which is empty: the losses are not to be copied amid a step."""
        return LossHook, ()

    def take(self) -> Any:
        """Return the loss of the step, as the Trainer averages it over batches, and forget it.

        On its device; None where the outputs held none.
        """
        losses, self._losses = self._losses, []
        if len(losses) < 2:
            return losses[0] if losses else None
        total = sum(loss.detach() for loss in losses)
        return total if self._are_shares else total / len(losses)


def _loss_in(output: Any) -> Any:
    """Return what the Trainer takes for the loss, "loss" or the first of several; None where nothing is."""
    if isinstance(output, Mapping):
        return cast("Mapping[str, Any]", output).get("loss")
    return next(iter(cast("Iterable[Any]", output)), None) if isinstance(output, (tuple, list)) else None
