"""Numbers of a type that somebody lacks, as their bits with the name of the type.

NumPy lacks bfloat16 and float8: in a state they are a dict of two entries, which every format holds. A format
whose files know such types may write them as what they are. File formats lack complex numbers, or another
byte order: there an array is its bytes, with one more axis.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np

from trainsignal.abilities import Array
from trainsignal.checkpoint.packing import DamagedError
from trainsignal.checkpoint.tree import is_array, is_mapping, is_storable

NUMPY_NAMES: Final = frozenset((
    "bool", "uint8", "uint16", "uint32", "uint64", "int8", "int16", "int32", "int64",
    "float16", "float32", "float64", "complex64", "complex128",
))  # fmt: skip
"""The types that NumPy and PyTorch both have, under the same names."""

INTEGER_NAMES: Final = {1: "uint8", 2: "int16", 4: "int32", 8: "int64"}
"""The integers of so many bytes, in which PyTorch's numbers of other types go as bits."""

_TYPE: Final = "bits of"
_BITS: Final = "bits"


def bits(type_name: str, integers: Array) -> dict[str, Any]:
    """Return what stands for an array in a state.

    Args:
        type_name: the framework's name of the type: "bfloat16".
        integers: the bits of each number, in integers of its size.
    """
    return {_TYPE: type_name, _BITS: integers}


def is_bits(value: object) -> bool:
    """Say whether `bits` returned this."""
    return is_mapping(value) and set(value) == {_TYPE, _BITS} and is_array(value[_BITS])


def type_and_integers(value: Mapping[str, Any]) -> tuple[str, Array]:
    """Return what `bits` was given."""
    return value[_TYPE], value[_BITS]


def to_bytes(array: Array) -> Array:
    """Return the bytes of an array, (..., size of an item) uint8."""
    content = np.array(bytearray(array.tobytes()), np.uint8)
    return content.reshape(*array.shape, array.dtype.itemsize)


def from_bytes(content: Array, dtype: str) -> Array:
    """Return a new array of what `to_bytes` returned.

    Raises:
        DamagedError: `dtype` names none that a state can hold, or the bytes do not fit.
    """
    try:
        kind = np.dtype(dtype)
    except (SyntaxError, TypeError, ValueError) as error:  # NumPy parses it as code
        raise DamagedError(f"{dtype!r} names no dtype") from error
    if not is_storable(kind) or content.dtype != np.uint8 or content.shape[-1:] != (kind.itemsize,):
        raise DamagedError(f"bytes of shape {content.shape} are no array of dtype {dtype!r}")
    return np.ndarray(content.shape[:-1], kind, buffer=content.tobytes()).copy()
