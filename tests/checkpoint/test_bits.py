from __future__ import annotations

import numpy as np
import pytest

from trainsignal.checkpoint.bits import bits, from_bytes, is_bits, to_bytes, type_and_integers
from trainsignal.checkpoint.packing import DamagedError


def test_bits_give_back_type_and_integers() -> None:
    integers = np.array([0x3F80, -1], np.int16)

    name, given = type_and_integers(bits("bfloat16", integers))

    assert name == "bfloat16"
    assert given is integers


@pytest.mark.parametrize("value", [
    {"bits of": "bfloat16"}, {"bits of": "bfloat16", "bits": [1]}, {"W": np.ones(1)}, np.ones(1), None,
], ids=["no bits", "a list", "a dict", "an array", "nothing"])  # fmt: skip
def test_other_values_are_no_bits(value: object) -> None:
    assert is_bits(bits("bfloat16", np.ones(1, np.int16)))
    assert not is_bits(value)


@pytest.mark.parametrize("array", [
    np.array([[1 + 2j, 3]]), np.array(7, ">i4"), np.zeros((2, 0), ">f8"), np.array(["ä\0b", "c"]),
], ids=["complex", "other byte order", "empty", "text"])  # fmt: skip
def test_an_array_comes_back_from_its_bytes(array: np.ndarray[tuple[int, ...], np.dtype[np.generic]]) -> None:
    content = to_bytes(array)

    assert content.dtype == np.uint8
    assert content.shape == (*array.shape, array.dtype.itemsize)
    back = from_bytes(content, array.dtype.str)
    assert (back.dtype, back.shape, back.tobytes()) == (array.dtype, array.shape, array.tobytes())
    assert back.flags.writeable


@pytest.mark.parametrize(("content", "dtype"), [
    (np.zeros(8, np.uint8), "O"), (np.zeros(7, np.uint8), "<f8"), (np.zeros(1), "<f8"),
    (np.zeros((), np.uint8), "<f8"),
], ids=["objects", "too few", "no bytes", "no axis"])  # fmt: skip
def test_bytes_that_are_no_such_array_are_refused(
    content: np.ndarray[tuple[int, ...], np.dtype[np.generic]], dtype: str
) -> None:
    with pytest.raises(DamagedError, match="are no array of dtype"):
        from_bytes(content, dtype)


@pytest.mark.parametrize("dtype", ["nonsense", "", "f3", "<", "i4,", "(2,"])
def test_what_names_no_dtype_is_refused(dtype: str) -> None:
    with pytest.raises(DamagedError, match="dtype"):
        from_bytes(np.zeros(8, np.uint8), dtype)
