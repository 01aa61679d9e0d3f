"""One pass over a data set without training: the mean of a metric, or all outputs.

The data set is left where it was, so that an evaluation on the training set leaves training alone.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from trainsignal.errors import ConfigurationError
from trainsignal.evaluation import MetricTally, from_first_sample, minibatches
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
    tally = MetricTally(None, metric)
    with from_first_sample(dataset):
        for minibatch in minibatches(infer, dataset):
            tally.add(minibatch)
    return tally.value()


def all_outputs(infer: Infer, dataset: DataSet) -> Floats:
    """Return the outputs for all samples in order, (samples, features) float32.

    Raises:
        DataError: the data set yields no minibatch.
    """
    with from_first_sample(dataset):
        return np.concatenate([one.outputs[:, one.columns].T for one in minibatches(infer, dataset)])
