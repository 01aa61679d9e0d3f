"""`Sequential`: the layers of a model in order, named, and driven forwards and backwards."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

import numpy as np

from trainsignal.errors import ConfigurationError
from trainsignal.models.numpy_net.arrays import Floats, Shape
from trainsignal.models.numpy_net.layers import Activation, Layer


class Sequential:
    """Layers applied one after another.

    Args:
        layers: layers and lists of layers such as `Affine`. A layer without a name gets one: "Linear_0",
            "Linear_1", and within an `Affine` the name of its Linear and what follows: "Linear_0_bias".
        name: what checkpoints call it.

    Raises:
        ConfigurationError: there is no layer, two have the same name, or an activation that leaves its
            derivative to the cost is not the last layer.
    """

    def __init__(self, layers: Iterable[Layer | Iterable[Layer]], name: str = "Sequential_0") -> None:
        groups = [[entry] if isinstance(entry, Layer) else list(entry) for entry in layers]
        _name_layers(groups)
        self.name = name
        self.layers: list[Layer] = [layer for group in groups for layer in group]
        _check_names(self.layers)
        _check_hidden(self.layers[:-1])

    @property
    def layers_to_optimize(self) -> list[Layer]:
        """The layers with parameters that the optimizer updates; none until configured."""
        return [layer for layer in self.layers if layer.states]

    def configure(self, in_shape: Shape, rng: np.random.RandomState) -> Shape:
        """Allocate all parameters for samples of `in_shape`; return the shape that comes out."""
        shape = in_shape
        for layer in self.layers:
            shape = layer.configure(shape, rng)
        return shape

    def fprop(self, inputs: Floats, inference: bool = False) -> Floats:
        """Return the outputs of the last layer for `inputs`, (features, columns)."""
        for layer in self.layers:
            inputs = layer.fprop(inputs, inference)
        return inputs

    def bprop(self, error: Floats) -> Floats:
        """Set all gradients from the cost's derivative by the outputs; return that by the inputs."""
        for layer in reversed(self.layers):
            error = layer.bprop(error)
        return error

    def nested_str(self) -> str:
        """Return the lines that `str(model)` shows, one a layer."""
        return "\n".join(["Sequential", *(f"  {layer}" for layer in self.layers)])


def _name_layers(groups: list[list[Layer]]) -> None:
    """Name the layers that have no name yet, counting within this container."""
    counts: Counter[str] = Counter()
    for group in groups:
        for layer in group:
            if layer.name is None and layer is group[0]:
                kind = type(layer).__name__
                layer.name = f"{kind}_{counts[kind]}"
                counts[kind] += 1
            elif layer.name is None:
                layer.name = f"{group[0].name}_{layer.suffix}"


def _check_names(layers: list[Layer]) -> None:
    if not layers:
        raise ConfigurationError("a model has at least one layer: Model([Affine(nout=10, init=Gaussian())])")
    for name, times in Counter(layer.name for layer in layers).items():
        if times > 1:
            raise ConfigurationError(
                f"{times} layers are called {name!r}, so that checkpoints could not tell them apart. "
                "Give each its own name, and make a new Affine or layer for each place in the model."
            )


def _check_hidden(layers: list[Layer]) -> None:
    for layer in layers:
        if isinstance(layer, Activation) and layer.transform.leaves_derivative_to_cost:
            raise ConfigurationError(
                f"layer {layer.name!r}: {layer.transform!r} leaves its derivative to the cost, so it can be "
                "the last layer only. Use Rectlin(), Tanh() or Logistic() between layers."
            )
