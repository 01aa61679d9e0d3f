"""`KerasModel`: what callbacks may ask of a Keras model, under the names that they know."""

from __future__ import annotations

import contextlib
from collections.abc import Generator
from typing import Any

from trainsignal.abilities import Array, State
from trainsignal.errors import ConfigurationError
from trainsignal.extras import require
from trainsignal.models.keras import random_state
from trainsignal.models.keras.framework import in_step, keras
from trainsignal.models.keras.layers import KerasLayers
from trainsignal.models.keras.state import load_model_state, model_state, seeds_of
from trainsignal.models.keras.variables import numbers_of, to_host
from trainsignal.wrapped_model import PredictingModel


class KerasModel(PredictingModel):
    """A compiled `keras.Model` with the abilities that callbacks need.

    Loss, optimizer and learning rate are those that the model was compiled with. It has no `optimizer`, and
    so nobody else may set the learning rate, where a schedule of Keras's sets it.

    Attributes:
        keras_model: the model itself.
        optimizer: has the `learning_rate`; absent where a schedule has it.
    """

    optimizer: KerasOptimizer

    def __init__(self, model: Any) -> None:
        """Wrap a model.

        Args:
            model: a `keras.Model` on which `compile` was called.

        Raises:
            ConfigurationError: it is none, or was not compiled.
        """
        super().__init__()
        if not isinstance(model, keras.Model):
            raise ConfigurationError(
                f"KerasModel({type(model).__name__}): expected a keras.Model, such as keras.Sequential([...])"
            )
        if not model.compiled:
            raise ConfigurationError(
                f"the model {model.name!r} is not compiled: call model.compile(optimizer=..., loss=...) "
                "before KerasModel(model)"
            )
        self.keras_model = model
        self._is_evaluating = False
        if model.optimizer is not None and isinstance(model.optimizer.learning_rate, keras.Variable):
            self.optimizer = KerasOptimizer(model)

    @contextlib.contextmanager
    def evaluating(self) -> Generator[None]:
        """Be in inference mode, without gradients, inside the `with` block.

        Afterwards the modes of the layers, Keras's metrics of the epoch and all random generators are as
        before, also after an error.
        """
        model, was_evaluating = in_step(self.keras_model), self._is_evaluating
        random = random_state.get_random_state()
        kept = [(one, numbers_of(one)) for one in (*model.metrics_variables, *seeds_of(model))]
        self._is_evaluating = True
        try:
            with _inference_of_torch(model):
                yield
        finally:
            self._is_evaluating = was_evaluating
            for variable, numbers in kept:
                variable.assign(numbers)
            random_state.set_random_state(random)

    def predict(self, inputs: Any) -> Any:
        """Return the outputs for a minibatch: as in inference inside `evaluating`, else as in training.

        The model is called as it is, not compiled.
        """
        return in_step(self.keras_model)(inputs, training=not self._is_evaluating)

    def loss(self, outputs: Any, targets: Any) -> Any:
        """Return the model's loss for a minibatch, regularization included, as Keras's `evaluate` does."""
        return self.keras_model.compute_loss(y=targets, y_pred=outputs, training=False)

    def to_host(self, value: Any) -> Array:
        """Return a tensor of the backend, an array or a number as a NumPy array."""
        return to_host(value)

    def serialize(self, keep_states: bool = True) -> dict[str, Any]:
        """Return copies of the weights and, with `keep_states`, of the optimizer's variables and seeds."""
        return model_state(in_step(self.keras_model), keep_states=keep_states)

    def deserialize(self, state: State, *, load_states: bool = True) -> None:
        """Put weights and, with `load_states`, the optimizer's variables and the layers' seeds back.

        Raises:
            CheckpointError: the state is of a model with other variables, or with another optimizer.
        """
        load_model_state(in_step(self.keras_model), state, load_states=load_states)

    def get_random_state(self) -> dict[str, Any]:
        """Return the state of the backend's random generators; `serialize` has those of the layers."""
        return random_state.get_random_state()

    def set_random_state(self, state: State) -> None:
        """Set the generators to what `get_random_state` returned."""
        random_state.set_random_state(state)

    @property
    def layers(self) -> KerasLayers:
        """The layers that have parameters, under neon's names."""
        return KerasLayers(self.keras_model)


class KerasOptimizer:
    """The optimizer of a model, as far as callbacks may set it.

    Args:
        model: its optimizer has a variable for the learning rate.
    """

    def __init__(self, model: Any) -> None:
        self._model = model

    @property
    def learning_rate(self) -> float:
        """Factor of the gradients; what is set counts from the next minibatch on."""
        return float(numbers_of(in_step(self._model).optimizer.learning_rate))

    @learning_rate.setter
    def learning_rate(self, rate: float) -> None:
        in_step(self._model).optimizer.learning_rate = rate


@contextlib.contextmanager
def _inference_of_torch(model: Any) -> Generator[None]:
    """On the PyTorch backend, have the model be in PyTorch's mode for evaluation too, without gradients."""
    if keras.backend.backend() != "torch":
        yield
        return
    torch = require("torch", extra="keras", user="Keras on its PyTorch backend")
    modes = [(module, module.training) for module in model.modules()]
    with torch.no_grad():
        try:
            model.eval()
            yield
        finally:
            for module, mode in modes:
                module.training = mode


def wrapper_hint(model: object) -> str | None:
    """Return how a model of this framework is wrapped; None for any other object."""
    if isinstance(model, keras.Model):
        return "KerasModel(model) from trainsignal.models.keras"
    return None
