"""Metrics of frameworks: functions, and objects that gather by themselves, as of torchmetrics and Keras.

Values stay on their device until the end of the pass. Imports none of these frameworks.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

import numpy as np

from trainsignal.abilities import Array, EvaluatesPairs, MergesMetrics, PlacesValues
from trainsignal.errors import MissingAbilityError
from trainsignal.evaluation.kinds import TallyKind
from trainsignal.evaluation.metrics import gathers_states, keeps_variables, names_of
from trainsignal.evaluation.minibatches import Minibatch


def pair_metric_tally(metric: Any) -> TallyKind:
    """Return what computes the values of a metric from pairs."""
    if gathers_states(metric):
        return StatesTally
    return VariablesTally if keeps_variables(metric) else FunctionTally


def check_mergeable(model: Any, metric: Any) -> None:
    """Refuse a metric that cannot be computed over the ranks of a run.

    Args:
        model: what the callbacks are given.
        metric: what was given.

    Raises:
        MissingAbilityError: it gathers states, which this model cannot merge.
    """
    if isinstance(model, EvaluatesPairs) and gathers_states(metric) and not isinstance(model, MergesMetrics):
        raise MissingAbilityError(
            f"{type(metric).__name__} gathers by itself, and {type(model).__name__} cannot merge what the "
            "ranks of this run have gathered: use a function (outputs, targets), whose mean over the samples "
            "counts, or a TorchModel, which merges metrics of torchmetrics"
        )


class FunctionTally:
    """The mean of each value of a function over the samples."""

    takes_many = False

    def __init__(self, model: EvaluatesPairs, metric: Any) -> None:
        """Begin; `metric` is called as `metric(outputs, targets)`."""
        self._to_host = model.to_host
        self._placed = _placing(model)
        self._metric = metric
        self._values: list[tuple[Any, int]] = []

    @staticmethod
    def width(subject: Any) -> int:
        """Return how many values the metric has a name for, and one for the samples."""
        return len(names_of(subject)) + 1

    def add(self, minibatch: Minibatch) -> None:
        """Take the values of a minibatch."""
        values = self._metric(minibatch.outputs, self._placed(minibatch.targets))
        self._values.append((values, minibatch.samples))

    def sums(self) -> Array:
        """Return the values of all samples, and their number."""
        values: Any = sum(_numbers(value, self._to_host) * samples for value, samples in self._values)
        samples = sum(samples for _, samples in self._values)
        return np.append(values if samples else np.zeros(self.width(self._metric) - 1), samples)

    def value_of(self, sums: Array) -> Array:
        """Return (values,) float32."""
        return np.asarray(sums[:-1] / sums[-1], np.float32)

    def value(self) -> Array:
        """Return (values,) float32."""
        return self.value_of(self.sums())


class VariablesTally:
    """The values of a metric with `update_state`, `result` and `reset_state`, as those of Keras.

    It is asked at the end. Of several parts of the set, the mean over the samples counts: a Keras metric does
    not tell how its variables would be merged.
    """

    takes_many = False

    def __init__(self, model: EvaluatesPairs, metric: Any) -> None:
        """Begin; the metric is reset before and after."""
        self._to_host = model.to_host
        self._placed = _placing(model)
        self._metric = metric
        self._samples = 0
        metric.reset_state()

    @staticmethod
    def width(subject: Any) -> int:
        """Return how many values the metric has a name for, and one for the samples."""
        return len(names_of(subject)) + 1

    def add(self, minibatch: Minibatch) -> None:
        """Add the samples of a minibatch."""
        self._metric.update_state(self._placed(minibatch.targets), minibatch.outputs)
        self._samples += minibatch.samples

    def sums(self) -> Array:
        """Return the values weighted by the samples, and their number."""
        if not self._samples:
            return np.zeros(self.width(self._metric))
        return np.append(self._result() * self._samples, self._samples)

    def value_of(self, sums: Array) -> Array:
        """Return (values,) float32."""
        return np.asarray(sums[:-1] / sums[-1], np.float32)

    def value(self) -> Array:
        """Return (values,) float32."""
        return self._result().astype(np.float32)

    def _result(self) -> Array:
        values = _numbers(self._metric.result(), self._to_host)
        self._metric.reset_state()
        return values


class StatesTally:
    """The values of a metric with `update`, `compute` and `reset`, as those of torchmetrics.

    It is asked at the end. Its states are merged where there are several parts of the set, so that the values
    are those of all samples, means or not.
    """

    takes_many = False

    def __init__(self, model: EvaluatesPairs, metric: Any) -> None:
        """Begin; the metric is copied."""
        self._model = model
        self._placed = _placing(model)
        self._metric = self._placed(copy.deepcopy(metric))
        self._metric.reset()
        self._samples = 0

    @staticmethod
    def width(subject: Any) -> None:
        """Return None: the states are gathered."""

    def add(self, minibatch: Minibatch) -> None:
        """Add the samples of a minibatch."""
        self._metric.update(minibatch.outputs, self._placed(minibatch.targets))
        self._samples += minibatch.samples

    def states(self) -> Mapping[str, Array]:
        """Return the states of the metric; empty where there was no sample.

        Raises:
            MissingAbilityError: the model cannot merge them.
            ConfigurationError: they cannot be merged.
        """
        check_mergeable(self._model, self._metric)
        return cast("MergesMetrics", self._model).metric_states(self._metric) if self._samples else {}

    def value_of(self, states: Sequence[Mapping[str, Array]]) -> Array:
        """Return (values,) float32."""
        cast("MergesMetrics", self._model).set_metric_states(self._metric, states)
        return self.value()

    def value(self) -> Array:
        """Return (values,) float32."""
        return _numbers(self._metric.compute(), self._model.to_host).astype(np.float32)


def _placing(model: EvaluatesPairs) -> Callable[[Any], Any]:
    """Return what brings values to the model's device, if it has one."""
    return model.placed if isinstance(model, PlacesValues) else lambda value: value


def _numbers(value: Any, to_host: Callable[[Any], Array]) -> Array:
    """Return (values,) float64 of a number, an array or a dict of them."""
    parts = list(cast("Mapping[str, Any]", value).values()) if isinstance(value, Mapping) else [value]
    return np.concatenate([np.asarray(to_host(part), np.float64).reshape(-1) for part in parts])
