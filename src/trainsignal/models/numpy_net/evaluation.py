"""One pass over a data set without training: the mean of a metric, or all outputs.

The data set is left where it was, so that an evaluation on the training set leaves training alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from trainsignal.errors import ConfigurationError, DataError
from trainsignal.evaluation import from_first_sample
from trainsignal.models.numpy_net.arrays import Floats
from trainsignal.models.numpy_net.protocols import ColumnMetric, DataSet

Infer = Callable[[Floats], Floats]
"""Gives the outputs for inputs, (features, columns) both, and changes nothing."""


def mean_values(infer: Infer, dataset: DataSet, metric: ColumnMetric) -> Floats:
    """Return the mean of each of the metric's values over the samples, (values,) float32.

    Raises:
        ConfigurationError: `metric` is a class.
        DataError: the data set yields no minibatch.
    """
    if isinstance(metric, type):
        raise ConfigurationError(f"{metric.__name__} is a class; pass an instance: {metric.__name__}().")
    sums: Any = 0.0
    samples = 0
    with from_first_sample(dataset):
        for outputs, targets, columns in _counted(infer, dataset):
            values = metric(outputs, targets, calcrange=slice(0, columns))
            sums = sums + columns * np.asarray(values, np.float64)
            samples += columns
    return np.asarray(sums / samples, np.float32)


def all_outputs(infer: Infer, dataset: DataSet) -> Floats:
    """Return the outputs for all samples in order, (samples, features) float32.

    Raises:
        DataError: the data set yields no minibatch.
    """
    with from_first_sample(dataset):
        return np.concatenate([outputs[:, :columns].T for outputs, _, columns in _counted(infer, dataset)])


def _counted(infer: Infer, dataset: DataSet) -> Iterator[tuple[Floats, Floats, int]]:
    """Yield outputs, targets, and how many of their columns are samples not yet seen."""
    samples = 0
    for x, t in dataset:
        columns = min(x.shape[1], dataset.ndata - samples)
        if not columns:
            break
        samples += columns
        yield infer(x), t, columns
    if not samples:
        raise DataError("the data set yielded no minibatch: there is nothing to evaluate on.")
