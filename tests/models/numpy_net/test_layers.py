from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from tests.support.finite_differences import gradient
from trainsignal.errors import ConfigurationError
from trainsignal.models.numpy_net import Activation, Bias, Gaussian, Layer, Linear, Logistic, Rectlin, Tanh
from trainsignal.models.numpy_net.layers import WeightLayer

Doubles = npt.NDArray[np.float64]


def configured(layer: Layer, features: int = 5) -> Layer:
    """Return `layer` for `features` inputs, its weights float64 so that finite differences are exact."""
    layer.configure(features, np.random.RandomState(0))
    if isinstance(layer, WeightLayer):
        layer.W = layer.W.astype(np.float64)
    return layer


def drawn(rows: int, seed: int) -> Doubles:
    return np.random.RandomState(seed).normal(size=(rows, 4))


def layers() -> list[Layer]:
    return [
        Linear(3, Gaussian(), name="linear"),
        Bias(Gaussian(), name="bias"),
        Activation(Rectlin(), name="rectlin"),
        Activation(Tanh(), name="tanh"),
        Activation(Logistic(), name="logistic"),
    ]


@pytest.mark.parametrize("layer", layers(), ids=lambda layer: layer.name)
def test_error_passed_back_equals_the_finite_difference(layer: Layer) -> None:
    layer = configured(layer)
    inputs = drawn(5, seed=1)
    error = drawn(len(layer.fprop(inputs)), seed=2)
    slopes = gradient(lambda: float((layer.fprop(inputs) * error).sum()), inputs)
    layer.fprop(inputs)
    np.testing.assert_allclose(layer.bprop(error), slopes, atol=1e-7)


@pytest.mark.parametrize("layer", layers(), ids=lambda layer: layer.name)
def test_error_passed_back_at_inference_changes_nothing_that_training_sees(layer: Layer) -> None:
    layer = configured(layer)
    inputs, others = drawn(5, seed=1), drawn(5, seed=3)
    error = drawn(len(layer.fprop(inputs)), seed=2)
    slopes = gradient(lambda: float((layer.fprop(others, inference=True) * error).sum()), others)
    expected, gradients = layer.bprop(error), dict(layer.gradients)
    np.testing.assert_allclose(layer.bprop_inference(others, error), slopes, atol=1e-7)
    np.testing.assert_equal(dict(layer.gradients), gradients)
    np.testing.assert_array_equal(layer.bprop(error), expected)


@pytest.mark.parametrize("layer", layers()[:2], ids=lambda layer: layer.name)
def test_gradient_of_the_weights_equals_the_finite_difference(layer: WeightLayer) -> None:
    configured(layer)
    inputs = drawn(5, seed=1)
    error = drawn(len(layer.fprop(inputs)), seed=2)
    slopes = gradient(lambda: float((layer.fprop(inputs) * error).sum()), layer.W)
    layer.fprop(inputs)
    layer.bprop(error)
    np.testing.assert_allclose(layer.grad_W, slopes, atol=1e-7)


def test_linear_multiplies_by_its_weights() -> None:
    layer = Linear(2, Gaussian())
    layer.configure(2, np.random.RandomState(0))
    layer.W[...] = [[1, 2], [3, 4]]
    np.testing.assert_array_equal(layer.fprop(np.array([[1.0], [10.0]])), [[21], [43]])


def test_bias_is_added_to_each_column() -> None:
    layer = Bias(Gaussian())
    layer.configure(2, np.random.RandomState(0))
    layer.W[...] = [[1], [2]]
    np.testing.assert_array_equal(layer.fprop(np.zeros((2, 3))), [[1, 1, 1], [2, 2, 2]])


def test_bias_of_images_is_one_number_a_channel() -> None:
    layer = Bias(Gaussian(), name="b")
    assert layer.configure((2, 1, 2), np.random.RandomState(0)) == (2, 1, 2)
    layer.W[...] = [[1], [2]]
    np.testing.assert_array_equal(layer.fprop(np.zeros((4, 1))), [[1], [1], [2], [2]])
    layer.bprop(np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0], [7.0, 8.0]]))
    np.testing.assert_array_equal(layer.grad_W, [[10], [26]])
    assert str(layer) == "Bias Layer 'b': size 2 x (1x2)"


def test_linear_takes_samples_of_several_axes_as_flat() -> None:
    layer = Linear(3, Gaussian())
    assert layer.configure((2, 4, 4), np.random.RandomState(0)) == 3
    assert layer.W.shape == (3, 32)


@pytest.mark.parametrize("layer", layers(), ids=lambda layer: layer.name)
def test_inference_between_fprop_and_bprop_leaves_the_gradients_alone(layer: Layer) -> None:
    layer = configured(layer)
    inputs = drawn(5, seed=1)
    error = drawn(len(layer.fprop(inputs)), seed=2)
    expected, gradients = layer.bprop(error), dict(layer.gradients)
    layer.fprop(drawn(5, seed=3), inference=True)
    np.testing.assert_array_equal(layer.bprop(error), expected)
    np.testing.assert_equal(dict(layer.gradients), gradients)


def test_parameters_come_with_their_gradient_and_state() -> None:
    layer = Linear(2, Gaussian())
    layer.configure(3, np.random.RandomState(0))
    (trainable,) = layer.get_params()
    assert np.shares_memory(trainable.parameter, layer.W)
    assert trainable.gradient is layer.grad_W
    assert trainable.states is layer.states[0]


def test_activation_has_nothing_to_train() -> None:
    layer = configured(Activation(Rectlin()))
    assert layer.get_params() == []
    assert dict(layer.params) == {}


def test_config_says_what_makes_the_layer() -> None:
    linear = Linear(2, Gaussian(scale=0.1), name="hidden")
    assert linear.config() == {
        "name": "hidden",
        "nout": 2,
        "init": {
            "type": "trainsignal.models.numpy_net.initializers.Gaussian",
            "config": {"loc": 0.0, "scale": 0.1},
        },
    }
    assert Activation(Rectlin(), name="a").config() == {
        "name": "a",
        "transform": {"type": "trainsignal.models.numpy_net.activations.Rectlin", "config": {}},
    }


@pytest.mark.parametrize(
    ("layer", "before", "after"),
    [
        (
            Linear(2, Gaussian(), "a"),
            "Linear Layer 'a': ? inputs, 2 outputs",
            "Linear Layer 'a': 5 inputs, 2 outputs",
        ),
        (Bias(Gaussian(), "b"), "Bias Layer 'b': size ?", "Bias Layer 'b': size 5"),
        (Activation(Rectlin(), "c"), "Activation Layer 'c': Rectlin", "Activation Layer 'c': Rectlin"),
    ],
    ids=["linear", "bias", "activation"],
)
def test_line_of_a_layer_tells_its_sizes_once_they_are_known(layer: Layer, before: str, after: str) -> None:
    assert str(layer) == before
    assert str(configured(layer)) == after


def test_linear_without_outputs_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="nout=0"):
        Linear(0, Gaussian())
