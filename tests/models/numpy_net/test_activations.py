from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from tests.support.finite_differences import gradient
from trainsignal.models.numpy_net import Logistic, Rectlin, Softmax, Tanh, Transform


def values() -> npt.NDArray[np.float64]:
    return np.random.RandomState(0).normal(size=(4, 3))


@pytest.mark.parametrize("transform", [Rectlin(), Tanh(), Logistic()], ids=repr)
def test_derivative_equals_the_finite_difference(transform: Transform) -> None:
    x = values()
    slopes = gradient(lambda: float(transform(x).sum()), x)
    np.testing.assert_allclose(transform.bprop(transform(x)), slopes, atol=1e-8)


def test_rectlin_keeps_positive_values_and_zeroes_the_others() -> None:
    np.testing.assert_array_equal(Rectlin()(np.array([[-2.0, 0.0, 3.0]])), [[0, 0, 3]])


def test_tanh_is_that_of_numpy() -> None:
    np.testing.assert_allclose(Tanh()(np.array([[0.0, 1.0]])), [[0, 0.7615941559557649]])


def test_logistic_equals_its_formula() -> None:
    x = values()
    np.testing.assert_allclose(Logistic()(x), 1 / (1 + np.exp(-x)))


def test_logistic_of_extreme_inputs_neither_overflows_nor_warns() -> None:
    np.testing.assert_array_equal(Logistic()(np.array([[-1e4, 1e4]], np.float32)), [[0, 1]])


def test_softmax_equals_its_formula_and_sums_to_one() -> None:
    x = values()
    np.testing.assert_allclose(Softmax()(x), np.exp(x) / np.exp(x).sum(axis=0))
    np.testing.assert_allclose(Softmax()(x).sum(axis=0), 1)


def test_softmax_of_huge_inputs_neither_overflows_nor_warns() -> None:
    outputs = Softmax()(np.array([[1e4], [1e4], [0]], np.float32))
    np.testing.assert_array_equal(outputs, [[0.5], [0.5], [0]])


@pytest.mark.parametrize("transform", [Rectlin(), Tanh(), Logistic()], ids=repr)
def test_activations_between_layers_give_their_own_derivative(transform: Transform) -> None:
    assert not transform.leaves_derivative_to_cost


@pytest.mark.parametrize("transform", [Softmax(), Logistic(shortcut=True)], ids=repr)
def test_shortcut_activations_leave_their_derivative_to_the_cost(transform: Transform) -> None:
    assert transform.leaves_derivative_to_cost
    assert transform.bprop(transform(values())) == 1


@pytest.mark.parametrize("transform", [Rectlin(), Tanh(), Logistic(), Softmax()], ids=repr)
def test_float32_stays_float32(transform: Transform) -> None:
    outputs = transform(values().astype(np.float32))
    assert outputs.dtype == np.float32
    assert (outputs * transform.bprop(outputs)).dtype == np.float32
