"""`TorchModel`: an `nn.Module` with what callbacks may need of a model."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any

import numpy as np

from trainsignal.abilities import Array
from trainsignal.checkpoint.tree import is_sequence
from trainsignal.errors import ConfigurationError
from trainsignal.frameworks import wrapper_hint as hint_for
from trainsignal.models.torch import random_state
from trainsignal.models.torch.batch_norm import Statistics, seen_by_batch_norms, set_statistics
from trainsignal.models.torch.costs import JointCost, one_number
from trainsignal.models.torch.framework import torch
from trainsignal.models.torch.guided_backprop import GuidedBackprop
from trainsignal.models.torch.layers import TorchLayers
from trainsignal.models.torch.loading import load
from trainsignal.models.torch.metric_states import set_states, states_of_metric
from trainsignal.models.torch.optimizer import JointOptimizer
from trainsignal.models.torch.shards import own_samples
from trainsignal.models.torch.state import states_of
from trainsignal.models.torch.tensors import device_of, host_values, moved
from trainsignal.models.torch.training_mode import in_mode
from trainsignal.wrapped_model import PredictingModel

Loss = Callable[[Any, Any], Any]
"""Takes outputs and targets of a minibatch, and returns their mean loss, a tensor of one number."""


class TorchModel(PredictingModel):
    """What callbacks are given of a module: `Callbacks(TorchModel(module, loss=..., optimizer=...))`.

    Your loop goes on using the module itself. What was not given cannot be asked for: without a loss there is
    no `loss`, without an optimizer no `optimizer`, and callbacks that need them are refused before epoch 0.

    Attributes:
        module: the module.
        optimizers: PyTorch's own.
        schedulers: what else has a state, in checkpoints after the optimizers.
        optimizer: with `learning_rate`; only where optimizers were given.
        loss: `loss(outputs, targets)`; only where it was given.
    """

    def __init__(
        self,
        module: Any,
        loss: Loss | Sequence[Loss] | None = None,
        optimizer: Any = None,
        scheduler: Any = None,
    ) -> None:
        """Store the parts of a training.

        Args:
            module: a `torch.nn.Module`; it is called with the inputs of a minibatch as its one argument. Of
                a `DistributedDataParallel`, the module inside is meant.
            loss: `loss(outputs, targets)` gives the mean over the samples. Several, as a list: the module
                returns as many outputs, the data set yields as many targets, and the loss is the sum. A loop
                that calls `model.loss(outputs, targets)` then has each part in `model.cost.costs`, as
                TrainMulticostCallback needs.
            optimizer: one, or a list.
            scheduler: one, or a list; also anything else with `state_dict()` and `load_state_dict()` that a
                resumed run is to have back, such as a `GradScaler`.

        Raises:
            ConfigurationError: `module` is no module, or an optimizer is of another module's parameters, or
                one of the others cannot be what it is given as.
        """
        super().__init__()
        if not isinstance(module, torch.nn.Module):
            raise ConfigurationError(
                f"TorchModel wraps a torch.nn.Module, not {type(module).__name__}.{hint_for(module)}"
            )
        if isinstance(module, torch.nn.parallel.DistributedDataParallel):
            module = module.module  # which talks to no other rank when it evaluates, and has names of its own
        self.module: Any = module
        self._are_given = optimizer is not None or scheduler is not None
        for one in _members(optimizer):
            _check_optimizer_of(module, one)
        for one in _members(scheduler):
            _check_has_state(one, "scheduler")
        self._set_optimizers(_members(optimizer), _members(scheduler))
        if loss is not None:
            self._set_loss(loss)

    def take_optimizers(self, optimizers: Iterable[Any], schedulers: Iterable[Any]) -> None:
        """Know what a framework trains with, unless optimizers or schedulers were given.

        Args:
            optimizers: those that it has made when training began.
            schedulers: the same.
        """
        if not self._are_given:
            self._set_optimizers(tuple(optimizers), tuple(schedulers))

    def _set_optimizers(self, optimizers: tuple[Any, ...], schedulers: tuple[Any, ...]) -> None:
        self.optimizers, self.schedulers = optimizers, schedulers
        if optimizers:
            self.optimizer = JointOptimizer(optimizers)

    def _set_loss(self, loss: Loss | Sequence[Loss]) -> None:
        for one in _members(loss):
            if inspect.isclass(one) or not callable(one):
                raise ConfigurationError(
                    f"loss={one!r}: expected a function of (outputs, targets), such as torch.nn.MSELoss()"
                )
        if isinstance(loss, Sequence):
            self.cost = JointCost(_members(loss))
            loss = self.cost.loss
        self.loss: Loss = self._placed_loss(loss)

    def _placed_loss(self, function: Loss) -> Loss:
        """Return the loss with targets brought to the module, and its result checked."""

        def loss(outputs: Any, targets: Any) -> Any:
            return one_number(function(outputs, self.placed(targets)))

        return loss

    def placed(self, value: Any) -> Any:
        """Return tensors, also in lists, tuples and dicts, on the module's device; arrays as tensors."""
        return moved(value, device_of(self.module))

    def evaluating(self) -> AbstractContextManager[None]:
        """Be in evaluation mode, without gradients, inside the `with` block.

        Afterwards each submodule is in its own mode, and the random generators are where they were.
        """
        return in_mode(self.module, is_training=False)

    def predict(self, inputs: Any) -> Any:
        """Return the module's outputs for a minibatch, which is brought to its device."""
        return self.module(self.placed(inputs))

    def to_host(self, value: Any) -> Array:
        """Return a tensor as an array; numbers of bfloat16 and float8 as float32."""
        return host_values(value) if isinstance(value, torch.Tensor) else np.asarray(value)

    def own_samples(self, dataset: Any) -> int | None:
        """Return how many samples of a loader on this rank no other rank has, the first ones; None: all."""
        return own_samples(dataset)

    def metric_states(self, metric: Any) -> dict[str, Array]:
        """Return what a metric of torchmetrics, or a collection of them, has gathered, by name.

        Raises:
            ConfigurationError: it holds something else than tensors.
        """
        return states_of_metric(metric)

    def set_metric_states(self, metric: Any, states: Sequence[Mapping[str, Array]]) -> None:
        """Have a metric of torchmetrics hold what several have gathered, and not synchronise by itself."""
        set_states(metric, states, self.placed)

    def serialize(self, *, keep_states: bool = True) -> dict[str, Any]:
        """Return the state dicts of module, optimizers and schedulers, with array copies for tensors.

        Args:
            keep_states: False leaves out optimizers and schedulers.

        Raises:
            CheckpointError: one holds something that no checkpoint can.
        """
        if keep_states:
            return states_of(self.module, self.optimizers, self.schedulers)
        return {"module": states_of(self.module, (), ())["module"]}

    def deserialize(self, state: Mapping[str, Any], *, load_states: bool = True) -> None:
        """Take back what `serialize` gave; nothing changes unless everything fits.

        Args:
            state: what `serialize` gave, or a module's state dict alone.
            load_states: also take the states of optimizers and schedulers, if there are any.

        Raises:
            CheckpointError: it is of another architecture, or of other optimizers, or damaged; the message
                says what differs.
        """
        load(self.module, self.optimizers, self.schedulers, state, load_states=load_states)

    def get_random_state(self) -> dict[str, Any]:
        """Return PyTorch's random states, of the host and of GPUs in use."""
        return random_state.capture()

    def set_random_state(self, state: dict[str, Any]) -> None:
        """Set them to what `get_random_state` returned."""
        random_state.restore(state)

    @property
    def layers(self) -> TorchLayers:
        """The submodules as neon's layers: `layers.layers`."""
        return TorchLayers(self.module)

    def feature_projector(self, inputs: Any) -> GuidedBackprop:
        """Return the outputs of the `Conv2d` layers and the way from them back to the image.

        Args:
            inputs: a minibatch, which tells the shape of a sample.

        Raises:
            ConfigurationError: it is no tensor of real numbers.
        """
        return GuidedBackprop(self.module, inputs)

    def batch_statistics(self, inputs: Any) -> list[tuple[int, Statistics]]:
        """Return what each batch normalization sees of a minibatch in training; changes nothing."""
        return seen_by_batch_norms(self.module, self.placed(inputs))

    def set_batch_statistics(self, statistics: Sequence[tuple[int, Statistics]]) -> None:
        """Have batch normalizations use these, by their index; their variances become unbiased ones."""
        set_statistics(self.module, statistics)


def wrapper_hint(model: object) -> str | None:
    """Return how to wrap a module, for messages; None for anything else."""
    if isinstance(model, torch.nn.Module):
        return "TorchModel(module, loss=..., optimizer=...) from trainsignal.models.torch"
    return None


def _members(given: Any) -> tuple[Any, ...]:
    """Return one, several or none as a tuple."""
    if given is None:
        return ()
    return tuple(given) if is_sequence(given) else (given,)


def _check_optimizer_of(module: Any, optimizer: Any) -> None:
    """Refuse what is no optimizer, or one that trains nothing of the module."""
    _check_has_state(optimizer, "optimizer")
    if not hasattr(optimizer, "param_groups"):
        raise ConfigurationError(f"optimizer={optimizer!r}: expected an optimizer of PyTorch's")
    own = {id(parameter) for parameter in module.parameters()}
    if not any(id(one) in own for group in optimizer.param_groups for one in group["params"]):
        raise ConfigurationError(
            f"the {type(optimizer).__name__} holds no parameter of the {type(module).__name__}: make it from "
            "module.parameters() of this very module, after anything that replaces them"
        )


def _check_has_state(given: Any, what: str) -> None:
    if inspect.isclass(given) or not (hasattr(given, "state_dict") and hasattr(given, "load_state_dict")):
        raise ConfigurationError(
            f"{what}={given!r}: expected an object with state_dict() and load_state_dict(), or a list of them"
        )
