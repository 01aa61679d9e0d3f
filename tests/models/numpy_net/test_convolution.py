from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from scipy.signal import correlate2d

from tests.support import neon_reference
from tests.support.finite_differences import gradient
from trainsignal.errors import ConfigurationError
from trainsignal.models.numpy_net import Constant, Convolution, Gaussian, Model

Doubles = npt.NDArray[np.float64]

IMAGE = (2, 5, 4)
SIZES = [
    {},
    {"padding": 1},
    {"strides": 2},
    {"strides": (1, 2), "padding": (2, 0)},
    {"strides": {"str_h": 3}, "padding": {"pad_w": 1}},
]


def configured(fshape: tuple[int, int, int] = (3, 2, 4), **sizes: Any) -> Convolution:
    """Return a layer for `IMAGE`, its weights float64 so that finite differences are exact."""
    layer = Convolution(fshape, init=Gaussian(), name="c", **sizes)
    layer.configure(IMAGE, np.random.RandomState(0))
    layer.W = layer.W.astype(np.float64)
    return layer


def drawn(rows: int, seed: int, columns: int = 3) -> Doubles:
    return np.random.RandomState(seed).normal(size=(rows, columns))


@pytest.mark.parametrize("sizes", SIZES, ids=repr)
def test_outputs_are_the_correlations_that_scipy_computes(sizes: dict[str, Any]) -> None:
    layer, inputs = configured(**sizes), drawn(40, seed=1)
    maps, height, width = layer.out_shape or (0, 0, 0)
    outputs = layer.fprop(inputs).reshape(maps, height, width, -1)
    pad_h, pad_w, str_h, str_w = (layer.convparams[name] for name in ("pad_h", "pad_w", "str_h", "str_w"))
    filters = layer.W.reshape(2, 3, 2, maps)  # channels slowest
    for number, column in np.ndindex(maps, inputs.shape[1]):
        image = np.pad(inputs[:, column].reshape(IMAGE), ((0, 0), (pad_h, pad_h), (pad_w, pad_w)))
        dense = sum(correlate2d(image[c], filters[c, :, :, number], mode="valid") for c in range(2))
        np.testing.assert_allclose(outputs[number, :, :, column], dense[::str_h, ::str_w])


@pytest.mark.parametrize("sizes", SIZES, ids=repr)
@pytest.mark.parametrize("of", ["inputs", "W"])
def test_gradients_equal_the_finite_differences(sizes: dict[str, Any], of: str) -> None:
    layer, inputs = configured(**sizes), drawn(40, seed=1)
    error = drawn(len(layer.fprop(inputs)), seed=2)
    values = inputs if of == "inputs" else layer.W
    slopes = gradient(lambda: float((layer.fprop(inputs) * error).sum()), values)
    layer.fprop(inputs)
    by_inputs = layer.bprop(error)
    np.testing.assert_allclose(by_inputs if of == "inputs" else layer.grad_W, slopes, atol=1e-7)


@pytest.mark.parametrize("position", [0, 2, 4])
def test_outputs_are_those_of_neon(position: int) -> None:
    reference = neon_reference.arrays("deconv")
    model = neon_reference.trained_deconv(reference)
    for batch in range(5):
        x = reference[f"deconv_inputs/batch{batch}"]
        for layer in model.layers.layers[: position + 1]:
            x = layer.fprop(x, inference=True)
        # neon's rectifiers work in place: what it recorded is cut off below 0
        expected = reference[f"deconv_conv_outputs/batch{batch}/layer{position:02}"]
        np.testing.assert_allclose(np.maximum(x, 0), expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize("position", [0, 2, 4])
def test_sizes_are_told_as_in_neon(position: int) -> None:
    reference = neon_reference.arrays("deconv")
    layer = neon_reference.trained_deconv(reference).layers.layers[position]
    assert isinstance(layer, Convolution)
    names = ["C", "H", "W", "K", "R", "S", "pad_h", "pad_w", "str_h", "str_w"]
    assert [layer.convparams[name] for name in names] == list(
        reference[f"deconv_convparams/layer{position:02}"]
    )
    assert layer.in_shape == tuple(reference[f"deconv_in_shape/layer{position:02}"])
    assert layer.out_shape == tuple(reference[f"deconv_out_shape/layer{position:02}"])


def test_weights_are_single_precision_with_channels_slowest() -> None:
    layer = Convolution((3, 2, 4), init=Constant(1))
    layer.configure(IMAGE, np.random.RandomState(0))
    assert layer.W.shape == (12, 4)
    assert layer.W.dtype == np.float32
    assert layer.fprop(np.ones((40, 1), np.float32)).dtype == np.float32


def test_inference_leaves_the_gradients_of_training_alone() -> None:
    layer, inputs = configured(), drawn(40, seed=1)
    error = drawn(len(layer.fprop(inputs)), seed=2)
    expected, gradient_of_weights = layer.bprop(error), layer.grad_W.copy()
    layer.fprop(drawn(40, seed=3), inference=True)
    layer.bprop_inference(drawn(40, seed=4), drawn(len(error), seed=5))
    np.testing.assert_array_equal(layer.bprop(error), expected)
    np.testing.assert_array_equal(layer.grad_W, gradient_of_weights)


def test_line_of_the_layer_is_that_of_neon() -> None:
    layer = Convolution((3, 3, 8), strides=(2, 1), padding=1, init=Constant(0), name="Convolution_0")
    assert str(layer) == (
        "Convolution Layer 'Convolution_0': ? inputs, 8 x (?x?) outputs, "
        "1,1 padding, 2,1 stride, 1,1 dilation"
    )
    layer.configure((1, 8, 8), np.random.RandomState(0))
    assert str(layer) == (
        "Convolution Layer 'Convolution_0': 1 x (8x8) inputs, 8 x (4x8) outputs, "
        "1,1 padding, 2,1 stride, 1,1 dilation"
    )


def test_config_says_what_makes_the_layer() -> None:
    config = Convolution((3, 2, 4), 2, {"pad_h": 1}, init=Constant(1), name="c").config()
    assert config == {
        "name": "c",
        "fshape": (3, 2, 4),
        "strides": 2,
        "padding": {"pad_h": 1},
        "init": {"type": "trainsignal.models.numpy_net.initializers.Constant", "config": {"val": 1}},
    }


def test_saved_network_with_convolutions_is_loaded_again() -> None:
    reference = neon_reference.arrays("deconv")
    model, loaded = neon_reference.trained_deconv(reference), neon_reference.deconv()
    loaded.deserialize(model.serialize())
    x = reference["deconv_inputs/batch0"]
    np.testing.assert_array_equal(loaded.fprop(x, inference=True), model.fprop(x, inference=True))


def test_flat_samples_are_refused_when_the_model_is_initialized() -> None:
    reference = neon_reference.arrays("mlp")
    model = Model([Convolution((3, 3, 2), init=Constant(0))])
    with pytest.raises(ConfigurationError, match=r"Convolution 'Convolution_0': .* lshape="):
        model.initialize(neon_reference.data_set(reference, "train"))


@pytest.mark.parametrize("fshape", [(3, 3), (3, 3, 0), (0, 3, 1), (1, 3, 3, 2)], ids=repr)
def test_filters_without_a_size_are_refused(fshape: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"fshape=.*number of filters"):
        Convolution(fshape, init=Constant(0))


@pytest.mark.parametrize("sizes", [{"strides": 0}, {"padding": -1}, {"padding": {"h": 1}}], ids=repr)
def test_strides_and_padding_without_a_meaning_are_refused(sizes: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match="expected an integer of at least"):
        Convolution((3, 3, 1), init=Constant(0), **sizes)
