"""Operations by which a backend computes: shapes, types and where results go."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from trainsignal.operations import Binary, Comparison, Reduction, Search, Unary, tensor
from trainsignal.tensor import HostTensor

A = tensor(np.array([[1, 2, 3], [6, 5, 4]], np.float32))


@pytest.mark.parametrize("axis, expected", [
    (None, [[21]]), (0, [[7, 7, 7]]), (1, [[6], [15]]),
])  # fmt: skip
def test_no_axis_goes_away_in_a_reduction(axis: int | None, expected: list[list[float]]) -> None:
    total = Reduction(np.sum)(A, axis)
    assert type(total) is HostTensor
    np.testing.assert_array_equal(total, np.array(expected, np.float32), strict=True)


def test_keepdims_has_no_effect() -> None:
    assert Reduction(np.max)(A, axis=0, keepdims=False).shape == (1, 3)
    assert Search(np.argmax)(A, keepdims=False).shape == (2, 1)


def test_one_axis_counts_as_a_column() -> None:
    np.testing.assert_array_equal(Reduction(np.sum)(np.arange(4), axis=0), [[6]], strict=False)
    assert Reduction(np.sum)(np.arange(4), axis=1).shape == (4, 1)
    assert tensor([1, 2]).shape == (2, 1)
    assert tensor(3).shape == (1, 1)


@pytest.mark.parametrize(
    "axis, expected", [({}, [[2], [0]]), ({"axis": 0}, [[1, 1, 1]]), ({"axis": None}, [[3]])]
)
def test_search_is_along_axis_1_unless_told_otherwise(
    axis: dict[str, Any], expected: list[list[int]]
) -> None:
    np.testing.assert_array_equal(Search(np.argmax)(A, **axis), expected)


def test_first_of_several_is_found() -> None:
    assert Search(np.argmax)(tensor([[0, 7, 7]])).item() == 1
    assert Search(np.argmin)(tensor([[0, 7, 0]])).item() == 0


@pytest.mark.parametrize("number", [2, 2.0, np.float64(2.0), True])
def test_number_leaves_the_type_of_the_tensor_as_it_is(number: Any) -> None:
    for product in (Binary(np.multiply)(A, number), Binary(np.multiply)(number, A)):
        assert product.dtype == np.float32
        np.testing.assert_array_equal(product, A * int(number))


def test_shapes_are_broadcast() -> None:
    np.testing.assert_array_equal(Binary(np.subtract)(A, tensor([[1], [4]])), [[0, 1, 2], [2, 1, 0]])


def test_two_numbers_give_a_tensor() -> None:
    total = Binary(np.add)(1, 2)
    assert (total.shape, total.item()) == ((1, 1), 3)


def test_answers_are_ones_and_zeros_to_compute_with() -> None:
    greater = Comparison(np.greater)(A, 3)
    np.testing.assert_array_equal(greater, np.array([[0, 0, 0], [1, 1, 1]], np.float32), strict=False)
    assert greater.dtype == np.float32
    assert (1 - greater).sum() == 3
    assert (greater - greater).sum() == 0  # NumPy refuses it for booleans


@pytest.mark.parametrize("operation, arguments", [
    (Unary(np.negative), (A,)), (Binary(np.add), (A, 1)), (Comparison(np.less), (A, 4)),
    (Reduction(np.sum), (A, 1)), (Search(np.argmax), (A,)),
], ids=lambda one: type(one).__name__)  # fmt: skip
def test_result_goes_where_it_is_told_to(operation: Any, arguments: tuple[Any, ...]) -> None:
    expected = operation(*arguments)
    out = tensor(np.full(expected.shape, -1, np.float32))
    assert operation(*arguments, out=out) is out
    np.testing.assert_array_equal(out, expected)
    assert out.dtype == np.float32


def test_operands_stay_as_they_are() -> None:
    before = A.get()
    Unary(np.square)(A)
    Reduction(np.sum)(A)
    np.testing.assert_array_equal(A, before)
