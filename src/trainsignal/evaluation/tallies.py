"""What is computed in one pass: a mean cost, the values of a metric, those of each label.

For models with neon's layout; see `pairs` and `pair_metrics` for those of frameworks.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from trainsignal.abilities import Array
from trainsignal.evaluation.contents import host_array, is_nested
from trainsignal.evaluation.metrics import names_of
from trainsignal.evaluation.minibatches import Minibatch, cut, is_on_host, joined

MOST_GATHERED_BYTES: Final = 2**28
"""A metric is called on at most so much of a set's outputs and targets at once."""


class CostTally:
    """The mean cost of a sample, and the seconds that the pass took.

    In a sequence the cost of a sample is the mean over its steps. Source: neon's loss callback, but for the
    ragged minibatch of a sequence, of which neon counts other columns.
    """

    takes_many = False

    def __init__(self, model: Any, clock: Callable[[], float]) -> None:
        """Begin now.

        Args:
            model: satisfies `HasCost`.
            clock: seconds.
        """
        self._cost = model.cost
        self._clock = clock
        self._began = clock()
        self._elapsed_s = 0.0
        self._total = 0.0
        self._samples = 0

    @staticmethod
    def width(subject: Any) -> int:
        """Return 2: cost and samples."""
        return 2

    def add(self, minibatch: Minibatch) -> None:
        """Add the costs of the samples."""
        self._cost.get_cost(minibatch.outputs, minibatch.targets)
        costs = host_array(self._cost.outputs).reshape(-1)[minibatch.columns]
        self._total += float(costs.sum(dtype=np.float64)) / minibatch.steps
        self._samples += minibatch.samples

    def sums(self) -> Array:
        """Return the cost of all samples and their number; the pass ends here."""
        self._elapsed_s = self._clock() - self._began
        return np.array([self._total, self._samples], np.float64)

    def value_of(self, sums: Array) -> tuple[float, float]:
        """Return the mean cost, and the seconds of this pass."""
        return float(sums[0]) / float(sums[1]), self._elapsed_s

    def value(self) -> tuple[float, float]:
        """Return the mean cost, and seconds."""
        return self.value_of(self.sums())


class MetricTally:
    """The mean of each value of a metric over the samples, and in a sequence over their steps."""

    def __init__(self, model: Any, metric: Any) -> None:
        """Begin; `metric` is called as `metric(outputs, targets, calcrange=columns)`, as neon calls it."""
        self._metric = metric
        # A subclass that computes something else has inherited the word, and does not say it itself.
        says: Mapping[str, object] = type(metric).__dict__
        self.takes_many = bool(says.get("averages_columns", False))
        self._sums: Any = 0.0
        self._columns = 0

    @staticmethod
    def width(subject: Any) -> int:
        """Return how many values the metric has a name for, and one for the weight."""
        return len(names_of(subject)) + 1

    def add(self, minibatch: Minibatch) -> None:
        """Add the values of a minibatch, weighted by its samples."""
        values = self._metric(minibatch.outputs, minibatch.targets, calcrange=minibatch.columns)
        weight = minibatch.samples * minibatch.steps
        self._sums = self._sums + weight * np.asarray(host_array(values), np.float64).reshape(-1)
        self._columns += weight

    def sums(self) -> Array:
        """Return the weighted values, and the weight."""
        values = self._sums if self._columns else np.zeros(self.width(self._metric) - 1)
        return np.append(values, self._columns)

    def value_of(self, sums: Array) -> Array:
        """Return (values,) float32."""
        return np.asarray(sums[:-1] / sums[-1], np.float32)

    def value(self) -> Array:
        """Return (values,) float32."""
        return self.value_of(self.sums())


@dataclass(frozen=True, slots=True)
class LabelValues:
    """What a metric says of each label.

    Attributes:
        table: what the metric left in `metric.outputs`: (labels, values) float32.
        parts: into how many parts the set was cut; of several, the table is the mean, weighted by samples.
    """

    table: Array
    parts: int


class LabelTally:
    """The values of a metric for each label, computed from all samples at once.

    So a precision is that of the set, and not the mean of those of its minibatches. Arrays are gathered and
    the metric is called once; a set that is larger than `MOST_GATHERED_BYTES` is cut into parts of that
    size. Tensors on a device are not gathered: there, each minibatch is a part, as it is in neon.
    """

    takes_many = False

    def __init__(self, model: Any, metric: Any) -> None:
        """Begin; a call `metric(outputs, targets)` leaves a row for each label in `metric.outputs`."""
        self._metric = metric
        self._gathered: list[Any] = []
        self._gathered_bytes = 0
        self._gathered_columns = 0
        self._sums: Any = 0.0
        self._columns = 0
        self._parts = 0

    @staticmethod
    def width(subject: Any) -> int:
        """Return the numbers in what the metric has in `outputs`, and two for the parts and the weight."""
        return _table(subject).size + 2

    def add(self, minibatch: Minibatch) -> None:
        """Gather the samples of a minibatch."""
        columns = minibatch.samples * minibatch.steps
        both = [minibatch.outputs, minibatch.targets]
        if not is_on_host(both):
            self._call(both, columns)
            return
        samples = cut(both, minibatch.columns)
        size_bytes = _size_bytes(samples)
        if self._gathered and self._gathered_bytes + size_bytes > MOST_GATHERED_BYTES:
            self._call_on_gathered()
        self._gathered.append(samples)
        self._gathered_bytes += size_bytes
        self._gathered_columns += columns

    def sums(self) -> Array:
        """Return the weighted table row by row, in how many parts the set was seen, and the weight."""
        if self._gathered:
            self._call_on_gathered()
        table = self._sums if self._parts else np.zeros(_table(self._metric).shape)
        return np.append(table, [self._parts, self._columns])

    def value_of(self, sums: Array) -> LabelValues:
        """Return the values of each label; of several ranks, each saw a part of the set or more."""
        table = (sums[:-2] / sums[-1]).reshape(_table(self._metric).shape)
        return LabelValues(np.asarray(table, np.float32), 0 if np.isnan(sums[-2]) else int(sums[-2]))

    def value(self) -> LabelValues:
        """Return the values of each label."""
        return self.value_of(self.sums())

    def _call_on_gathered(self) -> None:
        self._call(joined(self._gathered), self._gathered_columns)
        self._gathered, self._gathered_bytes, self._gathered_columns = [], 0, 0

    def _call(self, both: list[Any], columns: int) -> None:
        """Call the metric on outputs and targets, and add what it left, weighted by so many columns."""
        self._metric(*both)
        self._sums = self._sums + columns * np.asarray(_table(self._metric), np.float64)
        self._columns += columns
        self._parts += 1


def _table(metric: Any) -> Array:
    """Return (labels, values), what the metric left last; zeros of that shape at first."""
    return host_array(metric.outputs)


def _size_bytes(value: Any) -> int:
    if is_nested(value):
        return sum(_size_bytes(item) for item in value)
    return int(value.nbytes)
