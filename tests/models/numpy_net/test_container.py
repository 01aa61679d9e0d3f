from __future__ import annotations

import numpy as np
import pytest

from trainsignal.errors import ConfigurationError
from trainsignal.models.numpy_net import (
    Activation,
    Affine,
    Bias,
    Constant,
    Gaussian,
    Linear,
    Logistic,
    Rectlin,
    Sequential,
    Softmax,
)

INIT = Gaussian(scale=0.1)


def test_layers_of_one_kind_are_counted_as_in_neon() -> None:
    container = Sequential([Affine(4, INIT, bias=Constant(0)), Affine(2, INIT, bias=Constant(0))])
    names = [layer.name for layer in container.layers]
    assert names == ["Linear_0", "Linear_0_bias", "Linear_1", "Linear_1_bias"]


def test_layers_that_stand_alone_are_named_by_their_kind() -> None:
    container = Sequential([Linear(4, INIT), Bias(Constant(0)), Activation(Rectlin())])
    assert [layer.name for layer in container.layers] == ["Linear_0", "Bias_0", "Activation_0"]


def test_layers_of_a_list_are_named_after_its_first() -> None:
    container = Sequential([[Linear(4, INIT), Activation(Rectlin()), Linear(2, INIT)], Linear(1, INIT)])
    names = [layer.name for layer in container.layers]
    assert names == ["Linear_0", "Linear_0_Rectlin", "Linear_0_Linear", "Linear_1"]


def test_numbering_starts_anew_in_each_container() -> None:
    names = [Sequential([Affine(4, INIT)]).layers[0].name for _ in range(2)]
    assert names == ["Linear_0", "Linear_0"]


def test_outputs_and_errors_pass_through_all_layers() -> None:
    container = Sequential([Affine(1, Constant(2), bias=Constant(1)), Affine(1, Constant(3))])
    assert container.configure(1, np.random.RandomState(0)) == 1
    np.testing.assert_array_equal(container.fprop(np.array([[1.0, 2.0]], np.float32)), [[9, 15]])
    np.testing.assert_array_equal(container.bprop(np.ones((1, 2), np.float32)), [[6, 6]])


def test_layers_to_optimize_are_those_with_weights() -> None:
    container = Sequential([Affine(4, INIT, bias=Constant(0), activation=Rectlin())])
    container.configure(2, np.random.RandomState(0))
    assert [layer.name for layer in container.layers_to_optimize] == ["Linear_0", "Linear_0_bias"]


def test_one_affine_in_two_places_is_refused() -> None:
    affine = Affine(4, INIT)
    with pytest.raises(ConfigurationError, match="2 layers are called 'Linear_0'"):
        Sequential([affine, affine])


def test_model_without_layers_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="at least one layer"):
        Sequential([])


@pytest.mark.parametrize("transform", [Softmax(), Logistic(shortcut=True)], ids=repr)
def test_activation_that_leaves_its_derivative_to_the_cost_must_be_last(
    transform: Softmax | Logistic,
) -> None:
    Sequential([Affine(4, INIT, activation=transform)])
    with pytest.raises(ConfigurationError, match=r"'Linear_0_(Softmax|Logistic)'.*the last layer only"):
        Sequential([Affine(4, INIT, activation=transform), Affine(2, INIT)])
