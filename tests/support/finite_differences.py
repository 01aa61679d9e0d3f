"""Numerical derivatives, to hold `bprop` against."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.floating[Any]]


def gradient(function: Callable[[], float], values: Array, step: float = 1e-6) -> Array:
    """Return the derivative of `function()` by each entry of `values`, which it reads; float64."""
    slopes = np.zeros_like(values)
    for index in np.ndindex(values.shape):
        kept = values[index]
        values[index] = kept + step
        above = function()
        values[index] = kept - step
        below = function()
        values[index] = kept
        slopes[index] = (above - below) / (2 * step)
    return slopes
