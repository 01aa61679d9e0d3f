"""`JointOptimizer`: the learning rate of a model's optimizers, under neon's name."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from trainsignal.abilities import to_float
from trainsignal.errors import ConfigurationError
from trainsignal.models.torch.framework import torch


class JointOptimizer:
    """What callbacks find in `model.optimizer`.

    Attributes:
        optimizers: PyTorch's own, one or more.
    """

    def __init__(self, optimizers: tuple[Any, ...]) -> None:
        self.optimizers = optimizers

    @property
    def learning_rate(self) -> float:
        """The learning rate of the first group of parameters.

        Setting it sets that of all groups of all optimizers.

        Raises:
            ConfigurationError: on setting, the groups have different rates, which would be lost.
        """
        return to_float(next(self._groups())["lr"])

    @learning_rate.setter
    def learning_rate(self, rate: float) -> None:
        rates = {to_float(group["lr"]) for group in self._groups()}
        if len(rates) > 1:
            raise ConfigurationError(
                f"the groups of parameters have different learning rates, {sorted(rates)}, and one for all "
                "would take their place: use a scheduler of PyTorch's, or set those of the groups yourself"
            )
        for group in self._groups():
            if isinstance(group["lr"], torch.Tensor):
                group["lr"].fill_(rate)
            else:
                group["lr"] = rate

    def _groups(self) -> Iterator[dict[str, Any]]:
        for optimizer in self.optimizers:
            yield from optimizer.param_groups
