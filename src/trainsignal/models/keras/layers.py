"""The layers of a Keras model under neon's names: `W` and `b`, and a batch normalization's statistics."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any, Final

from trainsignal.layer_names import show
from trainsignal.models.keras.framework import keras
from trainsignal.models.keras.variables import VariableTensor

_NEON_NAMES: Final = MappingProxyType(
    {"kernel": "W", "bias": "b", "moving_mean": "gmean", "moving_variance": "gvar"}
)


class KerasLayer:
    """A layer with its parameters in attributes: `W`, `b`, and others under the names that Keras has.

    Attributes:
        name: path of the layer inside the model: "dense", "block/dense".
        params: the parameters by their names here.
    """

    def __init__(self, name: str, params: Mapping[str, VariableTensor]) -> None:
        """Take over the parameters."""
        self.name = name
        self.params = dict(params)
        show(self, self.params)


class KerasBatchNorm(KerasLayer):
    """A batch normalization, with `gmean`, `gvar` and `rho` as neon has them; Keras's momentum is `rho`."""

    def __init__(self, name: str, params: Mapping[str, VariableTensor], layer: Any) -> None:
        """Take over the parameters; `layer`: the Keras layer."""
        super().__init__(name, params)
        self._layer = layer

    @property
    def rho(self) -> float:
        """Share of the old running average that stays; compiled training sees a change at its next fit."""
        return float(self._layer.momentum)

    @rho.setter
    def rho(self, share: float) -> None:
        self._layer.momentum = share


class KerasLayers:
    """The layers of a model that have parameters, in their order in the model.

    Args:
        model: has been built, or has no layers yet.
    """

    def __init__(self, model: Any) -> None:
        self.layers = list(_layers(model))


def _layers(model: Any) -> Iterator[KerasLayer]:
    """Yield one for each path below which variables lie."""
    grouped: dict[str, dict[str, VariableTensor]] = {}
    for variable in model.weights:
        path, _, name = variable.path.rpartition("/")
        grouped.setdefault(path, {})[_NEON_NAMES.get(name, name)] = VariableTensor(model, variable)
    batch_norms = {layer.path: layer for layer in _batch_norms(model)}
    for path, params in grouped.items():
        name = path.removeprefix(f"{model.name}/")
        if path in batch_norms:
            yield KerasBatchNorm(name, params, batch_norms[path])
        else:
            yield KerasLayer(name, params)


def _batch_norms(layer: Any) -> Iterator[Any]:
    """Yield the batch normalizations in a model and in models within it."""
    for inner in getattr(layer, "layers", ()):
        if isinstance(inner, keras.layers.BatchNormalization):
            yield inner
        else:
            yield from _batch_norms(inner)
