"""The layers: `Layer`, which every one follows, and Linear, Bias and Activation.

Weights and biases are layers of their own, as in neon, each with its parameter in the attribute `W`.
"""

# ruff: noqa: D102 - a method that overrides another inherits its docstring

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from trainsignal.errors import ConfigurationError
from trainsignal.models.numpy_net.activations import Transform
from trainsignal.models.numpy_net.arrays import Floats, Shape, feature_count, is_image, map_count
from trainsignal.models.numpy_net.description import describe
from trainsignal.models.numpy_net.initializers import Initializer
from trainsignal.models.numpy_net.parameters import Parameter, saved_parameters, set_parameters
from trainsignal.tensor import KeepsHistograms


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
        self.be: KeepsHistograms | None = None
        """The backend of the model that it is a layer of; None until then."""

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

    def bprop_inference(self, inputs: Floats, error: Floats) -> Floats:
        """Take an error back through the layer as inference computes it; change nothing.

        A layer that computes otherwise in training, or changes arrays of its own in place, overrides this.

        Args:
            inputs: what the layer got, (features, columns).
            error: a derivative by what `fprop(inputs, inference=True)` returns, of the same shape.

        Returns:
            That by the inputs, (features, columns).
        """
        twin = copy.copy(self)  # keeps for itself what `fprop` and `bprop` leave behind
        twin.fprop(inputs)
        return twin.bprop(error)

    def get_params(self) -> list[Trainable]:
        """Return each trained parameter with its gradient and the optimizer's state."""
        params = self.params
        return [
            Trainable(params[name], gradient, states)
            for (name, gradient), states in zip(self.gradients.items(), self.states, strict=True)
        ]

    set_params = set_parameters
    get_params_serialize = saved_parameters

    def config(self) -> dict[str, object]:
        """Return what a checkpoint says of the layer beside its parameters."""
        return {"name": self.name}


class WeightLayer(Layer):
    """A layer with one trained parameter, in `W`, that an initializer fills; `W` exists once configured."""

    W = Parameter()
    _W: Floats
    grad_W: Floats

    def __init__(self, init: Initializer, name: str | None = None) -> None:
        super().__init__(name)
        self.init = init

    @property
    def params(self) -> Mapping[str, Floats]:
        return {"W": self._W}

    @property
    def gradients(self) -> Mapping[str, Floats]:
        return {"W": self.grad_W}

    def config(self) -> dict[str, object]:
        return super().config() | {"init": describe(self.init)}

    def _allocate(self, shape: tuple[int, int], rng: np.random.RandomState) -> None:
        self._W = self.init.draw(shape, rng)  # pyright: ignore[reportConstantRedefinition] - neon's name
        self.grad_W = np.zeros_like(self._W)
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
        return self._W @ inputs

    def bprop(self, error: Floats) -> Floats:
        self.grad_W = error @ self._inputs.T
        return self._W.T @ error

    def config(self) -> dict[str, object]:
        return super().config() | {"nout": self.nout}

    def __str__(self) -> str:
        nin = "?" if self.nin is None else self.nin
        return f"Linear Layer '{self.name}': {nin} inputs, {self.nout} outputs"


class Bias(WeightLayer):
    """Adds `W`, (features, 1) float32, to each column.

    Where samples are (channels, height, width) there is one number a channel, as in neon.
    """

    def __init__(self, init: Initializer, name: str | None = None) -> None:
        super().__init__(init, name)
        self.size: int | None = None
        """Number of entries of `W`; None until the model is initialized."""
        self._place = ""  # what the printed line adds where a bias holds for a whole channel

    @property
    def suffix(self) -> str:
        return "bias"

    def configure(self, in_shape: Shape, rng: np.random.RandomState) -> Shape:
        self.size = map_count(in_shape)
        self._place = " x ({}x{})".format(*in_shape[1:]) if is_image(in_shape) else ""
        self._allocate((self.size, 1), rng)
        return in_shape

    def fprop(self, inputs: Floats, inference: bool = False) -> Floats:
        by_map = inputs.reshape(len(self._W), -1)
        return (by_map + self._W).reshape(inputs.shape)

    def bprop(self, error: Floats) -> Floats:
        self.grad_W = error.reshape(len(self._W), -1).sum(axis=1, keepdims=True)
        return error

    def __str__(self) -> str:
        return f"Bias Layer '{self.name}': size {'?' if self.size is None else self.size}{self._place}"


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
