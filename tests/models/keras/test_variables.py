"""Variables of a model as NumPy arrays and as tensors."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest
import torch

from trainsignal.models.keras.variables import VariableTensor, numbers_of, to_host

# NumPy, of how Keras converts PyTorch's tensors.
pytestmark = pytest.mark.filterwarnings(
    "ignore:__array__ implementation doesn't accept a copy:DeprecationWarning"
)


def model() -> keras.Model:
    return keras.Sequential([keras.Input((2,)), keras.layers.Dense(1, use_bias=False)])


@pytest.mark.parametrize("value", [np.arange(3.0), torch.arange(3.0, requires_grad=True), [0.0, 1.0, 2.0]])
def test_arrays_and_numbers_come_to_the_host_on_any_backend(value: Any) -> None:
    np.testing.assert_array_equal(to_host(value), [0, 1, 2])


def test_a_number_comes_to_the_host() -> None:
    assert float(to_host(2.5)) == 2.5


@pytest.mark.parametrize(("dtype", "on_host"), [("float32", "f4"), ("bfloat16", "f4"), ("int32", "i4")])
def test_tensors_come_to_the_host_in_a_type_that_numpy_has(dtype: str, on_host: str) -> None:
    array = to_host(keras.ops.convert_to_tensor([1, 2], dtype=dtype))

    np.testing.assert_array_equal(array, np.array([1, 2], on_host))
    assert array.dtype == on_host


def test_the_numbers_of_a_variable_are_a_copy() -> None:
    variable = keras.Variable([1.0, 2.0])
    numbers = numbers_of(variable)

    variable.assign([5.0, 6.0])

    np.testing.assert_array_equal(numbers, [1.0, 2.0])


def test_a_tensor_tells_its_numbers_and_takes_others() -> None:
    net = model()
    tensor = VariableTensor(net, net.weights[0])

    tensor[0] = 7.0

    assert tensor.get()[0, 0] == 7.0
    np.testing.assert_array_equal(np.asarray(tensor, np.float64), tensor.get())
    np.testing.assert_array_equal(net.get_weights()[0], tensor.get())


def test_what_fit_keeps_to_itself_is_brought_back_first() -> None:
    class Away:
        """A model as on the JAX backend amid an epoch."""

        def __init__(self) -> None:
            self.variable = keras.Variable([0.0])

        def jax_state_sync(self) -> None:
            self.variable.assign([3.0])

    away = Away()

    assert VariableTensor(away, away.variable).get() == [3.0]
