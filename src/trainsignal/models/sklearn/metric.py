"""`SklearnMetric`: a metric of scikit-learn, such as `accuracy_score`, for `MetricCallback`."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, Literal

import numpy as np

from trainsignal.abilities import Array


class SklearnMetric:
    """Calls a metric once, `metric(y_true, y_pred)`, with all samples of the evaluation set.

    So a precision or an area under a curve is that of the set, and not a mean of those of its minibatches.

    Attributes:
        metric_names: its name, in a list.
        directions: "min" or "max" by name, where it was told.
    """

    def __init__(
        self,
        metric: Callable[[Any, Any], Any],
        prediction: Callable[[Any], Any],
        direction: Literal["min", "max"] | None = None,
    ) -> None:
        """Store what is called; `SklearnModel.metric` makes one that fits the model.

        Args:
            metric: function (y_true, y_pred) of one number.
            prediction: gives what is passed as `y_pred`, from the outputs of the model.
            direction: which values are better; None: not told.
        """
        self.metric_names = [_name_of(metric)]
        self.directions = {} if direction is None else {self.metric_names[0]: direction}
        self._metric = metric
        self._prediction = prediction
        self._outputs: list[Any] = []
        self._targets: list[Any] = []

    def __deepcopy__(self, memo: dict[int, Any]) -> SklearnMetric:
        """Return one that has gathered nothing, for the same model, and not for a copy of it."""
        copied = SklearnMetric.__new__(SklearnMetric)
        copied.metric_names, copied.directions = self.metric_names, self.directions
        copied._metric, copied._prediction = self._metric, self._prediction
        copied.reset()
        return copied

    def reset(self) -> None:
        """Forget what was gathered."""
        self._outputs, self._targets = [], []

    def update(self, outputs: Array, targets: Any) -> None:
        """Gather the outputs and targets of a minibatch, samples first."""
        self._outputs.append(outputs)
        self._targets.append(np.asarray(targets))

    def compute(self) -> float:
        """Return the metric of all that was gathered."""
        outputs, targets = np.concatenate(self._outputs), np.concatenate(self._targets)
        return float(self._metric(targets, self._prediction(outputs)))


def _name_of(metric: Any) -> str:
    """Return the name of a function; of a partial one, that of the function within."""
    function = metric.func if isinstance(metric, functools.partial) else metric
    name: str = getattr(function, "__name__", type(function).__name__)
    return name
