from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from tests.support import neon_reference
from tests.support.finite_differences import gradient
from trainsignal.errors import ConfigurationError
from trainsignal.models.numpy_net import BatchNorm

Doubles = npt.NDArray[np.float64]


def configured(maps: int = 3) -> BatchNorm:
    """Return a layer whose parameters are float64 and not those that it starts with."""
    layer = BatchNorm()
    layer.configure(maps, np.random.RandomState(0))
    rng = np.random.RandomState(1)
    layer.beta, layer.gamma = rng.normal(size=(maps, 1)), rng.normal(size=(maps, 1))
    layer.gmean, layer.gvar = rng.normal(size=(maps, 1)), rng.uniform(1, 2, size=(maps, 1))
    return layer


def drawn(seed: int) -> Doubles:
    return np.random.RandomState(seed).normal(2, 3, size=(3, 6))


def test_training_normalizes_with_the_biased_variance_of_the_minibatch() -> None:
    layer, x = configured(), drawn(2)
    expected = (
        layer.gamma * (x - x.mean(1, keepdims=True)) / np.sqrt(x.var(1, keepdims=True) + 1e-3) + layer.beta
    )
    np.testing.assert_allclose(layer.fprop(x), expected)


def test_inference_normalizes_with_the_running_averages() -> None:
    layer, x = configured(), drawn(2)
    expected = layer.gamma * (x - layer.gmean) / np.sqrt(layer.gvar + 1e-3) + layer.beta
    np.testing.assert_allclose(layer.fprop(x, inference=True), expected)


def test_inference_changes_neither_averages_nor_gradients() -> None:
    layer, error = configured(), drawn(3)
    layer.fprop(drawn(2))
    averages = layer.gmean.copy(), layer.gvar.copy()
    expected = layer.bprop(error)
    layer.fprop(drawn(4), inference=True)
    np.testing.assert_array_equal(averages, (layer.gmean, layer.gvar))
    np.testing.assert_array_equal(layer.bprop(error), expected)


@pytest.mark.parametrize("of", ["inputs", "beta", "gamma"])
def test_gradients_equal_the_finite_differences(of: str) -> None:
    layer, x, error = configured(), drawn(2), drawn(3)
    values = x if of == "inputs" else getattr(layer, of)
    slopes = gradient(lambda: float((layer.fprop(x) * error).sum()), values)
    layer.fprop(x)
    by_inputs = layer.bprop(error)
    np.testing.assert_allclose(by_inputs if of == "inputs" else layer.gradients[of], slopes, atol=1e-6)


def test_channels_are_the_maps_where_samples_are_images() -> None:
    layer = BatchNorm()
    assert layer.configure((2, 3, 4), np.random.RandomState(0)) == (2, 3, 4)
    x = np.random.RandomState(0).normal(size=(24, 5))
    outputs = layer.fprop(x).reshape(2, -1)
    assert layer.beta.shape == (2, 1)
    np.testing.assert_allclose(outputs.mean(axis=1), 0, atol=1e-6)
    np.testing.assert_allclose(outputs.std(axis=1), 1, atol=1e-3)


def test_running_averages_move_as_those_of_neon() -> None:
    reference = neon_reference.arrays("convbn")
    means, variances = (reference[f"bntune/epoch00/bn2_batch_{kind}"] for kind in ("mean", "var"))
    layer = BatchNorm()
    layer.configure(means.shape[1], np.random.RandomState(0))
    for rho, mean, variance in zip(
        reference["bntune/epoch00/rho_per_batch"][:, 2], means, variances, strict=True
    ):
        layer.rho = float(rho)
        deviation = np.sqrt(variance)
        layer.fprop(
            np.concatenate([mean - deviation, mean + deviation], axis=1)
        )  # has this mean and variance
    batches = len(means)
    np.testing.assert_allclose(layer.gmean, reference["bntune/epoch00/bn2_gmean_after"], atol=1e-5)
    unbiased = layer.gvar * batches / (batches - 1)  # as neon's callback leaves it
    np.testing.assert_allclose(unbiased, reference["bntune/epoch00/bn2_gvar_after"], rtol=1e-4)


def test_inference_takes_an_error_back_through_the_running_averages() -> None:
    layer, x, error = configured(), drawn(2), drawn(3)
    slopes = gradient(lambda: float((layer.fprop(x, inference=True) * error).sum()), x)
    np.testing.assert_allclose(layer.bprop_inference(x, error), slopes, atol=1e-6)


def test_line_of_the_layer_is_that_of_neon() -> None:
    layer = BatchNorm(name="Linear_0_bnorm")
    assert str(layer) == "BatchNorm Layer 'Linear_0_bnorm': ? inputs"
    layer.configure((8, 8, 8), np.random.RandomState(0))
    assert str(layer) == "BatchNorm Layer 'Linear_0_bnorm': 512 inputs, 1 steps, 8 feature maps"


def test_config_says_what_makes_the_layer() -> None:
    assert BatchNorm(rho=0.5, eps=1e-2, name="b").config() == {"name": "b", "rho": 0.5, "eps": 1e-2}


@pytest.mark.parametrize("rho", [-0.1, 1.1, float("nan")])
def test_share_of_the_old_average_outside_0_to_1_is_refused(rho: float) -> None:
    with pytest.raises(ConfigurationError, match="rho="):
        BatchNorm(rho=rho)


def test_eps_of_zero_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="eps=0"):
        BatchNorm(eps=0)
