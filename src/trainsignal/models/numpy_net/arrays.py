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
