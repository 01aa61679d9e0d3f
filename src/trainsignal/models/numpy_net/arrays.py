"""The array type of the network, and the few checks on shapes that several modules share."""

from __future__ import annotations

import math
from typing import Any, TypeGuard

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


def is_image(shape: Shape) -> TypeGuard[tuple[int, int, int]]:
    """Return whether samples of `shape` are (channels, height, width)."""
    return isinstance(shape, tuple) and len(shape) == 3


def map_count(shape: Shape) -> int:
    """Return how many feature maps one sample of `shape` has: its channels, or features where it is flat."""
    return shape[0] if is_image(shape) else feature_count(shape)


def safe_log(values: Floats) -> Floats:
    """Return the natural logarithm of `values`, those below exp(-50) taken as exp(-50)."""
    return np.log(np.maximum(values, LOG_FLOOR))


def check_features(x: Floats, shape: Shape) -> None:
    """Refuse inputs that are no columns of samples of `shape`.

    Raises:
        DataError: `x` is not (features, columns) with as many features as a sample has.
    """
    features = feature_count(shape)
    if x.ndim != 2 or len(x) != features:
        raise DataError(
            f"inputs have shape {x.shape}, expected ({features}, columns): one column a sample, with the "
            "features that the model was made for."
        )


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
