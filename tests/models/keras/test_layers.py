"""The layers of a Keras model under neon's names."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest

from trainsignal.abilities import HasBatchStatistics, all_layers
from trainsignal.models.keras.layers import KerasLayers

# NumPy, of how Keras converts PyTorch's tensors.
pytestmark = pytest.mark.filterwarnings(
    "ignore:__array__ implementation doesn't accept a copy:DeprecationWarning"
)


def found(model: Any) -> dict[str, Any]:
    return {layer.name: layer for layer in all_layers(KerasLayers(model))}


def test_kernel_and_bias_are_named_as_in_neon() -> None:
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2, name="first")], name="net")

    layer = found(model)["first"]

    assert layer.params == {"W": layer.W, "b": layer.b}
    assert (layer.W.shape, layer.b.shape, layer.W.dtype) == ((3, 2), (2,), "float32")
    np.testing.assert_array_equal(layer.W.get(), model.layers[0].get_weights()[0])


def test_layers_of_models_within_are_found_in_order() -> None:
    block = keras.Sequential([keras.Input((3,)), keras.layers.Dense(3, name="inner")], name="block")
    model = keras.Sequential([keras.Input((3,)), block, keras.layers.Dense(1, name="outer")], name="net")

    assert [name.rpartition("/")[2] for name in found(model)] == ["inner", "outer"]


def test_layers_without_parameters_are_none() -> None:
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dropout(0.5), keras.layers.ReLU()])

    assert found(model) == {}


def test_a_batch_normalization_has_its_statistics() -> None:
    norm = keras.layers.BatchNormalization(momentum=0.75, name="norm")
    inner = keras.Sequential([keras.Input((3,)), norm], name="inner")
    model = keras.Sequential([keras.Input((3,)), inner], name="net")
    (layer,) = found(model).values()

    layer.gmean[:] = [1.0, 2.0, 3.0]
    layer.gvar[1] = 5.0
    layer.rho = 0.5

    np.testing.assert_array_equal(norm.moving_mean, [1.0, 2.0, 3.0])
    np.testing.assert_array_equal(norm.moving_variance, [1.0, 5.0, 1.0])
    assert (layer.rho, norm.momentum) == (0.5, 0.5)
    assert {"gamma", "beta"} <= layer.params.keys()
    assert isinstance(layer, HasBatchStatistics)


def test_a_parameter_of_a_forbidden_name_is_in_the_params_alone() -> None:
    class Odd(keras.layers.Layer):  # type: ignore[misc]  # untyped framework
        def build(self, shape: Any) -> None:
            self.weight = self.add_weight(shape=(1,), name="name")

        def call(self, inputs: Any) -> Any:
            return inputs

    model = keras.Sequential([keras.Input((3,)), Odd(name="odd")], name="net")

    layer = found(model)["odd"]

    assert layer.name == "odd"
    assert layer.params["name"].shape == (1,)
