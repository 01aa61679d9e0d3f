"""The array type of the network, and the few checks on shapes that several modules share."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from trainsignal.errors import DataError

Floats = npt.NDArray[np.floating[Any]]
"""float32, as all that the network allocates; what is computed from float64 is float64."""

Shape = int | tuple[int, ...]
"""Shape of one sample: a number of features, or (channels, height, width)."""

LOG_FLOOR = math.exp(-50)
"""Least number that a logarithm is taken of, as in neon, so that a cost stays finite."""


class HostTensor(np.ndarray[Any, np.dtype[np.floating[Any]]]):
    """An array that answers as neon's tensors do, for callbacks that ask `total_cost.get()` or `float(...)`.

    NumPy itself has stopped to take a (1, 1) array for a number.
    """

    def get(self) -> Floats:
        """Return a copy as a plain array, as neon copies a tensor from its device."""
        return np.array(self, subok=False)

    def __float__(self) -> float:
        return float(self.item())

    def __format__(self, spec: str) -> str:
        return format(float(self), spec) if spec else str(self)


def feature_count(shape: Shape) -> int:
    """Return how many features one sample of `shape` has."""
    return math.prod(shape) if isinstance(shape, tuple) else shape


def safe_log(values: Floats) -> Floats:
    """Return the natural logarithm of `values`, those below exp(-50) taken as exp(-50)."""
    return np.log(np.maximum(values, LOG_FLOOR))


def check_same_shape(outputs: Floats, targets: Floats) -> None:
    """Refuse targets that NumPy would silently broadcast against the outputs.

    Raises:
        DataError: the two shapes differ.
    """
    if outputs.shape != targets.shape:
        raise DataError(
            f"the network's outputs are {outputs.shape} (features, columns), the targets {targets.shape}. "
            "Give the last layer as many outputs as a target has features (nclass, for one-hot targets)."
        )
