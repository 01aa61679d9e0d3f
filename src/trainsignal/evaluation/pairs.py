"""Evaluating models of frameworks: their data sets yield pairs (inputs, targets), samples in the first axis.

What stands here for them stands in `minibatches` and `tallies` for models with neon's layout. Values stay on
their device until the end of the pass.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, cast

import numpy as np

from trainsignal.abilities import Array, EvaluatesPairs, HasLoss, PlacesValues, to_float
from trainsignal.errors import CostError, DataError, MissingAbilityError
from trainsignal.evaluation.contents import is_nested
from trainsignal.evaluation.minibatches import Minibatch


def pairs(dataset: Iterable[Any]) -> Iterator[tuple[Any, Any]]:
    """Yield the minibatches (inputs, targets) of a data set.

    Raises:
        DataError: it yields something else.
    """
    for item in dataset:
        if not is_nested(item) or len(item) != 2:
            size = f" of {len(item)}" if hasattr(item, "__len__") else ""
            raise DataError(
                f"{type(dataset).__name__} yielded a {type(item).__name__}{size}: an evaluation set yields "
                "pairs (inputs, targets). Wrap it in an iterable that does."
            )
        inputs, targets = item
        yield inputs, targets


def pair_minibatches(model: EvaluatesPairs, dataset: Iterable[Any]) -> Iterator[Minibatch]:
    """Yield outputs and targets of a data set, minibatch for minibatch.

    Args:
        model: in evaluation mode.
        dataset: yields pairs (inputs, targets).

    Raises:
        DataError: it yields something else, or nothing.
    """
    is_empty = True
    for inputs, targets in pairs(dataset):
        samples = _samples(targets)
        if not samples:  # a mean over nothing is NaN
            continue
        is_empty = False
        yield Minibatch(model.predict(inputs), targets, slice(0, samples), samples, 1)
    if is_empty:
        raise DataError(
            f"{type(dataset).__name__} yielded no minibatch to evaluate on: it is empty, or can be iterated "
            "only once"
        )


class PairCostTally:
    """The mean loss of a sample, and the seconds that the pass took."""

    takes_many = False

    def __init__(self, model: HasLoss, clock: Callable[[], float]) -> None:
        """Begin now; `clock`: seconds."""
        self._loss = model.loss
        self._clock = clock
        self._began = clock()
        self._losses: list[tuple[Any, int]] = []  # not added up there: in half precision a sum ends at 65504

    def add(self, minibatch: Minibatch) -> None:
        """Take the loss of a minibatch.

        Raises:
            CostError: the loss is not one number.
        """
        loss = self._loss(minibatch.outputs, minibatch.targets)
        shape = tuple(getattr(loss, "shape", ()))
        if np.prod(shape, dtype=int) != 1:
            raise CostError(
                f"the loss of a minibatch has the shape {shape}: expected one number, the mean over the "
                'samples. Many losses give it with reduction="mean".'
            )
        self._losses.append((loss, minibatch.samples))

    def value(self) -> tuple[float, float]:
        """Return the mean loss, and seconds.

        Raises:
            CostError: the loss is no number.
        """
        try:
            total = sum(to_float(loss) * samples for loss, samples in self._losses)
        except TypeError as error:
            raise CostError(f"the loss of a minibatch is no number: {error}") from error
        return total / sum(samples for _, samples in self._losses), self._clock() - self._began


class PairMetricTally:
    """The values of a metric over a data set.

    A metric that gathers by itself, with `update`, `compute` and `reset` (torchmetrics) or `update_state`,
    `result` and `reset_state` (Keras), is asked at the end; of a function, the mean over the samples counts.
    """

    takes_many = False

    def __init__(self, model: EvaluatesPairs, metric: Any) -> None:
        """Begin; an object that gathers is copied, or else reset before and after."""
        self._to_host = model.to_host
        self._placed: Callable[[Any], Any] = model.placed if isinstance(model, PlacesValues) else _as_it_is
        self._metric = metric
        self._values: list[tuple[Any, int]] = []
        self._is_copy = hasattr(metric, "update") and hasattr(metric, "compute")
        self._is_keras = hasattr(metric, "update_state") and hasattr(metric, "result")
        if self._is_copy:
            self._metric = self._placed(copy.deepcopy(metric))
            self._metric.reset()
        elif self._is_keras:
            metric.reset_state()

    def add(self, minibatch: Minibatch) -> None:
        """Add the samples of a minibatch."""
        outputs, targets = minibatch.outputs, self._placed(minibatch.targets)
        if self._is_copy:
            self._metric.update(outputs, targets)
        elif self._is_keras:
            self._metric.update_state(targets, outputs)
        else:
            self._values.append((self._metric(outputs, targets), minibatch.samples))

    def value(self) -> Array:
        """Return (values,) float32."""
        if self._is_copy:
            return self._numbers(self._metric.compute()).astype(np.float32)
        if self._is_keras:
            values = self._numbers(self._metric.result())
            self._metric.reset_state()
            return values.astype(np.float32)
        total: Any = sum(self._numbers(value) * samples for value, samples in self._values)
        return np.asarray(total / sum(samples for _, samples in self._values), np.float32)

    def _numbers(self, value: Any) -> Array:
        """Return (values,) float64 of a number, an array or a dict of them."""
        parts = list(cast("Mapping[str, Any]", value).values()) if isinstance(value, Mapping) else [value]
        return np.concatenate([np.asarray(self._to_host(part), np.float64).reshape(-1) for part in parts])


def check_pair_model(model: EvaluatesPairs, *, needs_loss: bool) -> None:
    """Refuse a model that was not told its loss.

    Raises:
        MissingAbilityError: it computes none.
    """
    if needs_loss and not isinstance(model, HasLoss):
        name = type(model).__name__
        raise MissingAbilityError(
            f"LossCallback needs the loss that the model is trained with, which was not given: {name}(..., "
            "loss=...), or leave eval_freq and LossCallback out"
        )


def _samples(targets: Any) -> int:
    """Return the length of the first axis; of several arrays, that of the first.

    Raises:
        DataError: there is none.
    """
    if isinstance(targets, Mapping):
        arrays = list(cast("Mapping[str, Any]", targets).values())
        if not arrays:
            raise _no_samples("an empty dict")
        return _samples(arrays[0])
    # a list of numbers, also NumPy's or those in tensors, has a sample in each
    if is_nested(targets) and targets and getattr(targets[0], "shape", ()):
        return _samples(targets[0])
    if not getattr(targets, "shape", (1,)):  # of a sample alone
        return 1
    if not hasattr(targets, "__len__"):
        raise _no_samples(f"a {type(targets).__name__}")
    return len(targets)


def _no_samples(what: str) -> DataError:
    return DataError(
        f"the targets of a minibatch are {what}: expected an array, or several, with the samples in the "
        "first axis"
    )


def _as_it_is(value: Any) -> Any:
    return value
