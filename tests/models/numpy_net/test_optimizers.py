from __future__ import annotations

import numpy as np
import pytest

from trainsignal.errors import ConfigurationError
from trainsignal.models.numpy_net import Bias, Constant, GradientDescentMomentum


def bias(start: float = 1.0, gradient: float = 8.0) -> Bias:
    layer = Bias(Constant(start))
    layer.configure(1, np.random.RandomState(0))
    layer.grad_W[...] = gradient
    return layer


def test_first_step_is_against_the_mean_gradient() -> None:
    layer = bias(start=1, gradient=8)
    GradientDescentMomentum(0.1, 0.9).optimize([layer], epoch=0, batch_size=4)
    assert layer.W.item() == pytest.approx(1 - 0.1 * 8 / 4)


def test_velocity_carries_the_share_of_the_momentum() -> None:
    layer, optimizer = bias(start=1, gradient=8), GradientDescentMomentum(0.1, 0.9)
    optimizer.optimize([layer], epoch=0, batch_size=4)
    optimizer.optimize([layer], epoch=0, batch_size=4)
    first = -0.1 * 2
    second = 0.9 * first - 0.1 * 2
    assert layer.states[0][0].item() == pytest.approx(second)
    assert layer.W.item() == pytest.approx(1 + first + second)


def test_weight_decay_adds_its_share_of_the_parameter_to_the_gradient() -> None:
    layer = bias(start=3, gradient=8)
    GradientDescentMomentum(0.1, 0.0, wdecay=0.5).optimize([layer], epoch=0, batch_size=4)
    assert layer.W.item() == pytest.approx(3 - 0.1 * (2 + 0.5 * 3))


@pytest.mark.parametrize(("gradient", "step"), [(8.0, 0.5), (-8.0, -0.5), (0.4, 0.1)])
def test_mean_gradient_is_clipped_before_the_decay_is_added(gradient: float, step: float) -> None:
    layer = bias(start=1, gradient=gradient)
    optimizer = GradientDescentMomentum(1.0, 0.0, wdecay=0.25, gradient_clip_value=0.5)
    optimizer.optimize([layer], epoch=0, batch_size=4)
    assert layer.W.item() == pytest.approx(1 - (step + 0.25))


def test_parameters_are_updated_in_place_and_gradients_kept() -> None:
    layer = bias(gradient=8)
    weights = layer.W
    GradientDescentMomentum(0.1, 0.9, gradient_clip_value=1.0).optimize([layer], epoch=0, batch_size=4)
    assert np.shares_memory(layer.W, weights)
    assert layer.grad_W.item() == 8
    assert weights.dtype == np.float32


def test_learning_rate_may_change_during_training() -> None:
    layer, optimizer = bias(start=1, gradient=8), GradientDescentMomentum(0.1, 0.0)
    optimizer.learning_rate = 1.0
    optimizer.optimize([layer], epoch=0, batch_size=4)
    assert layer.W.item() == pytest.approx(1 - 2)


@pytest.mark.parametrize("rate", [-0.1, float("nan"), float("inf")])
def test_learning_rate_out_of_range_is_refused(rate: float) -> None:
    with pytest.raises(ConfigurationError, match="learning_rate="):
        GradientDescentMomentum(rate, 0.9)


@pytest.mark.parametrize("momentum", [-0.1, 1.0, float("nan")])
def test_momentum_out_of_range_is_refused(momentum: float) -> None:
    with pytest.raises(ConfigurationError, match="momentum_coef="):
        GradientDescentMomentum(0.1, momentum)


def test_negative_decay_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="wdecay=-1"):
        GradientDescentMomentum(0.1, 0.9, wdecay=-1)


def test_clipping_at_zero_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="gradient_clip_value=0"):
        GradientDescentMomentum(0.1, 0.9, gradient_clip_value=0)
