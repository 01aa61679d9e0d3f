"""The model's cost where its loss has several parts: what each of them was at the last minibatch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from trainsignal.checkpoint.tree import is_sequence
from trainsignal.errors import CostError
from trainsignal.models.torch.framework import torch
from trainsignal.wrapped_model import RunningCost


class PartCost:
    """One part of a loss, as neon's `Multicost` has them in `costs`.

    Attributes:
        costfunc: the function (outputs, targets).
        cost: what it last was in training, a tensor without its graph; None before.
    """

    def __init__(self, costfunc: Any) -> None:
        self.costfunc = costfunc
        self.cost: Any = None


class JointCost(RunningCost):
    """The model's `cost`, with the parts of its loss.

    Attributes:
        costs: the parts.
    """

    def __init__(self, functions: Sequence[Any]) -> None:
        super().__init__()
        self.costs = [PartCost(function) for function in functions]

    def loss(self, outputs: Any, targets: Any) -> Any:
        """Return the sum of the parts, of which each is given its own outputs and targets.

        Args:
            outputs: one for each part.
            targets: one for each part.

        Raises:
            CostError: there are more or fewer.
        """
        for what, given in (("outputs", outputs), ("targets", targets)):
            if not is_sequence(given) or len(given) != len(self.costs):
                raise CostError(
                    f"the loss has {len(self.costs)} parts, and {what} is {_described(given)}: have the "
                    f"{'module return' if what == 'outputs' else 'data set yield'} one for each part"
                )
        triples = zip(self.costs, outputs, targets, strict=True)
        parts = [one.costfunc(output, target) for one, output, target in triples]
        if torch.is_grad_enabled():  # not while evaluating: they are those of the last minibatch trained on
            for one, part in zip(self.costs, parts, strict=True):
                one.cost = part.detach()
        return sum(parts[1:], start=parts[0])


def one_number(loss: Any) -> Any:
    """Return the loss of a minibatch.

    Raises:
        CostError: it is not one number.
    """
    if not isinstance(loss, torch.Tensor) or loss.numel() != 1:
        raise CostError(
            f"the loss is {_described(loss)}: expected one number, the mean over the samples of a minibatch. "
            'Losses of PyTorch give it with reduction="mean".'
        )
    return loss


def _described(value: Any) -> str:
    if isinstance(value, torch.Tensor):
        return f"a tensor of shape {tuple(value.shape)}"
    if is_sequence(value):
        return f"a {type(value).__name__} of {len(value)}"
    return f"a {type(value).__name__}"
