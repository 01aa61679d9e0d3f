from __future__ import annotations

import numpy as np
import pytest

from trainsignal.errors import ConfigurationError
from trainsignal.models.numpy_net import Constant, Gaussian, Initializer, Uniform

SHAPE = (200, 100)


def test_constant_fills_with_its_value() -> None:
    np.testing.assert_array_equal(Constant(0.5).draw((2, 2), np.random.RandomState(0)), np.full((2, 2), 0.5))


def test_gaussian_draws_with_its_mean_and_deviation() -> None:
    drawn = Gaussian(loc=3, scale=0.5).draw(SHAPE, np.random.RandomState(0))
    assert drawn.mean() == pytest.approx(3, abs=4 * 0.5 / np.sqrt(drawn.size))
    assert drawn.std() == pytest.approx(0.5, rel=0.02)


def test_uniform_draws_between_its_bounds() -> None:
    drawn = Uniform(low=-2, high=4).draw(SHAPE, np.random.RandomState(0))
    assert -2 <= drawn.min() < -1.9
    assert 3.9 < drawn.max() <= 4
    assert drawn.mean() == pytest.approx(1, abs=0.1)


@pytest.mark.parametrize("init", [Constant(1), Gaussian(), Uniform()], ids=repr)
def test_what_is_drawn_is_float32_of_the_shape_asked_for(init: Initializer) -> None:
    drawn = init.draw((3, 4), np.random.RandomState(0))
    assert drawn.dtype == np.float32
    assert drawn.shape == (3, 4)


@pytest.mark.parametrize("init", [Gaussian(), Uniform()], ids=repr)
def test_the_generator_given_is_the_only_source_of_chance(init: Initializer) -> None:
    first, second = (init.draw((3, 4), np.random.RandomState(7)) for _ in range(2))
    np.testing.assert_array_equal(first, second)
    assert not np.array_equal(first, init.draw((3, 4), np.random.RandomState(8)))


def test_negative_deviation_is_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"Gaussian\(scale=-1\)"):
        Gaussian(scale=-1)


def test_bounds_in_the_wrong_order_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="low must not exceed high"):
        Uniform(low=1, high=0)
