"""The layers: `Layer`, which every one follows, and Linear, Bias and Activation.

Weights and biases are layers of their own, as in neon, each with its parameter in the attribute `W`.
"""

# ruff: noqa: D102 - a method that overrides another inherits its docstring

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from trainsignal.errors import ConfigurationError
from trainsignal.models.numpy_net.activations import Transform
from trainsignal.models.numpy_net.arrays import Floats, Shape, feature_count
from trainsignal.models.numpy_net.description import describe
from trainsignal.models.numpy_net.initializers import Initializer


class Trainable(NamedTuple):
    """What the optimizer needs to update one parameter in place."""

    parameter: Floats
    gradient: Floats
    """Summed, not averaged, over the columns of the minibatch."""
    states: list[Floats]
    """The optimizer's own arrays for this parameter; empty until it puts them there."""


class Layer(ABC):
    """One step from inputs to outputs, both (features, columns), and back.

    A layer of a new kind gives `configure`, `fprop`, `bprop` and `__str__`; where it has parameters, also
    `params` and `gradients`, and `configure` then sets `states`.

    Args:
        name: what callbacks, checkpoints and archives call it. None: the model names it ("Linear_0").
    """

    def __init__(self, name: str | None = None) -> None:
        self.name = name
        self.states: list[list[Floats]] = []
        """One list of the optimizer's arrays for each trained parameter; `configure` makes them, empty."""

    @property
    def suffix(self) -> str:
        """What the name ends in where the layer follows another within an `Affine`."""
        return type(self).__name__

    @property
    def params(self) -> Mapping[str, Floats]:
        """The arrays that a checkpoint holds, by the attribute that each is in; trained or not."""
        return {}

    @property
    def gradients(self) -> Mapping[str, Floats]:
        """The gradient of each trained parameter at the last `bprop`, in the order of `states`."""
        return {}

    @abstractmethod
    def configure(self, in_shape: Shape, rng: np.random.RandomState) -> Shape:
        """Allocate the parameters for samples of `in_shape`, drawn from `rng`; return the outputs' shape."""

    @abstractmethod
    def fprop(self, inputs: Floats, inference: bool = False) -> Floats:
        """Return the outputs; with `inference`, change nothing that training or `bprop` would see."""

    @abstractmethod
    def bprop(self, error: Floats) -> Floats:
        """Take the cost's derivative by the outputs of the last training `fprop`; return that by the inputs.

        The gradients are set to sums over the columns.
        """

    def get_params(self) -> list[Trainable]:
        """Return each trained parameter with its gradient and the optimizer's state."""
        params = self.params
        return [
            Trainable(params[name], gradient, states)
            for (name, gradient), states in zip(self.gradients.items(), self.states, strict=True)
        ]

    def config(self) -> dict[str, object]:
        """Return what a checkpoint says of the layer beside its parameters."""
        return {"name": self.name}


class WeightLayer(Layer):
    """A layer with one trained parameter, in `W`, that an initializer fills; `W` exists once configured."""

    W: Floats
    grad_W: Floats

    def __init__(self, init: Initializer, name: str | None = None) -> None:
        super().__init__(name)
        self.init = init

    @property
    def params(self) -> Mapping[str, Floats]:
        return {"W": self.W}

    @property
    def gradients(self) -> Mapping[str, Floats]:
        return {"W": self.grad_W}

    def config(self) -> dict[str, object]:
        return super().config() | {"init": describe(self.init)}

    def _allocate(self, shape: tuple[int, int], rng: np.random.RandomState) -> None:
        self.W = self.init.draw(shape, rng)  # pyright: ignore[reportConstantRedefinition] - neon's name
        self.grad_W = np.zeros_like(self.W)
        self.states = [[]]


class Linear(WeightLayer):
    """Multiplies by a weight matrix `W`, (nout, nin) float32.

    Args:
        nout: number of outputs.
        init: how `W` starts.
        name: None lets the model name it.

    Raises:
        ConfigurationError: `nout` is less than 1.
    """

    def __init__(self, nout: int, init: Initializer, name: str | None = None) -> None:
        if nout < 1:
            raise ConfigurationError(f"nout={nout!r}: a layer has at least one output.")
        super().__init__(init, name)
        self.nout = nout
        self.nin: int | None = None
        """Number of inputs; None until the model is initialized."""

    def configure(self, in_shape: Shape, rng: np.random.RandomState) -> Shape:
        self.nin = feature_count(in_shape)
        self._allocate((self.nout, self.nin), rng)
        return self.nout

    def fprop(self, inputs: Floats, inference: bool = False) -> Floats:
        if not inference:
            self._inputs = inputs
        return self.W @ inputs

    def bprop(self, error: Floats) -> Floats:
        self.grad_W = error @ self._inputs.T
        return self.W.T @ error

    def config(self) -> dict[str, object]:
        return super().config() | {"nout": self.nout}

    def __str__(self) -> str:
        nin = "?" if self.nin is None else self.nin
        return f"Linear Layer '{self.name}': {nin} inputs, {self.nout} outputs"


class Bias(WeightLayer):
    """Adds `W`, (features, 1) float32, to each column."""

    def __init__(self, init: Initializer, name: str | None = None) -> None:
        super().__init__(init, name)
        self.size: int | None = None
        """Number of features; None until the model is initialized."""

    @property
    def suffix(self) -> str:
        return "bias"

    def configure(self, in_shape: Shape, rng: np.random.RandomState) -> Shape:
        self.size = feature_count(in_shape)
        self._allocate((self.size, 1), rng)
        return in_shape

    def fprop(self, inputs: Floats, inference: bool = False) -> Floats:
        return inputs + self.W

    def bprop(self, error: Floats) -> Floats:
        self.grad_W = error.sum(axis=1, keepdims=True)
        return error

    def __str__(self) -> str:
        return f"Bias Layer '{self.name}': size {'?' if self.size is None else self.size}"


class Activation(Layer):
    """Applies a transform such as Rectlin."""

    def __init__(self, transform: Transform, name: str | None = None) -> None:
        super().__init__(name)
        self.transform = transform

    @property
    def suffix(self) -> str:
        return type(self.transform).__name__

    def configure(self, in_shape: Shape, rng: np.random.RandomState) -> Shape:
        return in_shape

    def fprop(self, inputs: Floats, inference: bool = False) -> Floats:
        outputs = self.transform(inputs)
        if not inference:
            self._outputs = outputs
        return outputs

    def bprop(self, error: Floats) -> Floats:
        return error * self.transform.bprop(self._outputs)

    def config(self) -> dict[str, object]:
        return super().config() | {"transform": describe(self.transform)}

    def __str__(self) -> str:
        return f"Activation Layer '{self.name}': {self.suffix}"
