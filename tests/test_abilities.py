"""One number, whatever it comes in."""

from __future__ import annotations

import numpy as np
import pytest

from trainsignal.abilities import CanFinish, HasCost, HasSize, to_float


class Tensor:
    """What neon's and PyTorch's tensors have in common with others: a method that gives the value."""

    def __init__(self, method: str, value: object) -> None:
        setattr(self, method, lambda: value)


class Raising:
    """A tensor of several values, as PyTorch's: `item()` refuses."""

    def item(self) -> float:
        raise RuntimeError("a Tensor with 2 elements cannot be converted to Scalar")


@pytest.mark.parametrize(
    "value",
    [
        1.5,
        np.float32(1.5),
        np.float64(1.5),
        np.array(1.5),
        np.array([[1.5]], np.float32),
        Tensor("get", np.array([[1.5]], np.float32)),
        Tensor("item", 1.5),
    ],
    ids=["float", "float32", "float64", "0-d", "(1, 1)", "neon", "torch"],
)
def test_one_number_becomes_a_float(value: object) -> None:
    number = to_float(value)

    assert number == 1.5
    assert type(number) is float


@pytest.mark.parametrize("value", [3, np.int64(3), np.array([3])])
def test_integers_count_as_numbers(value: object) -> None:
    assert to_float(value) == 3.0


def test_nan_is_a_number() -> None:
    assert np.isnan(to_float(np.float32("nan")))


@pytest.mark.parametrize(
    "value",
    [
        None,
        "1.5",
        True,
        np.bool_(True),
        [1.0, 2.0],
        np.zeros((2, 1)),
        {"loss": 1.0},
        1j,
        10**400,
        Raising(),
        object(),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_is_not_one_number_is_refused(value: object) -> None:
    with pytest.raises(TypeError, match="is not one number"):
        to_float(value)


def test_protocols_are_satisfied_by_neons_names() -> None:
    class Model:
        cost = None
        finished = False
        nbatches, ndata = 3, 96

    assert isinstance(Model(), HasCost)
    assert isinstance(Model(), CanFinish)
    assert isinstance(Model(), HasSize)
    assert not isinstance(object(), CanFinish)
