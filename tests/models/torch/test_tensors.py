from __future__ import annotations

from collections import namedtuple
from typing import Any

import numpy as np
import pytest
import torch

from trainsignal.checkpoint.bits import type_and_integers
from trainsignal.models.torch.tensors import (
    check_holds_numbers,
    device_of,
    exact_copy,
    host_values,
    moved,
    tensor_of,
    tensor_of_bits,
)

NUMPY_TYPES = [
    torch.bool, torch.uint8, torch.uint16, torch.uint32, torch.uint64, torch.int8, torch.int16, torch.int32,
    torch.int64, torch.float16, torch.float32, torch.float64, torch.complex64, torch.complex128,
]  # fmt: skip
OTHER_TYPES = [torch.bfloat16, torch.float8_e4m3fn, torch.float8_e5m2, torch.complex32]


@pytest.mark.parametrize("dtype", NUMPY_TYPES, ids=str)
def test_numbers_of_numpys_types_come_back_from_an_array(dtype: torch.dtype) -> None:
    tensor = torch.tensor([[0, 1], [1, 0]]).to(dtype)

    array = exact_copy(tensor)

    assert str(tensor.dtype) == f"torch.{array.dtype}"
    assert tensor_of(array).dtype == dtype
    assert torch.equal(tensor_of(array), tensor)


@pytest.mark.filterwarnings("ignore:ComplexHalf support is experimental:UserWarning")  # PyTorch, of complex32
@pytest.mark.parametrize("dtype", OTHER_TYPES, ids=str)
def test_numbers_of_other_types_come_back_from_their_bits(dtype: torch.dtype) -> None:
    tensor = torch.tensor([[1.0, -2.5], [0, 448]]).to(dtype).t()  # not contiguous

    name, integers = type_and_integers(exact_copy(tensor))

    assert name == str(dtype).removeprefix("torch.")
    assert integers.itemsize == tensor.itemsize
    back = tensor_of_bits(exact_copy(tensor))
    assert back.dtype == dtype
    assert torch.equal(back.to(torch.complex64), tensor.to(torch.complex64))


def test_bits_of_bfloat16_are_those_of_the_upper_half_of_float32() -> None:
    _, integers = type_and_integers(exact_copy(torch.tensor([1.0, -2.0], dtype=torch.bfloat16)))

    expected = (np.array([1.0, -2.0], np.float32).view(np.uint32) >> 16).astype(np.uint16)
    np.testing.assert_array_equal(integers.view(np.uint16), expected)


def test_a_type_that_this_pytorch_has_not_is_refused() -> None:
    with pytest.raises(TypeError, match=r"the type 'float3', which PyTorch .* has not"):
        tensor_of_bits({"bits of": "float3", "bits": np.ones(1, np.uint8)})


def test_a_copy_shares_no_memory() -> None:
    tensor = torch.zeros(2)
    array = exact_copy(tensor)
    back = tensor_of(array)

    tensor.fill_(1)
    back.fill_(2)

    np.testing.assert_array_equal(array, [0, 0])


@pytest.mark.parametrize("tensor", [torch.eye(2).to_sparse(), torch.zeros(2, device="meta")], ids=str)
def test_tensors_without_plain_numbers_are_refused(tensor: torch.Tensor) -> None:
    with pytest.raises(TypeError, match="a tensor of layout"):
        check_holds_numbers(tensor)


def test_conjugates_and_negatives_are_the_numbers_that_they_show() -> None:
    conjugate = torch.tensor([1 + 2j]).conj()

    np.testing.assert_array_equal(exact_copy(conjugate), [1 - 2j])
    np.testing.assert_array_equal(host_values(conjugate.imag), [-2])
    np.testing.assert_array_equal(exact_copy(conjugate.imag), [-2])


def test_numbers_to_compute_with_are_float32_where_numpy_lacks_the_type() -> None:
    values = host_values(torch.tensor([1.5], dtype=torch.bfloat16, requires_grad=True))

    assert values.dtype == np.float32
    assert values.tolist() == [1.5]


Pair = namedtuple("Pair", ["x", "mask"])  # an untyped one, as data sets have them


def test_tensors_and_arrays_are_moved_however_nested() -> None:
    ones = torch.ones(2)
    given: dict[str, Any] = {"a": [ones, np.ones(2)], "b": (ones, "text"), "c": Pair(ones, None)}

    there = moved(given, torch.device("meta"))

    assert [one.device.type for one in there["a"]] == ["meta", "meta"]
    assert there["b"][0].is_meta and there["b"][1] == "text"
    assert type(there["c"]) is Pair and there["c"].x.is_meta and there["c"].mask is None


def test_nothing_is_moved_without_a_device() -> None:
    ones = torch.ones(2)

    assert moved(ones, None) is ones
    assert torch.equal(moved(np.ones(2, np.float32), None), ones)


def test_a_module_is_where_its_first_parameter_or_buffer_is() -> None:
    assert device_of(torch.nn.Linear(1, 1, device="meta")) == torch.device("meta")
    assert device_of(torch.nn.BatchNorm1d(1, affine=False)) == torch.device("cpu")
    assert device_of(torch.nn.ReLU()) is None
