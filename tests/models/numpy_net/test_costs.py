from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import pytest
from sklearn.metrics import log_loss, mean_squared_error

from tests.support.finite_differences import gradient
from trainsignal.errors import ConfigurationError, DataError
from trainsignal.models.numpy_net import (
    Activation,
    Bias,
    Constant,
    CostFunction,
    CrossEntropyBinary,
    CrossEntropyMulti,
    GeneralizedCost,
    Layer,
    Logistic,
    MeanSquared,
    Rectlin,
    Softmax,
    Tanh,
    Transform,
)

LABELS = [2, 0, 1, 1]
ONE_HOT = np.eye(3)[:, LABELS]


def drawn() -> npt.NDArray[np.float64]:
    return np.random.RandomState(0).normal(size=(3, 4))


@pytest.mark.parametrize(
    ("function", "transform"),
    [
        (CrossEntropyMulti(), Softmax()),
        (CrossEntropyBinary(), Logistic(shortcut=True)),
        (MeanSquared(), Tanh()),
    ],
    ids=["multi", "binary", "squared"],
)
def test_gradient_through_the_last_activation_equals_the_finite_difference(
    function: CostFunction, transform: Transform
) -> None:
    x = drawn()
    slopes = gradient(lambda: float(function(transform(x), ONE_HOT).sum()), x)
    outputs = transform(x)
    np.testing.assert_allclose(function.bprop(outputs, ONE_HOT) * transform.bprop(outputs), slopes, atol=1e-7)


def test_cross_entropy_of_classes_equals_scikit_learns_log_loss() -> None:
    outputs = Softmax()(drawn())
    assert GeneralizedCost(CrossEntropyMulti()).get_cost(outputs, ONE_HOT) == pytest.approx(
        log_loss(LABELS, outputs.T)
    )


def test_binary_cross_entropy_is_the_sum_of_scikit_learns_log_losses() -> None:
    outputs = Logistic()(drawn())
    expected = sum(log_loss(t, y) for t, y in zip(ONE_HOT, outputs, strict=True))
    assert GeneralizedCost(CrossEntropyBinary()).get_cost(outputs, ONE_HOT) == pytest.approx(expected)


def test_mean_squared_cost_is_half_of_scikit_learns() -> None:
    expected = mean_squared_error(ONE_HOT, drawn()) / 2
    assert GeneralizedCost(MeanSquared()).get_cost(drawn(), ONE_HOT) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("function", "outputs", "target"),
    [
        (CrossEntropyMulti(), [[0.0], [1.0]], [[1.0], [0.0]]),
        (CrossEntropyBinary(), [[0.0]], [[1.0]]),
        (CrossEntropyBinary(), [[1.0]], [[0.0]]),
    ],
    ids=["multi", "binary_0", "binary_1"],
)
def test_logarithm_is_held_at_minus_50(
    function: CostFunction, outputs: list[list[float]], target: list[list[float]]
) -> None:
    costs = function(np.array(outputs, np.float32), np.array(target, np.float32))
    assert costs.dtype == np.float32
    assert costs[0, 0] == pytest.approx(50)


def test_cost_is_a_float_and_outputs_hold_each_column() -> None:
    cost = GeneralizedCost(MeanSquared())
    assert math.isnan(cost.cost)
    outputs = np.array([[1, 2, 3]], np.float32)
    assert cost.get_cost(outputs, np.zeros_like(outputs)) == pytest.approx(14 / 6)
    assert type(cost.cost) is float
    assert cost.cost == pytest.approx(14 / 6)
    np.testing.assert_allclose(cost.outputs, [[0.5, 2, 4.5]])


@pytest.mark.parametrize(
    ("function", "output", "expected"),
    [
        (CrossEntropyMulti(), math.nan, math.nan),
        (CrossEntropyBinary(), math.nan, math.nan),
        (MeanSquared(), math.nan, math.nan),
        (MeanSquared(), math.inf, math.inf),
        (MeanSquared(), 1e30, math.inf),  # its square is more than float32 holds
    ],
    ids=["multi_nan", "binary_nan", "squared_nan", "squared_inf", "squared_overflow"],
)
def test_network_that_diverged_costs_nan_or_infinity_without_a_warning(
    function: CostFunction, output: float, expected: float
) -> None:
    outputs = np.array([[output, 0.5], [0.5, 0.5]], np.float32)
    cost = GeneralizedCost(function).get_cost(outputs, np.eye(2, dtype=np.float32))
    np.testing.assert_equal(cost, expected)


def test_errors_are_summed_not_averaged_over_columns() -> None:
    outputs = np.array([[1, 2, 3]], np.float32)
    errors = GeneralizedCost(MeanSquared()).get_errors(outputs, np.zeros_like(outputs))
    np.testing.assert_array_equal(errors, outputs)


def test_targets_that_would_be_broadcast_are_refused() -> None:
    with pytest.raises(DataError, match=r"\(3, 4\).*\(1, 4\).*nclass"):
        GeneralizedCost(MeanSquared()).get_cost(drawn(), np.zeros((1, 4)))


@pytest.mark.parametrize(
    ("function", "last"),
    [
        (CrossEntropyMulti(), Activation(Softmax())),
        (CrossEntropyBinary(), Activation(Logistic(shortcut=True))),
        (MeanSquared(), Activation(Rectlin())),
        (MeanSquared(), Activation(Logistic())),
        (MeanSquared(), Bias(Constant(0))),
    ],
    ids=["multi", "binary", "squared_rectlin", "squared_logistic", "squared_bias"],
)
def test_cost_and_last_layer_that_belong_together_are_accepted(function: CostFunction, last: Layer) -> None:
    GeneralizedCost(function).initialize(last)


@pytest.mark.parametrize(
    ("function", "last", "advice"),
    [
        (CrossEntropyMulti(), Activation(Rectlin()), r"activation=Softmax\(\)"),
        (CrossEntropyMulti(), Bias(Constant(0)), r"activation=Softmax\(\)"),
        (CrossEntropyBinary(), Activation(Logistic()), r"activation=Logistic\(shortcut=True\)"),
        (CrossEntropyBinary(), Activation(Softmax()), r"activation=Logistic\(shortcut=True\)"),
        (MeanSquared(), Activation(Softmax()), "Choose another activation"),
        (MeanSquared(), Activation(Logistic(shortcut=True)), "Choose another activation"),
    ],
    ids=[
        "multi_rectlin",
        "multi_bias",
        "binary_logistic",
        "binary_softmax",
        "squared_softmax",
        "squared_short",
    ],
)
def test_cost_and_last_layer_with_wrong_gradients_are_refused(
    function: CostFunction, last: Layer, advice: str
) -> None:
    with pytest.raises(ConfigurationError, match=advice):
        GeneralizedCost(function).initialize(last)
