"""A regression problem for boosting libraries: the diabetes data of scikit-learn, half of it held out."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.datasets import load_diabetes

Floats = npt.NDArray[np.float64]

FEATURES = 10


def diabetes() -> tuple[Floats, Floats, Floats, Floats]:
    """Return inputs, (samples, 10), and targets, (samples,), to train on, then those that are held out."""
    inputs, targets = load_diabetes(return_X_y=True)
    return inputs[::2], targets[::2], inputs[1::2], targets[1::2]


def mean_squared_error(outputs: Any, targets: Any) -> float:
    """Return the mean over the samples."""
    return float(np.mean((outputs - targets) ** 2))


def mean_absolute_error(outputs: Any, targets: Any) -> float:
    """Return the mean over the samples."""
    return float(np.mean(np.abs(outputs - targets)))
