"""A variable of a model as NumPy array, and as what neon's callbacks take for a tensor."""

from __future__ import annotations

from typing import Any

import numpy as np

from trainsignal.abilities import Array
from trainsignal.models.keras.framework import in_step, keras


def to_host(value: Any) -> Array:
    """Return a tensor of the backend, an array or a number as a NumPy array, which may share its memory.

    Numbers of a type that NumPy lacks, as bfloat16, become float32.
    """
    if hasattr(value, "detach"):  # a tensor of PyTorch: Keras converts it in a way that NumPy warns of
        tensor = value.detach().cpu()
        is_known = keras.backend.standardize_dtype(tensor.dtype) != "bfloat16"
        return np.asarray((tensor if is_known else tensor.float()).numpy())
    array: Array = keras.ops.convert_to_numpy(value)
    return array if array.dtype.kind in "biufc" else array.astype(np.float32)


def numbers_of(variable: Any) -> Array:
    """Return a copy of a variable's numbers."""
    return np.array(to_host(variable.value))


class VariableTensor:
    """A variable with the methods of neon's tensors that callbacks use.

    Args:
        model: whose variable it is.
        variable: the variable.
    """

    def __init__(self, model: Any, variable: Any) -> None:
        self._model = model
        self._variable = variable
        self.shape: tuple[int, ...] = tuple(variable.shape)
        self.dtype = str(variable.dtype)

    def get(self) -> Array:
        """Return a copy of the numbers as they are now."""
        in_step(self._model)
        return numbers_of(self._variable)

    def __setitem__(self, place: Any, values: Any) -> None:
        """Assign numbers."""
        numbers = self.get()
        numbers[place] = values
        self._variable.assign(numbers)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:
        """Return what NumPy takes for the array."""
        return np.asarray(self.get(), dtype)
