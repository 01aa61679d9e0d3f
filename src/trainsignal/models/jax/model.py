"""`JaxModel`: what callbacks need of a loop in JAX, whose state is one pytree that each step replaces."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any, Final

import numpy as np

from trainsignal.abilities import Array, State
from trainsignal.errors import CheckpointError, ConfigurationError
from trainsignal.models.jax.framework import jax
from trainsignal.models.jax.layers import Layers
from trainsignal.models.jax.pytree import leaves_of, to_plain, with_leaves
from trainsignal.wrapped_model import PredictingModel

PARAMS: Final = "params"
"""Where the parameters are in the state: an attribute or a key of it."""

_TRAINING: Final = "training"
"""Entry of a checkpoint: all that is in the state beside the parameters."""


class JaxModel(PredictingModel):
    """Holds the state of a loop, so that a checkpoint has it and a resumed loop finds it here.

        model = JaxModel({"params": params, "opt_state": opt_state, "key": key}, apply, loss=loss)
        ...
        for x, y in run.minibatches(loader):
            model.state, run.cost = train_step(model.state, x, y)

    A `TrainState` of Flax is such a state as it is. What goes into the state is resumed: random keys, the
    averages of batch normalization, the step of a schedule.

    Attributes:
        state: the pytree; the loop replaces it at each step.
        loss: the function that was given, compiled; no attribute where none was.
    """

    loss: Callable[[Any, Any], Any]

    def __init__(
        self,
        state: Any,
        apply: Callable[[Any, Any], Any],
        *,
        loss: Callable[[Any, Any], Any] | None = None,
    ) -> None:
        """Store the state before training.

        Args:
            state: pytree with an attribute or key "params"; all else in it is state of the training.
            apply: pure function (state, inputs) of the outputs for a minibatch in evaluation mode, samples
                in the first axis; is compiled.
            loss: pure function (outputs, targets) of the mean loss over the samples; is compiled. None: the
                model computes none for `LossCallback`.

        Raises:
            ConfigurationError: there are no parameters in the state, or what should be a function is none.
        """
        super().__init__()
        for name, function in (("apply", apply), ("loss", loss)):
            if function is not None and not callable(function):
                raise ConfigurationError(f"{name}={function!r}: expected a function")
        if not any(names[:1] == (PARAMS,) for names in leaves_of(state)):
            raise ConfigurationError(
                f"state: a {type(state).__name__} without parameters: expected a pytree with arrays in "
                f'"{PARAMS}", such as a TrainState of Flax or {{"{PARAMS}": params, "opt_state": opt_state}}'
            )
        self.state = state
        self._apply = jax.jit(apply)
        if loss is not None:
            self.loss = jax.jit(loss)

    def evaluating(self) -> AbstractContextManager[object]:
        """Be in evaluation mode, in which `apply` is always."""
        return contextlib.nullcontext()

    def predict(self, inputs: Any) -> Any:
        """Return the outputs for a minibatch; compiled once for each shape of the inputs."""
        return self._apply(self.state, inputs)

    def to_host(self, value: Any) -> Array:
        """Return an array as NumPy's; waits for the device. Types that NumPy lacks become float32."""
        host = np.asarray(value)
        return host.astype(np.float32) if host.dtype.kind == "V" else host

    @property
    def layers(self) -> Layers:
        """The parameters of this moment in groups, with neon's names: "kernel" is `W`, "bias" is `b`."""
        return Layers({names[1:]: leaf for names, leaf in self._leaves(is_params=True).items()})

    def serialize(self, *, keep_states: bool = True) -> State:
        """Return the state as nested plain values; `keep_states=False`: the parameters alone.

        Raises:
            CheckpointError: it has a leaf that is neither an array nor a number.
        """
        state = to_plain(self._leaves(is_params=True))
        if keep_states:
            state[_TRAINING] = to_plain(self._leaves(is_params=False))
        return state

    def deserialize(self, state: State, *, load_states: bool = True) -> None:
        """Replace the leaves of the state, or of the parameters alone; its structure stays.

        Raises:
            CheckpointError: the checkpoint has other names, shapes or types, or is of something else.
        """
        if PARAMS not in state or (load_states and _TRAINING not in state):
            lacking = PARAMS if PARAMS not in state else _TRAINING
            raise CheckpointError(
                f"the checkpoint has no {lacking!r}: it was not made by a JaxModel, or by one without its "
                "state of training (keep_states=False)"
            )
        loaded = with_leaves(self.state, {PARAMS: state[PARAMS]}, top=(PARAMS,))
        if load_states:
            others = tuple({names[0] for names in self._leaves(is_params=False)})
            loaded = with_leaves(loaded, state[_TRAINING], top=others)
        self.state = loaded

    def _leaves(self, *, is_params: bool) -> dict[tuple[str, ...], Any]:
        """Return the leaves of the parameters, or all others, by the names that lead to them."""
        return {
            names: leaf for names, leaf in leaves_of(self.state).items() if (names[0] == PARAMS) is is_params
        }
